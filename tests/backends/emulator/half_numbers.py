"""Numbers of 16 bits: their formats, how numbers are rounded to them, and kernels that have them."""

from typing import Any, NamedTuple

import numpy as np
import pytest

ALL = np.arange(65536, dtype=np.uint16)
with np.errstate(invalid="ignore"):  # of NaN
    VALUES = {"half": ALL.view("f2").astype("f8"), "bfloat16": (ALL.astype("u4") << 16).view("f4").astype("f8")}
for values in VALUES.values():
    values[np.isnan(values)] = np.nan  # a quiet one: of a signalling one C's fmax may make NaN


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


def tricky(random: np.random.Generator, of: Format, dtype: Any) -> np.ndarray:
    """Numbers of a float type: all of the format, those half way between two, and both neighbours of either."""
    values = of.values[np.isfinite(of.values)]
    middles = np.concatenate([(values[:-1] + values[1:]) / 2, [-0.0, 1e-45, 1e-30, 1e30, 3.4e38]])
    x = np.concatenate([values, middles]).astype(dtype)
    bits = random.integers(0, 2**32, 100_000, dtype=np.uint32).view("f4")
    with np.errstate(over="ignore", invalid="ignore"):
        x = np.concatenate([x, np.nextafter(x, dtype(np.inf)), np.nextafter(x, dtype(-np.inf)), bits.astype(dtype)])
    return np.concatenate([x, np.array([np.inf, -np.inf, np.nan], dtype)])


def same(found: np.ndarray, expected: np.ndarray, of: Format) -> np.ndarray:
    """Tell which patterns are equal; any NaN is one."""
    nan = [(x & 0x7FFF) > of.infinite for x in (found, expected)]
    return (found == expected) | (nan[0] & nan[1])
