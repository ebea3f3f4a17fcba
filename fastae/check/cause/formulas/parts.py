"""What formulas are made of: functions, formats, and what the right kernel writes."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from fastae.check.bounds import rounded
from fastae.check.calls.cases import REFERENCE, WRITTEN

Formula = Callable[..., np.ndarray]
Ways = Iterator[tuple[str, np.ndarray]]  # what is wrong, in words, and what a kernel that is wrong so would write

ROUNDED = "too low a precision"
FORMATS: dict[str, tuple[int, Formula]] = {  # what inputs are rounded to: bits of the mantissa, and how
    "float32": (23, lambda x: x.astype(np.float32).astype(np.float64)),
    "float16": (10, lambda x: x.astype(np.float16).astype(np.float64)),
    "TF32 (10 bits of mantissa)": (10, lambda x: rounded(x, 10)),
    "bfloat16": (7, lambda x: rounded(x, 7)),
}


def sigmoid(t: np.ndarray) -> np.ndarray:
    """Return 1 / (1 + e^−t)."""
    return 1 / (1 + np.exp(-t))


def log(z: np.ndarray, floor: float = -100) -> np.ndarray:
    """Return log z, at least `floor`."""
    return np.maximum(np.log(z), floor)


def log1(z: np.ndarray, floor: float = -100) -> np.ndarray:
    """Return log(1 − z), at least `floor`."""
    return np.maximum(np.log1p(-z), floor)


def reference(name: str, v: dict[str, Any], **changed: Any) -> np.ndarray:
    """Return what the right kernel writes, some arguments replaced by others."""
    values = {k: x.copy() if isinstance(x, np.ndarray) else x for k, x in (v | changed).items()}
    getattr(REFERENCE, name)(**values)
    return values[WRITTEN.get(name, "out")]


def factors(v: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Return the factors of a matrix product, op(a) and op(b)."""
    return v["a"].T if v["trans_a"] else v["a"], v["b"].T if v["trans_b"] else v["b"]


def beta_out(v: dict[str, Any]) -> Any:
    """Return beta · out, which is added to a sum; 0 where beta is 0, whatever `out` holds."""
    return 0.0 if v.get("beta", 0) == 0 else v["beta"] * v["out"]
