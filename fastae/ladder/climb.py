"""Time the rungs of a ladder in turn, and compare them with the machine's limit.

The limit of a CPU is measured in the same rounds; that of a GPU is computed from its properties.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from statistics import median
from typing import Any

import numpy as np

from fastae.backends.cupy_backend.launcher import record
from fastae.bench import limits
from fastae.check import fresh
from fastae.check.sandbox.process import Rungs, Workers
from fastae.check.speed import FLOPS, PRODUCTS, Timer, Work, works
from fastae.errors import InputError
from fastae.ladder.rungs import Rung, between, ladder

LAUNCHES = 20  # launches in a graph
ENOUGH = 0.3  # seconds that a call may take; a slower rung is timed on fewer images, since its rate is what counts


@dataclass
class Speed:
    """The speed of a rung, or of a kernel that is timed beside it.

    Attributes
    ----------
    name : str
        The rung's name.
    images : int
        The batch size that it was timed on.
    seconds : float
        Time of a call, the median over the rounds.
    rate : float
        Of a matrix product, operations per second; of other kernels, bytes per second, counting those that must be
        moved.
    share : float
        Rate divided by the limit, measured in the same rounds.
    gain : float or None
        Speed divided by that of the rung below, the median over the rounds; None for the first rung.
    """

    name: str
    images: int
    seconds: float
    rate: float
    share: float
    gain: float | None = None


def work_of(name: str, m: int, product: str = "forward") -> Work:
    """Return the arguments that a kernel is timed with.

    Parameters
    ----------
    name : str
        The kernel of the contract.
    m : int
        Batch size.
    product : {"forward", "backward", "update"}
        Which of the matrix products of a step; for matmul.

    Raises
    ------
    InputError
        There is no such product, or the batch size is not positive.
    """
    if m < 1:
        raise InputError(f"the batch size must be a positive whole number; got {m}")
    if product not in PRODUCTS:
        raise InputError(f"unknown product {product!r}; the products are: {', '.join(PRODUCTS)}")
    found = list(works(name, m))
    return found[list(PRODUCTS).index(product)] if name == "matmul" else found[0]


def amount(work: Work) -> int:
    """Return the amount that a rate refers to: operations of a matrix product, else bytes that must be moved."""
    return work.flops if work.kernel in FLOPS else work.bytes


class Cpu:
    """Some cores of this machine, as many as a kernel may use."""

    def __init__(self, workers: int) -> None:
        self.workers = workers

    def limits(self) -> limits.Limits:
        """Measure what the cores can do."""
        return limits.measure(self.workers, 1)

    def timer(self, function: Callable[..., Any], arguments: list[Any]) -> Timer:
        """Return a timer for a function with these arguments."""
        return Timer(function, arguments)


class Gpu:
    """An NVIDIA GPU, whose limits are computed from the properties that it reports.

    A multiprocessor does 128 multiply-adds per cycle (64 up to compute capability 8.0) and gets 64 bytes per cycle from
    the second-level cache. Memory transfers the width of its bus twice per cycle.
    """

    workers = 1

    def __init__(self, backend: Any) -> None:
        self._backend, self._cuda = backend, backend.launcher.cupy.cuda

    def limits(self) -> limits.Limits:
        """Return the limits of multiply-adds, of the second-level cache and of memory."""
        device = self._cuda.Device()
        says = device.attributes
        cycles = says["MultiProcessorCount"] * says["ClockRate"] * 1e3  # per second, of all multiprocessors
        adds = 64 if int(device.compute_capability) <= 80 else 128
        memory = 2e3 * says["MemoryClockRate"] * says["GlobalMemoryBusWidth"] / 8
        return limits.Limits(1, 2.0 * adds * cycles, 64.0 * cycles, memory)

    def timer(self, function: Callable[..., Any], arguments: list[Any]) -> Timer:
        """Return a timer of a graph with so many launches that the host's share of a launch is negligible."""
        stream = self._cuda.Stream(non_blocking=True)
        with stream:
            device = [self._backend.asarray(x) if isinstance(x, np.ndarray) else x for x in arguments]
            function(*device)  # compiles
            graph = record(stream, lambda: [function(*device) for _ in range(LAUNCHES)])

        def launch(*kept: Any) -> None:
            with stream:
                graph.launch()

        return Timer(launch, device, stream.synchronize, LAUNCHES)  # holds the arrays, which the graph does not


def cpu_for(language: str) -> Cpu:
    """Return the cores with whose limit a language is compared: all for NumPy, whose BLAS may use them, else one."""
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
) -> tuple[limits.Limits, list[Speed]]:
    """Time versions of a kernel in turn.

    Parameters
    ----------
    kernels : sequence of (name, function)
        The versions, slowest first.
    name : str
        The kernel of the contract.
    m : int
        Batch size.
    machine : Cpu or Gpu
        Where the kernels run.
    product : {"forward", "backward", "update"}
        Which of the matrix products; for matmul.
    rounds : int
        In each round the limit is measured, and every version once.
    tell : callable
        Called with a short message about the progress.

    Returns
    -------
    limits : Limits
        Medians over the rounds.
    speeds : list of Speed
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
    speeds: list[Speed] = []
    rates: list[list[float]] = []
    for (called, _), (work, _), times in zip(kernels, timed, seconds):
        rates.append([amount(work) / t for t in times])
        share = median(work.least(most) / t for most, t in zip(found, times))
        speeds.append(Speed(called, work.images, median(times), median(rates[-1]), share))
        if len(rates) > 1:
            speeds[-1].gain = median(now / below for now, below in zip(rates[-1], rates[-2]))
    return limits.combined(found, median), speeds


def _timer(function: Callable[..., Any], name: str, m: int, product: str, machine: Cpu | Gpu) -> tuple[Work, Timer]:
    """Return a timer for as many images, at most m, as take about `ENOUGH` seconds; time one image first."""
    few = machine.timer(function, work_of(name, 1, product).arguments())
    most = max(1, int(ENOUGH / few.segment()))
    work = work_of(name, min(m, most), product)
    return work, machine.timer(function, work.arguments())


def rates(kernels: Sequence[tuple[Workers, str]], name: str, m: int, rounds: int) -> list[float]:
    """Time versions of a kernel in worker processes in turn, each call on new data; return their rates.

    Parameters
    ----------
    kernels : sequence of (worker, str)
        The worker process that has the version, and the version's name there.
    name : str
        The kernel of the contract.
    m : int
        Batch size; a very slow version is timed on fewer images.
    rounds : int

    Returns
    -------
    list of float
        The median rate of each version, in the units of `Speed.rate`.
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
    """Return each rung of a ladder with its rate; measured once in a process."""
    rungs = ladder(name, language)
    with Rungs(name, language) as worker:
        found = rates([(worker, str(rung.number)) for rung in rungs], rungs[0].kernel, m, rounds=3)
    return tuple(zip(rungs, found))


def place(name: str, language: str, m: int, rate: float) -> str:
    """Return between which rungs of its ladder a kernel with a given rate is, in words.

    Parameters
    ----------
    name : str
        A kernel of the contract that has a ladder.
    language : {"numpy", "numba"}
    m : int
        The batch size that the kernel was timed on.
    rate : float
        In the units of `Speed.rate`.
    """
    rungs = standing(name, language, m)
    told = [f"rung {rung.number} ({rung.name}, {_rate(name, speed)})" for rung, speed in rungs]
    return between(told, [speed <= rate for _, speed in rungs])


def _rate(name: str, rate: float) -> str:
    return f"{rate / 1e9:.3g} {'GFLOP/s' if name in FLOPS else 'GB/s'}"
