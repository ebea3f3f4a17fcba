"""How large errors are, if no formula explains them: a factor, a difference, a limit, or the rounding of a format."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from fastae.check import bounds
from fastae.check.calls.evidence import MAYBE, VISIBLE, WHERE, Call, bound_at
from fastae.check.cause import powers

FORMATS = (("float32", 2.0**-24), ("float16 or TF32", 2.0**-11), ("bfloat16", 2.0**-8))  # and their unit roundoffs
GROWTH = 0.25  # the error of an accumulator grows with the number of terms to the power 1/2 or more, of inputs 0
CHANCE_ELEMENTS = 8  # so many elements may be numbers of a format by chance
AGREEING_CALLS = 3  # calls that must agree
SIZES: dict[str, Callable[[np.ndarray], Any]] = {  # of a result, by which it may be divided by mistake
    "its norm": np.linalg.norm,
    "its largest element": np.max,
    "its largest magnitude": lambda x: np.abs(x).max(),
    "the sum of its elements": np.sum,
    "the mean of its elements": np.mean,
}
NONE = 1e-6  # a factor below it is none
MIN_NOISE, MIN_RATIO = 30, 0.3  # elements, and irregularity of their errors, from which on they are noise


def describe(wrong: Sequence[Call]) -> Iterator[str]:
    """Yield what the sizes of the errors in all wrong calls have in common.

    Parameters
    ----------
    wrong : sequence of Call
        Wrong calls without a fault.
    """
    yield from list(_factors(wrong)) or list(powers.describe(wrong)) or list(_clipped(wrong)) or list(_precision(wrong))


def _factors(wrong: Sequence[Call]) -> Iterator[str]:
    """Yield a factor or a difference that all wrong elements share."""
    wrong = [c for c in wrong if c.given.get("alpha", 1)]
    if sum(int(c.wrong.sum()) for c in wrong) < 2:
        return
    for compare in (np.divide, np.subtract):
        found = [constant for c in wrong if (constant := _constant(c, compare)) is not None]
        if len(found) < len(wrong):
            continue
        values = [value for value, _ in found]
        if compare is np.divide:  # what is left out is 0 but for the rounding of what is there
            values = [0.0 if abs(value) < NONE else value for value in values]
        x, apart = values[0], np.ptp(values) > 1e-3 * abs(values[0])
        if compare is np.subtract:  # large results tell a small difference only to within their rounding
            x = min(found, key=lambda constant: constant[1])[0]
            apart = any(abs(value - x) > 1e-3 * abs(x) + doubt for value, doubt in found)
        if apart:
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
    """Yield what determines a factor that all elements of a call share and that differs between calls."""
    for letter in "mnk":
        lengths = np.array([c.given.get(letter, 0) for c in wrong], float)
        if lengths.all() and np.allclose(values, lengths, rtol=1e-3):
            yield f"every wrong element is {letter} times what it should be"
        elif lengths.all() and np.allclose(values * lengths, 1, rtol=1e-3):
            yield f"every wrong element is 1 / {letter} of what it should be: a mean, where a sum is asked for"
    for key in ("scale", "alpha"):
        taken = values * [c.given.get(key, np.nan) for c in wrong]
        if np.isfinite(taken).all() and np.allclose(taken, taken[0], rtol=1e-3):
            yield f"{taken[0]:.5g} is taken for {key}, whatever that is"
            return
        for letter in "mnk":
            times = taken * [c.given.get(letter, np.nan) for c in wrong]
            if np.isfinite(times).all() and np.allclose(times, times[0], rtol=1e-3):
                yield f"{times[0]:.5g} / {letter} is taken for {key}, whatever that is"
                return
    for key in ("kernel", "stride"):
        sizes = np.array([c.given.get(key, 1) for c in wrong], float)
        for power in (-2, -1, 1, 2) if np.ptp(sizes) else ():
            if np.allclose(values, sizes**power, rtol=1e-3):
                by = "divided" if power < 0 else "multiplied"
                yield f"the result is {by} by the {key}{' squared' * (abs(power) == 2)}"
                return
    if sum(c.wrong.sum() > 1 for c in wrong) < AGREEING_CALLS:
        return
    for what, size in SIZES.items():
        if np.allclose(values * [size(c.exact) for c in wrong], 1, rtol=1e-3):
            yield f"the result is divided by {what}"
            return
    yield f"{MAYBE}a factor that depends on the data or on the shape: it is the same for all elements of a call"


def _parts(wrong: Sequence[Call]) -> Iterator[str]:
    """Yield the factor of one of the two terms of a result: what was there before, and what is added."""
    found = list[np.ndarray]()
    for call in wrong:
        beta = call.given.get("beta", 1.0 if call.name == "axpy" else 0.0)
        if not beta:
            continue
        old = beta * call.values[call.written]
        parts = np.stack([old.ravel(), (call.exact - old).ravel()])
        if parts.shape[1] < 2 * AGREEING_CALLS or not np.isfinite(call.found).all():
            continue
        numbers = np.linalg.lstsq(parts.T, call.found.ravel(), rcond=None)[0]
        if not (np.abs(call.found.ravel() - numbers @ parts) <= VISIBLE * call.bound.ravel()).all():
            return
        found.append(numbers)
    if len(found) < AGREEING_CALLS or np.ptp(found, axis=0).max() > 1e-4:
        return
    for x, what in zip(np.mean(found, axis=0), ("what was there before", "what is added to it")):
        if abs(x - 1) > 1e-4:
            yield f"{what} is multiplied by {x:.5g}"


def _constant(call: Call, compare: Callable[..., Any]) -> tuple[float, float] | None:
    """Return the factor or difference that all wrong elements have to the exact ones; None if they differ.

    A difference comes with what rounding may have changed it by.
    """
    (found, bound), (exact, _) = call.plain(call.found), call.plain(call.exact)
    found, exact, bound = found[call.wrong], exact[call.wrong], bound[call.wrong]
    if not np.isfinite(found).all() or not np.isfinite(exact).all():
        return None
    rounded = doubt = 0.0
    if compare is np.divide:
        x = float(np.sum(found * exact) / np.sum(exact**2)) if exact.any() else np.nan
        rest = np.abs(found - x * exact)
    else:
        x = float(np.mean(found - exact))
        rest = np.abs(found - exact - x)
        rounded = abs(x) * bounds.unit_roundoff(call.dtype)  # where the bound is 0
        doubt = float(np.mean(bound))  # of the mean of what is found
    return (x, doubt) if np.all(rest <= VISIBLE * ((1 + abs(x)) * bound + rounded) + doubt) else None


def _clipped(wrong: Sequence[Call]) -> Iterator[str]:
    """Yield the limits at which a result is cut off, if all wrong elements are beyond them."""
    low, high = set[float](), set[float]()
    for call in wrong:
        found, exact = call.plain(call.found)[0], call.plain(call.exact)[0]
        found, exact = found[call.wrong], exact[call.wrong]
        low |= set(found[exact < found].astype(np.float32).tolist())
        high |= set(found[exact > found].astype(np.float32).tolist())
    ends = [x for of in (low, high) for x in of]
    telling = sum(int(c.wrong.sum()) for c in wrong) > CHANCE_ELEMENTS and len(wrong) >= AGREEING_CALLS
    if not telling or not ends or len(low) > 1 or len(high) > 1 or not np.isfinite(ends).all():
        return
    if not all(np.isfinite(c.found[c.wrong]).all() for c in wrong):
        return
    if any(((c.plain(c.exact)[0] < min(low)) & ~c.wrong).any() for c in wrong if low):
        return
    if any(((c.plain(c.exact)[0] > max(high)) & ~c.wrong).any() for c in wrong if high):
        return
    yield f"the result is cut off at {' and '.join(f'{x:.5g}' for x in ends)}"


def _precision(wrong: Sequence[Call]) -> Iterator[str]:
    """Yield the format to which something is rounded, if errors are as small as those of a right kernel in it."""
    if not all(np.isfinite(c.found[c.wrong]).all() for c in wrong):
        return
    if all(_is_half(c) for c in wrong) and sum(c.found.size for c in wrong) > CHANCE_ELEMENTS:
        yield "too low a precision: all results are numbers of float16, which has 11 bits and nothing below 6e-8"
        return
    for name, u in FORMATS:
        # A bound of the size of the result says nothing.
        telling = [c for c in wrong if (c.terms + 6) * u < 0.3]
        if not telling or any(u <= bounds.unit_roundoff(c.dtype) for c in telling):
            continue
        if all((np.abs(c.found - c.exact) <= bound_at(c, u) + u * 1e-3).all() for c in telling):
            text = name
            break
    else:
        return
    if not _is_noise(wrong, text) and not _is_noise(_without_shrinking(wrong, u), text):
        yield (
            f"{MAYBE}a small number that is added, as to a divisor, a factor near 1, or a function that is only "
            "approximated: errors are small everywhere, but follow the numbers, as those of rounding do not"
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


def _without_shrinking(wrong: Sequence[Call], u: float) -> list[Call]:
    """Remove the common factor from errors of sums: numbers that are cut, not rounded, are smaller by up to 2u."""
    rest = list[Call]()
    for call in wrong:
        share = float(np.sum((call.found - call.exact) * call.exact) / np.sum(call.exact**2)) if call.exact.any() else 0
        cut = call.terms > 1 and -4 * u <= share < 0  # both factors may be cut
        rest.append(replace(call, found=call.found - share * call.exact) if cut else call)
    return rest


def _is_noise(wrong: Sequence[Call], text: str) -> bool:
    """Whether errors are as irregular as those of rounding: neighbouring numbers have unrelated errors."""
    ratios = list[float]()
    for call in sorted(wrong, key=lambda c: -c.found.size)[:AGREEING_CALLS]:
        if call.found.size < MIN_NOISE or _is_kept(call, text):
            continue
        error, exact = (call.found - call.exact).ravel(), call.exact.ravel()
        keys = [x.ravel() for x in call.values.values() if isinstance(x, np.ndarray) and x.shape == call.exact.shape]
        sizes = (np.abs(exact), *(np.abs(x) for x in keys), np.ones(len(exact)))
        for key in (exact, *(x for x in keys if np.isfinite(x).all())):
            order = np.argsort(key, kind="stable")
            for size in sizes:
                if np.isfinite(size).all() and (size > 0).all():
                    ratios.append(_neumann((error / size)[order]))
    return min(ratios, default=1.0) > MIN_RATIO


def _neumann(x: np.ndarray) -> float:
    """Return half of von Neumann's ratio: 1 for independent neighbours, 0 for a smooth curve."""
    spread = float(np.sum((x - x.mean()) ** 2))
    return float(np.sum(np.diff(x) ** 2)) / (2 * spread) if spread else 0.0


