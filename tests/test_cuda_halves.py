"""Half precision and the tensor cores' fragments on the emulator: every rounding, and faults at their lines."""

import contextlib
import itertools
import re
import shutil
from fractions import Fraction
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest

from fastae.backends.emulator import KernelFault, RawModule, checking, counting, device
from fastae.backends.emulator import compiler as compilers
from fastae.backends.emulator.compiler import CompileError

COMPILERS = [name for name in ("g++", "clang++") if shutil.which(name)]
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


@pytest.fixture(params=COMPILERS)
def compiler(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("CXX", request.param)
    compilers.build.cache_clear()
    return request.param


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
    (number,) = [i for i, line in enumerate(code.splitlines(), 1) if line.endswith("//<")]
    assert f"mine.cu:{number}," in str(caught.value)
    return str(caught.value)


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
    ends = [0, 1, 2, 0x3FF, 0x400, 0x401, 0x7F, 0x80, 0x81, of.infinite - 1, of.infinite, 0x7FFF, 0x3C00, 0x3C01, 0x3F80]
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
    code = f"""{of.header}__global__ void f(int n, const {of.type}* x, const {of.type}* y, {of.type}* out, {of.pair}* two) {{
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
    code = f"""{of.header}__global__ void f(int n, const {of.type}* a, const {of.type}* b, const {of.type}* c, {of.type}* out) {{
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
        f"""    out[{i} * n + i0] = __h{name}(a, b) | __hb{name}2(p, q) << 1 | (__low2float(__h{name}2(p, q)) == 1.0f) << 2 |
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
