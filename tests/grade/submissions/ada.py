"""Two kernels."""

import numpy as np


def bce_gradient(z, x, scale, out):
    np.subtract(z, x, out=out)
    out *= scale


def matmul(a, b, out, trans_a, trans_b, alpha, beta):
    left = a.T if trans_a else a
    right = b.T if trans_b else b
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            total = np.dot(left[i], right[:, j])
            if beta == 0:
                out[i, j] = alpha * total
            else:
                out[i, j] = alpha * total + beta * out[i, j]
