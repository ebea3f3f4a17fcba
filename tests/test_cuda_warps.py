"""Threads, warps and shared memory of kernels as people write them: right ones run, and each fault is found at its line."""

import re
from typing import Any

import numpy as np
import pytest

from fastae.backends.emulator import KernelFault, RawModule, checking, device
from fastae.backends.emulator.compiler import CompileError, kernels_of, with_dynamic_shared

ORDERS = (None, "forward", "reverse", "random")
RANDOM = np.random.default_rng(20)


def launch(code: str, grid: Any, block: Any, *arguments: Any, shared: int = 0, cooperative: bool = False) -> list[Any]:
    """Run the last kernel of a file; return its arrays as they are then."""
    *_, name = kernels_of(code)
    given = [device.array(x) if isinstance(x, np.ndarray) else x for x in arguments]
    shape = [x if isinstance(x, tuple) else (x,) for x in (grid, block)]
    module = RawModule(code, file="mine.cu", enable_cooperative_groups=cooperative)
    module.get_function(name)(*shape, tuple(given), shared_mem=shared)
    return [np.asarray(x) for x in given if isinstance(x, np.ndarray)]


def in_every_order(code: str, *arguments: Any, **options: Any) -> list[list[Any]]:
    """Run a kernel unchecked, and checked in three orders of its threads."""
    found = [launch(code, *arguments, **options)]
    for order in ORDERS[1:]:
        with checking(order):
            found.append(launch(code, *arguments, **options))
    return found


def fault_of(code: str, *arguments: Any, order: str = "forward", **options: Any) -> KernelFault:
    with checking(order), pytest.raises(KernelFault) as caught:
        launch(code, *arguments, **options)
    return caught.value


def is_at(fault: KernelFault, code: str) -> bool:
    """Tell whether a fault is at the line that ends in ``//<``, or one of them."""
    lines = [f"mine.cu:{i}" for i, line in enumerate(code.splitlines(), 1) if line.endswith("//<")]
    assert lines
    return fault.line in lines


def without(code: str, *pieces: str) -> str:
    for piece in pieces:
        assert code.count(piece) == 1, piece
        code = code.replace(piece, "")
    return code


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


def product() -> tuple[Any, ...]:
    m, n, k = 21, 35, 40
    a, b = (RANDOM.standard_normal(s).astype("f4") for s in ((m, k), (k, n)))
    return (3, 2), (16, 16), np.int32(m), np.int32(n), np.int32(k), a, b, np.zeros((m, n), "f4")


def marked(code: str, *marks: str) -> str:
    """Keep these of the marks only."""
    return re.sub(r"//<(\w+)", lambda match: "//<" if match[1] in marks else "", code)


