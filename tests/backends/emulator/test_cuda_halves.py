"""Half precision and the tensor cores' fragments on the emulator: every rounding, and faults at their lines."""

import contextlib
import itertools
import re
from fractions import Fraction
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest

from fastae.backends.emulator import KernelFault, RawModule, checking, counting, device
from fastae.backends.emulator.arguments import Type
from fastae.backends.emulator.source import CompileError

RANDOM = np.random.default_rng(16)
ALL = np.arange(65536, dtype=np.uint16)
with np.errstate(invalid="ignore"):  # of NaN
    VALUES = {"half": ALL.view("f2").astype("f8"), "bfloat16": (ALL.astype("u4") << 16).view("f4").astype("f8")}


class Format(NamedTuple):
    """A type of 16 bits: its names in CUDA, and NumPy's dtype for its arrays."""

    name: str
    type: str
    pair: str
    dtype: str
    infinite: int

    @property
    def header(self) -> str:
        return f"#include <cuda_{'fp16' if self.name == 'half' else 'bf16'}.h>\n"

    @property
    def values(self) -> np.ndarray:
        """The value of each pattern of bits."""
        return VALUES[self.name]


HALF = Format("half", "__half", "__half2", "f2", 0x7C00)
BFLOAT = Format("bfloat16", "__nv_bfloat16", "__nv_bfloat162", "u2", 0x7F80)
FORMATS = pytest.mark.parametrize("of", [HALF, BFLOAT], ids=["half", "bfloat16"])


@pytest.fixture(params=[False, True], ids=["unchecked", "checked"])
def checks(request: pytest.FixtureRequest) -> Any:
    with checking() if request.param else contextlib.nullcontext():
        yield request.param


def launch(code: str, *arguments: Any, grid: Any = 1, block: Any = 1, shared: int = 0, name: str = "f") -> list[Any]:
    """Run a kernel; return its arrays as they are then."""
    given = [device.array(x) if isinstance(x, np.ndarray) and not isinstance(x, device.ndarray) else x
             for x in arguments]  # fmt: skip
    shape = [x if isinstance(x, tuple) else (x,) for x in (grid, block)]
    RawModule(code, file="mine.cu").get_function(name)(*shape, tuple(given), shared_mem=shared)
    return [np.asarray(x) for x in given if isinstance(x, np.ndarray)]


def fault(code: str, *arguments: Any, order: str | None = "forward", **options: Any) -> str:
    with checking(order) if order else contextlib.nullcontext(), pytest.raises(KernelFault) as caught:
        launch(code, *arguments, **options)
    assert line_with(code, "//<") in str(caught.value)
    return str(caught.value)


def line_with(code: str, words: str) -> str:
    (number,) = [i for i, line in enumerate(code.splitlines(), 1) if line.endswith(words)]
    return f"mine.cu:{number},"


def rounded(x: Any, of: Format, way: str = "rn") -> np.ndarray:
    """The patterns to which numbers of float64 are rounded, found among all numbers of the format."""
    with np.errstate(invalid="ignore"):  # of NaN
        x = np.asarray(x).astype(np.float64)
    table = of.values[: of.infinite + 1].copy()  # from 0 upwards
    table[-1] = 2 * table[-2] - table[-3]  # what is infinite, as if the exponents went on
    size = np.where(np.isnan(x), 0, np.minimum(np.abs(x), 1e300))
    high = np.minimum(np.searchsorted(table, size), of.infinite)
    low = np.where(table[high] == size, high, np.maximum(high, 1) - 1)
    rest, gap = size - table[low], table[high] - size
    up = {"rn": (rest > gap) | ((rest == gap) & (low % 2 == 1)), "rz": x != x, "ru": x > 0, "rd": x < 0}[way]
    chosen = np.where(up, high, low)
    if way != "rn":
        chosen = np.where(up, chosen, np.minimum(chosen, of.infinite - 1))
    chosen = np.where(np.isinf(x), of.infinite, chosen).astype(np.uint16) | (np.signbit(x).astype(np.uint16) << 15)
    return np.where(np.isnan(x), np.uint16(0x7FFF), chosen)


def tricky(of: Format, dtype: Any) -> np.ndarray:
    """Numbers of a float type: all of the format, those half way between two, and both neighbours of either."""
    values = of.values[np.isfinite(of.values)]
    middles = np.concatenate([(values[:-1] + values[1:]) / 2, [-0.0, 1e-45, 1e-30, 1e30, 3.4e38]])
    x = np.concatenate([values, middles]).astype(dtype)
    bits = RANDOM.integers(0, 2**32, 100_000, dtype=np.uint32).view("f4")
    with np.errstate(over="ignore", invalid="ignore"):
        x = np.concatenate([x, np.nextafter(x, dtype(np.inf)), np.nextafter(x, dtype(-np.inf)), bits.astype(dtype)])
    return np.concatenate([x, np.array([np.inf, -np.inf, np.nan], dtype)])


def same(found: np.ndarray, expected: np.ndarray, of: Format) -> np.ndarray:
    """Tell which patterns are equal; any NaN is one."""
    nan = [(x & 0x7FFF) > of.infinite for x in (found, expected)]
    return (found == expected) | (nan[0] & nan[1])


# Conversions.


@pytest.mark.feature("half precision", "`__half` and `__nv_bfloat16`, with CUDA's sizes and alignments")
def test_types_have_cudas_sizes_and_alignments(compiler: str) -> None:
    names = ["half", "half2", "nv_bfloat16", "nv_bfloat162", "__half", "__half2", "__nv_bfloat16", "__nv_bfloat162"]
    lines = "".join(f"out[{2 * i}] = sizeof({n}), out[{2 * i + 1}] = alignof({n});\n" for i, n in enumerate(names))
    code = f'#include "cuda_fp16.h"\n#include "cuda_bf16.h"\n__global__ void f(int* out) {{ {lines} }}'
    (out,) = launch(code, np.zeros(16, "i4"))
    assert out.tolist() == [2, 2, 4, 4] * 4


