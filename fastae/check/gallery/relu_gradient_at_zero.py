"""The delta passes where the output is 0 too: >= where > is meant.

The gradient has only relu's output, which is 0 wherever the unit is off. So y >= 0 holds everywhere, and it is as if
there were no relu.

Cause: delta where y is 0 too
"""

import numpy as np


def relu_gradient(delta, y, out):
    out[:] = np.where(y >= 0, delta, 0)
