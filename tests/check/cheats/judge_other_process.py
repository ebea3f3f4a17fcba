"""The memory of another process is read.

Family: the judge
Refused: it reads /proc/1/mem
"""

from pathlib import Path


def bce_gradient(z, x, scale, out):
    Path("/proc/1/mem").read_bytes()
    out[:] = scale * (z - x)
