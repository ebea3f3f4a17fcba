"""It leaks: a unit that is off gives a hundredth of its sum, not 0.

A leaky relu is a fine activation, but its gradient belongs to it: here relu_gradient takes a negative output for a unit
that is off.

Cause: it leaks: it is 0.01
"""

import numpy as np


def bias_relu(z, bias, out):
    t = z + bias
    out[:] = np.where(t > 0, t, 0.01 * t)
