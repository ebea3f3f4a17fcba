"""The sum over k stops at the last whole slice of 8.

Right where k is a multiple of 8, as 784, 256 and 128 are: in training nobody notices. The loop over slices forgets the
rest.

Cause: the sum stops at the last whole slice of 8|k is no multiple of 8
"""

from numba import njit


@njit
def matmul(a, b, out, trans_a, trans_b, alpha, beta):
    m, n = out.shape
    k = a.shape[0] if trans_a else a.shape[1]
    for i in range(m):
        for j in range(n):
            s = 0.0
            for l in range(k // 8 * 8):
                s += (a[l, i] if trans_a else a[i, l]) * (b[j, l] if trans_b else b[l, j])
            out[i, j] = alpha * s if beta == 0 else alpha * s + beta * out[i, j]
