"""trans_b is ignored.

Square matrices give a wrong product, all others an exception; where neither flag is set, all is well.

Cause: trans_b is (ignored|set)
"""


def matmul(a, b, out, trans_a, trans_b, alpha, beta):
    product = alpha * ((a.T if trans_a else a) @ b)
    out[:] = product if beta == 0 else product + beta * out
