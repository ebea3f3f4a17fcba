"""The sum is kept in float32 where the arrays are float64.

Right in float32. In float64 every element has the error of single precision, and it grows with the number of terms.

Cause: those of float32: too low a precision.*float64
"""

import numpy as np
from numba import njit


@njit
def matmul(a, b, out, trans_a, trans_b, alpha, beta):
    m, n = out.shape
    k = a.shape[0] if trans_a else a.shape[1]
    for i in range(m):
        for j in range(n):
            s = np.float32(0)
            for l in range(k):
                s = np.float32(s + (a[l, i] if trans_a else a[i, l]) * (b[j, l] if trans_b else b[l, j]))
            out[i, j] = alpha * s if beta == 0 else alpha * s + beta * out[i, j]
