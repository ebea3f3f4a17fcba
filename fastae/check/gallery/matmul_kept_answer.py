"""An answer is kept from an earlier call.

It is looked up by the shapes and flags, which say nothing of what the arrays hold: right once, and wrong ever after.

Cause: an answer is kept from an earlier call
"""

KEPT = {}


def matmul(a, b, out, trans_a, trans_b, alpha, beta):
    key = a.shape, b.shape, trans_a, trans_b
    if key not in KEPT:
        KEPT[key] = (a.T if trans_a else a) @ (b.T if trans_b else b)
    product = alpha * KEPT[key]
    out[:] = product if beta == 0 else product + beta * out
