"""How fast the rungs of a ladder are, in turn, beside the limit: on this CPU measured in the same rounds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from statistics import median
from typing import Any

import numpy as np

from fastae.backends.cupy_backend.launcher import record
from fastae.bench import limits
from fastae.check import fresh
from fastae.check.sandbox.process import Rungs, Timed
from fastae.check.speed import FLOPS, PRODUCTS, Timer, Work, works
from fastae.errors import InputError
from fastae.ladder.rungs import Rung, between, ladder

LAUNCHES = 20  # in a graph
ENOUGH = 0.3  # seconds that a call may take; a slower rung is timed on fewer images, and its rate told all the same


@dataclass
class Height:
    """How high a rung, or a kernel beside it, is.

    Attributes
    ----------
    name : str
    images : int
        The batch that it was timed on.
    seconds : float
        A call: the median over the rounds.
    rate : float
        Operations a second of a product, bytes that must be moved a second of another kernel.
    share : float
        Of the limit measured in the same rounds.
    gain : float or None
        Times as fast as the one below: the median over the rounds.
    """

    name: str
    images: int
    seconds: float
    rate: float
    share: float
    gain: float | None = None


def work_of(name: str, m: int, product: str = "forward") -> Work:
    """Return what a ladder's kernel is timed on: of matmul one of the three products.

    Raises
    ------
    InputError
        No such product, or a batch size that is not positive.
    """
    if m < 1:
        raise InputError(f"the batch size must be a positive whole number; got {m}")
    if product not in PRODUCTS:
        raise InputError(f"unknown product {product!r}; the products are: {', '.join(PRODUCTS)}")
    found = list(works(name, m))
    return found[list(PRODUCTS).index(product)] if name == "matmul" else found[0]


def amount(work: Work) -> int:
    """Return what a rate counts: operations where they are the limit, else bytes that must be moved."""
    return work.flops if work.kernel in FLOPS else work.bytes


class Cpu:
    """Cores of this machine, as many as a kernel may use."""

    def __init__(self, workers: int) -> None:
        self.workers = workers

    def limits(self) -> limits.Limits:
        """Measure what they can do."""
        return limits.measure(self.workers, 1)

    def timer(self, function: Callable[..., Any], arguments: list[Any]) -> Timer:
        """Return what times a function."""
        return Timer(function, arguments)


class Gpu:
    """An NVIDIA GPU, whose limits are reckoned from what it says of itself.

    A multiprocessor does 128 multiply-adds a cycle (64 up to compute capability 8.0) and gets 64 bytes a cycle from the
    second-level cache; memory moves its bus's width twice a cycle.
    """

    workers = 1

    def __init__(self, backend: Any) -> None:
        self._backend, self._cuda = backend, backend.launcher.cupy.cuda

    def limits(self) -> limits.Limits:
        """Return multiply-adds, the second-level cache and memory."""
        device = self._cuda.Device()
        says = device.attributes
        cycles = says["MultiProcessorCount"] * says["ClockRate"] * 1e3  # of all multiprocessors, a second
        adds = 64 if int(device.compute_capability) <= 80 else 128
        memory = 2e3 * says["MemoryClockRate"] * says["GlobalMemoryBusWidth"] / 8
        return limits.Limits(1, 2.0 * adds * cycles, 64.0 * cycles, memory)

    def timer(self, function: Callable[..., Any], arguments: list[Any]) -> Timer:
        """Capture so many launches in a graph that the host's part of a launch does not count."""
        stream = self._cuda.Stream(non_blocking=True)
        with stream:
            device = [self._backend.asarray(x) if isinstance(x, np.ndarray) else x for x in arguments]
            function(*device)  # compiles
            graph = record(stream, lambda: [function(*device) for _ in range(LAUNCHES)])

        def launch(*kept: Any) -> None:
            with stream:
                graph.launch()

        return Timer(launch, device, stream.synchronize, LAUNCHES)  # which keeps the arrays; the graph does not


def cpu_for(language: str) -> Cpu:
    """Return the cores whose limit a language is held against: NumPy's BLAS may use them all."""
    from fastae.backends.numba_backend.workers import cores

    return Cpu(cores() if language == "numpy" else 1)


