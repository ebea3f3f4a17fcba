"""The accumulator is kept in float16.

Every element is a little wrong, and the more so the longer the sum is: each addition to an accumulator of 11 bits loses
what is below them.

Cause: the accumulator is of too low a precision
"""

import numpy as np


def matmul(a, b, out, trans_a, trans_b, alpha, beta):
    A, B = (a.T if trans_a else a), (b.T if trans_b else b)
    sums = np.zeros(out.shape, np.float16)
    for l in range(A.shape[1]):
        sums += np.outer(A[:, l], B[l]).astype(np.float16)
    product = alpha * sums.astype(out.dtype)
    out[:] = product if beta == 0 else product + beta * out
