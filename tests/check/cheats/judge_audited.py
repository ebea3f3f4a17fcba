"""The interpreter's events are listened to.

Family: the judge
Refused: it uses the internals of the interpreter: sys.addaudithook
"""

import sys

sys.addaudithook(lambda event, arguments: None)


def bce_gradient(z, x, scale, out):
    out[:] = scale * (z - x)
