"""`cuda::atomic` and fences on the emulator: what orders memory within a block, and within the device."""

import numpy as np
import pytest
from cuda_kernels import in_every_order, marked_fault, run, without


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
        for _, out in [run(code, *arguments)]:
            assert set(out) == {7}
        fault = marked_fault(code, *arguments)
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
    fault = marked_fault(code, *arguments)
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
        fault = marked_fault(code, *arguments, cooperative=True)
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
    marked_fault(wrong, *arguments, cooperative=True)


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
