"""In place: the product is written to out directly, and unnecessary operations are skipped.

Idea: A @ B makes a new array, alpha times it another, and the assignment copies that: three passes over the output,
two of them in new memory. np.matmul can write into out; alpha = 1, as in a forward pass, needs no multiplication.

Predicted: 1.1 times: three passes over 128 · 256 numbers are few beside 784 multiply-adds for each.

Hint: np.matmul(A, B, out=out), then out *= alpha unless that is 1; both in out's own type.
"""

import numpy as np


def matmul(a, b, out, trans_a, trans_b, alpha, beta):
    A, B = a.T if trans_a else a, b.T if trans_b else b
    # idea
    if beta == 0:
        np.matmul(A, B, out=out)
        if alpha != 1:
            out *= out.dtype.type(alpha)
    else:
        out *= out.dtype.type(beta)
        out += out.dtype.type(alpha) * (A @ B)
    # end
