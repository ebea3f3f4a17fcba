"""Asynchronous copies, barriers, pipelines and atomic types of CUDA's library; each fault is found at its line."""

import re
from typing import Any

import numpy as np
import pytest
from conftest import sample
from test_cuda_warps import ORDERS, fault_of, in_every_order, is_at, launch, marked, without

from fastae.backends.emulator import KernelFault, checking, counting, device
from fastae.backends.emulator.compiler import CompileError
from fastae.check.sandbox import cuda_policy

RANDOM = np.random.default_rng(21)
COPY = "it is read before the asynchronous copy into it has been waited for"

UNWRITTEN = "shared memory is read before it is written"  # whoever asks for the copy comes later

# Copies of a thread, in groups.

REVERSED = """#include <cuda_pipeline.h>
__global__ void reversed(const float4* x, float4* out) {
  __shared__ float4 part[64];
  const int t = threadIdx.x;
  __pipeline_memcpy_async(&part[t], &x[blockIdx.x * 64 + t], sizeof(float4));//<copy
  __pipeline_commit();  // committed
  __pipeline_wait_prior(0);  // waited
  __syncthreads();  // met
  out[blockIdx.x * 64 + t] = part[63 - t];//<read
}"""


def quads(n: int) -> np.ndarray:
    return RANDOM.standard_normal(4 * n).astype("f4")


@pytest.mark.feature("asynchronous copies", "`__pipeline_memcpy_async`, `__pipeline_commit`, `__pipeline_wait_prior`")
def test_copies_in_groups() -> None:
    x = quads(128)
    for _, out in in_every_order(REVERSED, 2, 64, x, np.zeros_like(x)):
        np.testing.assert_array_equal(out.reshape(2, 64, 4), x.reshape(2, 64, 4)[:, ::-1])


@pytest.mark.feature(
    "asynchronous copies", "a copy that nobody has waited for, or only one's own: a fault at the access"
)
@pytest.mark.parametrize("order", ORDERS[1:])
@pytest.mark.parametrize(
    ("missing", "told"),
    [
        ("__pipeline_wait_prior(0);  // waited", COPY),
        ("__pipeline_commit();  // committed", COPY),
        ("__syncthreads();  // met", ""),
    ],
)
def test_a_copy_that_has_not_been_waited_for(missing: str, told: str, order: str) -> None:
    code = marked(without(REVERSED, missing), "read")
    x = quads(128)
    fault = fault_of(code, 2, 64, x, np.zeros_like(x), order=order)
    assert is_at(fault, code)
    if told:
        assert fault.fault == told
        assert re.search(r"reading: .*; thread \(\d+, 0, 0\) asked for it, mine.cu:5$", str(fault))
    else:  # each has waited for its own alone: another's is under way, or has come without order
        assert fault.fault in (COPY, "shared memory is read before it is written") or "a race between two" in str(fault)


@pytest.mark.thorough
def test_one_who_has_waited_for_its_own_copy_has_not_for_others() -> None:
    code = marked(without(REVERSED, "  __syncthreads();  // met\n"), "read").replace("63 - t", "t ^ 1")
    x = quads(128)
    fault = fault_of(code, 2, 64, x, np.zeros_like(x), order="reverse")
    assert is_at(fault, code)
    own = code.replace("t ^ 1", "t")
    for _, out in in_every_order(own, 2, 64, x, np.zeros_like(x)):
        np.testing.assert_array_equal(out, x)


STAGES = """#include <cuda_pipeline_primitives.h>
#define STAGES 3
__global__ void sums(int rows, const float* x, float* out) {
  __shared__ float part[STAGES][64];
  const int t = threadIdx.x;
  for (int s = 0; s < STAGES - 1; ++s) {
    if (s < rows) __pipeline_memcpy_async(&part[s][t], &x[s * 64 + t], 4);
    __pipeline_commit();
  }
  float sum = 0;
  for (int row = 0; row < rows; ++row) {
    __pipeline_wait_prior(STAGES - 2);
    __syncthreads();  // all have come
    sum += part[row % STAGES][63 - t];//<read
    const int next = row + STAGES - 1;
    if (next < rows) __pipeline_memcpy_async(&part[next % STAGES][t], &x[next * 64 + t], 4);//<copy
    __pipeline_commit();
  }
  out[t] = sum;
}"""


@pytest.mark.feature("asynchronous copies", "several stages, `__pipeline_wait_prior(N)`; a wrong count is a fault")
def test_stages_of_copies() -> None:
    x = RANDOM.integers(0, 100, (10, 64)).astype("f4")
    for _, out in in_every_order(STAGES, 1, 64, np.int32(10), x.ravel(), np.zeros(64, "f4")):
        np.testing.assert_array_equal(out, x.sum(0)[::-1])


@pytest.mark.feature("asynchronous copies", "several stages, `__pipeline_wait_prior(N)`; a wrong count is a fault")
@pytest.mark.parametrize("order", ORDERS[1:])
def test_a_wait_for_too_few_groups(order: str) -> None:
    code = marked(STAGES.replace("wait_prior(STAGES - 2)", "wait_prior(STAGES - 1)"), "read")
    fault = fault_of(code, 1, 64, np.int32(10), np.zeros(640, "f4"), np.zeros(64, "f4"), order=order)
    assert is_at(fault, code)
    assert fault.fault == COPY


@pytest.mark.thorough
@pytest.mark.parametrize("order", ORDERS[1:])
def test_a_stage_that_is_filled_while_others_read_it(order: str) -> None:
    code = marked(STAGES.replace("#define STAGES 3", "#define STAGES 2").replace("__syncthreads();  // all", "// all"),
                  "copy", "read")  # fmt: skip
    fault = fault_of(code, 1, 64, np.int32(10), np.zeros(640, "f4"), np.zeros(64, "f4"), order=order)
    assert is_at(fault, code)


