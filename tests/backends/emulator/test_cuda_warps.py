"""Threads, warps and shared memory of kernels as people write them: right ones run, each fault is found at its line."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastae.backends.emulator import KernelFault, RawModule, checking, device
from fastae.backends.emulator import compiler as compilers
from fastae.backends.emulator.compiler import CompileError, kernels_of, with_dynamic_shared
from fastae.check import learner
from fastae.check.sandbox import cuda_policy
from fastae.errors import InputError

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


@pytest.mark.feature("memory", "dynamic shared memory: `extern __shared__`, `shared_mem=`; a dropped barrier is a race")
def test_a_tiled_product_in_dynamic_shared_memory() -> None:
    arguments = product()
    for *_, a, b, c in in_every_order(TILED, *arguments, shared=2048):
        np.testing.assert_allclose(c, a @ b, rtol=1e-4, atol=1e-5)


@pytest.mark.feature("memory", "dynamic shared memory: `extern __shared__`, `shared_mem=`; a dropped barrier is a race")
@pytest.mark.parametrize("order", ORDERS[1:])
@pytest.mark.parametrize("barrier", ["loaded", "used"])
def test_a_tiled_product_without_a_barrier(barrier: str, order: str) -> None:
    code = marked(without(TILED, f"    __syncthreads();  // {barrier}\n"), "a", "b", "sum")
    fault = fault_of(code, *product(), shared=2048, order=order)
    assert is_at(fault, code)
    assert fault.fault.startswith(("a race between two threads", "shared memory is read before it is written"))


@pytest.mark.feature("memory", "dynamic shared memory: its bounds and its first reads")
@pytest.mark.parametrize(("shared", "place"), [(0, "a"), (1024, "b"), (2044, "b")])
def test_too_little_dynamic_shared_memory(shared: int, place: str) -> None:
    code = marked(TILED, place)
    fault = fault_of(code, *product(), shared=shared)
    assert is_at(fault, code)
    assert f"writing: beyond the dynamic shared memory of the launch, {shared} bytes" in str(fault)


@pytest.mark.feature("memory", "dynamic shared memory: its bounds and its first reads")
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


@pytest.mark.feature("memory", "several views of dynamic shared memory, of any type")
def test_several_views_of_dynamic_shared_memory() -> None:
    x = RANDOM.standard_normal(32)
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
    fault = fault_of(code, 1, 32, np.zeros(32, "f4"), shared=128)
    assert is_at(fault, code)
    assert "shared memory is read before it is written" in str(fault)
    assert np.isnan(launch(code, 1, 32, np.zeros(32, "f4"), shared=128)[0][0])


@pytest.mark.feature("memory", "dynamic shared memory of each block of a cooperative launch")
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


@pytest.mark.feature("memory", "more than 48 KB: `max_dynamic_shared_size_bytes`")
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


@pytest.mark.feature(
    "atomics",
    "`atomicAdd`, `Sub`, `Min`, `Max`, `And`, `Or`, `Xor` on every type that CUDA has them for, with `_block` "
    "and `_system`",
)
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


@pytest.mark.feature("atomics", "`atomicInc`, `atomicDec`, `atomicExch`, `atomicCAS`")
def test_counters_tickets_and_exchanges() -> None:
    types = ("u4", "u4", "i4", "i8", "f4", "i4")
    arguments = [np.zeros(64 if i == 2 else 1, dtype) for i, dtype in enumerate(types)]
    for up, down, tickets, last, swapped, half in in_every_order(COUNTERS, 1, 64, *arguments):
        assert (up[0], down[0], last[0], swapped[0], half[0]) == (64 % 10, -64 % 10, 1 << 40, 2.5, 7)
        assert sorted(tickets) == list(range(1, 65))


@pytest.mark.feature("atomics", "an atomic operation on a type that CUDA does not have it for is refused")
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


@pytest.mark.feature("atomics", "atomics on shared memory; a dropped barrier is a race")
def test_a_histogram_in_shared_memory() -> None:
    x = RANDOM.integers(0, 64, 5000).astype("i4")
    for _, counts in in_every_order(HISTOGRAM, 3, 96, np.int32(5000), x, np.zeros(64, "u4"), shared=256):
        np.testing.assert_array_equal(counts, np.bincount(x, minlength=64))


@pytest.mark.feature("atomics", "atomics on shared memory; a dropped barrier is a race")
@pytest.mark.parametrize("barrier", ["zeroed", "counted"])
def test_a_histogram_without_a_barrier(barrier: str) -> None:
    code = without(HISTOGRAM, f"  __syncthreads();  // {barrier}\n")
    x = RANDOM.integers(0, 64, 5000).astype("i4")
    fault = fault_of(code, 3, 96, np.int32(5000), x, np.zeros(64, "u4"), shared=256)
    assert is_at(fault, code)


@pytest.mark.feature("atomics", "what is atomic within a block is a race between blocks")
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


@pytest.mark.feature("atomics", "an update that is lost between blocks shows in a random order")
def test_an_update_that_other_blocks_lose_shows_in_a_random_order() -> None:
    x = np.ones(64, "i4")
    assert launch(LOST, 64, 32, x, np.zeros(1, "i4"))[1][0] == 64  # one block after another
    for seed in range(1, 6):
        with checking("random", seed):
            first, again = (launch(LOST, 64, 32, x, np.zeros(1, "i4"))[1][0] for _ in range(2))
        assert first == again < 64
    right = LOST.replace("atomicAdd(total, 0)", "atomicAdd(total, mine)").replace(
        "    atomicExch(total, old + mine);\n", ""
    )
    assert [out[0] for _, out in in_every_order(right, 64, 32, x, np.zeros(1, "i4"))] == [64] * 4


@pytest.mark.feature("atomics", "locks between blocks")
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
    fault = fault_of(code, 1, 64, np.int32(50), np.zeros(64, "i4"))
    assert is_at(fault, code)
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
def test_every_shuffle_with_its_width(c: str, dtype: str) -> None:
    body = "".join(f"  out[{32 * i} + threadIdx.x] = {call};\n" for i, call in enumerate(SHUFFLES))
    code = f'extern "C" __global__ void f(const {c}* x, {c}* out) {{\n  const {c} v = x[threadIdx.x];\n{body}}}'
    x = (RANDOM.standard_normal(32) * 2**20).astype(dtype)
    wanted = np.concatenate([f(x) for f in SHUFFLES.values()])
    for _, out in in_every_order(code, 1, 32, x, np.zeros(32 * len(SHUFFLES), dtype)):
        np.testing.assert_array_equal(out, wanted)


VOTES = """extern "C" __global__ void votes(const int* x, unsigned* out) {
  const int t = threadIdx.x, v = x[t];
  unsigned* const mine = out + 16 * t;
  mine[0] = __ballot_sync(0xffffffff, v > 4);
  mine[1] = __any_sync(0xffffffff, v == 9) + 2 * __any_sync(0xffffffff, v == 99);
  mine[2] = __all_sync(0xffffffff, v < 10) + 2 * __all_sync(0xffffffff, v < 9);
  mine[3] = __uni_sync(0xffffffff, v < 10) + 2 * __uni_sync(0xffffffff, v < 9) + 4 * __uni_sync(0xffffffff, v > 50);
  mine[4] = __match_any_sync(0xffffffff, v) ^ __match_any_sync(0xffffffff, (double)v);
  mine[5] = __match_any_sync(0xffffffff, v);
  int same, half;
  mine[6] = __match_all_sync(0xffffffff, v, &same);
  mine[7] = __match_all_sync(t < 16 ? 0xffffu : 0xffff0000u, t / 16, &half);
  mine[8] = same + 2 * half;
  mine[9] = __reduce_add_sync(0xffffffff, v);
  mine[10] = __reduce_min_sync(0xffffffff, v - 5);
  mine[11] = __reduce_max_sync(0xffffffff, (unsigned)v - 5);
  mine[12] = __reduce_and_sync(0xffffffff, (unsigned)v | 32u);
  mine[13] = __reduce_or_sync(0xffffffff, (unsigned)v);
  mine[14] = __reduce_xor_sync(0xffffffff, (unsigned)v);
  if (t % 2) mine[15] = __activemask();
}"""


@pytest.mark.feature(
    "warp operations",
    "`__ballot_sync`, `__any_sync`, `__all_sync`, `__match_*_sync`, `__reduce_*_sync`, `__activemask`",
)
def test_votes_matches_reductions_and_who_is_active() -> None:
    x = RANDOM.integers(0, 10, 32).astype("i4")
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


REDUCED = """inline __device__ float warp_sum(float v) {
  for (int by = 32 / 2; by > 0; by /= 2) v += __shfl_down_sync(0xffffffff, v, by);
  return v;
}
extern "C" __global__ void reduce(int n, const float* x, float* total) {
  __shared__ float sums[32];
  float v = 0;
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += blockDim.x * gridDim.x) v += x[i];
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  v = warp_sum(v);
  if (lane == 0) sums[warp] = v;//<
  __syncthreads();  // all warps
  v = threadIdx.x < blockDim.x / 32 ? sums[lane] : 0;//<
  if (warp == 0) v = warp_sum(v);
  if (threadIdx.x == 0) atomicAdd(total, v);
}"""


@pytest.mark.feature("warp operations", "sums and scans by warps")
def test_a_sum_by_warps() -> None:
    x = RANDOM.integers(-9, 10, 3000).astype("f4")
    for _, total in in_every_order(REDUCED, 3, 128, np.int32(3000), x, np.zeros(1, "f4")):
        assert total[0] == x.sum()
    code = without(REDUCED, "  __syncthreads();  // all warps\n")
    assert is_at(fault_of(code, 3, 128, np.int32(3000), x, np.zeros(1, "f4")), code)


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
def test_a_scan_by_warps() -> None:
    x = RANDOM.integers(-99, 100, 250).astype("i4")
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
def test_the_last_warp_of_a_tree() -> None:
    x = RANDOM.integers(-9, 10, 64).astype("f4")
    for _, out in in_every_order(TREE, 1, 64, x, np.zeros(1, "f4")):
        assert out[0] == x.sum()


@pytest.mark.feature("warp operations", "lanes are independent: a missing `__syncwarp` is a race")
@pytest.mark.parametrize("order", ORDERS[1:])
@pytest.mark.parametrize("missing", ["written", "read"])
def test_a_missing_syncwarp_is_a_race(missing: str, order: str) -> None:
    code = without(TREE, f"      __syncwarp();  // {missing}\n")
    fault = fault_of(code, 1, 64, RANDOM.standard_normal(64).astype("f4"), np.zeros(1, "f4"), order=order)
    assert is_at(fault, code)
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
        assert is_at(fault_of(wrong, *arguments), wrong)


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
def test_a_wrong_mask(wrong: str, order: str | None) -> None:
    body, told = WRONG_MASKS[wrong]
    code = f"""extern "C" __global__ void f(const int* x, int* out) {{
  const int t = threadIdx.x;
  int v = x[t];
  {body}
  out[t] = v;
}}"""
    arguments = 1, 32, np.arange(32, dtype="i4"), np.zeros(32, "i4")
    if order is None:
        with pytest.raises(KernelFault) as caught:  # without checks too
            launch(code, *arguments)
        fault = caught.value
    else:
        fault = fault_of(code, *arguments, order=order)
    assert is_at(fault, code)
    assert told in str(fault)


@pytest.mark.feature("warp operations", "a wrong mask is a fault, and what lies outside of it no number")
def test_what_a_lane_reads_that_is_not_in_the_mask_is_no_number() -> None:
    code = """extern "C" __global__ void f(const float* x, float* out) {
  if (threadIdx.x < 8) out[threadIdx.x] = __shfl_down_sync(0x000000ffu, x[threadIdx.x], 4);
}"""
    found = in_every_order(code, 1, 32, np.arange(32, dtype="f4"), np.zeros(8, "f4"))
    for (_, out), outside in zip(found, [0, *[np.nan] * (len(found) - 1)]):  # unchecked as GPUs are seen to do
        np.testing.assert_array_equal(out, [4, 5, 6, 7, *[outside] * 4])


@pytest.mark.feature("warp operations", "divergent lanes, each part with its own mask")
def test_halves_of_a_warp_go_their_own_ways() -> None:
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
    x = RANDOM.integers(-99, 100, 32).astype("i4")
    for _, out in in_every_order(code, 1, 32, x, np.zeros(32, "i4")):
        assert set(out[:16]) == {x[:16].sum()}
        assert set(out[16:]) == {2 * x[16:].max()}


# Cooperative groups.

SOFTMAX = """#include <cooperative_groups.h>
#include <cooperative_groups/reduce.h>
namespace cg = cooperative_groups;

