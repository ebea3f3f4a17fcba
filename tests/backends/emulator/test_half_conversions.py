"""Half precision on the emulator: types of 16 bits, and every way to convert numbers to them."""

from fractions import Fraction

import numpy as np
import pytest
from cuda_kernels import run
from half_numbers import ALL, FORMATS, HALF, Format, rounded, same, tricky

# Conversions.


@pytest.mark.feature("half precision", "`__half` and `__nv_bfloat16`, with CUDA's sizes and alignments")
def test_types_have_cudas_sizes_and_alignments(compiler: str) -> None:
    names = ["half", "half2", "nv_bfloat16", "nv_bfloat162", "__half", "__half2", "__nv_bfloat16", "__nv_bfloat162"]
    lines = "".join(f"out[{2 * i}] = sizeof({n}), out[{2 * i + 1}] = alignof({n});\n" for i, n in enumerate(names))
    code = f'#include "cuda_fp16.h"\n#include "cuda_bf16.h"\n__global__ void f(int* out) {{ {lines} }}'
    (out,) = run(code, 1, 1, np.zeros(16, "i4"))
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
def test_every_number_is_converted(compiler: str, of: Format, random: np.random.Generator) -> None:
    code = of.header + CONVERTED.replace("NAME", of.name).replace("TYPE", of.type)
    x, y = tricky(random, of, np.float32), tricky(random, of, np.float64)
    sizes = [np.int32(a.size) for a in (ALL, x, y)]
    results = np.zeros(65536, "f4"), *(np.zeros(n, "u2") for n in (65536, 4 * x.size, y.size))
    *_, wide, back, narrow, twice = run(code, 1, 1, ALL, sizes[0], x, sizes[1], y, sizes[2], *results)
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
    results = np.zeros(4 * len(x), of.dtype), np.zeros(4 * 65536, INTEGERS[kind])
    given = np.array(x, INTEGERS[kind]), np.int32(len(x)), results[0], ALL.view(of.dtype), results[1]
    _, out, _, whole = run(whole_kernel(of, kind), 1, 1, *given)
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
