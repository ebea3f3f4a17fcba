"""Whole CUDA programs by `fastae run`, in many styles, with their output; and nvcc's options."""

import subprocess
import sys
from pathlib import Path

import pytest
from sampling import sample

from fastae import cli
from fastae.run import rewrite
from fastae.run.command import arranged, flags_of

FOLDER = Path(__file__).parent / "programs"
PROGRAMS = sorted(FOLDER.glob("*.cu"))

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the emulator runs on Linux")


def expected(program: Path) -> str:
    """The lines of output that a program has at its head."""
    lines = program.read_text(encoding="utf-8-sig").splitlines()
    return "".join(f"{line[4:]}\n" for line in lines if line.startswith("//> "))


def run(*words: object, folder: Path, text: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "fastae", "run", *map(str, words)]
    return subprocess.run(command, cwd=folder, input=text, capture_output=True, text=True, timeout=120)


def check(program: Path, folder: Path, *flags: str) -> str:
    """Run one of the programs; return what was said on stderr."""
    arguments = ["--", "one", "two words"] if program.stem == "host_side" else []
    done = run(*flags, program, *arguments, folder=folder, text="42\n")
    assert done.stdout == expected(program), done.stderr
    assert done.returncode == (3 if program.stem == "host_side" else 0)
    return done.stderr


@pytest.mark.feature("host programs", "`fastae run`: whole programs, as nvcc would compile and run them")
@pytest.mark.parametrize("program", sample(PROGRAMS, 4, lambda program: program.stem))
def test_a_program_prints_what_it_prints_on_a_gpu(program: Path, tmp_path: Path) -> None:
    said = check(program, tmp_path)
    assert all("is not launched" in line or "no device 7" in line for line in said.splitlines())
    assert (tmp_path / "written.txt").exists() == (program.stem == "host_side")


@pytest.mark.feature("host programs", "`--check`: every access of a program's kernels looked at")
@pytest.mark.thorough
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.stem)
def test_a_right_program_is_right_where_everything_is_looked_at(program: Path, compiler: str, tmp_path: Path) -> None:
    said = check(program, tmp_path, "--check")
    assert all("is not launched" in line or "no device 7" in line for line in said.splitlines())


SMALL = """#include <cstdio>
#include "size.h"
__global__ void set(int* x) { x[threadIdx.x] = SIZE; }
int main(int argc, char** argv) {
  int *d, h[SIZE];
  cudaMalloc(&d, sizeof h);
  set<<<1, SIZE>>>(d);
  cudaMemcpy(h, d, sizeof h, cudaMemcpyDeviceToHost);
  cudaFree(d);
  printf("%d %s\\n", h[0], argc > 1 ? argv[1] : argv[0]);
  return EXIT;
}
"""


