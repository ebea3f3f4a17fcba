"""Experiments with a wrong kernel: the same call again, with one thing changed that must not matter.

These are what the output held before, what surrounds the arrays, and whether rows have gaps between them; or nothing is
changed, to find a race.
"""

from collections.abc import Collection
from typing import Any

import numpy as np

from fastae.backends.base import Backend
from fastae.backends.emulator import KernelFault
from fastae.check.calls import cases
from fastae.check.calls.evidence import Call, judged
from fastae.check.file.failure import KernelFailed
from fastae.check.problem import access_checks
from fastae.check.sandbox.process import WorkerLost
from fastae.check.sandbox.remote import Remote

UNREAD = "the old out is read although beta is 0"
RACE = (
    "two calls with the same arguments differ: a race, memory is read that nobody has written (as of np.empty), or "
    "something is kept between calls"
)


def tried(backend: Backend | Remote, call: Call) -> tuple[list[str], bool]:
    """Find out by experiments what a wrong call depends on.

    Parameters
    ----------
    backend : Backend or Remote
    call : Call
        A wrong call.

    Returns
    -------
    causes : list of str
        Empty if nothing that was changed matters.
    unwritten : bool
        Whether the wrong elements are as they were before the call.
    """
    if not call.fault:
        again = [_again(backend, call) for _ in range(3)]
        if any(x is not None and x.found.tobytes() != call.found.tobytes() for x in again):
            return [RACE], False
        causes, unwritten = _old_out(backend, call) if _poisoned(call).any() and call.unread else ([], _untouched(call))
        if causes or unwritten:
            return causes, unwritten
        strides = _strides(backend, call)
        if strides:
            return strides, False
        if _poisoned(call).any() and _sees_surroundings(backend, call):
            return [
                "it reads beyond an array or the end of a row, one too far or more: what lies there comes in"
            ], False
    return _strides(backend, call), False


def _again(
    backend: Backend | Remote, call: Call, block: bool | Collection[str] | None = None, **changed: Any
) -> Call | None:
    """Repeat a call with other arguments or surroundings; None if it has no result."""
    around = changed.pop("around", np.nan)
    arguments = call.arguments | changed
    try:
        with access_checks(backend):
            outcome = cases.call(backend, call.name, arguments, call.block if block is None else block, around=around)
    except (KernelFault, KernelFailed, WorkerLost):
        return None
    found = judged(call.name, call.dtype, call.given, call.block, arguments, outcome.found)
    found.fault = "it writes where it must not" if outcome.touched else ""
    return found


def _poisoned(call: Call) -> np.ndarray:
    """Return which elements are NaN and should be numbers."""
    poisoned: np.ndarray = np.isnan(call.found) & ~np.isnan(call.exact)
    return poisoned


def _untouched(call: Call) -> bool:
    """Whether the wrong elements are the numbers that they were before."""
    old = call.arguments[call.written]
    if not call.given.get("alpha", 1) or call.given.get("beta") == 1:
        return False  # the result may equal the old out
    return bool(old.shape == call.found.shape and not np.isnan(old).any() and (call.found == old)[call.wrong].all())


def _old_out(backend: Backend | Remote, call: Call) -> tuple[list[str], bool]:
    """Fill the output with numbers in place of NaN, and find out whether they are read."""
    old = call.arguments["out"]
    fill = (5 + 0.37 * np.arange(old.size, dtype=np.float64)).reshape(old.shape).astype(old.dtype)
    first, second = _again(backend, call, out=fill), _again(backend, call, out=fill + 1)
    if first is None or second is None:
        return [], False
    bad = _poisoned(call)
    if bad.all() and first.verdict != "wrong" and second.verdict != "wrong":
        return [
            UNREAD + ": 0 · NaN is NaN" if "beta" in call.given else "the old out is read, which must not matter"
        ], False
    if np.array_equal(first.found[bad], fill[bad]) and np.array_equal(second.found[bad], (fill + 1)[bad]):
        return [] if not bad.all() else ["nothing is written"], True
    if np.array_equal(first.found[bad], second.found[bad], equal_nan=True):
        return [], False  # the NaN has another source
    with np.errstate(all="ignore"):
        added = np.abs(first.found - first.exact - fill) <= 1e-3 * np.abs(fill)
    if "beta" in call.given:
        return [UNREAD + (": it is added" if added[bad].all() else "")], False
    if added[bad].all():
        return ["it adds to the old out (+= for =), which it should overwrite"], False
    return ["the old out is read: what it held before must not matter"], False


def _sees_surroundings(backend: Backend | Remote, call: Call) -> bool:
    """Surround the arrays with numbers in place of NaN, and return whether NaN vanishes from the result."""
    again = _again(backend, call, around=7.25)
    bad = _poisoned(call)
    return again is not None and bool(np.isfinite(again.found[bad]).any())


def _strides(backend: Backend | Remote, call: Call) -> list[str]:
    """Give one array after another gaps between its rows, and name those whose stride is ignored."""
    if not call.block:
        return []
    whole = _again(backend, call, block=False)
    if whole is None or whole.verdict == "wrong":
        return []
    matrices = [key for key, x in call.arguments.items() if isinstance(x, np.ndarray) and x.ndim == 2]
    alone = [_again(backend, call, block={key}) for key in matrices]
    guilty = [key for key, again in zip(matrices, alone) if again is None or again.verdict == "wrong"]
    which = f"the row stride of {' and '.join(guilty)}" if guilty else "a row stride"
    return [f"{which} is ignored: it is right where rows follow each other without gaps"]
