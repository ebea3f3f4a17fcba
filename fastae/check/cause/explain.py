"""Compare what a kernel has written with formulas for the ways to be wrong.

A formula (`fastae.check.cause.formulas`) is named if it gives what was written in the wrong calls. A right call for
which the formula gives something else refutes it. Where no formula fits, `fastae.check.cause.patterns` describes the
errors.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from fastae.check.calls.evidence import VISIBLE, Call
from fastae.check.cause import conditions, patterns
from fastae.check.cause.formulas import Source, edited, named
from fastae.check.cause.formulas.parts import ROUNDED

MOST_CALLS = 16  # wrong calls, and as many right ones, with which formulas are compared
NEAR = 0.02  # of the difference between a formula and the exact result: a result within that fits the formula
ALIKE = 16  # steps to which the share of explained elements is rounded
SPEAKING = 3  # elements in all that a formula must explain; fewer may be a coincidence


class Says(Enum):
    """What a call says about a formula."""

    FITS = "its result is what was written"
    OTHER = "it is wrong in another way"
    REFUTED = "it is right, but would not be"
    MISSED = "it is wrong, but would be right"
    NOTHING = ""


@dataclass
class Tally:
    """How many calls say what about a formula, and how many elements it explains."""

    fits: int = 0
    elements: int = 0
    other: int = 0
    missed: int = 0
    refuted: int = 0


def explain(calls: Sequence[Call]) -> list[str]:
    """Name the likely causes of the wrong calls of a kernel, the likeliest first.

    Parameters
    ----------
    calls : sequence of Call
        Right and wrong calls of one kernel.

    Returns
    -------
    list of str
        Formulas that explain all wrong calls; else a guess and the pattern of the errors.
    """
    with np.errstate(all="ignore"):
        compared = [c for c in calls if not c.fault]
        kept = _kept(compared)
        _, condition = conditions.when(calls)
        some = [c for c in compared if condition(c)]  # one branch of the kernel may be wrong
        partly: list[str] = []
        for source in (named, edited):
            for chosen in (compared, some) if len(some) < len(compared) else (compared,):
                whole, more = _formulas(chosen, source)
                if whole:
                    return [*kept, *whole]
                partly = partly or more
        return kept or [*partly, *patterns.describe(compared)]


def _formulas(calls: Sequence[Call], source: Source) -> tuple[list[str], list[str]]:
    """Return the formulas that explain all wrong calls or, if there are none, those that explain a part of them."""
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
            # A formula that explains far fewer elements than another fits small calls by coincidence.
            likeliest = [text for text, t in whole.items() if 2 * t.elements >= most]
            # Of formulas that explain about as many elements, the one listed first is likelier.
            return sorted(likeliest, key=lambda text: (-round(ALIKE * whole[text].elements / most), order[text])), []
    partly = [text for text, t in left.items() if t.elements >= SPEAKING * 4 and 2 * t.fits >= len(wrong)]
    partly = [text for text in partly if not text.startswith(ROUNDED)]  # in short sums all roundings look alike
    partly.sort(key=lambda text: -left[text].elements)
    return [], [
        f"{patterns.MAYBE}{text} (in {left[text].fits} of {len(wrong)} wrong calls that were looked at)"
        for text in partly[:2]
    ]


def _some(calls: list[Call]) -> list[Call]:
    """Choose calls at even distances, so that all shapes are among them."""
    return [calls[i] for i in sorted(set(np.linspace(0, len(calls) - 1, MOST_CALLS).astype(int)))] if calls else []


def _opinions(call: Call, source: Source) -> dict[str, tuple[Says, int]]:
    """Return what a call says about each formula, and in how many elements; formulas may share a text."""
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
        speaks[:] = False  # NaN in all elements has many possible causes
    near |= (found == wrong) | (np.isnan(found) & np.isnan(wrong))
    if not near.all():
        return Says.OTHER, 0
    return Says.FITS, round(speaks.sum() * known.size / known.sum())  # masked elements count as explained


def _kept(calls: Sequence[Call]) -> list[str]:
    """Return a cause if wrong calls wrote what an earlier call should have written."""
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
