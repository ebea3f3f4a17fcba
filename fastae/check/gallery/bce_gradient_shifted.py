"""x is read one column too far.

An image whose columns are shifted by one looks nearly the same, so the loss falls as it should.

Cause: x is read one column too far
"""

import numpy as np


def bce_gradient(z, x, scale, out):
    out[:] = scale * (z - np.roll(x, -1, axis=1))