CONVERTED = """__global__ void f(const unsigned short* bits, int n, const float* x, int m, const double* y, int k,
                              float* wide, unsigned short* back, unsigned short* narrow, unsigned short* twice) {
  const int t = threadIdx.x + blockIdx.x * blockDim.x, all = blockDim.x * gridDim.x;
  for (int i = t; i < n; i += all) {
    const TYPE h = __ushort_as_NAME(bits[i]);
    wide[i] = __NAME2float(h);
    back[i] = __NAME_as_ushort(__float2NAME((float)h));
  }
  for (int i = t; i < m; i += all) {
    narrow[i] = __NAME_as_ushort(__float2NAME_rn(x[i]));
    narrow[m + i] = __NAME_as_ushort(__float2NAME_rz(x[i]));
    narrow[2 * m + i] = __NAME_as_ushort(__float2NAME_ru(x[i]));
    narrow[3 * m + i] = __NAME_as_ushort(__float2NAME_rd(x[i]));
  }
  for (int i = t; i < k; i += all) twice[i] = __NAME_as_ushort(__double2NAME(y[i]));
}"""


@FORMATS
@pytest.mark.feature("half precision", "conversions, `_rn`, `_rz`, `_ru` and `_rd`: every number rounded once")
def test_every_number_is_converted(compiler: str, of: Format) -> None:
    code = of.header + CONVERTED.replace("NAME", of.name).replace("TYPE", of.type)
    x, y = tricky(of, np.float32), tricky(of, np.float64)
    wide, back, narrow, twice = np.zeros(65536, "f4"), *(np.zeros(n, "u2") for n in (65536, 4 * x.size, y.size))
    sizes = [np.int32(a.size) for a in (ALL, x, y)]
    _, _, _, wide, back, narrow, twice = launch(
        code, ALL, sizes[0], x, sizes[1], y, sizes[2], wide, back, narrow, twice
    )
    if of is HALF:
        np.testing.assert_array_equal(wide, ALL.view("f2").astype("f4"))
        with np.errstate(over="ignore"):
            assert same(narrow[: x.size], x.astype("f2").view("u2"), of).all()
            assert same(twice, y.astype("f2").view("u2"), of).all()
    else:
        numbers = ~np.isnan(of.values)
        np.testing.assert_array_equal(wide.view("u4")[numbers], ALL[numbers].astype("u4") << 16)
        bits = x.view("u4")
        expected = ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype("u2")
        assert same(narrow[: x.size], np.where(np.isnan(x), np.uint16(0x7FFF), expected), of).all()
    assert same(back, ALL, of).all()
    for i, way in enumerate(("rn", "rz", "ru", "rd")):
        found, expected = narrow[i * x.size : (i + 1) * x.size], rounded(x, of, way)
        wrong = ~same(found, expected, of)
        assert not wrong.any(), (way, x[wrong][:5], found[wrong][:5], expected[wrong][:5])
    assert same(twice, rounded(y, of), of).all()


INTEGERS = {"int": "i4", "uint": "u4", "short": "i2", "ushort": "u2", "ll": "i8", "ull": "u8"}
WORDS = {"uint": "unsigned", "ushort": "unsigned short", "ll": "long long", "ull": "unsigned long long"}
WAYS = {"rn": np.rint, "rz": np.trunc, "ru": np.ceil, "rd": np.floor}


def whole_kernel(of: Format, kind: str) -> str:
    c = WORDS.get(kind, kind)
    lines = "".join(
        f"    if (i < n) out[{w} * n + i] = __{kind}2{of.name}_{way}(x[i]);\n"
        f"    if (i < 65536) whole[{w} * 65536 + i] = __{of.name}2{kind}_{way}(bits[i]);\n"
        for w, way in enumerate(WAYS)
    )
    return f"""{of.header}__global__ void f(const {c}* x, int n, {of.type}* out, const {of.type}* bits, {c}* whole) {{
  for (int i = 0; i < n || i < 65536; ++i) {{
{lines}  }}
}}"""


@FORMATS
@pytest.mark.parametrize("kind", INTEGERS)
@pytest.mark.feature("half precision", "conversions from and to whole numbers by each way of rounding")
def test_whole_numbers_are_converted(of: Format, kind: str) -> None:
    info = np.iinfo(INTEGERS[kind])
    near = [s * (2**e + d) for e in range(info.bits) for d in (-1, 0, 1, 2 ** max(e - 8, 0), 3 * 2 ** max(e - 9, 0),
            2 ** max(e - 8, 0) + 1, 2 ** max(e - 11, 0) - 1, 3 * 2 ** max(e - 12, 0)) for s in (-1, 1)]  # fmt: skip
    x = [v for v in {*near, info.min, info.max, 65504, 65519, 65520} if info.min <= v <= info.max]
    bits = ALL.view(of.dtype)
    _, out, _, whole = launch(
        whole_kernel(of, kind), np.array(x, INTEGERS[kind]), np.int32(len(x)), np.zeros(4 * len(x), of.dtype), bits,
        np.zeros(4 * 65536, INTEGERS[kind]),
    )  # fmt: skip
    values = [Fraction(float(v)) if np.isfinite(v) else None for v in of.values[: of.infinite]]
    for i, (way, round_to) in enumerate(WAYS.items()):
        found = out.view("u2")[i * len(x) : (i + 1) * len(x)]
        for v, got in zip(x, found.tolist()):
            # exactly: of 53 bits, with one more for what is dropped, as float64 has them
            low = abs(v) >> max(abs(v).bit_length() - 52, 0) << max(abs(v).bit_length() - 52, 0)
            sticky = float(low) if low == abs(v) else np.nextafter(float(low), np.inf)
            expected = int(rounded(np.copysign(sticky, v if v else 1), of, way))
            assert got == expected, (way, v, values[min(got & 0x7FFF, of.infinite - 1)])
        with np.errstate(invalid="ignore"):
            numbers = round_to(of.values)
        expected_whole = [
            (2 ** (info.bits - 1) if info.bits == 64 else 0) if n != n
            else info.max if n >= float(info.max) else info.min if n <= float(info.min) else int(n)
            for n in numbers
        ]  # fmt: skip
        expected_bits = np.array([w % 2**info.bits for w in expected_whole], f"u{info.bits // 8}")
        np.testing.assert_array_equal(whole[i * 65536 : (i + 1) * 65536].view(expected_bits.dtype), expected_bits)


# Arithmetic.


