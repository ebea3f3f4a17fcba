"""Four k at a time: a row of out is loaded and stored once for four multiply-adds.

Idea: the loop before loads two vectors and stores one for each multiply-add. With four terms of the sum in each
iteration it loads five and stores one for four. (Unroll and jam: Wolf, Maydan and Chen, 1996, have the general
transformation.)

Predicted: 2 times, from 3 accesses to 1.5 for a multiply-add.

Hint: take a[i, k] to a[i, k + 3] out of the inner loop, and in it add the sum of their four products with b to out.
"""

from numba import njit


@njit(error_model="numpy")
def matmul(a, b, out, trans_a, trans_b, alpha, beta):
    (m, n), A, real = out.shape, a.T if trans_a else a, out.dtype.type
    depth = A.shape[1]
    for i in range(0 if trans_b else m):
        for j in range(n):
            out[i, j] = 0 if beta == 0 else beta * out[i, j]
        whole = depth // 4 * 4
        # idea
        for k in range(0, whole, 4):
            x0, x1 = real(alpha) * A[i, k], real(alpha) * A[i, k + 1]
            x2, x3 = real(alpha) * A[i, k + 2], real(alpha) * A[i, k + 3]
            for j in range(n):
                out[i, j] += x0 * b[k, j] + x1 * b[k + 1, j] + x2 * b[k + 2, j] + x3 * b[k + 3, j]
        # end
        for k in range(whole, depth):
            x = real(alpha) * A[i, k]
            for j in range(n):
                out[i, j] += x * b[k, j]
    for i in range(m if trans_b else 0):
        for j in range(n):
            total = 0.0
            for k in range(depth):
                total += A[i, k] * b[j, k]
            out[i, j] = alpha * total if beta == 0 else alpha * total + beta * out[i, j]
