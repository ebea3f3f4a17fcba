"""Timing a kernel on fresh data: each timed call has arrays of its own, filled just before.

A segment is a call for each set of arrays. The clock starts before the process with the kernel can see the data, and
all results are checked afterwards. The sets of a segment are larger than the caches of one core: they are in the cache
that cores share, or in memory.
"""

from statistics import median
from typing import Any

import numpy as np

from fastae.check.calls import cases
from fastae.check.calls.evidence import Call, judged
from fastae.check.sandbox.process import Workers

LINE = 64  # bytes of a cache line, to which arrays are aligned
BYTES = 16 << 20  # of all sets
MOST = 128  # sets
MOMENT = 0.0015  # seconds that a segment takes at least, if `MOST` and `BYTES` allow
SEGMENTS = 5  # whose median is reported
REST = 0.12  # seconds after which the threads of a BLAS stop spinning for more work
PATIENCE = 2.0  # seconds after which no further segment of a shape is timed


class Timer:
    """Segments of calls of a kernel.

    Parameters
    ----------
    worker : Workers
        The worker with the kernel.
    which : str
        The kernel's name in the worker.
    name : str
        The kernel's name in the contract.
    given : dict
        Lengths by the contract's letters, and numbers.
    """

    def __init__(self, worker: Workers, which: str, name: str, given: dict[str, Any]) -> None:
        self._worker, self._which, self._name, self._given = worker, which, name, given
        self._rng = np.random.default_rng()
        self._base = cases.make(name, "float32", int(self._rng.integers(2**31)), **given)
        self._arrays = {key: x for key, x in self._base.items() if isinstance(x, np.ndarray)}
        self._written = cases.WRITTEN.get(name, "out")
        self._found: list[tuple[np.ndarray, int, list[str]]] = []
        self._prepare(1)
        self.segment()  # the first call may compile, and touches the memory first
        took = self.segment()
        if took < PATIENCE / 10:  # so that interruptions by the system are not counted
            took = min(took, self.segment(), self.segment())
        size = sum(-(-x.nbytes // LINE) * LINE for x in self._arrays.values())
        self._prepare(max(1, min(MOST, BYTES // size, int(MOMENT / took) + 1)))
        if len(self._sets) > 1:
            self.segment()
        self._found.clear()  # the timed segments come now

    def _prepare(self, sets: int) -> None:
        layouts, offset = [], 0
        for _ in range(sets):
            places = {}
            for key, x in self._arrays.items():
                places[key] = [offset, x.dtype.str, list(x.shape)]
                offset += -(-x.nbytes // LINE) * LINE
            layouts.append(places)
        numbers = {key: None if key in self._arrays else x for key, x in self._base.items()}
        self._sets = [self._worker.views(places) for places in layouts]
        self._calls = [(numbers, places) for places in layouts]
        self._seeds = [0] * sets

    def segment(self) -> float:
        """Time a segment and return the seconds of a call."""
        self._worker.prepare(self._which, self._calls)  # sent again if other calls were timed meanwhile
        took = self._worker.timed(self._fill)
        for views, seed in zip(self._sets, self._seeds):
            drawn = self._drawn(seed)
            inputs = [key for key in drawn if key != self._written]
            changed = [key for key in inputs if views[key].tobytes() != drawn[key].tobytes()]
            self._found.append((views[self._written].copy(), seed, changed))
        return took / len(self._sets)

    def _fill(self) -> None:
        self._seeds = [int(seed) for seed in self._rng.integers(2**62, size=len(self._sets))]
        for views, seed in zip(self._sets, self._seeds):
            for key, values in self._drawn(seed).items():
                views[key][...] = values

    def _drawn(self, seed: int) -> dict[str, np.ndarray]:
        """Draw the arrays of a call from its seed, which only the judge knows."""
        rng = np.random.Generator(np.random.SFC64(seed))
        return {
            key: np.full_like(base, np.nan)
            if key == self._written == "out"
            else cases.redrawn(self._name, key, base, rng)
            for key, base in self._arrays.items()
        }

    def wrong(self) -> Call | None:
        """Return a timed call whose result is wrong; None if there is none."""
        return next((call for found in self._found if (call := self._call(*found)).verdict == "wrong"), None)

    def _call(self, found: np.ndarray, seed: int, changed: list[str]) -> Call:
        """Return a timed call with its exact result."""
        call = judged(self._name, "float32", self._given, False, self._base | self._drawn(seed), found)
        if changed:
            call.fault, call.fault_kind = f"it writes where it must not: {', '.join(changed)}", "astray"
        return call

    def seconds(self) -> float:
        """Return the median seconds of a call over some segments; over fewer for a slow kernel."""
        found = [self.segment()]
        while len(found) < SEGMENTS and sum(found) * len(self._sets) < PATIENCE:
            found.append(self.segment())
        return median(found)
