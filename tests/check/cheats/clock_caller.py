"""The frame of the caller is searched for when the clock started.

Family: clock
Refused: it uses the internals of the interpreter: sys._getframe
"""

import sys


def bce_gradient(z, x, scale, out):
    sys._getframe(1).f_locals["began"] = 0.0
    out[:] = scale * (z - x)