def test_a_tiled_product_in_dynamic_shared_memory() -> None:
    arguments = product()
    for *_, a, b, c in in_every_order(TILED, *arguments, shared=2048):
        np.testing.assert_allclose(c, a @ b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("order", ORDERS[1:])
@pytest.mark.parametrize("barrier", ["loaded", "used"])
def test_a_tiled_product_without_a_barrier(barrier: str, order: str) -> None:
    code = marked(without(TILED, f"    __syncthreads();  // {barrier}\n"), "a", "b", "sum")
    fault = fault_of(code, *product(), shared=2048, order=order)
    assert is_at(fault, code)
    assert fault.fault.startswith(("a race between two threads", "shared memory is read before it is written"))


@pytest.mark.parametrize(("shared", "place"), [(0, "a"), (1024, "b"), (2044, "b")])
def test_too_little_dynamic_shared_memory(shared: int, place: str) -> None:
    code = marked(TILED, place)
    fault = fault_of(code, *product(), shared=shared)
    assert is_at(fault, code)
    assert f"writing: beyond the dynamic shared memory of the launch, {shared} bytes" in str(fault)


def test_dynamic_shared_memory_in_front_of_its_beginning() -> None:
    code = marked(TILED, "sum").replace("bs[i *", "bs[-300 + i *")
    assert is_at(fault_of(code, *product(), shared=2048), code)


VIEWS = """template <class T>
__device__ T* at(void* base, int bytes) { return reinterpret_cast<T*>(static_cast<char*>(base) + bytes); }
extern __shared__ __align__(16) unsigned char arena[];
extern "C" __global__ void views(const double* x, double* out) {
  extern __shared__ double values[];   // several names of one place
  volatile extern __shared__ int whole[];
  extern __shared__
      float rows[][4];
  int* const counts = at<int>(arena, 8 * 32);
  const int t = threadIdx.x;
  values[t] = x[t];
  counts[t] = t;
  __syncthreads();
  out[t] = values[31 - t] + counts[31 - t] + (whole[64 + t] == t) + (sizeof(rows[0]) == 16);
}"""


def test_several_views_of_dynamic_shared_memory() -> None:
    x = RANDOM.standard_normal(32)
    for _, out in in_every_order(VIEWS, 1, 32, x, np.zeros(32), shared=32 * 12):
        np.testing.assert_array_equal(out, x[::-1] + np.arange(32)[::-1] + 2)
    assert "beyond the dynamic shared memory" in str(fault_of(VIEWS, 1, 32, x, np.zeros(32), shared=32 * 12 - 4))
    assert with_dynamic_shared(VIEWS).count("\n") == VIEWS.count("\n")


def test_dynamic_shared_memory_that_nobody_wrote() -> None:
    code = """extern "C" __global__ void first(float* out) {
  extern __shared__ float x[];
  if (threadIdx.x > 0) x[threadIdx.x] = 1;
  __syncthreads();
  out[threadIdx.x] = x[threadIdx.x];//<
}"""
    fault = fault_of(code, 1, 32, np.zeros(32, "f4"), shared=128)
    assert is_at(fault, code)
    assert "shared memory is read before it is written" in str(fault)
    assert np.isnan(launch(code, 1, 32, np.zeros(32, "f4"), shared=128)[0][0])


def test_every_block_has_dynamic_shared_memory_of_its_own() -> None:
    code = """extern "C" __global__ void own(const float* x, float* out) {
  __shared__ float one;
  extern __shared__ float all[];
  const int t = threadIdx.x, i = blockIdx.x * 32 + t;
  all[t] = x[i];
  if (t == 0) one = x[i];
  cooperative_groups::this_grid().sync();
  out[i] = all[31 - t] + one;
}"""
    x = RANDOM.standard_normal(128).astype("f4")
    for _, out in in_every_order(code, 4, 32, x, np.zeros(128, "f4"), shared=128, cooperative=True):
        np.testing.assert_array_equal(out, (x.reshape(4, 32)[:, ::-1] + x.reshape(4, 32)[:, :1]).ravel())


def test_how_much_dynamic_shared_memory_a_launch_may_ask_for() -> None:
    module = RawModule(TILED)
    function = module.get_function("tiled")
    given = [device.array(x) if isinstance(x, np.ndarray) else x for x in product()[2:]]
    with pytest.raises(ValueError, match="may have 49152 bytes of dynamic shared memory, not 65536; max_dynamic"):
        function((3, 2), (16, 16), tuple(given), shared_mem=65536)
    function.max_dynamic_shared_size_bytes = 65536
    function((3, 2), (16, 16), tuple(given), shared_mem=65536)
    np.testing.assert_allclose(given[-1], given[3] @ given[4], rtol=1e-4, atol=1e-5)


# Atomic operations.

ATOMICS = [  # operation, C's type, NumPy's, what it does to all values in turn
    *(("Add", c, d, lambda x: x.sum(dtype=x.dtype)) for c, d in
      (("int", "i4"), ("unsigned", "u4"), ("unsigned long long", "u8"), ("float", "f4"), ("double", "f8"))),
    *(("Sub", c, d, lambda x: -x.sum(dtype=x.dtype)) for c, d in (("int", "i4"), ("unsigned", "u4"))),
    *((op, c, d, fold) for c, d in
      (("int", "i4"), ("unsigned", "u4"), ("unsigned long long", "u8"), ("long long", "i8"))
      for op, fold in (("Min", lambda x: min(0, x.min())), ("Max", lambda x: max(0, x.max())),
                       ("And", lambda x: 0), ("Or", np.bitwise_or.reduce), ("Xor", np.bitwise_xor.reduce))),
]  # fmt: skip

WIDE = {"unsigned long long": "long long"}  # as parameters


@pytest.mark.parametrize("scope", ["", "_block", "_system"])
def test_every_atomic_operation_on_every_type_of_it(scope: str) -> None:
    lines, types, inputs, wanted = [], [], [], []
    for i, (op, c, d, fold) in enumerate(ATOMICS):
        x = RANDOM.integers(0 if d[0] == "u" else -99, 100, 64).astype(d)
        types.append(f"const {WIDE.get(c, c)}* x{i}, {WIDE.get(c, c)}* out{i}")
        lines.append(f"  atomic{op}{scope}(({c}*)out{i}, ({c})x{i}[threadIdx.x]);")
        with np.errstate(over="ignore"):
            wanted.append(np.array(fold(x)).astype(d))
        inputs += [y.view("i8") if c in WIDE else y for y in (x, np.zeros(1, d))]
    code = f'extern "C" __global__ void all({", ".join(types)}) {{\n' + "\n".join(lines) + "\n}"
    for found in in_every_order(code, 1, 64, *inputs):
        assert [x[0] for x in found[1::2]] == [x.view("i8" if x.dtype == np.uint64 else x.dtype)[()] for x in wanted]


COUNTERS = """extern "C" __global__ void counters(unsigned* up, unsigned* down, int* tickets, long long* last,
                                            float* swapped, int* half) {
  __shared__ int next;
  if (threadIdx.x == 0) next = 0;
  __syncthreads();
  atomicInc(up, 9);
  atomicDec(down, 9);
  int seen, mine = atomicAdd(&next, 0);
  do {
    seen = mine;
    mine = atomicCAS_block(&next, seen, seen + 1);
  } while (mine != seen);
  tickets[mine] = threadIdx.x + 1;
  atomicExch((unsigned long long*)last, 1ull << 40);
  atomicExch(swapped, 2.5f);
  atomicCAS((unsigned short*)half, 0, 7);
  atomicCAS((unsigned short*)half, 0, 9);
}"""


def test_counters_tickets_and_exchanges() -> None:
    types = ("u4", "u4", "i4", "i8", "f4", "i4")
    arguments = [np.zeros(64 if i == 2 else 1, dtype) for i, dtype in enumerate(types)]
    for up, down, tickets, last, swapped, half in in_every_order(COUNTERS, 1, 64, *arguments):
        assert (up[0], down[0], last[0], swapped[0], half[0]) == (64 % 10, -64 % 10, 1 << 40, 2.5, 7)
        assert sorted(tickets) == list(range(1, 65))


@pytest.mark.parametrize(
    ("call", "told"),
    [
        ("atomicMin((float*)p, 1.0f)", "atomicMin takes a pointer to one of: int, unsigned"),
        ("atomicExch((double*)p, 1.0)", "atomicExch takes a pointer to one of: int, unsigned"),
        ("atomicInc((int*)p, 1)", "atomicInc takes a pointer to one of: unsigned"),
        ("atomicCAS((float*)p, 1.0f, 2.0f)", "atomicCAS takes a pointer to one of: int, unsigned, unsigned short"),
    ],
)
def test_an_atomic_operation_that_cuda_does_not_have(call: str, told: str) -> None:
    with pytest.raises(CompileError, match=re.escape(told)):
        launch(f'extern "C" __global__ void f(int* p) {{ {call}; }}', 1, 1, np.zeros(4, "i4"))


HISTOGRAM = """extern "C" __global__ void histogram(int n, const int* x, unsigned* counts) {
  extern __shared__ unsigned bins[];
  for (int i = threadIdx.x; i < 64; i += blockDim.x) bins[i] = 0;
  __syncthreads();  // zeroed
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) atomicAdd(&bins[x[i]], 1u);//<
  __syncthreads();  // counted
  for (int i = threadIdx.x; i < 64; i += blockDim.x) atomicAdd(&counts[i], bins[i]);//<
}"""


def test_a_histogram_in_shared_memory() -> None:
    x = RANDOM.integers(0, 64, 5000).astype("i4")
    for _, counts in in_every_order(HISTOGRAM, 3, 96, np.int32(5000), x, np.zeros(64, "u4"), shared=256):
        np.testing.assert_array_equal(counts, np.bincount(x, minlength=64))


@pytest.mark.parametrize("barrier", ["zeroed", "counted"])
def test_a_histogram_without_a_barrier(barrier: str) -> None:
    code = without(HISTOGRAM, f"  __syncthreads();  // {barrier}\n")
    x = RANDOM.integers(0, 64, 5000).astype("i4")
    fault = fault_of(code, 3, 96, np.int32(5000), x, np.zeros(64, "u4"), shared=256)
    assert is_at(fault, code)


def test_what_is_atomic_within_a_block_is_not_between_blocks() -> None:
    code = 'extern "C" __global__ void f(int* p) {\n  atomicAdd_block(p, 1);//<\n}'
    assert [x[0] for (x,) in in_every_order(code, 1, 64, np.zeros(1, "i4"))] == [64] * 4
    fault = fault_of(code, 2, 64, np.zeros(1, "i4"))
    assert is_at(fault, code)
    assert "a race between two blocks" in str(fault)
    assert [x[0] for (x,) in in_every_order(code.replace("_block", "_system"), 2, 64, np.zeros(1, "i4"))] == [128] * 4


LOST = """extern "C" __global__ void sum(const int* x, int* total) {
  const int mine = x[blockIdx.x];
  if (threadIdx.x == 0) {
    const int old = atomicAdd(total, 0);
    atomicExch(total, old + mine);
  }
}"""


def test_an_update_that_other_blocks_lose_shows_in_a_random_order() -> None:
    x = np.ones(64, "i4")
    assert launch(LOST, 64, 32, x, np.zeros(1, "i4"))[1][0] == 64  # one block after another
    for seed in range(1, 6):
        with checking("random", seed):
            first, again = (launch(LOST, 64, 32, x, np.zeros(1, "i4"))[1][0] for _ in range(2))
        assert first == again < 64
    right = LOST.replace("atomicAdd(total, 0)", "atomicAdd(total, mine)").replace("    atomicExch(total, old + mine);\n", "")
    assert [out[0] for _, out in in_every_order(right, 64, 32, x, np.zeros(1, "i4"))] == [64] * 4


def test_blocks_that_wait_for_a_lock_take_turns() -> None:
    code = """__device__ unsigned lock = 0;
extern "C" __global__ void sum(const float* x, float* total) {
  if (threadIdx.x == 0) {
    while (atomicCAS(&lock, 0u, 1u) != 0u) {}
    __threadfence();
    *total += x[blockIdx.x];
    __threadfence();
    atomicExch(&lock, 0u);
  }
}"""
    x = np.arange(20, dtype="f4")
    assert [out[0] for _, out in in_every_order(code, 20, 32, x, np.zeros(1, "f4"))] == [190] * 4
