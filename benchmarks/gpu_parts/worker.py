"""The process of one contender: prepares all batch sizes, then trains segments when it is told to.

It reads lines of JSON: a batch size to train a segment of. It answers each with a line: once ``{"ready": ...}``, then
``{"us": microseconds a step}``. What libraries print goes to standard error.
"""

import json
import os
import sys
import time
from typing import Any, TextIO

import numpy as np
from gpu_parts.contenders import CONTENDERS

import fastae
from fastae.bench.contenders.job import epoch_order

MOST_STEPS, SECONDS = 1000, 0.25  # of an epoch, and of a segment


def main() -> None:
    """Run as ``python -m gpu_parts.worker NAME REHEARSAL SIZES``."""
    name, rehearsal, sizes = sys.argv[1], bool(int(sys.argv[2])), json.loads(sys.argv[3])
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    try:
        serve(name, rehearsal, sizes, answers)
    except Exception as error:  # the race goes on without it
        first = (str(error).splitlines() or [""])[0]
        answers.write(json.dumps({"failed": f"{type(error).__name__}: {first}"}) + "\n")


def serve(name: str, rehearsal: bool, sizes: list[int], answers: TextIO) -> None:
    """Prepare, then answer until standard input ends."""
    images, _ = fastae.load_dataset()
    made: dict[int, tuple[Any, int]] = {}
    losses = {}
    for m in sizes:
        steps = 2 if rehearsal else min(MOST_STEPS, len(images) // m)
        part = np.ascontiguousarray(images[: steps * m])
        contender = CONTENDERS[name].make(part, m, rehearsal, CONTENDERS[name].tf32)
        losses[m] = contender.epoch(epoch_order(0, len(part))) / len(part)
        contender.epoch(epoch_order(1, len(part)))  # what the first one compiles may be compiled again
        made[m] = contender, len(part)
    answers.write(json.dumps({"ready": losses}) + "\n")
    for line in sys.stdin:
        contender, n = made[m := int(line)]
        order = epoch_order(2, n)
        began, done = time.perf_counter(), 0
        while done == 0 or time.perf_counter() - began < SECONDS:
            contender.epoch(order)  # which ends by reading the loss, so all of it is done
            done += n // m
        answers.write(json.dumps({"us": 1e6 * (time.perf_counter() - began) / done}) + "\n")


if __name__ == "__main__":
    main()
