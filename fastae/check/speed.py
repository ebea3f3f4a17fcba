"""How fast a right kernel is: on the model's shapes, beside what the machine could do, measured in the same run.

The limit of a kernel is the roofline's: its operations at the rate of multiply-adds, or its bytes at that of reading
from where they lie, whichever takes longer. (Williams, Waterman and Patterson, Roofline, CACM 2009.)
"""

import time
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from fastae.backends.base import Backend
from fastae.backends.contract import KERNELS
from fastae.bench import limits
from fastae.check import cases

BATCHES = (16, 128)
MOMENT, SEGMENTS = 0.02, 7  # seconds of a segment, and how many: their median is told
NEAR_BYTES = 16 << 20  # what is larger stays in no cache between calls
TOO_FAST = {True: 1.25, False: 8.0}  # of the limit in multiply-adds; of that in bytes, since nearer caches are faster
PRODUCTS = (("forward", False, False), ("backward", False, True), ("update", True, False))
LAYER = (784, 256)  # inputs and outputs of the largest layer


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


def measure(k: Backend, name: str, machine: limits.Limits) -> list[Speed]:
    """Time a kernel of the backend on the shapes that the step has.

    Parameters
    ----------
    k : Backend
    name : str
    machine : Limits
        Of as many workers as the kernel may use.
    """
    found = []
    for m in BATCHES if name != "advance" else ():
        for shape, given in _shapes(name, m):
            arguments = cases.make(name, "float32", m, **given)
            device = [k.asarray(x) if isinstance(x, np.ndarray) else x for x in arguments.values()]
            seconds = _seconds(getattr(k, "plain", {}).get(name, getattr(k, name)), device)
            lengths = {"size": given["..."]} if name == "axpy" else {key: given[key] for key in "mnk" if key in given}
            flops, moved = KERNELS[name].flops(**lengths), KERNELS[name].bytes(s=4, **lengths)
            bandwidth = machine.near if moved <= NEAR_BYTES else machine.far
            least = max(flops / machine.flops, moved / bandwidth)
            found.append(Speed(shape, seconds, flops / seconds, moved / seconds, least / seconds))
    return found


def _shapes(name: str, m: int) -> list[tuple[str, dict[str, Any]]]:
    inputs, outputs = LAYER
    if name == "matmul":
        lengths = {"forward": (m, inputs, outputs), "backward": (m, outputs, inputs), "update": (inputs, m, outputs)}
        return [
            (f"{what}, batch {m}", dict(zip("mkn", lengths[what])) | {"trans_a": trans_a, "trans_b": trans_b})
            for what, trans_a, trans_b in PRODUCTS
        ]
    if name == "axpy":
        return [(f"{inputs} x {outputs}", {"...": inputs * outputs, "alpha": -0.25})] if m == BATCHES[0] else []
    return [(f"{m} x {inputs}", {"m": m, "n": inputs})]


def _seconds(function: Any, arguments: list[Any]) -> float:
    function(*arguments)
    times: list[float] = []
    repeat = 1
    while len(times) < SEGMENTS:
        began = time.perf_counter()
        for _ in range(repeat):
            function(*arguments)
        took = time.perf_counter() - began
        if took < MOMENT / 2 and repeat < 1 << 20:
            repeat = max(repeat + 1, min(1 << 20, int(repeat * MOMENT / max(took, 1e-7))))
            continue
        times.append(took / repeat)
    return median(times)


def too_fast(name: str, speeds: list[Speed]) -> str:
    """Say so if a kernel takes less time than the machine needs for its work; else return nothing."""
    for speed in speeds:
        most = TOO_FAST[name == "matmul"]
        if speed.share > most:
            return (
                f"{speed.shape}: {speed.seconds * 1e6:.3g} µs a call is {speed.share:.1f} times as fast as this "
                "machine can do that work: an answer is kept, or the work is not done"
            )
    return ""
