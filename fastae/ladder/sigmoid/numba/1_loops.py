"""Two loops, compiled: e^−t by the C library, in double precision.

Idea: σ(t) = 1 / (1 + e^−t), element by element. In compiled code e^−t may become infinite, and 1 / ∞ is the right 0.
Python's floats are doubles, so the exponential is computed in double precision, by a function call for each element.

Hint: t = z[i, j] + bias[j], and the definition; `math.exp` of a float64.
"""

import math

import numpy as np
from numba import njit


@njit(error_model="numpy")
def bias_sigmoid(z, bias, out):
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            # idea
            t = np.float64(z[i, j] + bias[j])
            out[i, j] = 1 / (1 + math.exp(-t))
            # end
