"""Kernels that CUDA does not allow, sources without kernels, Python numbers as arguments, and `RawKernel`."""

from typing import Any

import numpy as np
import pytest
from command_line import refused

from fastae.backends.emulator import RawKernel, RawModule, device
from fastae.backends.emulator.declared import misdeclared
from fastae.backends.emulator.source import CompileError

LEGAL = """#include "mine.h"
#define KERNEL extern "C" __global__ void
#define RESULT void
template <typename T, int N = (2 > 1)> __global__ void __launch_bounds__(256) f(T* x, T y = T(1 & 3)) {}
KERNEL g(int& x) {}
namespace n { __global__ RESULT h(void (*callback)(int&), Holder<int&> held) {} }
static __forceinline__ __global__ void k(const float* __restrict__ x);
void __global__ l(int n) { int& m = n; }
extern "C" { __global__ void (m)(int*) {} }
__global__ OTHERS_RESULT o(int*);
[[maybe_unused]] __global__ void n::p(int) {}
template __global__ void f<float, 3>(float*, float);
struct S { int a; friend __global__ void q(S*); public: friend __global__ void r(S*); };
__device__ int& twice(int& x) { return x; }
"""


def test_kernels_that_are_declared_in_any_legal_way_pass() -> None:
    assert misdeclared(LEGAL, "mine.cu") == ""


@pytest.mark.parametrize(
    ("code", "what"),
    [
        (
            'extern "C" __global__ int f(float* o) { return 1; }',
            "1: f is marked __global__: a kernel returns void, not int",
        ),
        ("\n__global__ float* f(float* o) {}", "2: f is marked __global__: a kernel returns void, not float*"),
        (
            "template <class T> __global__ std::vector<T> f(T* o);",
            "1: f is marked __global__: a kernel returns void, not",
        ),
        ("int __global__ f(float* o) { return 1; }", "1: f is marked __global__: a kernel returns void, not int"),
        ("__global__ f(float* o) {}", "1: f is marked __global__: a kernel returns void, which is not said"),
        ("__global__ void g(int n,\n  float& o) {}", "2: g: a kernel's parameter may not be a reference, as float& o"),
        ("template <class T> __global__ void g(const A<T&>&& o);", "1: g: a kernel's parameter may not be a reference"),
        ("__global__ void g(float (&o)[4]) {}", "1: g: a kernel's parameter may not be a reference"),
    ],
)
def test_a_kernel_that_cuda_does_not_allow_is_refused_by_its_line(code: str, what: str) -> None:
    assert misdeclared(code, "mine.cu").startswith(f"mine.cu, line {what}")


def test_such_a_kernel_is_refused_wherever_it_is_brought(write: Any, capsys: pytest.CaptureFixture[str]) -> None:
    whole, reference = 'extern "C" __global__ int axpy(real* y) { return 1; }', "__global__ void axpy(real& y) {}"
    with pytest.raises(CompileError, match=r"x\.cu, line 1: axpy is marked __global__: a kernel returns void, not int"):
        RawModule(whole, file="x.cu").get_function("axpy")
    with pytest.raises(CompileError, match=r"x\.cu, line 1: axpy: a kernel's parameter may not be a reference"):
        RawModule(reference, ("-Dreal=float",), file="x.cu").get_function("axpy")((1,), (1,), (1,))
    for code, what in ((whole, "a kernel returns void, not int"), (reference, "parameter may not be a reference")):
        for command, more in ((["check", "--backend", "emulator"], ""), (["run"], "\nint main() {}\n")):
            error = refused(capsys, *command, write(code + more, "mine.cu"))
            assert "mine.cu, line 1: axpy" in error
            assert what in error


