"""Compare what a kernel has written with formulas for the ways to be wrong.

A formula (`fastae.check.cause.formulas`) is named if it gives what was written in the wrong calls. A right call for
which the formula gives something else refutes it. Where no formula fits, `fastae.check.cause.patterns` describes the
errors.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np

from fastae.check.calls.evidence import VISIBLE, Call
from fastae.check.cause import conditions, patterns
from fastae.check.cause.formulas import Source, edited, named
from fastae.check.cause.formulas.parts import ROUNDED

MOST_CALLS = 16  # wrong ones, and as many right ones, that formulas are compared with
NEAR = 0.02  # of a formula's difference from the right result: within that, a result is the formula's
ALIKE = 16  # steps, into which the numbers of elements that are explained are rounded
SPEAKING = 3  # elements in all that must show it, or a coincidence of a small case could


class Says(Enum):
    """What a call says of a formula."""

    FITS = "its result is what was written"
    OTHER = "it is wrong in another way"
    REFUTED = "it is right, but would not be"
    MISSED = "it is wrong, but would be right"
    NOTHING = ""


@dataclass
class Tally:
    """What all calls say of a formula."""

    fits: int = 0
    elements: int = 0
    other: int = 0
    missed: int = 0
    refuted: int = 0


def likely(name: str, arguments: dict[str, Any], found: np.ndarray, exact: np.ndarray, bound: np.ndarray) -> list[str]:
    """Name what may be wrong in a single call, the likeliest first.

    Parameters
    ----------
    name : str
        A kernel of the contract.
    arguments : dict
        With which it was called.
    found, exact, bound : ndarray
        What it wrote, what it should have, and how far from that it might have been.

    Returns
    -------
    list of str
        Empty if nothing is known.
    """
    dtypes = {str(x.dtype) for x in arguments.values() if isinstance(x, np.ndarray) and x.dtype.kind == "f"}
    dtype = "float32" if "float32" in dtypes else "float64"
    lengths = {"m": exact.shape[0], "n": exact.shape[-1]} if exact.ndim else {}
    return explain([Call(name, dtype, lengths, False, arguments, found, exact, bound)])


def explain(calls: Sequence[Call]) -> list[str]:
    """Name what may be wrong in the calls of one kernel, the likeliest first.

    Parameters
    ----------
    calls : sequence of Call
        Right and wrong ones.
    """
    with np.errstate(all="ignore"):
        compared = [c for c in calls if not c.fault]
        kept = _kept(compared)
        _, condition = conditions.when(calls)
        some = [c for c in compared if condition(c)]  # a kernel has branches, of which one is wrong
        partly: list[str] = []
        for source in (named, edited):
            for chosen in (compared, some) if len(some) < len(compared) else (compared,):
                whole, more = _formulas(chosen, source)
                if whole:
                    return [*kept, *whole]
                partly = partly or more
        return kept or [*partly, *patterns.told(compared)]


def _formulas(calls: Sequence[Call], source: Source) -> tuple[list[str], list[str]]:
    """Return which of the formulas explain all that is wrong, or else which explain a part of it."""
    wrong, right = [c for c in calls if c.is_wrong], [c for c in calls if not c.is_wrong]
    tallies: dict[str, Tally] = defaultdict(Tally)
    wrong, right = _some(wrong), _some(right)
    for call in wrong:
        for text, (says, elements) in _opinions(call, source).items():
            tally = tallies[text]
            tally.elements += elements
            tally.fits += says is Says.FITS
            tally.other += says is Says.OTHER
            tally.missed += says is Says.MISSED
    candidates = {text: tally for text, tally in tallies.items() if tally.fits}
    for call in right if candidates else ():
        for text, (says, _) in _opinions(call, source).items():
            if text in candidates:
                candidates[text].refuted += says is Says.REFUTED
    left = {text: t for text, t in candidates.items() if not t.refuted}
    whole = {text: t for text, t in left.items() if not t.other and not t.missed}
    if whole:
        most = max(t.elements for t in whole.values())
        if most >= min(SPEAKING, sum(int(c.wrong.sum()) for c in wrong)):
            order = {text: i for i, text in enumerate(tallies)}
            # One that explains far fewer elements than another does so by a coincidence of small cases.
            likeliest = [text for text, t in whole.items() if 2 * t.elements >= most]
            # Of those that explain about as many the one that is listed first is likelier than one more at its edges.
            return sorted(likeliest, key=lambda text: (-round(ALIKE * whole[text].elements / most), order[text])), []
    partly = [text for text, t in left.items() if t.elements >= SPEAKING * 4 and 2 * t.fits >= len(wrong)]
    partly = [text for text in partly if not text.startswith(ROUNDED)]  # where few are summed, all roundings are alike
    partly.sort(key=lambda text: -left[text].elements)
    return [], [
        f"{patterns.MAYBE}{text} (in {left[text].fits} of {len(wrong)} wrong calls that were looked at)"
        for text in partly[:2]
    ]


def _some(calls: list[Call]) -> list[Call]:
    """Choose some calls, evenly, so that all shapes come up."""
    return [calls[i] for i in sorted(set(np.linspace(0, len(calls) - 1, MOST_CALLS).astype(int)))] if calls else []


def _opinions(call: Call, source: Source) -> dict[str, tuple[Says, int]]:
    """Return what a call says of each formula, and in how many elements; several formulas may have one text."""
    found: dict[str, tuple[Says, int]] = {}
    order = [Says.FITS, Says.NOTHING, Says.MISSED, Says.OTHER, Says.REFUTED]  # the most favourable counts
    for text, wrong in source(call.name, call.values):
        says, elements = _opinion(call, wrong)
        if text not in found or order.index(says) < order.index(found[text][0]):
            found[text] = says, elements
    return found


def _opinion(call: Call, predicted: np.ndarray) -> tuple[Says, int]:
    if predicted.shape != call.exact.shape:
        return Says.NOTHING, 0
    known = ~np.ma.getmaskarray(predicted)
    wrong, found, exact, bound = (x[known] for x in (np.ma.getdata(predicted), call.found, call.exact, call.bound))
    apart = np.abs(wrong - exact)
    same = (wrong == exact) | (np.isnan(wrong) & np.isnan(exact))
    speaks = ~same & ~(apart <= VISIBLE * bound)
    if not speaks.any():
        would_be_right = known.all() and (same | (apart <= bound)).all()
        return (Says.MISSED if call.is_wrong and would_be_right else Says.NOTHING), 0
    if not call.is_wrong:
        return Says.REFUTED, 0
    near = np.isfinite(wrong) & (np.abs(found - wrong) <= np.maximum(NEAR * apart, VISIBLE / 2 * bound))
    if not np.isfinite(wrong).any():
        speaks[:] = False  # NaN everywhere may come from anywhere
    near |= (found == wrong) | (np.isnan(found) & np.isnan(wrong))
    if not near.all():
        return Says.OTHER, 0
    return Says.FITS, round(speaks.sum() * known.size / known.sum())  # where a formula is silent, it is not against it


def _kept(calls: Sequence[Call]) -> list[str]:
    """Say so if what was written is what an earlier call should have written."""
    hits, wrong = 0, 0
    for i, call in enumerate(calls):
        if not call.is_wrong or call.found.size < 2 or not call.given.get("alpha", 1):
            continue
        wrong += 1
        found, near = call.plain(call.found)
        for before in calls[:i] if np.isfinite(found).all() else ():
            exact, bound = before.plain(before.exact)
            if exact.shape == found.shape and np.ptp(exact) > 0 and np.all(np.abs(found - exact) <= bound + near):
                hits += 1
                break
    return (
        ["an answer is kept from an earlier call, by the arrays' shape or address"] if hits and 2 * hits > wrong else []
    )
