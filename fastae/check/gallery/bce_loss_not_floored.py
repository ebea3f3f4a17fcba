"""The logarithms are not floored at −100.

An output that is rounded to 0 or 1 gives log 0 = −∞, and 0 · ∞ is NaN: one pixel is enough.

Cause: the logarithms are not floored at −100
"""

import numpy as np


def bce_loss(z, x, out):
    with np.errstate(divide="ignore", invalid="ignore"):
        out[:] = -np.sum(x * np.log(z) + (1 - x) * np.log1p(-z), axis=1)
