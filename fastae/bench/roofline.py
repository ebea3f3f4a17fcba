"""Each kernel of the Numba backend on one core, and the whole step on all, against what the machine can do.

A kernel that moves b bytes and does f operations takes at least max(f / FLOP rate, b / bandwidth). Plotted against the
arithmetic intensity f / b, the highest possible rate looks like a roof. (Williams, Waterman and Patterson, Roofline: an
insightful visual performance model, Communications of the ACM 52(4), 2009.)
"""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import numpy as np

from fastae.backends.contract import EMPTY, KERNELS
from fastae.bench.contenders.job import network
from fastae.bench.limits import MOMENT, Limits, combined, measure

LAYERS = network("dense").shapes()


@dataclass
class Measured:
    """A kernel, or an operation of a layer, measured at one shape.

    Attributes
    ----------
    name : str
        Its role in the step, and the shape.
    flops, bytes : int
        As the contract counts them; for a layer as `fastae.bench.operations` does.
    seconds : float
        Time of a call on one core, the median over the rounds.
    share : float
        Share of the roof's rate, measured in the same round; the median over the rounds.
    """

    name: str
    flops: int
    bytes: int
    seconds: float
    share: float

    @property
    def intensity(self) -> float:
        """Operations per byte."""
        return self.flops / self.bytes

    @property
    def rate(self) -> float:
        """Operations per second."""
        return self.flops / self.seconds

    def as_dict(self) -> dict[str, Any]:
        """Return the entry for ``bench.json``."""
        return {**asdict(self), "flop/s": self.rate, "flop/byte": self.intensity}


def cases(m: int) -> Iterator[tuple[str, str, dict[str, int], dict[str, Any]]]:
    """Yield (name, kernel, lengths by the contract's letters, numbers among its arguments) for batches of m."""
    for inputs, outputs in LAYERS:
        shape = f"{inputs} to {outputs}"
        yield f"forward {shape}", "matmul", {"m": m, "k": inputs, "n": outputs}, {}
        update = {
            "trans_a": True,
            "alpha": -1e-9,
            "beta": 1.0,
        }  # so small that repeated updates hardly change the weights
        yield f"update {shape}", "matmul", {"m": inputs, "k": m, "n": outputs}, update
        if inputs != LAYERS[0][0]:
            yield f"backward {shape}", "matmul", {"m": m, "k": outputs, "n": inputs}, {"trans_b": True}
    pixels = {"m": m, "n": LAYERS[0][0]}
    for kernel in ("bias_sigmoid", "mse_gradient", "bce_gradient", "mse_loss", "bce_loss", "column_sum", "gather"):
        yield f"{kernel} {pixels['n']}", kernel, pixels, {}
    hidden = LAYERS[0][1]
    yield f"sigmoid_gradient {hidden}", "sigmoid_gradient", {"m": m, "n": hidden}, {}


def convolutional_cases(m: int) -> Iterator[tuple[str, str, dict[str, int], dict[str, Any]]]:
    """Yield the same for the kernels of the contract that only networks with convolutions, tanh or relu use."""
    convolutions = [layer for layer in network("conv").layers if layer.kind == "conv"]
    for layer in convolutions:
        numbers, columns = layer.shape
        images = {"m": m, "n": layer.inputs, "p": m * layer.patches, "q": numbers}
        geometry = layer.geometry._asdict()
        yield f"convolve {layer.inputs}", "convolve", {**images, "c": columns}, geometry
        yield f"unfold {layer.inputs}", "unfold", images, geometry
        yield f"fold {layer.inputs}", "fold", images, geometry
    layer = convolutions[0]
    pixels = {"m": m * layer.patches, "n": layer.channels}
    for kernel in ("bias_tanh", "tanh_gradient", "bias_relu", "relu_gradient"):
        yield f"{kernel} {layer.outputs}", kernel, pixels, {}


