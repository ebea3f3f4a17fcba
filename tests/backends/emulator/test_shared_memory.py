"""Dynamic shared memory and variables of the device on the emulator; each fault is found at its line."""

from typing import Any

import numpy as np
import pytest
from cuda_kernels import ORDERS, fault_of, in_every_order, in_order, marked, marked_fault, run, without
from warp_programs import CONVOLUTION, VIEWS

from fastae.backends.emulator import RawModule, counting, device
from fastae.backends.emulator.shared_memory import with_dynamic_shared

# Dynamic shared memory.

TILED = """#define TILE 16
extern "C" __global__ void tiled(int m, int n, int k, const float* a, const float* b, float* c) {
  extern __shared__ float tiles[];
  float* const as = tiles;
  float* const bs = tiles + TILE * TILE;
  const int row = blockIdx.y * TILE + threadIdx.y, col = blockIdx.x * TILE + threadIdx.x;
  float sum = 0;
  for (int t = 0; t < (k + TILE - 1) / TILE; ++t) {
    const int ka = t * TILE + threadIdx.x, kb = t * TILE + threadIdx.y;
    as[threadIdx.y * TILE + threadIdx.x] = row < m && ka < k ? a[row * k + ka] : 0.0f;//<a
    bs[threadIdx.y * TILE + threadIdx.x] = col < n && kb < k ? b[kb * n + col] : 0.0f;//<b
    __syncthreads();  // loaded
    for (int i = 0; i < TILE; ++i) sum += as[threadIdx.y * TILE + i] * bs[i * TILE + threadIdx.x];//<sum
    __syncthreads();  // used
  }
  if (row < m && col < n) c[row * n + col] = sum;
}"""


def product(random: np.random.Generator) -> tuple[Any, ...]:
    m, n, k = 21, 35, 40
    a, b = (random.standard_normal(s).astype("f4") for s in ((m, k), (k, n)))
    return (3, 2), (16, 16), np.int32(m), np.int32(n), np.int32(k), a, b, np.zeros((m, n), "f4")


@pytest.mark.feature("memory", "dynamic shared memory: `extern __shared__`, `shared_mem=`; a dropped barrier is a race")
def test_a_tiled_product_in_dynamic_shared_memory(random: np.random.Generator) -> None:
    arguments = product(random)
    for *_, a, b, c in in_every_order(TILED, *arguments, shared=2048):
        np.testing.assert_allclose(c, a @ b, rtol=1e-4, atol=1e-5)


@pytest.mark.feature("memory", "dynamic shared memory: `extern __shared__`, `shared_mem=`; a dropped barrier is a race")
@pytest.mark.parametrize("order", ORDERS[1:])
@pytest.mark.parametrize("barrier", ["loaded", "used"])
def test_a_tiled_product_without_a_barrier_is_a_fault(barrier: str, order: str, random: np.random.Generator) -> None:
    code = marked(without(TILED, f"    __syncthreads();  // {barrier}\n"), "a", "b", "sum")
    fault = marked_fault(code, *product(random), shared=2048, order=order)
    assert fault.fault.startswith(("a race between two threads", "shared memory is read before it is written"))


@pytest.mark.feature("memory", "dynamic shared memory: its bounds and its first reads")
@pytest.mark.parametrize(("shared", "place"), [(0, "a"), (1024, "b"), (2044, "b")])
def test_too_little_dynamic_shared_memory_is_a_fault(shared: int, place: str, random: np.random.Generator) -> None:
    code = marked(TILED, place)
    fault = marked_fault(code, *product(random), shared=shared)
    assert f"writing: beyond the dynamic shared memory of the launch, {shared} bytes" in str(fault)


@pytest.mark.feature("memory", "dynamic shared memory: its bounds and its first reads")
def test_dynamic_shared_memory_in_front_of_its_beginning(random: np.random.Generator) -> None:
    code = marked(TILED, "sum").replace("bs[i *", "bs[-300 + i *")
    marked_fault(code, *product(random), shared=2048)


@pytest.mark.feature("memory", "several views of dynamic shared memory, of any type")
def test_several_views_of_dynamic_shared_memory(random: np.random.Generator) -> None:
    x = random.standard_normal(32)
    for _, out in in_every_order(VIEWS, 1, 32, x, np.zeros(32), shared=32 * 12):
        np.testing.assert_array_equal(out, x[::-1] + np.arange(32)[::-1] + 2)
    assert "beyond the dynamic shared memory" in str(fault_of(VIEWS, 1, 32, x, np.zeros(32), shared=32 * 12 - 4))
    assert with_dynamic_shared(VIEWS).count("\n") == VIEWS.count("\n")


