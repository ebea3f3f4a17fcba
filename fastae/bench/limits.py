"""Measure this machine's limits: multiply-adds per second, and bytes per second from the cache and from memory."""

import threading
import time
from collections.abc import Callable, Sequence
from functools import cache
from statistics import median
from typing import Any, NamedTuple

import numpy as np

NEAR = 256 * 1024  # bytes: more than a core's first-level cache holds, less than the second-level cache
FAR = 96 * 1024 * 1024  # bytes for each worker: more than most caches hold
CHAINS = 12  # independent multiply-adds: a core starts two per cycle, each takes about five cycles, and some to spare
MOMENT = 0.02  # seconds of a measurement


class Limits(NamedTuple):
    """What a number of workers can do together.

    Attributes
    ----------
    workers : int
    flops : float
        Floating-point operations per second in float32 with the widest vectors; a multiply-add counts as two.
    near, far : float
        Bytes per second read from the second-level cache, and from memory.
    """

    workers: int
    flops: float
    near: float
    far: float


@cache
def loops() -> tuple[Any, Any, int]:
    """Compile ``multiply_add(times, seeds)`` and ``read(times, array, sums)``; return them and a vector's width."""
    from fastae.backends.numba_backend import elementwise
    from fastae.backends.numba_backend.internals import intrinsic, types
    from fastae.backends.numba_backend.jit import jit
    from fastae.backends.numba_backend.machine import MACHINE
    from fastae.backends.numba_backend.simd import Array, Vector, index, loop

    @intrinsic
    def chains(typing_context: Any, times: Any, seeds: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            v, SEEDS = Vector(builder, types.float32), Array(context, builder, signature.args[1], arguments[1])
            start = [v.load(SEEDS.at(index(0), index(i * v.lanes))) for i in range(CHAINS)]
            factor, term = start[0], start[1]  # not constants, which LLVM might multiply out
            sums = loop(
                builder, index(0), arguments[0], 1, start, lambda i, sums: [v.fma(s, factor, term) for s in sums]
            )
            for i, total in enumerate(sums):
                v.store(total, SEEDS.at(index(0), index(i * v.lanes)))
            return context.get_dummy_value()

        return types.void(types.intp, seeds), generate

    real = types.Array(types.float32, 1, "C")

    @jit(name="bench_multiply_add", signatures=[types.void(types.intp, real)])
    def multiply_add(times, seeds):  # type: ignore[no-untyped-def]
        chains(times, seeds)

    @jit(name="bench_read", signatures=[types.void(types.intp, types.Array(types.float32, 2, "C"), real)])
    def read(times, array, sums):  # type: ignore[no-untyped-def]
        for _ in range(times):
            elementwise.COLUMN_SUM(array, sums, 1.0, 1.0)

    return multiply_add, read, MACHINE.vector_bytes // 4


def together(work: Callable[[int, int], None], workers: int) -> float:
    """Return how many times per second all workers together do the work of ``work(worker, 1)``."""

    def seconds(times: int) -> float:
        gate = threading.Barrier(workers)
        took = [0.0] * workers

        def run(worker: int) -> None:
            gate.wait()
            began = time.perf_counter()
            work(worker, times)
            took[worker] = time.perf_counter() - began

        threads = [threading.Thread(target=run, args=(worker,)) for worker in range(1, workers)]
        for thread in threads:
            thread.start()
        run(0)
        for thread in threads:
            thread.join()
        return max(took)

    times = 1
    while (took := seconds(times)) < MOMENT / 4:
        times *= 4
    times = max(1, round(times * MOMENT / took))
    return times * workers / seconds(times)


def combined(found: Sequence[Limits], how: Callable[[Sequence[float]], float]) -> Limits:
    """Combine several measurements with the same number of workers, each figure by ``how``, such as the median."""
    return Limits(found[0].workers, *(how(values) for values in zip(*(limits[1:] for limits in found))))


def measure(workers: int, rounds: int = 3, size: int = NEAR) -> Limits:
    """Measure what a number of workers can do together.

    Parameters
    ----------
    workers : int
    rounds : int
        The result is the median over the rounds.
    size : int
        Bytes that each worker reads for the near bandwidth; by default so many that they fit in the second-level cache.

    Returns
    -------
    Limits
    """
    from fastae.backends.numba_backend.session import aligned

    multiply_add, read, lanes = loops()
    seeds = [aligned((CHAINS * lanes,), np.float32) for _ in range(workers)]
    sums = [aligned((64,), np.float32) for _ in range(workers)]
    found: dict[str, list[float]] = {"flops": [], "near": [], "far": []}
    near = [np.ones((size // 256, 64), np.float32) for _ in range(workers)]
    far = [
        np.ones((FAR // 256, 64), np.float32) for _ in range(workers)
    ]  # not zeros, for which the system may use one page of memory

    for _ in range(rounds):
        for seed in seeds:
            seed[:] = np.linspace(0.1, 0.9, seed.size)
        found["flops"].append(
            2 * CHAINS * lanes * 1000 * together(lambda w, times: multiply_add(1000 * times, seeds[w]), workers)
        )
        found["near"].append(size * together(lambda w, times: read(times, near[w], sums[w]), workers))
        found["far"].append(FAR * together(lambda w, times: read(times, far[w], sums[w]), workers))
    return Limits(workers, **{name: median(values) for name, values in found.items()})