ZEROS = """#include <cuda_pipeline.h>
__global__ void padded(int n, const float* x, float* out) {
  __shared__ alignas(16) float part[128];
  const int t = threadIdx.x, left = n - 4 * t, bytes = left < 0 ? 0 : left > 4 ? 16 : 4 * left;
  __pipeline_memcpy_async(&part[4 * t], &x[4 * t], 16, 16 - bytes);//<
  __pipeline_commit();
  __pipeline_wait_prior(0);
  for (int i = 0; i < 4; ++i) out[4 * t + i] = part[4 * t + i];
}"""


@pytest.mark.feature("asynchronous copies", "zeros behind what is copied; 4, 8 or 16 bytes, aligned to their size")
def test_zeros_are_written_where_nothing_is_read() -> None:
    x = np.arange(1, 71, dtype="f4")
    for _, out in in_every_order(ZEROS, 1, 32, np.int32(70), x, np.ones(128, "f4")):
        np.testing.assert_array_equal(out, np.pad(x, (0, 58)))
    fault = fault_of(ZEROS, 1, 32, np.int32(75), x, np.ones(128, "f4"))
    assert is_at(fault, ZEROS)
    assert "reading: out of bounds" in str(fault)


@pytest.mark.feature("asynchronous copies", "zeros behind what is copied; 4, 8 or 16 bytes, aligned to their size")
@pytest.mark.parametrize(("change", "how"), [("&x[4 * t + 1]", "reading"), ("&part[4 * t + 2]", "writing")])
def test_a_misaligned_copy(change: str, how: str) -> None:
    code = ZEROS.replace(f"{change.partition(' + ')[0]}]", change, 1) if how == "reading" else ZEROS
    code = code.replace("async(&part[4 * t]", f"async({change}", 1) if how == "writing" else code
    code = code.replace(", &x[4 * t],", f", {change},") if how == "reading" else code
    fault = fault_of(code, 1, 8, np.int32(70), np.ones(128, "f4"), np.ones(128, "f4"))
    assert is_at(fault, code)
    assert f"{how}: a misaligned address" in str(fault)


@pytest.mark.thorough
def test_a_copy_of_another_size_is_refused() -> None:
    code = ZEROS.replace("&x[4 * t], 16, 16 - bytes", "&x[4 * t], 12")
    fault = fault_of(code, 1, 8, np.int32(70), np.ones(128, "f4"), np.ones(128, "f4"))
    assert is_at(fault, code)
    assert "__pipeline_memcpy_async copies 4, 8 or 16 bytes at once" in str(fault)


@pytest.mark.thorough
def test_who_writes_into_a_copy_or_to_its_source() -> None:
    code = """#include <cuda_pipeline.h>
__global__ void f(float* x, float* out) {
  __shared__ float part[32];
  const int t = threadIdx.x;
  part[t] = 0;
  __pipeline_memcpy_async(&part[t], &x[t], 4);
  __pipeline_commit();
  CHANGE//<
  __pipeline_wait_prior(0);
  out[t] = part[t];
}"""
    for change, told in {
        "part[t] = 1;": "it is written before the asynchronous copy into it has been waited for",
        "x[t] = 1;": "it is written before the asynchronous copy from it has been waited for",
        "__pipeline_memcpy_async(&part[t], &x[t], 4);":
            "it is written before the asynchronous copy into it has been waited for",
    }.items():  # fmt: skip
        changed = code.replace("CHANGE", change)
        fault = fault_of(changed, 1, 32, np.ones(32, "f4"), np.zeros(32, "f4"))
        assert is_at(fault, changed)
        assert fault.fault == told
        assert str(fault).endswith("thread (0, 0, 0) asked for it, mine.cu:6")
    for _, out in in_every_order(
        code.replace("CHANGE", "out[t] = x[t];"), 1, 32, np.ones(32, "f4"), np.zeros(32, "f4")
    ):
        assert set(out) == {1}


def test_what_a_copy_costs_is_counted_as_a_read_and_a_write() -> None:
    x = quads(128)
    with counting() as counts:
        launch(REVERSED, 2, 64, x, np.zeros_like(x))
    of = {(c.line, c.memory, c.action): c for c in counts}
    assert of["mine.cu:5", "global", "read"].transactions == of["mine.cu:5", "global", "read"].best == 128 * 16 // 32
    assert of["mine.cu:5", "shared", "write"].accesses == 128


# Copies of a group.

GROUPS = """#include <cooperative_groups.h>
#include <cooperative_groups/memcpy_async.h>
namespace cg = cooperative_groups;
__global__ void rows(int n, const float* x, float* out) {
  extern __shared__ float part[];
  auto block = cg::this_thread_block();
  float sum = 0;
  cg::memcpy_async(block, part, x, sizeof(float) * n);
  for (int row = 0; row < 4; ++row) {
    if (row < 3) cg::memcpy_async(block, part + (row + 1) % 2 * n, x + (row + 1) * n, sizeof(float) * n);
    if (row < 3) cg::wait_prior<1>(block); else cg::wait(block);
    for (int i = block.thread_rank(); i < n; i += block.size()) sum += part[row % 2 * n + n - 1 - i];//<
    block.sync();  // used
  }
  out[block.thread_rank()] = sum;
}"""


@pytest.mark.feature("asynchronous copies", "`cg::memcpy_async`, `cg::wait`, `cg::wait_prior`, of blocks and tiles")
@pytest.mark.parametrize("n", [64, 61])
def test_copies_of_a_block(n: int) -> None:
    x = RANDOM.integers(0, 100, (4, n)).astype("f4")
    expected = np.zeros(32, "f4")
    for i in range(n):
        expected[i % 32] += x[:, n - 1 - i].sum()
    for _, out in in_every_order(GROUPS, 1, 32, np.int32(n), x.ravel(), np.zeros(32, "f4"), shared=8 * n):
        np.testing.assert_array_equal(out, expected)


