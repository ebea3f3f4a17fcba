"""Inline PTX on the emulator: instructions do what the PTX ISA says, and their accesses are looked at."""

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import sample
from test_cuda_language import fault, launch, line_with, on_device, zeros
from test_cuda_warps import in_every_order

from fastae import cli
from fastae.backends.emulator import RawModule, checking, device, ptx
from fastae.backends.emulator.compiler import CompileError, waits
from fastae.backends.emulator.source import not_emulated
from fastae.check.sandbox import cuda_policy

# Arithmetic: text, constraints (the result's first), operands as C++ has them, and what it gives.

F = np.float32
ARITHMETIC: list[tuple[str, str, list[str], Any]] = [
    ("add.s32 %0, %1, %2", "rrr", ["0x7fffffff", "1"], 0x80000000),
    ("sub.u32 %0, %1, 7", "rr", ["5"], 2**32 - 2),
    ("add.sat.s32 %0, %1, %2", "rrr", ["0x7fffffff", "1"], 0x7FFFFFFF),
    ("mul.lo.u32 %0, %1, %2", "rrr", ["0x10001u", "0x10001u"], 0x00020001),
    ("mul.hi.s32 %0, %1, %2", "rrr", ["-1", "2"], 2**32 - 1),
    ("mul.hi.u32 %0, %1, %2", "rrr", ["0xffffffffu", "2u"], 1),
    ("mul.wide.s32 %0, %1, %2", "lrr", ["-3", "5"], 2**64 - 15),
    ("mul.wide.u16 %0, %1, %2", "rhh", ["(unsigned short)65535", "(unsigned short)65535"], 65535**2),
    ("mad.lo.s32 %0, %1, %2, %3", "rrrr", ["-3", "5", "1"], 2**32 - 14),
    ("mad.wide.u32 %0, %1, %2, %3", "lrrl", ["0xffffffffu", "2u", "1ull"], 2**33 - 1),
    ("mad.hi.u64 %0, %1, %2, %3", "llll", ["~0ull", "2ull", "3ull"], 4),
    ("mul24.lo.u32 %0, %1, %2", "rrr", ["0xff000003u", "5u"], 15),
    ("div.s32 %0, %1, %2", "rrr", ["-7", "2"], 2**32 - 3),
    ("rem.u32 %0, %1, %2", "rrr", ["7u", "4u"], 3),
    ("abs.s32 %0, %1", "rr", ["-5"], 5),
    ("neg.s32 %0, %1", "rr", ["5"], 2**32 - 5),
    ("min.s32 %0, %1, %2", "rrr", ["-1", "1"], 2**32 - 1),
    ("max.u32 %0, %1, %2", "rrr", ["0xffffffffu", "1u"], 2**32 - 1),
    ("sad.s32 %0, %1, %2, %3", "rrrr", ["-4", "3", "10"], 17),
    ("popc.b64 %0, %1", "rl", ["0xff00ff00ff00ff00ull"], 32),
    ("clz.b32 %0, %1", "rr", ["1"], 31),
    ("clz.b64 %0, %1", "rl", ["0ull"], 64),
    ("brev.b32 %0, %1", "rr", ["1"], 2**31),
    ("bfind.u32 %0, %1", "rr", ["0x00010000u"], 16),
    ("bfind.s32 %0, %1", "rr", ["-1"], 2**32 - 1),
    ("bfind.shiftamt.u32 %0, %1", "rr", ["0x00010000u"], 15),
    ("bfe.u32 %0, %1, 4, 8", "rr", ["0x12345678"], 0x67),
    ("bfe.s32 %0, %1, 4, 4", "rr", ["0xf0"], 2**32 - 1),
    ("bfe.s32 %0, %1, 28, 12", "rr", ["0x80000000"], 2**32 - 8),
    ("bfi.b32 %0, %1, %2, 8, 8", "rrr", ["0xab", "0x11111111"], 0x1111AB11),
    ("prmt.b32 %0, %1, %2, 0x5410", "rrr", ["0x11223344", "0x55667788"], 0x77883344),
    ("prmt.b32.f4e %0, %1, %2, %3", "rrrr", ["0x11223344", "0x55667788", "1"], 0x88112233),
    ("lop3.b32 %0, %1, %2, %3, 0x96", "rrrr", ["0xf0f0", "0xff00", "0x0ff0"], 0xF0F0 ^ 0xFF00 ^ 0x0FF0),
    ("lop3.b32 %0, %1, %2, %3, 0xE8", "rrrr", ["12", "10", "6"], 14),
    ("shf.l.wrap.b32 %0, %1, %2, 8", "rrr", ["0x11223344", "0x55667788"], 0x66778811),
    ("shf.r.clamp.b32 %0, %1, %2, 40", "rrr", ["0x11223344", "0x55667788"], 0x55667788),
    ("shl.b32 %0, %1, 40", "rr", ["1"], 0),
    ("shr.s32 %0, %1, 40", "rr", ["-8"], 2**32 - 1),
    ("shr.u32 %0, %1, 4", "rr", ["0x80000000u"], 0x08000000),
    ("not.b32 %0, %1", "rr", ["0"], 2**32 - 1),
    ("cnot.b32 %0, %1", "rr", ["0"], 1),
    ("and.b64 %0, %1, 0xff", "ll", ["0x1234ull"], 0x34),
    ("dp4a.s32.s32 %0, %1, %2, %3", "rrrr", ["0x01ff02fe", "0x02020202", "1"], 2**32 + 1),
    ("dp4a.u32.u32 %0, %1, %2, %3", "rrrr", ["0x01010101u", "0x04030201u", "5u"], 15),
    ("dp2a.lo.s32.s32 %0, %1, %2, %3", "rrrr", ["0x0002ffff", "0x00000503", "1"], 8),
    ("selp.s32 %0, 3, 4, p", "r", [], 4),
    ("set.lt.u32.s32 %0, %1, %2", "rrr", ["-1", "1"], 2**32 - 1),
    ("slct.s32.s32 %0, %1, %2, %3", "rrrr", ["7", "8", "-1"], 8),
    ("mov.b32 %0, {%1, %2}", "rhh", ["(unsigned short)0x1122", "(unsigned short)0x3344"], 0x33441122),
    ("mov.b64 %0, {%1, %2}", "lrr", ["1u", "2u"], 2**33 + 1),
    ("cvt.u32.u16 %0, %1", "rh", ["(unsigned short)0xffff"], 0xFFFF),
    ("cvt.s32.s8 %0, %1", "rr", ["0x80"], 2**32 - 128),
    ("cvt.sat.u8.s32 %0, %1", "rr", ["300"], 255),
    ("cvt.s64.s32 %0, %1", "lr", ["-2"], 2**64 - 2),
    ("cvt.u32.u64 %0, %1", "rl", ["0x123456789ull"], 0x23456789),
    ("cvt.rzi.s32.f32 %0, %1", "rf", ["-2.7f"], 2**32 - 2),
    ("cvt.rni.s32.f32 %0, %1", "rf", ["2.5f"], 2),
    ("cvt.rmi.s32.f32 %0, %1", "rf", ["-2.5f"], 2**32 - 3),
    ("cvt.rpi.u32.f64 %0, %1", "rd", ["2.1"], 3),
    ("cvt.rzi.u8.f32 %0, %1", "rf", ["300.0f"], 255),
    ("cvt.rn.f32.s32 %0, %1", "fr", ["16777217"], F(16777216)),
    ("cvt.rp.f32.u32 %0, %1", "fr", ["16777217u"], F(16777218)),
    ("cvt.rz.f32.f64 %0, %1", "fd", ["0.1"], np.nextafter(F(0.1), F(0))),
    ("cvt.f64.f32 %0, %1", "df", ["0.5f"], 0.5),
    ("cvt.rmi.f32.f32 %0, %1", "ff", ["-1.5f"], F(-2)),
    ("cvt.rn.f16.f32 %0, %1", "hf", ["1.0f"], 0x3C00),
    ("cvt.f32.f16 %0, %1", "fh", ["(unsigned short)0xc000"], F(-2)),
    ("cvt.rn.f16x2.f32 %0, %1, %2", "rff", ["1.0f", "2.0f"], 0x3C004000),
    ("cvt.rn.bf16x2.f32 %0, %1, %2", "rff", ["1.0f", "2.0f"], 0x3F804000),
    ("cvt.rna.tf32.f32 %0, %1", "rf", ["1.00048828125f"], 0x3F802000),
    ("add.f16x2 %0, %1, %2", "rrr", ["0x3c004000", "0x3c003c00"], 0x40004200),
    ("fma.rn.f16x2 %0, %1, %2, %3", "rrrr", ["0x40004000", "0x40003c00", "0x3c003c00"], 0x45004200),
    ("max.bf16x2 %0, %1, %2", "rrr", ["0x3f80bf80", "0x40004000"], 0x40004000),
    ("add.f32 %0, %1, 0f3F800000", "ff", ["2.5f"], F(3.5)),
    ("add.rz.f32 %0, %1, %2", "fff", ["1.0f", "1.7e-7f"], np.nextafter(F(1), F(2))),
    ("sub.f64 %0, %1, 0d3FE0000000000000", "dd", ["2.0"], 1.5),
    ("mul.f32 %0, %1, 2.5", "ff", ["2.0f"], F(5)),
    ("add.sat.f32 %0, %1, %2", "fff", ["0.75f", "0.75f"], F(1)),
    ("fma.rn.f32 %0, %1, %2, %3", "ffff", ["16777217.0f", "3.0f", "1.0f"], F(16777216 * 3 + 1)),
    ("mad.f32 %0, %1, %2, %3", "ffff", ["2.0f", "3.0f", "1.0f"], F(7)),
    ("min.f32 %0, %1, %2", "fff", ["0.0f / 0.0f", "3.0f"], F(3)),
    ("max.NaN.f32 %0, %1, %2", "fff", ["0.0f / 0.0f", "3.0f"], F(np.nan)),
    ("abs.f32 %0, %1", "ff", ["-3.0f"], F(3)),
    ("neg.f64 %0, %1", "dd", ["3.0"], -3.0),
    ("copysign.f32 %0, %1, %2", "fff", ["-1.0f", "3.0f"], F(-3)),
    ("rcp.approx.ftz.f32 %0, %1", "ff", ["4.0f"], F(0.25)),
    ("rcp.rn.f64 %0, %1", "dd", ["3.0"], 1 / 3),
    ("rsqrt.approx.f32 %0, %1", "ff", ["4.0f"], F(0.5)),
    ("sqrt.rn.f32 %0, %1", "ff", ["2.0f"], F(np.sqrt(F(2)))),
    ("sqrt.rm.f64 %0, %1", "dd", ["2.0"], np.nextafter(math.sqrt(2), 0)),
    ("ex2.approx.ftz.f32 %0, %1", "ff", ["3.0f"], F(8)),
    ("lg2.approx.f32 %0, %1", "ff", ["8.0f"], F(3)),
    ("sin.approx.f32 %0, %1", "ff", ["0.5f"], F(math.sin(0.5))),
    ("cos.approx.f32 %0, %1", "ff", ["0.5f"], F(math.cos(0.5))),
    ("tanh.approx.f32 %0, %1", "ff", ["0.5f"], F(math.tanh(0.5))),
    ("div.full.f32 %0, %1, %2", "fff", ["1.0f", "4.0f"], F(0.25)),
]  # fmt: skip
TYPES = {"r": ("unsigned", "u4"), "l": ("unsigned long long", "u8"), "h": ("unsigned short", "u2")}
TYPES |= {"f": ("float", "f4"), "d": ("double", "f8")}


