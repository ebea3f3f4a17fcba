"""Time one contender at each batch size in turn, and report each result at once."""

import time
from importlib.util import find_spec

import numpy as np
from gpu_parts.contenders import CONTENDERS, Contender, cudagraph_skips
from gpu_parts.findings import Findings

import fastae
from fastae.bench.contenders.job import STEPS_A_GRAPH, epoch_order
from fastae.errors import InputError

FIRST, REST = (16, 128, 1024), (1, 32, 64, 256, 512)  # batch sizes: those of the targets, and the others
SIZES = {"all": FIRST + REST, "first": FIRST, "again": FIRST, "slow": (128, 1024, 16)}
MOST_STEPS, ROUNDS, SECONDS = 1000, 5, 0.1  # of an epoch; segments that are timed, and of one
FINE = 1 + 2.0**-12  # which TF32 takes for 1


def run(findings: Findings, rehearse: bool, name: str, which: str) -> None:
    """Time one contender at the first batch sizes, or at all; ``"again"`` is the first once more.

    ``"slow"`` is the first too, in the order of what there is to be learned, for it may not get to the last.
    """
    contender = CONTENDERS[name]
    library = name.split()[0].strip(",").lower().replace("pytorch", "torch")
    if library != "fastae" and find_spec(library) is None:
        findings.could_not(name, f"{library} is not installed")
        return
    images, _ = fastae.load_dataset()
    sizes = (16,) if rehearse else SIZES[which]
    for m in sizes:
        steps = 2 if rehearse else whole_graphs(len(images), m)
        part = np.ascontiguousarray(images[: steps * m])
        made = contender.make(part, m, rehearse)
        if m == sizes[0] and contender.precision == "float32":  # and the library has been told
            _precise(findings, name, contender, rehearse)
        loss = made.epoch(epoch_order(0, len(part))) / len(part)
        made.epoch(epoch_order(1, len(part)))  # what the first one compiles may be compiled again
        rounds, order = [], epoch_order(2, len(part))
        for _ in range(2 if rehearse else ROUNDS):
            began, done = time.perf_counter(), 0
            while done == 0 or (time.perf_counter() - began < SECONDS and not rehearse):
                made.epoch(order)  # which ends by reading the loss: all of it is done
                done += len(order) // m
            rounds.append(1e6 * (time.perf_counter() - began) / done)
        told = {
            "contender": name,
            "kind_of": contender.kind,
            "precision": contender.precision,
            "again": which == "again",
        }
        findings.add("step", **told, batch=m, steps=steps, us=float(np.median(rounds)), rounds=rounds, loss=loss)
        del made
    if contender.kind == "graphs" and library == "torch" and "compile" in name and not rehearse:
        skips = cudagraph_skips()
        findings.check(f"{name}: in CUDA graphs", skips == 0, f"the compiler did without them {skips} times")


def whole_graphs(n: int, m: int) -> int:
    """Return the steps of an epoch on some of n images: whole graphs, so that no rest is launched step by step."""
    steps = min(MOST_STEPS, n // m) // STEPS_A_GRAPH * STEPS_A_GRAPH
    if not steps:
        raise InputError(f"{n} images are fewer than the {STEPS_A_GRAPH} batches of {m} of a graph")
    return steps


def _precise(findings: Findings, name: str, contender: Contender, rehearse: bool) -> None:
    """Multiply numbers that TF32 would round, and return the precision, which the relative error shows."""
    a, b = (np.full(shape, FINE, np.float32) for shape in ((128, 784), (784, 256)))
    error = float(np.abs(contender.product(a, b, rehearse) / (784 * FINE**2) - 1).max())
    findings.check(f"{name}: products in float32", error < 1e-4, f"relative error {error:.1e}; TF32's would be 4.9e-04")
