"""Panels: all rows are multiplied by a few columns of b while these are in the cache.

Idea: with one row of tiles after the other, all of b passes through the cache for every four rows of out. A panel of
b, as wide as a tile, has 512 rows of 256 bytes: it stays in the cache while all rows are multiplied by it.

Predicted: 1.1 times where b fits in the second-level cache anyway, as here; more where it does not.

Hint: a loop over panels of PANEL columns around the loop over tiles; a tile computes columns j to min(j + PANEL, n).
"""

import numpy as np
from numba import njit

from fastae.backends.numba_backend.kernels import columns_by_tiles
from fastae.backends.numba_backend.machine import MACHINE
from fastae.backends.numba_backend.tiles import OUTER, OUTER_ROW

PLAIN, TRANSPOSED = columns_by_tiles(OUTER_ROW, False), columns_by_tiles(OUTER_ROW, True)
PLAIN_TILE, TRANSPOSED_TILE = columns_by_tiles(OUTER, False), columns_by_tiles(OUTER, True)
ROWS, K_BLOCK = OUTER.rows, 512
ALL = np.arange(0)  # the list of k, for a tile that leaves some out; these do not
PANEL = OUTER.across * MACHINE.vector_bytes // 4


@njit(error_model="numpy")
def matmul(a, b, out, trans_a, trans_b, alpha, beta):
    (m, n), A = out.shape, a.T if trans_a else a
    depth, whole = A.shape[1], m // ROWS * ROWS
    for k in range(0, 0 if trans_b else max(1, depth), K_BLOCK):
        length, keep = min(K_BLOCK, depth - k), beta if k == 0 else 1.0
        # idea
        for j in range(0, n, PANEL):
            for i in range(0, whole, ROWS):
                if trans_a:
                    TRANSPOSED_TILE(a[k:], b[k:], out, ALL, length, alpha, keep, i, j, min(j + PANEL, n))
                else:
                    PLAIN_TILE(a[:, k:], b[k:], out, ALL, length, alpha, keep, i, j, min(j + PANEL, n))
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
