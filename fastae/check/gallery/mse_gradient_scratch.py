"""An input is used as scratch memory.

The result is right. But x is the batch, which the next kernel reads: it holds the differences now.

Cause: an input is used as scratch memory
"""


def mse_gradient(z, x, scale, out):
    x -= z
    out[:] = -2 * scale * x * z * (1 - z)
