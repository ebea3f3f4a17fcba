"""Products with a matrix of images, most of whose elements are exactly zero: zeros are left out of the sums.

Of MNIST's pixels 81% are dark, that is zero, and dark pixels are adjacent. A tile computes two rows at a time, so it
can only leave out what is dark in both rows: 71% for the same pixel of two images (forward), 78% for two neighbouring
pixels of an image (update), whatever the batch size. With four rows these would be 61% and 72%. Weights that are
multiplied only by dark pixels are neither read nor written.
"""

import numpy as np

from fastae.backends.numba_backend.internals import intrinsic, ir, types
from fastae.backends.numba_backend.jit import jit
from fastae.backends.numba_backend.kernels import K_BLOCK, ROW_BLOCK, columns_by_tiles, end_of_panel
from fastae.backends.numba_backend.link import linked
from fastae.backends.numba_backend.simd import I8, I32, I64, Array, Vector, index
from fastae.backends.numba_backend.tiles import LISTED, LISTED_ROW

FORWARD_ROWS, FORWARD_ROW = (columns_by_tiles(shape, False, listed=True) for shape in (LISTED, LISTED_ROW))
UPDATE_ROWS, UPDATE_ROW = (columns_by_tiles(shape, True, listed=True) for shape in (LISTED, LISTED_ROW))
ROWS, PANEL = LISTED.rows, 2 * LISTED.across
BYTE = 8  # elements that are compared with 0 at once; their results are the bits of a byte
STRIPS = 16  # strips of ROWS rows of the output that use a block of weights while it is in the cache
PLACES = np.array([([k for k in range(BYTE) if bits >> k & 1] + BYTE * [0])[:BYTE] for bits in range(2**BYTE)], "u1")


def buffer_size(width: int) -> int:
    """Return how many integers the lists of a layer with ``width`` units need, temporary ones included."""
    return (STRIPS + 2) * (max(width, ROW_BLOCK) + BYTE)


@jit
def has_zeros(a):
    """Tell whether the first row contains a zero; the output of a sigmoid does not."""
    for j in range(a.shape[1] if a.shape[0] else 0):  # noqa: SIM110  Numba has no any() of a generator
        if a[0, j] == 0:
            return True
    return False


@intrinsic
def nonzero_byte(typing_context, a, i, j):
    """Return an integer whose bit k tells whether a[i, j + k] is not 0, for k < BYTE."""

    def generate(context, builder, signature, arguments):
        A = Array(context, builder, signature.args[0], arguments[0])
        v = Vector(builder, a.dtype, BYTE)
        nonzero = builder.fcmp_unordered("!=", v.load(A.at(*arguments[1:])), v.zero())
        return builder.zext(builder.bitcast(nonzero, I8), I64)

    return types.int64(a, types.intp, types.intp), generate


@jit
def nonzero_bits(a, i, j, last):
    """Return the same as `nonzero_byte` for fewer than BYTE elements: the columns from j to ``last``."""
    bits = 0
    for k in range(j, last):
        bits |= (a[i, k] != 0) << (k - j)
    return bits


@intrinsic
def append(typing_context, ks, at, first, bits, places):
    """Append first + k to a list for each set bit k of a byte, from index ``at`` on; return the list's new end.

    A table, PLACES, has the set bits of every byte, so there are no branches, which could not be predicted.
    """

    def generate(context, builder, signature, arguments):
        KS, PLACES = (Array(context, builder, signature.args[n], arguments[n]) for n in (0, 4))
        at, first, bits = arguments[1:4]
        numbers = Vector(builder, types.float32, BYTE)  # for its type of integers
        row = builder.load(builder.bitcast(PLACES.at(bits, index(0)), ir.VectorType(I8, BYTE).as_pointer()))
        row.align = 1
        many = builder.add(builder.zext(row, numbers.ints), numbers.splat_integer(builder.trunc(first, I32)))
        builder.store(many, builder.bitcast(KS.at(index(0), at), numbers.ints.as_pointer())).align = 4
        return builder.add(at, builder.ctpop(bits))

    return types.intp(ks, types.intp, types.intp, types.int64, places), generate


@jit
def list_columns(a, top, bottom, first, last, ks, at):
    """List the columns from first to last in which not all rows are zero; return the end of the list."""
    whole = first + (last - first) // BYTE * BYTE
    for j in range(first, whole, BYTE):
        bits = nonzero_byte(a, top, j)
        for i in range(top + 1, bottom):
            bits |= nonzero_byte(a, i, j)
        at = append(ks, at, j, bits, PLACES)
    if whole < last:
        bits = nonzero_bits(a, top, whole, last)
        for i in range(top + 1, bottom):
            bits |= nonzero_bits(a, i, whole, last)
        at = append(ks, at, whole, bits, PLACES)
    return at


