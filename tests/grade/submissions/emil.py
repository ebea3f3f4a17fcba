import numpi as np


def bce_gradient(z, x, scale, out):
    out[:] = scale * np.subtract(z, x)