@pytest.mark.thorough
@pytest.mark.parametrize("order", ORDERS[1:])
def test_a_group_that_waits_for_too_few_copies(order: str) -> None:
    code = GROUPS.replace("wait_prior<1>", "wait_prior<2>")
    fault = fault_of(code, 1, 32, np.int32(64), np.zeros(256, "f4"), np.zeros(32, "f4"), shared=512, order=order)
    assert is_at(fault, code)
    assert fault.fault == COPY


@pytest.mark.thorough
@pytest.mark.feature("asynchronous copies", "`cg::memcpy_async`, `cg::wait`, `cg::wait_prior`, of blocks and tiles")
def test_copies_of_a_tile() -> None:
    code = """#include <cooperative_groups.h>
#include <cooperative_groups/memcpy_async.h>
namespace cg = cooperative_groups;
__global__ void tiles(const float* x, float* out) {
  __shared__ alignas(16) float part[64];
  auto tile = cg::tiled_partition<16>(cg::this_thread_block());
  const int first = tile.meta_group_rank() * 16, t = tile.thread_rank();
  cg::memcpy_async(tile, part + first, x + first, cuda::aligned_size_t<16>(64));
  cg::wait(tile);
  out[first + t] = part[first + 15 - t];
  tile.sync();
  cg::memcpy_async(tile, part + first, 16, x + first, 8);
  cg::wait(tile);
  if (t < 8) out[first + t] += part[first + t];
}"""
    x = np.arange(64, dtype="f4")
    expected = x.reshape(4, 16)[:, ::-1].copy()
    expected[:, :8] += x.reshape(4, 16)[:, :8]
    for _, out in in_every_order(code, 1, 64, x, np.zeros(64, "f4")):
        np.testing.assert_array_equal(out, expected.ravel())


# cuda::barrier.

BARRIER = """#include <cuda/barrier>
#pragma nv_diag_suppress static_var_with_dynamic_init
using barrier = cuda::barrier<cuda::thread_scope_block>;
__global__ void rounds(int n, float* x) {
  __shared__ barrier bar;
  __shared__ float part[64];
  const int t = threadIdx.x;
  if (t == 0) init(&bar, blockDim.x);
  __syncthreads();  // begun
  float mine = x[t];
  barrier::arrival_token token;
  for (int i = 0; i < n; ++i) {
    part[t] = mine;//<write
    token = bar.arrive();//<arrive
    mine = 1;  // of one's own
    bar.wait(std::move(token));//<wait
    mine += part[(t + 1) % blockDim.x];//<read
    bar.arrive_and_wait();  // used
  }
  x[t] = mine;
}"""


@pytest.mark.feature(
    "asynchronous copies", "`cuda::barrier` of a block: `init`, `arrive`, `wait`, `arrive_and_wait`, tokens"
)
def test_a_barrier_whose_arrival_and_wait_are_apart() -> None:
    x = np.arange(48, dtype="f4")
    for (out,) in in_every_order(BARRIER, 1, 48, np.int32(3), x):
        np.testing.assert_array_equal(out, np.roll(x, -3) + 3)


@pytest.mark.feature(
    "asynchronous copies", "a barrier that too few threads reach, or that is used before `init`: a fault"
)
@pytest.mark.parametrize("order", [None, *ORDERS[1:]])
@pytest.mark.parametrize(
    ("change", "place", "told"),
    [
        (("init(&bar, blockDim.x)", "init(&bar, blockDim.x + 1)"), "wait",
         "too few threads arrive at this barrier: 48 of 49 that it was told to expect"),
        (("  const int t = threadIdx.x;", "  const int t = threadIdx.x; if (t == 40) return;"), "wait",
         "too few threads arrive at this barrier: 47 of 48 that it was told to expect"),
        (("if (t == 0) init(&bar, blockDim.x);", ""), "arrive", "the barrier is used before it was initialised"),
        (("bar.arrive();", "bar.arrive(t == 0 ? 49 : 1);"), "arrive", "more arrive at this barrier than it was told"),
    ],
)  # fmt: skip
def test_a_barrier_that_is_used_wrongly(change: tuple[str, str], place: str, told: str, order: str | None) -> None:
    code = marked(BARRIER.replace(*change), place)
    if "return" in change[1]:  # only what it waits for without checks: it has a race, too
        code, order = without(code, "  __syncthreads();  // begun\n"), None
    if order is None:
        with pytest.raises(KernelFault) as caught:
            launch(code, 1, 48, np.int32(3), np.zeros(48, "f4"))
        fault = caught.value
    else:
        fault = fault_of(code, 1, 48, np.int32(3), np.zeros(48, "f4"), order=order)
    assert is_at(fault, code)
    assert fault.fault.startswith(told)


@pytest.mark.parametrize("order", ORDERS[1:])
@pytest.mark.parametrize(
    ("change", "places"),
    [
        (("  __syncthreads();  // begun\n", ""), ("arrive",)),
        (("    bar.wait(std::move(token));//<wait\n", ""), ("read", "write")),
        (("    bar.arrive_and_wait();  // used\n", ""), ("read", "write")),
        (("    part[t] = mine;//<write\n    token = bar.arrive();//<arrive\n",
          "    token = bar.arrive();//<arrive\n    part[t] = mine;//<write\n"), ("read", "write")),
    ],
)  # fmt: skip
def test_a_barrier_orders_what_was_before_the_arrival(change: tuple[str, str], places: Any, order: str) -> None:
    assert change[0] in BARRIER
    code = marked(BARRIER.replace(*change), *places)
    fault = fault_of(code, 1, 48, np.int32(3), np.zeros(48, "f4"), order=order)
    assert is_at(fault, code) or "used before it was initialised" in str(fault)
    assert (
        "race between two threads" in str(fault)
        or "is read before it is written" in str(fault)
        or ("used before it was initialised" in str(fault))
    )


