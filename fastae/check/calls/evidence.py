"""One call of a kernel: its arguments, what it wrote, and what it should have written."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from fastae.check import bounds, wide
from fastae.check.calls import cases
from fastae.check.file.failure import Failure

WHEN = "it is wrong"  # begins a statement about calls, which is no cause
MAYBE = "may be: "  # begins a guess
WHERE = "where: "  # begins a statement about places, which is no cause
VISIBLE = 8  # a difference of so many bounds is not rounding, whatever the formula


@dataclass
class Call:
    """One call of a kernel, and its result.

    Attributes
    ----------
    name : str
        A kernel of the contract.
    dtype : {"float32", "float64"}
        Of the float arrays.
    given : dict
        Lengths by letter, and numbers.
    block : bool
        Whether the matrices were blocks of columns of wider ones.
    arguments : dict
        Before the call.
    found, exact, bound : ndarray
        What the kernel wrote, what it should have written, and how far from that it may be; all of one shape, the
        last two float64.
    fault : str
        What the kernel did that no kernel may do; empty if nothing. If it is set, `found` is not compared.
    fault_causes : tuple of str
        The likely causes of the fault.
    fault_kind : {"", "astray", "failed", "returned", "lost"}
        The kernel touched what it must not, raised an exception, returned something, or ended the process or the
        device.
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
        """Which elements are within their bounds, of the shape of the output."""
        with np.errstate(all="ignore"):
            near = np.abs(self.found - self.exact) <= self.bound
            return near | (self.found == self.exact) | (np.isnan(self.found) & np.isnan(self.exact))

    @property
    def wrong(self) -> np.ndarray:
        """Which elements are not within their bounds."""
        return ~self.right

    @property
    def is_wrong(self) -> bool:
        """Whether an element is outside of its bound, or there is a fault."""
        return bool(self.fault) or not self.right.all()

    @property
    def is_imprecise(self) -> bool:
        """Whether elements are outside of their bounds, but all within `widest`."""
        return self.is_wrong and not self.fault and self.name in wide.STEPS and bool((self.right | self.near).all())

    @property
    def verdict(self) -> str:
        """``"right"``, ``"imprecise"`` or ``"wrong"``."""
        return "right" if not self.is_wrong else "imprecise" if self.is_imprecise else "wrong"

    @cached_property
    def near(self) -> np.ndarray:
        """Which elements are within `widest`."""
        with np.errstate(all="ignore"):
            return np.abs(self.found - self.exact) <= self.widest

    @cached_property
    def widest(self) -> np.ndarray:
        """The bound of any formula that is right on paper (`fastae.check.wide`)."""
        with np.errstate(all="ignore"):
            return wide.bound(self.name, self.values, self.exact, self.bound, self.dtype)

    def widened(self) -> "Call":
        """Return the call with the bound `widest`, in which imprecise elements are right."""
        return self if self.fault or self.name not in wide.STEPS else replace(self, bound=self.widest)

    @property
    def share(self) -> np.ndarray:
        """Errors as fractions of their bounds, float64: at most 1 where right, NaN where a number is NaN by mistake."""
        with np.errstate(all="ignore"):
            error = np.abs(self.found - self.exact)
            share = error / np.maximum(self.bound, np.finfo(np.float64).tiny)
            share = np.where(np.isfinite(error), np.minimum(share, np.finfo(np.float64).max), share)
            share = np.where(np.isnan(share) & ~np.isnan(self.found), np.inf, share)  # NaN that is missing
        return np.where(self.right, np.nan_to_num(np.minimum(share, 1)), share)

    @property
    def unread(self) -> bool:
        """Whether the kernel must not read the output, which was full of NaN before."""
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
        """The number of terms of the sum for an element; 1 if nothing is summed."""
        if self.name == "fold":
            return bounds.most_patches(self.given["kernel"], self.given["stride"])
        if self.name == "convolve":
            return len(self.arguments["weights"])
        letter = {"matmul": "k", "column_sum": "m", "mse_loss": "n", "bce_loss": "n"}.get(self.name)
        return int(self.given.get(letter, 1)) if letter else 1

    def plain(self, result: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the sum in a result, without alpha and beta · out, and the bound of that sum."""
        alpha, beta = (self.given.get(key, default) for key, default in (("alpha", 1.0), ("beta", 0.0)))
        if self.name not in ("matmul", "column_sum") or not alpha:
            return result, self.bound
        rest = beta * self.values["out"] if beta else 0.0
        return (result - rest) / alpha, self.bound / abs(alpha)

    @property
    def case(self) -> str:
        """The arguments in words."""
        listed = ", ".join(f"{key}={x}" for key, x in self.given.items())
        return f"{listed}, {self.dtype}{', blocks of columns' * self.block}"


def judged(
    name: str, dtype: str, given: dict[str, Any], block: bool, arguments: dict[str, Any], found: np.ndarray
) -> Call:
    """Return a call with its exact result and bound, for what a kernel wrote."""
    if name == "advance":
        exact, bound = arguments["cursor"] + arguments["n"], np.zeros(1)
    else:
        exact, bound = cases.expected(name, arguments, dtype)
    return Call(name, dtype, given, block, arguments, found, exact, bound)


def bound_at(call: Call, roundoff: float) -> np.ndarray:
    """Return the bound of a call for another unit roundoff."""
    return call.bound * (roundoff / bounds.unit_roundoff(call.dtype))
