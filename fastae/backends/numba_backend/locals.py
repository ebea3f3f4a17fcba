"""The workers' data of each layer of a network with convolutions, made once per session."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastae.backends.numba_backend import tables
from fastae.backends.numba_backend.aligned import aligned
from fastae.backends.numba_backend.convolutions import Local
from fastae.backends.numba_backend.machine import MACHINE
from fastae.layers import Layer
from fastae.operations import NUMBERS

LINE_FLOATS = 16  # floats in a cache line; no two workers write to the same line


def locals_of(
    layers: Sequence[Layer], cuts: list[list[slice]], deltas: Sequence[Any], dtype: np.dtype[Any], workers: int
) -> list[tuple[Local, ...]]:
    """Make every worker's `Local` of every layer.

    Parameters
    ----------
    layers : sequence of Layer
    cuts : list of list of slice
        For the input and for each layer's output, the units that each worker owns. Those of the input are the same as
        the last layer's.
    deltas : sequence of ndarray or None
        The deltas of all workers, (m, outputs), by layer; None for a dense layer.
    dtype : dtype
        Of the model.
    workers : int

    Returns
    -------
    list of tuple of Local
        By worker, then by layer.
    """
    made: list[list[Local]] = [[] for _ in range(workers)]
    for l, layer in enumerate(layers):
        length = -(-(math.prod(layer.shape) + layer.channels) // LINE_FLOATS) * LINE_FLOATS if layer.shared else 0
        shared = aligned((workers * length,), dtype).reshape(workers, length)
        for worker, mine in enumerate(made):
            below, own = cuts[l][worker], cuts[l + 1][worker]
            floats, lists = aligned((0,), dtype), np.zeros(0, np.int64)
            if layer.shared:
                units, transposed = own.stop - own.start, 0 if few_channels(layer, dtype) else math.prod(layer.shape)
                floats = aligned((2 * units + transposed,), dtype)
                lists = lists_of(layer, below if l else slice(0), own, dtype)
            mine.append(
                Local(NUMBERS[layer.kind], below.start, deltas[l] if layer.shared else shared, shared, floats, lists)
            )
    return [tuple(mine) for mine in made]


def few_channels(layer: Layer, dtype: np.dtype[Any]) -> bool:
    """Tell whether a transposed convolution should have its vectors along the summation: few channels fill none."""
    return channels_of(layer) < MACHINE.vector_bytes // dtype.itemsize // 2


def channels_of(layer: Layer) -> int:
    """Return the channels of the image that a convolution reads or a transposed one writes."""
    return layer.shape[0] // layer.geometry.kernel**2


def lists_of(layer: Layer, below: slice, own: slice, dtype: np.dtype[Any]) -> np.ndarray:
    """Return a worker's lists as one array, which ``convolutions.span`` reads: their starts, then the lists.

    Parameters
    ----------
    layer : Layer
    below : slice
        The units of the layer's input that the worker owns.
    own : slice
        The units of its output.
    dtype : dtype
        Of the model.

    Returns
    -------
    ndarray, int64, (length,)
    """
    g, filters, channels = layer.geometry, layer.shape[1], channels_of(layer)
    conv = layer.kind == "conv"
    outputs, inputs = pixels(own, filters if conv else channels), pixels(below, channels if conv else filters)
    patches, image = (outputs, inputs) if conv else (inputs, outputs)
    lists = [
        [channels, own.stop - own.start],
        *tables.convolution(g, channels, patches),
        *tables.transposed_convolution(g, filters, channels if few_channels(layer, dtype) else filters, image),
        *tables.gradient(g, channels, filters, outputs if conv else None, None if conv else outputs),
    ]
    flat = [np.asarray(numbers, np.int64).ravel() for numbers in lists]
    starts = np.cumsum([len(lists) + 1, *(len(numbers) for numbers in flat)])
    return np.concatenate([starts, *flat])


def pixels(units: slice, channels: int) -> range:
    """Return the range of pixels whose channels are these units."""
    return range((units.start or 0) // channels, units.stop // channels)