@pytest.mark.feature("asynchronous copies", "`cuda::barrier`: one arrival for a warp, `arrive_and_drop`, `try_wait`")
def test_producers_and_consumers_by_two_barriers() -> None:
    code = """#include <cuda/barrier>
using barrier = cuda::barrier<cuda::thread_scope_block>;
__global__ void stream(int rows, const float* x, float* out) {
  __shared__ barrier full[2], empty[2];
  __shared__ float part[2][32];
  const int t = threadIdx.x, lane = t % 32;
  if (t < 2) init(&full[t], 1), init(&empty[t], 32);
  __syncthreads();
  if (t < 32) {  // a warp that fills, of which one arrives
    for (int row = 0; row < rows; ++row) {
      if (row >= 2) empty[row % 2].wait_parity((row / 2 - 1) & 1);
      part[row % 2][lane] = x[row * 32 + lane];//<write
      __syncwarp();  // of the warp
      if (lane == 0) (void)full[row % 2].arrive();
    }
  } else {
    float sum = 0;
    for (int row = 0; row < rows; ++row) {
      while (!full[row % 2].try_wait_parity(row / 2 & 1)) {}
      sum += part[row % 2][31 - lane];//<read
      (void)empty[row % 2].arrive();  // used
    }
    out[lane] = sum;
  }
}"""
    x = RANDOM.integers(0, 100, (7, 32)).astype("f4")
    for _, out in in_every_order(code, 1, 64, np.int32(7), x.ravel(), np.zeros(32, "f4")):
        np.testing.assert_array_equal(out, x.sum(0)[::-1])
    for missing in (
        "      __syncwarp();  // of the warp\n",
        "      if (row >= 2) empty[row % 2].wait_parity((row / 2 - 1) & 1);\n",
    ):
        wrong = marked(without(code, missing), "read", "write")
        fault = fault_of(wrong, 1, 64, np.int32(7), x.ravel(), np.zeros(32, "f4"))
        if "wait_parity" in missing and "waits for ever" in fault.fault:  # for a phase that has gone by
            continue
        assert is_at(fault, wrong), missing
        assert "race between two threads" in str(fault)


@pytest.mark.thorough
@pytest.mark.feature("asynchronous copies", "`cuda::barrier`: one arrival for a warp, `arrive_and_drop`, `try_wait`")
def test_threads_that_leave_a_barrier() -> None:
    code = """#include <cuda/barrier>
__global__ void shrinking(int* out) {
  __shared__ cuda::barrier<cuda::thread_scope_block> bar;
  __shared__ int left;
  if (threadIdx.x == 0) init(&bar, blockDim.x), left = 0;
  __syncthreads();
  for (int i = 0; i < threadIdx.x % 4; ++i) bar.arrive_and_wait();
  atomicAdd(&left, 1);
  bar.arrive_and_drop();
  if (threadIdx.x % 4 < 3) return;
  out[threadIdx.x / 4] = left;
}"""
    for (out,) in in_every_order(code.replace("= left;", "= atomicAdd(&left, 0);"), 1, 32, np.zeros(8, "i4")):
        assert all(25 <= n <= 32 for n in out)


BROUGHT = """#include <cuda/barrier>
#include <cooperative_groups.h>
__global__ void tile(int n, const float* x, float* out) {
  __shared__ cuda::barrier<cuda::thread_scope_block> bar;
  extern __shared__ float part[];
  auto block = cooperative_groups::this_thread_block();
  if (block.thread_rank() == 0) init(&bar, block.size());
  block.sync();
  for (int row = 0; row < 3; ++row) {
    cuda::memcpy_async(block, part, x + row * n, sizeof(float) * n, bar);//<copy
    bar.arrive_and_wait();  // brought
    for (int i = block.thread_rank(); i < n; i += block.size()) out[row * n + i] = part[n - 1 - i];//<read
    block.sync();  // used
  }
}"""


@pytest.mark.feature(
    "asynchronous copies", "`cuda::memcpy_async` with a barrier, of a thread and of a group; `cuda::aligned_size_t`"
)
@pytest.mark.parametrize("n", [64, 50])
def test_a_copy_that_a_barrier_brings(n: int) -> None:
    x = quads(3 * n)[: 3 * n]
    for _, out in in_every_order(BROUGHT, 1, 32, np.int32(n), x, np.zeros_like(x), shared=4 * n):
        np.testing.assert_array_equal(out.reshape(3, n), x.reshape(3, n)[:, ::-1])


@pytest.mark.feature(
    "asynchronous copies", "a copy that nobody has waited for, or only one's own: a fault at the access"
)
@pytest.mark.parametrize("order", ORDERS[1:])
@pytest.mark.parametrize(
    ("change", "places", "told"),
    [
        (("    bar.arrive_and_wait();  // brought\n", ""), ("read",), COPY),
        (("    bar.arrive_and_wait();  // brought\n", "    (void)bar.arrive();\n"), ("read",), COPY),
        (("    block.sync();  // used\n", ""), ("copy", "read"), ""),
    ],
)
def test_a_copy_of_a_barrier_that_nobody_waits_for(change: Any, places: Any, told: str, order: str) -> None:
    code = marked(BROUGHT.replace(*change), *places)
    fault = fault_of(code, 1, 32, np.int32(64), np.zeros(192, "f4"), np.zeros(192, "f4"), shared=256, order=order)
    assert is_at(fault, code)
    assert fault.fault in (told, UNWRITTEN) if told else "race" in fault.fault or "asynchronous copy" in fault.fault


