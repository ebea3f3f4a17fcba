"""Inline PTX on the emulator: barriers, operations of a warp, and products of fragments."""

from collections.abc import Iterator

import numpy as np
import pytest
from cuda_kernels import fault_of, in_every_order, line_with, run
from ptx_programs import MATRICES, MBARRIER, NAMED, WARP
from sampling import sample

from fastae.backends.emulator import checking
from fastae.backends.emulator.source import waits

# Barriers and warps.


@pytest.mark.thorough
@pytest.mark.feature(
    "inline PTX", "barriers with numbers and counts: `bar.sync`, `bar.arrive`, `barrier.sync`, `bar.warp.sync`"
)
def test_named_barriers_order_warps(compiler: str) -> None:
    x = np.arange(96, dtype="f4")
    for _, y in in_every_order(NAMED, 1, 64, x, np.zeros(96, "f4"), np.int32(3)):
        assert np.array_equal(y, x.reshape(3, 32)[:, ::-1].ravel())
    for right, wrong, told in (
        ("sync(2, 64);  // empty", "", "a race between two threads"),
        ("if (i + 1 < rounds) arrive(2, 64);", "", "too few threads arrive at this barrier: 32 of 64"),
        ("(1, 64)", "(1, 60)", "a multiple of 32"),
    ):
        code, order = NAMED.replace(right, wrong), "random" if "race" in told else "forward"
        assert told in str(fault_of(code, 1, 64, x, np.zeros(96, "f4"), np.int32(3), order=order))


@pytest.mark.thorough
def test_barriers_without_a_count_are_those_of_a_block() -> None:
    code = """__global__ void f(int* out) {
  __shared__ int s[64];
  s[threadIdx.x] = threadIdx.x;
  asm volatile("bar.sync 0;" ::: "memory");
  out[threadIdx.x] = s[63 - threadIdx.x];
  int all;
  asm volatile("{ .reg .pred p; setp.lt.s32 p, %1, 40; bar.red.popc.u32 %0, 0, p; }"
               : "=r"(all) : "r"((int)threadIdx.x));
  out[64 + threadIdx.x] = all;
}"""
    for (out,) in in_every_order(code, 1, 64, np.zeros(128, "i4")):
        assert out.tolist() == [*range(63, -1, -1), *[40] * 64]
    assert waits(code)
    assert not waits('asm("add.u32 %0, %1, 1;" : "=r"(y) : "r"(x));')


