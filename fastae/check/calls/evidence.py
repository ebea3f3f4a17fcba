"""What is known of one call of a kernel: its arguments, what it wrote, and what it should have written."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from fastae.check import bounds, wide
from fastae.check.calls import cases
from fastae.check.file.failure import Failure

WHEN = "it is wrong"  # begins what is said of calls, not of a cause
MAYBE = "may be: "  # begins a cause that is not certain
WHERE = "where: "  # begins what is said of places, not of a cause
VISIBLE = 8  # bounds, from which on a difference is not rounding, whatever the formula


@dataclass
class Call:
    """One call of a kernel, and what came of it.

    Attributes
    ----------
    name : str
        A kernel of the contract.
    dtype : {"float32", "float64"}
    given : dict
        Lengths by letter, and numbers.
    block : bool
        Whether its matrices were blocks of columns of wider ones.
    arguments : dict
    found, exact, bound : ndarray
        What it wrote, what it should have, and how far from that it might have been.
    fault : str
        Why there is nothing to compare, if so: what it did that no kernel may do.
    fault_causes : tuple of str
    fault_kind : {"", "astray", "failed", "returned", "lost"}
        It touched what it must not, raised an exception, returned something, or left the device in no state to go on.
    failure : Failure or None
        The exception, if it raised one.
    returned : Returned or None
        What it returned, if not None.
    """

    name: str
    dtype: str
    given: dict[str, Any]
    block: bool
    arguments: dict[str, Any]
    found: np.ndarray
    exact: np.ndarray
    bound: np.ndarray
    fault: str = ""
    fault_causes: tuple[str, ...] = ()
    fault_kind: str = ""
    failure: Failure | None = None
    returned: cases.Returned | None = None

    @cached_property
    def right(self) -> np.ndarray:
        """Which elements are within their bounds."""
        with np.errstate(all="ignore"):
            near = np.abs(self.found - self.exact) <= self.bound
            return near | (self.found == self.exact) | (np.isnan(self.found) & np.isnan(self.exact))

    @property
    def wrong(self) -> np.ndarray:
        """Which are not."""
        return ~self.right

    @property
    def is_wrong(self) -> bool:
        """Whether any is not, or worse."""
        return bool(self.fault) or not self.right.all()

    @property
    def is_imprecise(self) -> bool:
        """Whether some are not, but all within the bound of any formula that is right on paper."""
        return self.is_wrong and not self.fault and self.name in wide.STEPS and bool((self.right | self.near).all())

    @property
    def verdict(self) -> str:
        """Right, imprecise or wrong."""
        return "right" if not self.is_wrong else "imprecise" if self.is_imprecise else "wrong"

    @cached_property
    def near(self) -> np.ndarray:
        """Which elements are within the bound of any formula that is right on paper."""
        with np.errstate(all="ignore"):
            return np.abs(self.found - self.exact) <= self.widest

    @cached_property
    def widest(self) -> np.ndarray:
        """How far off that formula may be."""
        with np.errstate(all="ignore"):
            return wide.bound(self.name, self.values, self.exact, self.bound, self.dtype)

    def widened(self) -> "Call":
        """Return the call as if all that is imprecise were right."""
        return self if self.fault or self.name not in wide.STEPS else replace(self, bound=self.widest)

    @property
    def share(self) -> np.ndarray:
        """Errors as fractions of their bounds: NaN where there is NaN and should be none, at most 1 where right."""
        with np.errstate(all="ignore"):
            error = np.abs(self.found - self.exact)
            share = error / np.maximum(self.bound, np.finfo(np.float64).tiny)
            share = np.where(np.isfinite(error), np.minimum(share, np.finfo(np.float64).max), share)
            share = np.where(np.isnan(share) & ~np.isnan(self.found), np.inf, share)  # NaN that is missing
        return np.where(self.right, np.nan_to_num(np.minimum(share, 1)), share)

    @property
    def unread(self) -> bool:
        """Whether what the output held before must not matter, for which it was full of NaN."""
        return self.written not in ("y", "cursor") and self.arguments.get("beta", 0) == 0

    @property
    def written(self) -> str:
        """The name of the output."""
        return cases.WRITTEN.get(self.name, "out")

    @cached_property
    def values(self) -> dict[str, Any]:
        """The arguments in float64."""
        return cases.in_float64(self.arguments)

    @property
    def terms(self) -> int:
        """How many terms the sum of an element has: 1 where nothing is summed."""
        if self.name == "fold":
            return bounds.most_patches(self.given["kernel"], self.given["stride"])
        if self.name == "convolve":
            return len(self.arguments["weights"])
        letter = {"matmul": "k", "column_sum": "m", "mse_loss": "n", "bce_loss": "n"}.get(self.name)
        return int(self.given.get(letter, 1)) if letter else 1

    def plain(self, result: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return a result without alpha and beta · out, and its bound: the sum alone."""
        alpha, beta = (self.given.get(key, default) for key, default in (("alpha", 1.0), ("beta", 0.0)))
        if self.name not in ("matmul", "column_sum") or not alpha:
            return result, self.bound
        rest = beta * self.values["out"] if beta else 0.0
        return (result - rest) / alpha, self.bound / abs(alpha)

    def told(self) -> str:
        """Put the arguments in words."""
        listed = ", ".join(f"{key}={x}" for key, x in self.given.items())
        return f"{listed}, {self.dtype}{', blocks of columns' * self.block}"


def judged(
    name: str, dtype: str, given: dict[str, Any], block: bool, arguments: dict[str, Any], found: np.ndarray
) -> Call:
    """Put what a kernel wrote beside what it should have written."""
    if name == "advance":
        exact, bound = arguments["cursor"] + arguments["n"], np.zeros(1)
    else:
        exact, bound = cases.expected(name, arguments, dtype)
    return Call(name, dtype, given, block, arguments, found, exact, bound)


def bound_at(call: Call, roundoff: float) -> np.ndarray:
    """Return the bound of a kernel whose unit roundoff is another, for the same roundings."""
    return call.bound * (roundoff / bounds.unit_roundoff(call.dtype))
