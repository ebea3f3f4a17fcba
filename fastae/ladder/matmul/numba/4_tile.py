"""Tiles: four rows and four vectors of out are summed in registers, from the first k to the last.

Idea: the loops before store every partial sum and load it again. A tile of r rows and c vectors keeps its r · c sums
in registers, and takes r + c loads for r · c multiply-adds, 8 for 16, and no store. Numba code cannot name registers:
`columns_by_tiles` generates the instructions (fastae/backends/numba_backend/tiles.py). (Goto and van de Geijn,
Anatomy of high-performance matrix multiplication, 2008.)

Predicted: 2.5 times, after which the multiply-adds are the limit, no longer the loads and stores.

Hint: use tiles of ROWS rows from i on while that many rows are left; each call computes columns 0 to n. a, b and the
list of k start at the piece's first k; the old out is multiplied by beta in the first piece, and by 1 in the others.
"""

import numpy as np
from numba import njit

from fastae.backends.numba_backend.kernels import columns_by_tiles
from fastae.backends.numba_backend.tiles import OUTER, OUTER_ROW

PLAIN, TRANSPOSED = columns_by_tiles(OUTER_ROW, False), columns_by_tiles(OUTER_ROW, True)
PLAIN_TILE, TRANSPOSED_TILE = columns_by_tiles(OUTER, False), columns_by_tiles(OUTER, True)
ROWS, K_BLOCK = OUTER.rows, 512
ALL = np.arange(0)  # the list of k, for a tile that leaves some out; these do not


@njit(error_model="numpy")
def matmul(a, b, out, trans_a, trans_b, alpha, beta):
    (m, n), A = out.shape, a.T if trans_a else a
    depth, whole = A.shape[1], m // ROWS * ROWS
    for k in range(0, 0 if trans_b else max(1, depth), K_BLOCK):
        length, keep = min(K_BLOCK, depth - k), beta if k == 0 else 1.0
        # idea
        for i in range(0, whole, ROWS):
            if trans_a:
                TRANSPOSED_TILE(a[k:], b[k:], out, ALL, length, alpha, keep, i, 0, n)
            else:
                PLAIN_TILE(a[:, k:], b[k:], out, ALL, length, alpha, keep, i, 0, n)
        # end
        for i in range(whole, m):
            if trans_a:
                TRANSPOSED(a[k:], b[k:], out, ALL, length, alpha, keep, i, 0, n)
            else:
                PLAIN(a[:, k:], b[k:], out, ALL, length, alpha, keep, i, 0, n)
    for i in range(m if trans_b else 0):
        for j in range(n):
            total = 0.0
            for k in range(depth):
                total += A[i, k] * b[j, k]
            out[i, j] = alpha * total if beta == 0 else alpha * total + beta * out[i, j]
