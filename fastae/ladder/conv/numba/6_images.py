"""Without the patches: the rows of a tile are images, and the same patch of each is read in place.

Idea: a row of a patch, all its pixels and their channels, is contiguous in the image as it is in the patch. So for
one patch, that row of all images is already a matrix: a block of columns of x. It is multiplied by its rows of the
weights, and the products of a patch's rows are added up in out. Numbers outside the image are skipped, not multiplied
as zeros: here 9 % of all. Nothing is copied and nothing allocated.

Predicted: 1.6 times: of 21 thousand cycles for an image, the 7 thousand for copying are no longer needed, nor 9 % of
the 14 thousand for the multiply-adds.

Hint: x[:, pixel + k:] begins with the piece's first number, weights[tap + k:] with its weights, and length numbers
belong to it. The rows of some, and of x, are images: tiles of ROWS of them while there are so many, then ROW for
each.
"""

import numpy as np
from numba import njit

from fastae.backends.numba_backend.kernels import columns_by_tiles
from fastae.backends.numba_backend.tiles import OUTER, OUTER_ROW

TILE, ROW = columns_by_tiles(OUTER, False), columns_by_tiles(OUTER_ROW, False)
ROWS, K_BLOCK = OUTER.rows, 512
ALL = np.arange(0)  # the list of k, for a tile that leaves some out; these do not


@njit(error_model="numpy")
def convolve(x, weights, height, width, kernel, stride, padding, out):
    rows, columns = (height + 2 * padding - kernel) // stride + 1, (width + 2 * padding - kernel) // stride + 1
    channels, n, whole = x.shape[1] // (height * width), out.shape[1], x.shape[0] // ROWS * ROWS
    for patch in range(rows * columns):
        top, left = patch // columns * stride - padding, patch % columns * stride - padding
        first, last = max(0, -left), min(kernel, width - left)
        some = out[patch :: rows * columns]  # the outputs of this patch, a row for each image
        keep = 0.0
        for i in range(max(0, -top), min(kernel, height - top)):
            pixel, tap = ((top + i) * width + left + first) * channels, (i * kernel + first) * channels
            for k in range(0, (last - first) * channels, K_BLOCK):
                length = min(K_BLOCK, (last - first) * channels - k)
                # idea
                for image in range(0, whole, ROWS):
                    TILE(x[:, pixel + k :], weights[tap + k :], some, ALL, length, 1.0, keep, image, 0, n)
                for image in range(whole, x.shape[0]):
                    ROW(x[:, pixel + k :], weights[tap + k :], some, ALL, length, 1.0, keep, image, 0, n)
                # end
                keep = 1.0