@pytest.mark.parametrize(
    ("code", "what"),
    [
        ("", "x.cu has no kernel f: it has no __global__ function"),
        ("__device__ void f(int* o) {}", "the function f is not marked __global__; it has no __global__ function"),
        ("#define K __global__ void\nK f(int* o) {}", "the function f is not marked __global__; it has no __global__"),
        ("#define K(name) __global__ void name(int* o)\nK(f);", "none is looked for in macros and comments"),
        ("__global__ void g(int* o) {}\n__global__ void h();", "x.cu has no kernel f: it has: g, h"),
        ("template <class T> __global__ void f(T* o) {}", "f is a template, of which name_expressions takes instances"),
    ],
)
def test_a_source_that_lacks_a_kernel_says_what_it_has(code: str, what: str) -> None:
    with pytest.raises(KeyError) as error:
        RawModule(code, file="x.cu").get_function("f")
    assert what in error.value.args[0]


@pytest.mark.parametrize(
    ("code", "what"),
    [
        ("__device__ void axpy() {}", "(it has no __global__ function); their names are: matmul"),
        ("__global__ void mine() {}", "(its kernels are mine); their names are: matmul"),
    ],
)
def test_check_says_which_kernels_a_file_has(
    code: str, what: str, write: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    told = refused(capsys, "check", write(code, "mine.cu"), "--backend", "emulator")
    assert f"defines no kernel of the contract {what}" in told


NUMBERS = """extern "C" __global__ void f(double* o, int i, unsigned char b, long long l, double d, bool t, float2 c) {
  o[0] = i; o[1] = b; o[2] = l; o[3] = d; o[4] = t; o[5] = c.y;
}
extern "C" __global__ void g(float* o, float x, unsigned u) { o[0] = x + u; }
extern "C" __global__ void shared(int* o) {
  extern __shared__ int s[];
  s[threadIdx.x] = threadIdx.x;
  __syncthreads();
  if (threadIdx.x == 0) o[blockIdx.x] = s[blockDim.x - 1];
}
"""


def test_numbers_of_pythons_are_taken_as_cupy_passes_them() -> None:
    out = device.array(np.zeros(6))
    RawKernel(NUMBERS, "f")((1,), (1,), (out, -3, 255, 2**40, 0.1, True, np.complex64(1 + 2j)))
    assert device.asnumpy(out).tolist() == [-3, 255, 2**40, 0.1, 1, 2]
    some = device.array(np.zeros(1, "f4"))
    kernel = RawKernel(NUMBERS, "g")
    for arguments, what in (
        ((1.5, np.uint32(1)), "g: x must be numpy.float32, not float, which CuPy passes as numpy.float64 whatever"),
        ((2, np.uint32(1)), "g: x must be numpy.float32, not int, which CuPy passes as numpy.int64 whatever"),
        ((np.float32(1), -1), "g: u must be numpy.uint32, into which -1 does not fit"),
        ((np.float32(1), True), "g: u must be numpy.uint32, not bool"),
        ((np.float32(1), 2.0), "g: u must be numpy.uint32, not float, which CuPy passes as numpy.float64 whatever"),
    ):
        with pytest.raises(TypeError) as error:
            kernel((1,), (1,), (some, *arguments))
        assert what in str(error.value)
    kernel((1,), (1,), (some, np.float32(0.5), 2**32 - 1))
    assert device.asnumpy(some)[0] == 2.0**32


def test_a_raw_kernel_is_launched_as_cupys() -> None:
    out = device.array(np.zeros(2, "i4"))
    kernel = RawKernel(NUMBERS, "shared", options=("-DUNUSED=1",))
    kernel((2,), (33,), (out,), shared_mem=33 * 4)
    assert device.asnumpy(out).tolist() == [32, 32]
    with pytest.raises(ValueError, match="max_dynamic_shared_size_bytes may allow it"):
        kernel((1,), (1,), (out,), shared_mem=50 << 10)
    kernel.max_dynamic_shared_size_bytes = 50 << 10
    kernel(grid=(1,), block=(8,), args=(out,), shared_mem=50 << 10)
    assert device.asnumpy(out).tolist() == [7, 32]
    with pytest.raises(KeyError, match="has no kernel h: it has: f, g, shared"):
        RawKernel(NUMBERS, "h")((1,), (1,), ())
