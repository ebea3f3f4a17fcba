# Bert's kernels, all his own work
import numpy


def matmul(a, b, out, trans_a, trans_b, alpha, beta):
    """Multiply two matrices."""
    x = a.T if trans_a else a
    y = b.T if trans_b else b
    # over all rows
    for row in range(out.shape[0]):
        for column in range(out.shape[1]):
            s = numpy.dot(x[row], y[:, column])

            if beta == 0:
                out[row, column] = alpha * s
            else:
                out[row, column] = alpha * s + beta * out[row, column]


def bce_gradient(z, x, scale, out):
    out[:] = scale * (z - x)
