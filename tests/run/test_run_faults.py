"""Faults of programs under `fastae run`: each is named with its line, and the exit status is right."""

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from command_line import refused
from faulty_programs import FAULTY, copied, line_of, with_lines

from fastae import cli

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the emulator runs on Linux")
ALLOCATED = "the 4096 bytes that cudaMalloc at cases.cu:{allocated} gave"
FAULTS = {  # by case: the exit status, and what is said, with the lines of marks
    "nothing": (0,),
    "direction": (1, "{direction}: cudaMemcpy: cudaMemcpyDeviceToHost, but the destination is the device's memory and"),
    "far": (1, "{far}: cudaMemcpy: 5000 bytes at the destination, but only 4096 are left there of " + ALLOCATED),
    "host-pointer": (1, "{host-pointer}: kernel set is given a pointer to the host's memory as its argument 1"),
    "touch": (
        1,
        "{touch}: the host's code reads the device's memory, which cudaMemcpy copies; it lies in " + ALLOCATED,
    ),
    "touch-by-library": (1, "{touch-by-library}: the host's code reads the device's memory"),
    "threads": (
        1,
        "{threads}: kernel set is not launched: a block has 1 to 1024 threads",
        "{threads}: the launch of kernel set failed with cudaErrorInvalidConfiguration, and the program never asks",
    ),
    "shared": (
        1,
        "{shared}: kernel set is not launched: a block may have 49152 bytes of dynamic shared memory, not 100000",
    ),
    "grid": (1, "{grid}: kernel set is not launched: a grid has 1 to 2147483647 blocks in x"),
    "asked": (0, "kernel set is not launched"),
    "beyond": (
        1,
        "{beyond}, kernel set, block (4, 0, 0), thread (0, 0, 0) writing: out of bounds; it lies 0 bytes behind "
        + ALLOCATED
        + " (launched at cases.cu:{launched})",
    ),
    "null": (1, "{beyond}, kernel set, block (0, 0, 0), thread (0, 0, 0) writing: out of bounds; it is a null pointer"),
    "deep": (1, "kernel recurse, block (0, 0, 0), thread (0, 0, 0): the thread has used up its stack"),
    "zero": (1, "{zero}, kernel divide, block (0, 0, 0), thread (0, 0, 0): a whole number is divided by zero"),
    "claim": (1, "{claim}, kernel claim, block (0, 0, 0), thread (0, 0, 0): an assertion does not hold: x == nullptr"),
    "twice": (1, "{end}: cudaFree: " + ALLOCATED + " were freed before, at cases.cu:{freed}"),
    "after-free": (1, "{beyond}, kernel set", "out of bounds; it lies in " + ALLOCATED + ", freed at cases.cu:"),
    "middle": (1, "{middle}: cudaFree: the pointer is not the beginning of " + ALLOCATED),
    "not-device": (1, "{not-device}: cudaFree: it frees what cudaMalloc gave; this is other memory of the host"),
    "name": (1, "{name}: kernel set is given the host's name of a variable of the device as"),
    "name-copied": (1, "{name-copied}: cudaMemcpy: the source is a variable of the device, of which the host"),
    "symbol": (1, "{symbol}: cudaMemcpyToSymbol: 20 bytes from byte 0 on, but the variable has 16"),
    "lost": (0, "{lost}: what the kernel printed is lost: the program ends without cudaDeviceSynchronize()"),
    "leak": (0, "{leak}: cudaMalloc: 300 bytes are never freed, of 3 allocations"),
    "streams": (
        0,
        "{streams}: 2 streams are never destroyed: cudaStreamDestroy",
        "{event}: the event is never destroyed: cudaEventDestroy",
        "{pinned}: cudaMallocHost: 64 bytes are never freed",
    ),
    "reset": (0,),
    "stream": (1, "{stream}: cudaStreamSynchronize: the stream does not exist"),
    "too-much": (0, "{too-much}: cudaMalloc: 1125899906842624 bytes are more than the device has left"),
    "crash": (139, "{crash}: the host's code writes at address 0, where it has no memory"),
    "stack": (139, "the host's code has used up the stack: does a function call itself without end?"),
    "abort": (134,),
}
SEEN = {  # where every access is looked at
    "nothing": (0,),
    "leak": (1, "{leak}: cudaMalloc: 300 bytes are never freed, of 3 allocations"),
    "outside": (
        0,
        "{outside}: lane 0 reads from lane 16, which its mask 0xf does not name: CUDA leaves the value undef",
    ),
    "beyond": FAULTS["beyond"],
    "touch": FAULTS["touch"],
    "misaligned": (1, "kernel wide, block (0, 0, 0), thread (0, 0, 0) writing: a misaligned address"),
    "managed": (1, "{managed}: the host reads managed memory, of the 64 bytes that cudaMallocManaged at cases.cu:"),
    "constant": (1, "{constant}: the host writes a variable of the device, where it has another of its own"),
    "template": (1, "{unwritten}, kernel reverse<64>", " reading: shared memory is read before it is written"),
    "heap": (
        139,
        "{heap}: the host's code reads at address 0x",
        "; it lies 0 bytes behind the 48 bytes that malloc or new gave",
    ),
    "heap-freed": (139, "{heap-freed}: ", "; it lies in the 80 bytes that malloc or new gave, which have been freed"),
    "heap-copy": (
        1,
        "{heap-copy}: cudaMemcpy: 44 bytes at the destination; only 40 are left there of the 40 bytes that malloc",
        "{heap-copy-inside}: cudaMemcpy: 32 bytes at the source; only 28 are left there of the 40 bytes that",
        "{heap-realloc}: cudaMemcpy: 164 bytes at the source; only 160 are left there of the 160 bytes that",
    ),
    "static": (1, "{static}: the index is outside of an array, in the host's code"),
}
OUTPUT = {
    "outside": "-nan -1\n",
    "asked": "cudaErrorInvalidConfiguration\ncudaSuccess\n",
    "beyond": "cudaSuccess\ncudaErrorIllegalAddress\ncudaErrorIllegalAddress\n"
    "an illegal memory access was encountered\n",
    "too-much": "cudaErrorMemoryAllocation\n",
}


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copied("cases.cu", tmp_path_factory)