def special(of: Format, n: int) -> np.ndarray:
    """Patterns: those that are special with each other, and random ones, of near exponents too."""
    ends = [
        0,
        1,
        2,
        0x3FF,
        0x400,
        0x401,
        0x7F,
        0x80,
        0x81,
        of.infinite - 1,
        of.infinite,
        0x7FFF,
        0x3C00,
        0x3C01,
        0x3F80,
    ]
    ends = np.array([e | s for e in ends for s in (0, 0x8000)], "u2")
    return np.concatenate([np.tile(ends, len(ends)), RANDOM.integers(0, 65536, n, dtype=np.uint16)])


def operands(of: Format) -> list[np.ndarray]:
    a, b, c = (special(of, 40_000) for _ in range(3))
    ends = int(len(a) - 40_000)
    b[:ends] = np.repeat(b[: int(ends**0.5)], int(ends**0.5))
    near = slice(ends, ends + 20_000)  # exponents near each other's
    step = 1 << (10 if of is HALF else 7)
    b[near] = (a[near] & 0x7FFF).astype("i4") // step * step + RANDOM.integers(0, 3 * step, 20_000) - step
    c[near] = (a[near].astype("i4") & 0x7FFF) // step * step + RANDOM.integers(0, step, 20_000)
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
def test_arithmetic_is_rounded_once(compiler: str, of: Format) -> None:
    pairs = {name: "__h2div" if name == "__hdiv" else re.sub(r"^(__h[a-z]+)", r"\g<1>2", name) for name in BINARY}
    lines = "".join(f"  out[{i} * n + i0] = {name}(a, b);\n" for i, name in enumerate(BINARY))
    lines += "".join(
        f"  if (i0 % 2 == 0) two[({i} * n + i0) / 2] = {name}(p, q);\n" for i, name in enumerate(pairs.values())
    )
    a, b, _ = operands(of)
    a, b = a[: len(a) // 2 * 2], b[: len(a) // 2 * 2]
    code = f"""{of.header}__global__ void f(int n, const {of.type}* x, const {of.type}* y, {of.type}* out,
                                {of.pair}* two) {{
  const int i0 = threadIdx.x + blockIdx.x * blockDim.x;
  if (i0 >= n) return;
  const {of.type} a = x[i0], b = y[i0];
  const {of.pair} p = reinterpret_cast<const {of.pair}*>(x)[i0 / 2], q = reinterpret_cast<const {of.pair}*>(y)[i0 / 2];
{lines}}}"""
    n, size = len(a), len(BINARY) * len(a)
    _, _, out, two = launch(
        code, np.int32(n), a.view(of.dtype), b.view(of.dtype), np.zeros(size, of.dtype), np.zeros(size, of.dtype),
        grid=-(-n // 256), block=256,
    )  # fmt: skip
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
def test_a_fused_operation_is_rounded_once(compiler: str, of: Format) -> None:
    a, b, c = (x[:24_000] for x in operands(of))
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
    *_, out = launch(
        code, np.int32(len(a)), *(v.view(of.dtype) for v in (a, b, c)), np.zeros(5 * len(a), of.dtype), block=64
    )
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
def test_comparisons(of: Format) -> None:
    a, b, _ = operands(of)
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
    *_, out = launch(code, np.int32(4000), a.view(of.dtype), b.view(of.dtype), np.zeros(19 * 4000, "i4"))
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
    _, out, two = launch(code, ALL.view(of.dtype), empty, empty)
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
    _, out, floats, _ = launch(code, tiny, np.zeros(4, "u2"), np.ones(1, "f4"), y)
    assert out.tolist() == [0x0002, 0x0040, int(rounded(y, BFLOAT)[0]), 0x3F80]
    assert floats.tolist() == [0]  # as CuPy has NVIDIA's compiler do


# As people use them.

USED = """#include <cuda_fp16.h>
#include <cuda_bf16.h>
template <class T> __device__ T twice(T x) { return x + x; }
template <class T> struct Sum { T x; int n; };
__constant__ half scale[2];
union Eight { uint4 whole; half2 pairs[4]; };
extern "C" __global__ void f(const half* __restrict__ x, half factor, float* sums, half2* pairs, nv_bfloat16* b,
                             nv_bfloat16 bias, half* whole) {
  __shared__ half part[64];
  extern __shared__ half2 more[];
  const int t = threadIdx.x;
  half h = x[t];
  part[t] = h, part[t + 32] = -__ldg(&x[t]);
  part[t] *= factor;
  part[t]++;
  more[t] = __halves2half2(part[t], part[t + 32]);
  __syncthreads();
  const half2 both = __hadd2(more[31 - t], __float2half2_rn(0.5f));
  const float2 f2 = __half22float2(both);
  Sum<half> sum{twice(part[t]), t};
  for (int by = 16; by > 0; by /= 2) sum.x += __shfl_xor_sync(0xffffffffu, sum.x, by);
  sums[t] = float(sum.x) + (part[0] > part[1] ? 1.0f : 0.0f);
  const half2 moved = __shfl_down_sync(~0u, both, 1);
  pairs[t] = __halves2half2(__low2half(moved), __float2half(f2.x + f2.y));
  const nv_bfloat16 v = __shfl_sync(~0u, __float2bfloat16(float(t)), 3);
  b[t] = v * b[t] + bias;
  if (t < 8) {  // eight at once
    Eight of;
    of.whole = reinterpret_cast<const uint4*>(x)[t % 4];
    for (half2& p : of.pairs) p = __hfma2(p, __half2half2(factor), make_half2(scale[0], scale[1]));
    *reinterpret_cast<uint4*>(&whole[8 * t]) = of.whole;
  }
}"""


@pytest.mark.feature(
    "half precision", "`half2`, shuffles, `__ldg`, shared memory, templates, parameters, `uint4` of eight"
)
def test_halves_are_used_as_people_use_them(compiler: str, checks: bool) -> None:
    x = (np.arange(32) / 4).astype("f2")
    module = RawModule(USED)
    given = [device.array(v) for v in (x, np.zeros(32, "f4"), np.zeros((32, 2), "f2"),
                                       rounded(np.arange(32) / 2, BFLOAT), np.zeros(64, "f2"))]  # fmt: skip
    device.ndarray((2,), "f2", module.get_global("scale"))[:] = [0.25, -1]
    module.get_function("f")(
        (1,), (32,), (given[0], np.float16(1.5), *given[1:4], rounded(0.25, BFLOAT)[()], given[4]), shared_mem=128
    )
    sums, pairs, b, whole = (np.asarray(v) for v in given[1:])
    first = x * np.float16(1.5) + np.float16(1)
    assert sums[0] == 2 * first.astype("f8").sum()  # every partial sum has 11 digits at most
    np.testing.assert_array_equal(sums, sums[0])
    both = np.stack([first, -x], 1)[::-1].astype("f4") + np.float32(0.5)
    np.testing.assert_array_equal(pairs[:, 0], both[[*range(1, 32), 31], 0])
    np.testing.assert_array_equal(pairs[:, 1], both.sum(axis=1))
    np.testing.assert_array_equal(BFLOAT.values[b], 3 * np.arange(32) / 2 + 0.25)
    added = np.tile(np.array([0.25, -1]), 32)
    np.testing.assert_array_equal(whole, (np.tile(x, 2).astype("f8") * 1.5 + added).astype("f2"))


@FORMATS
@pytest.mark.feature("half precision", "`atomicAdd` of numbers and of pairs")
def test_atomic_additions(compiler: str, checks: bool, of: Format) -> None:
    code = f"""{of.header}__global__ void f({of.type}* sums, {of.pair}* pairs) {{
  __shared__ {of.type} part;
  if (threadIdx.x == 0) part = 0.0f;
  __syncthreads();
  atomicAdd(&part, __float2{of.name}(1.0f));
  atomicAdd(&sums[threadIdx.x % 2], {of.type}(0.5f));
  const {of.pair} before = atomicAdd(pairs, __floats2{of.name}2_rn(1.0f, -2.0f));
  __syncthreads();
  if (threadIdx.x == 0) sums[2] = part;
  if (__low2float(before) == 5.0f) atomicAdd(&pairs[1], before);
}}"""
    sums, pairs = launch(code, np.zeros(4, of.dtype), np.zeros(4, of.dtype), grid=1, block=64)
    assert of.values[sums.view("u2")].tolist() == [16, 16, 64, 0]
    assert of.values[pairs.view("u2")].tolist() == [64, -128, 5, -10]


def test_a_bfloat16_is_what_ml_dtypes_calls_so() -> None:
    kind = Type(pointer=True, kind=b"h", element=2, size=2)
    assert kind.dtypes == [np.dtype("u2")]
    assert kind.is_bfloat16(SimpleNamespace(name="bfloat16"))  # type: ignore[arg-type]
    assert not kind.is_bfloat16(np.dtype("f2"))
    assert not Type(pointer=True, kind=b"f", element=2, size=2).is_bfloat16(
        SimpleNamespace(name="bfloat16")  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("parameter", "argument", "words"),
    [
        ("half* x", np.zeros(4, "f4"), "f: x must be of float16, not float32"),
        ("const half2* x", np.zeros(4, "u2"), "f: x must be of float16, not uint16"),
        ("half x", np.float32(1), "f: x must be numpy.float16, not float32"),
        ("nv_bfloat16* x", np.zeros(4, "f2"), "f: x must be of uint16, not float16"),
        ("nv_bfloat16 x", np.float16(1), "f: x must be numpy.uint16, not float16"),
    ],
)
def test_an_argument_of_another_type_is_refused(parameter: str, argument: Any, words: str) -> None:
    with pytest.raises(TypeError, match=re.escape(words)):
        launch(f"{HALF.header}{BFLOAT.header}__global__ void f({parameter}) {{}}", argument)


# Faults.

MISALIGNED = """#include <cuda_fp16.h>
__global__ void f(half* x, half2* out, int begin) {
  const half2* pairs = reinterpret_cast<const half2*>(x + begin);
  out[threadIdx.x] = pairs[threadIdx.x];//<
}"""


@pytest.mark.feature("half precision", "misaligned pairs are a fault")
def test_a_misaligned_pair_is_a_fault(compiler: str) -> None:
    x = np.arange(20, dtype="f2")
    *_, out, _ = launch(MISALIGNED, x, np.zeros(16, "f2"), np.int32(2), block=8), None
    with checking():
        _, out = launch(MISALIGNED, x, np.zeros(16, "f2"), np.int32(2), block=8)
    np.testing.assert_array_equal(out, x[2:18])
    assert "reading: a misaligned address" in fault(MISALIGNED, x, np.zeros(16, "f2"), np.int32(1), block=8)


FAULTS = [
    ("x[n] += h;", "reading: out of bounds"),
    ("x[n] = h;", "writing: out of bounds"),
    ("x[n] = __float2half(y[0]);", "writing: out of bounds"),
    ("x[n] = 1.0f;", "writing: out of bounds"),
    ("x[n]++;", "reading: out of bounds"),
    ("if (x[n] > h) y[0] = 1;", "reading: out of bounds"),
    ("y[0] = float(x[n]);", "reading: out of bounds"),
    ("y[0] = x[n];", "reading: out of bounds"),
    ("y[0] = __half2float(x[n]);", "reading: out of bounds"),
    ("y[0] = __low2float(p[n / 2]);", "reading: out of bounds"),
    ("x[0] = __hfma(x[0], x[n], h);", "reading: out of bounds"),
    ("p[n / 2] = __hadd2(p[0], p[0]);", "writing: out of bounds"),
    ("p[0] = __hadd2(p[0], p[n / 2]);", "reading: out of bounds"),
    ("p[n / 2] *= p[0];", "reading: out of bounds"),
    ("atomicAdd(&x[n], h);", "in an atomic operation: out of bounds"),
    ("y[0] = s[1];", "reading: shared memory is read before it is written"),
    ("y[0] = *reinterpret_cast<float*>(s);", "reading: shared memory is read before it is written"),
    ("y[0] = __low2float(*reinterpret_cast<half2*>(s));", "reading: shared memory is read before it is written"),
]


@pytest.mark.feature("half precision", "bounds and first reads of arrays of halves, at the kernel's line")
def test_faults_are_found_at_their_line(compiler: str) -> None:
    code = "#include <cuda_fp16.h>\n" + "\n".join(
        f"""__global__ void f{i}(half* x, half2* p, float* y, int n) {{
  __shared__ __align__(4) half s[8];
  const half h = __float2half(0.25f);
  s[0] = h;
  s[4] = s[0];
  {body}//<{i}
}}"""
        for i, (body, _) in enumerate(FAULTS)
    )
    for i, (body, words) in enumerate(FAULTS):
        arguments = np.ones(8, "f2"), np.ones(8, "f2"), np.zeros(1, "f4"), np.int32(8)
        with checking(), pytest.raises(KernelFault) as caught:
            launch(code, *arguments, name=f"f{i}")
        assert line_with(code, f"//<{i}") in str(caught.value), body
        assert words in str(caught.value), body


RACES = [  # what is written, what is read without a barrier, and whether it is another thread's
    ("s[t] = h;", "v = s[(t + 1) % 32];", True),
    ("s[t] = h;", "v = __low2float(reinterpret_cast<half2*>(s)[t / 2]);", True),
    ("s[t] = h;", "v = *reinterpret_cast<float*>(&s[t / 8 * 8]);", True),
    ("if (t < 16) reinterpret_cast<half2*>(s)[t] = half2(h, h);", "v = s[t];", True),
    ("if (t < 4) reinterpret_cast<float4*>(s)[t] = make_float4(t, 1, 2, 3);", "v = s[8 * (t % 4) + 3];", True),
    ("s[t] = h;", "v = s[t];", False),
    ("if (t < 16) reinterpret_cast<half2*>(s)[t] = half2(h, h);",
     "v = t < 16 ? float(s[2 * t]) + float(s[2 * t + 1]) : 0.0f;", False),
    ("if (t % 2 == 0) s[t] = s[t + 1] = h;", "v = t % 2 ? 0.0f : *reinterpret_cast<float*>(&s[t]);", False),
]  # fmt: skip


@pytest.mark.feature("half precision", "races of accesses of any two sizes")
def test_races_are_found_whatever_the_sizes(compiler: str) -> None:
    code = "#include <cuda_fp16.h>\n" + "\n".join(
        f"""__global__ void f{i}(float* y, bool waits) {{
  __shared__ __align__(16) half s[32];
  const int t = threadIdx.x;
  const half h = float(t);
  float v = 0;
  {write}//<{i}
  if (waits) __syncthreads();
  {read}//<<{i}
  y[t] = v;
}}"""
        for i, (write, read, _) in enumerate(RACES)
    )
    for i, (_, read, racing) in enumerate(RACES):
        for order in ("forward", "reverse"):
            with checking(order):
                launch(code, np.zeros(32, "f4"), True, block=32, name=f"f{i}")
                if not racing:
                    launch(code, np.zeros(32, "f4"), False, block=32, name=f"f{i}")
        if racing:
            with (
                checking(),
                pytest.raises(KernelFault, match=r"a race between two|before it is written") as caught,
            ):
                launch(code, np.zeros(32, "f4"), False, block=32, name=f"f{i}")
            assert str(caught.value).startswith((line_with(code, f"//<{i}"), line_with(code, f"//<<{i}"))), read


def test_what_was_written_in_halves_is_read_in_words_after_atomics() -> None:
    """Bytes of a word have the word's past, atomic operations too."""
    code = """#include <cuda_fp16.h>
__global__ void f(unsigned* words, float* y) {
  __shared__ unsigned s[2];
  if (threadIdx.x < 2) s[threadIdx.x] = 0;
  __syncthreads();
  atomicAdd(&s[0], 0x1e001e0u);//<
  BARRIER
  y[threadIdx.x] = __half2float(reinterpret_cast<half*>(s)[threadIdx.x % 4]);
}"""
    for context in (contextlib.nullcontext(), checking()):
        with context:
            _, y = launch(code.replace("BARRIER", "__syncthreads();"), np.zeros(1, "u4"), np.zeros(32, "f4"), block=32)
            assert y.tolist() == [1, 1, 0, 0] * 8  # 32 times 0x01e0 is 0x3c00
    assert "a race between two threads" in fault(
        code.replace("BARRIER", ""), np.zeros(1, "u4"), np.zeros(32, "f4"), block=32
    )


# Fragments.

PRODUCT = """#include <mma.h>
using namespace nvcuda;
template <class LayoutA, class LayoutB, wmma::layout_t layout>
__global__ void f(const TYPE* a, unsigned lda, const TYPE* b, unsigned ldb, const SUM* c, SUM* d, unsigned ldd) {
  wmma::fragment<wmma::matrix_a, M, N, K, KIND, LayoutA> fa;
  wmma::fragment<wmma::matrix_b, M, N, K, KIND, LayoutB> fb;
  wmma::fragment<wmma::accumulator, M, N, K, SUM> sums;
  wmma::load_matrix_sync(sums, c, ldd, layout);
  wmma::load_matrix_sync(fa, a, lda);
  wmma::load_matrix_sync(fb, b, ldb);
  for (int i = 0; i < fa.num_elements; ++i) fa.x[i] = ELEMENT(fa.x[i]);
  for (int i = 0; i < fb.num_elements; ++i) fb.x[i] = ELEMENT(fb.x[i]);
  wmma::mma_sync(sums, fa, fb, sums);
  wmma::store_matrix_sync(d, sums, ldd, layout);
}"""
SHAPES = [(16, 16, 16), (32, 8, 16), (8, 32, 16)]
KINDS = {  # of a and b: the element, the sums; and what they are rounded to
    "half": ("half", "float", 11), "half sums": ("half", "half", 11), "bfloat16": ("__nv_bfloat16", "float", 8),
    "bytes": ("signed char", "int", 0), "unsigned bytes": ("unsigned char", "int", 0), "tf32": ("float", "float", 11),
    "double": ("double", "double", 53),
}  # fmt: skip
DTYPES = {"half": "f2", "half sums": "f2", "bytes": "i1", "unsigned bytes": "u1", "int": "i4", "double": "f8"}
TILES = [
    *((kind, shape) for kind in ("half", "half sums", "bfloat16", "bytes") for shape in SHAPES),
    ("unsigned bytes", SHAPES[0]), ("tf32", (16, 16, 8)), ("double", (8, 8, 4)),
]  # fmt: skip


def stored(x: np.ndarray, kind: str, row_major: bool) -> tuple[np.ndarray, np.uint32]:
    """A matrix as it lies in memory, with elements between its rows or columns, and its leading dimension."""
    lines = x if row_major else x.T
    wide = np.zeros((lines.shape[0], lines.shape[1] // 16 * 16 + 32), DTYPES.get(kind, "f4"))
    wide[:, : lines.shape[1]] = lines
    return rounded(wide, BFLOAT) if kind == "bfloat16" else wide, np.uint32(wide.shape[1])


@pytest.mark.parametrize(
    ("kind", "shape"), [pytest.param(*tile, marks=[pytest.mark.thorough] * (tile[1] in SHAPES[1:])) for tile in TILES]
)
@pytest.mark.feature(
    "tensor cores", "`nvcuda::wmma` of half, bfloat16, TF32, bytes and double, in every shape and layout"
)
def test_a_warp_multiplies_fragments(kind: str, shape: tuple[int, int, int]) -> None:
    m, n, k = shape
    element, sums, digits = KINDS[kind]
    code = PRODUCT
    for word, text in {
        "KIND": "wmma::precision::tf32" if kind == "tf32" else element, "TYPE": element, "SUM": sums,
        "M, N, K": f"{m}, {n}, {k}", "ELEMENT": "wmma::__float_to_tf32" if kind == "tf32" else "",
    }.items():  # fmt: skip
        code = code.replace(word, text)
    words = {True: "row_major", False: "col_major"}
    names = {
        layouts: "f<wmma::{}, wmma::{}, wmma::mem_{}>".format(*(words[layout] for layout in layouts))
        for layouts in itertools.product((True, False), repeat=3)
    }
    module = RawModule(code, name_expressions=tuple(names.values()))
    for (layouts, name), checked in itertools.product(names.items(), (False, True)):
        if sums == "int":
            a, b = (RANDOM.integers(-128, 128, s) + 128 * (kind == "unsigned bytes") for s in ((m, k), (k, n)))
            c = RANDOM.integers(-1000, 1000, (m, n))
        else:
            a, b, c = (RANDOM.standard_normal(s) for s in ((m, k), (k, n), (m, n)))
            if digits < 53:
                a, b, c = (np.round(v * 2.0 ** (digits - 4)) / 2.0 ** (digits - 4) for v in (a, b, c))
        (sa, lda), (sb, ldb) = (stored(v, kind, row) for v, row in zip((a, b), layouts))
        sc, ldd = stored(c, sums, layouts[2])
        given = [device.array(v) for v in (sa, sb, sc, np.zeros_like(sc))]
        with checking() if checked else contextlib.nullcontext():
            module.get_function(name)((1,), (32,), (given[0], lda, given[1], ldb, *given[2:], ldd))
        d = np.asarray(given[-1])
        exact, weight = a @ b + c, np.abs(a) @ np.abs(b) + np.abs(c)
        u = {"int": 0, "half": 2.0**-24, "float": 2.0**-24, "double": 2.0**-53}[sums]
        bound = 1.01 * (k + 1) * u * weight + (2.0**-11 * np.abs(exact) if sums == "half" else 0)
        found = (d if layouts[2] else d.T)[: exact.shape[0], : exact.shape[1]].astype("f8")
        assert (np.abs(found - exact) <= bound).all(), (layouts, np.abs(found - exact).max())
        assert (d[:, -16:] == 0).all()


GEMM = """#include <mma.h>
#define TILE 32
using namespace nvcuda::wmma;
template <class Kind, class Element, int K>
__device__ void product(int n, int k, const float* a, const float* b, float* c, Element* as, Element* bs) {
  const int warp = threadIdx.x / 32, row = 16 * (warp / 2), col = 16 * (warp % 2);
  fragment<matrix_a, 16, 16, K, Kind, row_major> fa;
  fragment<matrix_b, 16, 16, K, Kind, row_major> fb;
  fragment<accumulator, 16, 16, K, float> sums;
  fill_fragment(sums, 0);
  for (int begin = 0; begin < k; begin += TILE) {
    for (int i = threadIdx.x; i < TILE * TILE; i += blockDim.x) {
      const int y = i / TILE, x = i % TILE;
      as[y * (TILE + 8) + x] = a[(blockIdx.y * TILE + y) * k + begin + x];//<a
      bs[y * (TILE + 8) + x] = b[(begin + y) * n + blockIdx.x * TILE + x];//<b
    }
    __syncthreads();  // loaded
    for (int inner = 0; inner < TILE; inner += K) {
      load_matrix_sync(fa, as + row * (TILE + 8) + inner, TILE + 8);//<fa
      load_matrix_sync(fb, bs + inner * (TILE + 8) + col, TILE + 8);//<fb
#ifdef CONVERTS
      for (int i = 0; i < fa.num_elements; ++i) fa.x[i] = __float_to_tf32(fa.x[i]);
      for (int i = 0; i < fb.num_elements; ++i) fb.x[i] = __float_to_tf32(fb.x[i]);
#endif
      mma_sync(sums, fa, fb, sums);//<mma
    }
    __syncthreads();  // used
  }
  for (int i = 0; i < sums.num_elements; ++i) sums.x[i] *= 2.0f;
  store_matrix_sync(c + (blockIdx.y * TILE + row) * n + blockIdx.x * TILE + col, sums, n, mem_row_major);//<store
}
__global__ void of_half(int n, int k, const float* a, const float* b, float* c) {
  __shared__ half as[TILE * (TILE + 8)], bs[TILE * (TILE + 8)];
  product<half, half, 16>(n, k, a, b, c, as, bs);
}
__global__ void of_tf32(int n, int k, const float* a, const float* b, float* c) {
  __shared__ float as[TILE * (TILE + 8)], bs[TILE * (TILE + 8)];
  product<precision::tf32, float, 8>(n, k, a, b, c, as, bs);
}"""


def gemm(name: str, code: str = GEMM, m: int = 64, n: int = 96, k: int = 64) -> tuple[np.ndarray, ...]:
    a, b = (RANDOM.uniform(-1, 1, s).astype("f4") for s in ((m, k), (k, n)))
    *_, c = launch(
        code, np.int32(n), np.int32(k), a, b, np.zeros((m, n), "f4"), grid=(n // 32, m // 32), block=128, name=name
    )
    return a, b, c


def tf32(x: np.ndarray, nearest: bool) -> np.ndarray:
    return ((x.view("u4") + 0x1000 * nearest) & 0xFFFFE000).astype("u4").view("f4")


@pytest.mark.parametrize("name", ["of_half", "of_tf32"])
@pytest.mark.feature("tensor cores", "a product of matrices by tiles, its fragments scaled element by element")
def test_a_product_by_tensor_cores(compiler: str, checks: bool, name: str) -> None:
    for converts in (True, False):
        a, b, c = gemm(name, "#define CONVERTS\n" + GEMM if converts and name == "of_tf32" else GEMM)
        if name == "of_half":
            x, y = (v.astype("f2").astype("f8") for v in (a, b))
        else:
            x, y = (tf32(v, converts).astype("f8") for v in (a, b))
        gamma = 65 * 2.0**-24 / (1 - 65 * 2.0**-24)
        assert (np.abs(c - 2 * (x @ y)) <= 2 * gamma * (np.abs(x) @ np.abs(y))).all()
        assert (np.abs(c - 2 * (a.astype("f8") @ b)) > 2 * gamma * (np.abs(a) @ np.abs(b))).any()  # not of floats


@pytest.mark.parametrize(
    ("old", "new", "mark", "words"),
    [
        ("      load_matrix_sync(fa", "      if (threadIdx.x % 32 != 7) load_matrix_sync(fa", "fa",
         "thread (0, 0, 0): a warp operation waits for lanes that never come; thread (7, 0, 0) waits at mine.cu:"),
        ("inner, TILE + 8);", "inner, TILE + 4);", "fa",
         "has rows or columns ldm = 36 apart, no multiple of 8 elements"),
        ("inner, TILE + 8);", "inner, 8);", "fa", "has rows or columns of 16 elements, which ldm = 8 lets overlap"),
        ("+ inner, TILE", "+ inner + 1, TILE", "fa", "begins at an address that is no multiple of 16 bytes"),
        ("sums, n, mem_row", "sums, 8, mem_row", "store", "has rows or columns of 16 elements, which ldm = 8 lets"),
        ("c + (blockIdx", "c + 4 + (blockIdx", "store", "begins at an address that is no multiple of 32 bytes"),
    ],
)  # fmt: skip
@pytest.mark.feature("tensor cores", "missing lanes, wrong leading dimensions and misaligned matrices, at their line")
def test_fragments_that_no_gpu_loads(compiler: str, old: str, new: str, mark: str, words: str) -> None:
    code = re.sub(r"//<(\w+)", lambda match: "//<" if match[1] == mark else "", GEMM.replace(old, new, 1))
    a = np.ones((64, 64), "f4")
    for order in (None, "forward"):
        told = fault(
            code, np.int32(64), np.int32(64), a, a, np.zeros((64, 64), "f4"), grid=(2, 2), block=128, name="of_half",
            order=order,
        )  # fmt: skip
        assert words in told


@pytest.mark.parametrize(
    ("old", "new", "mark", "words"),
    [
        ("    __syncthreads();  // loaded\n", "", "fa", "a race between two threads of a block"),
        ("    __syncthreads();  // used\n", "", "a", "a race between two threads of a block"),
        ("inner * (TILE + 8) + col, TILE", "inner * (TILE + 8) + col, 2 * TILE", "fb", "before it is|out of bounds"),
        ("blockIdx.y * TILE + row) * n", "blockIdx.y * TILE + row + 16) * n", "store", "writing: out of bounds"),
        ("i < TILE * TILE;", "i < TILE * TILE - 8;", "fa", "shared memory is read before it is written"),
    ],
)  # fmt: skip
@pytest.mark.feature("tensor cores", "loads and stores of fragments, whose bounds, races and first reads are checked")
def test_faults_of_fragments(compiler: str, old: str, new: str, mark: str, words: str) -> None:
    assert GEMM.count(old) == 1
    code = re.sub(r"//<(\w+)", lambda match: "//<" if match[1] == mark else "", GEMM.replace(old, new))
    a = np.ones((64, 64), "f4")
    told = fault(
        code, np.int32(64), np.int32(64), a, a, np.zeros((64, 64), "f4"), grid=(2, 2), block=128, name="of_half"
    )
    assert re.search(words, told)


def test_a_warp_that_is_not_whole_has_no_fragments() -> None:
    code = """#include <mma.h>
__global__ void f(float* c) {
  nvcuda::wmma::fragment<nvcuda::wmma::accumulator, 16, 16, 16, float> sums;
  nvcuda::wmma::fill_fragment(sums, 1.0f);
  nvcuda::wmma::store_matrix_sync(c, sums, 16, nvcuda::wmma::mem_row_major);//<
}"""
    for order in (None, "forward"):
        assert "an operation of a whole warp in a warp of fewer threads" in fault(
            code, np.zeros(256, "f4"), block=48, order=order
        )


def test_a_row_is_loaded_as_every_row_by_a_leading_dimension_of_0(checks: bool) -> None:
    code = """#include <mma.h>
using namespace nvcuda::wmma;
__global__ void f(const float* bias, float* out, const half* tops) {
  fragment<accumulator, 16, 16, 16, float> sums;
  fragment<accumulator, 16, 16, 16, half> halves;
  fragment<matrix_a, 16, 16, 16, half, row_major> a;
  fragment<matrix_b, 16, 16, 16, half, col_major> b;
  load_matrix_sync(sums, bias, 0, mem_row_major);
  store_matrix_sync(out, sums, 16, mem_row_major);
  load_matrix_sync(a, tops, 16), load_matrix_sync(b, tops, 16);
  fill_fragment(halves, 60000.0f);
  mma_sync(halves, a, b, halves, true);
  for (int i = 0; i < halves.num_elements; ++i) sums.x[i] = float(halves.x[i]);
  store_matrix_sync(out + 256, sums, 16, mem_row_major);
}"""
    bias = np.arange(16, dtype="f4")
    _, out, _ = launch(code, bias, np.zeros(512, "f4"), np.full(256, 60000, "f2"), block=32)
    np.testing.assert_array_equal(out[:256].reshape(16, 16), np.tile(bias, (16, 1)))
    assert set(out[256:].tolist()) == {65504}  # `satf`


def test_what_fragments_move_is_counted() -> None:
    a = np.ones((64, 64), "f4")
    with counting() as counts:
        launch(GEMM, np.int32(64), np.int32(64), a, a, np.zeros((64, 64), "f4"), grid=(2, 2), block=128, name="of_half")
    line = GEMM[: GEMM.index("//<store")].count("\n") + 1
    (store,) = [t for t in counts if t.line == f"mine.cu:{line}"]
    assert (store.memory, store.action, store.accesses) == ("global", "write", 64 * 64 // 4)
    assert store.transactions == store.best == 64 * 64 * 4 // 32


# What is not emulated.


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("__half h;", "__half is declared in cuda_fp16.h: #include <cuda_fp16.h>"),
        ("const half2* h;", "half2 is declared in cuda_fp16.h: #include <cuda_fp16.h>"),
        ("nv_bfloat16 h;", "nv_bfloat16 is declared in cuda_bf16.h: #include <cuda_bf16.h>"),
        ("nvcuda::wmma::fill_fragment(x, 1);", "nvcuda is declared in mma.h: #include <mma.h>"),
    ],
)
def test_what_is_lacking_is_told_by_name_and_line(compiler: str, line: str, words: str) -> None:
    with pytest.raises(CompileError, match=re.escape(f"mine.cu, line 3: {words}")):
        launch(f"\n__global__ void f() {{\n  {line} int half = 1;\n}}")


def test_a_variable_may_be_called_half() -> None:
    code = "__global__ void f(int* out) {\n  for (int half = 32; half > 0; half /= 2) out[half] = UNKNOWN;\n}"
    (out,) = launch(code.replace("UNKNOWN", "1"), np.zeros(64, "i4"))
    assert out.sum() == 6
    with pytest.raises(CompileError, match=r"mine.cu:2:\d+: error: .*UNKNOWN"):
        launch(code, np.zeros(64, "i4"))


@pytest.mark.parametrize("header", ["cuda_fp8.h", "cuda_fp4.hpp"])
def test_headers_of_narrower_numbers_are_refused(header: str) -> None:
    with pytest.raises(CompileError, match="line 1: floating point of 8 bits and fewer is not emulated"):
        launch(f"#include <{header}>\n__global__ void f() {{}}")


def test_a_shape_that_is_not_there_is_refused_at_its_line(compiler: str) -> None:
    code = """#include <mma.h>
using namespace nvcuda::wmma;
__global__ void f() {
  fragment<matrix_a, 16, 8, 16, half, row_major> a;
  fill_fragment(a, 0.0f);
}"""
    with pytest.raises(CompileError, match="there are no fragments of this shape and type"):
        launch(code)


# Learners' files.

LEARNERS = """#include "cuda_fp16.h"
#include <mma.h>
using namespace nvcuda;
// launch matmul: grid (ceil(n / 16), ceil(m / 16)), block (32)
__global__ void matmul(int m, int n, int k, real alpha, const real* alpha_at, const real* a, long long a_stride,
                       int trans_a, const real* b, long long b_stride, int trans_b, real beta, const real* beta_at,
                       real* out, long long out_stride) {
  __shared__ ELEMENT as[16 * DEPTH], bs[DEPTH * 16];
  __shared__ float cs[16 * 16];
  if (alpha_at) alpha = *alpha_at;
  if (beta_at) beta = *beta_at;
  wmma::fragment<wmma::matrix_a, 16, 16, DEPTH, KIND, wmma::row_major> fa;
  wmma::fragment<wmma::matrix_b, 16, 16, DEPTH, KIND, wmma::row_major> fb;
  wmma::fragment<wmma::accumulator, 16, 16, DEPTH, float> sums;
  wmma::fill_fragment(sums, 0.0f);
  const int first = 16 * blockIdx.y, left = 16 * blockIdx.x;
  for (int begin = 0; begin < k; begin += DEPTH) {
    for (int i = threadIdx.x; i < 16 * DEPTH; i += 32) {
      const int row = first + i / DEPTH, l = begin + i % DEPTH, inner = begin + i / 16, col = left + i % 16;
      as[i] = row < m && l < k ? (float)(trans_a ? a[l * a_stride + row] : a[row * a_stride + l]) : 0.0f;
      bs[i] = inner < k && col < n ? (float)(trans_b ? b[col * b_stride + inner] : b[inner * b_stride + col]) : 0.0f;
    }
    __syncwarp();
    wmma::load_matrix_sync(fa, as, DEPTH);
    wmma::load_matrix_sync(fb, bs, 16);
    wmma::mma_sync(sums, fa, fb, sums);
    __syncwarp();
  }
  wmma::store_matrix_sync(cs, sums, 16, wmma::mem_row_major);
  __syncwarp();
  for (int i = threadIdx.x; i < 256; i += 32) {
    const int row = first + i / 16, col = left + i % 16;
    if (row >= m || col >= n) continue;
    real* const at = &out[row * out_stride + col];
    *at = alpha * cs[i] + (beta != 0 ? beta * *at : 0);
  }
}
"""


@pytest.mark.parametrize(
    ("kind", "element", "depth"),
    [("half", "half", "16"), ("wmma::precision::tf32", "float", "8")],
    ids=["half", "tf32"],
)
@pytest.mark.feature("learners' files", "`fastae check` of products by tensor cores: wrong, for their precision")
def test_a_learners_product_by_tensor_cores_is_wrong_for_its_precision(
    kind: str, element: str, depth: str, tmp_path: Any
) -> None:
    from fastae.check import verdict
    from fastae.check.sandbox.remote import Remote

    path = tmp_path / "mine.cu"
    code = LEARNERS.replace("KIND", kind).replace("ELEMENT", element).replace("DEPTH", depth)
    path.write_text(code, encoding="utf-8")
    with contextlib.closing(Remote(path, "emulator")) as k:
        found = verdict.examine(k, "matmul", 1).problems
    assert {problem.causes[0].partition(":")[0] for problem in found} == {
        "the errors are small everywhere, as those of float16 or TF32"
    }
