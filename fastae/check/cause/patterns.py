"""Where the errors of wrong calls are, if no formula explains them.

`amounts` says how large they are, `regions` for which numbers.
"""

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from fastae.backends.contract import PATCHES
from fastae.check.calls.evidence import MAYBE, WHEN, WHERE, Call
from fastae.check.cause import amounts, regions

UNITS = (("row", "tile"), ("column", "tile"), ("element", "block"))
EDGE = f"{MAYBE}a loop or a slice that ends too early, or the guard at the edge of a"
PERIODS = (2, 3, 4, 5, 6, 8, 10, 12, 16, 24, 32)
STATES = ("wrong", "left unwritten")


def describe(calls: Sequence[Call], unwritten: bool = False) -> list[str]:
    """Describe what the errors of wrong calls have in common, the most specific first.

    Parameters
    ----------
    calls : sequence of Call
        Right and wrong calls of one kernel.
    unwritten : bool
        Whether the wrong elements are as they were before the calls.

    Returns
    -------
    list of str
        Causes, guesses that begin with `MAYBE`, and places that begin with `WHERE`.
    """
    wrong = [c for c in calls if c.is_wrong and not c.fault]
    if not wrong:
        return []
    said = [] if unwritten else list(amounts.describe(wrong))
    said += [*_left_where_zero(wrong), *_skipped(wrong)] if unwritten else []
    said += _miscounted(wrong)
    left = ": left unwritten" * unwritten
    votes: Counter[str] = Counter()
    for call in wrong:
        votes.update(kind for kind, _ in _places(call))
    # Calls whose elements are all wrong say nothing about places, unless the largest output is one of them.
    # What is unwritten at the end may be all of a small call.
    partly = [c for c in wrong if not c.wrong.all()] if unwritten else []
    most = max(partly or wrong, key=lambda c: c.found.size)
    largest = dict(_places(most))
    some = sum(not c.wrong.all() and c.found.ndim == most.found.ndim for c in wrong)  # a vector has elements, no rows
    said += [
        f"{WHERE}{largest[kind]}{left}" for kind, count in votes.most_common() if kind in largest and 2 * count >= some
    ]
    said += _periodic(wrong, unwritten) if not any("only every" in text for text in said) else []
    if all(text.startswith(MAYBE) for text in said) and (region := regions.only_where(wrong)):
        said.append(f"{WHERE}only elements where {region}{left}")
    edges = [text for text in said if not text.endswith("from 1 on")]  # one line may be right by chance
    unit = next((unit for what, unit in UNITS if any(s.startswith(f"{WHERE}only the last {what}") for s in edges)), "")
    return [*said, f"{EDGE} {unit}"] if unit and not any("never written" in text for text in said) else said


def headline(causes: Sequence[str]) -> str:
    """Return the likeliest cause as it is printed; empty if none is known."""
    known = [cause for cause in causes if not cause.startswith(WHEN)]
    return next((c if c.startswith((MAYBE, WHERE)) else f"likely: {c}" for c in known), "")


# Where.


def _left_where_zero(wrong: Sequence[Call]) -> list[str]:
    """Return a cause if in all calls exactly the elements that should be 0 are unwritten, and others are not."""
    if not all(np.array_equal(c.wrong, c.exact == 0) for c in wrong) or all(c.wrong.all() for c in wrong):
        return []
    return ["what should be 0 is never written, only what is not 0: write the zeros too"]


def _skipped(wrong: Sequence[Call]) -> list[str]:
    """Return a cause if in all calls only the first or only the last row, column or element is unwritten."""
    if any(c.wrong.ndim != wrong[0].wrong.ndim for c in wrong) or wrong[0].name in PATCHES:
        return []
    for axis, what in enumerate(("row", "column") if wrong[0].wrong.ndim == 2 else ("element",)):
        lines = [np.moveaxis(c.wrong, axis, 0).reshape(c.wrong.shape[axis], -1) for c in wrong]
        if all(len(x) and x[-1].all() and not x[:-1].any() for x in lines):
            return [f"the last {what} is never written: a loop, a slice or a guard ends one too early"]
        if all(len(x) and x[0].all() and not x[1:].any() for x in lines):
            return [f"the first {what} is never written: a loop or a slice begins at 1"]
    return []


def _miscounted(wrong: Sequence[Call]) -> list[str]:
    """Return a cause if rows are right up to the number of columns, or the other way round."""
    counts = {"rows": "m", "columns": "n"}
    if wrong[0].name in PATCHES or not all({"m", "n"} <= c.given.keys() for c in wrong):
        return []
    for what, letter in counts.items():
        axis = 0 if what == "rows" or wrong[0].found.ndim == 1 else 1
        (other,) = (x for x in counts if x != what)
        ends = set()
        for call in wrong:
            if call.found.ndim <= axis or call.found.shape[axis] != call.given[letter]:
                break
            lines = np.atleast_1d(call.wrong if call.wrong.ndim == 1 else call.wrong.any(axis=1 - axis))
            end = call.given[counts[other]]
            if end >= len(lines) or not np.array_equal(lines, np.arange(len(lines)) >= end):
                break
            ends.add(end)
        else:
            if len(ends) > 1:
                return [f"the {what} are counted by the number of {other}: no more of them are computed"]
    return []


