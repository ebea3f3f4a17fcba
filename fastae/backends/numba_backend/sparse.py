"""Products with a matrix of images, of which most is exactly zero: what is zero is left out of the sums.

Of MNIST's pixels 81% are dark, and dark pixels lie together. A tile computes four rows at a time, so what it may leave
out is dark in all four: 61% for the same pixel of four images (forward), 72% for four neighbours of an image (update),
whatever the batch size. Weights that belong to nothing but dark pixels are neither read nor written.
"""

from fastae.backends.numba_backend import elementwise as ew
from fastae.backends.numba_backend.internals import intrinsic, ir, types
from fastae.backends.numba_backend.jit import jit
from fastae.backends.numba_backend.kernels import (
    FORWARD_ROW,
    FORWARD_ROWS,
    OUTER_ROWS,
    ROW_BLOCK,
    UPDATE_ROW,
    UPDATE_ROWS,
)
from fastae.backends.numba_backend.link import linked
from fastae.backends.numba_backend.simd import Array


@jit
def has_zeros(a):
    """Tell whether the first image has a zero, which the output of a sigmoid has not."""
    for j in range(a.shape[1] if a.shape[0] else 0):  # noqa: SIM110  Numba has no any() of a generator
        if a[0, j] == 0:
            return True
    return False


@jit
def list_columns(a, top, bottom, seen, ks):
    """List the columns that are not zero in all rows from top to bottom, and return how many they are."""
    ew.COLUMN_BITS(a[top:bottom], seen, 1.0, 0.0)
    count = 0
    for k in range(a.shape[1]):
        ks[count] = k
        count += seen[k] != 0
    return count


@intrinsic
def any_bits(typing_context, a, i, j):
    """Tell whether a[i, j : j + OUTER_ROWS] has a bit that is not zero, as one very wide integer."""

    def generate(context, builder, signature, arguments):
        wide = ir.IntType(a.dtype.bitwidth * OUTER_ROWS)
        A = Array(context, builder, signature.args[0], arguments[0])
        value = builder.load(builder.bitcast(A.at(*arguments[1:]), wide.as_pointer()))
        value.align = a.dtype.bitwidth // 8
        return builder.zext(builder.icmp_unsigned("!=", value, wide(0)), ir.IntType(64))

    return types.int64(a, types.intp, types.intp), generate


@jit
def list_rows(a, j, ks):
    """List the rows in which OUTER_ROWS columns from j on are not all zero, and return how many they are."""
    count = 0
    for k in range(a.shape[0]):
        ks[count] = k
        count += any_bits(a, k, j)
    return count


@linked("mmMVL")
def multiply(a, b, out, seen, ks):
    """Write a b; ``seen`` and ``ks`` have room for a row of a."""
    m, n = out.shape
    many = m // OUTER_ROWS * OUTER_ROWS
    for i in range(0, many, OUTER_ROWS):
        depth = list_columns(a, i, i + OUTER_ROWS, seen, ks)
        FORWARD_ROWS(a, b, out, ks, depth, 1.0, 0.0, i, 0, n)
    for i in range(many, m):
        depth = list_columns(a, i, i + 1, seen, ks)
        FORWARD_ROW(a, b, out, ks, depth, 1.0, 0.0, i, 0, n)


@linked("mmMffL")
def multiply_transposed(a, b, out, alpha, beta, ks):
    """Write alpha · aᵀ b + beta · out; ``ks`` has room for ROW_BLOCK rows."""
    n = b.shape[1]
    many = out.shape[0] // OUTER_ROWS * OUTER_ROWS
    for top in range(0, b.shape[0], ROW_BLOCK):
        a_part, b_part = a[top : top + ROW_BLOCK], b[top : top + ROW_BLOCK]
        keep = beta if top == 0 else 1.0
        for i in range(0, many, OUTER_ROWS):
            depth = list_rows(a_part, i, ks)
            if depth or keep != 1:
                UPDATE_ROWS(a_part, b_part, out, ks, depth, alpha, keep, i, 0, n)
        for i in range(many, out.shape[0]):
            depth = 0
            for k in range(a_part.shape[0]):
                ks[depth] = k
                depth += a_part[k, i] != 0
            if depth or keep != 1:
                UPDATE_ROW(a_part, b_part, out, ks, depth, alpha, keep, i, 0, n)
