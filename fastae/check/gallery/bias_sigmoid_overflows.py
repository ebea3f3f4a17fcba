"""The exponential overflows.

For large t e^t is infinite, and ∞ / ∞ is NaN. 1 / (1 + e^−t) has no such place: 1 / ∞ is 0, as it should be.

Cause: overflows or ∞ / ∞
"""

import numpy as np


def bias_sigmoid(z, bias, out):
    e = np.exp(z + bias)
    out[:] = e / (1 + e)
