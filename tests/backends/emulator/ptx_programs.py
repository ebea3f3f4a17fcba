"""Inline PTX as people write it: texts which several files of tests run and translate."""

import math
from typing import Any

import numpy as np

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
