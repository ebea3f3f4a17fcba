"""Half precision on the emulator as people use it, and faults at their lines."""

import re
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from cuda_kernels import fault_of, in_every_order, line_with, marked_fault, run
from half_numbers import BFLOAT, FORMATS, HALF, Format, rounded

from fastae.backends.emulator import RawModule, checking, device
from fastae.backends.emulator.arguments import Type
from fastae.backends.emulator.source import CompileError

# As people use them.

USED = """#include <cuda_fp16.h>
#include <cuda_bf16.h>
template <class T> __device__ T twice(T x) { return x + x; }
template <class T> struct Sum { T x; int n; };
__constant__ half scale[2];
union Eight { uint4 whole; half2 pairs[4]; };
extern "C" __global__ void f(const half* __restrict__ x, half factor, float* sums, half2* pairs, nv_bfloat16* b,
                             nv_bfloat16 bias, half* whole) {
  __shared__ half part[64];
  extern __shared__ half2 more[];
  const int t = threadIdx.x;
  half h = x[t];
  part[t] = h, part[t + 32] = -__ldg(&x[t]);
  part[t] *= factor;
  part[t]++;
  more[t] = __halves2half2(part[t], part[t + 32]);
  __syncthreads();
  const half2 both = __hadd2(more[31 - t], __float2half2_rn(0.5f));
  const float2 f2 = __half22float2(both);
  Sum<half> sum{twice(part[t]), t};
  for (int by = 16; by > 0; by /= 2) sum.x += __shfl_xor_sync(0xffffffffu, sum.x, by);
  sums[t] = float(sum.x) + (part[0] > part[1] ? 1.0f : 0.0f);
  const half2 moved = __shfl_down_sync(~0u, both, 1);
  pairs[t] = __halves2half2(__low2half(moved), __float2half(f2.x + f2.y));
  const nv_bfloat16 v = __shfl_sync(~0u, __float2bfloat16(float(t)), 3);
  b[t] = v * b[t] + bias;
  if (t < 8) {  // eight at once
    Eight of;
    of.whole = reinterpret_cast<const uint4*>(x)[t % 4];
    for (half2& p : of.pairs) p = __hfma2(p, __half2half2(factor), make_half2(scale[0], scale[1]));
    *reinterpret_cast<uint4*>(&whole[8 * t]) = of.whole;
  }
}"""


@pytest.mark.feature(
    "half precision", "`half2`, shuffles, `__ldg`, shared memory, templates, parameters, `uint4` of eight"
)
def test_halves_are_used_as_people_use_them(compiler: str, checks: bool) -> None:
    x = (np.arange(32) / 4).astype("f2")
    module = RawModule(USED)
    given = [device.array(v) for v in (x, np.zeros(32, "f4"), np.zeros((32, 2), "f2"),
                                       rounded(np.arange(32) / 2, BFLOAT), np.zeros(64, "f2"))]  # fmt: skip
    device.ndarray((2,), "f2", module.get_global("scale"))[:] = [0.25, -1]
    module.get_function("f")(
        (1,), (32,), (given[0], np.float16(1.5), *given[1:4], rounded(0.25, BFLOAT)[()], given[4]), shared_mem=128
    )
    sums, pairs, b, whole = (np.asarray(v) for v in given[1:])
    first = x * np.float16(1.5) + np.float16(1)
    assert sums[0] == 2 * first.astype("f8").sum()  # every partial sum has 11 digits at most
    np.testing.assert_array_equal(sums, sums[0])
    both = np.stack([first, -x], 1)[::-1].astype("f4") + np.float32(0.5)
    np.testing.assert_array_equal(pairs[:, 0], both[[*range(1, 32), 31], 0])
    np.testing.assert_array_equal(pairs[:, 1], both.sum(axis=1))
    np.testing.assert_array_equal(BFLOAT.values[b], 3 * np.arange(32) / 2 + 0.25)
    added = np.tile(np.array([0.25, -1]), 32)
    np.testing.assert_array_equal(whole, (np.tile(x, 2).astype("f8") * 1.5 + added).astype("f2"))


@FORMATS
@pytest.mark.feature("half precision", "`atomicAdd` of numbers and of pairs")
def test_atomic_additions(compiler: str, checks: bool, of: Format) -> None:
    code = f"""{of.header}__global__ void f({of.type}* sums, {of.pair}* pairs) {{
  __shared__ {of.type} part;
  if (threadIdx.x == 0) part = 0.0f;
  __syncthreads();
  atomicAdd(&part, __float2{of.name}(1.0f));
  atomicAdd(&sums[threadIdx.x % 2], {of.type}(0.5f));
  const {of.pair} before = atomicAdd(pairs, __floats2{of.name}2_rn(1.0f, -2.0f));
  __syncthreads();
  if (threadIdx.x == 0) sums[2] = part;
  if (__low2float(before) == 5.0f) atomicAdd(&pairs[1], before);
}}"""
    sums, pairs = run(code, 1, 64, np.zeros(4, of.dtype), np.zeros(4, of.dtype))
    assert of.values[sums.view("u2")].tolist() == [16, 16, 64, 0]
    assert of.values[pairs.view("u2")].tolist() == [64, -128, 5, -10]


