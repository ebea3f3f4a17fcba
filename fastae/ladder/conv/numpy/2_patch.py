"""A patch at a time: its pixels are copied into one row, and the row times the weights is one call.

Idea: a patch is a block of the image, rows and columns of it, so that NumPy can copy it in one call. As a row, it is
multiplied by all kernels in another (BLAS, level 2). The overhead of the interpreter occurs once for each patch, and
no longer for each multiplication.

Predicted: 230 times: for a patch 144 · 32 multiplications of a quarter of a microsecond become a copy and a product,
together 5 µs.

Hint: the patch is images[image, top : top + kernel, left : left + kernel], all zeros around the image being there.
"""

import numpy as np


def convolve(x, weights, height, width, kernel, stride, padding, out):
    rows, columns = (height + 2 * padding - kernel) // stride + 1, (width + 2 * padding - kernel) // stride + 1
    channels = x.shape[1] // (height * width)
    images = x.reshape(len(x), height, width, channels)
    images = np.pad(images, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    for p in range(out.shape[0]):
        image, patch = p // (rows * columns), p % (rows * columns)
        top, left = patch // columns * stride, patch % columns * stride
        # idea
        row = images[image, top : top + kernel, left : left + kernel].reshape(-1)
        out[p] = row @ weights
        # end
