"""Bytes are taken as numbers with a sign, so greys above 127 come out negative.

The bits of 200 are those of −56 in int8. Images are uint8: convert to the type of out first, then divide.

Cause: a byte is taken as a number with a sign
"""

import numpy as np


def gather(images, order, cursor, offset, out):
    first = int(cursor[0]) + offset
    out[:] = images[order[first : first + len(out)]].view(np.int8) / out.dtype.type(255)