def test_a_bfloat16_is_what_ml_dtypes_calls_so() -> None:
    kind = Type(pointer=True, kind=b"h", element=2, size=2)
    assert kind.dtypes == [np.dtype("u2")]
    assert kind.is_bfloat16(SimpleNamespace(name="bfloat16"))  # type: ignore[arg-type]
    assert not kind.is_bfloat16(np.dtype("f2"))
    assert not Type(pointer=True, kind=b"f", element=2, size=2).is_bfloat16(
        SimpleNamespace(name="bfloat16")  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("parameter", "argument", "words"),
    [
        ("half* x", np.zeros(4, "f4"), "f: x must be of float16, not float32"),
        ("const half2* x", np.zeros(4, "u2"), "f: x must be of float16, not uint16"),
        ("half x", np.float32(1), "f: x must be numpy.float16, not float32"),
        ("nv_bfloat16* x", np.zeros(4, "f2"), "f: x must be of uint16, not float16"),
        ("nv_bfloat16 x", np.float16(1), "f: x must be numpy.uint16, not float16"),
    ],
)
def test_an_argument_of_another_type_is_refused(parameter: str, argument: Any, words: str) -> None:
    with pytest.raises(TypeError, match=re.escape(words)):
        run(f"{HALF.header}{BFLOAT.header}__global__ void f({parameter}) {{}}", 1, 1, argument)


# Faults.

MISALIGNED = """#include <cuda_fp16.h>
__global__ void f(half* x, half2* out, int begin) {
  const half2* pairs = reinterpret_cast<const half2*>(x + begin);
  out[threadIdx.x] = pairs[threadIdx.x];//<
}"""


@pytest.mark.feature("half precision", "misaligned pairs are a fault")
def test_a_misaligned_pair_is_a_fault(compiler: str) -> None:
    x = np.arange(20, dtype="f2")
    for _, out in in_every_order(MISALIGNED, 1, 8, x, np.zeros(16, "f2"), np.int32(2)):
        np.testing.assert_array_equal(out, x[2:18])
    assert "reading: a misaligned address" in str(marked_fault(MISALIGNED, 1, 8, x, np.zeros(16, "f2"), np.int32(1)))


FAULTS = [
    ("x[n] += h;", "reading: out of bounds"),
    ("x[n] = h;", "writing: out of bounds"),
    ("x[n] = __float2half(y[0]);", "writing: out of bounds"),
    ("x[n] = 1.0f;", "writing: out of bounds"),
    ("x[n]++;", "reading: out of bounds"),
    ("if (x[n] > h) y[0] = 1;", "reading: out of bounds"),
    ("y[0] = float(x[n]);", "reading: out of bounds"),
    ("y[0] = x[n];", "reading: out of bounds"),
    ("y[0] = __half2float(x[n]);", "reading: out of bounds"),
    ("y[0] = __low2float(p[n / 2]);", "reading: out of bounds"),
    ("x[0] = __hfma(x[0], x[n], h);", "reading: out of bounds"),
    ("p[n / 2] = __hadd2(p[0], p[0]);", "writing: out of bounds"),
    ("p[0] = __hadd2(p[0], p[n / 2]);", "reading: out of bounds"),
    ("p[n / 2] *= p[0];", "reading: out of bounds"),
    ("atomicAdd(&x[n], h);", "in an atomic operation: out of bounds"),
    ("y[0] = s[1];", "reading: shared memory is read before it is written"),
    ("y[0] = *reinterpret_cast<float*>(s);", "reading: shared memory is read before it is written"),
    ("y[0] = __low2float(*reinterpret_cast<half2*>(s));", "reading: shared memory is read before it is written"),
]


@pytest.mark.feature("half precision", "bounds and first reads of arrays of halves, at the kernel's line")
def test_faults_are_found_at_their_line(compiler: str) -> None:
    code = "#include <cuda_fp16.h>\n" + "\n".join(
        f"""__global__ void f{i}(half* x, half2* p, float* y, int n) {{
  __shared__ __align__(4) half s[8];
  const half h = __float2half(0.25f);
  s[0] = h;
  s[4] = s[0];
  {body}//<{i};
}}"""
        for i, (body, _) in enumerate(FAULTS)
    )
    for i, (body, words) in enumerate(FAULTS):
        arguments = np.ones(8, "f2"), np.ones(8, "f2"), np.zeros(1, "f4"), np.int32(8)
        fault = str(fault_of(code, 1, 1, *arguments, name=f"f{i}"))
        assert line_with(code, f"//<{i};") in fault, body
        assert words in fault, body


