"""Three loops, as the definition has them: a sum over k for each element.

Idea: out[i, j] = Σ_k a[i, k] b[k, j]. In compiled code each iteration of the innermost loop is one multiplication and
one addition, which waits for the addition before it. b is read down a column, so each element is in another cache
line.

Hint: keep the sum in a variable that starts at 0.0, and write it once: alpha · sum, plus beta · out unless beta is 0.
"""

from numba import njit


@njit(error_model="numpy")
def matmul(a, b, out, trans_a, trans_b, alpha, beta):
    A, B = a.T if trans_a else a, b.T if trans_b else b
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            # idea
            total = 0.0
            for k in range(A.shape[1]):
                total += A[i, k] * B[k, j]
            out[i, j] = alpha * total if beta == 0 else alpha * total + beta * out[i, j]
            # end
