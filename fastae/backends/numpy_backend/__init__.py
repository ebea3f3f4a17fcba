"""The reference: each kernel as its formula, in as few NumPy calls as it takes without temporaries.

NumPy cannot add a product to an array in place, so ``matmul`` with beta ≠ 0 and a few others make a temporary. The
four operations below, which the training step calls, have a workspace instead and allocate nothing.
"""

import math
from typing import Any

import numpy as np

from fastae.backends.base import Backend

Array = np.ndarray
Number = Any  # a float, or a 0-d array


class NumpyBackend(Backend):
    """NumPy, with whatever BLAS it was built with."""

    name = "numpy"

    def matmul(
        self,
        a: Array,
        b: Array,
        out: Array,
        trans_a: bool = False,
        trans_b: bool = False,
        alpha: Number = 1.0,
        beta: Number = 0.0,
    ) -> None:
        """Write alpha · op(a) op(b) + beta · out."""
        a, b = a.T if trans_a else a, b.T if trans_b else b
        if beta == 0:
            product(a, b, out)
            if alpha != 1:
                out *= out.dtype.type(alpha)
        else:
            out *= out.dtype.type(beta)
            out += out.dtype.type(alpha) * (a @ b)

    def bias_sigmoid(self, z: Array, bias: Array, out: Array) -> None:
        """Write σ(z + bias)."""
        with np.errstate(over="ignore"):  # e^∞ = ∞ is what makes σ(−∞) = 0
            np.add(z, bias, out=out)
            np.subtract(0, out, out=out)  # np.negative of NumPy 2.4 is wrong in a column of every 4th float
            np.exp(out, out=out)
        out += 1
        np.divide(1, out, out=out)

    def sigmoid_gradient(self, delta: Array, y: Array, out: Array) -> None:
        """Write delta · y · (1 − y)."""
        np.multiply(delta, y * (1 - y), out=out)

    def mse_gradient(self, z: Array, x: Array, scale: Number, out: Array) -> None:
        """Write 2 · scale · (z − x) · z · (1 − z)."""
        np.multiply(z - x, z * (1 - z), out=out)
        out *= out.dtype.type(2 * scale)

    def bce_gradient(self, z: Array, x: Array, scale: Number, out: Array) -> None:
        """Write scale · (z − x)."""
        np.subtract(z, x, out=out)
        out *= out.dtype.type(scale)

    def mse_loss(self, z: Array, x: Array, out: Array) -> None:
        """Write Σ (z − x)² for each image."""
        np.sum(np.square(z - x), axis=1, dtype=np.float64, out=out)

    def bce_loss(self, z: Array, x: Array, out: Array) -> None:
        """Write −Σ [x log z + (1 − x) log(1 − z)] for each image, the logarithms floored at −100."""
        with np.errstate(divide="ignore"):  # log 0 = −∞ is floored
            log_z, log_1z = np.maximum(np.log(z), -100), np.maximum(np.log1p(-z), -100)
        np.negative(np.sum(x * log_z + (1 - x) * log_1z, axis=1, dtype=np.float64), out=out)

    def column_sum(self, delta: Array, out: Array, alpha: Number = 1.0, beta: Number = 0.0) -> None:
        """Write alpha · Σ_rows delta + beta · out."""
        total = out.dtype.type(alpha) * np.sum(delta, axis=0)
        out[:] = total if beta == 0 else total + out.dtype.type(beta) * out

    def axpy(self, alpha: Number, x: Array, y: Array) -> None:
        """Add alpha · x to y."""
        y += y.dtype.type(alpha) * x

    def gather(self, images: Array, order: Array, cursor: Array, offset: int, out: Array) -> None:
        """Write rows order[cursor[0] + offset + i] of the images, divided by 255."""
        first = cursor[0] + offset
        for row, i in zip(out, order[first : first + len(out)]):  # images[order] would make a copy of the batch
            np.divide(images[i], 255, out=row, dtype=row.dtype)

    def advance(self, cursor: Array, n: int) -> None:
        """Add n to cursor[0]."""
        cursor[0] += n

    # The step's operations, in a workspace: each product and each difference has its place.

    def workspace(self, size: int, dtype: Any) -> np.ndarray:
        """Make room for ``size`` floats."""
        return np.empty(size, dtype)

    def operations(self, loss: str) -> dict[str, Any]:
        """Return the step's operations; forward needs no workspace."""
        gradients = {"mse": self._mse, "bce": self._bce}
        return super().operations(loss) | {
            "gather": Gather(),
            "loss_gradient": gradients[loss],
            "backward": self._backward,
            "update": self._update,
        }

    def _mse(self, z: Array, x: Array, scale: Number, d: Array, losses: Array, own: Array) -> None:
        e = room(own, z.shape)
        np.subtract(z, x, out=e)
        np.vecdot(e, e, out=losses)
        np.subtract(1, z, out=d)
        d *= z
        d *= e
        d *= d.dtype.type(2 * scale)

    def _bce(self, z: Array, x: Array, scale: Number, d: Array, losses: Array, own: Array) -> None:
        log = room(own, z.shape)
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
        self.bce_gradient(z, x, scale, d)

    def _backward(self, d: Array, W: Array, y: Array, out: Array, own: Array) -> None:
        e = room(own, out.shape)
        product(d, W.T, e)
        np.subtract(1, y, out=out)
        out *= y
        out *= e

    def _update(self, a: Array, d: Array, W: Array, b: Array, V: Array, c: Array, rate: Array, own: Array) -> None:
        if len(V) == 0:
            d *= rate[0]  # nobody needs the delta any more, and it is smaller than the gradient
        for p, v in ((W, V), (b, c)):
            gradient = room(own, p.shape)
            if p is W:
                product(a.T, d, gradient)
            else:
                np.sum(d, axis=0, out=gradient)
            if len(V):
                v *= rate[1]
                v += gradient
                np.multiply(v, rate[0], out=gradient)
            p += gradient


class Gather:
    """The kernel ``gather`` with a place for the bytes: taken at once, then divided at once."""

    def __init__(self) -> None:
        self.bytes = np.empty(0, np.uint8)

    def __call__(self, images: Array, order: Array, cursor: Array, offset: int, out: Array) -> None:
        """Write rows order[cursor[0] + offset + i] of the images, divided by 255."""
        if self.bytes.size < out.size:
            self.bytes = np.empty(out.size, np.uint8)
        first, rows = cursor[0] + offset, room(self.bytes, out.shape)
        np.take(images, order[first : first + len(out)], axis=0, out=rows, mode="clip")  # "raise" would make a copy
        np.divide(rows, 255, out=out, dtype=out.dtype)


def product(a: np.ndarray, b: np.ndarray, out: np.ndarray) -> None:
    """Write a @ b; a column by a row as an outer product, for which np.matmul has only a slow loop."""
    if a.shape[1] == 1:
        np.multiply(a, b, out=out)
    else:
        np.matmul(a, b, out=out)


def room(own: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return an array of that shape in the workspace."""
    return own[: math.prod(shape)].reshape(shape)
