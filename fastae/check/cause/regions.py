"""For which numbers elements are wrong, if no formula explains them: those of an input, or the result's."""

from collections.abc import Iterator, Sequence

import numpy as np

from fastae.backends.contract import PATCHES
from fastae.check.calls.evidence import Call

LEAST = 20  # wrong elements, and right ones, that are compared
STRAY = 0.05  # of the wrong elements: as many right ones may be among them, where a mistake happens not to show
DIGITS = 5  # of a limit, at most


def only_where(wrong: Sequence[Call]) -> str:
    """Return for which numbers elements of wrong calls are wrong, such as ``"y is above 1"``.

    Parameters
    ----------
    wrong : sequence of Call
        Wrong calls of one kernel.

    Returns
    -------
    str
        Empty if wrong and right elements are not told apart by one number.
    """
    if wrong[0].name in PATCHES or any(c.wrong.shape != c.exact.shape for c in wrong):
        return ""
    bad = np.concatenate([c.wrong.ravel() for c in wrong])
    for key, x in _numbers(wrong):
        known = np.isfinite(x)
        text = _limits(np.sort(x[known & bad]), np.sort(x[known & ~bad]))
        if text and known[bad].all():
            return f"{key} is {text}"
    return ""


def _numbers(wrong: Sequence[Call]) -> Iterator[tuple[str, np.ndarray]]:
    """Yield numbers that belong to the elements of all calls, and what they are."""
    values = [c.values for c in wrong]
    if {"z", "bias"} <= values[0].keys():
        yield "z + bias", np.concatenate([(v["z"] + v["bias"]).ravel() for v in values])
    for key in values[0]:
        of_calls = [v[key] for v in values]
        if key != wrong[0].written and all(np.shape(x) == c.exact.shape for x, c in zip(of_calls, wrong)):
            yield key, np.concatenate([x.ravel() for x in of_calls])
    yield "the right result", np.concatenate([c.exact.ravel() for c in wrong])


def _limits(bad: np.ndarray, good: np.ndarray) -> str:
    """Return the limits between two sorted sets of numbers in words; empty if they lie among each other."""
    if min(len(bad), len(good)) < LEAST:
        return ""
    low, high = bad[0], bad[-1]
    below, above = good[good < low], good[good > high]
    if len(good) - len(below) - len(above) <= STRAY * len(bad) and len(below) + len(above) >= LEAST:
        if low == high:
            return f"{low:.{DIGITS}g}"
        ends = [f"above {_between(below[-1], low)}"] if len(below) else []
        ends += [f"below {_between(high, above[0])}"] if len(above) else []
        return " and ".join(ends)
    low, high = good[0], good[-1]
    below, above = bad[bad < low], bad[bad > high]
    if len(below) + len(above) == len(bad) and low < high:
        return f"below {_between(below[-1], low)} or above {_between(high, above[0])}"
    return ""


def _between(low: float, high: float) -> str:
    """Return a number between two, with as few digits as possible."""
    if low <= 0 <= high:
        return "0"
    for digits in range(1, DIGITS):
        text = f"{(low + high) / 2:.{digits}g}"
        if low <= float(text) <= high:
            return text
    return f"{(low + high) / 2:.{DIGITS}g}"
