"""NaN is hidden: a comparison with it is false, so the other branch is taken.

A training that has diverged should say so. Here a NaN comes out as 0, and the loss falls.

Cause: hides NaN
"""

import math

from numba import njit


@njit
def bias_sigmoid(z, bias, out):
    for i in range(z.shape[0]):
        for j in range(z.shape[1]):
            t = z[i, j] + bias[j]
            out[i, j] = 1 / (1 + math.exp(-t)) if t > -700 else 0.0