@pytest.mark.feature("host programs", "options of nvcc, arguments, exit status, included files")
def test_flags_arguments_status_and_an_included_file(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "a folder"
    (folder / "headers").mkdir(parents=True)
    program, header = folder / "small.cu", folder / "headers" / "size.h"
    program.write_text(SMALL, encoding="utf-8")
    header.write_text("#define SIZE 3\n", encoding="utf-8")
    words = ["run", "-O3", "-arch=sm_80", "-std=c++14", f"-I{header.parent}", "-D", "EXIT=7", "-lineinfo", str(program)]
    assert cli.main([*words, "--", "--check"]) == 7
    assert capfd.readouterr().out == "3 --check\n"
    header.write_text("#define SIZE 5\n", encoding="utf-8")  # a change there is seen
    assert cli.main(words) == 7
    assert capfd.readouterr().out == "5 ./small\n"


@pytest.mark.feature("host programs", "`--count`: what accesses cost, by line")
def test_counts_are_a_table_of_lines(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    program = tmp_path / "strided.cu"
    program.write_text(
        """__global__ void strided(float* x) {
  x[8 * threadIdx.x] = 1;
}
int main() {
  float* x;
  cudaMalloc(&x, 64 * 8 * sizeof(float));
  for (int i = 0; i < 3; ++i) strided<<<1, 64>>>(x);
  cudaFree(x);
}
""",
        encoding="utf-8",
    )
    assert cli.main(["run", "--count", str(program)]) == 0
    said = capfd.readouterr().err.splitlines()
    assert said[1].split() == ["strided.cu:2", "strided", "global", "write", "6", "192", "24"]
    assert said[2].startswith("192 threads, 0 times one passed a barrier")


def test_a_launch_is_rewritten_where_it_stands() -> None:
    code = 'x = "<<<1, 2>>>"; // <<<\nif (a < b) ns::k<T, (4 > 3)>\n  <<<\n  g, f(b, 1)>>>(p);\n'
    found, _ = rewrite.rewritten(code, set(), lambda name: None)
    assert found.count("\n") == code.count("\n")
    assert '"<<<1, 2>>>"' in found
    assert 'emulator::launcher("ns::k<T, (4 > 3)>", [=]' in found
    assert "emulator::Shape(\n  g, f(b, 1))" in found
    assert found.splitlines()[-1].endswith("(p);")


def test_a_launch_in_a_macro_keeps_its_continued_lines() -> None:
    code = "#define RUN(k) \\\n  k \\\n  <<<1, \\\n  2>>>(0)\nint x;\n"
    found, _ = rewrite.rewritten(code, set(), lambda name: None)
    lines = found.splitlines()
    assert len(lines) == 5
    assert all(line.endswith("\\") for line in lines[:3])
    assert lines[4] == "int x;"


def test_variables_and_functions_of_the_device_are_told_apart() -> None:
    code = """__device__ int a[3] = {1}, b; __constant__ const float c = 1; namespace n { static __device__ float d; }
__device__ int f(int x) {
#if __CUDA_ARCH__ >= 800
  return 1;
#endif
}
__host__ __device__ int g() {
#ifdef __CUDA_ARCH__
#endif
}
__device__ __align__(16) float4 e;
__device__ int (*pointer)(int) = f;
"""
    found, unknown = rewrite.rewritten(code, set(), lambda name: None)
    lines = found.splitlines()
    assert lines[0].count("EMULATED_VARIABLE") == 2
    assert "EMULATED_VARIABLE" not in lines[1]
    assert lines[2] == "#if EMULATED_CUDA_ARCH >= 800"
    assert lines[7] == "#ifdef __CUDA_ARCH__"
    assert lines[10].startswith("EMULATED_VARIABLE")
    assert not unknown


def test_options_of_nvcc_are_sorted() -> None:
    words = "a.cu -Xcompiler -Wall,-fopenmp -o a.out -Ihere -I there -std=c++20 --check -- -x"
    found = arranged(words.split())
    assert [word for word in found if not word.startswith("--nvcc=")] == ["a.cu", "--check", "--argument=-x"]
    flags = flags_of([word.removeprefix("--nvcc=") for word in found if word.startswith("--nvcc=")])
    assert flags.options == ["-fopenmp"]
    assert flags.folders == [Path("here"), Path("there")]
    assert flags.standard == 20


def test_every_program_of_the_tests_says_what_it_prints() -> None:
    assert len(PROGRAMS) >= 14
    assert all(expected(program) for program in PROGRAMS)


@pytest.mark.parametrize(
    ("declared", "constant"),
    [
        ("const int* table", False), ("unsigned const* table", False), ("Box<const int*> box", False),
        ("std::array<const Box<int>, 3> boxes", False), ("const int n", True), ("int const n", True),
        ("const char* const names", True), ("int* const p", True),
    ],
)  # fmt: skip
def test_a_pointer_to_what_is_constant_is_none(declared: str, constant: bool) -> None:
    code, _ = rewrite._sides(f"__device__ {declared} = {{}};")
    assert ("EMULATED_VARIABLE" not in code) == constant
