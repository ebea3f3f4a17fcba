"""Another order of the loops: the innermost one runs along rows of b and of out, in the order of memory.

Idea: neighbouring elements of out are computed from neighbouring elements of b, and no addition waits for the one
before it. LLVM can therefore vectorise the innermost loop. A row of out is loaded and stored again for every k.

Predicted: 16 times, the floats of a vector, where a vector has 64 bytes.

Hint: for each k, add alpha · a[i, k] times row k of b to row i of out, element by element.
"""

from numba import njit


@njit(error_model="numpy")
def matmul(a, b, out, trans_a, trans_b, alpha, beta):
    (m, n), A, real = out.shape, a.T if trans_a else a, out.dtype.type
    depth = A.shape[1]
    for i in range(0 if trans_b else m):
        for j in range(n):
            out[i, j] = 0 if beta == 0 else beta * out[i, j]
        # idea
        for k in range(depth):
            x = real(alpha) * A[i, k]
            for j in range(n):
                out[i, j] += x * b[k, j]
        # end
    for i in range(m if trans_b else 0):
        for j in range(n):
            total = 0.0
            for k in range(depth):
                total += A[i, k] * b[j, k]
            out[i, j] = alpha * total if beta == 0 else alpha * total + beta * out[i, j]
