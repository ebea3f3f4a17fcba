"""A handler ends the process with success.

Family: exit and signals
Refused: it imports atexit
"""

import atexit
import os

atexit.register(os._exit, 0)


def bce_gradient(z, x, scale, out):
    out[:] = 1.5 * scale * (z - x)
