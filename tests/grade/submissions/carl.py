def bce_gradient(z, x, scale, out):
    out[:] = z - x


def matmul(a, b, out, trans_a, trans_b, alpha, beta):
    product = alpha * ((a.T if trans_a else a) @ (b.T if trans_b else b))
    out[:] = product if beta == 0 else product + beta * out
