"""A ``.cu`` file that includes files of its folder: it runs, and messages have the included files' names and lines."""

import os
from pathlib import Path

import numpy as np
import pytest

from fastae import cli
from fastae.backends.emulator import KernelFault, RawModule, checking, device
from fastae.check.command import _stamp
from fastae.check.file.reading import read_source
from fastae.cuda.includes import included, place_of, read
from fastae.errors import InputError

KERNEL = """#include "parts/{header}"
// launch axpy: grid (ceil(n / 64)), block (64)
extern "C" __global__ void axpy(size_t m, {whole} n, real alpha, const real* alpha_at, const real* x, {whole} x_stride,
                                real* y, size_t y_stride) {{
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (alpha_at) alpha = *alpha_at;
  for (int row = 0; i < n && row < m; ++row) add(y + row * y_stride + i, alpha, x[row * x_stride + i]);
}}
"""
ADD = """#pragma once
template <class T>
__device__ void add(T* at, T alpha, T x) {
  *at += alpha * x;
}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "add.cuh").write_text(ADD)
    (tmp_path / "mine.cu").write_text(KERNEL.format(header="add.cuh", whole="int"))
    return tmp_path


def check(path: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    status = cli.main(["check", str(path), "--backend", "emulator", "--no-speed", "--seed", "3"])
    out, err = capsys.readouterr()
    return status, out + err


@pytest.mark.parametrize("whole", ["int", "unsigned", "long long", "uint64_t"])
def test_a_kernel_with_a_header_of_its_own_is_right(
    folder: Path, whole: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "mine.cu").write_text(KERNEL.format(header="add.cuh", whole=whole))
    status, told = check(folder / "mine.cu", capsys)
    assert (status, told.splitlines()[0][:11]) == (0, "axpy: right"), told


@pytest.mark.parametrize("at", ["mine.cu", "parts/add.cuh"])
@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('__device__ int f() { return system("ls"); }', "{at}line {n}: system() is a function of the host"),
        ('#include "/etc/passwd"', '{at}line {n}: it includes "/etc/passwd", which is no header of CUDA'),
        ('#include "none.cuh"', '{at}line {n}: it includes "none.cuh", which is no header of CUDA, nor is it in the'),
        ("struct S { int x; S() { x = 1; } };  S s;", "{at}line {n}: s is initialised by code of the host"),
        ("#define A __builtin_abs\n__device__ int f(int x) { return A(x); }", "{at}line {next}: a function that is"),
        ("__device__ int f() { return none; }", "{file}:{n}:29: error: 'none' was not declared in this scope"),
        ("#include <thrust/sort.h>", "{at}line {n}: "),
    ],
)  # fmt: skip
def test_what_is_refused_is_told_with_file_and_line(
    folder: Path, at: str, line: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (folder / at).read_text()
    (folder / at).write_text(f"{text}{line}\n")
    n = text.count("\n") + 1
    status, found = check(folder / "mine.cu", capsys)
    assert status in (1, 2)
    header = f"{at}, " if at != "mine.cu" else ""
    assert told.format(at=header, file=at, n=n, next=n + 1) in found


def test_what_lies_outside_of_the_folder_stays_outside(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    inner = folder / "inner"
    inner.mkdir()
    (inner / "link.cuh").symlink_to(folder / "parts" / "add.cuh")
    for name in ("link.cuh", "../parts/add.cuh"):
        text = KERNEL.format(header="add.cuh", whole="int").replace("parts/add.cuh", name)
        (inner / "mine.cu").write_text(text)
        status, told = check(inner / "mine.cu", capsys)
        assert status == 1
        assert f'line 1: it includes "{name}", which is no header of CUDA, nor is it in the file\'s folder' in told


def test_headers_are_there_once_and_their_lines_are_known(tmp_path: Path) -> None:
    (tmp_path / "a.cuh").write_bytes(b'\xef\xbb\xbf#pragma once\r\n#include "b.cuh"\r\nint a;\r\n')
    (tmp_path / "b.cuh").write_bytes(b'#ifndef B\n#define B\n#include "a.cuh"\nint b; // \xe9\n#endif\n')
    text = '// #include "no.cuh"\n#include "b.cuh"\n#include "a.cuh"  // again\n#include "a.cuh"\nint c; /*\n'
    text += '#include "a.cuh"\n*/'
    whole = included(text, "mine.cu", tmp_path)
    assert [whole.count(f"int {name};") for name in "abc"] == [1, 1, 1]
    places = [place_of(whole, whole.index(f"int {name};"), "mine.cu") for name in "abc"]
    assert places == ["a.cuh, line 3", "b.cuh, line 4", "line 5"]
    assert place_of(whole, len(whole), "mine.cu") == "line 7"


def test_a_change_of_a_header_is_seen(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before, header = _stamp(folder / "mine.cu"), folder / "parts" / "add.cuh"
    assert len(before) == 2
    header.write_text(ADD.replace("+=", "-="))
    os.utime(header, ns=(0, 0))
    assert _stamp(folder / "mine.cu") != before
    status, told = check(folder / "mine.cu", capsys)
    assert (status, "alpha · x is subtracted" in told) == (1, True), told


def test_modules_find_headers_in_the_folders_of_their_options(folder: Path) -> None:
    code = """#include <add.cuh>
extern "C" __global__ void twice(float* x) { add(x + threadIdx.x, 1.0f, x[threadIdx.x]); }"""
    for text, factor in ((ADD, 2), (ADD.replace("+=", "-="), 0), (ADD.replace("*at +=", "\n  at[9] ="), None)):
        (folder / "parts" / "add.cuh").write_text(text)
        x = device.array(np.ones(4, np.float32))
        module = RawModule(code, (f"-I{folder / 'parts'}",), file="mine.cu")
        with checking():
            if factor is None:
                with pytest.raises(KernelFault, match=r"add.cuh:5, kernel twice, .*: out of bounds"):
                    module.get_function("twice")((1,), (4,), (x,))
                continue
            module.get_function("twice")((1,), (4,), (x,))
        assert (np.asarray(x) == factor).all()


def test_a_file_that_is_no_cuda_is_told_before_a_compiler_sees_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.cu").write_text("Dear diary\n")
    status, told = check(tmp_path / "mine.cu", capsys)
    assert status == 2
    assert (
        "mine.cu defines no kernel of the contract (it has no __global__ function); their names are: matmul, " in told
    )


def test_the_judge_reads_what_a_file_includes(folder: Path) -> None:
    assert "*at += alpha * x;" in read_source(folder / "mine.cu")


def test_a_file_is_read_byte_by_byte_and_nothing_but_text(tmp_path: Path) -> None:
    path = tmp_path / "it.cuh"
    path.write_bytes(b'\xef\xbb\xbfconst char* name = "\xe9";\r\n')
    assert read(path).encode("utf-8", "surrogateescape") == b'const char* name = "\xe9";\n'
    path.write_bytes(b"int a;\0")
    with pytest.raises(InputError, match=r"it.cuh is no text: a CUDA program was expected, in UTF-8"):
        read(path)
    with pytest.raises(InputError, match="is no text"):
        RawModule('#include "it.cuh"\n', (f"-I{tmp_path}",))
