"""The process of one contender: it trains a segment for each line on standard input, and sleeps in between.

It answers with one line of JSON each: first that it is ready, or ``{"error": ...}``, after which it ends; then the
times of each segment. It ends when its input ends. A contender of several ranks runs in all of them, and rank 0 reads
and writes.
"""

import argparse
import itertools
import json
import math
import os
import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

import fastae
from fastae.bench.contenders import make
from fastae.bench.contenders.job import epoch_order
from fastae.errors import Diverged, FastaeError, InputError
from fastae.ranks import Alone, join

PAUSE = 0.3  # seconds after each segment: OpenMP's threads may spin for 0.2 s before they sleep
LEAST_STEPS = 20  # steps of the shortest segment
ALONE = Alone()
NAP = 0.01  # seconds between two checks of a waiting rank


def segments(n: int, batch_size: int, parts: int) -> Iterator[np.ndarray]:
    """Yield the orders of successive epochs, each split into equal parts of whole batches."""
    length = n // batch_size // parts * batch_size
    for epoch in itertools.count():
        order = epoch_order(epoch, n)
        for part in range(parts):
            yield order[part * length : (part + 1) * length]


def train(contender: Any, orders: Iterator[np.ndarray], world: Alone) -> tuple[float, float]:
    """Train on the next part, including the shuffle if it begins an epoch; return the seconds and the losses' sum."""
    world.barrier()
    began = time.perf_counter()
    loss = contender.epoch(next(orders))
    return max(world.all_gather(time.perf_counter() - began)), loss


def choose_parts(contender: Any, order: np.ndarray, batch_size: int, seconds: float, world: Alone = ALONE) -> int:
    """Return the number of parts of an epoch, so that a part takes about ``seconds`` and at least `LEAST_STEPS`."""
    most = len(order) // batch_size
    steps = LEAST_STEPS
    while True:
        # The shortest of three: the first may compile for this length, and other programs may disturb one.
        took = min(train(contender, iter([order[: steps * batch_size]]), world)[0] for _ in range(3))
        if took > seconds / 10 or steps == most:
            break
        steps = min(4 * steps, most)
    return max(1, min(round(most * took / steps / seconds), most // LEAST_STEPS))


def calls(world: Any) -> Iterator[None]:
    """Yield on every rank for each line of rank 0's standard input; waiting ranks sleep, because others train."""
    go = np.ones(1, np.int64)
    while True:
        if world.rank == 0:
            go[0] = bool(sys.stdin.readline())
        if world.size > 1:
            told = world.comm.Ibcast(go)
            while not told.Test():
                time.sleep(NAP)
        if not go[0]:
            return
        yield


def serve(arguments: argparse.Namespace, world: Alone, say: Any) -> None:
    """Build the contender, warm it up, and train a segment for each line of standard input.

    Raises
    ------
    InputError
        The number of ranks is not the one that was asked for, or the contender does not exist.
    Diverged
        The loss became NaN or infinite.
    """
    if world.size != arguments.ranks:
        raise InputError(f"of {arguments.ranks} ranks each is alone: mpiexec belongs to another MPI than mpi4py's")
    batch_size = arguments.batch_size
    images, _ = fastae.load_dataset()
    contender = make(arguments.name, images, batch_size, arguments.loss, arguments.threads, arguments.model)
    order = epoch_order(0, len(images))[: len(images) // batch_size * batch_size]
    beginning = order[: LEAST_STEPS * batch_size]
    first_loss = contender.epoch(beginning) / len(beginning)  # from the initial weights: the same for all contenders
    stream = segments(len(images), batch_size, choose_parts(contender, order, batch_size, arguments.seconds, world))
    warm_up = next(stream)
    steps = len(warm_up) // batch_size
    contender.epoch(warm_up)
    time.sleep(PAUSE)
    say({"ready": {"first_loss": first_loss, "threads": contender.threads, "steps": steps}})

    asleep, cpu_asleep = time.perf_counter(), time.process_time()
    for _ in calls(world):
        began, cpu_began = time.perf_counter(), time.process_time()
        idle = max(world.all_gather((cpu_began - cpu_asleep) / (began - asleep)))  # in cores, since the last answer
        seconds, loss = train(contender, stream, world)
        cpu = time.process_time() - cpu_began
        if not math.isfinite(loss):
            raise Diverged(f"{arguments.name}: the loss became NaN or infinite")
        time.sleep(PAUSE)
        asleep, cpu_asleep = time.perf_counter(), time.process_time()
        answer = {"seconds": seconds, "cpu_seconds": cpu, "loss": loss / (steps * batch_size), "idle_cores": idle}
        say({**answer, **getattr(contender, "spent", {})})


def main() -> int:
    """Run one contender with the arguments that `fastae.bench.harness.Worker` passes; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name")
    parser.add_argument("--batch-size", type=int, required=True)
    parser.add_argument("--loss", required=True)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--model", default="dense")
    parser.add_argument("--ranks", type=int, default=1, help="how many of this process mpiexec has started")
    parser.add_argument("--seconds", type=float, required=True, help="about how long a segment should take")
    arguments = parser.parse_args()
    answers = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)  # so that what a library prints is not read as an answer
    world = ALONE

    def say(answer: dict[str, Any]) -> None:
        if world.rank == 0:
            print(json.dumps(answer), file=answers)

    try:
        world = join()
        serve(arguments, world, say)
    except FastaeError as error:
        say({"error": str(error)})
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
