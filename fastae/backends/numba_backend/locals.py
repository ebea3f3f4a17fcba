"""What the workers of a team have of each layer of a network with convolutions, made once."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastae.backends.numba_backend import tables
from fastae.backends.numba_backend.convolutions import Local
from fastae.backends.numba_backend.machine import MACHINE
from fastae.layers import Layer
from fastae.operations import NUMBERS


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
        shared = [aligned(shape, dtype) for shape in ((workers, *layer.shape), (workers, layer.channels))]
        for worker, team_mate in enumerate(made):
            below, own = cuts[l][worker], cuts[l + 1][worker]
            if layer.shared:
                team_mate.append(_local(layer, l > 0, below, own, deltas[l], dtype, shared, aligned))
            else:
                team_mate.append(_dense(below, dtype, aligned))
    return [tuple(mine) for mine in made]


def _local(
    layer: Layer, has_below: bool, below: slice, own: slice, whole: Any, dtype: Any, shared: list[Any], aligned: Any
) -> Local:
    g, (rows, behind) = layer.geometry, layer.shape
    channels = rows // g.kernel**2  # of the image
    few = channels < MACHINE.vector_bytes // dtype.itemsize // 2
    conv = layer.kind == "conv"
    outputs = pixels(own, behind if conv else channels)
    inputs = pixels(below, channels if conv else behind) if has_below else range(0)
    patches, image = (outputs, inputs) if conv else (inputs, outputs)
    down = tables.down(g, channels, patches)
    up = tables.up(g, behind, channels if few else behind, image)
    gradient = tables.gradient(g, channels, behind, outputs if conv else None, None if conv else outputs)
    return Local(
        NUMBERS[layer.kind],
        below.start,
        channels,
        whole,
        *(aligned((own.stop - own.start,), dtype) for _ in range(2)),
        aligned((0 if few else g.kernel**2 * behind, channels), dtype),
        *down,
        *up,
        *gradient,
        *shared,
    )


def _dense(below: slice, dtype: Any, aligned: Any) -> Local:
    vector, matrix, starts, entries = (
        aligned((0,), dtype),
        aligned((0, 1), dtype),
        np.zeros(0, np.int64),
        np.zeros((0, 3), np.int64),
    )
    lists = entries, starts, entries, starts, starts, entries, entries
    return Local(NUMBERS["dense"], below.start, 0, matrix, vector, vector, matrix, *lists, matrix[None], matrix)


def pixels(units: slice, channels: int) -> range:
    """Return the pixels whose channels are those units."""
    return range(units.start // channels, units.stop // channels)
