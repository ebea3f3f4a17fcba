"""Fewer passes: numbers are multiplied first, arrays last, and the last product is written to out directly.

Idea: 2 · scale · (z − x) · z · (1 − z) from left to right is five operations on arrays, with five new arrays and a
copy into out. Paired as (z − x) · (z · (1 − z)) and then scaled in place it is five operations, with three new arrays
and no copy.

Predicted: 1.3 times, from six passes that write to five, three of them to new memory instead of five.

Hint: np.multiply(z − x, z · (1 − z), out=out), then out *= 2 · scale in out's own type.
"""

import numpy as np


def mse_gradient(z, x, scale, out):
    # idea
    np.multiply(z - x, z * (1 - z), out=out)
    out *= out.dtype.type(2 * scale)
    # end