def prepared(kernel: str, lengths: dict[str, int], numbers: dict[str, Any]) -> Callable[[int], None]:
    """Make a kernel's arguments; return ``run(times)``, which calls the kernel so many times."""
    from fastae.backends.numba_backend import kernels as kernel_functions
    from fastae.backends.numba_backend.session import aligned
    from fastae.bench.operations import repeating

    generator = np.random.default_rng(0)
    images = 4 * lengths["m"]
    letters = {**lengths, "1": 1, "N": images, "o": images}
    arguments: dict[str, Any] = {"scale": 0.1, "offset": 0}
    defaults = KERNELS[kernel].arguments
    arguments |= {argument: default for argument, default in defaults.items() if default is not EMPTY}
    arguments |= numbers
    for argument, axes in KERNELS[kernel].shapes.items():
        shape = tuple(letters[letter] for letter in axes)
        if argument == "order":
            arguments[argument] = generator.permutation(images)
        elif argument == "cursor":
            arguments[argument] = np.zeros(1, np.int64)
        elif argument == "images":
            arguments[argument] = generator.integers(256, size=shape, dtype=np.uint8)
        else:
            shape = shape[::-1] if arguments.get(f"trans_{argument}") else shape
            dtype = np.float64 if axes == ("m",) else np.float32
            # Rows of patches are too narrow for each to start at a cache line.
            array = aligned((math.prod(shape),), dtype).reshape(shape) if "kernel" in numbers else aligned(shape, dtype)
            array[:] = generator.uniform(0.1, 0.9, shape)
            arguments[argument] = array
    given = tuple(arguments[argument] for argument in defaults)
    repeat = repeating(kernel, getattr(kernel_functions, kernel))
    return lambda times: repeat(times, given)


def all_runs(m: int, model: str) -> Iterator[tuple[str, Callable[[int], None], int, int]]:
    """Yield ``(name, run, operations, bytes)`` for everything that is measured of a model; see `prepared`."""
    if model == "dense":
        found = cases(m)
    else:
        from fastae.bench.operations import operations

        yield from operations(m, model)
        found = convolutional_cases(m)
    for name, kernel, lengths, numbers in found:
        row = KERNELS[kernel]
        yield name, prepared(kernel, lengths, numbers), row.flops(**lengths), row.bytes(s=4, **lengths)


def kernels(
    m: int, rounds: int, tell: Callable[[str], None] = lambda message: None, model: str = "dense"
) -> tuple[Limits, list[Measured]]:
    """Measure the limits of one core, and each kernel compared with them.

    Parameters
    ----------
    m : int
        Batch size.
    rounds : int
        Each round measures the limits and then every kernel once.
    tell : callable
        Called with a short message about the progress.
    model : {"dense", "conv"}

    Returns
    -------
    limits : Limits
        Medians over the rounds.
    measured : list of Measured
    """
    tell("compiling the kernels")
    runs: dict[str, tuple[Callable[[int], None], int, int, int]] = {}
    for name, run, flops, moved in all_runs(m, model):
        run(1)
        times = 1
        while (took := clock(run, times)) < MOMENT / 4:
            times *= 4
        runs[name] = run, max(1, round(times * MOMENT / took)), flops, moved
    found: list[Limits] = []
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    shares: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(1, rounds + 1):
        tell(f"kernels, round {number} of {rounds}")
        found.append(limits := measure(1, 1))
        for name, (run, times, flops, moved) in runs.items():
            took = clock(run, times) / times
            seconds[name].append(took)
            shares[name].append(max(flops / limits.flops, moved / limits.near) / took)
    measured = [
        Measured(name, flops, moved, median(seconds[name]), median(shares[name]))
        for name, (_, _, flops, moved) in runs.items()
    ]
    return combined(found, median), measured


def clock(run: Callable[[int], None], times: int) -> float:
    """Return the seconds that ``run(times)`` takes."""
    began = time.perf_counter()
    run(times)
    return time.perf_counter() - began


def multiplications(m: int, model: str = "dense") -> int:
    """Return the multiply-adds of a step on m images if none is skipped; the first layer has no input gradient."""
    layers = network(model).layers
    return m * (3 * sum(layer.multiplications for layer in layers) - layers[0].multiplications)


def multiplications_done(batch: np.ndarray) -> int:
    """Return how many of them the Numba backend computes for a batch of images, uint8 (m, pixels).

    The forward product skips pixels that are dark in all images of a tile; the update skips images in which all pixels
    of a tile are dark.
    """
    from fastae.backends.numba_backend.sparse import ROWS

    m, pixels = batch.shape
    lit, outputs = batch != 0, LAYERS[0][1]

    def summed(rows: np.ndarray) -> int:
        whole = len(rows) // ROWS * ROWS
        tiles = rows[:whole].reshape(-1, ROWS, rows.shape[1]).any(axis=1)
        return int(ROWS * tiles.sum() + rows[whole:].sum())

    forward, update = summed(lit), summed(lit.T) if m > 1 else int(lit.sum())
    return multiplications(m) - outputs * (2 * m * pixels - forward - update)
