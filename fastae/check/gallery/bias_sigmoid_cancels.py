"""Digits cancel where σ is small.

(1 + tanh(t / 2)) / 2 is the same function, but for negative t it subtracts two numbers that are nearly alike: of a
small σ few digits are left, or none.

Cause: tanh is near −1 there

Verdict: imprecise
"""

import numpy as np


def bias_sigmoid(z, bias, out):
    out[:] = 0.5 * (1 + np.tanh((z + bias) / 2))
