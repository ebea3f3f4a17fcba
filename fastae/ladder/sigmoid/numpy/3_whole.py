"""All at once: the loop over rows is in NumPy too.

Idea: the interpreter executes five operations for the whole batch. Each of them writes a new array, which the next
one reads. If these arrays do not fit in the cache, memory is the limit.

Predicted: 5 times: a row's calls took 4 µs and its arithmetic 0.8; now the calls are shared by 128 rows.

Hint: the definition without a loop: bias is added to every row by itself (NumPy calls it broadcasting).
"""

import numpy as np


def bias_sigmoid(z, bias, out):
    with np.errstate(over="ignore"):
        # idea
        out[:] = 1 / (1 + np.exp(-(z + bias)))
        # end
