"""An element at a time: the loop over k is one call, a row times a column (BLAS, level 1).

Idea: the overhead of the interpreter occurs once for each element of out, and no longer for each term of its sum. The
column of b is read with a stride, one element from each cache line.

Predicted: 100 times: 784 multiply-adds for one call of some microseconds, instead of 784 times a quarter of one.

Hint: the product of two vectors is one number: A[i] @ B[:, j].
"""


def matmul(a, b, out, trans_a, trans_b, alpha, beta):
    A, B = a.T if trans_a else a, b.T if trans_b else b
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            # idea
            total = A[i] @ B[:, j]
            out[i, j] = alpha * total if beta == 0 else alpha * total + beta * out[i, j]
            # end
