"""Signals are handled.

Family: exit and signals
Refused: it imports signal
"""

import signal

signal.signal(signal.SIGTERM, signal.SIG_IGN)


def bce_gradient(z, x, scale, out):
    out[:] = scale * (z - x)
