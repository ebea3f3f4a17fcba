"""What errors look like where no formula is known: by how much they are off, where they lie, and in which calls."""

import operator
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from fastae.backends.contract import PATCHES
from fastae.check import bounds
from fastae.check.evidence import VISIBLE, Call, bound_at

FORMATS = (("float32", 2.0**-24), ("float16 or TF32", 2.0**-11), ("bfloat16", 2.0**-8))  # and their unit roundoffs
GROWTH = 0.25  # the power of the number of terms with which an accumulator's error grows is 1/2 or more, an input's 0
SOME = 8  # elements that are of a format by chance
CHANCE = 0.01  # a coincidence that is less probable is none
UNITS = (("row", "tile"), ("column", "tile"), ("element", "block"))
FLAGS = ("trans_a", "trans_b")
WHEN = "it is wrong"  # begins what is said of calls, not of a cause
MAYBE = "may be: "  # begins a cause that is not certain
WHERE = "where: "  # begins what is said of places, not of a cause
EDGE = f"{MAYBE}a loop or a slice that ends too early, or the guard at the edge of a"
IMAGES = ("channels", "kernel", "stride", "padding")
SEVERAL = 3  # calls that must tell the same
SIZES: dict[str, Callable[[np.ndarray], Any]] = {  # of a whole result, by which it may be divided
    "its norm": np.linalg.norm,
    "its largest element": np.max,
    "its largest magnitude": lambda x: np.abs(x).max(),
    "the sum of its elements": np.sum,
    "the mean of its elements": np.mean,
}
LEAST_NOISE, LEAST_RATIO = 30, 0.3  # elements that can tell noise, and how irregular it is
PERIODS = (2, 3, 4, 5, 6, 8, 10, 12, 16, 24, 32)
STATES = ("wrong", "left unwritten")
MULTIPLES = (2, 4, 8, 16, 32, 64, 128)


def told(calls: Sequence[Call], unwritten: bool = False) -> list[str]:
    """Say what the wrong calls have in common, the most telling first.

    Parameters
    ----------
    calls : sequence of Call
        Right and wrong ones.
    unwritten : bool
        Whether what is wrong is as it was before.
    """
    wrong = [c for c in calls if c.is_wrong and not c.fault]
    if not wrong:
        return []
    said = [] if unwritten else list(_factors(wrong)) or list(_clipped(wrong)) or list(_precision(wrong))
    said += _skipped(wrong) if unwritten else []
    said += _miscounted(wrong)
    said += _periodic(wrong, unwritten)
    left = ": left unwritten" * unwritten
    votes: Counter[str] = Counter()
    for call in wrong:
        votes.update(kind for kind, _ in _places(call))
    # Where all is wrong, there is no place to speak of, unless the largest output is all wrong too.
    largest = dict(_places(max(wrong, key=lambda c: c.found.size)))
    some = sum(not c.wrong.all() for c in wrong)
    said += [
        f"{WHERE}{largest[kind]}{left}" for kind, count in votes.most_common() if kind in largest and 2 * count >= some
    ]
    unit = next((unit for what, unit in UNITS if any(s.startswith(f"{WHERE}only the last {what}") for s in said)), "")
    return [*said, f"{EDGE} {unit}"] if unit and not any("never written" in text for text in said) else said


def headline(causes: Sequence[str]) -> str:
    """Return the likeliest cause in words, if any is known."""
    known = [cause for cause in causes if not cause.startswith(WHEN)]
    return next((c if c.startswith((MAYBE, WHERE)) else f"likely: {c}" for c in known), "")


# By how much.


