"""What a step of several ranks consists of, each part measured on its own: the constants of the model in docs/ranks.md.

``mpiexec -n 2 python -m benchmarks.ranks_costs`` prints them as JSON. No step is timed: with these constants the model
predicts the times that ``fastae bench --ranks`` measures.
"""

import itertools
import json
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np

import fastae
from fastae.bench.contenders.job import network, rate
from fastae.ranks import join
from fastae.ranks.sums import add_tree

SHARES = (12, 40, 96, 192, 400)  # images of a rank; other ones than those of the table that is predicted
SECONDS = 0.8  # that one measurement takes about
COPIES = 16  # of each buffer, one after another: in a step they have left the cache of the core by the next use


def several(call: Callable[[], Any], least: int = 20) -> list[float]:
    """Return the seconds of each of many calls."""
    call()
    times: list[float] = []
    while len(times) < least or sum(times) < SECONDS:
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return times


def together(world: Any, call: Callable[[], Any], count: int = 2000) -> float:
    """Return the median seconds of a call that all ranks make as often, for they wait for each other in it."""
    times = []
    for _ in range(count):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return median(times)


def exchange(world: Any, count: int) -> Callable[[], None]:
    """Return a call in which each of two ranks sends the other so many floats and receives as many, as in a step."""
    sent, received = (itertools.cycle(np.zeros((COPIES, 2 * count), np.float32)) for _ in range(2))
    halves = ([count, count], [0, count])

    def call() -> None:
        world.wait(world.comm.Ialltoallv([next(sent), halves], [next(received), halves]))

    return call


def memory(session: Any) -> list[float]:
    """Return the times of the sum of two ranks' chunks and of the addition of an update to the parameters."""
    size = session.layout.size
    chunks = itertools.cycle(np.zeros((COPIES, 2, size // 2), np.float32))
    updates = itertools.cycle(np.zeros((COPIES, size), np.float32))
    out, parameters = np.zeros(size // 2, np.float32), np.zeros(size, np.float32)

    def call() -> None:
        nonlocal parameters
        add_tree(list(next(chunks)), out)
        np.multiply(out, -0.05, out=out)
        parameters += next(updates)

    return several(call)


def gradients(world: Any, images: np.ndarray, share: int) -> list[float]:
    """Return the times of this rank's gradients of so many images, while the other rank computes its own.

    Between two gradients, untimed, a rank reads what it would sum and adds to the parameters, so that the caches hold
    what they hold in a step. No rank waits for the other.
    """
    optimizer = fastae.SGD(rate("mse", "dense"))
    trainer: Any = fastae.Trainer(
        network("dense"), optimizer=optimizer, batch_size=share * world.size, threads=1, ranks=world
    )
    session = trainer.session(images)
    order = np.random.default_rng(0).permutation(len(images))
    (part,), nothing = session.own_parts, np.zeros(session.layout.size, np.float32)
    out = np.zeros_like(session.sum.parts[0])
    world.barrier(60)
    times: list[float] = []
    while len(times) < 20 or sum(times) < SECONDS:
        session.start(order)
        for _ in range(min(100, len(images) // session.batch_size)):
            began = time.perf_counter()
            session.gradient(part, False, 0)
            times.append(time.perf_counter() - began)
            add_tree(session.sum.parts, out)
            session.add_update(nothing)
    time.sleep(0.2)  # until the other rank has ended too
    return times[5:]


def main() -> None:
    world: Any = join("mpi")
    (images,) = world.read_once(lambda: fastae.load_dataset()[:1], fastae.__file__)
    found: dict[str, Any] = {"ranks": world.size, "meeting_us": 1e6 * together(world, world.barrier)}
    trainer: Any = fastae.Trainer(network("dense"), optimizer=fastae.SGD(0.05), batch_size=64, threads=1, ranks=world)
    session = trainer.session(images)
    found["gradient_bytes"] = size = session.layout.size * 4
    found["latency_us"] = 1e6 * together(world, exchange(world, 2))  # of one of the two collectives of a step
    whole = together(world, exchange(world, size // 8))
    found["gigabytes_a_second"] = size / 2 / (whole - found["latency_us"] / 1e6) / 1e9
    found["memory_us"] = 1e6 * median(memory(session))
    points = []
    for share in SHARES:
        both = world.all_gather(gradients(world, images, share))
        count = min(map(len, both))
        times = np.array([theirs[:count] for theirs in both])
        slowest = np.sort(times, axis=0)[-1]  # the ranks' steps are independent of each other, as their orders are
        points.append((share, float(np.median(times)), float(slowest.mean() / times.mean() - 1)))
    shares, seconds, waits = map(np.array, zip(*points))
    # Of relative errors the least: the smallest share counts as much as the largest.
    line = np.linalg.lstsq(np.stack([1 / seconds, shares / seconds], 1), np.ones(len(shares)), rcond=None)[0]
    found |= {"fixed_us": 1e6 * line[0], "image_us": 1e6 * line[1], "wait_share": float(np.mean(waits))}
    found["gradients_us"] = {int(share): round(1e6 * t, 1) for share, t, _ in points}
    found["waits"] = [round(wait, 4) for wait in waits.tolist()]
    if world.rank == 0:
        print(json.dumps({k: round(v, 3) if isinstance(v, float) else v for k, v in found.items()}, indent=1))


if __name__ == "__main__":
    main()
