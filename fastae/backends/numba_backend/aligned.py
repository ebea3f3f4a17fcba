"""Arrays whose rows begin at cache lines."""

from typing import Any

import numpy as np

LINE = 64  # bytes of a cache line


def aligned(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Return an array of zeros whose rows begin at cache lines, an odd number of lines apart.

    A vector that straddles two lines costs two accesses. Rows whose distance is a power of two compete for the same few
    sets of the cache.
    """
    itemsize = np.dtype(dtype).itemsize
    lines = -(-shape[-1] * itemsize // LINE)
    row = (lines + (lines % 2 == 0) * (len(shape) > 1)) * LINE // itemsize
    count = int(np.prod(shape[:-1])) * row
    raw = np.zeros(count * itemsize + LINE, np.uint8)
    first = -raw.ctypes.data % LINE
    whole = raw[first : first + count * itemsize].view(dtype).reshape(*shape[:-1], row)
    return whole[..., : shape[-1]]
