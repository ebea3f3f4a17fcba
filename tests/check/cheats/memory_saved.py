"""Answers are kept in a file.

Family: memory
Refused: it uses files: np.save
"""

import numpy as np


def bce_gradient(z, x, scale, out):
    out[:] = scale * (z - x)
    np.save("answers.npy", out)
