"""Tiles: the outputs of a few patches are summed in registers, from the first number of a patch to the last.

Idea: the loops before store every partial sum and load it again. A tile of r patches and c vectors of outputs keeps
its r · c sums in registers, and takes r + c loads for r · c multiply-adds, and no store. Numba code cannot name
registers: `columns_by_tiles` generates the instructions, as in the matrix product's ladder. (Goto and van de Geijn,
Anatomy of high-performance matrix multiplication, 2008.)

Predicted: 1.3 times: the multiply-adds of a vector, two a cycle, take 14 thousand cycles instead of 21 thousand for
their loads and stores; copying the patches still takes 7 thousand.

Hint: tiles of ROWS patches from p on while there are so many, then ROW for each; a call computes columns 0 to n of
some. The patches and the weights begin at the piece's first k; keep says whether what is there already counts.
"""

import numpy as np
from numba import njit

from fastae.backends.numba_backend.kernels import columns_by_tiles
from fastae.backends.numba_backend.tiles import OUTER, OUTER_ROW

TILE, ROW = columns_by_tiles(OUTER, False), columns_by_tiles(OUTER_ROW, False)
ROWS, K_BLOCK = OUTER.rows, 512
ALL = np.arange(0)  # the list of k, for a tile that leaves some out; these do not


@njit(error_model="numpy")
def to_rows(x, image, height, width, kernel, stride, padding, columns, patches):
    channels = x.shape[1] // (height * width)
    for p in range(patches.shape[0]):
        top, left, q = p // columns * stride - padding, p % columns * stride - padding, 0
        for i in range(top, top + kernel):
            for j in range(left, left + kernel):
                inside, pixel = 0 <= i < height and 0 <= j < width, (i * width + j) * channels
                for c in range(channels):
                    patches[p, q + c] = x[image, pixel + c] if inside else 0
                q += channels


@njit(error_model="numpy")
def convolve(x, weights, height, width, kernel, stride, padding, out):
    rows, columns = (height + 2 * padding - kernel) // stride + 1, (width + 2 * padding - kernel) // stride + 1
    patches = np.empty((rows * columns, weights.shape[0]), x.dtype)
    (depth, n), whole = weights.shape, rows * columns // ROWS * ROWS
    for image in range(x.shape[0]):
        to_rows(x, image, height, width, kernel, stride, padding, columns, patches)
        some = out[image * rows * columns : (image + 1) * rows * columns]
        for k in range(0, depth, K_BLOCK):
            length, keep = min(K_BLOCK, depth - k), 0.0 if k == 0 else 1.0
            # idea
            for p in range(0, whole, ROWS):
                TILE(patches[:, k:], weights[k:], some, ALL, length, 1.0, keep, p, 0, n)
            for p in range(whole, rows * columns):
                ROW(patches[:, k:], weights[k:], some, ALL, length, 1.0, keep, p, 0, n)
            # end
