"""The step's operations for NumPy; a workspace holds their intermediate results, so they allocate nothing."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import fastae.operations
from fastae.activations import ACTIVATIONS
from fastae.backends.numpy_backend import patches
from fastae.operations import rows
from fastae.step import Local

Array = np.ndarray


def make_operations(backend: Any, loss: str, activation: str, kinds: Sequence[str]) -> dict[str, Any]:
    """Make the step's operations; arguments and result are those of `fastae.operations.make_operations`.

    Operations that need no workspace, such as the forward operation of a dense layer, are the composed ones.
    """
    composed = fastae.operations.KINDS

    def of_kind(ops: Any, kind: str, activation: str) -> dict[str, Any]:
        made = composed[kind](ops, activation)
        return made | KINDS[kind](ACTIVATIONS[activation].slope) if kind in KINDS else made

    losses = {"mse": _mse, "bce": _bce}
    made = fastae.operations.make_operations(backend, loss, activation, kinds, of_kind)
    return made | {"gather": Gather(), "loss_gradient": losses[loss]}


class Gather:
    """The operation ``gather`` with a buffer: copies all rows at once, then divides bytes by 255; floats are copied."""

    def __init__(self) -> None:
        self.bytes = np.empty(0, np.uint8)

    def __call__(self, images: Array, order: Array, cursor: Array, offset: int, out: Array) -> None:
        """Write rows order[cursor[0] + offset + i] of the images, bytes divided by 255."""
        first = cursor[0] + offset
        chosen = order[first : first + len(out)]
        if images.dtype != np.uint8:
            np.take(images, chosen, axis=0, out=out, mode="clip")  # mode="raise" would make a copy
            return
        if self.bytes.size < out.size:
            self.bytes = np.empty(out.size, np.uint8)
        images_ = view_of(self.bytes, out.shape)
        np.take(images, chosen, axis=0, out=images_, mode="clip")
        np.divide(images_, 255, out=out, dtype=out.dtype)


def _mse(z: Array, x: Array, scale: float, d: Array, losses: Array, workspace: Array) -> None:
    e = view_of(workspace, z.shape)
    np.subtract(z, x, out=e)
    np.vecdot(e, e, out=losses)
    np.subtract(1, z, out=d)
    d *= z
    d *= e
    d *= d.dtype.type(2 * scale)


def _bce(z: Array, x: Array, scale: float, d: Array, losses: Array, workspace: Array) -> None:
    log = view_of(workspace, z.shape)
    with np.errstate(divide="ignore"):
        np.negative(z, out=log)
        np.log1p(log, out=log)
        np.maximum(log, -100, out=log)
        np.subtract(1, x, out=d)
        np.vecdot(d, log, out=losses)
        np.log(z, out=log)
    np.maximum(log, -100, out=log)
    losses += np.vecdot(x, log)
    np.negative(losses, out=losses)
    np.subtract(z, x, out=d)
    d *= d.dtype.type(scale)


Slope = Callable[[Array, Array], Any]  # of an activation; see `fastae.activations.Activation`


def dense(slope: Slope) -> dict[str, Any]:
    """Make the operations of a dense layer that use the workspace."""

    def backward(d: Array, W: Array, y: Array, out: Array, local: Any, workspace: Array) -> None:
        e = view_of(workspace, out.shape)
        product(d, W.T, e)
        slope(y, out)
        out *= e

    def update(
        a: Array, d: Array, W: Array, b: Array, V: Array, c: Array, rate: Array, local: Any, workspace: Array
    ) -> None:
        if len(V) == 0:
            d *= rate[0]  # the delta is not needed any more, and smaller than the gradient
        alone = len(V) > 0 and not rate.any()  # the caller only wants the gradient, in V and c
        for p, v in ((W, V), (b, c)):
            gradient = v if alone else view_of(workspace, p.shape)
            if p is W:
                product(a.T, d, gradient)
            else:
                np.sum(d, axis=0, out=gradient)
            if alone:
                continue
            if len(V):
                v *= rate[1]
                v += gradient
                np.multiply(v, rate[0], out=gradient)
            p += gradient

    return {"backward": backward, "update": update}


def convolution(slope: Slope) -> dict[str, Any]:
    """Make the operations of a convolution that use the workspace."""

    def backward(d: Array, W: Array, y: Array, out: Array, local: Local, workspace: Array) -> None:
        np.matmul(rows(d, W.shape[1]), W.T, out=local.products)
        e = view_of(workspace, out.shape)
        patches.fold(local.products, local.geometry, e)
        slope(y, out)
        out *= e

    def update(
        a: Array, d: Array, W: Array, b: Array, V: Array, c: Array, rate: Array, local: Local, workspace: Array
    ) -> None:
        pixels = rows(d, len(b))
        _descend(local.patches, pixels, pixels, W, b, V, c, rate, workspace)

    return {"backward": backward, "update": update}


def transposed(slope: Slope) -> dict[str, Any]:
    """Make the operations of a transposed convolution that use the workspace."""

    def backward(d: Array, W: Array, y: Array, out: Array, local: Local, workspace: Array) -> None:
        patches.unfold(d, local.geometry, local.patches)
        e = view_of(workspace, out.shape)
        np.matmul(local.patches, W, out=rows(e, W.shape[1]))
        slope(y, out)
        out *= e

    def update(
        a: Array, d: Array, W: Array, b: Array, V: Array, c: Array, rate: Array, local: Local, workspace: Array
    ) -> None:
        _descend(local.patches, rows(a, W.shape[1]), rows(d, len(b)), W, b, V, c, rate, workspace)

    return {"backward": backward, "update": update}


KINDS = {"dense": dense, "conv": convolution, "transposed": transposed}


def _descend(
    a: Array, d: Array, pixels: Array, W: Array, b: Array, V: Array, c: Array, rate: Array, workspace: Array
) -> None:
    alone = len(V) > 0 and not rate.any()  # the caller only wants the gradient, in V and c
    for p, v in ((W, V), (b, c)):
        gradient = v if alone else view_of(workspace, p.shape)
        if p is W:
            product(a.T, d, gradient)
        else:
            np.sum(pixels, axis=0, out=gradient)
        if alone:
            continue
        if len(v):
            v *= rate[1]
            v += gradient
            np.multiply(v, rate[0], out=gradient)
        else:
            gradient *= rate[0]
        p += gradient


def product(a: Array, b: Array, out: Array) -> None:
    """Write a @ b; a column times a row is computed as an outer product, because np.matmul is slow for it."""
    if a.shape[1] == 1:
        np.multiply(a, b, out=out)
    else:
        np.matmul(a, b, out=out)


def view_of(workspace: Array, shape: tuple[int, ...]) -> Array:
    """Return a view of the beginning of the workspace with the given shape."""
    return workspace[: math.prod(shape)].reshape(shape)
