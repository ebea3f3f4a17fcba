"""The accumulator is set to 0 once for each row, not for each element.

The first column is right; each other element has the sums of all before it in its row as well.

Cause: the sum is not begun anew
"""

from numba import njit


@njit
def matmul(a, b, out, trans_a, trans_b, alpha, beta):
    m, n = out.shape
    k = a.shape[0] if trans_a else a.shape[1]
    for i in range(m):
        s = 0.0
        for j in range(n):
            for l in range(k):
                s += (a[l, i] if trans_a else a[i, l]) * (b[j, l] if trans_b else b[l, j])
            out[i, j] = alpha * s if beta == 0 else alpha * s + beta * out[i, j]
