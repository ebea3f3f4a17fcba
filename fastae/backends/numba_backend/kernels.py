"""The contract's kernels for Numba: loops that lay tiles and sweeps over arrays."""

import numpy as np

from fastae.backends.numba_backend import elementwise as ew
from fastae.backends.numba_backend.jit import jit
from fastae.backends.numba_backend.machine import MACHINE
from fastae.backends.numba_backend.tiles import FORWARD, FORWARD_EDGE, ROWS, UPDATE, UPDATE_EDGE, dot_tile

ALL = np.arange(512)  # the list of all units, for those who leave none out; longer ones are taken in pieces
PIECE = len(ALL)
ROW_BLOCK = 128  # images whose activations stay in the cache while the columns go by

F_MANY_3, F_MANY_2, F_MANY_1, F_MANY_EDGE = *(FORWARD[ROWS, c] for c in (3, 2, 1)), FORWARD_EDGE[ROWS]
F_ONE_3, F_ONE_2, F_ONE_1, F_ONE_EDGE = *(FORWARD[1, c] for c in (3, 2, 1)), FORWARD_EDGE[1]
U_MANY_3, U_MANY_2, U_MANY_1, U_MANY_EDGE = *(UPDATE[ROWS, c] for c in (3, 2, 1)), UPDATE_EDGE[ROWS]
U_ONE_3, U_ONE_2, U_ONE_1, U_ONE_EDGE = *(UPDATE[1, c] for c in (3, 2, 1)), UPDATE_EDGE[1]
DOT_ROWS = 4 if MACHINE.registers == 32 else 2
DOT_MANY, DOT_ROW, DOT_ONE = dot_tile(DOT_ROWS, 4), dot_tile(1, 8), dot_tile(1, 1)
VECTOR_BYTES = MACHINE.vector_bytes


@jit
def lanes(array):
    """Return how many of the array's elements make a vector."""
    return VECTOR_BYTES // array.itemsize


@jit
def vectors_of(left):
    """Return how many vectors of columns the next tile takes of those left: three, but not so that one is left over."""
    return 3 if left >= 3 and left != 4 else 2 if left >= 2 else 1


