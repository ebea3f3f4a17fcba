"""One persistent kernel for many steps, with a barrier across the device where other modes launch the next kernel."""

from typing import Any

import numpy as np

from fastae.backends.cupy_backend.launcher import THREADS, Launcher, definitions
from fastae.backends.cupy_backend.plan import Share, make_plan
from fastae.step import Buffers

POINTERS = ("W", "b", "V", "c", "y", "d")
LENGTHS = ("inputs", "outputs", "forward", "backward", "update", *Share._fields)
LAYER = np.dtype([(name, np.uint64) for name in POINTERS] + [(name, np.int32) for name in LENGTHS])  # in persistent.cu


class Persistent:
    """The kernel of ``persistent.cu``, bound to the arrays of one session.

    Parameters
    ----------
    launcher : Launcher
    buffers : Buffers
        The session's buffers; all arrays must be contiguous.
    next_batch : device array
        A second buffer of the shape and dtype of ``buffers.a[0]``.
    loss : {"mse", "bce"}
    activation : {"sigmoid", "tanh", "relu"}
        Of the hidden layers.
    """

    def __init__(
        self, launcher: Launcher, buffers: Buffers, next_batch: Any, loss: str, activation: str = "sigmoid"
    ) -> None:
        cupy, real = launcher.cupy, buffers.W[0].dtype
        m = len(buffers.loss)
        layers = np.zeros(len(buffers.W), LAYER)
        shares, _ = make_plan([(W.shape[0], W.shape[1]) for W in buffers.W], m, launcher, real)
        pieces = set()
        for l, layer in enumerate(layers):
            for name in POINTERS:
                array = getattr(buffers, name)[l]
                layer[name] = array.data.ptr if array.size else 0
            inputs, outputs = buffers.W[l].shape
            products = [(m, outputs, inputs), (m, inputs, outputs), (inputs, outputs, m)]
            tiles = [launcher.tile(rows, cols, depth, real) for rows, cols, depth in products]
            pieces |= {tile.piece for tile in tiles}
            for name, length in zip(LENGTHS, (inputs, outputs, *(tile.code for tile in tiles), *shares[l])):
                layer[name] = length
        piece = pieces.pop() if len(pieces) == 1 else 0  # any
        defined = definitions(loss, activation)
        self._kernel = launcher.function("persistent.cu", "train", real, piece, cooperative=True, **defined)
        self._blocks = launcher.multiprocessors  # one on each: a barrier needs all blocks to run at the same time
        self._arrived = cupy.array(np.zeros(1, np.uint32))
        self._sizes = np.int32(len(layers)), np.int32(m)
        self._arguments = (
            cupy.array(layers.view(np.uint8)),
            buffers.images,
            buffers.order,
            buffers.cursor,
            buffers.a[0],
            next_batch,
            real.type(buffers.scale),
            buffers.rate,
            buffers.loss,
            buffers.total,
            self._arrived,
        )

    def run(self, steps: int) -> None:
        """Train on the next ``steps`` batches."""
        if steps:
            self._arrived[:] = 0
            self._kernel((self._blocks,), (THREADS,), (*self._sizes, np.int32(steps), *self._arguments))
