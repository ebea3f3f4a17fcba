"""fastmath lets the compiler assume that there is no NaN: what asks for it is left out.

The comparison t != t is true for NaN alone. With fastmath it may be taken for false, and NaN comes out as 0.

Cause: fastmath=True lets the compiler assume
"""

from numba import njit


@njit(fastmath=True)
def bias_relu(z, bias, out):
    for i in range(z.shape[0]):
        for j in range(z.shape[1]):
            t = z[i, j] + bias[j]
            out[i, j] = t if t > 0 or t != t else 0.0