@pytest.mark.thorough
def test_a_thread_that_has_not_waited_for_what_others_have() -> None:
    code = marked(BROUGHT.replace("bar.arrive_and_wait();", """{
      auto token = bar.arrive();
      if (block.thread_rank() != 7) bar.wait(std::move(token));
    }"""), "read")  # fmt: skip
    for order in ORDERS[1:]:
        fault = fault_of(code, 1, 32, np.int32(64), np.zeros(192, "f4"), np.zeros(192, "f4"), shared=256, order=order)
        assert is_at(fault, code)
        assert fault.thread == (7, 0, 0)
        assert fault.fault in (COPY, UNWRITTEN) or str(fault).endswith(
            "; the other is an asynchronous copy that writes, mine.cu:10"
        )


@pytest.mark.feature(
    "asynchronous copies", "`cuda::memcpy_async` with a barrier, of a thread and of a group; `cuda::aligned_size_t`"
)
def test_a_promise_of_alignment_that_does_not_hold() -> None:
    code = BROUGHT.replace("sizeof(float) * n, bar", "cuda::aligned_size_t<16>(sizeof(float) * n), bar")
    x = quads(48)
    for _, out in in_every_order(code, 1, 32, np.int32(64), x, np.zeros_like(x), shared=256):
        np.testing.assert_array_equal(out.reshape(3, 64), x.reshape(3, 64)[:, ::-1])
    code = marked(code, "copy")
    fault = fault_of(code, 1, 32, np.int32(50), x, np.zeros_like(x), shared=256)
    assert is_at(fault, code)
    assert "reading: a misaligned address" in str(fault)


# cuda::pipeline.

PIPELINE = """#include <cuda/pipeline>
#include <cooperative_groups.h>
namespace cg = cooperative_groups;
__global__ void sums(int rows, const float* x, float* out) {
  constexpr int STAGES = 2;
  __shared__ float part[STAGES][64];
  __shared__ cuda::pipeline_shared_state<cuda::thread_scope::thread_scope_block, STAGES> state;
  auto block = cg::this_thread_block();
  auto pipe = cuda::make_pipeline(block, &state);
  const int t = block.thread_rank();
  float sum = 0;
  for (int row = 0, next = 0; row < rows; ++row) {
    for (; next < rows && next < row + STAGES; ++next) {
      pipe.producer_acquire();  // free
      cuda::memcpy_async(block, part[next % STAGES], x + next * 64, sizeof(float) * 64, pipe);//<copy
      pipe.producer_commit();  // filled
    }
    pipe.consumer_wait();  // full
    sum += part[row % STAGES][63 - t];//<read
    pipe.consumer_release();  // used
  }
  out[t] = sum;
}"""


@pytest.mark.feature("asynchronous copies", "`cuda::pipeline` of a block: stages, roles, `make_pipeline`")
@pytest.mark.parametrize("stages", sample([2, 1, 4], 3))
def test_a_pipeline_of_a_block(stages: int) -> None:
    x = RANDOM.integers(0, 100, (9, 64)).astype("f4")
    code = PIPELINE.replace("STAGES = 2", f"STAGES = {stages}")
    for _, out in in_every_order(code, 1, 64, np.int32(9), x.ravel(), np.zeros(64, "f4")):
        np.testing.assert_array_equal(out, x.sum(0)[::-1])


@pytest.mark.feature(
    "asynchronous copies", "`cuda::pipeline` of a block: a stage that is read too early, or filled too early"
)
@pytest.mark.parametrize("order", ORDERS[1:])
@pytest.mark.parametrize(
    ("missing", "places", "told"),
    [
        ("    pipe.consumer_wait();  // full\n", ("read",), COPY),
        ("      pipe.producer_acquire();  // free\n", ("copy", "read"), ""),
    ],
)
def test_a_pipeline_without_one_of_its_parts(missing: str, places: Any, told: str, order: str) -> None:
    code = marked(without(PIPELINE, missing), *places)
    fault = fault_of(code, 1, 64, np.int32(9), np.zeros(576, "f4"), np.zeros(64, "f4"), order=order)
    assert is_at(fault, code)
    assert fault.fault in (told, UNWRITTEN) if told else "race" in fault.fault or "asynchronous copy" in fault.fault


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("missing", "place"),
    [("  pipe.producer_commit();  // filled\n", "full"), ("    pipe.consumer_release();  // used\n", "free")],
)
def test_a_pipeline_that_waits_in_vain(missing: str, place: str) -> None:
    code = re.sub(rf"(  // {place})$", r"\1//<", without(marked(PIPELINE), missing), flags=re.MULTILINE)
    fault = fault_of(code, 1, 64, np.int32(9), np.zeros(576, "f4"), np.zeros(64, "f4"))
    assert is_at(fault, code)
    assert fault.fault.startswith("too few threads arrive at this barrier: 0 of 64")


@pytest.mark.feature("asynchronous copies", "`cuda::pipeline` of a block: stages, roles, `make_pipeline`")
@pytest.mark.parametrize(
    "making",
    ["block, &state, t < 32 ? cuda::pipeline_role::producer : cuda::pipeline_role::consumer", "block, &state, 32"],
)
def test_a_pipeline_of_producers_and_consumers(making: str) -> None:
    code = """#include <cuda/pipeline>
#include <cooperative_groups.h>
__global__ void sums(int rows, const float* x, float* out) {
  __shared__ float part[2][64];
  __shared__ cuda::pipeline_shared_state<cuda::thread_scope_block, 2> state;
  auto block = cooperative_groups::this_thread_block();
  const int t = block.thread_rank();
  auto pipe = cuda::make_pipeline(MAKING);
  float sum = 0;
  for (int row = 0; row < rows; ++row) {
    if (t < 32) {
      pipe.producer_acquire();
      for (int i = t; i < 64; i += 32) cuda::memcpy_async(&part[row % 2][i], &x[row * 64 + i], sizeof(float), pipe);
      pipe.producer_commit();
    } else {
      pipe.consumer_wait();
      for (int i = t - 32; i < 64; i += 32) sum += part[row % 2][63 - i];
      pipe.consumer_release();
    }
  }
  if (t >= 32) out[t - 32] = sum;
}""".replace("MAKING", making)
    x = RANDOM.integers(0, 100, (6, 64)).astype("f4")
    for _, out in in_every_order(code, 1, 64, np.int32(6), x.ravel(), np.zeros(32, "f4")):
        np.testing.assert_array_equal(out, x.reshape(6, 2, 32).sum((0, 1))[::-1])


