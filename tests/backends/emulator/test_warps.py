"""Barriers and warps on the emulator: shuffles, votes, masks; each fault is found at its line."""

import numpy as np
import pytest
from cuda_kernels import ORDERS, in_every_order, marked_fault, without
from warp_programs import REDUCED, VOTES

# Barriers with a result, fences and clocks.


@pytest.mark.feature("barriers and fences", "`__syncthreads_count`, `_and`, `_or`")
def test_barriers_that_count() -> None:
    code = """extern "C" __global__ void count(const int* x, int* out) {
  const int t = threadIdx.x;
  const int some = __syncthreads_count(x[t] > 10), one = __syncthreads_or(x[t] == 77);
  const int all = __syncthreads_and(x[t] >= 0);
  out[t] = some + 100 * one + 1000 * all + 10000 * (__syncthreads_and(t < 95) + 2 * __syncthreads_or(t > 95));
}"""
    x = np.arange(96, dtype="i4")
    for _, out in in_every_order(code, 1, 96, x, np.zeros(96, "i4")):
        assert set(out) == {85 + 100 + 1000}


@pytest.mark.feature("barriers and fences", "a thread that returns before a barrier is a fault")
def test_a_barrier_that_counts_is_missed_by_a_thread_that_returned() -> None:
    code = """extern "C" __global__ void count(int n, int* out) {
  const int t = threadIdx.x;
  if (t >= n) return;
  const int all = __syncthreads_count(t > 10);//<
  out[t] = all;
}"""
    fault = marked_fault(code, 1, 64, np.int32(50), np.zeros(64, "i4"))
    assert "not every thread of the block comes to this __syncthreads(); thread (50, 0, 0) has returned" in str(fault)


@pytest.mark.feature("barriers and fences", "`__threadfence`, `clock64`, `__nanosleep`")
def test_clocks_go_on_and_fences_are_there() -> None:
    code = """extern "C" __global__ void times(long long* out) {
  const long long begin = clock64();
  const auto early = clock();
  while (clock64() - begin < 1000) __nanosleep(100);
  __threadfence_block();
  __threadfence_system();
  out[threadIdx.x] = clock() > early ? clock64() - begin : 0;
}"""
    for (out,) in in_every_order(code, 1, 32, np.zeros(32, "i8")):
        assert (out >= 1000).all()


# Warps.

