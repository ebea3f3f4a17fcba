"""How fast a right kernel is on the model's shapes, compared with the limit of the machine in the same run.

The limit is that of the roofline model: the operations at the rate of multiply-adds, or the bytes at the rate of
reading from the cache or memory that holds them, whichever takes longer (Williams, Waterman and Patterson, Roofline,
CACM 2009).
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
MOMENT, SEGMENTS = 0.02, 7  # seconds of a segment, and their number, whose median is reported
ROUNDS = 5  # measurements of the limit, of which the largest counts
PATIENCE = 2.0  # seconds after which no further segment is timed
LINE = 64  # bytes of a cache line
NEAR_BYTES = 16 << 20  # larger arrays do not stay in a cache between calls
TOO_FAST = {True: 1.25, False: 8.0}  # times the limit: in multiply-adds; in bytes, since nearer caches are faster
PRODUCTS = {"forward": (False, False), "backward": (False, True), "update": (True, False)}  # are a and b transposed?
LAYER = (784, 256)  # inputs and outputs of the largest layer
IMAGE = {"height": 14, "width": 14, "channels": 16, "kernel": 3, "stride": 2, "padding": 1}  # a second convolution's
CHANNELS = 32  # of its output
LETTERS = "mnkpqc"
FLOPS = ("matmul", "convolve")  # kernels limited by arithmetic


class Speed(NamedTuple):
    """The speed of a kernel on one shape.

    Attributes
    ----------
    shape : str
        In words.
    seconds : float
        Of a call.
    flops, bytes : float
        Operations per second, and bytes per second, of those that must at least be moved.
    share : float
        The fraction of the machine's limit.
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
        """Return the least seconds that the machine needs for a call."""
        bandwidth = machine.near if self.bytes <= NEAR_BYTES else machine.far
        return max(self.flops / machine.flops, self.bytes / bandwidth)

    def speed(self, seconds: float, machine: limits.Limits) -> Speed:
        """Return the speed for so many seconds of a call."""
        return Speed(self.shape, seconds, self.flops / seconds, self.bytes / seconds, self.least(machine) / seconds)


def _aligned(x: np.ndarray) -> np.ndarray:
    """Return a copy aligned to a cache line; vectors across two lines can cost a fifth of the speed."""
    memory = np.empty(x.nbytes + LINE, np.uint8)
    first = -memory.ctypes.data % LINE
    copy = memory[first : first + x.nbytes].view(x.dtype).reshape(x.shape)
    copy[...] = x
    return copy


def works(name: str, m: int) -> Iterator[Work]:
    """Yield the calls that the step makes of a kernel for batches of m images, on the largest layer."""
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


def cores_of(backend: Remote) -> int:
    """Return how many cores the kernels of a file may use: a BLAS and ``prange`` use all of them."""
    return cores() if backend.name == "numpy" or is_parallel(backend.source) else 1


def limit(workers: int) -> limits.Limits:
    """Measure the limit of so many cores: the most in some rounds, since other processes can only lower it.

    ``near`` is the bandwidth of the cache that the cores share, where fresh data are.
    """
    return limits.combined([limits.measure(workers, 1, fresh.BYTES) for _ in range(ROUNDS)], max)


def measure(backend: Remote, name: str, machine: limits.Limits) -> tuple[list[Speed], Call | None]:
    """Time a kernel on the shapes of the step; a very slow kernel on the small ones only.

    Parameters
    ----------
    backend : Remote
    name : str
        A kernel of the file.
    machine : Limits
        Of as many cores as the kernel may use.

    Returns
    -------
    list of Speed
        One for each shape.
    Call or None
        A timed call whose result is wrong.
    """
    found: list[Speed] = []
    timers: list[fresh.Timer] = []
    time.sleep(fresh.REST)
    for m in BATCHES if name != "axpy" else BATCHES[:1]:
        for work in works(name, m):
            if found and m > BATCHES[0] and max(s.seconds for s in found) * m / BATCHES[0] > fresh.PATIENCE:
                break
            timers.append(fresh.Timer(backend, name, name, work.given))
            found.append(work.speed(timers[-1].seconds(), machine))
    return found, next((call for timer in timers if (call := timer.wrong())), None)  # this computes on all cores


class Timer:
    """Segments of calls of a function with the same arguments, each long enough to be timed.

    Parameters
    ----------
    function : callable
    arguments : list
    wait : callable
        Called at the end of a segment, since a call on a GPU only launches.
    calls : int
        The number of calls that one call of `function` makes.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        arguments: list[Any],
        wait: Callable[[], None] = lambda: None,
        calls: int = 1,
    ) -> None:
        self._function, self._arguments, self._wait, self._calls, self._times = function, arguments, wait, calls, 1
        self.first = self.segment()  # may compile
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
    """Return a message if a kernel is faster than the machine can be; else an empty string."""
    for speed in speeds:
        most = TOO_FAST[name in FLOPS]
        if speed.share > most:
            return (
                f"{speed.shape}: {speed.seconds * 1e6:.3g} µs a call is {speed.share:.1f} times as fast as this "
                "machine can do that work: an answer is kept, or the work is not done"
            )
    return ""
