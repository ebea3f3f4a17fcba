"""The exponential by our own polynomial, in the loop: without a call, the loop can be vectorised.

Idea: a loop that calls a function for each number cannot be vectorised. e^t = 2^n e^r, with n the integer nearest t /
ln 2 and |r| ≤ ln 2 / 2: e^r is a short polynomial, and 2^n is n written into a float's exponent. All of it is
arithmetic that LLVM does for 8 or 16 floats at once. ln 2 is in two parts, the first so short that n times it is
exact. (Cody and Waite, Software manual for the elementary functions, 1980.)

Predicted: 6 times: some 25 instructions for 16 floats, instead of a call of 2.5 ns for each.

Hint: e^r by Horner's rule, from C6 down to C1: p = p · r + the next coefficient.
"""

import math

import numpy as np
from numba import njit

real, MOST = np.float32, np.float32(87)  # e^87 and e^−87 are normal numbers
LOG2_E, LN2_HIGH, LN2_LOW = real(1 / math.log(2)), real(0.693359375), real(math.log(2) - 0.693359375)
C1, C2, C3, C4, C5, C6 = (real(1 / math.factorial(i)) for i in range(1, 7))


@njit(error_model="numpy")
def exponential(t):
    t = -MOST if t < -MOST else MOST if t > MOST else t  # a NaN stays one
    n = np.floor(t * LOG2_E + real(0.5))
    r = t - n * LN2_HIGH - n * LN2_LOW
    p = C6
    # idea
    p = p * r + C5
    p = p * r + C4
    p = p * r + C3
    p = p * r + C2
    p = p * r + C1
    # end
    return (p * r + real(1)) * np.int32((np.int32(n) + np.int32(127)) << 23).view(np.float32)


@njit(error_model="numpy")
def bias_sigmoid(z, bias, out):
    for i in range(out.shape[0]):
        if out.itemsize == 8:
            for j in range(out.shape[1]):
                out[i, j] = 1 / (1 + math.exp(-(z[i, j] + bias[j])))
        else:
            for j in range(out.shape[1]):
                t = z[i, j] + bias[j]
                out[i, j] = real(1) / (real(1) + exponential(-real(t)))
