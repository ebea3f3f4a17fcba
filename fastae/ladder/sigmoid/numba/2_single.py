"""In the array's own precision: float32 values are not converted to double and back.

Idea: an operation with a single float64 constant is done in double precision. `real` is the type of the array, so
that the shorter exponential is called for float32, and nothing is converted.

Predicted: 2 times, as the exponential of a float32 needs half the terms.

Hint: real(1) instead of 1, and no float64 anywhere.
"""

import math

from numba import njit


@njit(error_model="numpy")
def bias_sigmoid(z, bias, out):
    real = out.dtype.type
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            # idea
            t = z[i, j] + bias[j]
            out[i, j] = real(1) / (real(1) + math.exp(-t))
            # end
