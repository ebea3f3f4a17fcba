"""The contract's kernels for Numba: loops that cover arrays with tiles and sweeps."""

from typing import Any

import numpy as np

from fastae.backends.contract import KERNELS
from fastae.backends.numba_backend import activations
from fastae.backends.numba_backend import elementwise as ew
from fastae.backends.numba_backend.jit import jit
from fastae.backends.numba_backend.link import linked
from fastae.backends.numba_backend.machine import MACHINE
from fastae.backends.numba_backend.tiles import DOT, DOT_ROW, OUTER, OUTER_ROW, UNROLL, Shape, dot_tile, outer_tile

ALL = np.arange(0)  # an unused list: tiles that are not listed sum over all k
K_BLOCK = 512 if MACHINE.vector_bytes == 64 else 256  # terms of a sum: a panel of as many rows of b stays in the cache
ROW_BLOCK = 128  # images in a block: their activations stay in the cache during the loop over a layer's units
VECTOR_BYTES = MACHINE.vector_bytes
PREFETCH_DISTANCE = 16  # how many images ahead to prefetch: their order is random, so the hardware cannot predict it
NEAR_BYTES = 16 * 1024  # half of a small first-level cache


@jit
def lanes(array):
    """Return how many of the array's elements fit in a vector."""
    return VECTOR_BYTES // array.itemsize


def columns_by_tiles(shape: Shape, trans_a: bool, listed: bool = False):
    """Make the function that computes ``shape.rows`` rows of a product, one tile of columns after another."""
    rows, most = shape
    middle = (most + 1) // 2
    two_middle = 2 * middle if 2 * middle > most else 0  # with tiles of 3 and 2, 4 vectors are 2 + 2, not 3 + 1
    unroll = UNROLL if rows > 1 or listed else 1
    wide, half, narrow = (
        outer_tile(rows, c, trans_a, listed, unroll=u) for c, u in ((most, unroll), (middle, unroll), (1, 1))
    )
    edge = outer_tile(rows, 1, trans_a, listed, masked=True)

    @jit(name=f"columns_{rows}_{most}_{'transposed' if trans_a else 'plain'}_{'listed' if listed else 'all'}")
    def columns(a, b, out, ks, depth, alpha, beta, i, j, stop):
        """Compute the rows from i on, columns from j to stop."""
        L = lanes(out)
        while j + most * L <= stop and (stop - j) // L != two_middle:
            wide(a, b, out, ks, depth, alpha, beta, i, j, 0)
            j += most * L
        while j + middle * L <= stop:
            half(a, b, out, ks, depth, alpha, beta, i, j, 0)
            j += middle * L
        while j + L <= stop:
            narrow(a, b, out, ks, depth, alpha, beta, i, j, 0)
            j += L
        if j < stop:
            edge(a, b, out, ks, depth, alpha, beta, i, j, stop - j)

    return columns


FORWARD_ROWS, FORWARD_ROW = columns_by_tiles(OUTER, False), columns_by_tiles(OUTER_ROW, False)
UPDATE_ROWS, UPDATE_ROW = columns_by_tiles(OUTER, True), columns_by_tiles(OUTER_ROW, True)
DOT_TILE, DOT_ROW_TILE, DOT_ONE = dot_tile(*DOT, UNROLL), dot_tile(*DOT_ROW), dot_tile(1, 1)
DOT_PAIR = dot_tile(2, DOT.across, UNROLL)
DOT_BLOCK = ROW_BLOCK // DOT.rows * DOT.rows
OUTER_ROWS, PANEL, DOT_ROWS, DOT_COLUMNS, DOT_ROW_COLUMNS = OUTER.rows, OUTER.across, *DOT, DOT_ROW.across


@jit
def end_of_panel(j, panel, out):
    """Return the end of the panel that begins in column j; a rest of less than two vectors is added to the panel."""
    stop, n = j + panel * lanes(out), out.shape[1]
    return n if n - stop < 2 * lanes(out) else stop


