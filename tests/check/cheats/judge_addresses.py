"""Memory is written by its address.

Family: the judge
Refused: it imports ctypes
"""

import ctypes


def bce_gradient(z, x, scale, out):
    ctypes.memset(out.ctypes.data - 64, 0, 64)
    out[:] = scale * (z - x)
