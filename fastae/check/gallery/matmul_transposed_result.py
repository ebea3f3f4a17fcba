"""The result is transposed.

Rows and columns of the result are exchanged, and pressed into the shape of the output. A single row or column is right.

Cause: the result is transposed
"""


def matmul(a, b, out, trans_a, trans_b, alpha, beta):
    product = alpha * ((a.T if trans_a else a) @ (b.T if trans_b else b))
    product = product.T.reshape(out.shape)
    out[:] = product if beta == 0 else product + beta * out