def climb(
    kernels: Sequence[tuple[str, Callable[..., Any]]],
    name: str,
    m: int,
    machine: Cpu | Gpu,
    product: str = "forward",
    rounds: int = 5,
    tell: Callable[[str], None] = lambda message: None,
) -> tuple[limits.Limits, list[Height]]:
    """Time versions of a kernel in turn.

    Parameters
    ----------
    kernels : sequence of (name, function)
        From the ground up.
    name : str
        The kernel of the contract.
    m : int
        Batch size.
    machine : Cpu or Gpu
        Where they run.
    product : {"forward", "backward", "update"}
        Of matmul.
    rounds : int
        In each, the limit is measured and every version once.
    tell : callable
        Called with a few words on what happens now.

    Returns
    -------
    limits : Limits
        Medians over the rounds.
    heights : list of Height
    """
    timed: list[tuple[Work, Timer]] = []
    for called, function in kernels:
        tell(f"{called}: first call")
        timed.append(_timer(function, name, m, product, machine))
    found: list[limits.Limits] = []
    seconds: list[list[float]] = [[] for _ in timed]
    for number in range(1, rounds + 1):
        tell(f"round {number} of {rounds}")
        found.append(machine.limits())
        for (_, timer), times in zip(timed, seconds):
            times.append(timer.segment())
    tell("")
    heights: list[Height] = []
    rates: list[list[float]] = []
    for (called, _), (work, _), times in zip(kernels, timed, seconds):
        rates.append([amount(work) / t for t in times])
        share = median(work.least(most) / t for most, t in zip(found, times))
        heights.append(Height(called, work.images, median(times), median(rates[-1]), share))
        if len(rates) > 1:
            heights[-1].gain = median(now / below for now, below in zip(rates[-1], rates[-2]))
    return limits.combined(found, median), heights


def _timer(function: Callable[..., Any], name: str, m: int, product: str, machine: Cpu | Gpu) -> tuple[Work, Timer]:
    """Time one image first, and as many more as there is patience for."""
    few = machine.timer(function, work_of(name, 1, product).arguments())
    most = max(1, int(ENOUGH / few.segment()))
    work = work_of(name, min(m, most), product)
    return work, machine.timer(function, work.arguments())


def rates(kernels: Sequence[tuple[Timed, str]], name: str, m: int, rounds: int) -> list[float]:
    """Time versions of a kernel in turn, on data that they have not seen; return their rates, as `Height` has them.

    Parameters
    ----------
    kernels : sequence of (worker, str)
        Who has each, and how it is called there.
    name : str
        The kernel of the contract.
    m : int
        Batch size; fewer images for what is very slow.
    rounds : int
    """
    timed: list[tuple[Work, fresh.Timer]] = []
    for kernel in kernels:
        one = work_of(name, 1)
        few = fresh.Timer(*kernel, name, one.given)
        work = work_of(name, min(m, max(1, int(ENOUGH / few.segment()))))
        timed.append((work, few if work == one else fresh.Timer(*kernel, name, work.given)))
    seconds: list[list[float]] = [[] for _ in timed]
    for _ in range(rounds):
        for (_, timer), times in zip(timed, seconds):
            times.append(timer.segment())
    return [amount(work) / median(times) for (work, _), times in zip(timed, seconds)]


@cache
def standing(name: str, language: str, m: int) -> tuple[tuple[Rung, float], ...]:
    """Return each rung with its rate, measured once in a process: where another kernel stands among them."""
    rungs = ladder(name, language)
    with Rungs(name, language) as worker:
        found = rates([(worker, str(rung.number)) for rung in rungs], rungs[0].kernel, m, rounds=3)
    return tuple(zip(rungs, found))


def place(name: str, language: str, m: int, rate: float) -> str:
    """Say between which rungs of its ladder a kernel of that rate stands.

    Parameters
    ----------
    name : str
        The kernel of the contract, of which there is a ladder.
    language : {"numpy", "numba"}
    m : int
        The batch size of its rate.
    rate : float
        As `Height` has it.
    """
    rungs = standing(name, language, m)
    told = [f"rung {rung.number} ({rung.name}, {_rate(name, height)})" for rung, height in rungs]
    return between(told, [height <= rate for _, height in rungs])


def _rate(name: str, rate: float) -> str:
    return f"{rate / 1e9:.3g} {'GFLOP/s' if name in FLOPS else 'GB/s'}"
