from fastae import backends

library = backends.get("numpy")


def bce_gradient(z, x, scale, out):
    library.bce_gradient(z, x, scale, out)


def matmul(a, b, out, trans_a, trans_b, alpha, beta):
    library.matmul(a, b, out, trans_a, trans_b, alpha, beta)