def assert_told(
    case: str, expected: tuple[Any, ...], capfd: pytest.CaptureFixture[str], program: Path, *options: str
) -> None:
    status, messages = cli.main(["run", *options, str(program), "--", case]), expected[1:]
    out, said = capfd.readouterr()
    for message in messages:
        assert with_lines(program, message) in said
    if not messages and case != "abort":
        assert said == ""
    assert status == expected[0], said
    assert out == OUTPUT.get(case, "")


@pytest.mark.feature("host programs", "faults of the host and of kernels, each with its line")
@pytest.mark.parametrize("case", FAULTS)
def test_a_fault_is_told_by_its_line(case: str, program: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert_told(case, FAULTS[case], capfd, program)


@pytest.mark.feature("host programs", "faults of the host and of kernels, each with its line")
@pytest.mark.parametrize("case", SEEN)
def test_a_fault_is_found_where_every_access_is_looked_at(
    case: str, program: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert_told(case, SEEN[case], capfd, program, "--check")


def test_a_lane_outside_of_the_mask_gives_zero_unless_it_is_looked_at(
    program: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["run", str(program), "--", "outside"]) == 0
    assert capfd.readouterr() == ("0 0\n", "")
    assert cli.main(["run", "--check", str(program), "--", "outside"]) == 0
    assert capfd.readouterr().err.count("its mask 0xf does not name") == 1  # once, though two kernels do it


def test_what_follows_from_a_fault_is_not_told_too(program: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", "--check", str(program), "--", "echo"]) == 1
    said = capfd.readouterr().err
    assert (
        with_lines(program, "{beyond}, kernel set, block (0, 0, 0), thread (16, 0, 0) writing: out of bounds") in said
    )
    assert "before it has waited" not in said


@pytest.mark.feature("host programs", "a program that never ends: `--patience`")
def test_a_program_that_does_not_end_is_ended_after_its_patience(
    program: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["run", "--patience", "0.5", str(program), "--", "endless"]) == 1
    said = capfd.readouterr().err.splitlines()
    assert said[0] == "fastae: the program has not come to an end within 0.5 seconds, as --patience has it"
    assert said[1] == f"fastae: cases.cu:{line_of(program, 'endless')}: the host's code has not come to an end"


REFUSED = {  # what is no program, or not for this emulator: the text, and what is said
    "there is no main": ("__global__ void k() {}", " has no main(): for kernels alone there is fastae check"),
    "it is no CUDA": ("hello, world", " has no main(): a CUDA program was expected"),
    "it is no text": ("int main() {}\0", " is no text: a CUDA program was expected, in UTF-8"),
    "an include is not there": (
        "\n#include <nowhere.h>\nint main() {}",
        ", line 2: the C++ compiler refuses the program: ",
    ),
    "a mistake": (
        "__global__ void k(int x) {}\nint main() {\n  k<<<1, 1>>>(1, 2, 3);\n}",
        ", line 3: the C++ compiler refuses the program: the kernel does not take these arguments",
    ),
    "cuRAND": ("#include <curand.h>\nint main() {}", ", line 1: cuRAND is not emulated"),
    "thrust": ("#include <thrust/sort.h>\nint main() {}", ", line 1: thrust and cub are not emulated"),
    "assembly": (
        '__global__ void k() {\n  asm("wgmma.fence.sync.aligned;");\n}\nint main() {}',
        ", line 2: the PTX instruction wgmma.fence.sync.aligned is not emulated",
    ),
    "a kernel that launches": (
        "__global__ void f() {}\n__global__ void k() {\n  f<<<1, 1>>>();\n}\nint main() {}",
        ", line 3: launches by a kernel (dynamic parallelism) are not emulated",
    ),
    "a function of the host, called in a kernel": (
        "int twice(int x) { return 2 * x; }\n__global__ void k(int* o) {\n  *o = twice(4);\n}\nint main() {}",
        ", line 3: twice() is a function of the host, and k, which calls it, a kernel: mark it __device__",
    ),
    "and in a function of the device": (
        "#define DEVICE __device__ __forceinline__\nnamespace a {\nstatic float half(float x) { return x / 2; }\n}\n"
        "template <class T>\nDEVICE T quarter(T x) {\n  return a_half(x);\n}\nfloat a_half(float x);\n"
        "float a_half(float x) { return a::half(x); }\nint main() {}",
        ", line 7: a_half() is a function of the host, and quarter, which calls it, a function of the device",
    ),
    "a kernel that is called as a function": (
        "template <class T> __global__ void k(T* o) {}\nint main() {\n  int* o = nullptr;\n  k<int>(o);\n}",
        ", line 4: k is a kernel, which is launched by <<<grid, block>>>",
    ),
    "a launch without a block": (
        "__global__ void k(int) {}\nint main() {\n  k<<<1>>>(1);\n}",
        ", line 3: the C++ compiler refuses the program: a launch needs a grid and a block: <<<grid, block>>>",
    ),
    "an exception in a kernel": (
        "__global__ void k() {\n  if (threadIdx.x > 4) throw 5;\n}\nint main() {}",
        ", line 2: throw is the host's alone, and k is a kernel",
    ),
    "a stream in a kernel": (
        "#include <iostream>\n__global__ void k() {\n  std::cout << 1;\n}\nint main() {}",
        ", line 3: std::cout is the host's alone, and k is a kernel",
    ),
    "shared memory with a value": (
        "__global__ void k() {\n  __shared__ int s[2][2] = {{1, 2}, {3, 4}};\n}\nint main() {}",
        ", line 2: s is shared memory, which has no initial value: let threads store it, then __syncthreads()",
    ),
    "too much static shared memory": (
        "#include <cstdio>\n__device__ float one() { return 1; }\ntemplate <int N> __global__ void k(float* x) {\n"
        "  __shared__ float big[N],\n    more[4];\n  big[0] = one();\n  more[1] = *x;\n}\n"
        "int main() { k<12300><<<1, 1>>>(nullptr); }",
        ", line 4: k declares 49216 bytes of shared memory (big 49200, more 16), but a block may have 49152 of static",
    ),
    "texture references": (
        "#include <cstdio>\ntexture<float, 2> t;\nint main() {}",
        ", line 2: texture and surface references, which CUDA 12 has no more, are not emulated",
    ),
    "clusters": (
        "__global__ void __cluster_dims__(2, 1, 1) k() {}\nint main() {}",
        ", line 1: __cluster_dims__, of clusters of blocks, is not emulated",
    ),
    "another function": (
        "int main() {\n  cudaIpcGetMemHandle(0);\n}",
        ", line 2: cudaIpcGetMemHandle, of CUDA's host functions",
    ),
    "a kernel that is there twice": (
        "__global__ void k(int x) {}\n\n__global__ void k(int y) {}\nint main() {}",
        ", line 3: k is defined a second time: first at line 1",
    ),
    "OpenMP": (
        "#include <omp.h>\nint main() {\n  return omp_get_max_threads() < 1;\n}",
        ", line 3: omp_get_max_threads() is of OpenMP: the program needs -Xcompiler -fopenmp, here as with nvcc",
    ),
    "a function of another file": ("void f();\nint main() {\n  f();\n}", ", line 3: undefined reference to "),
}


def test_what_may_be_a_function_of_the_device_is_not_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = shutil.copy(FAULTY / "honest.cu", tmp_path)
    assert cli.main(["run", str(path)]) == 0
    assert capfd.readouterr() == ("19 8 9\n", "")


@pytest.mark.parametrize("case", REFUSED)
def test_a_file_that_cannot_be_run_is_refused_by_its_line(
    case: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    text, words = REFUSED[case]
    path = tmp_path / "it.cu"
    path.write_text(text, encoding="utf-8")
    assert refused(capfd, "run", path).startswith(f"fastae: {path}{words}")


def test_a_file_that_is_not_there_is_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    told = refused(capfd, "run", tmp_path / "no.cu")
    assert told == f"fastae: cannot read {tmp_path / 'no.cu'}: No such file or directory\n"
    refused(capfd, "run", tmp_path)


@pytest.mark.parametrize(
    ("words", "part"), [(["--patience", "0"], "--patience"), (["--frob"], "--frob"), (["-std=x"], "-std")]
)
def test_a_bad_option_is_refused_in_one_line(
    words: list[str], part: str, program: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert part in refused(capfd, "run", *words, program)
