"""What the workers of a team have of each layer of a network with convolutions, made once."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastae.backends.numba_backend import tables
from fastae.backends.numba_backend.convolutions import Local
from fastae.backends.numba_backend.machine import MACHINE
from fastae.layers import Layer
from fastae.operations import NUMBERS

LINE = 16  # floats; no two workers write to one line of a cache


def locals_of(
    layers: Sequence[Layer], cuts: list[list[slice]], deltas: Sequence[Any], dtype: np.dtype[Any], workers: int
) -> list[tuple[Local, ...]]:
    """Make them.

    Parameters
    ----------
    layers : sequence of Layer
    cuts : list
        The units that each worker owns of the input, which are the last layer's, and of each layer's output.
    deltas : sequence of ndarray
        Of each layer, everybody's; None of a dense one.
    dtype : dtype
    workers : int
    """
    from fastae.backends.numba_backend.session import aligned

    made: list[list[Local]] = [[] for _ in range(workers)]
    for l, layer in enumerate(layers):
        said = -(-(math.prod(layer.shape) + layer.channels) // LINE) * LINE if layer.shared else 0
        shared = aligned((workers * said,), dtype).reshape(workers, said)
        for worker, mine in enumerate(made):
            below, own = cuts[l][worker], cuts[l + 1][worker]
            floats, lists = aligned((0,), dtype), np.zeros(0, np.int64)
            if layer.shared:
                units, turned = own.stop - own.start, 0 if few(layer, dtype) else math.prod(layer.shape)
                floats = aligned((2 * units + turned,), dtype)
                lists = lists_of(layer, below if l else slice(0), own, dtype)
            mine.append(
                Local(NUMBERS[layer.kind], below.start, deltas[l] if layer.shared else shared, shared, floats, lists)
            )
    return [tuple(mine) for mine in made]


def few(layer: Layer, dtype: np.dtype[Any]) -> bool:
    """Tell whether the image has so few channels that vectors should lie along the sum on the way up to it."""
    return channels_of(layer) < MACHINE.vector_bytes // dtype.itemsize // 2


def channels_of(layer: Layer) -> int:
    """Return the channels of the image, which a convolution reads and a transposed one writes."""
    return layer.shape[0] // layer.geometry.kernel**2


def lists_of(layer: Layer, below: slice, own: slice, dtype: np.dtype[Any]) -> np.ndarray:
    """Return a worker's lists, as ``convolutions.list_of`` finds them."""
    g, behind, channels = layer.geometry, layer.shape[1], channels_of(layer)
    conv = layer.kind == "conv"
    outputs, inputs = pixels(own, behind if conv else channels), pixels(below, channels if conv else behind)
    patches, image = (outputs, inputs) if conv else (inputs, outputs)
    lists = [
        [channels, own.stop - own.start],
        *tables.down(g, channels, patches),
        *tables.up(g, behind, channels if few(layer, dtype) else behind, image),
        *tables.gradient(g, channels, behind, outputs if conv else None, None if conv else outputs),
    ]
    flat = [np.asarray(numbers, np.int64).ravel() for numbers in lists]
    starts = np.cumsum([len(lists) + 1, *(len(numbers) for numbers in flat)])
    return np.concatenate([starts, *flat])


def pixels(units: slice, channels: int) -> range:
    """Return the pixels whose channels are those units."""
    return range((units.start or 0) // channels, units.stop // channels)
