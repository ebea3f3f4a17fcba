"""The clock is replaced by a call.

Family: clock
Refused: it replaces a part of time
"""

import time

setattr(time, "monotonic", lambda: 0.0)


def bce_gradient(z, x, scale, out):
    out[:] = scale * (z - x)
