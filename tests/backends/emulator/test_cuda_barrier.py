"""`cuda::barrier` on the emulator: what it orders, and each way to use it wrongly."""

import re
from typing import Any

import numpy as np
import pytest
from cuda_kernels import (
    COPY,
    ORDERS,
    UNWRITTEN,
    fault_of,
    in_every_order,
    marked,
    marked_fault,
    marks,
    quads,
    run,
    without,
)

from fastae.backends.emulator.source import CompileError

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
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(
    ("change", "place", "told"),
    [
        (("init(&bar, blockDim.x)", "init(&bar, blockDim.x + 1)"), "wait",
         "too few threads arrive at this barrier: 48 of 49 that it expects"),
        (("  const int t = threadIdx.x;", "  const int t = threadIdx.x; if (t == 40) return;"), "wait",
         "too few threads arrive at this barrier: 47 of 48 that it expects"),
        (("if (t == 0) init(&bar, blockDim.x);", ""), "arrive", "the barrier is used before it was initialised"),
        (("bar.arrive();", "bar.arrive(t == 0 ? 49 : 1);"), "arrive", "more threads arrive at this barrier than"),
    ],
)  # fmt: skip
def test_a_barrier_that_is_used_wrongly(change: tuple[str, str], place: str, told: str, order: str | None) -> None:
    code = marked(BARRIER.replace(*change), place)
    if "return" in change[1]:  # only what it waits for without checks: it has a race, too
        code, order = without(code, "  __syncthreads();  // begun\n"), None
    fault = marked_fault(code, 1, 48, np.int32(3), np.zeros(48, "f4"), order=order)
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
    assert fault.line in marks(code) or "used before it was initialised" in str(fault)
    assert re.search("race between two threads|read before it is written|used before it was initialised", str(fault))


@pytest.mark.feature("asynchronous copies", "`cuda::barrier`: one arrival for a warp, `arrive_and_drop`, `try_wait`")
def test_producers_and_consumers_by_two_barriers(random: np.random.Generator) -> None:
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
    x = random.integers(0, 100, (7, 32)).astype("f4")
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
        assert fault.line in marks(wrong), missing
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


def test_a_barrier_of_another_scope_is_refused() -> None:
    code = BARRIER.replace("thread_scope_block", "thread_scope_device")
    with pytest.raises(CompileError, match="cuda::barrier of other scopes than thread_scope_block is not emulated"):
        run(code, 1, 64, np.int32(7), np.zeros(64, "f4"))


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
def test_a_copy_that_a_barrier_brings(n: int, random: np.random.Generator) -> None:
    x = quads(random, 3 * n)[: 3 * n]
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
    fault = marked_fault(code, 1, 32, np.int32(64), np.zeros(192, "f4"), np.zeros(192, "f4"), shared=256, order=order)
    assert fault.fault in (told, UNWRITTEN) if told else "race" in fault.fault or "asynchronous copy" in fault.fault


@pytest.mark.thorough
def test_a_thread_that_has_not_waited_for_what_others_have() -> None:
    code = marked(BROUGHT.replace("bar.arrive_and_wait();", """{
      auto token = bar.arrive();
      if (block.thread_rank() != 7) bar.wait(std::move(token));
    }"""), "read")  # fmt: skip
    for order in ORDERS[1:]:
        fault = marked_fault(
            code, 1, 32, np.int32(64), np.zeros(192, "f4"), np.zeros(192, "f4"), shared=256, order=order
        )
        assert fault.thread == (7, 0, 0)
        assert fault.fault in (COPY, UNWRITTEN) or str(fault).endswith(
            "; the other is an asynchronous copy that writes, mine.cu:10"
        )


@pytest.mark.feature(
    "asynchronous copies", "`cuda::memcpy_async` with a barrier, of a thread and of a group; `cuda::aligned_size_t`"
)
def test_a_promise_of_alignment_that_does_not_hold(random: np.random.Generator) -> None:
    code = BROUGHT.replace("sizeof(float) * n, bar", "cuda::aligned_size_t<16>(sizeof(float) * n), bar")
    x = quads(random, 48)
    for _, out in in_every_order(code, 1, 32, np.int32(64), x, np.zeros_like(x), shared=256):
        np.testing.assert_array_equal(out.reshape(3, 64), x.reshape(3, 64)[:, ::-1])
    code = marked(code, "copy")
    fault = marked_fault(code, 1, 32, np.int32(50), x, np.zeros_like(x), shared=256)
    assert "reading: a misaligned address" in str(fault)
