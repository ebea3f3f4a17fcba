"""The language of CUDA on the emulator: what people write runs, and faults are named with their lines."""

import math
import re
from typing import Any

import numpy as np
import pytest
from cuda_kernels import arrays, fault_of, marked_fault, run

from fastae.backends.emulator import RawModule, device
from fastae.backends.emulator.source import kernels_of

# Headers and qualifiers.

HEADERS = [
    "cuda_runtime.h", "cuda.h", "cuda_runtime_api.h", "device_launch_parameters.h", "vector_types.h",
    "math_constants.h", "stdio.h", "cstdio", "math.h", "cmath", "cfloat", "float.h", "climits", "limits.h",
    "cstdint", "stdint.h", "stddef.h", "cstddef", "assert.h", "cassert", "cuComplex.h",
]  # fmt: skip


@pytest.mark.feature(
    "language",
    "headers: `cuda_runtime.h`, `device_launch_parameters.h`, `math_constants.h`, `stdio.h`, `cfloat`, "
    "`cstdint` and others",
)
def test_headers_that_people_include_are_there(compiler: str, checks: bool) -> None:
    lines = "\n".join(f"#include <{name}>" for name in HEADERS)
    code = f"""{lines}
#include "cuda_runtime.h"
#include "device_launch_parameters.h"
__global__ void f(float* out) {{ out[0] = FLT_MAX; out[1] = CUDART_PI_F; out[2] = INFINITY; out[3] = INT_MAX; }}"""
    (out,) = run(code, 1, 1, np.zeros(4, "f4"))
    assert out.tolist() == [np.finfo("f4").max, np.float32(math.pi), np.inf, 2.0**31]


def test_a_learners_file_may_include_them_too() -> None:
    from fastae.check.sandbox import cuda_policy

    text = "\n".join([*(f"#include <{name}>" for name in HEADERS), '#include "cuda_runtime.h"'])
    assert cuda_policy.of_cuda(text) == []
    assert all(line.startswith("//#include") for line in cuda_policy.without_headers(text).splitlines())
    assert cuda_policy.of_cuda('#include "cuda_mine.h"\n#include <fstream>') == [
        'line 1: it includes "cuda_mine.h", which is no header of CUDA, nor is it in the file\'s folder',
        "line 2: it includes <fstream>, which is no header of CUDA",
    ]


@pytest.mark.feature("types", "complex numbers: `cuComplex.h`")
def test_complex_numbers_are_pythons(compiler: str, checks: bool) -> None:
    code = """#include <cuComplex.h>
__global__ void f(const cuComplex* a, const cuDoubleComplex* b, cuComplex* c, cuDoubleComplex* d) {
  c[0] = cuCmulf(a[0], a[1]), c[1] = cuCdivf(a[0], a[1]), c[2] = cuCaddf(a[0], cuConjf(a[1]));
  c[3] = cuCfmaf(a[0], a[1], a[0]), c[4] = make_cuComplex(cuCabsf(a[0]), cuCimagf(a[1]));
  d[0] = cuCmul(b[0], b[1]), d[1] = cuCdiv(b[0], b[1]), d[2] = cuCsub(b[0], cuConj(b[1]));
  d[3] = cuCfma(b[0], b[1], b[0]), d[4] = make_cuDoubleComplex(cuCabs(b[0]), cuCreal(b[1]));
}"""
    x, y = 1 + 2j, -3 + 0.5j
    single, double = np.array([x, y], "c8"), np.array([x, y], "c16")
    _, _, c, d = run(code, 1, 1, single, double, np.zeros(5, "c8"), np.zeros(5, "c16"))
    expected = [x * y, x / y, x + y.conjugate(), x * y + x, complex(abs(x), y.imag)]
    np.testing.assert_allclose(c, expected, rtol=1e-6)
    expected = [x * y, x / y, x - y.conjugate(), x * y + x, complex(abs(x), y.real)]
    np.testing.assert_allclose(d, expected, rtol=1e-14)


@pytest.mark.feature(
    "language", "`__host__ __device__`, `__forceinline__`, `__noinline__`, `__launch_bounds__`, `__restrict__`"
)
def test_qualifiers_and_hinted_accesses_compile_and_run(compiler: str, checks: bool) -> None:
    code = """
__host__ __device__ __forceinline__ float twice(float x) { return 2 * x; }
__device__ __noinline__ float thrice(float x) { return 3 * x; }
static __global__ void __launch_bounds__(2 * (32 + 32), 1) f(const float* __restrict__ x, float* __restrict__ out) {
  const int i = threadIdx.x + blockIdx.x * warpSize;
  float v = twice(__ldg(&x[i])) + thrice(__ldcg(x + i)) + __ldca(x + i) + __ldcs(x + i) + __ldcv(x + i);
  __stcs(&out[i], v);
  __stcg(out + i, __stwb_after(out, i));
  __stwt(out + i, out[i] + 1);
}""".replace("__stwb_after(out, i)", "(__stwb(out + i, out[i] + 1), out[i] + 1)")
    x, out = run(code, 2, 32, np.arange(64, dtype="f4"), np.zeros(64, "f4"))
    np.testing.assert_array_equal(out, 8 * x + 3)


