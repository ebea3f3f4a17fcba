"""Timing a kernel on data that it has not seen: each timed call has arrays of its own, filled just before.

A segment is as many calls as there are sets of arrays. The clock starts before the process that has the kernel may see
them, and when it has stopped, all that was written is checked. The sets of a segment are larger than a core's own
caches and smaller than the one that cores share, in which the judge's writing leaves them.
"""

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np

from fastae.check import cases
from fastae.check.evidence import Call, judged
from fastae.check.remote import Remote

LINE = 64  # bytes of the cache, at the beginning of which each array lies
BYTES = 4 << 20  # of all sets, unless one is larger
MOST = 64  # sets
MOMENT = 0.0015  # seconds of a segment at least, if the sets allow
SEGMENTS = 7  # their median is told
PATIENCE = 2.0  # seconds that the segments of a shape may take, after which there are fewer


class Timer:
    """Segments of calls of a kernel.

    Parameters
    ----------
    kernel : Remote or callable
        A learner's file, whose answers are checked; or a function of this process, which takes arguments in the
        contract's order.
    name : str
        The kernel's name.
    images : int
        Seed of the data, beside chance.
    given : dict
        Lengths by the contract's letters, and numbers.
    """

    def __init__(self, kernel: "Remote | Callable[..., Any]", name: str, images: int, given: dict[str, Any]) -> None:
        self._kernel, self._name, self._given = kernel, name, given
        self._rng = np.random.default_rng()
        self._base = cases.make(name, "float32", [images, int(self._rng.integers(2**31))], **given)
        self._arrays = {key: x for key, x in self._base.items() if isinstance(x, np.ndarray)}
        self._written = cases.WRITTEN.get(name, "out")
        self.wrong: Call | None = None
        self._prepare(1)
        self.segment()  # which may compile, and is the first to touch the memory
        took = self.segment()
        size = sum(-(-x.nbytes // LINE) * LINE for x in self._arrays.values())
        self._prepare(max(1, min(MOST, BYTES // size, int(MOMENT / took) + 1)))
        if len(self._sets) > 1:
            self.segment()

    def _prepare(self, sets: int) -> None:
        layouts, offset = [], 0
        for _ in range(sets):
            places = {}
            for key, x in self._arrays.items():
                places[key] = [offset, x.dtype.str, list(x.shape)]
                offset += -(-x.nbytes // LINE) * LINE
            layouts.append(places)
        numbers = {key: None if key in self._arrays else x for key, x in self._base.items()}
        if isinstance(self._kernel, Remote):
            self._sets = [self._kernel.views(places) for places in layouts]
            self._kernel.prepare(self._name, [(numbers, places) for places in layouts])
        else:
            memory = np.empty(offset + LINE, np.uint8)
            begin = -memory.ctypes.data % LINE
            self._sets = [
                {key: np.ndarray(tuple(shape), dtype, memory, begin + at) for key, (at, dtype, shape) in places.items()}
                for places in layouts
            ]
        self._shifts = [dict.fromkeys(self._arrays, 0) for _ in range(sets)]

    def segment(self) -> float:
        """Return the seconds of a call, over one segment; what it wrote is checked if it is a learner's."""
        for views, shifts in zip(self._sets, self._shifts):
            for key, base in self._arrays.items():
                if key == self._written and key == "out":
                    views[key].fill(np.nan)
                    continue
                shifts[key] = int(self._rng.integers(base.size))
                _shift(base, shifts[key], views[key])
        if isinstance(self._kernel, Remote):
            took = self._kernel.timed()
            found = [{key: view.copy() for key, view in views.items()} for views in self._sets]
            for arrays, shifts in zip(found, self._shifts):
                self._check(arrays, shifts)
        else:
            passed = [[views.get(key, x) for key, x in self._base.items()] for views in self._sets]
            began = time.perf_counter()
            for arguments in passed:
                self._kernel(*arguments)
            took = time.perf_counter() - began
        return took / len(self._sets)

    def _check(self, found: dict[str, np.ndarray], shifts: dict[str, int]) -> None:
        """Note a call that was wrong."""
        arguments: dict[str, Any] = dict(self._base)
        for key, base in self._arrays.items():
            if key != self._written or key != "out":
                arguments[key] = np.empty_like(base)
                _shift(base, shifts[key], arguments[key])
        call = judged(self._name, "float32", self._given, False, arguments, found[self._written])
        changed = [key for key, x in found.items() if key != self._written and x.tobytes() != arguments[key].tobytes()]
        if changed:
            call.fault, call.fault_kind = f"it writes where it must not: {', '.join(changed)}", "astray"
        if call.is_wrong:
            self.wrong = self.wrong or call

    def seconds(self) -> float:
        """Return the median over some segments; over fewer of a function that is very slow."""
        found = [self.segment()]
        while len(found) < SEGMENTS and sum(found) * len(self._sets) < PATIENCE:
            found.append(self.segment())
        return median(found)


def _shift(base: np.ndarray, by: int, out: np.ndarray) -> None:
    """Copy an array, the elements moved by so many, those at the end to the beginning."""
    flat, to = base.reshape(-1), out.reshape(-1)
    to[: flat.size - by] = flat[by:]
    to[flat.size - by :] = flat[:by]