def _factors(wrong: Sequence[Call]) -> Iterator[str]:
    """Yield a factor or a difference that all wrong elements share."""
    wrong = [c for c in wrong if c.given.get("alpha", 1)]
    if sum(int(c.wrong.sum()) for c in wrong) < 2:
        return
    for compare in (np.divide, np.subtract):
        values = [x for c in wrong if (x := _constant(c, compare)) is not None]
        if not values or len(values) < len(wrong):
            continue
        x = values[0]
        if np.ptp(values) > 1e-3 * abs(x):
            if compare is np.divide:
                yield from _varying(wrong, np.array(values))
        elif compare is np.divide and x == 0:
            yield f"{WHERE}all that is wrong is 0"
        elif compare is np.divide:
            yield f"every wrong element is {x:.5g} times what it should be: a factor is missing or wrong"
        else:
            less = f"{abs(x):.5g} {'more' if x > 0 else 'less'} than it should be"
            everywhere = all(c.wrong.all() for c in wrong)
            why = f": something is {'added' if x > 0 else 'subtracted'}" * everywhere
            yield f"{WHERE * (not everywhere)}every wrong element is {less}{why}"
    yield from _parts(wrong)


def _varying(wrong: Sequence[Call], values: np.ndarray) -> Iterator[str]:
    """Yield what a factor is that all elements of a call share, but not all calls."""
    for letter in "mnk":
        lengths = np.array([c.given.get(letter, 0) for c in wrong], float)
        if lengths.all() and np.allclose(values, lengths, rtol=1e-3):
            yield f"every wrong element is {letter} times what it should be"
        elif lengths.all() and np.allclose(values * lengths, 1, rtol=1e-3):
            yield f"every wrong element is 1 / {letter} of what it should be: a mean, where a sum is asked for"
    if sum(c.wrong.sum() > 1 for c in wrong) < SEVERAL:
        return
    for what, size in SIZES.items():
        if np.allclose(values * [size(c.exact) for c in wrong], 1, rtol=1e-3):
            yield f"the result is divided by {what}"
            return
    yield f"{MAYBE}a factor that depends on the data or on the shape: it is the same for all elements of a call"


def _parts(wrong: Sequence[Call]) -> Iterator[str]:
    """Yield by what number one of two parts is multiplied, of which the result is the sum: what was there, and more."""
    found = list[np.ndarray]()
    for call in wrong:
        beta = call.given.get("beta", 1.0 if call.name == "axpy" else 0.0)
        if not beta:
            continue
        old = beta * call.values[call.written]
        parts = np.stack([old.ravel(), (call.exact - old).ravel()])
        if parts.shape[1] < 2 * SEVERAL or not np.isfinite(call.found).all():
            continue
        numbers = np.linalg.lstsq(parts.T, call.found.ravel(), rcond=None)[0]
        if not (np.abs(call.found.ravel() - numbers @ parts) <= VISIBLE * call.bound.ravel()).all():
            return
        found.append(numbers)
    if len(found) < SEVERAL or np.ptp(found, axis=0).max() > 1e-4:
        return
    for x, what in zip(np.mean(found, axis=0), ("what was there before", "what is added to it")):
        if abs(x - 1) > 1e-4:
            yield f"{what} is multiplied by {x:.5g}"


def _constant(call: Call, compare: Callable[..., Any]) -> float | None:
    """Return the factor or the difference between what was written and what should have been, if there is one."""
    (found, bound), (exact, _) = call.plain(call.found), call.plain(call.exact)
    found, exact, bound = found[call.wrong], exact[call.wrong], bound[call.wrong]
    if not np.isfinite(found).all() or not np.isfinite(exact).all():
        return None
    rounded = 0.0
    if compare is np.divide:
        x = float(np.sum(found * exact) / np.sum(exact**2)) if exact.any() else np.nan
        rest = np.abs(found - x * exact)
    else:
        x = float(np.mean(found - exact))
        rest = np.abs(found - exact - x)
        rounded = abs(x) * bounds.unit_roundoff(call.dtype)  # where the bound is 0
    return x if np.all(rest <= VISIBLE * ((1 + abs(x)) * bound + rounded)) else None


