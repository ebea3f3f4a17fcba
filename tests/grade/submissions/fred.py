import numpy as np


def bce_gradient(z, x, scale, out):
    out[:] = scale * (z - x)


def matmul(a, b, out, trans_a, trans_b, alpha, beta):
    left, i = a.T if trans_a else a, 0
    while i < len(out):
        row = alpha * np.dot(left[i], b.T if trans_b else b)
        out[i] = row if beta == 0 else row + beta * out[i]
        i += not trans_b