// A warp for each row, as in llm.c.
extern "C" __global__ void softmax(int rows, int cols, const float* x, float* out) {
  cg::thread_block block = cg::this_thread_block();
  cg::thread_block_tile<32> warp = cg::tiled_partition<32>(block);
  const int row = blockIdx.x * warp.meta_group_size() + warp.meta_group_rank();
  if (row >= rows) return;
  const float* const mine = x + row * cols;
  float largest = -3.4e38f, sum = 0;
  for (int i = warp.thread_rank(); i < cols; i += warp.size()) largest = fmaxf(largest, mine[i]);
  largest = cg::reduce(warp, largest, cg::greater<float>{});
  for (int i = warp.thread_rank(); i < cols; i += warp.size()) sum += expf(mine[i] - largest);
  sum = cg::reduce(warp, sum, cg::plus<float>{});
  for (int i = warp.thread_rank(); i < cols; i += warp.size()) out[row * cols + i] = expf(mine[i] - largest) / sum;
}"""


@pytest.mark.feature("cooperative groups", "tiles of a warp: shuffles, `reduce`")
def test_a_softmax_with_a_warp_for_each_row() -> None:
    x = RANDOM.standard_normal((7, 45)).astype("f4")
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
def test_a_layernorm_with_a_block_for_each_row() -> None:
    x = RANDOM.standard_normal((3, 100)).astype("f4")
    exact = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5)
    for _, out in in_every_order(LAYERNORM, 3, 96, np.int32(100), x, np.zeros_like(x)):
        np.testing.assert_allclose(out, exact, rtol=1e-3, atol=1e-5)
    code = without(LAYERNORM, "  block.sync();  // of all warps\n")
    assert is_at(fault_of(code, 3, 96, np.int32(100), x, np.zeros_like(x)), code)


GROUPS = """#include <cooperative_groups.h>
#include <cooperative_groups/reduce.h>
namespace cg = cooperative_groups;
struct Pair { double first; int second; };
extern "C" __global__ void groups(const int* x, int* out, int* kept) {
  auto block = cg::this_thread_block();
  auto tile = cg::tiled_partition<8>(block);
  auto half = cg::tiled_partition<4>(tile);
  const int t = block.thread_rank(), v = x[t];
  int* const mine = out + 16 * t;
  mine[0] = block.group_index().x + 100 * block.thread_index().y + 1000 * block.size();
  mine[1] = tile.thread_rank() + 100 * tile.meta_group_rank() + 10000 * tile.meta_group_size();
  mine[2] = half.thread_rank() + 10 * half.meta_group_rank() + 100 * half.meta_group_size() + 1000 * half.size();
  mine[3] = tile.shfl(v, 3);
  mine[4] = tile.shfl_up(v, 2);
  mine[5] = tile.shfl_down(v, 2);
  mine[6] = half.shfl_xor(v, 3);
  mine[7] = tile.ballot(v % 2);
  mine[8] = tile.any(v > 90) + 2 * tile.all(v >= 0);
  mine[9] = cg::reduce(tile, v, cg::less<int>());
  mine[10] = cg::reduce(half, v, cg::bit_xor<int>());
  const Pair pair = tile.shfl(Pair{0.5 * v, t}, 1);
  mine[11] = int(2 * pair.first) + 1000 * pair.second;
  mine[12] = -1;
  if (v % 3 == 0) {
    auto together = cg::coalesced_threads();  // one lane makes room for all
    int first = 0;
    if (together.thread_rank() == 0) first = atomicAdd(kept, (int)together.size());
    mine[12] = together.shfl(first, 0) + together.thread_rank();
    together.sync();
  }
  cg::sync(block);
  mine[13] = cg::this_grid().thread_rank();
}"""


@pytest.mark.feature("cooperative groups", "`tiled_partition`, `coalesced_threads`, ranks, votes, matches")
@pytest.mark.parametrize("order", ORDERS)
def test_tiles_and_lanes_that_come_together(order: str | None) -> None:
    x, kept = RANDOM.integers(0, 100, 64).astype("i4"), np.zeros(1, "i4")
    if order is None:
        _, out, kept = launch(GROUPS, 1, (16, 4), x, np.zeros(1024, "i4"), kept)
    else:
        with checking(order):
            _, out, kept = launch(GROUPS, 1, (16, 4), x, np.zeros(1024, "i4"), kept)
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
def test_a_barrier_of_the_grid() -> None:
    x = RANDOM.standard_normal(160).astype("f4")
    zeros = np.zeros_like(x)
    for *_, out in in_every_order(GRID, 5, 32, np.int32(160), x, zeros, zeros, cooperative=True):
        np.testing.assert_array_equal(out, x[::-1] / 2)
    code = without(GRID, "  grid.sync();\n")
    fault = fault_of(code, 4, 32, np.int32(128), x, zeros, zeros, cooperative=True)
    assert is_at(fault, code)
    assert "a race between two blocks" in str(fault)
    with pytest.raises(KernelFault, match=r"mine.cu:7, .*needs a launch that is cooperative"):
        launch(GRID, 5, 32, np.int32(160), x, zeros, zeros)


@pytest.mark.feature("cooperative groups", "`this_grid().sync()`, in a cooperative launch alone")
def test_a_barrier_of_the_grid_that_a_block_misses() -> None:
    code = GRID.replace("  grid.sync();", "  if (blockIdx.x == 3) return;\n  grid.sync();//<").replace("n - 1 - i", "i")
    code = marked(code.replace(";//<\n  if", ";\n  if").replace("half[i];//<", "half[i];"))
    x = np.zeros(160, "f4")
    fault = fault_of(code, 5, 32, np.int32(160), x, x, x, cooperative=True)
    assert is_at(fault, code)
    assert "it waits for ever" in str(fault)


# Variables of the device.

CONVOLUTION = """__constant__ float weights[5];
__device__ int calls = 7, other = 1;
__device__ double kept[2] = {1, 2};
extern "C" __global__ void convolve(int n, const float* x, float* out) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i == 0) calls += 1, kept[1] *= 2;
  float sum = 0;
  for (int k = -2; k <= 2; ++k) sum += i + k >= 0 && i + k < n ? weights[k + 2] * x[i + k] : 0;
  if (i < n) out[i] = sum;
}"""


@pytest.mark.feature("memory", "`__device__` and `__constant__` variables, with `RawModule.get_global`")
def test_variables_of_the_device() -> None:
    module, other = (RawModule(CONVOLUTION) for _ in range(2))
    weights = device.ndarray((5,), np.float32, module.get_global("weights"))
    weights[...] = [1, -2, 3, 4, 0.5]
    calls = device.ndarray((1,), np.int32, module.get_global("calls"))
    kept = device.ndarray((2,), np.float64, module.get_global("kept"))
    assert (calls[0], *np.asarray(kept)) == (7, 1, 2)
    x, out = device.array(RANDOM.standard_normal(50).astype("f4")), device.array(np.zeros(50, "f4"))
    for i, order in enumerate(ORDERS, 8):
        if order is None:
            module.get_function("convolve")((2,), (32,), (np.int32(50), x, out))
        else:
            with checking(order):
                module.get_function("convolve")((2,), (32,), (np.int32(50), x, out))
        np.testing.assert_allclose(out, np.correlate(np.asarray(x), np.asarray(weights), "same"), rtol=1e-4, atol=1e-5)
        assert (calls[0], *np.asarray(kept)) == (i, 1, 2.0 ** (i - 6))
        weights *= 2
    assert module.get_global("weights").ptr == weights.data.ptr
    assert module.get_global("weights").nbytes == 20
    for name in ("none", "convolve", "stdout"):
        with pytest.raises(KeyError, match=name):
            other.get_global(name)


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
def test_a_learner_says_how_much_shared_memory_a_block_has(tmp_path: Path) -> None:
    path = tmp_path / "mine.cu"
    a, b = (RANDOM.standard_normal(shape).astype("f4") for shape in ((20, 33), (33, 18)))

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
    assert is_at(caught.value, LEARNERS)
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