def _clipped(wrong: Sequence[Call]) -> Iterator[str]:
    """Yield where the result is cut off, if all that is wrong lies beyond."""
    low, high = set[float](), set[float]()
    for call in wrong:
        found, exact = call.plain(call.found)[0], call.plain(call.exact)[0]
        found, exact = found[call.wrong], exact[call.wrong]
        low |= set(found[exact < found].astype(np.float32).tolist())
        high |= set(found[exact > found].astype(np.float32).tolist())
    ends = [x for of in (low, high) for x in of]
    telling = sum(int(c.wrong.sum()) for c in wrong) > SOME and len(wrong) >= SEVERAL
    if not telling or len(low) > 1 or len(high) > 1 or not np.isfinite(ends).all():
        return
    if any(((c.plain(c.exact)[0] < min(low)) & ~c.wrong).any() for c in wrong if low):
        return
    if any(((c.plain(c.exact)[0] > max(high)) & ~c.wrong).any() for c in wrong if high):
        return
    yield f"the result is cut off at {' and '.join(f'{x:.5g}' for x in ends)}"


def _precision(wrong: Sequence[Call]) -> Iterator[str]:
    """Yield in which format something is kept, if all errors are as small as that of a right kernel in it."""
    if not all(np.isfinite(c.found[c.wrong]).all() for c in wrong):
        return
    if all(_is_half(c) for c in wrong) and sum(c.found.size for c in wrong) > SOME:
        yield "too low a precision: all results are numbers of float16, which has 11 bits and nothing below 6e-8"
        return
    for name, u in FORMATS:
        # Where so much may be lost, the bound says nothing.
        telling = [c for c in wrong if (c.terms + 6) * u < 0.3]
        if not telling or any(u <= bounds.unit_roundoff(c.dtype) for c in telling):
            continue
        if all((np.abs(c.found - c.exact) <= bound_at(c, u) + u * 1e-3).all() for c in telling):
            text = name
            break
    else:
        return
    if not _is_noise(wrong, text):
        yield (
            f"{MAYBE}a small number that is added, as to a divisor, or a factor near 1: errors are small everywhere, "
            "but follow the numbers, as those of rounding do not"
        )
        return
    if 2 * sum(int(c.wrong.sum()) for c in wrong) < sum(c.found.size for c in wrong):
        yield f"{MAYBE}too low a precision: where there are errors, they are as small as those of {text}"
        return
    whose = "although the arrays are float64" if all(c.dtype == "float64" for c in wrong) else ""
    head = f"the errors are small everywhere, as those of {text}: too low a precision {whose}".rstrip()
    kept = [_is_kept(c, text) for c in wrong]
    power = _growth(wrong)
    if power is not None and power > GROWTH:
        low, high = (_relative(c) for c in (min(wrong, key=lambda c: c.terms), max(wrong, key=lambda c: c.terms)))
        yield (
            f"{head}; they grow with the number of terms in the sum (from {low:.1g} to {high:.1g}): "
            "the accumulator is of too low a precision"
        )
    elif all(kept):
        yield f"{head}; every result is a number of that format: it, or an accumulator, is rounded to it"
    elif power is not None:
        yield f"{head}; they do not grow with the number of terms: inputs or results are rounded, not the accumulator"
    else:
        yield f"{head}: an accumulator, an input or something between is rounded to it"


def _is_noise(wrong: Sequence[Call], text: str) -> bool:
    """Whether errors are as irregular as those of rounding: elements of nearly the same numbers have other errors."""
    ratios = list[float]()
    for call in sorted(wrong, key=lambda c: -c.found.size)[:SEVERAL]:
        if call.found.size < LEAST_NOISE or _is_kept(call, text):
            continue
        error, exact = (call.found - call.exact).ravel(), call.exact.ravel()
        keys = [x.ravel() for x in call.values.values() if isinstance(x, np.ndarray) and x.shape == call.exact.shape]
        sizes = (np.abs(exact), *(np.abs(x) for x in keys), np.ones(len(exact)))
        for key in (exact, *(x for x in keys if np.isfinite(x).all())):
            order = np.argsort(key, kind="stable")
            for size in sizes:
                if np.isfinite(size).all() and (size > 0).all():
                    ratios.append(_neumann((error / size)[order]))
    return min(ratios, default=1.0) > LEAST_RATIO


