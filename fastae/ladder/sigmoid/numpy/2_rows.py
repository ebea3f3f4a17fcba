"""A row at a time: the loop over columns is in NumPy.

Idea: NumPy's functions loop over a row in compiled code, with vectors where the machine has them; the interpreter
executes five operations per row instead of ten per element. e^−t may become infinite, which gives the correct 1 / ∞ =
0; the warning of NumPy is suppressed.

Predicted: 60 times: five calls of some 0.7 µs and 784 elements of 1 ns, instead of 784 of 0.3 µs.

Hint: the definition, with row z[i] and np.exp.
"""

import numpy as np


def bias_sigmoid(z, bias, out):
    for i in range(out.shape[0]):
        with np.errstate(over="ignore"):
            # idea
            out[i] = 1 / (1 + np.exp(-(z[i] + bias)))
            # end
