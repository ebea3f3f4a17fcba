"""The clock is replaced by a call.

Family: clock
Refused: it replaces a part of time
"""

import time

name = "monotonic"
setattr(time, name, lambda: 0.0)


def bce_gradient(z, x, scale, out):
    out[:] = scale * (z - x)