@pytest.mark.thorough
@pytest.mark.feature(
    "inline PTX", "operations of a warp: `shfl.sync`, `vote.sync`, `match.sync`, `redux.sync`, `activemask`"
)
def test_operations_of_a_warp(compiler: str) -> None:
    for (out,) in in_every_order(WARP, 1, 32, np.zeros(256, "u4")):
        for t, row in enumerate(out.reshape(32, 8).tolist()):
            up = t - 1 + 100 if t else 0
            down = t + 2 if t % 8 < 6 else t
            assert row == [t ^ 3, up, down, t // 4 * 4 + 1, 31, 496, 0xFFFF << 16 * (t // 16), 2**32 - 1]


@pytest.mark.thorough
@pytest.mark.feature("inline PTX", "`mbarrier.init`, `arrive`, `test_wait` and `try_wait`, by state and by parity")
def test_barriers_in_memory(compiler: str) -> None:
    x = np.arange(64, dtype="f4")
    for _, y in in_every_order(MBARRIER, 1, 64, x, np.zeros(128, "f4")):
        assert np.array_equal(y, [*x[::-1], *(x[::-1] + 1)])


# Matrices.


def layouts(m: int, n: int, k: int, per: int) -> Iterator[tuple[str, int, int, int, int]]:
    """Of the PTX ISA's figures of fragments: what, lane, number of the register's element, row, column."""
    for lane in range(32):
        group, inner = divmod(lane, 4)
        for i in range(m * k // 32):
            high, e = divmod(i, per)
            yield "a", lane, i, group + 8 * (high % 2 if m == 16 else 0), inner * per + e + 4 * per * (high // 2)
        for i in range(n * k // 32):
            yield "b", lane, i, inner * per + i % per + 4 * per * (i // per), group
        for i in range(m * n // 32):
            yield "c", lane, i, group + 8 * (i // 2), 2 * inner + i % 2


MMA = {  # shape, types of the sums and factors: NumPy's types of both, elements of a factor in a register
    "m16n8k16.row.col.f32.f16.f16.f32": (16, 8, 16, "f4", "f2", 2),
    "m16n8k16.row.col.f16.f16.f16.f16": (16, 8, 16, "f2", "f2", 2),
    "m16n8k8.row.col.f32.f16.f16.f32": (16, 8, 8, "f4", "f2", 2),
    "m16n8k8.row.col.f32.tf32.tf32.f32": (16, 8, 8, "f4", "f4", 1),
    "m16n8k4.row.col.f32.tf32.tf32.f32": (16, 8, 4, "f4", "f4", 1),
    "m16n8k32.row.col.s32.s8.s8.s32": (16, 8, 32, "i4", "i1", 4),
    "m16n8k16.row.col.s32.u8.u8.s32": (16, 8, 16, "i4", "u1", 4),
    "m8n8k4.row.col.f64.f64.f64.f64": (8, 8, 4, "f8", "f8", 1),
}


@pytest.mark.feature(
    "inline PTX", "`mma.sync` of half, bfloat16, TF32, bytes and double, with the fragments of the PTX ISA"
)
@pytest.mark.parametrize("shape", sample(MMA, 4))
def test_products_of_fragments(shape: str) -> None:
    m, n, k, of_sum, of_factor, per = MMA[shape]
    random = np.random.default_rng(7)
    low = 0 if of_factor == "u1" else -4
    a, b = (random.integers(low, 5, size).astype(of_factor) for size in ((m, k), (k, n)))
    c = random.integers(-4, 5, (m, n)).astype(of_sum)
    fragments = {"a": np.zeros((32, m * k // 32), of_factor), "b": np.zeros((32, n * k // 32), of_factor),
                 "c": np.zeros((32, m * n // 32), of_sum)}  # fmt: skip
    for what, lane, i, row, col in layouts(m, n, k, per):
        fragments[what][lane, i] = {"a": a, "b": b, "c": c}[what][row, col]
    wide = of_factor == "f8"
    kind, letter = ("unsigned long long", "l") if wide else ("unsigned", "r")
    kind, letter = ("double", "d") if wide else (kind, letter)
    of_c, letter_c = {"f4": ("float", "f"), "f8": ("double", "d")}.get(of_sum, ("unsigned", "r"))
    count = [fragments[x].nbytes // 32 // (8 if wide else 4) for x in "abc"]
    numbers = iter(range(count[2] * 2 + count[0] + count[1]))
    d, x, y, z = ("{" + ", ".join(f"%{next(numbers)}" for _ in range(size)) + "}" for size in (count[2], *count))
    outputs = ", ".join(f'"={letter_c}"(d[{i}])' for i in range(count[2]))
    inputs = [f'"{letter}"(a[{count[0]} * t + {i}])' for i in range(count[0])]
    inputs += [f'"{letter}"(b[{count[1]} * t + {i}])' for i in range(count[1])]
    inputs += [f'"{letter_c}"(c[{count[2]} * t + {i}])' for i in range(count[2])]
    code = f"""__global__ void f(const {kind}* a, const {kind}* b, const {of_c}* c, {of_c}* out) {{
  const int t = threadIdx.x;
  {of_c} d[{count[2]}];
  asm volatile("mma.sync.aligned.{shape} {d}, {x}, {y}, {z};" : {outputs} : {", ".join(inputs)});
  for (int i = 0; i < {count[2]}; ++i) out[{count[2]} * t + i] = d[i];
}}"""
    types = ["u4" if not wide else "f8"] * 2 + [{"f4": "f4", "f8": "f8"}.get(of_sum, "u4")]
    given = [np.ascontiguousarray(fragments[f]).view(dtype).ravel() for f, dtype in zip("abc", types)]
    with checking():
        *_, out = run(code, 1, 32, *given, np.zeros_like(given[2]))
    found = out.view(of_sum).reshape(32, -1)
    product = a.astype("f8") @ b.astype("f8") + c.astype("f8")
    for what, lane, i, row, col in layouts(m, n, k, per):
        assert what != "c" or found[lane, i] == product[row, col]


@pytest.mark.thorough
@pytest.mark.feature("inline PTX", "`ldmatrix`, `stmatrix`, `movmatrix`, plain and transposed")
def test_matrices_of_eight_by_eight(compiler: str) -> None:
    x = np.arange(256, dtype="u2")
    given = np.zeros(128, "u4"), np.zeros(64, "u4"), np.zeros(256, "u2"), np.zeros(32, "u4")
    for _, plain, turned, back, moved in in_every_order(MATRICES, 1, 32, x, *given):
        matrices = x.reshape(4, 8, 8)
        assert np.array_equal(plain.view("u2").reshape(4, 8, 8), matrices)
        assert np.array_equal(turned.view("u2").reshape(2, 8, 8), matrices[:2].transpose(0, 2, 1))
        assert np.array_equal(back, x)
        assert np.array_equal(moved.view("u2").reshape(8, 8), matrices[0].T)
    said = str(fault_of(MATRICES.replace("[t % 8][0]), r[4]", "[t % 8][1]), r[4]"), 1, 32, x, *given))
    assert "a misaligned address" in said
    assert line_with(MATRICES, "ldmatrix.sync.aligned.m8n8.x4") in said
