"""The border is dropped: patches that lie partly in the padding are left 0.

The loop goes over the patches that lie wholly inside the image. What is at its edge is never seen. Right without
padding.

Cause: the border is dropped
"""

import numpy as np


def unfold(x, height, width, kernel, stride, padding, out):
    m, rows = len(x), (height + 2 * padding - kernel) // stride + 1
    columns = (width + 2 * padding - kernel) // stride + 1
    images = x.reshape(m, height, width, -1)
    patches = np.zeros((m, rows, columns, kernel, kernel, images.shape[3]), x.dtype)
    for r in range(rows):
        for c in range(columns):
            top, left = r * stride - padding, c * stride - padding
            if 0 <= top <= height - kernel and 0 <= left <= width - kernel:
                patches[:, r, c] = images[:, top : top + kernel, left : left + kernel]
    out[:] = patches.reshape(out.shape)
