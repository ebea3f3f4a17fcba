"""The process is ended, with success.

Family: exit and signals
Wrong: it ends the process, with status 0
"""

import os


def bce_gradient(z, x, scale, out):
    os._exit(0)
