"""The interpreter is asked to end, with success.

Family: exit and signals
Wrong: SystemExit
"""


def bce_gradient(z, x, scale, out):
    raise SystemExit(0)
