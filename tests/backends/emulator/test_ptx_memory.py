"""Inline PTX on the emulator: accesses to memory are those of the PTX ISA, and are looked at."""

import numpy as np
import pytest
from cuda_kernels import fault_of, in_every_order, line_with
from ptx_programs import COPIES, VECTORS
from sampling import sample


@pytest.mark.feature(
    "inline PTX",
    "loads and stores of all spaces and sizes, as vectors, with cache hints; `cvta`, `__cvta_generic_to_shared`",
)
def test_loads_and_stores_move_what_they_name(compiler: str) -> None:
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
    said = str(fault_of(code, 1, 32, np.arange(128, dtype="f4"), np.zeros(128, "f4"), np.zeros(128, "u1")))
    assert told in said
    assert line_with(code, words) in said


@pytest.mark.feature("inline PTX", "`cp.async` of 4, 8 and 16 bytes, groups of copies, and zeros in place of a source")
def test_asynchronous_copies_arrive_when_they_were_waited_for(compiler: str) -> None:
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
    said = str(fault_of(early, 1, 32, x, np.zeros(96, "f4")))
    assert "it is read before the asynchronous copy into it has been waited for" in said
    assert line_with(early, "y[t] = ") in said
    said = str(fault_of(code.replace("x + 128 * i", "x + 256 * i"), 1, 32, x, np.zeros(96, "f4")))
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
def test_atomic_instructions_return_what_was_there(compiler: str) -> None:
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
    relaxed = MESSAGE.replace("st.release.gpu", "st.relaxed.gpu")
    assert "a race between two blocks" in str(fault_of(relaxed, 2, 32, *given, cooperative=True))
