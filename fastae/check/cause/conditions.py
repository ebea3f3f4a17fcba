"""In which calls a kernel is wrong: what these have in common, and the right calls have not."""

import operator
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from fastae.check.calls.evidence import WHEN, Call

CHANCE = 0.01  # a condition is named if it would hold by coincidence with less probability
FLAGS = ("trans_a", "trans_b")
IMAGES = ("channels", "kernel", "stride", "padding")
MULTIPLES = (2, 4, 8, 16, 32, 64, 128)


def when(calls: Sequence[Call]) -> tuple[str, Callable[[Call], bool]]:
    """Find the condition that distinguishes wrong calls from right ones.

    Parameters
    ----------
    calls : sequence of Call
        Right and wrong calls of one kernel.

    Returns
    -------
    text : str
        The condition in words; empty if none is known.
    condition : callable
        Whether a `Call` meets it; True for every call if none is known.
    """
    wrong, right = [c for c in calls if c.is_wrong], [c for c in calls if not c.is_wrong]
    if not wrong or not right:
        return "", lambda c: True
    best, least = list[tuple[str, str, Callable[[Call], bool]]](), CHANCE
    for key, text, holds in _conditions(calls):
        if not all(holds(c) for c in wrong):
            continue
        # The probability that all wrong calls meet it by coincidence.
        others = sum(holds(c) for c in right)
        chance = ((len(wrong) + others) / len(calls)) ** len(wrong)
        if chance <= least:
            best, least = (best if chance == least else []), chance
            best.append((key, f"{WHEN} {'' if others else 'always and '}{text}", holds))
    if len({key for key, _, _ in best}) != 1:
        return "", lambda c: True  # several conditions fit these calls
    return best[-1][1:]


def _conditions(calls: Sequence[Call]) -> Iterator[tuple[str, str, Callable[[Call], bool]]]:
    """Yield conditions: the argument that it depends on, the words, and a function of a call."""
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
        yield one + other, f"only where {one} and {other} are equal", _related(one, operator.eq, other)
        yield one + other, f"only where {one} and {other} differ", _related(one, operator.ne, other)
    for letter in "mnk":
        for sizes in _distinguished({c.given[letter] for c in calls if letter in c.given}):
            which = " or ".join(map(str, sizes)) + " (these calls do not tell which)" * (len(sizes) > 1)
            yield letter, f"only where {letter} is no multiple of {which}", _compared(letter, operator.mod, sizes[0])
        for length in sorted({c.given[letter] for c in calls if letter in c.given})[:-1]:
            yield letter, f"only where {letter} is above {length}", _compared(letter, operator.gt, length)


def _distinguished(lengths: set[int]) -> list[list[int]]:
    """Group the sizes of blocks; the lengths do not distinguish those in one group."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for size in MULTIPLES:
        groups.setdefault(tuple(n for n in sorted(lengths) if n % size == 0), []).append(size)
    return list(groups.values())


def _related(one: str, compare: Callable[[Any, Any], Any], other: str) -> Callable[[Call], bool]:
    return lambda c: bool(compare(c.given.get(one, 0), c.given.get(other, 0)))


def _compared(key: str, compare: Callable[[Any, Any], Any], value: Any) -> Callable[[Call], bool]:
    return lambda c: bool(compare(c.given.get(key, 0), value))