@jit
def multiply_units(a, b, out, units, alpha, beta):
    """Write alpha · a[:, units] b[units] + beta · out."""
    L, m, n = lanes(out), out.shape[0], out.shape[1]
    for top in range(0, m, ROW_BLOCK):
        bottom = min(top + ROW_BLOCK, m)
        many = top + (bottom - top) // ROWS * ROWS
        j = 0
        while j < n:
            vectors = vectors_of((n - j) // L)
            left = n - j
            for i in range(top, many, ROWS):
                if left < L:
                    F_MANY_EDGE(a, b, out, units, alpha, beta, i, j, left)
                elif vectors == 3:
                    F_MANY_3(a, b, out, units, alpha, beta, i, j, 0)
                elif vectors == 2:
                    F_MANY_2(a, b, out, units, alpha, beta, i, j, 0)
                else:
                    F_MANY_1(a, b, out, units, alpha, beta, i, j, 0)
            for i in range(many, bottom):
                if left < L:
                    F_ONE_EDGE(a, b, out, units, alpha, beta, i, j, left)
                elif vectors == 3:
                    F_ONE_3(a, b, out, units, alpha, beta, i, j, 0)
                elif vectors == 2:
                    F_ONE_2(a, b, out, units, alpha, beta, i, j, 0)
                else:
                    F_ONE_1(a, b, out, units, alpha, beta, i, j, 0)
            j += vectors * L


@jit
def multiply_transposed_units(a, b, out, units, alpha, beta):
    """Write alpha · a[:, units]ᵀ b + beta · out[units] into those rows of out."""
    L, n = lanes(out), out.shape[1]
    many = units.size // ROWS * ROWS
    j = 0
    while j < n:
        vectors = vectors_of((n - j) // L)
        left = n - j
        for i in range(0, many, ROWS):
            if left < L:
                U_MANY_EDGE(a, b, out, units, alpha, beta, i, j, left)
            elif vectors == 3:
                U_MANY_3(a, b, out, units, alpha, beta, i, j, 0)
            elif vectors == 2:
                U_MANY_2(a, b, out, units, alpha, beta, i, j, 0)
            else:
                U_MANY_1(a, b, out, units, alpha, beta, i, j, 0)
        for i in range(many, units.size):
            if left < L:
                U_ONE_EDGE(a, b, out, units, alpha, beta, i, j, left)
            elif vectors == 3:
                U_ONE_3(a, b, out, units, alpha, beta, i, j, 0)
            elif vectors == 2:
                U_ONE_2(a, b, out, units, alpha, beta, i, j, 0)
            else:
                U_ONE_1(a, b, out, units, alpha, beta, i, j, 0)
        j += vectors * L


@jit
def multiply_by_transposed(a, b, out, alpha, beta):
    """Write alpha · a bᵀ + beta · out."""
    m, n = out.shape
    many, fours, eights = m // DOT_ROWS * DOT_ROWS, n // 4 * 4, n // 8 * 8
    for top in range(0, many, ROW_BLOCK):
        bottom = min(top + ROW_BLOCK, many)
        for j in range(0, fours, 4):
            for i in range(top, bottom, DOT_ROWS):
                DOT_MANY(a, b, out, alpha, beta, i, j)
    for i in range(many, m):
        for j in range(0, eights, 8):
            DOT_ROW(a, b, out, alpha, beta, i, j)
    for i in range(m):
        for j in range(fours if i < many else eights, n):
            DOT_ONE(a, b, out, alpha, beta, i, j)


@jit
def matmul(a, b, out, trans_a=False, trans_b=False, alpha=1.0, beta=0.0):
    """Write alpha · op(a) op(b) + beta · out."""
    if trans_a and trans_b:  # the step has no use for this one, so it is plain
        for i in range(out.shape[0]):
            for j in range(out.shape[1]):
                total = 0.0
                for k in range(a.shape[0]):
                    total += a[k, i] * b[j, k]
                out[i, j] = alpha * total if beta == 0 else alpha * total + beta * out[i, j]
    elif trans_a:
        for first in range(0, out.shape[0], PIECE):
            last = min(first + PIECE, out.shape[0])
            units = ALL[: last - first]
            multiply_transposed_units(a[:, first:last], b, out[first:last], units, alpha, beta)
    elif trans_b:
        multiply_by_transposed(a, b, out, alpha, beta)
    else:
        multiply_units(a[:, :PIECE], b[:PIECE], out, ALL[: min(PIECE, a.shape[1])], alpha, beta)
        for first in range(PIECE, a.shape[1], PIECE):
            last = min(first + PIECE, a.shape[1])
            multiply_units(a[:, first:last], b[first:last], out, ALL[: last - first], alpha, 1.0)


@jit
def bias_sigmoid(z, bias, out):
    """Write σ(z + bias)."""
    ew.SIGMOID(out, z, bias, bias, bias, 0.0)


@jit
def sigmoid_gradient(delta, y, out):
    """Write delta · y · (1 − y)."""
    ew.SLOPE(out, delta, y, y, y, 0.0)


@jit
def mse_gradient(z, x, scale, out):
    """Write 2 · scale · (z − x) · z · (1 − z)."""
    ew.MSE_GRADIENT(out, z, x, x, x, scale)


@jit
def bce_gradient(z, x, scale, out):
    """Write scale · (z − x)."""
    ew.BCE_GRADIENT(out, z, x, x, x, scale)


@jit
def mse_loss(z, x, out):
    """Write Σ (z − x)² for each image."""
    ew.MSE_LOSS(z, z, x, x, out, 0.0)


@jit
def bce_loss(z, x, out):
    """Write the cross-entropy of each image, the logarithms floored at −100."""
    ew.BCE_LOSS(z, z, x, x, out, 0.0)


@jit
def column_sum(delta, out, alpha=1.0, beta=0.0):
    """Write alpha · Σ_rows delta + beta · out."""
    ew.COLUMN_SUM(delta, out, alpha, beta)


@jit
def axpy(alpha, x, y):
    """Add alpha · x to y, both matrices."""
    ew.ADD_SCALED(y, y, x, x, x, alpha)


@jit
def gather(images, order, cursor, offset, out):
    """Write rows order[cursor[0] + offset + i] of the images, divided by 255."""
    first = cursor[0] + offset
    for i in range(out.shape[0]):
        image = images[order[first + i] : order[first + i] + 1]
        ew.DIVIDE_BY_255(out[i : i + 1], image, image, image, image, 0.0)


@jit
def advance(cursor, n):
    """Add n to cursor[0]."""
    cursor[0] += n