SHUFFLES = {  # and what lane l of 32 with the values x gets
    "__shfl_sync(~0u, v, 5)": lambda x: np.full(32, x[5]),
    "__shfl_sync(~0u, v, threadIdx.x * 7 % 32)": lambda x: x[np.arange(32) * 7 % 32],
    "__shfl_sync(~0u, v, 3, 8)": lambda x: x[np.arange(32) // 8 * 8 + 3],
    "__shfl_sync(~0u, v, -1, 16)": lambda x: x[np.arange(32) // 16 * 16 + 15],
    "__shfl_up_sync(~0u, v, 3)": lambda x: np.r_[x[:3], x[:-3]],
    "__shfl_up_sync(~0u, v, 1, 4)": lambda x: x[np.arange(32) - (np.arange(32) % 4 > 0)],
    "__shfl_down_sync(~0u, v, 20)": lambda x: np.r_[x[20:], x[12:]],
    "__shfl_down_sync(~0u, v, 2, 8)": lambda x: x[np.arange(32) + 2 * (np.arange(32) % 8 < 6)],
    "__shfl_xor_sync(~0u, v, 9)": lambda x: x[np.arange(32) ^ 9],
    "__shfl_xor_sync(~0u, v, 8, 8)": lambda x: np.r_[x[:8], x[:8], x[16:24], x[16:24]],  # earlier lanes only
}


@pytest.mark.feature("warp operations", "`__shfl_sync`, `_up`, `_down`, `_xor`, with their width, up to 64 bits")
@pytest.mark.parametrize(("c", "dtype"), [("int", "i4"), ("float", "f4"), ("double", "f8"), ("long long", "i8")])
def test_every_shuffle_with_its_width(c: str, dtype: str, random: np.random.Generator) -> None:
    body = "".join(f"  out[{32 * i} + threadIdx.x] = {call};\n" for i, call in enumerate(SHUFFLES))
    code = f'extern "C" __global__ void f(const {c}* x, {c}* out) {{\n  const {c} v = x[threadIdx.x];\n{body}}}'
    x = (random.standard_normal(32) * 2**20).astype(dtype)
    wanted = np.concatenate([f(x) for f in SHUFFLES.values()])
    for _, out in in_every_order(code, 1, 32, x, np.zeros(32 * len(SHUFFLES), dtype)):
        np.testing.assert_array_equal(out, wanted)


@pytest.mark.feature(
    "warp operations",
    "`__ballot_sync`, `__any_sync`, `__all_sync`, `__match_*_sync`, `__reduce_*_sync`, `__activemask`",
)
def test_votes_matches_reductions_and_who_is_active(random: np.random.Generator) -> None:
    x = random.integers(0, 10, 32).astype("i4")
    x[3] = 9

    def bits(which: np.ndarray) -> int:
        return int((which.astype("u8") << np.arange(32, dtype="u8")).sum())

    odd = np.arange(32) % 2
    for _, out in in_every_order(VOTES, 1, 32, x, np.zeros(512, "u4")):
        for t, mine in enumerate(out.reshape(32, 16).tolist()):
            assert mine[:4] == [bits(x > 4), 1, 1, 1 + 4]
            assert mine[4:9] == [0, bits(x == x[t]), 0, 0xFFFF << 16 * (t // 16), 2]
            assert mine[9:12] == [x.sum(), (int(x.min()) - 5) % 2**32, max((v - 5) % 2**32 for v in x.tolist())]
            assert mine[12:15] == [f.reduce(x | y) for f, y in
                                   ((np.bitwise_and, 32), (np.bitwise_or, 0), (np.bitwise_xor, 0))]  # fmt: skip
            assert mine[15] == (bits(odd) if t % 2 else 0)


@pytest.mark.feature("warp operations", "sums and scans by warps")
def test_a_sum_by_warps(random: np.random.Generator) -> None:
    x = random.integers(-9, 10, 3000).astype("f4")
    for _, total in in_every_order(REDUCED, 3, 128, np.int32(3000), x, np.zeros(1, "f4")):
        assert total[0] == x.sum()
    code = without(REDUCED, "  __syncthreads();  // all warps\n")
    marked_fault(code, 3, 128, np.int32(3000), x, np.zeros(1, "f4"))


SCAN = """extern "C" __global__ void scan(int n, const int* x, int* out) {
  __shared__ int sums[32];
  const int t = threadIdx.x, lane = t & 31, warp = t >> 5;
  int v = t < n ? x[t] : 0;
  for (int by = 1; by < 32; by <<= 1) {
    const int before = __shfl_up_sync(0xffffffff, v, by);
    if (lane >= by) v += before;
  }
  if (lane == 31) sums[warp] = v;
  __syncthreads();
  if (warp == 0) {
    int s = lane < blockDim.x / 32 ? sums[lane] : 0;
    for (int by = 1; by < 32; by <<= 1) {
      const int before = __shfl_up_sync(0xffffffff, s, by);
      if (lane >= by) s += before;
    }
    sums[lane] = s;
  }
  __syncthreads();
  if (warp > 0) v += sums[warp - 1];
  if (t < n) out[t] = v;
}"""


@pytest.mark.feature("warp operations", "sums and scans by warps")
def test_a_scan_by_warps(random: np.random.Generator) -> None:
    x = random.integers(-99, 100, 250).astype("i4")
    for _, out in in_every_order(SCAN, 1, 256, np.int32(250), x, np.zeros(250, "i4")):
        np.testing.assert_array_equal(out, np.cumsum(x))


TREE = """extern "C" __global__ void tree(const float* x, float* out) {
  __shared__ float part[64];
  const int t = threadIdx.x;
  part[t] = x[t];
  __syncthreads();
  if (t < 32) {
    float v = part[t] + part[t + 32];
    __syncwarp();
    part[t] = v;//<
    for (int by = 16; by > 0; by /= 2) {
      __syncwarp();  // written
      v = t + by < 32 ? v + part[t + by] : v;//<
      __syncwarp();  // read
      part[t] = v;//<
    }
  }
  if (t == 0) out[0] = part[0];
}"""


@pytest.mark.feature("warp operations", "lanes are independent: a missing `__syncwarp` is a race")
def test_the_last_warp_of_a_tree(random: np.random.Generator) -> None:
    x = random.integers(-9, 10, 64).astype("f4")
    for _, out in in_every_order(TREE, 1, 64, x, np.zeros(1, "f4")):
        assert out[0] == x.sum()


@pytest.mark.feature("warp operations", "lanes are independent: a missing `__syncwarp` is a race")
@pytest.mark.parametrize("order", ORDERS[1:])
@pytest.mark.parametrize("missing", ["written", "read"])
def test_a_missing_syncwarp_is_a_race(missing: str, order: str, random: np.random.Generator) -> None:
    code = without(TREE, f"      __syncwarp();  // {missing}\n")
    fault = marked_fault(code, 1, 64, random.standard_normal(64).astype("f4"), np.zeros(1, "f4"), order=order)
    assert "a race between two threads of a block" in str(fault)


@pytest.mark.feature("warp operations", "lanes are independent: a missing `__syncwarp` is a race")
def test_a_shuffle_does_not_order_memory_and_a_syncwarp_orders_its_own_lanes_alone() -> None:
    code = """extern "C" __global__ void pairs(const float* x, float* out) {
  __shared__ float all[32];
  const int t = threadIdx.x;
  all[t] = x[t];//<
  HERE
  out[t] = all[t ^ BY];//<
}"""

    def of(here: str, by: int) -> str:
        return code.replace("HERE", here).replace("BY", str(by))

    arguments = 1, 32, np.arange(32, dtype="f4"), np.zeros(32, "f4")
    for by in (1, 2):
        for _, out in in_every_order(of("__syncwarp(0xfu << t / 4 * 4);", by), *arguments):
            np.testing.assert_array_equal(out, np.arange(32) ^ by)
    for wrong in (
        of("__syncwarp(0xfu << t / 4 * 4);", 4),
        of("__shfl_sync(~0u, t, 0);", 1),
        of("__ballot_sync(~0u, t);", 1),
    ):
        marked_fault(wrong, *arguments)


WRONG_MASKS = {
    "a lane is not in its own mask": (
        "v = __shfl_xor_sync(0x0000ffff, v, 1);//<",
        "a lane of a warp names a mask in which it is not itself",
    ),
    "half of the warp calls with a mask of all": (
        "if (t < 16) v += __shfl_down_sync(0xffffffff, v, 8);//<",
        "a warp operation waits for lanes that never come; thread (16, 0, 0) has returned",
    ),
    "some have returned": (
        "if (t == 7) return;\n  v += __shfl_down_sync(0xffffffff, v, 8);//<",
        "a warp operation waits for lanes that never come; thread (7, 0, 0) has returned",
    ),
    "some wait at a barrier": (
        "if (t < 9) __syncthreads();\n  else v = __ballot_sync(0xffffffff, 1);//<",
        "a warp operation waits for lanes that never come; thread (0, 0, 0) waits at mine.cu:4",
    ),
    "their masks differ": (
        "v = __shfl_sync(t < 9 ? 0xffffffffu : 0xfffffff0u, v, 8);//<",
        "a warp operation waits for lanes that never come; thread (9, 0, 0) waits at mine.cu:4 with another mask",
    ),
    "they wait at different operations": (
        "if (t < 9) v = __any_sync(0xffffffff, 1);//<\n  else v = __all_sync(0xffffffff, 1);//<",
        "a warp operation waits for lanes that never come; thread (",
    ),
}


@pytest.mark.feature("warp operations", "a wrong mask is a fault, and what lies outside of it no number")
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("wrong", WRONG_MASKS)
def test_a_wrong_mask_is_a_fault(wrong: str, order: str | None) -> None:
    body, told = WRONG_MASKS[wrong]
    code = f"""extern "C" __global__ void f(const int* x, int* out) {{
  const int t = threadIdx.x;
  int v = x[t];
  {body}
  out[t] = v;
}}"""
    arguments = 1, 32, np.arange(32, dtype="i4"), np.zeros(32, "i4")
    assert told in str(marked_fault(code, *arguments, order=order))


@pytest.mark.feature("warp operations", "a wrong mask is a fault, and what lies outside of it no number")
def test_what_a_lane_reads_that_is_not_in_the_mask_is_no_number() -> None:
    code = """extern "C" __global__ void f(const float* x, float* out) {
  if (threadIdx.x < 8) out[threadIdx.x] = __shfl_down_sync(0x000000ffu, x[threadIdx.x], 4);
}"""
    found = in_every_order(code, 1, 32, np.arange(32, dtype="f4"), np.zeros(8, "f4"))
    for (_, out), outside in zip(found, [0, *[np.nan] * (len(found) - 1)]):  # unchecked as GPUs are seen to do
        np.testing.assert_array_equal(out, [4, 5, 6, 7, *[outside] * 4])


@pytest.mark.feature("warp operations", "divergent lanes, each part with its own mask")
def test_halves_of_a_warp_go_their_own_ways(random: np.random.Generator) -> None:
    code = """extern "C" __global__ void f(const int* x, int* out) {
  const int t = threadIdx.x;
  int v = x[t];
  if (t < 16) {
    for (int by = 8; by > 0; by /= 2) v += __shfl_xor_sync(0x0000ffffu, v, by);
  } else {
    for (int by = 1; by < 16; by *= 2) v = max(v, __shfl_xor_sync(0xffff0000u, v, by));
    v += __shfl_sync(0xffff0000u, v, 20);
  }
  out[t] = v;
}"""
    x = random.integers(-99, 100, 32).astype("i4")
    for _, out in in_every_order(code, 1, 32, x, np.zeros(32, "i4")):
        assert set(out[:16]) == {x[:16].sum()}
        assert set(out[16:]) == {2 * x[16:].max()}