def _neumann(x: np.ndarray) -> float:
    """Return half of von Neumann's ratio: 1 where neighbours have nothing to do with each other, 0 on a smooth curve."""
    spread = float(np.sum((x - x.mean()) ** 2))
    return float(np.sum(np.diff(x) ** 2)) / (2 * spread) if spread else 0.0


def _is_half(call: Call) -> bool:
    """Whether what was written are numbers of float16, and near enough for that."""
    near = np.abs(call.found - call.exact) <= 2.0**-9 * np.abs(call.exact) + 2.0**-12
    return bool(near.all() and np.array_equal(call.found, call.found.astype(np.float16)))


def _is_kept(call: Call, text: str) -> bool:
    """Whether what was written are numbers of that format."""
    bits = {"float32": 23, "bfloat16": 7}.get(text, 10)
    return bool(np.array_equal(call.found, bounds.rounded(call.found.astype(np.float64), bits)))


def _relative(call: Call) -> float:
    """Return the error in terms of the root of the sum of squares: where inputs are rounded, the same for any sum.

    Rounding each of k terms of size 1 gives an error of u √k beside a result of √k. An accumulator that is rounded k
    times while it grows as √l has the error u √(Σ l), about u k.
    """
    error = np.sqrt(np.mean((call.found - call.exact) ** 2))
    size = call.bound / bounds.gamma(call.terms + 3, call.dtype) / np.sqrt(call.terms)
    return float(error / np.sqrt(np.mean(size**2)))


def _growth(wrong: Sequence[Call]) -> float | None:
    """Return the power of the number of terms with which errors grow; None if the calls do not say."""
    points = [(c.terms, _relative(c)) for c in wrong if c.terms > 1 and c.given.get("alpha", 1)]
    points = [(terms, error) for terms, error in points if error > 0]
    lengths = {terms for terms, _ in points}
    if len(lengths) < 3 or max(lengths) < 8 * min(lengths):
        return None
    x, y = np.log(np.array(points)).T
    return float(np.polyfit(x, y, 1)[0])


# Where.


def _skipped(wrong: Sequence[Call]) -> list[str]:
    """Say so if in every call the first or the last row, column or element is left unwritten, and no other."""
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
    """Say so if rows or columns are right up to the number of the others: the wrong length was taken."""
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
    """Yield which rows, columns or elements of each so many are wrong, if it is so in all calls."""
    if any(c.wrong.ndim != wrong[0].wrong.ndim for c in wrong):
        return
    for axis, what in enumerate(("rows", "columns") if wrong[0].wrong.ndim == 2 else ("elements",)):
        lines = [np.moveaxis(c.wrong, axis, 0).reshape(c.wrong.shape[axis], -1).any(axis=1) for c in wrong]
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
    """Put the numbers of lines in words."""
    if len(lines) > 2 and np.all(np.diff(lines) == 1):
        return f"those from number {lines[0]} to {lines[-1]}"
    return f"number{'s' * (len(lines) > 1)} {' and '.join(map(str, lines[:3]))}{' and others' * (len(lines) > 3)}"


def _places(call: Call) -> Iterator[tuple[str, str]]:
    """Yield a word for a pattern, and the pattern in words."""
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
    """Yield whether rows or columns are those of others."""
    if call.found.ndim != 2 or not np.isfinite(call.found).all():
        return
    (rows, within), (right, _) = call.plain(call.found), call.plain(call.exact)
    for what, found, exact, bound in (("row", rows, right, within), ("column", rows.T, right.T, within.T)):
        lines = np.flatnonzero((np.abs(found - exact) > bound).any(axis=1))
        if len(exact) < 3 or exact.shape[1] < 2 or len(exact) > 64:
            continue
        near = (np.abs(found[lines, None] - exact[None]) <= 4 * bound[None]).all(axis=2)  # which is like which
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