OF_THREAD = """#include <cuda/pipeline>
__global__ void sums(int rows, const float* x, float* out) {
  __shared__ float part[2][32];
  auto pipe = cuda::make_pipeline();
  const int t = threadIdx.x;
  pipe.producer_acquire();
  cuda::memcpy_async(&part[0][t], &x[t], sizeof(float), pipe);
  pipe.producer_commit();
  float sum = 0;
  for (int row = 0; row < rows; ++row) {
    if (row + 1 < rows) {
      pipe.producer_acquire();
      cuda::memcpy_async(&part[(row + 1) % 2][t], &x[(row + 1) * 32 + t], cuda::aligned_size_t<4>(4), pipe);
      pipe.producer_commit();
    }
    pipe.consumer_wait();  // come
    __syncthreads();  // all
    sum += part[row % 2][31 - t];//<
    __syncthreads();  // used
    pipe.consumer_release();
  }
  out[t] = sum;
}"""


@pytest.mark.feature("asynchronous copies", "`cuda::pipeline` of a thread, `pipeline_consumer_wait_prior`")
def test_a_pipeline_of_each_thread() -> None:
    x = RANDOM.integers(0, 100, (5, 32)).astype("f4")
    waits = "cuda::pipeline_consumer_wait_prior<{}>(pipe);".format
    prior = OF_THREAD.replace("pipe.consumer_wait();", f"if (row + 1 < rows) {waits(1)} else {waits(0)}")
    for code in (OF_THREAD, prior):
        for _, out in in_every_order(code, 1, 32, np.int32(5), x.ravel(), np.zeros(32, "f4")):
            np.testing.assert_array_equal(out, x.sum(0)[::-1])
    wrong = prior.replace("wait_prior<1>", "wait_prior<2>")
    for code, told in ((wrong, COPY), (without(OF_THREAD, "    pipe.consumer_wait();  // come\n"), COPY),
                       (without(OF_THREAD, "    __syncthreads();  // all\n"), "")):  # fmt: skip
        fault = fault_of(code, 1, 32, np.int32(5), x.ravel(), np.zeros(32, "f4"))
        assert is_at(fault, code)
        assert fault.fault == told if told else fault.fault in (COPY, UNWRITTEN) or "race" in fault.fault


# cuda::atomic.


@pytest.mark.feature(
    "atomics",
    "`cuda::atomic`, `cuda::atomic_ref`, `cuda::std::atomic`: every operation, on whole numbers, floats and pointers",
)
def test_atomic_types() -> None:
    code = """#include <cuda/atomic>
__device__ cuda::atomic<int, cuda::thread_scope_device> global{0};
__global__ void f(float* real, unsigned* bits, int* out) {
  __shared__ cuda::atomic<int, cuda::thread_scope_block> shared;
  __shared__ cuda::std::atomic<unsigned long long> wide;
  if (threadIdx.x == 0) shared = 5, wide.store(1ull << 40), global.store(0, cuda::memory_order_relaxed);
  __syncthreads();
  shared.fetch_add(2, cuda::memory_order_relaxed);
  wide += 3, global++, --global, ++global;
  cuda::atomic_ref<float, cuda::thread_scope_device> sum(*real);
  sum.fetch_add(0.5f, cuda::std::memory_order_relaxed);
  cuda::atomic_ref<unsigned> mask(*bits);
  mask.fetch_or(1u << threadIdx.x % 32);
  mask &= ~1u;
  __syncthreads();
  if (threadIdx.x) return;
  int expected = 4;
  out[0] = shared.load(), out[1] = wide.load() - (1ull << 40), out[2] = global;
  out[3] = shared.compare_exchange_strong(expected, 9), out[4] = expected;
  out[5] = shared.compare_exchange_weak(expected, 9, cuda::memory_order_acq_rel, cuda::memory_order_relaxed);
  out[6] = shared.exchange(1), out[7] = shared.fetch_max(3), out[8] = shared.fetch_min(-1), out[9] = shared;
  cuda::atomic<int*, cuda::thread_scope_thread> at(out);
  at.fetch_add(10);
  *at.load() = sizeof(cuda::atomic<double>);
}"""
    for real, bits, out in in_every_order(code, 1, 64, np.zeros(1, "f4"), np.zeros(1, "u4"), np.zeros(11, "i4")):
        assert real[0] == 32
        assert bits[0] | 1 == 0xFFFFFFFF
        assert out.tolist() == [133, 192, 64, 0, 133, 1, 9, 1, 3, -1, 8]


MESSAGE = """#include <cuda/atomic>
__global__ void f(const float* x, float* out) {
  __shared__ cuda::atomic<int, cuda::thread_scope_block> ready;
  __shared__ float value;
  if (threadIdx.x == 0) ready.store(0, cuda::memory_order_relaxed);
  __syncthreads();
  if (threadIdx.x == 64) {
    value = x[0];//<
    ready.store(1, cuda::memory_order_release);
  }
  if (threadIdx.x < 32) {
    while (ready.load(cuda::memory_order_acquire) == 0) {}
    out[threadIdx.x] = value;//<
  }
}"""