RACES = [  # what is written, what is read without a barrier, and whether it is another thread's
    ("s[t] = h;", "v = s[(t + 1) % 32];", True),
    ("s[t] = h;", "v = __low2float(reinterpret_cast<half2*>(s)[t / 2]);", True),
    ("s[t] = h;", "v = *reinterpret_cast<float*>(&s[t / 8 * 8]);", True),
    ("if (t < 16) reinterpret_cast<half2*>(s)[t] = half2(h, h);", "v = s[t];", True),
    ("if (t < 4) reinterpret_cast<float4*>(s)[t] = make_float4(t, 1, 2, 3);", "v = s[8 * (t % 4) + 3];", True),
    ("s[t] = h;", "v = s[t];", False),
    ("if (t < 16) reinterpret_cast<half2*>(s)[t] = half2(h, h);",
     "v = t < 16 ? float(s[2 * t]) + float(s[2 * t + 1]) : 0.0f;", False),
    ("if (t % 2 == 0) s[t] = s[t + 1] = h;", "v = t % 2 ? 0.0f : *reinterpret_cast<float*>(&s[t]);", False),
]  # fmt: skip


@pytest.mark.feature("half precision", "races of accesses of any two sizes")
def test_races_are_found_whatever_the_sizes(compiler: str) -> None:
    code = "#include <cuda_fp16.h>\n" + "\n".join(
        f"""__global__ void f{i}(float* y, bool waits) {{
  __shared__ __align__(16) half s[32];
  const int t = threadIdx.x;
  const half h = float(t);
  float v = 0;
  {write}//<{i};
  if (waits) __syncthreads();
  {read}//<<{i};
  y[t] = v;
}}"""
        for i, (write, read, _) in enumerate(RACES)
    )
    for i, (_, read, racing) in enumerate(RACES):
        for order in ("forward", "reverse"):
            with checking(order):
                run(code, 1, 32, np.zeros(32, "f4"), True, name=f"f{i}")
                if not racing:
                    run(code, 1, 32, np.zeros(32, "f4"), False, name=f"f{i}")
        if racing:
            fault = str(fault_of(code, 1, 32, np.zeros(32, "f4"), False, name=f"f{i}"))
            assert "a race between two" in fault or "before it is written" in fault, read
            assert fault.startswith((line_with(code, f"//<{i};"), line_with(code, f"//<<{i};"))), read


def test_what_was_written_in_halves_is_read_in_words_after_atomics() -> None:
    """Bytes of a word have the word's past, atomic operations too."""
    code = """#include <cuda_fp16.h>
__global__ void f(unsigned* words, float* y) {
  __shared__ unsigned s[2];
  if (threadIdx.x < 2) s[threadIdx.x] = 0;
  __syncthreads();
  atomicAdd(&s[0], 0x1e001e0u);//<
  BARRIER
  y[threadIdx.x] = __half2float(reinterpret_cast<half*>(s)[threadIdx.x % 4]);
}"""
    arguments = 1, 32, np.zeros(1, "u4"), np.zeros(32, "f4")
    for _, y in in_every_order(code.replace("BARRIER", "__syncthreads();"), *arguments):
        assert y.tolist() == [1, 1, 0, 0] * 8  # 32 times 0x01e0 is 0x3c00
    assert "a race between two threads" in str(marked_fault(code.replace("BARRIER", ""), *arguments))


# What is not emulated.


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("__half h;", "__half is declared in cuda_fp16.h: #include <cuda_fp16.h>"),
        ("const half2* h;", "half2 is declared in cuda_fp16.h: #include <cuda_fp16.h>"),
        ("nv_bfloat16 h;", "nv_bfloat16 is declared in cuda_bf16.h: #include <cuda_bf16.h>"),
        ("nvcuda::wmma::fill_fragment(x, 1);", "nvcuda is declared in mma.h: #include <mma.h>"),
    ],
)
def test_what_is_lacking_is_told_by_name_and_line(compiler: str, line: str, words: str) -> None:
    with pytest.raises(CompileError, match=re.escape(f"mine.cu, line 3: {words}")):
        run(f"\n__global__ void f() {{\n  {line} int half = 1;\n}}", 1, 1)


def test_a_variable_may_be_called_half() -> None:
    code = "__global__ void f(int* out) {\n  for (int half = 32; half > 0; half /= 2) out[half] = UNKNOWN;\n}"
    (out,) = run(code.replace("UNKNOWN", "1"), 1, 1, np.zeros(64, "i4"))
    assert out.sum() == 6
    with pytest.raises(CompileError, match=r"mine.cu:2:\d+: error: .*UNKNOWN"):
        run(code, 1, 1, np.zeros(64, "i4"))


@pytest.mark.parametrize("header", ["cuda_fp8.h", "cuda_fp4.hpp"])
def test_headers_of_narrower_numbers_are_refused(header: str) -> None:
    with pytest.raises(CompileError, match="line 1: floating point of 8 bits and fewer is not emulated"):
        run(f"#include <{header}>\n__global__ void f() {{}}", 1, 1)


def test_a_shape_that_is_not_there_is_refused_at_its_line(compiler: str) -> None:
    code = """#include <mma.h>
using namespace nvcuda::wmma;
__global__ void f() {
  fragment<matrix_a, 16, 8, 16, half, row_major> a;
  fill_fragment(a, 0.0f);
}"""
    with pytest.raises(CompileError, match="there are no fragments of this shape and type"):
        run(code, 1, 1)