@pytest.mark.feature("memory", "`__ldg`, `__ldcs`, `__stcs`, `__stwt` and their kin, checked as other accesses are")
def test_a_hinted_access_is_checked_at_its_line() -> None:
    code = "__global__ void f(const float* x, float* out) {\n  float v = 1;\n  v += __ldg(x + 4);//<\n  out[0] = v;\n}"
    assert "reading: out of bounds" in str(marked_fault(code, 1, 1, np.zeros(4, "f4"), np.zeros(1, "f4")))
    code = "__global__ void f(float* out) {\n  __stcs(out + 1, 1.0f);//<\n}"
    assert "writing: out of bounds" in str(marked_fault(code, 1, 1, np.zeros(1, "f4")))


# Output and assertions.


@pytest.mark.feature("output and assertions", "`printf`, in order, up to 1 MiB a launch")
def test_kernels_print_in_the_order_of_their_threads(
    compiler: str, checks: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    code = """#include <stdio.h>
__global__ void f(int* out) {
  if (threadIdx.x == 0) printf("block %d\\n", blockIdx.x);
  __syncthreads();
  out[blockIdx.x * 2 + threadIdx.x] = printf("%d: %.2f %s 100%%%c", threadIdx.x, threadIdx.x / 4.0, "words", '\\n');
}"""
    print("before")
    (out,) = run(code, 2, 2, np.zeros(4, "i4"))
    print("after")
    block = "block {}\n0: 0.00 words 100%\n1: 0.25 words 100%\n"
    assert capsys.readouterr().out == f"before\n{block.format(0)}{block.format(1)}after\n"
    assert out.tolist() == [4] * 4


@pytest.mark.feature("output and assertions", "`printf`, in order, up to 1 MiB a launch")
def test_what_a_kernel_prints_has_a_limit(capsys: pytest.CaptureFixture[str]) -> None:
    code = """__global__ void f() { for (int i = 0; i < 40000; ++i) printf("%0100d", i); }"""
    run(code, 1, 1)
    out = capsys.readouterr().out
    assert (1 << 20) - 100 < len(out) < (1 << 20) + 100
    assert out.endswith("\n(the kernel printed more than 1 MiB: some of it is not shown)\n")
    run('__global__ void f() { printf("%0*d", 5000, 7); }', 1, 1)
    assert capsys.readouterr().out == "7".zfill(5000)


@pytest.mark.feature("output and assertions", "`assert`: one that fails is a fault with its line")
def test_a_failed_assertion_is_a_fault_with_its_line_after_the_output(
    compiler: str, checks: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    code = """#include <assert.h>
__global__ void f(int n, float* out) {
  printf("%d\\n", threadIdx.x);
  assert(threadIdx.x < n && "too many");
  out[threadIdx.x] = 1;
}"""
    (out,) = run(code, 1, 4, np.int32(4), np.zeros(4, "f4"))
    assert out.tolist() == [1, 1, 1, 1]
    capsys.readouterr()
    fault = fault_of(code, 1, 4, np.int32(2), np.zeros(4, "f4"), order=None)
    assert str(fault) == (
        "mine.cu:4, kernel f, block (0, 0, 0), thread (2, 0, 0): "
        'an assertion does not hold: threadIdx.x < n && "too many"'
    )
    assert capsys.readouterr().out == "0\n1\n2\n"


@pytest.mark.feature("output and assertions", "`__trap()`")
def test_a_trap_is_a_fault() -> None:
    code = "__global__ void f(int n) {\n  if (n > 1)\n    __trap();//<\n}"
    run(code, 1, 1, np.int32(1))
    assert str(marked_fault(code, 1, 1, np.int32(2), order=None)).endswith("an assertion does not hold: __trap()")


# Parameters.


@pytest.mark.feature(
    "language", "parameters: `bool`, numbers of every size, enums, structs, pointers to them and in them"
)
def test_parameters_of_every_kind_arrive(compiler: str, checks: bool) -> None:
    code = """struct Size { int rows; double by; bool flip; };
struct Matrix { float* data; Size size; };
enum Mode { ADD, SUBTRACT };
__global__ void f(bool flip, char letter, short s, unsigned long long big, size_t length, Size size,
                  const Matrix* matrix, Matrix whole, float3 v, Mode mode, const bool* __restrict__ flags,
                  double* out) {
  out[0] = flip, out[1] = letter, out[2] = s, out[3] = big, out[4] = length;
  out[5] = size.rows, out[6] = size.by, out[7] = size.flip, out[8] = matrix->data[1], out[9] = matrix->size.rows;
  out[10] = whole.data[2], out[11] = v.z, out[12] = mode, out[13] = flags[1];
}"""
    size = np.dtype([("rows", "i4"), ("by", "f8"), ("flip", "?")], align=True)
    matrix = np.dtype([("data", "u8"), ("size", size)], align=True)
    x, out, flags = arrays(np.array([1, 2, 3], "f4"), np.zeros(14), np.array([False, True]))
    one = np.array((x.data.ptr, (7, 0.5, True)), matrix)
    RawModule(code).get_function("f")((1,), (1,), (
        True, np.int8(65), np.int16(-3), np.uint64(1 << 40), np.uint64(9), one["size"][()], *arrays(one.reshape(1)),
        one[()], np.array([1, 2, 3], "f4"), np.uint32(1), flags, out,
    ))  # fmt: skip
    assert out.tolist() == [1, 65, -3, 2.0**40, 9, 7, 0.5, 1, 2, 7, 3, 3, 1, 1]


@pytest.mark.parametrize(
    ("parameter", "argument", "words"),
    [
        ("bool x", np.int32(1), "f: x must be numpy.bool, not int32"),
        ("int x", True, "f: x must be numpy.int32, not bool"),
        ("int2 x", np.int32(1), "f: x must be a NumPy record or array of 8 bytes, not int32"),
        ("float4* x", np.zeros(4, "f8").view(device.ndarray), "f: x must be of float32, not float64"),
        ("const bool* x", np.zeros(4, "i4").view(device.ndarray), "f: x must be of bool, not int32"),
        (
            "int2** x",
            np.zeros(4, "f4").view(device.ndarray),
            "f: x must be of uint8, or of a type of 8 bytes, not float32",
        ),
    ],
)
def test_an_argument_of_another_type_is_refused(parameter: str, argument: Any, words: str) -> None:
    with pytest.raises(TypeError, match=re.escape(words)):
        run(f"__global__ void f({parameter}) {{}}", 1, 1, argument)


@pytest.mark.feature("language", "parameters as people write them")
def test_parameters_are_read_as_people_write_them() -> None:
    code = """
__global__ void first(const float *__restrict__ a, float const* b, unsigned   int n = 4, float c[16], struct S s);
namespace outer { namespace { __global__ void second(std::pair<int, int> p, int (&unused)[2]); } }
template <class T> __global__ void third(T* x) {}
template __global__ void third<float>(float* x);
/* __global__ void fourth() {} */ const char* text = "__global__ void fifth() {}";
#define SIXTH __global__ void sixth(int n)
extern "C" { __global__ void __launch_bounds__(MOST) seventh(void) { if (1) { } } }
__launch_bounds__(256) __global__ static void eighth(real*x, int) {}
"""
    found = {name: [(p.name, p.type) for p in parameters] for name, parameters in kernels_of(code).items()}
    assert list(found) == ["first", "outer::second", "seventh", "eighth"]
    assert found["first"] == [("a", "float*"), ("b", "float*"), ("n", "unsigned int"), ("c", "float*"), ("s", "S")]
    assert found["outer::second"][0] == ("p", "std::pair<int, int>")
    assert found["seventh"] == []
    assert found["eighth"] == [("x", "real*"), ("argument 1", "int")]


# Templates and namespaces.

TEMPLATE = """
namespace mine {
template <class T, int N> __device__ T power(T x) { T y = 1; for (int i = 0; i < N; ++i) y *= x; return y; }
__global__ void square(const float* x, float* out) { out[threadIdx.x] = power<float, 2>(x[threadIdx.x]); }
}
template <typename T, int N>
__global__ void raise(const T* x, T* out) {
  __shared__ T part[N * 4];
  part[threadIdx.x] = mine::power<T, N>(x[threadIdx.x]);
  __syncthreads();
  auto neighbour = [&](int by) { return part[(threadIdx.x + by) % blockDim.x]; };
  out[threadIdx.x] = neighbour(1);
}"""


@pytest.mark.feature("language", "templates as kernels (`name_expressions`), namespaces, lambdas")
def test_templates_are_kernels_by_their_expressions(compiler: str, checks: bool) -> None:
    names = ("raise<float, 3>", "raise<double, 2>", "raise<int, 2>")
    module = RawModule(TEMPLATE, name_expressions=names)
    for name, power, dtype in zip(names, (3, 2, 2), ("f4", "f8", "i4")):
        x, out = arrays(np.array([1, 2, 3], dtype), np.zeros(3, dtype))
        module.get_function(name)((1,), (3,), (x, out))
        assert out.tolist() == [2**power, 3**power, 1]
    x, out = arrays(np.array([1, 2, 3], "f4"), np.zeros(3, "f4"))
    module.get_function("mine::square")((1,), (3,), (x, out))
    assert out.tolist() == [1, 4, 9]
    with pytest.raises(KeyError, match="has no kernel raise<char, 1>: it has: mine::square, raise<float, 3>"):
        module.get_function("raise<char, 1>")
    with pytest.raises(TypeError, match=re.escape("raise<int, 2>: argument 1 must be of int32, not float32")):
        module.get_function("raise<int, 2>")((1,), (3,), (x, out))


def test_a_kernel_may_have_the_name_of_a_function() -> None:
    code = "__global__ void div(float* out, int n) { out[0] = n; out[1] = exp(0.0f); }"
    (out,) = run(code, 1, 1, np.zeros(2, "f4"), np.int32(3))
    assert out.tolist() == [3, 1]
