"""Atomic operations on the emulator: every one on every type, and updates that are lost."""

import re

import numpy as np
import pytest
from cuda_kernels import in_every_order, marked_fault, run, without
from warp_programs import COUNTERS, HISTOGRAM

from fastae.backends.emulator import checking
from fastae.backends.emulator.source import CompileError

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
def test_every_atomic_operation_on_every_type_of_it(scope: str, random: np.random.Generator) -> None:
    lines, types, inputs, wanted = [], [], [], []
    for i, (op, c, d, fold) in enumerate(ATOMICS):
        x = random.integers(0 if d[0] == "u" else -99, 100, 64).astype(d)
        types.append(f"const {WIDE.get(c, c)}* x{i}, {WIDE.get(c, c)}* out{i}")
        lines.append(f"  atomic{op}{scope}(({c}*)out{i}, ({c})x{i}[threadIdx.x]);")
        with np.errstate(over="ignore"):
            wanted.append(np.array(fold(x)).astype(d))
        inputs += [y.view("i8") if c in WIDE else y for y in (x, np.zeros(1, d))]
    code = f'extern "C" __global__ void all({", ".join(types)}) {{\n' + "\n".join(lines) + "\n}"
    for found in in_every_order(code, 1, 64, *inputs):
        assert [x[0] for x in found[1::2]] == [x.view("i8" if x.dtype == np.uint64 else x.dtype)[()] for x in wanted]


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
        run(f'extern "C" __global__ void f(int* p) {{ {call}; }}', 1, 1, np.zeros(4, "i4"))


@pytest.mark.feature("atomics", "atomics on shared memory; a dropped barrier is a race")
def test_a_histogram_in_shared_memory(random: np.random.Generator) -> None:
    x = random.integers(0, 64, 5000).astype("i4")
    for _, counts in in_every_order(HISTOGRAM, 3, 96, np.int32(5000), x, np.zeros(64, "u4"), shared=256):
        np.testing.assert_array_equal(counts, np.bincount(x, minlength=64))


@pytest.mark.feature("atomics", "atomics on shared memory; a dropped barrier is a race")
@pytest.mark.parametrize("barrier", ["zeroed", "counted"])
def test_a_histogram_without_a_barrier(barrier: str, random: np.random.Generator) -> None:
    code = without(HISTOGRAM, f"  __syncthreads();  // {barrier}\n")
    x = random.integers(0, 64, 5000).astype("i4")
    marked_fault(code, 3, 96, np.int32(5000), x, np.zeros(64, "u4"), shared=256)


@pytest.mark.feature("atomics", "what is atomic within a block is a race between blocks")
def test_what_is_atomic_within_a_block_is_not_between_blocks() -> None:
    code = 'extern "C" __global__ void f(int* p) {\n  atomicAdd_block(p, 1);//<\n}'
    assert [x[0] for (x,) in in_every_order(code, 1, 64, np.zeros(1, "i4"))] == [64] * 4
    fault = marked_fault(code, 2, 64, np.zeros(1, "i4"))
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
    assert run(LOST, 64, 32, x, np.zeros(1, "i4"))[1][0] == 64  # one block after another
    for seed in range(1, 6):
        with checking("random", seed):
            first, again = (run(LOST, 64, 32, x, np.zeros(1, "i4"))[1][0] for _ in range(2))
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


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("atomicAdd(p, 3)", 13), ("atomicSub(p, 3)", 7), ("atomicMin(p, 3)", 3), ("atomicMax(p, 13)", 13),
        ("atomicAnd(p, 6)", 2), ("atomicOr(p, 5)", 15), ("atomicXor(p, 3)", 9), ("atomicInc(p, 10)", 0),
        ("atomicInc(p, 11)", 11), ("atomicDec(p, 11)", 9), ("atomicDec(p, 9)", 9), ("atomicExch(p, 4)", 4),
        ("atomicCAS(p, 10, 4)", 4), ("atomicCAS(p, 9, 4)", 10),
    ],
)  # fmt: skip
def test_atomic_operations_do_what_cudas_do(call: str, expected: int) -> None:
    code = f'extern "C" __global__ void one(unsigned* p) {{ p[1] = {call}; }}'
    with checking():
        (p,) = run(code, 1, 1, np.array([10, 0], "u4"))
    assert p.tolist() == [expected, 10]
