"""The tiles of convolutions without patches: products along lists of where the factors are.

The rows of a tile are images. A pixel's patch is in the same place in every image, so all rows share one list: the
column ranges that belong to the patch, and the rows of the weights by which they are multiplied. Lists do not contain
the padding.
"""

from typing import Any

from fastae.backends.numba_backend.internals import intrinsic, ir, types
from fastae.backends.numba_backend.simd import I32, I64, Array, Vector, index, loop
from fastae.backends.numba_backend.tiles import UNROLL, unrolled


def entry_of(builder: Any, table: Array, entry: Any, numbers: int, which: int) -> Any:
    """Load number ``which`` of an entry of a list; an entry has ``numbers`` contiguous numbers."""
    at = builder.add(builder.mul(entry, index(numbers)), index(which))
    return builder.load(builder.bitcast(table.at(index(0), at), I64.as_pointer()))


def window_tile(rows: int, vectors: int, masked: bool = False) -> Any:
    """Make a tile of out = a W for one pixel; a list has its columns of ``a`` and rows of ``W``.

    ``tile(a, W, out, ranges, first, last, i, j, col, count)`` computes ``vectors`` vectors of the columns of W from
    j on, for ``rows`` images from i on, and writes them into out from column col on. With ``masked`` it computes only
    ``count`` columns of the single vector. An entry of ``ranges``, of which those from first to last are used, is
    three int64: the first column of a, the first row of W, and the number of both.
    """

    @intrinsic
    def tile(typing_context, a, W, out, ranges, first, last, i, j, col, count):
        def generate(context, builder, signature, arguments):
            A, B, OUT, LIST = (Array(context, builder, t, x) for t, x in zip(signature.args[:4], arguments[:4]))
            first, last, i, j, col, count = arguments[4:]
            v = Vector(builder, a.dtype)
            mask = v.first(count) if masked else None
            stride = v.lanes * v.size
            here = [builder.add(i, index(r)) for r in range(rows)]
            starts = [A.at(r, index(0)) for r in here]
            first_row = B.at(index(0), j)

            def add_range(entry, sums):
                at = builder.mul(entry_of(builder, LIST, entry, 3, 0), A.itemsize)
                weights = builder.gep(first_row, [builder.mul(entry_of(builder, LIST, entry, 3, 1), B.strides[0])])
                of_images = [builder.gep(start, [at]) for start in starts]

                def product(k, sums):
                    row = builder.gep(weights, [builder.mul(k, B.strides[0])])
                    y = [v.load(builder.gep(row, [index(c * stride)]), mask) for c in range(vectors)]
                    offset, new = builder.mul(k, A.itemsize), []
                    for r, image in enumerate(of_images):
                        x = v.load_scalar(builder.gep(image, [offset]))
                        new += [v.fma(x, y[c], sums[r * vectors + c]) for c in range(vectors)]
                    return new

                many = entry_of(builder, LIST, entry, 3, 2)
                return unrolled(builder, many, 1, UNROLL if rows > 1 else 1, sums, product)

            sums = loop(builder, first, last, 1, [v.zero()] * (rows * vectors), add_range)
            for q, total in enumerate(sums):
                address = builder.gep(OUT.at(here[q // vectors], col), [index(q % vectors * stride)])
                v.store(total, address, mask)
            return context.get_dummy_value()

        size = types.intp
        return types.void(a, W, out, ranges, size, size, size, size, size, size), generate

    return tile


def channel_tile(rows: int) -> Any:
    """Make a tile of out = a Wᵀ for one channel of one pixel, with vectors along the summation: for few channels.

    ``tile(a, W, out, ranges, first, last, i, row, col)`` computes column col of out for ``rows`` images from i on.
    An entry of ``ranges`` is the first column of a, the first row of W for this pixel of the patch, and an unused
    number; row ``row`` from there on is multiplied as a whole.
    """

    @intrinsic
    def tile(typing_context, a, W, out, ranges, first, last, i, row, col):
        def generate(context, builder, signature, arguments):
            A, B, OUT, LIST = (Array(context, builder, t, x) for t, x in zip(signature.args[:4], arguments[:4]))
            first, last, i, row, col = arguments[4:]
            v = Vector(builder, a.dtype)
            here = [builder.add(i, index(r)) for r in range(rows)]
            starts = [A.at(r, index(0)) for r in here]
            depth = B.shape[1]
            whole = builder.sub(depth, builder.srem(depth, index(v.lanes)))

            def add_range(entry, sums):
                at = builder.mul(entry_of(builder, LIST, entry, 3, 0), A.itemsize)
                weights = B.at(builder.add(entry_of(builder, LIST, entry, 3, 1), row), index(0))
                of_images = [builder.gep(start, [at]) for start in starts]

                def products(k, sums, mask=None):
                    offset = builder.mul(k, A.itemsize)
                    y = v.load(builder.gep(weights, [offset]), mask)
                    return [
                        v.fma(v.load(builder.gep(image, [offset]), mask), y, s) for image, s in zip(of_images, sums)
                    ]

                sums = loop(builder, index(0), whole, v.lanes, sums, products)
                return loop(
                    builder, whole, depth, v.lanes, sums, lambda k, s: products(k, s, v.first(builder.sub(depth, k)))
                )

            sums = loop(builder, first, last, 1, [v.zero()] * rows, add_range)
            for q in range(0, rows, v.lanes):
                group = sums[q : q + v.lanes]
                total = v.lane_sums(group)
                for r in range(len(group)):
                    address = builder.bitcast(OUT.at(here[q + r], col), v.element.as_pointer())
                    builder.store(builder.extract_element(total, ir.Constant(I32, r)), address)
            return context.get_dummy_value()

        size = types.intp
        return types.void(a, W, out, ranges, size, size, size, size, size), generate

    return tile


def gradient_tile(rows: int, vectors: int, masked: bool = False) -> Any:
    """Make a tile of the weights' gradient: out += Σ (an element of a patch) · (the channels that belong to the patch).

    ``tile(x, d, out, pairs, first, last, offsets, k, top, bottom, j, count)`` adds to ``rows`` rows of out from k on,
    and ``vectors`` vectors of columns from j on; with ``masked``, to ``count`` columns of the single vector. It sums
    over the images from top to bottom, and over the pairs from first to last. An entry of ``pairs`` is two int64: the
    patch's first column in x, and the first column of its channels in d. Row k of out belongs to the element that is
    ``offsets[k]`` columns after the patch's first one.
    """

    @intrinsic
    def tile(typing_context, x, d, out, pairs, first, last, offsets, k, top, bottom, j, count):
        def generate(context, builder, signature, arguments):
            X, D, OUT, LIST = (Array(context, builder, t, v) for t, v in zip(signature.args[:4], arguments[:4]))
            OFFSETS = Array(context, builder, signature.args[6], arguments[6])
            first, last = arguments[4:6]
            k, top, bottom, j, count = arguments[7:]
            v = Vector(builder, x.dtype)
            mask = v.first(count) if masked else None
            stride = v.lanes * v.size
            here = [builder.add(k, index(r)) for r in range(rows)]

            def offset(r):
                number = builder.load(builder.bitcast(OFFSETS.at(index(0), r), I64.as_pointer()))
                return builder.mul(number, X.itemsize)

            starts = [builder.gep(X.at(index(0), index(0)), [offset(r)]) for r in here]
            columns = D.at(index(0), j)

            def image(i, sums):
                of_rows = [builder.gep(start, [builder.mul(i, X.strides[0])]) for start in starts]
                deltas = builder.gep(columns, [builder.mul(i, D.strides[0])])

                def pair(entry, sums):
                    at = builder.mul(entry_of(builder, LIST, entry, 2, 0), X.itemsize)
                    row = builder.gep(deltas, [builder.mul(entry_of(builder, LIST, entry, 2, 1), D.itemsize)])
                    y = [v.load(builder.gep(row, [index(c * stride)]), mask) for c in range(vectors)]
                    new = []
                    for r, start in enumerate(of_rows):
                        value = v.load_scalar(builder.gep(start, [at]))
                        new += [v.fma(value, y[c], sums[r * vectors + c]) for c in range(vectors)]
                    return new

                return loop(builder, first, last, 1, sums, pair)

            addresses = [builder.gep(OUT.at(r, j), [index(c * stride)]) for r in here for c in range(vectors)]
            sums = loop(builder, top, bottom, 1, [v.load(address, mask) for address in addresses], image)
            for total, address in zip(sums, addresses):
                v.store(total, address, mask)
            return context.get_dummy_value()

        size = types.intp
        return types.void(x, d, out, pairs, size, size, offsets, size, size, size, size, size), generate

    return tile
