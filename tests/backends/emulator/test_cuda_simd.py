"""Integer intrinsics of CUDA, SIMD within a word and DPX among them: compared with a model in Python."""

from collections.abc import Callable

import numpy as np
import pytest
from cuda_kernels import fault_of, line_with, results, run

EDGES = [0, 1, 0x7FFF7FFF, 0x80008000, 0x80007FFF, 0x7F80FF01, 0x80808080, 0x7F7F7F7F, 0xFFFFFFFF, 0x00FF00FF]
WORDS = [(x, y) for x in EDGES for y in EDGES]
WORDS += [(int(x), int(y)) for x, y in np.random.default_rng(21).integers(0, 2**32, (60, 2))]


def parts(word: int, size: int, signed: bool) -> list[int]:
    bits = 32 // size
    found = [word >> bits * i & (1 << bits) - 1 for i in range(size)]
    return [p - (1 << bits) if signed and p >> (bits - 1) else p for p in found]


def whole(values: list[int], size: int) -> int:
    bits = 32 // size
    return sum((v & (1 << bits) - 1) << bits * i for i, v in enumerate(values))


def within(value: int, size: int, signed: bool) -> int:
    bits = 32 // size
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    return min(max(value, low), high)


MODEL: dict[str, tuple[bool, Callable[[int, int, int], int]]] = {  # of a part of two words: signed, and what it becomes
    "vadd": (False, lambda x, y, _: x + y),
    "vsub": (False, lambda x, y, _: x - y),
    "vaddss": (True, lambda x, y, size: within(x + y, size, True)),
    "vaddus": (False, lambda x, y, size: within(x + y, size, False)),
    "vsubss": (True, lambda x, y, size: within(x - y, size, True)),
    "vsubus": (False, lambda x, y, size: within(x - y, size, False)),
    "vabsdiffs": (True, lambda x, y, _: abs(x - y)),
    "vabsdiffu": (False, lambda x, y, _: abs(x - y)),
    "vavgs": (True, lambda x, y, _: (x + y + 1) // 2 if x + y >= 0 else -((-x - y + 1) // 2)),
    "vavgu": (False, lambda x, y, _: (x + y + 1) // 2),
    "vhaddu": (False, lambda x, y, _: (x + y) // 2),
    "vmaxs": (True, lambda x, y, _: max(x, y)),
    "vmaxu": (False, lambda x, y, _: max(x, y)),
    "vmins": (True, lambda x, y, _: min(x, y)),
    "vminu": (False, lambda x, y, _: min(x, y)),
    "vcmpeq": (False, lambda x, y, _: -(x == y)),
    "vcmpne": (False, lambda x, y, _: -(x != y)),
    "vcmpgts": (True, lambda x, y, _: -(x > y)),
    "vcmpgeu": (False, lambda x, y, _: -(x >= y)),
    "vcmplts": (True, lambda x, y, _: -(x < y)),
    "vcmpleu": (False, lambda x, y, _: -(x <= y)),
    "vsetgtu": (False, lambda x, y, _: x > y),
    "vsetles": (True, lambda x, y, _: x <= y),
    "vseteq": (False, lambda x, y, _: x == y),
    "vabs": (True, lambda x, _, __: abs(x)),
    "vabsss": (True, lambda x, _, size: within(abs(x), size, True)),
    "vneg": (True, lambda x, _, __: -x),
    "vnegss": (True, lambda x, _, size: within(-x, size, True)),
}


def on_all(expressions: list[str], of: list[tuple[int, ...]]) -> np.ndarray:
    """Evaluate expressions of x, y and z for all words; a row for each of them."""
    given = np.array(of, "u4").T.copy()
    names = ["x", "y", "z"][: len(given)]
    lines = "".join(f"  out[{i} * n + i] = {expression};\n" for i, expression in enumerate(expressions))
    parameters = ", ".join(f"const unsigned* {name}s" for name in names)
    reads = " ".join(f"const unsigned {name} = {name}s[i];" for name in names)
    code = (
        f"__global__ void f({parameters}, unsigned* out, int n) {{\n  const int i = threadIdx.x;\n  {reads}\n{lines}}}"
    )
    out = np.zeros(len(expressions) * len(of), np.uint32)
    *_, found = run(code, 1, len(of), *given, out, np.int32(len(of)))
    return found.reshape(len(expressions), len(of))


@pytest.mark.feature(
    "mathematics",
    "several numbers in a word: `__vadd2`, `__vsub4`, `__vmaxs2`, `__vcmpgts4`, `__vavgu4`, `__vsads2` and their kin",
)
def test_numbers_in_a_word(compiler: str) -> None:
    names = [(name, size) for name in MODEL for size in (2, 4)]
    unary = ("vabs", "vabsss", "vneg", "vnegss")
    calls = [f"__{name}{size}({'x' if name in unary else 'x, y'})" for name, size in names]
    sums = [f"__vsad{sign}{size}(x, y)" for sign in "su" for size in (2, 4)]
    found = on_all([*calls, *sums], WORDS)
    for row, (name, size) in zip(found, names):
        signed, compute = MODEL[name]
        for value, (x, y) in zip(row.tolist(), WORDS):
            pairs = zip(parts(x, size, signed), parts(y, size, signed))
            expected = whole([int(compute(p, q, size)) for p, q in pairs], size)
            assert value == expected, (name, size, hex(x), hex(y))
    for row, (signed, size) in zip(found[len(calls) :], [(True, 2), (True, 4), (False, 2), (False, 4)]):
        for value, (x, y) in zip(row.tolist(), WORDS):
            assert value == sum(abs(p - q) for p, q in zip(parts(x, size, signed), parts(y, size, signed)))


@pytest.mark.feature(
    "mathematics", "DPX: `__viaddmax_s32`, `__vimax3_s16x2_relu`, `__vibmax_u16x2` and their kin; `__dp2a_lo`, `__dp4a`"
)
def test_dpx_and_dot_products(random: np.random.Generator) -> None:
    of = [tuple(int(x) for x in random.integers(0, 2**32, 3)) for _ in range(100)] + [(0x7FFF8000, 0x00018000, 5)]

    def signed(x: int) -> int:
        x &= 2**32 - 1
        return x - 2**32 if x >> 31 else x

    def halves(compute: Callable[[int, int, int], int]) -> Callable[[int, int, int], int]:
        return lambda x, y, z: whole([compute(*p) for p in zip(*(parts(w, 2, True) for w in (x, y, z)))], 2)

    def wrapped(x: int) -> int:
        return (x + 2**15) % 2**16 - 2**15

    cases: dict[str, Callable[[int, int, int], int]] = {
        "__viaddmax_s32((int)x, (int)y, (int)z)": lambda x, y, z: max(signed(x + y), signed(z)),
        "__viaddmin_u32(x, y, z)": lambda x, y, z: min((x + y) % 2**32, z),
        "__viaddmax_s32_relu((int)x, (int)y, (int)z)": lambda x, y, z: max(signed(x + y), signed(z), 0),
        "__viaddmax_s16x2(x, y, z)": halves(lambda x, y, z: max(wrapped(x + y), z)),
        "__viaddmin_s16x2_relu(x, y, z)": halves(lambda x, y, z: max(min(wrapped(x + y), z), 0)),
        "__vimax3_s32((int)x, (int)y, (int)z)": lambda x, y, z: max(map(signed, (x, y, z))),
        "__vimin3_u32(x, y, z)": min,
        "__vimax3_s16x2_relu(x, y, z)": halves(lambda x, y, z: max(x, y, z, 0)),
        "__vimin_s32_relu((int)x, (int)y)": lambda x, y, z: max(min(signed(x), signed(y)), 0),
        "([&] { bool hi, lo; __vibmax_s16x2(x, y, &hi, &lo); return hi * 2 + lo; }())": lambda x, y, z: sum(
            (p >= q) << i for i, (p, q) in enumerate(zip(parts(x, 2, True), parts(y, 2, True)))
        ),
        "__dp4a((int)x, (int)y, (int)z)": lambda x, y, z: (
            z + sum(p * q for p, q in zip(parts(x, 4, True), parts(y, 4, True)))
        ),
        "__dp2a_lo((int)x, (int)y, (int)z)": lambda x, y, z: (
            z + sum(p * q for p, q in zip(parts(x, 2, True), parts(y, 4, True)[:2]))
        ),
        "__dp2a_hi(x, y, z)": lambda x, y, z: (
            z + sum(p * q for p, q in zip(parts(x, 2, False), parts(y, 4, False)[2:]))
        ),
    }
    found = on_all(list(cases), of)
    for row, (call, compute) in zip(found.tolist(), cases.items()):
        assert row == [compute(*words) % 2**32 for words in of], call


@pytest.mark.feature(
    "mathematics", "integer intrinsics: `__fns`, `__nv_bswap32`, `__byte_perm`, `__funnelshift_lc`, `__sad`, `__mul24`"
)
def test_other_integer_intrinsics() -> None:
    cases = {
        "__fns(0x80000012u, x, 1)": 1, "__fns(0x80000012u, x + 2, 1)": 4, "__fns(0x12u, x + 31, -2)": 1,
        "__fns(0x12u, x, 3)": 2**32 - 1, "__fns(0x10u, x + 4, 0)": 4, "__nv_bswap32(x + 0x11223344)": 0x44332211,
        "__nv_bswap16(x + 0x1122)": 0x2211, "mulhi(x + 0x40000000, 8)": 2, "umul24(x + 3, 5)": 15,
        "float_as_uint(x + 1.0f)": 0x3F800000, "int_as_float(x + 0x40000000)": 2,
    }  # fmt: skip
    assert results(list(cases), "unsigned", np.uint32).tolist() == list(cases.values())


# cuRAND's generators for kernels.

RANDOM_NUMBERS = """#include <curand_kernel.h>
__global__ void f(unsigned* bits, float* out, curandState* states, curandStatePhilox4_32_10_t* others, int n) {
  const int t = threadIdx.x;
  curand_init(1234, t, 0, &states[t]);
  curand_init(n, t, 5, &others[t]);
  curandState local = states[t];
  for (int i = 0; i < 3; ++i) bits[8 * t + i] = curand(&local);
  curandState skipped = states[t];
  skipahead(2, &skipped);
  bits[8 * t + 3] = curand(&skipped);
  for (int i = 4; i < 8; ++i) bits[8 * t + i] = curand(&others[t]);
  float sum = 0, squares = 0, uniform = 0;
  for (int i = 0; i < 500; ++i) {
    const float x = curand_normal(&states[t]);
    sum += x, squares += x * x, uniform += curand_uniform(&others[t]);
  }
  out[3 * t] = sum / 500, out[3 * t + 1] = squares / 500, out[3 * t + 2] = uniform / 500;
}"""


def xorwow(seed: int, count: int) -> list[int]:
    """The recurrence of Marsaglia's, as cuRAND seeds it."""
    mask = 2**32 - 1
    low, high = 1099087573 * (seed & mask ^ 0xAAD26B49) & mask, 2591861531 * (seed >> 32 ^ 0xF7DCEFDD) & mask
    d = 6615241 + low + high
    v = [123456789 + low, 362436069 ^ low, 521288629 + high, 88675123 ^ high, 5783321 + low]
    v, found = [x & mask for x in v], []
    for _ in range(count):
        t = v[0] ^ v[0] >> 2
        v = [*v[1:], (v[4] ^ v[4] << 4 ^ t ^ t << 1) & mask]
        d += 362437
        found.append((v[4] + d) & mask)
    return found


def philox(counter: list[int], key: list[int]) -> list[int]:
    """Ten rounds of Philox of four words. (Salmon et al., SC 2011.)"""
    mask = 2**32 - 1
    for _ in range(10):
        p, q = 0xD2511F53 * counter[0], 0xCD9E8D57 * counter[2]
        counter = [q >> 32 ^ counter[1] ^ key[0], q & mask, p >> 32 ^ counter[3] ^ key[1], p & mask]
        key = [(key[0] + 0x9E3779B9) & mask, (key[1] + 0xBB67AE85) & mask]
    return counter


@pytest.mark.feature("mathematics", "`curand_kernel.h`: XORWOW and Philox, with cuRAND's bits; uniform and normal")
def test_random_numbers_of_kernels(compiler: str) -> None:
    published = [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]  # by its authors
    assert philox([0] * 4, [0] * 2) == published
    states = np.zeros(32 * 32, "u1"), np.zeros(64 * 32, "u1")
    arguments = 1, 32, np.zeros(8 * 32, "u4"), np.zeros(3 * 32, "f4"), *states, np.int32(7)
    bits, out, *_ = run(RANDOM_NUMBERS, *arguments)
    found = bits.reshape(32, 8).tolist()
    assert found[0][:3] == xorwow(1234, 3)
    for t, row in enumerate(found):
        assert row[3] == row[2]  # after two that were skipped
        numbers = [x for block in (1, 2, 3) for x in philox([block, 0, t, 0], [7, 0])]
        assert row[4:] == numbers[1:5]  # from the fifth on, of which block 1 has the second
    assert len({tuple(row[:3]) for row in found}) == 32
    means = out.reshape(32, 3).mean(0)
    assert np.allclose(means, [0, 1, 0.5], atol=6 / np.sqrt(16000))  # six standard deviations, or more
    shared = RANDOM_NUMBERS.replace("&others[t]);\n  float", "&others[0]);\n  float")
    said = str(fault_of(shared, *arguments))
    assert "a race between two threads" in said
    assert line_with(shared, "&others[0])") in said