@linked("mmML")
def multiply(a, b, out, ks):
    """Write a b; ``ks`` is a buffer of `buffer_size` integers."""
    m, n, width = out.shape[0], out.shape[1], a.shape[1]
    k_blocks = max(1, -(-width // K_BLOCK))
    length = max(BYTE, -(-width // (k_blocks * BYTE)) * BYTE)
    spacing = width + BYTE
    ends = ks[STRIPS * spacing :]
    many = m // ROWS * ROWS
    for top in range(0, many, STRIPS * ROWS):
        bottom = min(top + STRIPS * ROWS, many)
        for i in range(top, bottom, ROWS):
            strip = (i - top) // ROWS
            at = strip * spacing
            for k_block in range(k_blocks):
                first = min(width, k_block * length)
                at = list_columns(a, i, i + ROWS, first, min(width, first + length), ks, at)
                ends[strip * k_blocks + k_block] = at
        for k_block in range(k_blocks):
            keep = 0.0 if k_block == 0 else 1.0
            j = 0
            while j < n:
                stop = end_of_panel(j, PANEL, out)
                for i in range(top, bottom, ROWS):
                    strip = (i - top) // ROWS
                    first = ends[strip * k_blocks + k_block - 1] if k_block else strip * spacing
                    depth = ends[strip * k_blocks + k_block] - first
                    if depth or k_block == 0:
                        FORWARD_ROWS(a, b, out, ks[first:], depth, 1.0, keep, i, j, stop)
                j = stop
    for i in range(many, m):
        FORWARD_ROW(a, b, out, ks, list_columns(a, i, i + 1, 0, width, ks, 0), 1.0, 0.0, i, 0, n)


@intrinsic
def any_of(typing_context, words, at, mask):
    """Return a byte whose bit k tells whether words[at + k] has any of the mask's bits."""

    def generate(context, builder, signature, arguments):
        WORDS = Array(context, builder, signature.args[0], arguments[0])
        numbers = Vector(builder, types.float32, BYTE)
        many = builder.load(builder.bitcast(WORDS.at(index(0), arguments[1]), numbers.ints.as_pointer()))
        many.align = 4
        masked = builder.and_(many, numbers.splat_integer(builder.trunc(arguments[2], I32)))
        return builder.zext(builder.bitcast(builder.icmp_unsigned("!=", masked, numbers.integers(0)), I8), I64)

    return types.int64(words, types.intp, types.int64), generate


@jit
def list_rows(a, first, last, top, bottom, ks, words, ends, spacing):
    """List, for each group of ROWS columns from first to last, the rows in which they are not all zero.

    The lists begin every ``spacing`` integers; ``ends`` gets their ends.
    """
    high = -(-(bottom - top) // BYTE) * BYTE
    for i in range(top, bottom):
        words[i - top] = nonzero_byte(a, i, first) if last == first + BYTE else nonzero_bits(a, i, first, last)
    for w in range(bottom - top, high):
        words[w] = 0
    for strip in range((last - first) // ROWS):
        at = strip * spacing
        for w in range(0, high, BYTE):
            at = append(ks, at, top + w, any_of(words, w, ((1 << ROWS) - 1) << strip * ROWS), PLACES)
        ends[strip] = at


@linked("mmMffL")
def multiply_transposed(a, b, out, alpha, beta, ks):
    """Write alpha · aᵀ b + beta · out; ``ks`` is a buffer of `buffer_size` integers."""
    m, n = b.shape
    spacing = ROW_BLOCK + BYTE
    words, ends = ks[BYTE * spacing : (BYTE + 1) * spacing], ks[(BYTE + 1) * spacing :]
    many = out.shape[0] // ROWS * ROWS
    for top in range(0, max(1, m), ROW_BLOCK):
        bottom, keep = min(top + ROW_BLOCK, m), beta if top == 0 else 1.0
        for begin in range(0, many, BYTE):
            end = min(begin + BYTE, many)
            list_rows(a, begin, end, top, bottom, ks, words, ends, spacing)
            for i in range(begin, end, ROWS):
                strip = (i - begin) // ROWS
                depth = ends[strip] - strip * spacing
                if depth or keep != 1:
                    UPDATE_ROWS(a, b, out, ks[strip * spacing :], depth, alpha, keep, i, 0, n)
        for i in range(many, out.shape[0]):
            depth = 0
            for k in range(top, bottom):
                ks[depth] = k
                depth += a[k, i] != 0
            if depth or keep != 1:
                UPDATE_ROW(a, b, out, ks, depth, alpha, keep, i, 0, n)
