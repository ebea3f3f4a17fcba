"""In place: every operation writes into out.

Idea: no new arrays are needed. New memory is expensive: the operating system provides it page by page, filled with
zeros, and takes it back afterwards. out stays in the cache from one operation to the next, if it fits.

Predicted: 1.5 times, from some ten passes over memory, five of them fresh, to five over one array.

Hint: np.add(z, bias, out=out), and so on: 0 − out, np.exp, += 1, np.divide, each with out=out.
"""

import numpy as np


def bias_sigmoid(z, bias, out):
    with np.errstate(over="ignore"):
        # idea
        np.add(z, bias, out=out)
        np.subtract(0, out, out=out)  # np.negative of NumPy 2.4 is wrong in a column of every 4th float
        np.exp(out, out=out)
        out += 1
        np.divide(1, out, out=out)
        # end
