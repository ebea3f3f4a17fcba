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

    def bias_tanh(self, z, bias, out):
        for i, j in np.ndindex(*out.shape):
            out[i, j] = math.tanh(float(z[i, j]) + float(bias[j]))

    def tanh_gradient(self, delta, y, out):
        each(lambda delta, y: delta * (1 - y * y), out, delta, y)

    def bias_relu(self, z, bias, out):
        for i, j in np.ndindex(*out.shape):
            t = float(z[i, j]) + float(bias[j])
            out[i, j] = 0.0 if t < 0 else t

    def relu_gradient(self, delta, y, out):
        each(lambda delta, y: delta if y > 0 else 0.0, out, delta, y)

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

    def unfold(self, x, height, width, kernel, stride, padding, out):
        out[:] = 0
        for patch, number, image, pixel in pairs(x, height, width, kernel, stride, padding):
            out[patch, number] = x[image, pixel]

    def fold(self, x, height, width, kernel, stride, padding, out):
        sums = {}
        for patch, number, image, pixel in pairs(out, height, width, kernel, stride, padding):
            sums[image, pixel] = sums.get((image, pixel), 0.0) + float(x[patch, number])
        for index in np.ndindex(*out.shape):
            out[index] = sums.get(index, 0.0)

    def convolve(self, x, weights, height, width, kernel, stride, padding, out):
        sums = np.zeros(out.shape)
        for patch, number, image, pixel in pairs(x, height, width, kernel, stride, padding):
            sums[patch] += float(x[image, pixel]) * weights[number].astype(float)
        out[:] = sums


def pairs(images, height, width, kernel, stride, padding):
    """Yield (patch, number in it, image, pixel's channel) for every number of a patch that lies inside its image."""
    m, channels = len(images), images.shape[1] // (height * width)
    rows, columns = ((n + 2 * padding - kernel) // stride + 1 for n in (height, width))
    for image, row, column in np.ndindex(m, rows, columns):
        patch = (image * rows + row) * columns + column
        for i, j, c in np.ndindex(kernel, kernel, channels):
            y, x = row * stride - padding + i, column * stride - padding + j
            if 0 <= y < height and 0 <= x < width:
                yield patch, (i * kernel + j) * channels + c, image, (y * width + x) * channels + c


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