# In which calls.


def when(calls: Sequence[Call]) -> tuple[str, Callable[[Call], bool]]:
    """Say what tells wrong calls from right ones, if anything does, and return it as a condition.

    Parameters
    ----------
    calls : sequence of Call
        Right and wrong ones.
    """
    wrong, right = [c for c in calls if c.is_wrong], [c for c in calls if not c.is_wrong]
    if not wrong or not right:
        return "", lambda c: True
    best, least = list[tuple[str, str, Callable[[Call], bool]]](), CHANCE
    for key, text, holds in _conditions(calls):
        if not all(holds(c) for c in wrong):
            continue
        # How probable it is that so many wrong calls fulfil it if it has nothing to do with them.
        others = sum(holds(c) for c in right)
        chance = ((len(wrong) + others) / len(calls)) ** len(wrong)
        if chance <= least:
            best, least = (best if chance == least else []), chance
            best.append((key, f"{WHEN} {'' if others else 'always and '}{text}", holds))
    if len({key for key, _, _ in best}) != 1:
        return "", lambda c: True  # these calls cannot tell one from another
    return best[-1][1:]


def _conditions(calls: Sequence[Call]) -> Iterator[tuple[str, str, Callable[[Call], bool]]]:
    """Yield what a condition is about, the condition in words, and itself."""
    yield "block", "only where matrices are blocks of columns of wider ones", lambda c: c.block
    yield "dtype", "only in float32", lambda c: c.dtype == "float32"
    yield "dtype", "only in float64", lambda c: c.dtype == "float64"
    yield "trans", "only where trans_a or trans_b is set", lambda c: any(c.given.get(key) for key in FLAGS)
    yield "trans", "only where trans_a and trans_b are set", lambda c: all(c.given.get(key) for key in FLAGS)
    for key in FLAGS:
        yield key, f"only where {key} is set", _compared(key, operator.eq, True)
        yield key, f"only where {key} is not set", _compared(key, operator.eq, False)
    for key in ("alpha", "beta", "scale"):
        for value in sorted({c.given[key] for c in calls if key in c.given}):
            yield key, f"only where {key} is {value:g}", _compared(key, operator.eq, value)
            yield key, f"only where {key} is not {value:g}", _compared(key, operator.ne, value)
    yield "square", "only where height and width differ", lambda c: c.given.get("height") != c.given.get("width")
    for key in IMAGES:
        for length in sorted({c.given[key] for c in calls if key in c.given})[:-1]:
            yield key, f"only where {key} is above {length}", _compared(key, operator.gt, length)
    for one, other in ("mn", "mk", "kn") if any("k" in c.given for c in calls) else ("mn",):
        alike = _alike(one, other)
        yield one + other, f"only where {one} and {other} are equal", alike
        yield one + other, f"only where {one} and {other} differ", lambda c, alike=alike: not alike(c)
    for letter in "mnk":
        for size in MULTIPLES:
            yield letter, f"only where {letter} is no multiple of {size}", _compared(letter, operator.mod, size)
        for length in sorted({c.given[letter] for c in calls if letter in c.given})[:-1]:
            yield letter, f"only where {letter} is above {length}", _compared(letter, operator.gt, length)


def _alike(one: str, other: str) -> Callable[[Call], bool]:
    return lambda c: bool(c.given.get(one, 0) == c.given.get(other, 0))


def _compared(key: str, compare: Callable[[Any, Any], Any], value: Any) -> Callable[[Call], bool]:
    return lambda c: bool(compare(c.given.get(key, 0), value))