def _is_half(call: Call) -> bool:
    """Whether all results are numbers of float16, and errors are of its size."""
    near = np.abs(call.found - call.exact) <= 2.0**-9 * np.abs(call.exact) + 2.0**-12
    return bool(near.all() and np.array_equal(call.found, call.found.astype(np.float16)))


def _is_kept(call: Call, text: str) -> bool:
    """Whether all results are numbers of a format."""
    bits = {"float32": 23, "bfloat16": 7}.get(text, 10)
    return bool(np.array_equal(call.found, bounds.rounded(call.found.astype(np.float64), bits)))


def _relative(call: Call) -> float:
    """Return the error relative to the root of the sum of squares: for rounded inputs the same for sums of any length.

    Rounding each of k terms of size 1 gives an error of u √k beside a result of √k. An accumulator that is rounded k
    times while it grows as √l has the error u √(Σ l), about u k.
    """
    error = np.sqrt(np.mean((call.found - call.exact) ** 2))
    size = call.bound / bounds.gamma(call.terms + 3, call.dtype) / np.sqrt(call.terms)
    return float(error / np.sqrt(np.mean(size**2)))


def _growth(wrong: Sequence[Call]) -> float | None:
    """Return the power of the number of terms with which errors grow; None if the calls do not show it."""
    points = [(c.terms, _relative(c)) for c in wrong if c.terms > 1 and c.given.get("alpha", 1)]
    points = [(terms, error) for terms, error in points if error > 0]
    lengths = {terms for terms, _ in points}
    if len(lengths) < 3 or max(lengths) < 8 * min(lengths):
        return None
    x, y = np.log(np.array(points)).T
    return float(np.polyfit(x, y, 1)[0])