@pytest.mark.feature("memory", "dynamic shared memory: its bounds and its first reads")
def test_dynamic_shared_memory_that_nobody_wrote() -> None:
    code = """extern "C" __global__ void first(float* out) {
  extern __shared__ float x[];
  if (threadIdx.x > 0) x[threadIdx.x] = 1;
  __syncthreads();
  out[threadIdx.x] = x[threadIdx.x];//<
}"""
    fault = marked_fault(code, 1, 32, np.zeros(32, "f4"), shared=128)
    assert "shared memory is read before it is written" in str(fault)
    assert np.isnan(run(code, 1, 32, np.zeros(32, "f4"), shared=128)[0][0])


@pytest.mark.feature("memory", "dynamic shared memory of each block of a cooperative launch")
def test_every_block_has_dynamic_shared_memory_of_its_own(random: np.random.Generator) -> None:
    code = """extern "C" __global__ void own(const float* x, float* out) {
  __shared__ float one;
  extern __shared__ float all[];
  const int t = threadIdx.x, i = blockIdx.x * 32 + t;
  all[t] = x[i];
  if (t == 0) one = x[i];
  cooperative_groups::this_grid().sync();
  out[i] = all[31 - t] + one;
}"""
    x = random.standard_normal(128).astype("f4")
    for _, out in in_every_order(code, 4, 32, x, np.zeros(128, "f4"), shared=128, cooperative=True):
        np.testing.assert_array_equal(out, (x.reshape(4, 32)[:, ::-1] + x.reshape(4, 32)[:, :1]).ravel())


@pytest.mark.feature("memory", "more than 48 KB: `max_dynamic_shared_size_bytes`")
def test_how_much_dynamic_shared_memory_a_launch_may_ask_for(random: np.random.Generator) -> None:
    module = RawModule(TILED)
    function = module.get_function("tiled")
    given = [device.array(x) if isinstance(x, np.ndarray) else x for x in product(random)[2:]]
    with pytest.raises(ValueError, match="may have 49152 bytes of dynamic shared memory, not 65536; max_dynamic"):
        function((3, 2), (16, 16), tuple(given), shared_mem=65536)
    function.max_dynamic_shared_size_bytes = 65536
    function((3, 2), (16, 16), tuple(given), shared_mem=65536)
    np.testing.assert_allclose(given[-1], given[3] @ given[4], rtol=1e-4, atol=1e-5)


# Variables of the device.


@pytest.mark.feature("memory", "`__device__` and `__constant__` variables, with `RawModule.get_global`")
def test_variables_of_the_device(random: np.random.Generator) -> None:
    module, other = (RawModule(CONVOLUTION) for _ in range(2))
    weights = device.ndarray((5,), np.float32, module.get_global("weights"))
    weights[...] = [1, -2, 3, 4, 0.5]
    calls = device.ndarray((1,), np.int32, module.get_global("calls"))
    kept = device.ndarray((2,), np.float64, module.get_global("kept"))
    assert (calls[0], *np.asarray(kept)) == (7, 1, 2)
    x, out = device.array(random.standard_normal(50).astype("f4")), device.array(np.zeros(50, "f4"))
    for i, order in enumerate(ORDERS, 8):
        with in_order(order):
            module.get_function("convolve")((2,), (32,), (np.int32(50), x, out))
        np.testing.assert_allclose(out, np.correlate(np.asarray(x), np.asarray(weights), "same"), rtol=1e-4, atol=1e-5)
        assert (calls[0], *np.asarray(kept)) == (i, 1, 2.0 ** (i - 6))
        weights *= 2
    assert module.get_global("weights").ptr == weights.data.ptr
    assert module.get_global("weights").nbytes == 20
    for name in ("none", "convolve", "stdout"):
        with pytest.raises(KeyError, match=name):
            other.get_global(name)


def test_constants_are_counted_as_what_they_are() -> None:
    code = """__constant__ float weights[64];
__global__ void f(float* out) {
  float sum = weights[3];//one
  sum += weights[threadIdx.x];//each
  sum += weights[threadIdx.x / 16];//two
  out[threadIdx.x] = sum;
}"""
    with counting() as counts:
        run(code, 1, 64, np.zeros(64, "f4"))
    of = {c.line: c for c in counts if c.memory == "constant"}
    assert {line: (c.requests, c.transactions, c.best) for line, c in of.items()} == {
        "mine.cu:3": (2, 2, 2), "mine.cu:4": (2, 64, 2), "mine.cu:5": (2, 4, 2)
    }  # fmt: skip
    assert [c.memory for c in counts if c.action == "write"] == ["global"]
