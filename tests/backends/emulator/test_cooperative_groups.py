"""Cooperative groups on the emulator: tiles, blocks and the grid; a learner's file that has them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cuda_kernels import ORDERS, in_every_order, in_order, marked, marked_fault, marks, run, without
from warp_programs import CONVOLUTION, COUNTERS, GROUPS, HISTOGRAM, REDUCED, SOFTMAX, VIEWS, VOTES

from fastae.backends.emulator import KernelFault, checking, device
from fastae.backends.emulator import compiler as compilers
from fastae.check import learner
from fastae.check.sandbox import cuda_policy
from fastae.errors import InputError

# Cooperative groups.


@pytest.mark.feature("cooperative groups", "tiles of a warp: shuffles, `reduce`")
def test_a_softmax_with_a_warp_for_each_row(random: np.random.Generator) -> None:
    x = random.standard_normal((7, 45)).astype("f4")
    exact = np.exp(x.astype("f8") - x.max(1, keepdims=True))
    for _, out in in_every_order(SOFTMAX, 2, 128, np.int32(7), np.int32(45), x, np.zeros_like(x)):
        np.testing.assert_allclose(out, exact / exact.sum(1, keepdims=True), rtol=1e-5)


LAYERNORM = """#include <cooperative_groups.h>
#include <cooperative_groups/reduce.h>
using namespace cooperative_groups;
extern "C" __global__ void layernorm(int cols, const float* x, float* out) {
  __shared__ float sums[32], squares[32];
  auto block = this_thread_block();
  auto warp = tiled_partition<32>(block);
  const float* const row = x + blockIdx.x * cols;
  float sum = 0, square = 0;
  for (int i = block.thread_rank(); i < cols; i += block.size()) sum += row[i], square += row[i] * row[i];
  sum = reduce(warp, sum, plus<float>());
  square = reduce(warp, square, plus<float>());
  if (warp.thread_rank() == 0) sums[warp.meta_group_rank()] = sum, squares[warp.meta_group_rank()] = square;//<
  block.sync();  // of all warps
  const bool there = warp.thread_rank() < warp.meta_group_size();
  sum = reduce(warp, there ? sums[warp.thread_rank()] : 0.0f, [](float a, float b) { return a + b; });//<
  square = reduce(warp, there ? squares[warp.thread_rank()] : 0.0f, plus<float>());
  const float mean = sum / cols, scale = 1 / sqrtf(square / cols - mean * mean + 1e-5f);
  for (int i = block.thread_rank(); i < cols; i += block.size()) out[blockIdx.x * cols + i] = (row[i] - mean) * scale;
}"""


@pytest.mark.feature("cooperative groups", "`this_thread_block`, its tiles and their barriers")
def test_a_layernorm_with_a_block_for_each_row(random: np.random.Generator) -> None:
    x = random.standard_normal((3, 100)).astype("f4")
    exact = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5)
    for _, out in in_every_order(LAYERNORM, 3, 96, np.int32(100), x, np.zeros_like(x)):
        np.testing.assert_allclose(out, exact, rtol=1e-3, atol=1e-5)
    code = without(LAYERNORM, "  block.sync();  // of all warps\n")
    marked_fault(code, 3, 96, np.int32(100), x, np.zeros_like(x))


@pytest.mark.feature("cooperative groups", "`tiled_partition`, `coalesced_threads`, ranks, votes, matches")
@pytest.mark.parametrize("order", ORDERS)
def test_tiles_and_lanes_that_come_together(order: str | None, random: np.random.Generator) -> None:
    x, kept = random.integers(0, 100, 64).astype("i4"), np.zeros(1, "i4")
    with in_order(order):
        _, out, kept = run(GROUPS, 1, (16, 4), x, np.zeros(1024, "i4"), kept)
    out, t, eights, fours = out.reshape(64, 16).T, np.arange(64), x.reshape(8, 8), x.reshape(16, 4)
    np.testing.assert_array_equal(out[0], 100 * (t // 16) + 64000)
    np.testing.assert_array_equal(out[1], t % 8 + 100 * (t // 8) + 80000)
    np.testing.assert_array_equal(out[2], t % 4 + 10 * (t // 4 % 2) + 200 + 4000)
    np.testing.assert_array_equal(out[3], eights[:, 3].repeat(8))
    np.testing.assert_array_equal(out[4].reshape(8, 8), np.c_[eights[:, :2], eights[:, :-2]])
    np.testing.assert_array_equal(out[5].reshape(8, 8), np.c_[eights[:, 2:], eights[:, -2:]])
    np.testing.assert_array_equal(out[6].reshape(16, 4), fours[:, ::-1])
    np.testing.assert_array_equal(out[7], ((eights % 2) << np.arange(8)).sum(1).repeat(8))
    np.testing.assert_array_equal(out[8], ((eights > 90).any(1) + 2).repeat(8))
    np.testing.assert_array_equal(out[9], eights.min(1).repeat(8))
    np.testing.assert_array_equal(out[10], np.bitwise_xor.reduce(fours, 1).repeat(4))
    np.testing.assert_array_equal(out[11], (eights[:, 1] + 1000 * (8 * np.arange(8) + 1)).repeat(8))
    of_three = x % 3 == 0
    assert sorted(out[12][of_three]) == list(range(of_three.sum()))
    assert (out[12][~of_three] == -1).all()
    assert kept[0] == of_three.sum()
    np.testing.assert_array_equal(out[13], t)


GRID = """#include <cooperative_groups.h>
namespace cg = cooperative_groups;
extern "C" __global__ void turn(int n, const float* x, float* half, float* out) {
  cg::grid_group grid = cg::this_grid();
  const int i = grid.thread_rank();
  half[i] = x[i] / 2;//<
  grid.sync();
  out[i] = half[n - 1 - i];//<
}"""


@pytest.mark.feature("cooperative groups", "`this_grid().sync()`, in a cooperative launch alone")
def test_a_barrier_of_the_grid(random: np.random.Generator) -> None:
    x = random.standard_normal(160).astype("f4")
    zeros = np.zeros_like(x)
    for *_, out in in_every_order(GRID, 5, 32, np.int32(160), x, zeros, zeros, cooperative=True):
        np.testing.assert_array_equal(out, x[::-1] / 2)
    code = without(GRID, "  grid.sync();\n")
    fault = marked_fault(code, 4, 32, np.int32(128), x, zeros, zeros, cooperative=True)
    assert "a race between two blocks" in str(fault)
    with pytest.raises(KernelFault, match=r"mine.cu:7, .*needs a launch that is cooperative"):
        run(GRID, 5, 32, np.int32(160), x, zeros, zeros)


@pytest.mark.feature("cooperative groups", "`this_grid().sync()`, in a cooperative launch alone")
def test_a_barrier_of_the_grid_that_a_block_misses() -> None:
    code = GRID.replace("  grid.sync();", "  if (blockIdx.x == 3) return;\n  grid.sync();//<").replace("n - 1 - i", "i")
    code = marked(code.replace(";//<\n  if", ";\n  if").replace("half[i];//<", "half[i];"))
    x = np.zeros(160, "f4")
    fault = marked_fault(code, 5, 32, np.int32(160), x, x, x, cooperative=True)
    assert "it waits for ever" in str(fault)


# A learner's file.

LEARNERS = """#include <cooperative_groups.h>
#include <cooperative_groups/reduce.h>
namespace cg = cooperative_groups;
__constant__ int side = 16;
// launch matmul: grid (ceil(n / 16), ceil(m / 16)), block (16, 16), shared (2 * 16 * 16 * 4)
extern "C" __global__ void matmul(int m, int n, int k, const real* a, const real* b, real* out, long long a_stride,
                                  long long b_stride, long long out_stride) {
  extern __shared__ real tiles[];
  auto block = cg::this_thread_block();
  real *as = tiles, *bs = tiles + side * side;
  const int x = threadIdx.x, y = threadIdx.y, row = blockIdx.y * side + y, col = blockIdx.x * side + x;
  real sum = 0;
  for (int t = 0; t < k; t += side) {
    as[y * side + x] = row < m && t + x < k ? a[row * a_stride + t + x] : 0;
    bs[y * side + x] = col < n && t + y < k ? b[(t + y) * b_stride + col] : 0;//<
    block.sync();
    for (int i = 0; i < side; ++i) sum += as[y * side + i] * bs[i * side + x];
    block.sync();
  }
  if (row < m && col < n) out[row * out_stride + col] = sum;
}"""


@pytest.mark.feature("learners' files", "`shared (N)` in a launch comment")
def test_a_learner_says_how_much_shared_memory_a_block_has(tmp_path: Path, random: np.random.Generator) -> None:
    path = tmp_path / "mine.cu"
    a, b = (random.standard_normal(shape).astype("f4") for shape in ((20, 33), (33, 18)))

    def product_of(text: str) -> np.ndarray:
        path.write_text(text, encoding="utf-8")
        k: Any = learner.load(path, "emulator")
        given = [device.array(x) for x in (a, b, np.zeros((20, 18), "f4"))]
        with checking():
            k.matmul(*given)
        return np.asarray(given[-1])

    np.testing.assert_allclose(product_of(LEARNERS), a @ b, rtol=1e-4, atol=1e-5)
    with pytest.raises(KernelFault, match="beyond the dynamic shared memory of the launch, 1024 bytes") as caught:
        product_of(LEARNERS.replace("(2 * 16", "(16"))
    assert caught.value.line in marks(LEARNERS)
    with pytest.raises(KernelFault, match="launch, 0 bytes: it asks for too little, by shared_mem= or by shared"):
        product_of(LEARNERS.replace(", shared (2 * 16 * 16 * 4)", ""))
    for wrong in ("(1000000)", "(1, 2)", "(-4)"):
        with pytest.raises(InputError, match="the launch's "):
            product_of(LEARNERS.replace("(2 * 16 * 16 * 4)", wrong))


def test_what_a_learner_uses_of_warps_is_cuda(tmp_path: Path) -> None:
    """The policy's three looks: at the source, at it without macros, and at what it calls."""
    for code in (LEARNERS, SOFTMAX, GROUPS, REDUCED, VOTES, HISTOGRAM, VIEWS, COUNTERS, CONVOLUTION):
        text = learner.compiled_text(tmp_path / "mine.cu", code)
        options = ("-Dreal=float",)
        assert cuda_policy.of_cuda(code) == []
        assert cuda_policy.of_preprocessed(compilers.preprocessed(text, options), "mine.cu") == []
        assert cuda_policy.of_library(compilers.compiled(text, "mine.cu", options, True), compilers.runtime(True)) == []
