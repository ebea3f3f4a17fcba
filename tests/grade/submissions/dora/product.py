import numpy as np


def matmul(a, b, out, trans_a, trans_b, alpha, beta):
    if trans_a:
        a = a.T
    if trans_b:
        b = b.T
    if beta == 0:
        np.matmul(a, b, out=out)
        out *= alpha
    else:
        out *= beta
        out += alpha * np.matmul(a, b)
