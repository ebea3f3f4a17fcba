"""Products with a matrix of images, of which most is exactly zero: what is zero is left out of the sums.

Of MNIST's pixels 81% are dark, and dark pixels lie together. A tile computes some rows at a time, so what it may leave
out is dark in all of them: of four rows 61% for the same pixel of four images (forward), 72% for four neighbours of an
image (update), whatever the batch size. Weights that belong to nothing but dark pixels are neither read nor written.
"""

import numpy as np

from fastae.backends.numba_backend.internals import intrinsic, ir, types
from fastae.backends.numba_backend.jit import jit
from fastae.backends.numba_backend.kernels import (
    OUTER_ROWS,
    PANEL,
    PIECE,
    ROW_BLOCK,
    columns_by_tiles,
    end_of_panel,
    near_panels,
)
from fastae.backends.numba_backend.link import linked
from fastae.backends.numba_backend.simd import I8, I64, Array, Vector, index
from fastae.backends.numba_backend.tiles import OUTER, OUTER_ROW

FORWARD_ROWS, FORWARD_ROW = (columns_by_tiles(shape, False, listed=True) for shape in (OUTER, OUTER_ROW))
UPDATE_ROWS, UPDATE_ROW = (columns_by_tiles(shape, True, listed=True) for shape in (OUTER, OUTER_ROW))
WORD = 4 * OUTER_ROWS  # columns that are looked at together
BYTE = 8  # bits that are looked up together
STRIPS = 8  # of rows of the output, which go by a block of weights or of deltas while that is near
PLACES = np.array([([k for k in range(BYTE) if bits >> k & 1] + BYTE * [0])[:BYTE] for bits in range(2**BYTE)], "u1")


def room(width: int) -> int:
    """Return how many numbers the lists of a layer with so many units need, and what they are made of."""
    return (STRIPS + 2) * (max(width, ROW_BLOCK) + WORD)


@jit
def has_zeros(a):
    """Tell whether the first image has a zero, which the output of a sigmoid has not."""
    for j in range(a.shape[1] if a.shape[0] else 0):  # noqa: SIM110  Numba has no any() of a generator
        if a[0, j] == 0:
            return True
    return False


@intrinsic
def lit_bits(typing_context, a, i, j):
    """Return a number whose bit k tells whether a[i, j + k] is not 0, for k < WORD."""

    def generate(context, builder, signature, arguments):
        A = Array(context, builder, signature.args[0], arguments[0])
        v = Vector(builder, a.dtype, WORD)
        lit = builder.fcmp_unordered("!=", v.load(A.at(*arguments[1:])), v.zero())
        return builder.zext(builder.bitcast(lit, ir.IntType(WORD)), I64)

    return types.int64(a, types.intp, types.intp), generate


@intrinsic
def append(typing_context, ks, at, first, bits, places):
    """Write at ``at`` and behind it first + k for all bits k that are set, of a byte; return where the next would go.

    No branch, which nothing could foretell: PLACES has the bits that are set of every byte.
    """

    def generate(context, builder, signature, arguments):
        KS, PLACES = (Array(context, builder, signature.args[n], arguments[n]) for n in (0, 4))
        at, first, bits = arguments[1:4]
        numbers = Vector(builder, types.float64, BYTE)  # for its type of integers
        row = builder.load(builder.bitcast(PLACES.at(bits, index(0)), ir.VectorType(I8, BYTE).as_pointer()))
        row.align = 1
        many = builder.add(builder.zext(row, numbers.ints), numbers.splat_integer(first))
        builder.store(many, builder.bitcast(KS.at(index(0), at), numbers.ints.as_pointer())).align = 8
        return builder.add(at, builder.ctpop(bits))

    return types.intp(ks, types.intp, types.intp, types.int64, places), generate