@jit
def near_panels(depth):
    """Return how many panels of ``depth`` rows fit in NEAR_BYTES, to be treated as one wide panel."""
    return max(1, NEAR_BYTES // max(1, depth * PANEL * VECTOR_BYTES))


@linked("mmMff")
def multiply(a, b, out, alpha, beta):
    """Write alpha · a b + beta · out."""
    m, n = out.shape
    for first in range(0, max(1, b.shape[0]), K_BLOCK):
        a_part, b_part = a[:, first : first + K_BLOCK], b[first : first + K_BLOCK]
        depth = b_part.shape[0]
        keep = beta if first == 0 else 1.0
        for top in range(0, m, ROW_BLOCK):
            bottom = min(top + ROW_BLOCK, m)
            many = top + (bottom - top) // OUTER_ROWS * OUTER_ROWS
            j = 0
            while j < n and many > top:  # a panel of b stays in the cache for the next rows
                stop = end_of_panel(j, PANEL, out)
                for i in range(top, many, OUTER_ROWS):
                    FORWARD_ROWS(a_part, b_part, out, ALL, depth, alpha, keep, i, j, stop)
                j = stop
            for i in range(many, bottom):
                FORWARD_ROW(a_part, b_part, out, ALL, depth, alpha, keep, i, 0, n)


@linked("mmMff")
def multiply_transposed(a, b, out, alpha, beta):
    """Write alpha · aᵀ b + beta · out."""
    n = out.shape[1]
    many = out.shape[0] // OUTER_ROWS * OUTER_ROWS
    for top in range(0, max(1, b.shape[0]), ROW_BLOCK):
        a_part, b_part = a[top : top + ROW_BLOCK], b[top : top + ROW_BLOCK]
        depth = b_part.shape[0]
        panel = near_panels(depth) * PANEL
        keep = beta if top == 0 else 1.0
        j = 0
        while j < n:
            stop = end_of_panel(j, panel, out)
            for i in range(0, many, OUTER_ROWS):
                UPDATE_ROWS(a_part, b_part, out, ALL, depth, alpha, keep, i, j, stop)
            j = stop
        for i in range(many, out.shape[0]):
            UPDATE_ROW(a_part, b_part, out, ALL, depth, alpha, keep, i, 0, n)


@linked("mmMff")
def multiply_by_transposed(a, b, out, alpha, beta):
    """Write alpha · a bᵀ + beta · out."""
    m, n = out.shape
    many, whole, row = m // DOT_ROWS * DOT_ROWS, n // DOT_COLUMNS * DOT_COLUMNS, n // DOT_ROW_COLUMNS * DOT_ROW_COLUMNS
    if DOT_ROWS == 3 and m - many == 1 and many:
        many -= DOT_ROWS  # take the last four rows as two pairs: a single row would read all of b again
    paired = many + (m - many) // 2 * 2
    for top in range(0, max(many, 1), DOT_BLOCK):
        bottom = min(top + DOT_BLOCK, many)
        for j in range(0, whole, DOT_COLUMNS):
            for i in range(top, bottom, DOT_ROWS):
                DOT_TILE(a, b, out, alpha, beta, i, j)
            if bottom == many:
                for i in range(many, paired, 2):
                    DOT_PAIR(a, b, out, alpha, beta, i, j)
    for i in range(paired, m):
        for j in range(0, row, DOT_ROW_COLUMNS):
            DOT_ROW_TILE(a, b, out, alpha, beta, i, j)
    for i in range(m):
        for j in range(whole if i < paired else row, n):
            DOT_ONE(a, b, out, alpha, beta, i, j)


@jit
def matmul(a, b, out, trans_a=False, trans_b=False, alpha=1.0, beta=0.0):
    """Write alpha · op(a) op(b) + beta · out."""
    if trans_a and trans_b:  # not optimized: the step does not use this case
        for i in range(out.shape[0]):
            for j in range(out.shape[1]):
                total = 0.0
                for k in range(a.shape[0]):
                    total += a[k, i] * b[j, k]
                out[i, j] = alpha * total if beta == 0 else alpha * total + beta * out[i, j]
    elif trans_a:
        multiply_transposed(a, b, out, alpha, beta)
    elif trans_b:
        multiply_by_transposed(a, b, out, alpha, beta)
    else:
        multiply(a, b, out, alpha, beta)


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
        if first + i + PREFETCH_DISTANCE < order.size:
            ew.prefetch(images, order[first + i + PREFETCH_DISTANCE])
        image = images[order[first + i] : order[first + i] + 1]
        ew.DIVIDE_BY_255(out[i : i + 1], image, image, image, image, 0.0)


@jit
def take(samples, order, cursor, offset, out):
    """Write rows order[cursor[0] + offset + i] of float samples; this kernel is not in the contract."""
    first = cursor[0] + offset
    for i in range(out.shape[0]):
        if first + i + PREFETCH_DISTANCE < order.size:
            ew.prefetch(samples, order[first + i + PREFETCH_DISTANCE])
        sample = samples[order[first + i] : order[first + i] + 1]
        ew.COPY(out[i : i + 1], sample, sample, sample, sample, 0.0)


@jit
def advance(cursor, n):
    """Add n to cursor[0]."""
    cursor[0] += n


@jit
def unfold(x, height, width, kernel, stride, padding, out):
    """Write each patch of each image as a row of ``out``, with 0 in the padding."""
    rows, columns = (height + 2 * padding - kernel) // stride + 1, (width + 2 * padding - kernel) // stride + 1
    channels = x.shape[1] // (height * width)
    for p in range(out.shape[0]):
        image, patch = p // (rows * columns), p % (rows * columns)
        top, left = patch // columns * stride - padding, patch % columns * stride - padding
        q = 0
        for i in range(top, top + kernel):
            for j in range(left, left + kernel):
                inside = 0 <= i < height and 0 <= j < width
                start = (i * width + j) * channels
                for c in range(channels):
                    out[p, q + c] = x[image, start + c] if inside else 0.0
                q += channels


@jit
def fold(x, height, width, kernel, stride, padding, out):
    """Write, for every pixel, the sum of its values in all patches that contain it."""
    rows, columns = (height + 2 * padding - kernel) // stride + 1, (width + 2 * padding - kernel) // stride + 1
    channels = out.shape[1] // (height * width)
    for image in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[image, j] = 0.0
    for p in range(x.shape[0]):
        image, patch = p // (rows * columns), p % (rows * columns)
        top, left = patch // columns * stride - padding, patch % columns * stride - padding
        q = 0
        for i in range(top, top + kernel):
            for j in range(left, left + kernel):
                if 0 <= i < height and 0 <= j < width:
                    start = (i * width + j) * channels
                    for c in range(channels):
                        out[image, start + c] += x[p, q + c]
                q += channels


@jit
def convolve(x, weights, height, width, kernel, stride, padding, out):
    """Write unfold(x) · weights: for each patch and each of its rows one product, of all images and without padding."""
    rows, columns = (height + 2 * padding - kernel) // stride + 1, (width + 2 * padding - kernel) // stride + 1
    channels = x.shape[1] // (height * width)
    for patch in range(rows * columns):
        top, left = patch // columns * stride - padding, patch % columns * stride - padding
        first, last = max(0, -left), min(kernel, width - left)
        keep = 0.0
        for i in range(max(0, -top), min(kernel, height - top)):
            start, tap = ((top + i) * width + left + first) * channels, (i * kernel + first) * channels
            count = max(0, last - first) * channels
            multiply(x[:, start : start + count], weights[tap : tap + count], out[patch :: rows * columns], 1.0, keep)
            keep = 1.0


def __getattr__(name: str) -> Any:
    """Return a kernel of `activations`; raises NotImplementedError if the contract has it but this package lacks it."""
    if name in KERNELS and not hasattr(activations, name):
        raise NotImplementedError(f"the backend 'numba' lacks the kernel {KERNELS[name].signature}")
    return getattr(activations, name)
