"""`cuda::pipeline` on the emulator: of a block, of a thread, and with one of its parts left out."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cuda_kernels import COPY, ORDERS, UNWRITTEN, in_every_order, learners_problems, marked, marked_fault, without
from sampling import sample

from fastae.check.sandbox import cuda_policy

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
def test_a_pipeline_of_a_block(stages: int, random: np.random.Generator) -> None:
    x = random.integers(0, 100, (9, 64)).astype("f4")
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
    fault = marked_fault(code, 1, 64, np.int32(9), np.zeros(576, "f4"), np.zeros(64, "f4"), order=order)
    assert fault.fault in (told, UNWRITTEN) if told else "race" in fault.fault or "asynchronous copy" in fault.fault


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("missing", "place"),
    [("  pipe.producer_commit();  // filled\n", "full"), ("    pipe.consumer_release();  // used\n", "free")],
)
def test_a_pipeline_that_waits_in_vain(missing: str, place: str) -> None:
    code = re.sub(rf"(  // {place})$", r"\1//<", without(marked(PIPELINE), missing), flags=re.MULTILINE)
    fault = marked_fault(code, 1, 64, np.int32(9), np.zeros(576, "f4"), np.zeros(64, "f4"))
    assert fault.fault.startswith("too few threads arrive at this barrier: 0 of 64")


@pytest.mark.feature("asynchronous copies", "`cuda::pipeline` of a block: stages, roles, `make_pipeline`")
@pytest.mark.parametrize(
    "making",
    ["block, &state, t < 32 ? cuda::pipeline_role::producer : cuda::pipeline_role::consumer", "block, &state, 32"],
)
def test_a_pipeline_of_producers_and_consumers(making: str, random: np.random.Generator) -> None:
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
    x = random.integers(0, 100, (6, 64)).astype("f4")
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
def test_a_pipeline_of_each_thread(random: np.random.Generator) -> None:
    x = random.integers(0, 100, (5, 32)).astype("f4")
    waits = "cuda::pipeline_consumer_wait_prior<{}>(pipe);".format
    prior = OF_THREAD.replace("pipe.consumer_wait();", f"if (row + 1 < rows) {waits(1)} else {waits(0)}")
    for code in (OF_THREAD, prior):
        for _, out in in_every_order(code, 1, 32, np.int32(5), x.ravel(), np.zeros(32, "f4")):
            np.testing.assert_array_equal(out, x.sum(0)[::-1])
    wrong = prior.replace("wait_prior<1>", "wait_prior<2>")
    for code, told in ((wrong, COPY), (without(OF_THREAD, "    pipe.consumer_wait();  // come\n"), COPY),
                       (without(OF_THREAD, "    __syncthreads();  // all\n"), "")):  # fmt: skip
        fault = marked_fault(code, 1, 32, np.int32(5), x.ravel(), np.zeros(32, "f4"))
        assert fault.fault == told if told else fault.fault in (COPY, UNWRITTEN) or "race" in fault.fault


# A learner's file.

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
def test_a_learners_kernel_with_asynchronous_copies(tmp_path: Path) -> None:
    assert cuda_policy.of_cuda(LEARNERS) == []
    for code, told in ((LEARNERS, None), (without(LEARNERS, "  pipe.consumer_wait();  // waited\n"), COPY)):
        found = learners_problems(tmp_path / "mine.cu", code, "axpy")
        assert bool(found) == bool(told), found
        assert told is None or told in str(found[0])
