"""Half precision on the emulator: each operation and function is rounded as CUDA documents it."""

import itertools
import re
from fractions import Fraction

import numpy as np
import pytest
from cuda_kernels import run
from half_numbers import ALL, BFLOAT, FORMATS, HALF, Format, rounded, same

# Arithmetic.


def special(random: np.random.Generator, of: Format, n: int) -> np.ndarray:
    """Patterns: those that are special with each other, and random ones, of near exponents too."""
    ends = [0, 1, 2, 0x3FF, 0x400, 0x401, 0x7F, 0x80, 0x81]
    ends += [of.infinite - 1, of.infinite, 0x7FFF, 0x3C00, 0x3C01, 0x3F80]
    ends = np.array([e | s for e in ends for s in (0, 0x8000)], "u2")
    return np.concatenate([np.tile(ends, len(ends)), random.integers(0, 65536, n, dtype=np.uint16)])


def operands(random: np.random.Generator, of: Format) -> list[np.ndarray]:
    a, b, c = (special(random, of, 40_000) for _ in range(3))
    ends = int(len(a) - 40_000)
    b[:ends] = np.repeat(b[: int(ends**0.5)], int(ends**0.5))
    near = slice(ends, ends + 20_000)  # exponents near each other's
    step = 1 << (10 if of is HALF else 7)
    b[near] = (a[near] & 0x7FFF).astype("i4") // step * step + random.integers(0, 3 * step, 20_000) - step
    c[near] = (a[near].astype("i4") & 0x7FFF) // step * step + random.integers(0, step, 20_000)
    return [a, b, c]


BINARY = {
    "__hadd": np.add, "__hsub": np.subtract, "__hmul": np.multiply, "__hdiv": np.divide,
    "__hadd_rn": np.add, "__hsub_rn": np.subtract, "__hmul_rn": np.multiply,
    "__hadd_sat": lambda a, b: saturated(a + b), "__hsub_sat": lambda a, b: saturated(a - b),
    "__hmul_sat": lambda a, b: saturated(a * b),
    "__hmax": lambda a, b: extreme(a, b, 1), "__hmin": lambda a, b: extreme(a, b, -1),
    "__hmax_nan": lambda a, b: np.where(np.isnan(a + b) & (np.isnan(a) | np.isnan(b)), np.nan, extreme(a, b, 1)),
    "__hmin_nan": lambda a, b: np.where(np.isnan(a + b) & (np.isnan(a) | np.isnan(b)), np.nan, extreme(a, b, -1)),
}  # fmt: skip
COMPARISONS = {
    "eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal,
}  # fmt: skip


def saturated(x: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(x) | (x <= 0), 0.0, np.minimum(x, 1))


def extreme(a: np.ndarray, b: np.ndarray, sign: int) -> np.ndarray:
    """The larger or smaller number; of a number and NaN the number; of 0 and -0 as if -0 were less."""
    zeros = (a == 0) & (b == 0)
    best = np.fmax(a, b) if sign > 0 else np.fmin(a, b)
    first = np.signbit(a) if sign < 0 else ~np.signbit(a)
    return np.where(zeros, np.where(first, a, b), best)


