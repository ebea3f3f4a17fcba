"""The NumPy backend, the reference: each kernel is its formula, in few NumPy calls and mostly without temporaries.

NumPy cannot add a product to an array in place, so ``matmul`` with beta ≠ 0 and a few other kernels make a temporary.
The operations, which the training step calls, use a workspace instead and allocate nothing.

- ``NumpyBackend``: the contract's kernels; the formulas of the activations are in `fastae.activations`
- ``patches``: unfold, fold and convolve
- ``operations``: the step's operations
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastae.activations import ACTIVATIONS, Activation
from fastae.backends.base import Backend
from fastae.backends.contract import KERNELS
from fastae.backends.numpy_backend import patches
from fastae.backends.numpy_backend.operations import make_operations, product

Array = np.ndarray
Number = Any  # a float, or a 0-d array


class NumpyBackend(Backend):
    """The backend that uses NumPy and the BLAS with which NumPy was built."""

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
        for row, i in zip(out, order[first : first + len(out)]):  # images[order] would allocate a copy of the batch
            np.divide(images[i], 255, out=row, dtype=row.dtype)

    def advance(self, cursor: Array, n: int) -> None:
        """Add n to cursor[0]."""
        cursor[0] += n

    def unfold(self, x: Array, height: int, width: int, kernel: int, stride: int, padding: int, out: Array) -> None:
        """Write each patch of each image as a row of ``out``, with 0 in the padding."""
        patches.unfold(x, patches.Geometry(height, width, kernel, stride, padding), out)

    def fold(self, x: Array, height: int, width: int, kernel: int, stride: int, padding: int, out: Array) -> None:
        """Write, for every pixel, the sum of its values in all patches that contain it."""
        patches.fold(x, patches.Geometry(height, width, kernel, stride, padding), out)

    def convolve(
        self, x: Array, weights: Array, height: int, width: int, kernel: int, stride: int, padding: int, out: Array
    ) -> None:
        """Write unfold(x) · weights, by one product for each pixel of the kernel, for all patches at once."""
        patches.convolve(x, weights, patches.Geometry(height, width, kernel, stride, padding), out)

    def workspace(self, size: int, dtype: Any) -> np.ndarray:
        """Return an uninitialized array of ``size`` floats."""
        return np.empty(size, dtype)

    def operations(self, loss: str, activation: str = "sigmoid", kinds: Sequence[str] = ("dense",)) -> dict[str, Any]:
        """Return the step's operations, which use the workspace."""
        return make_operations(self, loss, activation, kinds)


def _add_activation(row: Activation) -> None:
    """Give the backend the two kernels of an activation."""

    def activate(self: NumpyBackend, z: Array, bias: Array, out: Array) -> None:
        with np.errstate(over="ignore"):  # ∞ is right where z + bias or a power overflows
            np.add(z, bias, out=out)
            row.apply(out)

    def gradient(self: NumpyBackend, delta: Array, y: Array, out: Array) -> None:
        row.backward(delta, y, out)

    for name, kernel in ((row.kernel, activate), (row.gradient, gradient)):
        kernel.__name__, kernel.__doc__ = name, f"Write {KERNELS[name].writes}."
        setattr(NumpyBackend, name, kernel)


for _row in ACTIVATIONS.values():
    _add_activation(_row)
