"""A module is changed through its dictionary.

Family: the judge
Refused: it replaces np.__dict__
"""

import numpy as np

np.__dict__["isnan"] = lambda x: x * 0 > 1


def bce_gradient(z, x, scale, out):
    out[:] = 1.5 * scale * (z - x)