@pytest.mark.feature(
    "atomics", "orders of memory: release and acquire order other accesses, relaxed does not; waiting in a loop"
)
def test_a_message_within_a_block() -> None:
    arguments = 1, 96, np.full(1, 7, "f4"), np.zeros(32, "f4")
    wait = MESSAGE.replace("while (ready.load(cuda::memory_order_acquire) == 0) {}", "ready.wait(0);")
    for code in (MESSAGE, wait):
        for _, out in in_every_order(code, *arguments):
            assert set(out) == {7}
    for order in ("release", "acquire"):
        code = MESSAGE.replace(f"memory_order_{order}", "memory_order_relaxed")
        for _, out in [launch(code, *arguments)]:
            assert set(out) == {7}
        fault = fault_of(code, *arguments)
        assert is_at(fault, code)
        assert "race between two threads" in str(fault)


FENCED = """__global__ void f(const float* x, float* out) {
  __shared__ volatile int ready;
  __shared__ float value;
  if (threadIdx.x == 0) ready = 0;
  __syncthreads();
  if (threadIdx.x == 64) {
    value = x[0];//<
    __threadfence_block();  // told
    ready = 1;
  }
  if (threadIdx.x < 32) {
    while (ready == 0) __nanosleep(20);
    __threadfence_block();  // heard
    out[threadIdx.x] = value;//<
  }
}"""


@pytest.mark.feature("barriers and fences", "`__threadfence_block` orders within a block, and not between blocks")
def test_a_fence_of_a_block() -> None:
    arguments = 1, 96, np.full(1, 7, "f4"), np.zeros(32, "f4")
    for _, out in in_every_order(FENCED, *arguments):
        assert set(out) == {7}
    code = without(FENCED, "    __threadfence_block();  // told\n")
    fault = fault_of(code, *arguments)
    assert is_at(fault, code)
    assert "race between two threads" in str(fault)


@pytest.mark.thorough
@pytest.mark.feature("barriers and fences", "`__threadfence_block` orders within a block, and not between blocks")
@pytest.mark.parametrize("fence", ["__threadfence", "__threadfence_block", "cuda::atomic_thread_fence"])
def test_a_fence_of_a_block_is_not_one_of_the_device(fence: str) -> None:
    calls = {
        "cuda::atomic_thread_fence": "cuda::atomic_thread_fence(cuda::memory_order_seq_cst, cuda::thread_scope_device)"
    }
    code = """#include <cuda/atomic>
__global__ void f(float* value, volatile int* ready, float* out) {
  if (threadIdx.x) return;
  if (blockIdx.x == 0) {
    *value = 7;//<
    FENCE;
    *ready = 1;
  } else {
    while (*ready == 0) __nanosleep(20);
    FENCE;
    *out = *value;//<
  }
}""".replace("FENCE", calls.get(fence, f"{fence}()"))
    arguments = 2, 32, np.zeros(1, "f4"), np.zeros(1, "i4"), np.zeros(1, "f4")
    if "block" in fence:
        fault = fault_of(code, *arguments, cooperative=True)
        assert is_at(fault, code)
        assert "a race between two blocks" in str(fault)
    else:
        for *_, out in in_every_order(code, *arguments, cooperative=True):
            assert out[0] == 7


@pytest.mark.thorough
def test_what_a_warp_knows_its_messenger_tells() -> None:
    code = """__global__ void f(float* values, volatile int* ready, float* out) {
  if (blockIdx.x == 0) {
    values[threadIdx.x] = threadIdx.x;//<
    __syncwarp();  // of the warp
    if (threadIdx.x == 0) {
      __threadfence();
      *ready = 1;
    }
  } else {
    while (*ready == 0) __nanosleep(20);
    __threadfence();
    out[threadIdx.x] = values[31 - threadIdx.x];//<
  }
}"""
    arguments = 2, 32, np.zeros(32, "f4"), np.zeros(1, "i4"), np.zeros(32, "f4")
    for *_, out in in_every_order(code, *arguments, cooperative=True):
        np.testing.assert_array_equal(out, np.arange(32)[::-1])
    wrong = without(code, "    __syncwarp();  // of the warp\n")
    assert is_at(fault_of(wrong, *arguments, cooperative=True), wrong)


@pytest.mark.feature("atomics", "a lock that threads of a block wait for, by `cuda::atomic`")
def test_a_lock_within_a_block() -> None:
    code = """#include <cuda/atomic>
__global__ void f(int* total) {
  __shared__ cuda::atomic<int, cuda::thread_scope_block> lock;
  if (threadIdx.x == 0) lock = 0;
  __syncthreads();
  while (lock.exchange(1, cuda::memory_order_acquire)) {}
  *total += threadIdx.x;
  lock.store(0, cuda::memory_order_release);
}"""
    for (out,) in in_every_order(code, 1, 64, np.zeros(1, "i4")):
        assert out[0] == 64 * 63 // 2


# cuda::std, and headers.


@pytest.mark.feature("language", "`cuda::std`: the standard library's headers by their names in CUDA's")
def test_the_standard_library_by_cudas_name() -> None:
    code = """#include <cuda/std/array>
#include <cuda/std/cmath>
#include <cuda/std/complex>
#include <cuda/std/cstdint>
#include <cuda/std/limits>
#include <cuda/std/tuple>
#include <cuda/std/type_traits>
#include <cuda/std/utility>
template <class T>
__device__ cuda::std::enable_if_t<cuda::std::is_integral_v<T>, T> twice(T x) { return 2 * x; }
__global__ void f(float x, double* out) {
  cuda::std::array<int, 3> a{1, 2, 3};
  cuda::std::complex<float> z(x, x);
  z *= z;
  auto [first, second] = cuda::std::make_tuple(a[2], cuda::std::numeric_limits<cuda::std::uint8_t>::max());
  cuda::std::swap(a[0], a[1]);
  out[0] = z.imag(), out[1] = first, out[2] = second, out[3] = a[0], out[4] = twice(3), out[5] = cuda::std::sqrt(x);
}"""
    for (out,) in in_every_order(code, 1, 1, np.float32(2), np.zeros(6)):
        np.testing.assert_allclose(out, [8, 3, 255, 2, 6, 2**0.5], rtol=1e-6)


