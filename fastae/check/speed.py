"""How fast a right kernel is: on the model's shapes, beside what the machine could do, measured in the same run.

The limit of a kernel is the roofline's: its operations at the rate of multiply-adds, or its bytes at that of reading
from where they lie, whichever takes longer. (Williams, Waterman and Patterson, Roofline, CACM 2009.)
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from fastae.backends.contract import KERNELS, PATCHES
from fastae.backends.numba_backend.workers import cores
from fastae.bench import limits
from fastae.check import fresh
from fastae.check.calls import cases
from fastae.check.calls.evidence import Call
from fastae.check.file.text import is_parallel
from fastae.check.sandbox.remote import Remote

BATCHES = (16, 128)
MOMENT, SEGMENTS = 0.02, 7  # seconds of a segment, and how many: their median is told
ROUNDS = 5  # in which the limit is measured
PATIENCE = 2.0  # seconds that the calls of a segment may take; what is slower is timed by one call, or left out
LINE = 64  # bytes of the cache
NEAR_BYTES = 16 << 20  # what is larger stays in no cache between calls
TOO_FAST = {True: 1.25, False: 8.0}  # of the limit in multiply-adds; of that in bytes, since nearer caches are faster
PRODUCTS = {"forward": (False, False), "backward": (False, True), "update": (True, False)}  # and what is transposed
LAYER = (784, 256)  # inputs and outputs of the largest layer
IMAGE = {"height": 14, "width": 14, "channels": 16, "kernel": 3, "stride": 2, "padding": 1}  # of a second convolution
CHANNELS = 32  # of its output
LETTERS = "mnkpqc"
FLOPS = ("matmul", "convolve")  # kernels whose limit is arithmetic


class Speed(NamedTuple):
    """One kernel on one shape.

    Attributes
    ----------
    shape : str
    seconds : float
        A call.
    flops, bytes : float
        Operations a second; bytes that must at least be moved, a second.
    share : float
        Of the limit.
    """

    shape: str
    seconds: float
    flops: float
    bytes: float
    share: float


@dataclass(frozen=True)
class Work:
    """A kernel's work on one shape of the step.

    Attributes
    ----------
    kernel, shape : str
        The shape in words.
    images : int
        The batch size.
    given : dict
        Lengths by the contract's letters, and numbers.
    """

    kernel: str
    shape: str
    images: int
    given: dict[str, Any]

    @property
    def flops(self) -> int:
        """Operations, as the contract counts them."""
        return KERNELS[self.kernel].flops(**self._lengths())

    @property
    def bytes(self) -> int:
        """Bytes that must at least be moved, in float32."""
        return KERNELS[self.kernel].bytes(s=4, **self._lengths())

    def _lengths(self) -> dict[str, int]:
        if self.kernel == "axpy":
            return {"size": self.given["..."]}
        lengths = cases.lengths(self.kernel, self.given)
        return {key: lengths[key] for key in LETTERS if any(key in x for x in KERNELS[self.kernel].shapes.values())}

    def arguments(self) -> list[Any]:
        """Make the kernel's arguments in float32; arrays without gaps, from the beginning of a cache line on."""
        made = cases.make(self.kernel, "float32", self.images, **self.given)
        return [_aligned(x) if isinstance(x, np.ndarray) else x for x in made.values()]

    def least(self, machine: limits.Limits) -> float:
        """Return the seconds that the machine needs at least."""
        bandwidth = machine.near if self.bytes <= NEAR_BYTES else machine.far
        return max(self.flops / machine.flops, self.bytes / bandwidth)

    def speed(self, seconds: float, machine: limits.Limits) -> Speed:
        """Tell what so many seconds a call are."""
        return Speed(self.shape, seconds, self.flops / seconds, self.bytes / seconds, self.least(machine) / seconds)


def _aligned(x: np.ndarray) -> np.ndarray:
    """Copy to where a cache line begins: vectors that straddle two lines would cost a fifth, now and then."""
    memory = np.empty(x.nbytes + LINE, np.uint8)
    first = -memory.ctypes.data % LINE
    copy = memory[first : first + x.nbytes].view(x.dtype).reshape(x.shape)
    copy[...] = x
    return copy


