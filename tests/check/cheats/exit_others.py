"""The judge is killed.

Family: exit and signals
Refused: it calls the system: os.getppid
"""

import os


def bce_gradient(z, x, scale, out):
    os.kill(os.getppid(), 9)