def _periodic(wrong: Sequence[Call], unwritten: bool) -> Iterator[str]:
    """Yield which rows, columns or elements of a period are wrong, if all calls have the same."""
    if any(c.wrong.ndim != wrong[0].wrong.ndim for c in wrong):
        return
    for axis, what in enumerate(("rows", "columns") if wrong[0].wrong.ndim == 2 else ("elements",)):
        lines: list[np.ndarray] = [
            np.any(np.moveaxis(c.wrong, axis, 0).reshape(c.wrong.shape[axis], -1), axis=1) for c in wrong
        ]
        longest = max(lines, key=len)
        for period in PERIODS:
            if len(longest) < 2 * period:
                break
            bad = longest[:period]
            if bad.any() and not bad.all() and all(np.array_equal(x, np.resize(bad, len(x))) for x in lines):
                yield f"{WHERE}of every {period} {what} {_numbers(np.flatnonzero(bad))}: {STATES[unwritten]}"
                if unwritten:
                    yield f"{MAYBE}a loop, a step or a launch that passes over some of the {what}"
                return


def _numbers(lines: np.ndarray) -> str:
    """Return the numbers of lines in words."""
    if len(lines) > 2 and np.all(np.diff(lines) == 1):
        return f"those from number {lines[0]} to {lines[-1]}"
    return f"number{'s' * (len(lines) > 1)} {' and '.join(map(str, lines[:3]))}{' and others' * (len(lines) > 3)}"


def _places(call: Call) -> Iterator[tuple[str, str]]:
    """Yield patterns of the places of errors: an identifier, and the pattern in words."""
    bad, found, exact = call.wrong, call.found, call.exact
    yield from _copied(call)
    if bad.all():
        if bad.size > 1 and np.ptp(found) == 0 and np.ptp(exact) > 0:
            yield "one", "all elements are the same number"
        return
    if bad.size > 8 and bad.sum() == 1 and (bad.ndim > 1 or not (bad[0] or bad[-1])):
        place = ", ".join(str(int(i[0])) for i in np.nonzero(bad))
        yield "single", f"only one element is wrong, at [{place}]"
        return
    if bad.ndim == 2:
        diagonal = np.eye(*bad.shape) > 0
        if min(bad.shape) > 1 and np.array_equal(bad, ~diagonal):
            yield "diagonal", "only the diagonal is right"
        if bad.shape[0] > 2 and bad.shape[1] > 2:
            for half, part in (("below", np.tril(np.ones_like(bad), -1)), ("above", np.triu(np.ones_like(bad), 1))):
                if not bad[~part].any() and bad[part].mean() > 0.9:
                    yield half, f"only what lies {half} the diagonal is wrong"
        for what, axis in (("rows", 0), ("columns", 1)):
            yield from _lines(what, np.flatnonzero(bad.any(axis=1 - axis)), bad.shape[axis])
    else:
        yield from _lines("elements", np.flatnonzero(bad), len(bad))


def _lines(what: str, lines: np.ndarray, length: int) -> Iterator[tuple[str, str]]:
    if len(lines) == length or not len(lines):
        return
    if len(lines) == 1 and lines[0] == 0 and length > 2:
        yield f"first of {what}", f"only the first of the {what} is wrong"
    elif np.array_equal(lines, np.arange(lines[0], length)):
        yield f"last {what}", f"only the last {what} are wrong, from {lines[0]} on"
    elif np.array_equal(lines, np.arange(lines[-1] + 1)):
        yield f"first {what}", f"only the first {what} are wrong, up to {lines[-1]}"
    elif len(set(np.diff(lines))) == 1 and len(lines) > 2:
        step = {1: "2nd", 2: "2nd", 3: "3rd"}.get(lines[1] - lines[0], f"{lines[1] - lines[0]}th")
        yield f"some {what}", f"only every {step} of the {what} is wrong, from {lines[0]} on"


def _copied(call: Call) -> Iterator[tuple[str, str]]:
    """Yield a pattern if rows or columns have the contents of other ones."""
    if call.found.ndim != 2 or not np.isfinite(call.found).all():
        return
    (rows, within), (right, _) = call.plain(call.found), call.plain(call.exact)
    for what, found, exact, bound in (("row", rows, right, within), ("column", rows.T, right.T, within.T)):
        lines = np.flatnonzero((np.abs(found - exact) > bound).any(axis=1))
        if len(exact) < 3 or exact.shape[1] < 2 or len(exact) > 64:
            continue
        near = (np.abs(found[lines, None] - exact[None]) <= 4 * bound[None]).all(axis=2)  # which row equals which
        if not near.any(axis=1).all():
            continue
        steps = near.argmax(axis=1) - lines
        if len(set(steps.tolist())) == 1 and len(lines) > 1:
            yield (
                f"copied {what}",
                f"{what} i holds what {what} i {'+' if steps[0] > 0 else '−'} {abs(steps[0])} should",
            )
        else:
            i = len(lines) // 2
            yield (
                f"copied {what}",
                f"{what}s are repeated or exchanged: {what} {lines[i]} is as {what} {lines[i] + steps[i]} should be",
            )
