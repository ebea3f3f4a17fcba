"""alpha is left out.

Right wherever alpha is 1. In the update alpha is minus the learning rate: the step is of the wrong size and uphill.

Cause: alpha is left out
"""


def matmul(a, b, out, trans_a, trans_b, alpha, beta):
    product = (a.T if trans_a else a) @ (b.T if trans_b else b)
    out[:] = product if beta == 0 else product + beta * out