def works(name: str, m: int) -> Iterator[Work]:
    """Yield what the step asks of a kernel for batches of m images, on the largest layer."""
    inputs, outputs = LAYER
    if name == "matmul":
        lengths = {"forward": (m, inputs, outputs), "backward": (m, outputs, inputs), "update": (inputs, m, outputs)}
        for what, (trans_a, trans_b) in PRODUCTS.items():
            given = dict(zip("mkn", lengths[what])) | {"trans_a": trans_a, "trans_b": trans_b}
            yield Work(name, f"{what}, batch {m}", m, given)
    elif name == "axpy":
        yield Work(name, f"{inputs} x {outputs}", m, {"...": inputs * outputs, "alpha": -0.25})
    elif name in PATCHES:
        given = {"m": m, **IMAGE} | ({"c": CHANNELS} if name == "convolve" else {})
        yield Work(name, f"{m} x 14 x 14 x 16, kernel 3, stride 2", m, given)
    elif name != "advance":
        yield Work(name, f"{m} x {inputs}", m, {"m": m, "n": inputs})


def cores_of(k: Remote) -> int:
    """Return how many cores a file's kernels may use: a BLAS takes them all, and so does ``prange``."""
    return cores() if k.name == "numpy" or is_parallel(k.source) else 1


def limit(workers: int) -> limits.Limits:
    """Return the most that so many cores did in some rounds: what else the machine is doing can only lower it.

    What is near is in the cache that the cores share, where fresh data are.
    """
    return limits.combined([limits.measure(workers, 1, fresh.BYTES) for _ in range(ROUNDS)], max)


def measure(k: Remote, name: str, machine: limits.Limits) -> tuple[list[Speed], Call | None]:
    """Time a kernel on the shapes that the step has; the large ones not if it is very slow.

    Parameters
    ----------
    k : Remote
    name : str
    machine : Limits
        Of as many workers as the kernel may use.

    Returns
    -------
    list of Speed
    Call or None
        One of those that were timed that was wrong.
    """
    found: list[Speed] = []
    timers: list[fresh.Timer] = []
    time.sleep(fresh.REST)
    for m in BATCHES if name != "axpy" else BATCHES[:1]:
        for work in works(name, m):
            if found and m > BATCHES[0] and max(s.seconds for s in found) * m / BATCHES[0] > fresh.PATIENCE:
                break
            timers.append(fresh.Timer(k, name, name, work.given))
            found.append(work.speed(timers[-1].seconds(), machine))
    return found, next((call for timer in timers if (call := timer.wrong())), None)  # which takes the judge's cores


class Timer:
    """Calls of a function with the same arguments, so many that a segment of them takes a moment.

    Parameters
    ----------
    function : callable
    arguments : list
    wait : callable
        Called at the end of a segment: on a GPU, calls are only launches.
    calls : int
        As how many one call counts.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        arguments: list[Any],
        wait: Callable[[], None] = lambda: None,
        calls: int = 1,
    ) -> None:
        self._function, self._arguments, self._wait, self._calls, self._times = function, arguments, wait, calls, 1
        self.first = self.segment()  # which may compile
        while self._times < 1 << 20:
            took = self._times * self._calls * self.segment()
            if took >= MOMENT / 2:
                break
            self._times = max(self._times + 1, min(1 << 20, int(self._times * MOMENT / max(took, 1e-7))))

    def segment(self) -> float:
        """Return the seconds of a call, over one segment."""
        function, arguments = self._function, self._arguments
        began = time.perf_counter()
        for _ in range(self._times):
            function(*arguments)
        self._wait()
        return (time.perf_counter() - began) / (self._times * self._calls)

    def seconds(self) -> float:
        """Return the median over some segments; over fewer of a function that is very slow."""
        found = [self.segment()]
        while len(found) < SEGMENTS and sum(found) * self._times * self._calls < PATIENCE:
            found.append(self.segment())
        return median(found)


def too_fast(name: str, speeds: list[Speed]) -> str:
    """Say so if a kernel takes less time than the machine needs for its work; else return nothing."""
    for speed in speeds:
        most = TOO_FAST[name in FLOPS]
        if speed.share > most:
            return (
                f"{speed.shape}: {speed.seconds * 1e6:.3g} µs a call is {speed.share:.1f} times as fast as this "
                "machine can do that work: an answer is kept, or the work is not done"
            )
    return ""
