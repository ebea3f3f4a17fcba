"""Digits cancel where tanh is small.

2 σ(2 t) − 1 is the same function, but for small t it subtracts two numbers that are nearly alike: tanh(10⁻⁸) becomes 0.

Cause: 2 σ is near 1 there

Verdict: imprecise
"""

import numpy as np


def bias_tanh(z, bias, out):
    out[:] = 2 / (1 + np.exp(-2 * (z + bias))) - 1