@jit
def list_columns(a, top, bottom, length, ks, words, ends):
    """List the columns that are not zero in all rows; ends[p] is where those of the first p + 1 pieces end.

    First all bits and then the list: what is written where a number says would hold up what is read behind it.
    """
    width, at = a.shape[1], 0
    whole = width // WORD
    words[whole] = 0
    for i in range(top, bottom):
        for w in range(whole):
            words[w] = lit_bits(a, i, w * WORD) | (words[w] if i > top else 0)
        for k in range(whole * WORD, width):
            words[whole] |= (a[i, k] != 0) << (k - whole * WORD)
    for first in range(0, width, length):
        for j in range(first, min(first + length, width), WORD):
            for k in range(0, WORD, BYTE):
                at = append(ks, at, j + k, words[j // WORD] >> k & (1 << BYTE) - 1, PLACES)
        ends[first // length] = at


@linked("mmML")
def multiply(a, b, out, ks):
    """Write a b; ``ks`` has `room` for lists."""
    m, n, width = out.shape[0], out.shape[1], a.shape[1]
    pieces = max(1, -(-width // PIECE))
    length = max(WORD, -(-width // (pieces * WORD)) * WORD)
    apart = max(width, ROW_BLOCK) + WORD
    words, ends = ks[STRIPS * apart : (STRIPS + 1) * apart], ks[(STRIPS + 1) * apart :]
    many = m // OUTER_ROWS * OUTER_ROWS
    for top in range(0, many, STRIPS * OUTER_ROWS):
        bottom = min(top + STRIPS * OUTER_ROWS, many)
        for i in range(top, bottom, OUTER_ROWS):
            strip = (i - top) // OUTER_ROWS
            list_columns(a, i, i + OUTER_ROWS, length, ks[strip * apart :], words, ends[strip * pieces :])
        for piece in range(pieces):
            keep = 0.0 if piece == 0 else 1.0
            j = 0
            while j < n:
                stop = end_of_panel(j, PANEL, out)
                for i in range(top, bottom, OUTER_ROWS):
                    strip = (i - top) // OUTER_ROWS
                    first = ends[strip * pieces + piece - 1] if piece else 0
                    depth = ends[strip * pieces + piece] - first
                    if depth or piece == 0:
                        FORWARD_ROWS(a, b, out, ks[strip * apart + first :], depth, 1.0, keep, i, j, stop)
                j = stop
    for i in range(many, m):
        list_columns(a, i, i + 1, length, ks, words, ends)
        FORWARD_ROW(a, b, out, ks, ends[pieces - 1], 1.0, 0.0, i, 0, n)


@intrinsic
def lit_strips(typing_context, a, i, j):
    """Return a number whose bit s tells whether one of OUTER_ROWS columns from j + s · OUTER_ROWS on is not 0."""

    def generate(context, builder, signature, arguments):
        A = Array(context, builder, signature.args[0], arguments[0])
        v, strips = Vector(builder, a.dtype, WORD), WORD // OUTER_ROWS
        lit = builder.fcmp_unordered("!=", v.load(A.at(*arguments[1:])), v.zero())
        wide = ir.VectorType(ir.IntType(8 * OUTER_ROWS), strips)
        lit = builder.bitcast(builder.sext(lit, ir.VectorType(I8, WORD)), wide)
        any_lit = builder.icmp_unsigned("!=", lit, ir.Constant(wide, [0] * strips))
        return builder.zext(builder.bitcast(any_lit, ir.IntType(strips)), I64)

    return types.int64(a, types.intp, types.intp), generate


@intrinsic
def same_bit(typing_context, words, at, bit):
    """Return a byte of one bit of each of BYTE words from ``at`` on."""

    def generate(context, builder, signature, arguments):
        WORDS = Array(context, builder, signature.args[0], arguments[0])
        numbers = Vector(builder, types.float64, BYTE)
        many = builder.load(builder.bitcast(WORDS.at(index(0), arguments[1]), numbers.ints.as_pointer()))
        many.align = 8
        bits = builder.trunc(
            builder.lshr(many, numbers.splat_integer(arguments[2])), ir.VectorType(ir.IntType(1), BYTE)
        )
        return builder.zext(builder.bitcast(bits, ir.IntType(BYTE)), I64)

    return types.int64(words, types.intp, types.int64), generate


@jit
def list_rows(a, j, last, top, bottom, ks, words, ends, apart):
    """List for OUTER_ROWS columns each, from j to last, the rows in which they are not all zero; ends has how many."""
    for w in range(bottom - top, -(-(bottom - top) // BYTE) * BYTE):
        words[w] = 0
    for begin in range(j, last, WORD):
        for i in range(top, bottom):
            if begin + WORD <= last:
                words[i - top] = lit_strips(a, i, begin)
            else:
                words[i - top] = 0
                for k in range(begin, last):
                    words[i - top] |= (a[i, k] != 0) << ((k - begin) // OUTER_ROWS)
        for s in range(min(WORD, last - begin) // OUTER_ROWS):
            strip = (begin - j) // OUTER_ROWS + s
            at = strip * apart
            for i in range(0, bottom - top, BYTE):
                at = append(ks, at, top + i, same_bit(words, i, s), PLACES)
            ends[strip] = at - strip * apart


@linked("mmMffL")
def multiply_transposed(a, b, out, alpha, beta, ks):
    """Write alpha · aᵀ b + beta · out; ``ks`` has `room` for lists."""
    m, n = b.shape
    apart = ROW_BLOCK + WORD
    words, ends = ks[STRIPS * apart : (STRIPS + 1) * apart], ks[(STRIPS + 1) * apart :]
    many = out.shape[0] // OUTER_ROWS * OUTER_ROWS
    for top in range(0, max(1, m), ROW_BLOCK):
        bottom, keep = min(top + ROW_BLOCK, m), beta if top == 0 else 1.0
        panel = near_panels(bottom - top) * PANEL
        for begin in range(0, many, STRIPS * OUTER_ROWS):
            end = min(begin + STRIPS * OUTER_ROWS, many)
            list_rows(a, begin, end, top, bottom, ks, words, ends, apart)
            j = 0
            while j < n:
                stop = end_of_panel(j, panel, out)
                for i in range(begin, end, OUTER_ROWS):
                    strip = (i - begin) // OUTER_ROWS
                    if ends[strip] or keep != 1:
                        UPDATE_ROWS(a, b, out, ks[strip * apart :], ends[strip], alpha, keep, i, j, stop)
                j = stop
        for i in range(many, out.shape[0]):
            depth = 0
            for k in range(top, bottom):
                ks[depth] = k
                depth += a[k, i] != 0
            if depth or keep != 1:
                UPDATE_ROW(a, b, out, ks, depth, alpha, keep, i, 0, n)
