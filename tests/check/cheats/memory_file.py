"""Answers are kept in a file, by way of an array's own method.

Family: memory
Refused: it writes the file answers
"""

from pathlib import Path


def bce_gradient(z, x, scale, out):
    out[:] = scale * (z - x)
    out.tofile(Path(__file__).parent / "answers")