def statement(text: str, constraints: str, operands: list[str], to: str) -> str:
    inputs = ", ".join(f'"{c}"({o})' for c, o in zip(constraints[1:], operands))
    text = f"{{ .reg .pred p; setp.eq.u32 p, 1, 0; {text}; }}" if text.endswith(" p") else f"{text};"
    return f'asm("{text}" : "={constraints[0]}"({to}) : {inputs});'


@pytest.mark.feature(
    "inline PTX",
    "arithmetic of whole numbers and floating point, with rounding and saturation: `add` to `lop3`, `shf`, `prmt`, "
    "`bfe`, `dp4a`, `mad.wide`, `fma.rn`, `ex2.approx`, `cvt`",
)
def test_arithmetic_gives_what_the_isa_says(compiler: str) -> None:
    lines, n = [], len(ARITHMETIC)
    for i, (text, constraints, operands, _) in enumerate(ARITHMETIC):
        kind = TYPES[constraints[0]][0]
        call = statement(text, constraints, operands, "x")
        lines.append(f"{{ {kind} x; {call} memcpy(out + 8 * {i}, &x, sizeof x); }}")
    out = device.array(np.zeros((n, 8), np.uint8))
    launch(f"__global__ void f(unsigned char* out) {{\n{chr(10).join(lines)}\n}}", "f", out)
    for row, (text, constraints, operands, expected) in zip(np.asarray(out), ARITHMETIC):
        dtype = np.dtype(TYPES[constraints[0]][1])
        (found,) = row[: dtype.itemsize].copy().view(dtype)
        wanted = np.array(expected % 2 ** (8 * dtype.itemsize) if dtype.kind == "u" else expected, dtype)
        assert np.array_equal(found, wanted, equal_nan=dtype.kind == "f"), (text, operands, found, wanted)


