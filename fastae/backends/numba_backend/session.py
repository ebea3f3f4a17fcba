"""A team of workers on the cores of one CPU, and the step compiled for it."""

import os
import sys
import threading
from functools import cache
from typing import Any

import numpy as np
from numba import from_dtype, types

import fastae.step
from fastae.backends.base import Session
from fastae.backends.numba_backend import kernels, operations
from fastae.backends.numba_backend.jit import jit, namespace
from fastae.backends.numba_backend.kernels import ROW_BLOCK
from fastae.backends.numba_backend.machine import MACHINE
from fastae.backends.numba_backend.operations import Own
from fastae.step import Worker

MOST_WORKERS = 8  # by default: beyond, a worker's share of the code layer is less than a vector
LINE = 64  # bytes of a cache line


def make_entry(k: Any) -> Any:
    """Make the function that Python calls: so many steps, from plain tuples and arrays."""

    def entry(images, order, cursor, rate, scale, W, b, V, c, a, y, d, x, loss, losses, total, own, batches):
        place, arrivals, passed, partial, lit, seen = own
        own = k.Own(place, arrivals, passed, partial, lit, seen)
        w = k.Worker(images, order, cursor, rate, scale, W, b, V, c, a, y, d, x, loss, losses, total, own)
        for _ in range(batches):
            k.step(w)

    return entry


@cache
def compiled(part: str, loss: str, layers: int, dtype: str) -> Any:
    """Compile "step" or "evaluation" of `fastae.step`, all that it calls and the loop around it, or find it cached."""
    module = namespace(
        f"fastae_numba_{part}_{loss}",
        **{name: getattr(kernels, name) for name in ("gather", "column_sum", "advance", "mse_loss")},
        **{name: getattr(operations, name) for name in ("forward", "backward", "update", "barrier")},
        **{"loss_gradient": getattr(operations, loss), "Worker": Worker, "Own": Own},
    )
    module.forward_loss = jit(fastae.step.make_forward_loss(module), name=f"forward_loss_{loss}")
    module.step = jit(getattr(fastae.step, f"make_{part}")(module), name=f"{part}_{loss}")
    types_ = [signature(layers, np.dtype(dtype))]
    return jit(make_entry(module), name=f"run_{part}_{loss}", signatures=types_, cached=True)


def signature(layers: int, dtype: np.dtype[Any]) -> Any:
    """Return the types of an entry's arguments: matrices with any row stride, so that one compilation serves all."""
    real = from_dtype(dtype)
    bytes_, whole, sums = (types.Array(t, 1, "C") for t in (types.uint8, types.int64, types.float64))
    images = types.Array(bytes_.dtype, 2, "C", readonly=True)
    vector, matrix = types.Array(real, 1, "A"), types.Array(real, 2, "A")
    vectors, matrices = types.UniTuple(vector, layers), types.UniTuple(matrix, layers)
    own = types.Tuple((whole, whole, whole, types.Array(real, 4, "A"), whole, types.Array(real, 1, "C")))
    return types.void(
        *(images, whole, whole, types.Array(real, 1, "C"), types.float64),
        *(matrices, vectors, matrices, vectors, matrices, matrices, matrices, matrix),
        *(sums, types.Array(types.float64, 2, "C"), sums, own, types.intp),
    )


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def default_workers() -> int:
    """Return one for each core that this process may use, within reason."""
    return min(cores(), MOST_WORKERS)


def aligned(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Return zeros whose rows begin at cache lines, an odd number of lines apart.

    A vector that straddles two lines costs two accesses, and rows a power of two apart compete for the same few
    places of the cache.
    """
    itemsize = np.dtype(dtype).itemsize
    lines = -(-shape[-1] * itemsize // LINE)
    row = (lines + (lines % 2 == 0) * (len(shape) > 1)) * LINE // itemsize
    count = int(np.prod(shape[:-1])) * row
    raw = np.zeros(count * itemsize + LINE, np.uint8)
    first = -raw.ctypes.data % LINE
    whole = raw[first : first + count * itemsize].view(dtype).reshape(*shape[:-1], row)
    return whole[..., : shape[-1]]


class NumbaSession(Session):
    """A session of several workers, each on a thread of its own."""

    def prepare(self) -> None:
        """Compile, and decide on the number of workers."""
        self.workers = self.threads or default_workers()
        layers = len(self.widths) - 1
        notice = threading.Timer(1.0, say, ["compiling the step for this machine; the next start will find it"])
        notice.start()
        try:
            self._entries = {"step": compiled("step", self.loss, layers, self.dtype.name)}
            if self.has_test:
                self._entries["evaluation"] = compiled("evaluation", "mse", layers, self.dtype.name)
        finally:
            notice.cancel()

    def array(self, host: np.ndarray) -> np.ndarray:
        """Copy an array to whole cache lines, so that no two workers write to one."""
        copy = aligned(host.shape, host.dtype)
        copy[:] = host
        return copy

    def owned(self, width: int) -> list[slice]:
        """Cut a layer into whole vectors of units."""
        lanes = MACHINE.vector_bytes // self.dtype.itemsize
        cuts = [operations.first_unit(width, w, self.workers, lanes) for w in range(self.workers + 1)]
        return [slice(*pair) for pair in zip(cuts, cuts[1:])]

    def own(self, m: int) -> list[Own]:
        """Make the barrier and the buffers through which the team works together."""
        widest = max(self.widths)
        arrivals = aligned((8,), np.int64)
        partial = aligned((2, self.workers, m, widest), self.dtype)
        return [
            Own(
                place=self.array(np.array([w, self.workers])),
                arrivals=arrivals,
                passed=aligned((8,), np.int64),
                partial=partial,
                lit=aligned((max(widest, ROW_BLOCK),), np.int64),
                seen=aligned((widest,), self.dtype),
            )
            for w in range(self.workers)
        ]

    def go(self, part: str, team: list[Worker], batches: int) -> None:
        """Run the compiled loop on all threads, this one included."""
        arrivals = team[0].own.arrivals
        arrivals[:] = 0
        for w in team:
            w.own.passed[0] = 0

        def work(w: Worker) -> None:
            self._entries[part](*w[:-1], tuple(w.own), batches)

        # A thread a run costs microseconds, is there after a fork, and leaves nothing spinning behind.
        others = [threading.Thread(target=work, args=(w,), daemon=True) for w in team[1:]]
        try:
            for thread in others:
                thread.start()
            work(team[0])
            for thread in others:
                thread.join()
        except BaseException:
            arrivals[1] = 1  # whoever waits for the one that was interrupted shall not wait for ever
            raise


def say(text: str) -> None:
    """Tell somebody who sits before a terminal."""
    if sys.stderr.isatty():
        print(text, file=sys.stderr)
