"""The old output is read although beta is 0.

0 · NaN is NaN: an output that was never written, or a gradient that overflowed a step ago, poisons the new one. BLAS
does not read it either.

Cause: the old out is read although beta is 0
"""


def matmul(a, b, out, trans_a, trans_b, alpha, beta):
    out[:] = alpha * ((a.T if trans_a else a) @ (b.T if trans_b else b)) + beta * out