@FORMATS
@pytest.mark.feature("half precision", "arithmetic, each operation rounded once, numbers below the normal ones kept")
def test_arithmetic_is_rounded_once(compiler: str, of: Format, random: np.random.Generator) -> None:
    pairs = {name: "__h2div" if name == "__hdiv" else re.sub(r"^(__h[a-z]+)", r"\g<1>2", name) for name in BINARY}
    lines = "".join(f"  out[{i} * n + i0] = {name}(a, b);\n" for i, name in enumerate(BINARY))
    lines += "".join(
        f"  if (i0 % 2 == 0) two[({i} * n + i0) / 2] = {name}(p, q);\n" for i, name in enumerate(pairs.values())
    )
    a, b, _ = operands(random, of)
    a, b = a[: len(a) // 2 * 2], b[: len(a) // 2 * 2]
    code = f"""{of.header}__global__ void f(int n, const {of.type}* x, const {of.type}* y, {of.type}* out,
                                {of.pair}* two) {{
  const int i0 = threadIdx.x + blockIdx.x * blockDim.x;
  if (i0 >= n) return;
  const {of.type} a = x[i0], b = y[i0];
  const {of.pair} p = reinterpret_cast<const {of.pair}*>(x)[i0 / 2], q = reinterpret_cast<const {of.pair}*>(y)[i0 / 2];
{lines}}}"""
    n, empty = len(a), np.zeros(len(BINARY) * len(a), of.dtype)
    _, _, out, two = run(code, -(-n // 256), 256, np.int32(n), a.view(of.dtype), b.view(of.dtype), empty, empty)
    x, y = of.values[a], of.values[b]
    for i, (name, function) in enumerate(BINARY.items()):
        with np.errstate(all="ignore"):
            expected = rounded(function(x, y), of)
        for found in (out, two):
            got = found.view("u2")[i * n : (i + 1) * n]
            wrong = ~same(got, expected, of)
            assert not wrong.any(), (name, x[wrong][:3], y[wrong][:3], got[wrong][:3], expected[wrong][:3])


def fused(x: float, y: float, z: float, of: Format) -> int:
    """The pattern of x y + z, by fractions."""
    if not np.isfinite([x, y, z]).all():
        return int(rounded(x * y + z, of))
    exact = Fraction(x) * Fraction(y) + Fraction(z)
    if exact == 0:
        return int(rounded(x * y + z, of))
    size = abs(exact)
    near = np.float64(size.numerator / size.denominator)  # to which the rest is added, so that no tie is missed
    if Fraction(float(near)) != size and int(near.view("u8")) % 2 == 0:
        near = np.nextafter(near, np.inf if Fraction(float(near)) < size else 0)
    return int(rounded(np.copysign(near, -1 if exact < 0 else 1), of))


@FORMATS
@pytest.mark.feature("half precision", "arithmetic, each operation rounded once, numbers below the normal ones kept")
def test_a_fused_operation_is_rounded_once(compiler: str, of: Format, random: np.random.Generator) -> None:
    a, b, c = (x[:24_000] for x in operands(random, of))
    # Products half way between two numbers, of which a tiny third one decides: 1.5 of the last place, and 2^-20.
    ulp = 2.0 ** -(10 if of is HALF else 7)
    ties = [((1 + ulp) * 2**-4, 1 + ulp, s * t) for s in (1, -1) for t in (2.0**-14, 2.0**-24)]
    ties += [(1 + 2 * ulp * k, 1.5, s * 2.0**-e) for k in range(1, 40) for s in (1, -1) for e in (14, 24, 60, 100)]
    extra = [np.array([rounded(t[i], of) for t in ties]) for i in range(3)]
    a, b, c = (np.concatenate([p, q]) for p, q in zip((a, b, c), extra))
    code = f"""{of.header}__global__ void f(int n, const {of.type}* a, const {of.type}* b,
                                const {of.type}* c, {of.type}* out) {{
  for (int i = threadIdx.x; i < n; i += blockDim.x) {{
    out[i] = __hfma(a[i], b[i], c[i]);
    out[n + i] = __hfma_sat(a[i], b[i], c[i]);
    out[2 * n + i] = __hfma_relu(a[i], b[i], c[i]);
    const {of.pair} p = __hfma2({of.pair}(a[i], c[i]), {of.pair}(b[i], b[i]), {of.pair}(c[i], a[i]));
    out[3 * n + i] = p.x;
    out[4 * n + i] = p.y;
  }}
}}"""
    *_, out = run(code, 1, 64, np.int32(len(a)), *(v.view(of.dtype) for v in (a, b, c)), np.zeros(5 * len(a), of.dtype))
    found = out.view("u2").reshape(5, -1)
    x, y, z = (of.values[v].tolist() for v in (a, b, c))
    with np.errstate(all="ignore"):
        expected = np.array([fused(*v, of) for v in zip(x, y, z)], "u2")
        other = np.array([fused(*v, of) for v in zip(z, y, x)], "u2")
    for got, wanted in ((found[0], expected), (found[3], expected), (found[4], other)):
        wrong = ~same(got, wanted, of)
        assert not wrong.any(), [(x[i], y[i], z[i], got[i], wanted[i]) for i in np.flatnonzero(wrong)[:3]]
    one = rounded(1.0, of)
    value = of.values[expected]
    assert same(found[1], np.where(value > 1, one, np.where(value > 0, expected, 0)).astype("u2"), of).all()
    assert same(found[2], np.where((value > 0) | np.isnan(value), expected, 0).astype("u2"), of).all()


@FORMATS
@pytest.mark.feature("half precision", "comparisons, ordered and not, of numbers and of pairs")
def test_comparisons_of_any_two_numbers_are_right(of: Format, random: np.random.Generator) -> None:
    a, b, _ = operands(random, of)
    a, b = a[:4000], b[:4000]
    names = [*COMPARISONS, *(f"{name}u" for name in COMPARISONS)]
    lines = "".join(
        f"""    out[{i} * n + i0] = __h{name}(a, b) | __hb{name}2(p, q) << 1 |
      (__low2float(__h{name}2(p, q)) == 1.0f) << 2 |
      (__high2float(__h{name}2(p, q)) == 1.0f) << 3 | (__h{name}2_mask(p, q) & 0x10001) % 0xffff << 4;\n"""
        for i, name in enumerate(names)
    )
    lines += "".join(
        f"    out[{len(names) + i} * n + i0] = (a {sign} b) | (p {sign} q) << 1;\n"
        for i, sign in enumerate(("==", "!=", "<", "<=", ">", ">="))
    )
    lines += f"    out[{len(names) + 6} * n + i0] = __hisnan(a) | (__hisinf(a) & 3) << 1 | (a ? 8 : 0);\n"
    code = f"""{of.header}__global__ void f(int n, const {of.type}* x, const {of.type}* y, int* out) {{
  for (int i0 = 0; i0 < n; ++i0) {{
    const {of.type} a = x[i0], b = y[i0];
    const {of.pair} p(a, b), q(b, b);
{lines}  }}
}}"""
    *_, out = run(code, 1, 1, np.int32(4000), a.view(of.dtype), b.view(of.dtype), np.zeros(19 * 4000, "i4"))
    found, x, y = out.reshape(19, -1), of.values[a], of.values[b]
    unordered = np.isnan(x) | np.isnan(y)
    for i, (name, either) in enumerate(itertools.product(("", "u"), COMPARISONS)):
        function = COMPARISONS[either]
        first = np.where(unordered, name == "u", function(x, y)).astype("i4")
        second = np.where(np.isnan(y), name == "u", function(y, y)).astype("i4")
        mask = first + 0x10000 * second
        expected = first | (first & second) << 1 | first << 2 | second << 3 | (mask % 0xFFFF) << 4
        np.testing.assert_array_equal(found[i], expected, f"{either}{name}")
    for i, either in enumerate(("eq", "ne", "lt", "le", "gt", "ge")):
        function = COMPARISONS[either]
        first, second = (np.where(np.isnan(u) | np.isnan(v), either == "ne", function(u, v)).astype("i4")
                         for u, v in ((x, y), (y, y)))  # fmt: skip
        np.testing.assert_array_equal(found[12 + i], first | (first & second) << 1, either)
    infinite = np.where(np.isinf(x), np.where(x > 0, 1, 3), 0)
    np.testing.assert_array_equal(found[18], np.isnan(x) | infinite << 1 | (x != 0) * 8)


FUNCTIONS = {
    "hsqrt": np.sqrt, "hrsqrt": lambda x: 1 / np.sqrt(x), "hrcp": lambda x: 1 / x, "hexp": np.exp, "hexp2": np.exp2,
    "hexp10": lambda x: 10.0**x, "hlog": np.log, "hlog2": np.log2, "hlog10": np.log10, "hsin": np.sin, "hcos": np.cos,
    "htanh": np.tanh, "htanh_approx": np.tanh, "hceil": np.ceil, "hfloor": np.floor, "htrunc": np.trunc,
    "hrint": np.rint, "__habs": np.abs, "__hneg": np.negative,
}  # fmt: skip


@FORMATS
@pytest.mark.feature("half precision", "`hexp`, `hlog`, `hrsqrt`, `htanh` and their like, of all numbers")
def test_functions_of_every_number(of: Format) -> None:
    both = [(name, f"{name}2" if name.startswith("__") else name.replace("h", "h2", 1)) for name in FUNCTIONS]
    lines = "".join(
        f"    out[{i} * 65536 + i0] = {one}(a);\n    two[{i} * 65536 + i0] = {pair}({of.pair}(b, a)).y;\n"
        for i, (one, pair) in enumerate(both)
    )
    code = f"""{of.header}__global__ void f(const {of.type}* x, {of.type}* out, {of.type}* two) {{
  for (int i0 = 0; i0 < 65536; ++i0) {{
    const {of.type} a = x[i0], b = 1.0f;
{lines}  }}
}}"""
    empty = np.zeros(len(both) * 65536, of.dtype)
    _, out, two = run(code, 1, 1, ALL.view(of.dtype), empty, empty)
    for i, (name, function) in enumerate(FUNCTIONS.items()):
        with np.errstate(all="ignore"):
            expected = rounded(function(of.values), of)
        for found in (out, two):
            got = found.view("u2")[i * 65536 : (i + 1) * 65536]
            wrong = ~same(got, expected, of) & ~np.isnan(of.values)
            assert not wrong.any(), (name, of.values[wrong][:5], got[wrong][:5], expected[wrong][:5])


def test_numbers_below_the_normal_ones_are_kept_where_floats_are_not() -> None:
    code = """#include <cuda_bf16.h>
__global__ void f(const nv_bfloat16* x, nv_bfloat16* out, float* floats, const float* y) {
  out[0] = x[0] + x[0], out[1] = __hmul(x[1], x[2]), out[2] = __float2bfloat16(y[0]), out[3] = x[0] > x[3];
  floats[0] = y[0] * 2.0f;
}"""
    tiny = np.array([0x0001, 0x0080, 0x3F00, 0x0000], "u2")  # the least, the least normal one, and a half
    y = np.array([1e-40], "f4")
    _, out, floats, _ = run(code, 1, 1, tiny, np.zeros(4, "u2"), np.ones(1, "f4"), y)
    assert out.tolist() == [0x0002, 0x0040, int(rounded(y, BFLOAT)[0]), 0x3F80]
    assert floats.tolist() == [0]  # as CuPy has NVIDIA's compiler do
