"""Asynchronous copies of a thread and of a group on the emulator; each fault is found at its line."""

import re

import numpy as np
import pytest
from cuda_kernels import COPY, ORDERS, in_every_order, marked, marked_fault, quads, run, without

from fastae.backends.emulator import checking, counting, device

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


@pytest.mark.feature("asynchronous copies", "`__pipeline_memcpy_async`, `__pipeline_commit`, `__pipeline_wait_prior`")
def test_copies_in_groups(random: np.random.Generator) -> None:
    x = quads(random, 128)
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
def test_reading_a_copy_that_has_not_been_waited_for_is_a_fault(
    missing: str, told: str, order: str, random: np.random.Generator
) -> None:
    code = marked(without(REVERSED, missing), "read")
    x = quads(random, 128)
    fault = marked_fault(code, 2, 64, x, np.zeros_like(x), order=order)
    if told:
        assert fault.fault == told
        assert re.search(r"reading: .*; thread \(\d+, 0, 0\) asked for it, mine.cu:5$", str(fault))
    else:  # each waits only for its own copy: another thread's has not arrived, or is not ordered
        assert fault.fault in (COPY, "shared memory is read before it is written") or "a race between two" in str(fault)


@pytest.mark.thorough
def test_one_who_has_waited_for_its_own_copy_has_not_for_others(random: np.random.Generator) -> None:
    code = marked(without(REVERSED, "  __syncthreads();  // met\n"), "read").replace("63 - t", "t ^ 1")
    x = quads(random, 128)
    marked_fault(code, 2, 64, x, np.zeros_like(x), order="reverse")
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
def test_stages_of_copies(random: np.random.Generator) -> None:
    x = random.integers(0, 100, (10, 64)).astype("f4")
    for _, out in in_every_order(STAGES, 1, 64, np.int32(10), x.ravel(), np.zeros(64, "f4")):
        np.testing.assert_array_equal(out, x.sum(0)[::-1])


@pytest.mark.feature("asynchronous copies", "several stages, `__pipeline_wait_prior(N)`; a wrong count is a fault")
@pytest.mark.parametrize("order", ORDERS[1:])
def test_a_wait_for_too_few_groups_is_a_fault(order: str) -> None:
    code = marked(STAGES.replace("wait_prior(STAGES - 2)", "wait_prior(STAGES - 1)"), "read")
    fault = marked_fault(code, 1, 64, np.int32(10), np.zeros(640, "f4"), np.zeros(64, "f4"), order=order)
    assert fault.fault == COPY


@pytest.mark.thorough
@pytest.mark.parametrize("order", ORDERS[1:])
def test_a_stage_that_is_filled_while_others_read_it(order: str) -> None:
    code = marked(STAGES.replace("#define STAGES 3", "#define STAGES 2").replace("__syncthreads();  // all", "// all"),
                  "copy", "read")  # fmt: skip
    marked_fault(code, 1, 64, np.int32(10), np.zeros(640, "f4"), np.zeros(64, "f4"), order=order)


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
    fault = marked_fault(ZEROS, 1, 32, np.int32(75), x, np.ones(128, "f4"))
    assert "reading: out of bounds" in str(fault)


@pytest.mark.feature("asynchronous copies", "zeros behind what is copied; 4, 8 or 16 bytes, aligned to their size")
@pytest.mark.parametrize(("change", "how"), [("&x[4 * t + 1]", "reading"), ("&part[4 * t + 2]", "writing")])
def test_a_misaligned_copy_is_a_fault(change: str, how: str) -> None:
    code = ZEROS.replace(f"{change.partition(' + ')[0]}]", change, 1) if how == "reading" else ZEROS
    code = code.replace("async(&part[4 * t]", f"async({change}", 1) if how == "writing" else code
    code = code.replace(", &x[4 * t],", f", {change},") if how == "reading" else code
    fault = marked_fault(code, 1, 8, np.int32(70), np.ones(128, "f4"), np.ones(128, "f4"))
    assert f"{how}: a misaligned address" in str(fault)


@pytest.mark.thorough
def test_a_copy_of_another_size_is_refused() -> None:
    code = ZEROS.replace("&x[4 * t], 16, 16 - bytes", "&x[4 * t], 12")
    fault = marked_fault(code, 1, 8, np.int32(70), np.ones(128, "f4"), np.ones(128, "f4"))
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
        fault = marked_fault(changed, 1, 32, np.ones(32, "f4"), np.zeros(32, "f4"))
        assert fault.fault == told
        assert str(fault).endswith("thread (0, 0, 0) asked for it, mine.cu:6")
    for _, out in in_every_order(
        code.replace("CHANGE", "out[t] = x[t];"), 1, 32, np.ones(32, "f4"), np.zeros(32, "f4")
    ):
        assert set(out) == {1}


def test_what_a_copy_costs_is_counted_as_a_read_and_a_write(random: np.random.Generator) -> None:
    x = quads(random, 128)
    with counting() as counts:
        run(REVERSED, 2, 64, x, np.zeros_like(x))
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
def test_copies_of_a_block(n: int, random: np.random.Generator) -> None:
    x = random.integers(0, 100, (4, n)).astype("f4")
    expected = np.zeros(32, "f4")
    for i in range(n):
        expected[i % 32] += x[:, n - 1 - i].sum()
    for _, out in in_every_order(GROUPS, 1, 32, np.int32(n), x.ravel(), np.zeros(32, "f4"), shared=8 * n):
        np.testing.assert_array_equal(out, expected)


@pytest.mark.thorough
@pytest.mark.parametrize("order", ORDERS[1:])
def test_a_group_that_waits_for_too_few_copies_is_a_fault(order: str) -> None:
    code = GROUPS.replace("wait_prior<1>", "wait_prior<2>")
    fault = marked_fault(code, 1, 32, np.int32(64), np.zeros(256, "f4"), np.zeros(32, "f4"), shared=512, order=order)
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


def test_nothing_is_left_of_a_launch_that_was_ended_by_a_fault(random: np.random.Generator) -> None:
    code = marked(without(REVERSED, "  __pipeline_wait_prior(0);  // waited\n"), "read")
    x = quads(random, 64)
    given = device.array(x)
    for _ in range(2):
        with pytest.raises(Exception, match="asynchronous copy"), checking():
            run(code, 1, 64, given, np.zeros_like(x))
    for _, out in in_every_order(REVERSED, 1, 64, x, np.zeros_like(x)):
        assert out.any()