CARRIES = """
__device__ void add(unsigned* r, const unsigned* x, const unsigned* y) {
  asm volatile("add.cc.u32 %0, %1, %2;" : "=r"(r[0]) : "r"(x[0]), "r"(y[0]));
  asm volatile("addc.cc.u32 %0, %1, %2;" : "=r"(r[1]) : "r"(x[1]), "r"(y[1]));
  asm volatile("addc.u32 %0, %1, %2;" : "=r"(r[2]) : "r"(x[2]), "r"(y[2]));
}
__global__ void f(const unsigned* x, const unsigned* y, unsigned* r) {
  add(r, x, y);
  asm("{\\n\\t"
      "sub.cc.u32  %0, %3, %6; // a borrow\\n\\t"
      "subc.cc.u32 %1, %4, %7;\\n\\t"
      "subc.u32    %2, %5, %8;\\n\\t"
      "}" : "=r"(r[3]), "=r"(r[4]), "=r"(r[5]) : "r"(x[0]), "r"(x[1]), "r"(x[2]), "r"(y[0]), "r"(y[1]), "r"(y[2]));
  asm("mad.lo.cc.u32 %0, %2, %3, %4; madc.hi.u32 %1, %2, %3, 0;"
      : "=r"(r[6]), "=r"(r[7]) : "r"(x[0]), "r"(y[0]), "r"(x[0]));
}"""


@pytest.mark.thorough
@pytest.mark.feature(
    "inline PTX", "the carry bit: `add.cc`, `addc`, `subc`, `mad.lo.cc`, `madc.hi`, from statement to statement"
)
def test_carries_go_from_instruction_to_instruction() -> None:
    x, y = 0x00000005_FFFFFFFF_FFFFFFF0, 0x00000002_FFFFFFFF_000000FF
    words = [[n >> 32 * i & 0xFFFFFFFF for i in range(3)] for n in (x, y)]
    out = zeros(8, np.uint32)
    launch(CARRIES, "f", on_device(*words[0], dtype="u4"), on_device(*words[1], dtype="u4"), out)
    r = [int(v) for v in np.asarray(out)]
    assert r[0] | r[1] << 32 | r[2] << 64 == x + y
    assert r[3] | r[4] << 32 | r[5] << 64 == x - y
    assert r[6] | r[7] << 32 == words[0][0] * words[1][0] + words[0][0]


SPECIAL = """__device__ __forceinline__ unsigned lane_id() {
  unsigned r;
  asm volatile("mov.u32 %0, %laneid;" : "=r"(r));  // as many write it
  return r;
}
__global__ void f(unsigned* out) {
  unsigned v[14];
  unsigned long long before, after;
  asm volatile("mov.u64 %0, %%clock64;" : "=l"(before));
  v[0] = lane_id();
  asm volatile("mov.u32 %0, %%warpid; mov.u32 %1, %%tid.x; mov.u32 %2, %%tid.y; mov.u32 %3, %%ntid.x;"
               "mov.u32 %4, %%ctaid.x; mov.u32 %5, %%nctaid.x; mov.u32 %6, %%smid; mov.u32 %7, %%nsmid;"
               : "=r"(v[1]), "=r"(v[2]), "=r"(v[3]), "=r"(v[4]), "=r"(v[5]), "=r"(v[6]), "=r"(v[12]), "=r"(v[13]));
  asm("mov.u32 %0, %%lanemask_lt; mov.u32 %1, %%lanemask_le; mov.u32 %2, %%lanemask_eq; mov.u32 %3, %%lanemask_ge;"
      "mov.u32 %4, %%lanemask_gt;" : "=r"(v[7]), "=r"(v[8]), "=r"(v[9]), "=r"(v[10]), "=r"(v[11]));
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(after));
  const int t = threadIdx.x + blockDim.x * threadIdx.y + blockIdx.x * blockDim.x * blockDim.y;
  for (int i = 0; i < 14; ++i) out[15 * t + i] = v[i];
  out[15 * t + 14] = after >= before;
}"""


