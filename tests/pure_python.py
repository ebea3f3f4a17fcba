"""A backend in Python loops, as a third party might write one: the kernels of the contract and nothing else.

It is named after no device, computes in Python's own floats, and rounds when it writes. It keeps the house honest:
whatever works only because NumPy or Numba happen to have it fails here.
"""

import math

import numpy as np

from fastae.backends import Backend


class PurePython(Backend):
    """Python's loops on NumPy's arrays."""

    name = "pure-python"

    def matmul(self, a, b, out, trans_a=False, trans_b=False, alpha=1.0, beta=0.0):
        rows, columns = (a.T if trans_a else a).tolist(), (b if trans_b else b.T).tolist()
        for i, row in enumerate(rows):
            for j, column in enumerate(columns):
                old = 0.0 if beta == 0 else float(beta) * float(out[i, j])
                out[i, j] = float(alpha) * sum(x * y for x, y in zip(row, column)) + old

    def bias_sigmoid(self, z, bias, out):
        sums = np.empty_like(out)
        for i, j in np.ndindex(*out.shape):
            with np.errstate(over="ignore"):
                sums[i, j] = float(z[i, j]) + float(bias[j])  # rounded before σ is taken, as the contract has it
        each(sigmoid, out, sums)

    def sigmoid_gradient(self, delta, y, out):
        each(lambda delta, y: delta * y * (1 - y), out, delta, y)

    def mse_gradient(self, z, x, scale, out):
        each(lambda z, x: 2 * float(scale) * (z - x) * z * (1 - z), out, z, x)

    def bce_gradient(self, z, x, scale, out):
        each(lambda z, x: float(scale) * (z - x), out, z, x)

    def mse_loss(self, z, x, out):
        for i in range(len(out)):
            out[i] = sum((p - q) ** 2 for p, q in zip(z[i].tolist(), x[i].tolist()))

    def bce_loss(self, z, x, out):
        for i in range(len(out)):
            pairs = zip(z[i].tolist(), x[i].tolist())
            out[i] = -sum(q * floored_log(p) + (1 - q) * floored_log(1 - p) for p, q in pairs)

    def column_sum(self, delta, out, alpha=1.0, beta=0.0):
        for j in range(len(out)):
            old = 0.0 if beta == 0 else float(beta) * float(out[j])
            out[j] = float(alpha) * sum(delta[:, j].tolist()) + old

    def axpy(self, alpha, x, y):
        each(lambda y, x: y + float(alpha) * x, y, y, x)

    def gather(self, images, order, cursor, offset, out):
        for i in range(len(out)):
            for j, pixel in enumerate(images[order[cursor[0] + offset + i]].tolist()):
                out[i, j] = pixel / 255

    def advance(self, cursor, n):
        cursor[0] += n


def each(formula, out, *inputs):
    """Write formula(elements of the inputs) into each element of out."""
    for index in np.ndindex(*out.shape):
        out[index] = formula(*(float(array[index]) for array in inputs))


def sigmoid(t):
    if t >= 0:
        return 1 / (1 + math.exp(-t))
    e = math.exp(t)  # at most 1: e^−t might be too large for a float
    return e / (1 + e)


def floored_log(x):
    return -100.0 if x == 0 else max(math.log(x), -100.0)
