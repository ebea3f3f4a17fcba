"""The clock stands still.

Family: clock
Refused: it replaces time.perf_counter
"""

import time

time.perf_counter = lambda: 0.0


def bce_gradient(z, x, scale, out):
    out[:] = scale * (z - x)