@pytest.mark.thorough
@pytest.mark.feature(
    "inline PTX",
    "special registers: `%laneid`, `%warpid`, `%tid`, `%ntid`, `%ctaid`, `%nctaid`, `%lanemask_lt`, `%smid`, "
    "`%clock64`, `%globaltimer`",
)
def test_special_registers(compiler: str) -> None:
    out = zeros(2 * 64 * 15, np.uint32)
    RawModule(SPECIAL, file="mine.cu").get_function("f")((2,), (16, 4), (out,))
    for t, row in enumerate(np.asarray(out).reshape(128, 15).tolist()):
        linear, block = t % 64, t // 64
        lane = linear % 32
        masks = [2**lane - 1, 2 ** (lane + 1) - 1, 2**lane, 2**32 - 2**lane, 2**32 - 2 ** (lane + 1)]
        assert row[:7] == [lane, linear // 32, linear % 16, linear // 16, 16, block, 2]
        assert row[7:12] == masks
        assert (row[12] < row[13], row[14]) == (True, 1)


# Text: names, braces, predicates, labels, macros.

COLLATZ = r"""#define STEPS(to, from)                       \
  asm volatile(                                     \
      "{\n\t"                                       \
      ".reg .pred p, odd;\n\t"                      \
      ".reg .u32 n, r<2>;\n\t"                      \
      "mov.u32 n, %1;\n\t"                          \
      "mov.u32 %0, 0;\n\t"                          \
      "AGAIN:\n\t"                                  \
      "setp.le.u32 p, n, 1;\n\t"                    \
      "@p bra DONE;\n\t"                            \
      "and.b32 r0, n, 1;\n\t"                       \
      "setp.ne.u32 odd, r0, 0;\n\t"                 \
      "@odd mad.lo.u32 n, n, 3, 1;\n\t"             \
      "@!odd shr.u32 n, n, 1; /* a half */\n\t"     \
      "add.u32 %0, %0, 1;\n\t"                      \
      "bra AGAIN;\n\t"                              \
      "DONE:\n\t"                                   \
      "}"                                           \
      : "=&r"(to) : "r"(from) : "memory")
__global__ void f(unsigned* out, int where) {
  if (where) STEPS(out[0], 27u); else STEPS(out[0], 6u);
  unsigned n;
  STEPS(n, 7u);
  out[1] = n;
  out[NO_SUCH] = 1;
}"""


@pytest.mark.thorough
@pytest.mark.feature(
    "inline PTX", "several instructions, `.reg`, braces, predicates, labels and branches; in macros too"
)
def test_a_text_of_many_lines_in_a_macro_keeps_lines_and_names(compiler: str) -> None:
    out = zeros(2, np.uint32)
    launch(COLLATZ.replace("NO_SUCH", "1 - 1 + 1").replace("= 1;\n}", "= n;\n}"), "f", out, np.int32(1))
    assert out.tolist() == [111, 16]
    line = [i for i, row in enumerate(COLLATZ.splitlines(), 1) if "NO_SUCH" in row]
    with pytest.raises(CompileError, match=rf"mine.cu:{line[0]}:"):
        launch(COLLATZ, "f", out, np.int32(1))


@pytest.mark.thorough
def test_what_an_instruction_skips_does_not_change_its_result() -> None:
    code = """__global__ void f(const float* x, float* y, int n) {
  float v = -1.0f;
  asm volatile("{ .reg .pred p; setp.ne.b32 p, %2, 0; @p ld.global.nc.f32 %0, [%1]; }"
               : "+f"(v) : "l"(x + n), "r"((int)(n < 4)));
  y[n] = v;
}"""
    with checking():
        for n, expected in ((3, 4.0), (4, -1.0)):  # x[4] is not there
            y = zeros(5)
            launch(code, "f", on_device(1, 2, 3, 4), y, np.int32(n))
            assert y.tolist()[n] == expected


def test_translated_text_has_no_assembly_and_as_many_lines() -> None:
    code = COLLATZ + SPECIAL + CARRIES
    found = ptx.translated(code)
    assert "asm" not in found
    assert found.count("\n") == code.count("\n")
    assert ptx.translated(found) == found
    quiet = 'const char* s = "asm volatile(\\"x\\");"; // asm("y")\n/* asm("z"); */ int plasma(int);'
    assert ptx.translated(quiet) == quiet


# Memory.

VECTORS = """__global__ void f(const float* x, float* y, unsigned char* bytes) {
  __shared__ __align__(16) float s[4 * 32];
  const int t = threadIdx.x;
  float a, b, c, d;
  asm volatile("ld.global.nc.L1::no_allocate.v4.f32 {%0, %1, %2, %3}, [%4];"
               : "=f"(a), "=f"(b), "=f"(c), "=f"(d) : "l"(x + 4 * t));
  unsigned at = static_cast<unsigned>(__cvta_generic_to_shared(s + 4 * t));
  asm volatile("st.shared.v2.f32 [%0], {%1, %2};" :: "r"(at), "f"(b), "f"(a) : "memory");
  asm volatile("st.shared.v2.f32 [%0 + 8], {%1, %2};" :: "r"(at), "f"(d), "f"(c) : "memory");
  unsigned other;
  asm("{ .reg .u64 u; cvta.to.shared.u64 u, %1; cvt.u32.u64 %0, u; }" : "=r"(other) : "l"(s + 4 * (31 - t)));
  __syncthreads();
  asm volatile("ld.shared.v4.f32 {%0, %1, %2, %3}, [%4];" : "=f"(a), "=f"(b), "=f"(c), "=f"(d) : "r"(other));
  asm volatile("st.global.cs.v4.f32 [%0], {%1, %2, %3, %4};" :: "l"(y + 4 * t), "f"(a), "f"(b), "f"(c), "f"(d));
  unsigned short h;
  asm volatile("ld.u8 %0, [%1+1];" : "=h"(h) : "l"(bytes + 4 * t));
  asm volatile("st.global.u8 [%0], %1;" :: "l"(bytes + 4 * t), "h"(h));
}"""


@pytest.mark.feature(
    "inline PTX",
    "loads and stores of all spaces and sizes, as vectors, with cache hints; `cvta`, `__cvta_generic_to_shared`",
)
def test_loads_and_stores(compiler: str) -> None:
    x = np.arange(128, dtype="f4")
    given = np.arange(128, dtype="u1")
    for result in in_every_order(VECTORS, 1, 32, x, np.zeros(128, "f4"), given):
        swapped = x.reshape(32, 2, 2)[::-1, :, ::-1].ravel()
        assert np.array_equal(result[1], swapped)
        assert np.array_equal(result[2].reshape(32, 4)[:, 0], given.reshape(32, 4)[:, 1])


CAST = "__cvta_generic_to_shared(s + 4 * t)"
FAULTS = {  # a change, the line of the fault, and what is said
    "bounds": (("x + 4 * t", "x + 4 * t + 4"), "nc.L1", "out of bounds"),
    "early": (("__syncthreads();", ""), '("ld.shared.v4', "read before it is written"),
    "alignment": (("x + 4 * t", "x + t"), "nc.L1", "a misaligned address"),
    "unwritten": (
        ("st.shared.v2.f32 [%0], {%1, %2}", "ld.shared.v2.f32 {%1, %2}, [%0]"),
        "[%0];",
        "before it is written",
    ),
    "race": ((CAST, "__cvta_generic_to_shared(s)"), "v2.f32 [%0], {", "a race between two threads"),
    "space": ((CAST, "reinterpret_cast<size_t>(x + 4 * t)"), "v2.f32 [%0], {", "__cvta_generic_to_shared("),
    "global": (("y + 4 * t", "s + 4 * t"), "st.global.cs", "given an address of shared memory"),
}


@pytest.mark.parametrize("name", sample(FAULTS, 4))
def test_faults_of_ptx_are_found_at_their_line(compiler: str, name: str) -> None:
    change, words, told = FAULTS[name]
    code = VECTORS.replace(*change)
    if "ld.shared.v2" in change[1]:
        code = code.replace(':: "r"(at), "f"(b), "f"(a) : "memory");', ': "+r"(at), "=f"(b), "=f"(a));')
    with checking():
        said = fault(code, "f", on_device(*range(128)), zeros(128), zeros(128, np.uint8), block=32)
    assert told in said
    assert line_with(code, words) in said


COPIES = """#define CP_ASYNC_CG(dst, src, bytes) \\
  asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], %2;\\n" ::"r"(dst), "l"(src), "n"(bytes))
#define CP_ASYNC_COMMIT_GROUP() asm volatile("cp.async.commit_group;\\n" ::)
#define CP_ASYNC_WAIT_GROUP(n) asm volatile("cp.async.wait_group %0;\\n" ::"n"(n))
__global__ void f(const float* x, float* y) {
  __shared__ __align__(16) float s[2][128];
  const int t = threadIdx.x;
  for (int i = 0; i < 2; ++i) {
    unsigned to = __cvta_generic_to_shared(&s[i][4 * t]);
    CP_ASYNC_CG(to, x + 128 * i + 4 * t, 16);
    CP_ASYNC_COMMIT_GROUP();
  }
  CP_ASYNC_WAIT_GROUP(1);
  y[t] = s[0][4 * t];
  CP_ASYNC_WAIT_GROUP(0);
  __syncthreads();
  y[32 + t] = s[1][127 - t];  // another's copy
  unsigned to = __cvta_generic_to_shared(&s[0][t]);
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(to), "l"(x), "r"(t % 2 ? 4 : 0));
  asm volatile("cp.async.wait_all;");
  y[64 + t] = s[0][t];
}"""


@pytest.mark.feature("inline PTX", "`cp.async` of 4, 8 and 16 bytes, groups of copies, and zeros in place of a source")
def test_asynchronous_copies(compiler: str) -> None:
    x = np.arange(256, dtype="f4") + 1
    code = COPIES.replace("y[64 + t]", "__syncthreads();\n  y[64 + t]")
    code = code.replace(
        "unsigned to = __cvta_generic_to_shared(&s[0]",
        "__syncthreads();\n  unsigned to = __cvta_generic_to_shared(&s[0]",
    )
    for result in in_every_order(code, 1, 32, x, np.zeros(96, "f4")):
        expected = [*x[:128:4], *x[255:223:-1], *([0, 1] * 16)]
        assert np.array_equal(result[1], expected)
    early = code.replace("CP_ASYNC_WAIT_GROUP(1)", "CP_ASYNC_WAIT_GROUP(2)")
    with checking():
        said = fault(early, "f", on_device(*x), zeros(96), block=32)
    assert "it is read before the asynchronous copy into it has been waited for" in said
    assert line_with(early, "y[t] = ") in said
    with checking():
        said = fault(code.replace("x + 128 * i", "x + 256 * i"), "f", on_device(*x), zeros(96), block=32)
    assert "out of bounds" in said
    assert line_with(code, "CP_ASYNC_CG(to") in said


ATOMICS = """__device__ int sum(const int* at) {
  int old;
  asm volatile("ld.relaxed.gpu.global.s32 %0, [%1];" : "=r"(old) : "l"(at));
  return old;
}
__global__ void f(int* at, unsigned long long* most, float* total, unsigned* turn, int* out) {
  __shared__ int count;
  if (threadIdx.x == 0) count = 0;
  __syncthreads();
  unsigned s = __cvta_generic_to_shared(&count);
  int old;
  asm volatile("atom.shared.add.s32 %0, [%1], %2;" : "=r"(old) : "r"(s), "r"(1) : "memory");
  out[old] = 1;
  asm volatile("red.global.add.s32 [%0], %1;" :: "l"(at), "r"((int)threadIdx.x) : "memory");
  asm volatile("red.max.u64 [%0], %1;" :: "l"(most), "l"((unsigned long long)threadIdx.x << 33));
  asm volatile("red.global.add.f32 [%0], 0f3F000000;" :: "l"(total));
  asm volatile("red.global.gpu.relaxed.inc.u32 [%0], 9;" :: "l"(turn));
  int seen;
  asm volatile("atom.global.cas.b32 %0, [%1], %2, %3;" : "=r"(seen) : "l"(at + 1), "r"(0), "r"((int)threadIdx.x + 1));
  asm volatile("atom.global.exch.b32 %0, [%1], %2;" : "=r"(seen) : "l"(at + 2), "r"(5));
  asm volatile("red.or.b32 [%0], %1;" :: "l"(at + 3), "r"(1 << threadIdx.x % 8));
  if (threadIdx.x == 0 && blockIdx.x == 0 && sum(at) < 0) out[0] = -1;
}"""


@pytest.mark.thorough
@pytest.mark.feature(
    "inline PTX", "`atom` and `red` of global and shared memory; `ld.acquire`, `st.release`, `fence`, `membar`"
)
def test_atomics(compiler: str) -> None:
    given = np.zeros(4, "i4"), np.zeros(1, "u8"), np.zeros(1, "f4"), np.zeros(1, "u4"), np.zeros(64, "i4")
    for at, most, total, turn, out in in_every_order(ATOMICS, 1, 64, *given):
        assert (at[0], 1 <= at[1] <= 64, *at[2:]) == (64 * 63 // 2, True, 5, 255)
        assert (most[0], total[0], turn[0], out.min()) == (63 << 33, 32, 4, 1)


MESSAGE = """__global__ void f(int* data, int* flag, int* out) {
  if (blockIdx.x == 0 && threadIdx.x == 0) {
    data[0] = 42;
    asm volatile("st.release.gpu.global.s32 [%0], %1;" :: "l"(flag), "r"(1) : "memory");
  }
  if (blockIdx.x == 1 && threadIdx.x == 0) {
    int seen;
    do {
      asm volatile("ld.acquire.gpu.global.s32 %0, [%1];" : "=r"(seen) : "l"(flag) : "memory");
    } while (!seen);
    out[0] = data[0];
  }
}"""


@pytest.mark.thorough
def test_a_release_and_an_acquire_pass_a_message_between_blocks() -> None:
    given = np.zeros(1, "i4"), np.zeros(1, "i4"), np.zeros(1, "i4")
    for _, _, out in in_every_order(MESSAGE, 2, 32, *given, cooperative=True):
        assert out[0] == 42
    with checking():
        module = RawModule(
            MESSAGE.replace("st.release.gpu", "st.relaxed.gpu"), file="mine.cu", enable_cooperative_groups=True
        )
        with pytest.raises(Exception, match="a race between two blocks"):
            module.get_function("f")((2,), (32,), tuple(map(device.array, given)))


# Barriers and warps.

NAMED = """__device__ void arrive(int id, int n) { asm volatile("bar.arrive %0, %1;" :: "r"(id), "r"(n) : "memory"); }
__device__ void sync(int id, int n) { asm volatile("bar.sync %0, %1;" :: "r"(id), "r"(n) : "memory"); }
__global__ void f(const float* x, float* y, int rounds) {  // a warp that brings, and one that takes
  __shared__ float buffer[32];
  const int t = threadIdx.x % 32;
  if (threadIdx.x < 32) {
    for (int i = 0; i < rounds; ++i) {
      sync(2, 64);  // empty
      buffer[t] = x[32 * i + t];
      arrive(1, 64);  // full
    }
  } else {
    arrive(2, 64);
    for (int i = 0; i < rounds; ++i) {
      sync(1, 64);
      y[32 * i + t] = buffer[31 - t];
      if (i + 1 < rounds) arrive(2, 64);
    }
  }
}"""


@pytest.mark.thorough
@pytest.mark.feature(
    "inline PTX", "barriers with numbers and counts: `bar.sync`, `bar.arrive`, `barrier.sync`, `bar.warp.sync`"
)
def test_named_barriers_order_warps(compiler: str) -> None:
    x = np.arange(96, dtype="f4")
    for _, y in in_every_order(NAMED, 1, 64, x, np.zeros(96, "f4"), np.int32(3)):
        assert np.array_equal(y, x.reshape(3, 32)[:, ::-1].ravel())
    careless = NAMED.replace("sync(2, 64);  // empty", "")
    with checking("random"):
        assert "a race between two threads" in fault(careless, "f", on_device(*x), zeros(96), np.int32(3), block=64)
    short = NAMED.replace("if (i + 1 < rounds) arrive(2, 64);", "")
    with checking():
        said = fault(short, "f", on_device(*x), zeros(96), np.int32(3), block=64)
    assert "too few threads arrive at this barrier: 32 of 64" in said
    with checking():
        assert "a multiple of 32" in fault(
            NAMED.replace("(1, 64)", "(1, 60)"), "f", on_device(*x), zeros(96), np.int32(3), block=64
        )


@pytest.mark.thorough
def test_barriers_without_a_count_are_those_of_a_block() -> None:
    code = """__global__ void f(int* out) {
  __shared__ int s[64];
  s[threadIdx.x] = threadIdx.x;
  asm volatile("bar.sync 0;" ::: "memory");
  out[threadIdx.x] = s[63 - threadIdx.x];
  int all;
  asm volatile("{ .reg .pred p; setp.lt.s32 p, %1, 40; bar.red.popc.u32 %0, 0, p; }"
               : "=r"(all) : "r"((int)threadIdx.x));
  out[64 + threadIdx.x] = all;
}"""
    for (out,) in in_every_order(code, 1, 64, np.zeros(128, "i4")):
        assert out.tolist() == [*range(63, -1, -1), *[40] * 64]
    assert waits(code)
    assert not waits('asm("add.u32 %0, %1, 1;" : "=r"(y) : "r"(x));')


WARP = """__global__ void f(unsigned* out) {
  const unsigned t = threadIdx.x;
  unsigned v[8];
  asm volatile("shfl.sync.bfly.b32 %0, %1, 3, 0x1f, 0xffffffff;" : "=r"(v[0]) : "r"(t));
  asm volatile("{ .reg .pred p; shfl.sync.up.b32 %0|p, %1, 1, 0x0, -1; @p add.u32 %0, %0, 100; }"
               : "=r"(v[1]) : "r"(t));
  asm volatile("shfl.sync.down.b32 %0, %1, 2, 0x181f, -1;" : "=r"(v[2]) : "r"(t));  // of eight lanes
  asm volatile("shfl.sync.idx.b32 %0, %1, 1, 0x1c1f, -1;" : "=r"(v[3]) : "r"(t));  // of four
  asm volatile("{ .reg .pred p; setp.lt.u32 p, %1, 5; vote.sync.ballot.b32 %0, p, 0xffffffff; }" : "=r"(v[4]) : "r"(t));
  asm volatile("redux.sync.add.s32 %0, %1, 0xffffffff;" : "=r"(v[5]) : "r"((int)t));
  asm volatile("match.any.sync.b32 %0, %1, 0xffffffff;" : "=r"(v[6]) : "r"(t / 16));
  asm volatile("activemask.b32 %0;" : "=r"(v[7]));
  for (int i = 0; i < 8; ++i) out[8 * t + i] = v[i];
  asm volatile("bar.warp.sync 0xffffffff;");
}"""


@pytest.mark.thorough
@pytest.mark.feature(
    "inline PTX", "operations of a warp: `shfl.sync`, `vote.sync`, `match.sync`, `redux.sync`, `activemask`"
)
def test_operations_of_a_warp(compiler: str) -> None:
    for (out,) in in_every_order(WARP, 1, 32, np.zeros(256, "u4")):
        for t, row in enumerate(out.reshape(32, 8).tolist()):
            up = t - 1 + 100 if t else 0
            down = t + 2 if t % 8 < 6 else t
            assert row == [t ^ 3, up, down, t // 4 * 4 + 1, 31, 496, 0xFFFF << 16 * (t // 16), 2**32 - 1]


# Matrices.


def layouts(m: int, n: int, k: int, per: int) -> Iterator[tuple[str, int, int, int, int, int]]:
    """Of the PTX ISA's figures of fragments: what, lane, number of the register's element, row, column."""
    for lane in range(32):
        group, inner = divmod(lane, 4)
        for i in range(m * k // 32):
            high, e = divmod(i, per)
            yield "a", lane, i, group + 8 * (high % 2 if m == 16 else 0), inner * per + e + 4 * per * (high // 2), 0
        for i in range(n * k // 32):
            yield "b", lane, i, inner * per + i % per + 4 * per * (i // per), group, 0
        for i in range(m * n // 32):
            yield "c", lane, i, group + 8 * (i // 2), 2 * inner + i % 2, 0


MMA = {  # shape, types of the sums and factors: NumPy's types of both, elements of a factor in a register
    "m16n8k16.row.col.f32.f16.f16.f32": (16, 8, 16, "f4", "f2", 2),
    "m16n8k16.row.col.f16.f16.f16.f16": (16, 8, 16, "f2", "f2", 2),
    "m16n8k8.row.col.f32.f16.f16.f32": (16, 8, 8, "f4", "f2", 2),
    "m16n8k8.row.col.f32.tf32.tf32.f32": (16, 8, 8, "f4", "f4", 1),
    "m16n8k4.row.col.f32.tf32.tf32.f32": (16, 8, 4, "f4", "f4", 1),
    "m16n8k32.row.col.s32.s8.s8.s32": (16, 8, 32, "i4", "i1", 4),
    "m16n8k16.row.col.s32.u8.u8.s32": (16, 8, 16, "i4", "u1", 4),
    "m8n8k4.row.col.f64.f64.f64.f64": (8, 8, 4, "f8", "f8", 1),
}


@pytest.mark.feature(
    "inline PTX", "`mma.sync` of half, bfloat16, TF32, bytes and double, with the fragments of the PTX ISA"
)
@pytest.mark.parametrize("shape", sample(MMA, 4))
def test_products_of_fragments(shape: str) -> None:
    m, n, k, of_sum, of_factor, per = MMA[shape]
    random = np.random.default_rng(7)
    low = 0 if of_factor == "u1" else -4
    a, b = (random.integers(low, 5, size).astype(of_factor) for size in ((m, k), (k, n)))
    c = random.integers(-4, 5, (m, n)).astype(of_sum)
    fragments = {"a": np.zeros((32, m * k // 32), of_factor), "b": np.zeros((32, n * k // 32), of_factor),
                 "c": np.zeros((32, m * n // 32), of_sum)}  # fmt: skip
    for what, lane, i, row, col, _ in layouts(m, n, k, per):
        fragments[what][lane, i] = {"a": a, "b": b, "c": c}[what][row, col]
    wide = of_factor == "f8"
    kind, letter = ("unsigned long long", "l") if wide else ("unsigned", "r")
    kind, letter = ("double", "d") if wide else (kind, letter)
    of_c, letter_c = {"f4": ("float", "f"), "f8": ("double", "d")}.get(of_sum, ("unsigned", "r"))
    count = [fragments[x].nbytes // 32 // (8 if wide else 4) for x in "abc"]
    numbers = iter(range(count[2] * 2 + count[0] + count[1]))
    d, x, y, z = ("{" + ", ".join(f"%{next(numbers)}" for _ in range(size)) + "}" for size in (count[2], *count))
    outputs = ", ".join(f'"={letter_c}"(d[{i}])' for i in range(count[2]))
    inputs = [f'"{letter}"(a[{count[0]} * t + {i}])' for i in range(count[0])]
    inputs += [f'"{letter}"(b[{count[1]} * t + {i}])' for i in range(count[1])]
    inputs += [f'"{letter_c}"(c[{count[2]} * t + {i}])' for i in range(count[2])]
    code = f"""__global__ void f(const {kind}* a, const {kind}* b, const {of_c}* c, {of_c}* out) {{
  const int t = threadIdx.x;
  {of_c} d[{count[2]}];
  asm volatile("mma.sync.aligned.{shape} {d}, {x}, {y}, {z};" : {outputs} : {", ".join(inputs)});
  for (int i = 0; i < {count[2]}; ++i) out[{count[2]} * t + i] = d[i];
}}"""
    types = ["u4" if not wide else "f8"] * 2 + [{"f4": "f4", "f8": "f8"}.get(of_sum, "u4")]
    given = [device.array(np.ascontiguousarray(fragments[f]).view(dtype).ravel()) for f, dtype in zip("abc", types)]
    out = device.array(np.zeros_like(np.asarray(given[2])))
    with checking():
        launch(code, "f", *given, out, block=32)
    found = np.asarray(out).view(of_sum).reshape(32, -1)
    product = a.astype("f8") @ b.astype("f8") + c.astype("f8")
    for what, lane, i, row, col, _ in layouts(m, n, k, per):
        assert what != "c" or found[lane, i] == product[row, col]


MATRICES = """typedef unsigned short half_bits;
__global__ void f(const half_bits* x, unsigned* plain, unsigned* turned, half_bits* back, unsigned* moved) {
  __shared__ __align__(16) unsigned short s[4][8][8], again[4][8][8];
  const int t = threadIdx.x;
  for (int i = t; i < 256; i += 32) (&s[0][0][0])[i] = x[i];
  __syncwarp();
  unsigned at = __cvta_generic_to_shared(&s[t / 8][t % 8][0]), r[4];
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(at));
  for (int i = 0; i < 4; ++i) plain[32 * i + t] = r[i];
  unsigned to = __cvta_generic_to_shared(&again[t / 8][t % 8][0]);
  asm volatile("stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1, %2, %3, %4};"
               :: "r"(to), "r"(r[0]), "r"(r[1]), "r"(r[2]), "r"(r[3]));
  asm volatile("movmatrix.sync.aligned.m8n8.trans.b16 %0, %1;" : "=r"(moved[t]) : "r"(r[0]));
  __syncwarp();
  for (int i = t; i < 256; i += 32) back[i] = (&again[0][0][0])[i];
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0, %1}, [%2];" : "=r"(r[0]), "=r"(r[1]) : "r"(at));
  for (int i = 0; i < 2; ++i) turned[32 * i + t] = r[i];
}"""


@pytest.mark.thorough
@pytest.mark.feature("inline PTX", "`ldmatrix`, `stmatrix`, `movmatrix`, plain and transposed")
def test_matrices_of_eight_by_eight(compiler: str) -> None:
    x = np.arange(256, dtype="u2")
    given = np.zeros(128, "u4"), np.zeros(64, "u4"), np.zeros(256, "u2"), np.zeros(32, "u4")
    for _, plain, turned, back, moved in in_every_order(MATRICES, 1, 32, x, *given):
        matrices = x.reshape(4, 8, 8)
        assert np.array_equal(plain.view("u2").reshape(4, 8, 8), matrices)
        assert np.array_equal(turned.view("u2").reshape(2, 8, 8), matrices[:2].transpose(0, 2, 1))
        assert np.array_equal(back, x)
        assert np.array_equal(moved.view("u2").reshape(8, 8), matrices[0].T)
    with checking():
        said = fault(
            MATRICES.replace("[t % 8][0]), r[4]", "[t % 8][1]), r[4]"),
            "f",
            device.array(x),
            *map(device.array, given),
            block=32,
        )
    assert "a misaligned address" in said
    assert line_with(MATRICES, "ldmatrix.sync.aligned.m8n8.x4") in said


MBARRIER = """__global__ void f(const float* x, float* y) {
  __shared__ unsigned long long bar;
  __shared__ float s[64];
  const unsigned at = __cvta_generic_to_shared(&bar), t = threadIdx.x;
  if (t == 0) asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" :: "r"(at), "r"(64));
  __syncthreads();
  for (int phase = 0; phase < 2; ++phase) {
    s[t] = x[t] + phase;
    unsigned long long state;
    asm volatile("mbarrier.arrive.shared::cta.b64 %0, [%1];" : "=l"(state) : "r"(at) : "memory");
    asm volatile("{\\n\\t.reg .pred p;\\n\\tWAIT:\\n\\t"
                 "mbarrier.try_wait.parity.shared::cta.b64 p, [%0], %1;\\n\\t"
                 "@p bra DONE;\\n\\tbra WAIT;\\n\\tDONE:\\n\\t}"
                 :: "r"(at), "r"(phase) : "memory");
    y[64 * phase + t] = s[63 - t];
    __syncthreads();
  }
}"""


@pytest.mark.thorough
@pytest.mark.feature("inline PTX", "`mbarrier.init`, `arrive`, `test_wait` and `try_wait`, by state and by parity")
def test_barriers_in_memory(compiler: str) -> None:
    x = np.arange(64, dtype="f4")
    for _, y in in_every_order(MBARRIER, 1, 64, x, np.zeros(128, "f4")):
        assert np.array_equal(y, [*x[::-1], *(x[::-1] + 1)])


# What is not emulated, and what a learner's file may have.

REFUSED = {
    'asm volatile("wgmma.fence.sync.aligned;");': "the PTX instruction wgmma.fence.sync.aligned",
    'asm("{ .reg .b32 r; tcgen05.ld.sync r, [%0]; }" :: "r"(1));': "the PTX instruction tcgen05.ld.sync",
    'asm("cp.async.bulk.commit_group;");': "the PTX instruction cp.async.bulk.commit_group",
    'asm("ld.param.u32 %0, [%1];" : "=r"(x) : "r"(1));': "the PTX instruction ld.param.u32",
    'asm("mov.u32 %0, %envreg3;" : "=r"(x));': "the name %envreg3 in PTX",
    'asm(".shared .b32 s;");': "the PTX instruction .shared",
    'asm("mov.u32 %0, 1;" : "=m"(x));': "the operand '=m'(x) of an asm statement",
    'asm(TEXT : "=r"(x));': "an asm statement whose text is not written out (TEXT)",
}


@pytest.mark.feature("inline PTX", "what is not known is refused by the instruction's name and its line")
def test_what_is_not_known_is_refused_by_name_and_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for line, what in REFUSED.items():
        code = f"__global__ void f(unsigned* out) {{\n  unsigned x = 0;\n\n  {line}\n  out[0] = x;\n}}"
        assert not_emulated(code, "mine.cu") == f"mine.cu, line 4: {what} is not emulated"
        assert cuda_policy.of_cuda(code) == [f"line 4: {what} is not emulated"]
    with pytest.raises(CompileError) as caught:
        launch(code, "f", zeros(1, np.uint32))
    assert str(caught.value) == f"mine.cu, line 4: {what} is not emulated"
    program = tmp_path / "p.cu"
    program.write_text(
        f"__global__ void f() {{\n  {next(iter(REFUSED))}\n}}\nint main() {{ f<<<1, 1>>>(); }}\n", encoding="utf-8"
    )
    assert cli.main(["run", str(program)]) == 2
    assert "p.cu, line 2: the PTX instruction wgmma.fence.sync.aligned is not emulated" in capfd.readouterr().err


def test_text_of_any_kind_is_translated_or_refused() -> None:
    random = np.random.default_rng(3)
    texts = [text for text, *_ in ARITHMETIC] + [
        code for code in (COLLATZ, VECTORS, COPIES, NAMED, WARP, MATRICES, MBARRIER)
    ]
    words = re.findall(r"[%@\w.:]+|[^\s\w]", " ".join(texts).replace('"', "").replace("\\", ""))
    for _ in range(400):
        text = " ".join(random.choice(words, 8)).replace("(", "").replace(")", "")
        found = ptx.translated(f'asm("{text};" : "=r"(x) : "r"(y));')
        assert found.startswith(("do {", "[](auto refused)")), text
    for text in (
        "wide.s32 %0, %1;",
        "instruction %0;",
        "ldmatrix.m8n8.b16 {%0}, [%1];",
        "mma.m1;",
        "cvt.x;",
        "@p;",
        "}",
        "{",
    ):
        assert ptx.REFUSAL.search(ptx.translated(f'asm("{text}" : "=r"(x) : "r"(y));')), text


@pytest.mark.thorough
def test_operands_are_as_wide_as_their_constraints() -> None:
    for operand, told in (
        ("out", "not as wide"),
        ("1.0f", "f and d are for floating point"),
        ("(short)1", "not as wide"),
    ):
        code = f'__global__ void f(unsigned* out) {{\n  asm("mov.u32 %0, %1;" : "=r"(out[0]) : "r"({operand}));\n}}'
        with pytest.raises(CompileError, match=rf"mine.cu:2.*{told}"):
            launch(code, "f", zeros(1, np.uint32))


@pytest.mark.thorough
def test_a_learners_file_may_have_ptx_and_hides_no_assembly_of_the_host(compiler: str) -> None:
    from fastae.backends.emulator import compiler as compilers

    head = "// launch f: grid (1), block (1)\n"
    right = head + '__global__ void f(float* x) { asm("add.f32 %0, %0, %1;" : "+f"(x[0]) : "f"(1.0f)); }'
    assert cuda_policy.of_cuda(right) == []
    assert cuda_policy.of_preprocessed(compilers.preprocessed(right, ()), "begin") == []
    for wrong in (
        'register int x asm("rax");',
        'void f() __asm__("g");',
        'asm goto("" : : : : there);',
    ):
        assert cuda_policy.of_cuda(wrong), wrong
    split = '__global__ void f() { a\\\nsm("nop"); }'
    assert cuda_policy.of_preprocessed(compilers.preprocessed(split, ()), "begin")
    pasted = '#define MAKE(x, y) x##y\n__global__ void f() { MAKE(a, sm)("nop"); }'
    assert cuda_policy.of_preprocessed(compilers.preprocessed(pasted, ()), "begin")
