"""`fastae trace` of whole programs: their launches on a page, with the numbers of `fastae run --count`."""

import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from command_line import refused
from traced_kernels import line, trace_command

from fastae import cli
from fastae.trace.program import LAUNCHES, arrays_of, shares

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the emulator runs on Linux")

# One program for all, so that it is compiled once; a case is chosen by its argument.
PROGRAM = r"""#include <cstdio>
#include <cstring>
#include "parts/filter.cuh"
__global__ void add(const float* a, const float* b, float* out, int n) {
  __shared__ float part[32];
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  part[threadIdx.x] = b[i];
  __syncthreads();
  out[i < n ? i : 1000] = a[i] + part[31 - threadIdx.x];  // beyond
}
__global__ void next(int* x) { *x += 1; }
__global__ void spin(volatile int* x) {
  while (*x != 7) {  // for ever
  }
}
int main(int argc, char** argv) {
  const char* word = argc > 1 ? argv[1] : "";
  const int n = 96;
  float h[n], w[4] = {1, 2, 3, 4}, *x, *y;
  int* number;
  for (int i = 0; i < n; ++i) h[i] = i;
  cudaMalloc(&x, sizeof h);
  cudaMalloc(&y, 2 * sizeof h);
  cudaMalloc(&number, sizeof(int));  // unnamed
  cudaMemcpyToSymbol(weights, w, sizeof w);
  cudaMemcpy(x, h, sizeof h, cudaMemcpyHostToDevice);
  cudaMemcpy(y, h, sizeof h, cudaMemcpyHostToDevice);
  cudaMemset(number, 0, sizeof(int)), cudaMemset(y + n, 0, sizeof h);
  if (!strcmp(word, "many"))
    for (int i = 0; i < 20; ++i) next<<<1, 1>>>(number);
  if (!strcmp(word, "endless")) spin<<<1, 2>>>(number);
  if (strcmp(word, "none")) {
    filter<float><<<3, 32>>>(x, n);  // first
    add<<<3, 32>>>(x, y, y + n, strcmp(word, "beyond") && strcmp(word, "many") ? n : 95);  // second
  }
  if (!strcmp(word, "far")) cudaMemcpy(h, x, 1 << 20, cudaMemcpyDeviceToHost);
  cudaMemcpy(h, y + n, sizeof h, cudaMemcpyDeviceToHost);
  printf("%g of %d words\n", h[1], argc);
  cudaFree(x), cudaFree(y), cudaFree(number);
  return !strcmp(word, "status") ? 3 : 0;
}
"""
HELPER = """__constant__ float weights[4];
template <class T>
__device__ T twice(T x) { return x + x; }
template <class T>
__global__ void filter(T* x, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) x[i] = twice(x[i]) * weights[i % 4] + weights[1];
}"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("programs")
    (folder / "parts").mkdir()
    (folder / "parts" / "filter.cuh").write_text(HELPER)
    (folder / "sums.cu").write_text(PROGRAM)
    return folder / "sums.cu"


def trace(program: Path, tmp_path: Path, *words: str) -> tuple[int, dict[str, Any]]:
    """Trace a program; return the exit status, and what the page holds."""
    return trace_command(program, tmp_path / "page.html", *words)


@pytest.mark.feature("tracing", "`fastae trace` of whole programs")
def test_the_launches_of_a_program_have_the_numbers_that_run_counts(
    program: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["run", "--count", str(program)]) == 0
    counted = Counter[tuple[str, ...]]()
    for row in capfd.readouterr().err.splitlines():
        if match := re.fullmatch(r"(\S+:\d+) +(\w\S*) +(\w+) +(read|write) +(\d+) +(\d+) +(\d+)", row):
            for field, number in zip(("requests", "moved", "fewest"), match.groups()[4:]):
                counted[(*match.groups()[:4], field)] += int(number)
    status, head = trace(program, tmp_path)
    out = capfd.readouterr().out
    assert status == 0
    assert out.startswith(f"36 of 1 words\nfilter<float>, launched at sums.cu:{line(PROGRAM, '// first')}: ran")
    shown = Counter[tuple[str, ...]]()
    for launch in head["launches"]:
        kernel = launch["kernel"].partition("<")[0]
        for place, memory, writes, requests, _, cost, best in launch["traffic"]:
            where = (launch["places"][place], kernel, memory, "write" if writes else "read")
            for field, number in zip(("requests", "moved", "fewest"), (requests, cost, best)):
                shown[(*where, field)] += number
    assert shown == Counter({(k[0], k[1].partition("<")[0], *k[2:]): n for k, n in counted.items()})
    assert {key[2] for key in shown} == {"global", "shared", "constant"}
    assert shown[f"filter.cuh:{line(HELPER, 'weights[1]')}", "filter", "constant", "read", "moved"] == 3 * (4 + 1)


def test_memory_is_called_by_the_parameter_that_points_there(program: Path, tmp_path: Path) -> None:
    _, head = trace(program, tmp_path)
    first, second = head["launches"]
    named = [{r["name"]: (r["type"], r["bytes"], r["memory"]) for r in launch["regions"]} for launch in (first, second)]
    unnamed = f"allocation of line {line(PROGRAM, '// unnamed')}"
    assert named[0]["x"] == named[1]["a"] == ("f4", 384, "global")
    assert named[1]["b"] == named[1]["out"] == ("f4", 384, "global")
    assert named[0]["weights"] == ("f4", 16, "constant")
    assert named[1]["part"] == ("f4", 128, "shared")
    assert unnamed in named[0]
    assert first["launchedAt"] == f"sums.cu:{line(PROGRAM, '// first')}"
    assert first["sources"] == {"filter.cuh": HELPER}
    assert list(second["sources"]) == ["sums.cu"]
    assert head["note"] == ""


def test_a_fault_is_where_the_page_stops(program: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    status, head = trace(program, tmp_path, "--", "beyond", "two words")
    assert status == 1
    said = capfd.readouterr()
    assert "of 3 words" in said.out
    assert "a fault has ended it" in said.out
    assert "out of bounds" in said.err
    first, second = head["launches"]
    assert not first["fault"]
    assert second["fault"].startswith(f"sums.cu:{line(PROGRAM, '// beyond')}, kernel add, block (2, 0, 0)")
    assert second["places"][-1] == f"sums.cu:{line(PROGRAM, '// beyond')}"
    assert second["faultAt"][1] == 31


def test_of_many_launches_the_first_are_shown_and_the_one_with_a_fault(
    program: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    status, head = trace(program, tmp_path, "--", "many")
    assert status == 1
    assert [launch["kernel"] for launch in head["launches"]] == ["next"] * LAUNCHES + ["add"]
    assert head["note"].startswith("The program made 22 launches, of 3 kernels: next, filter<float>, add.")
    assert f"the first {LAUNCHES}, and the one that a fault has ended" in head["note"]
    assert head["note"] in capfd.readouterr().out
    status, head = trace(program, tmp_path, "--kernel", "filter", "--", "many")
    assert [launch["kernel"] for launch in head["launches"]] == ["filter<float>"]
    assert "of filter" in head["note"]


def test_a_launch_that_does_not_end_is_shown_as_far_as_it_came(
    program: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    status, head = trace(program, tmp_path, "--patience", "3", "--", "endless")
    assert status == 1
    assert "has not come to an end" in capfd.readouterr().err
    (launch,) = head["launches"]
    assert launch["fault"].startswith("kernel spin has not come to an end")
    assert launch["places"] == [f"sums.cu:{line(PROGRAM, '// for ever')}"]


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["--", "none"], 2, "has launched no kernel"),
        (["--kernel", "other"], 2, "launches no kernel 'other'; it launches: filter<float>, add"),
        (["--shape", "n=3"], 2, "--shape is of kernels of the contract"),
        (["-DBROKEN=", "-std=c++20", "-include", "not_there.h"], 2, "not_there.h"),
        (["--", "far"], 1, "cudaMemcpy"),
        (["--", "status"], 0, "the program's exit status was 3"),
    ],
)
def test_the_exit_status_is_as_documented(
    program: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], words: list[str], status: int, said: str
) -> None:
    assert trace(program, tmp_path, *words)[0] == status
    assert said in "".join(capfd.readouterr())
    assert (tmp_path / "page.html").exists() == (status < 2)


def test_an_argument_is_for_programs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "kernel.cu").write_text('// int main()\nextern "C" __global__ void axpy(float* x) {}\n')
    assert "has no main()" in refused(capsys, "trace", tmp_path / "kernel.cu", "--", "word")


def test_a_page_is_shared_fairly_and_a_fault_comes_first() -> None:
    assert shares([10, 1000, 50], [False] * 3, 100) == [10, 45, 45]
    assert shares([10, 1000, 70], [False, False, True], 100) == [10, 20, 70]
    assert shares([5, 5], [False] * 2, 100) == [5, 5]


def test_arrays_begin_where_pointers_lead() -> None:
    names = ["pointer 1 1016 f 4 16", "pointer 2 1016 f 4 4", "pointer 3 2000 ? 0 12", "memory 1000 96 a.cu:5"]
    found = arrays_of([*names, "memory 2000 24 other.h:7", "memory 3000 8 other.h:9"], ["quads", "same", "s"], "a.cu")
    assert [(a.name, a.dtype, a.address, a.rows, a.width) for a in found] == [
        ("allocation of line 5", "V4", 1000, 1, 16),
        ("quads", "f4", 1016, 5, 16),
        ("s", "V4", 2000, 1, 24),
        ("allocation of other.h:9", "V4", 3000, 1, 8),
    ]