@pytest.mark.feature("language", "`cuda::std`: spans, bits and numbers of C++20; `cuda::ceil_div` and its like")
def test_what_came_with_newer_standards() -> None:
    code = """#include <cuda/cmath>
#include <cuda/std/array>
#include <cuda/std/bit>
#include <cuda/std/numbers>
#include <cuda/std/span>
__device__ float total(cuda::std::span<const float> all) {
  float sum = 0;
  for (float x : all) sum += x;
  return sum;
}
__global__ void f(const float* x, int n, double* out) {
  cuda::std::span<const float> all{x, (size_t)n};
  cuda::std::array<float, 2> two{1, 2};
  float three[3] = {1, 2, 3};
  out[0] = total(all), out[1] = total(all.subspan(1, 2)), out[2] = total(two) + total(three);
  out[3] = all.back() + all.first(2).size() + cuda::std::span(three).size();
  out[4] = cuda::ceil_div(n, 3) + 10 * cuda::round_up(n, 4) + 1000 * cuda::round_down(n, 4);
  out[5] = cuda::std::popcount(0xf0u) + 10 * cuda::std::countl_zero(1u) + 1000 * cuda::std::bit_ceil(5u);
  out[6] = cuda::std::bit_cast<int>(1.0f), out[7] = cuda::std::rotl((unsigned char)0x81, 1);
  out[8] = cuda::std::numbers::pi_v<float>, out[9] = cuda::std::countr_zero((unsigned short)0);
}"""
    x = np.arange(1, 6, dtype=np.float32)
    for x_after, out in in_every_order(code, 1, 1, x, np.int32(5), np.zeros(10)):
        assert x_after.tolist() == x.tolist()
        expected = [15, 5, 9, 10, 2 + 10 * 8 + 1000 * 4, 4 + 310 + 8000, 0x3F800000, 3, np.float32(np.pi), 16]
        assert out.tolist() == expected


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("cuda::barrier<cuda::thread_scope_device> b;", "cuda::barrier of other scopes than thread_scope_block is not"),
        (
            "cuda::device::barrier_arrive_tx(b, 1, 2);",
            "cuda::device::barrier_arrive_tx, for bulk copies and PTX, is not",
        ),
        (
            "cuda::counting_semaphore<cuda::thread_scope_block> s;",
            "cuda::counting_semaphore, of CUDA's library, is not",
        ),
    ],
)
def test_what_of_it_is_not_emulated_is_told(code: str, told: str) -> None:
    with pytest.raises(CompileError, match=re.escape(told)):
        launch(f"#include <cuda/barrier>\n__global__ void f(int* x) {{\n  {code}\n}}", 1, 1, np.zeros(1, "i4"))


LEARNERS = """#include <cuda/pipeline>
#include <cuda/atomic>
#include <cuda_pipeline.h>
// launch axpy: grid (ceil(n / 32), m), block (32)
__global__ void axpy(int m, int n, real alpha, const real* alpha_at, const real* x, long long x_stride,
                     real* y, long long y_stride) {
  __shared__ real part[32];
  const int row = blockIdx.y, col = blockIdx.x * blockDim.x + threadIdx.x;
  auto pipe = cuda::make_pipeline();
  pipe.producer_acquire();
  if (col < n) cuda::memcpy_async(&part[threadIdx.x], &x[row * x_stride + col], sizeof(real), pipe);
  pipe.producer_commit();
  if (alpha_at) alpha = *alpha_at;
  const int bits = __popc(n) + __clz(m) + __ffs(n) + int(__umul64hi(n, ~0ull)) + __popcll(n) + int(__int128(n) / m);
  pipe.consumer_wait();  // waited
  if (col < n) y[row * y_stride + col] += alpha * part[threadIdx.x] + (bits == -1);
}
"""


@pytest.mark.feature("learners' files", "asynchronous copies, and arithmetic that calls the compiler's own library")
def test_a_learners_kernel_with_asynchronous_copies(tmp_path: Any) -> None:
    import contextlib

    from fastae.check import verdict
    from fastae.check.sandbox.remote import Remote

    path = tmp_path / "mine.cu"
    assert cuda_policy.of_cuda(LEARNERS) == []
    for code, told in ((LEARNERS, None), (without(LEARNERS, "  pipe.consumer_wait();  // waited\n"), COPY)):
        path.write_text(code, encoding="utf-8")
        with contextlib.closing(Remote(path, "emulator")) as k:
            found = verdict.examine(k, "axpy", 1).problems
        assert bool(found) == bool(told), found
        assert told is None or told in str(found[0])


def test_constants_are_counted_as_what_they_are() -> None:
    code = """__constant__ float weights[64];
__global__ void f(float* out) {
  float sum = weights[3];//one
  sum += weights[threadIdx.x];//each
  sum += weights[threadIdx.x / 16];//two
  out[threadIdx.x] = sum;
}"""
    with counting() as counts:
        launch(code, 1, 64, np.zeros(64, "f4"))
    of = {c.line: c for c in counts if c.memory == "constant"}
    assert {line: (c.requests, c.transactions, c.best) for line, c in of.items()} == {
        "mine.cu:3": (2, 2, 2), "mine.cu:4": (2, 64, 2), "mine.cu:5": (2, 4, 2)
    }  # fmt: skip
    assert [c.memory for c in counts if c.action == "write"] == ["global"]


def test_nothing_is_left_of_a_launch_that_was_ended_by_a_fault() -> None:
    code = marked(without(REVERSED, "  __pipeline_wait_prior(0);  // waited\n"), "read")
    x = quads(64)
    given = device.array(x)
    for _ in range(2):
        with pytest.raises(Exception, match="asynchronous copy"), checking():
            launch(code, 1, 64, given, np.zeros_like(x))
    for _, out in in_every_order(REVERSED, 1, 64, x, np.zeros_like(x)):
        assert out.any()
