"""The register tiles of all matrix products.

A tile computes a small block of the output in registers. For each k it loads a few elements of both operands and does
one multiply-add for each accumulator, so that the arithmetic and not the memory limits the speed. Vectors can be laid
along two directions, so there are two kinds of tiles:

- `outer_tile`: lanes along the output's columns; each element of ``a`` is copied to all lanes and multiplied by a row
  of ``b``. For a @ b (forward) and a.T @ b (update).
- `dot_tile`: lanes along the summation; at the end each accumulator's lanes are summed. For a @ b.T (backward).

(Goto and van de Geijn, Anatomy of high-performance matrix multiplication, ACM TOMS 34(3), 2008.)
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from fastae.backends.numba_backend.internals import intrinsic, ir, types
from fastae.backends.numba_backend.machine import MACHINE
from fastae.backends.numba_backend.simd import Array, Vector, index, loop

LINE = 64  # bytes of a cache line


def write_tile(v: Vector, values: list[Any], addresses: list[Any], alpha: Any, beta: Any, masks: list[Any]) -> None:
    """Emit out = alpha · value + beta · out for each vector; with beta = 0, the old out is not read."""
    builder = v.builder
    alpha, many_beta = v.splat(v.scalar(alpha)), v.splat(v.scalar(beta))
    outputs = list(zip(values, addresses, masks))
    with builder.if_else(builder.fcmp_ordered("==", beta, beta.type(0.0))) as (fresh, old):
        with fresh:
            for value, address, mask in outputs:
                v.store(builder.fmul(alpha, value), address, mask)
        with old, builder.if_else(builder.fcmp_ordered("==", beta, beta.type(1.0))) as (add, scale):
            with add:  # saves a multiplication, which matters in the update of a small batch
                for value, address, mask in outputs:
                    v.store(v.fma(alpha, value, v.load(address, mask)), address, mask)
            with scale:
                for value, address, mask in outputs:
                    scaled = builder.fmul(many_beta, v.load(address, mask))
                    v.store(v.fma(alpha, value, scaled), address, mask)


def unrolled(builder: Any, stop: Any, step: int, times: int, initial: Sequence[Any], body: Callable[..., Any]) -> Any:
    """Emit a loop from 0 to stop, unrolled ``times`` times, which reduces the share of the loop's own instructions."""

    def several(i, values):
        for u in range(times):
            values = body(builder.add(i, index(u * step)), values)
        return values

    together = index(times * step)
    many = builder.sub(stop, builder.srem(stop, together))
    values = loop(builder, index(0), many, times * step, initial, several)
    return loop(builder, many, stop, step, values, body) if times > 1 else values


def opaque(builder: Any, number: Any) -> Any:
    """Hide from LLVM how an integer is computed, so that it is kept in a register and not computed again."""
    return builder.asm(ir.FunctionType(number.type, [number.type]), "", "=r,0", [number], False)


def outer_tile(
    rows: int, vectors: int, trans_a: bool, listed: bool = False, masked: bool = False, unroll: int = 1
) -> Any:
    """Make a tile of op(a) @ b.

    ``tile(a, b, out, ks, depth, alpha, beta, i, j, count)`` computes ``rows`` rows of out from i on, and ``vectors``
    vectors of columns from j on. With ``masked`` it computes only ``count`` columns of the single vector. It sums over
    k < ``depth``; with ``listed``, over the first ``depth`` entries of the list ``ks``, since all other terms are zero.
    """

    @intrinsic
    def tile(typing_context, a, b, out, ks, depth, alpha, beta, i, j, count):
        def generate(context, builder, signature, arguments):
            A, B, OUT, KS = (Array(context, builder, t, x) for t, x in zip(signature.args[:4], arguments[:4]))
            depth, alpha, beta, i, j, count = arguments[4:]
            v = Vector(builder, a.dtype)
            mask = v.first(count) if masked else None

            def across(address):  # the addresses of a row's vectors
                return [builder.gep(address, [index(c * v.lanes * v.size)]) for c in range(vectors)]

            here = [builder.add(i, index(r)) for r in range(rows)]
            starts = [A.at(index(0), r) if trans_a else A.at(r, index(0)) for r in here]
            stride = A.strides[0] if trans_a else A.itemsize

            def add_products(elements, row_of_b, sums):
                row, new = [v.load(address, mask) for address in across(row_of_b)], []
                for r, element in enumerate(elements):
                    x = v.load_scalar(element)
                    new += [v.fma(x, y, sums[r * vectors + c]) for c, y in enumerate(row)]
                return new

            def from_list(entry, sums):
                k = builder.load(builder.bitcast(KS.at(index(0), entry), ir.IntType(ks.dtype.bitwidth).as_pointer()))
                k = k if k.type == i.type else builder.sext(k, i.type)
                elements = [builder.gep(start, [builder.mul(k, stride)]) for start in starts]
                return add_products(elements, builder.gep(first_row_of_b, [builder.mul(k, B.strides[0])]), sums)

            def in_turn(times):
                """Make the body of a loop over k, unrolled; its addresses are sums of two registers."""
                many = range(1, times + 1)
                far_a, far_b = ([opaque(builder, builder.mul(s, index(u))) for u in many] for s in strides)

                def passes(k, values):
                    row_of_b, *sums = values[1:] if trans_a else values
                    for u in range(times):
                        if trans_a:
                            column = builder.gep(values[0], [far_a[u - 1]]) if u else values[0]
                            elements = [builder.gep(column, [index(r * v.size)]) for r in range(rows)]
                        else:
                            offset = builder.mul(builder.add(k, index(u)), stride)
                            elements = [builder.gep(start, [offset]) for start in starts]
                        sums = add_products(elements, builder.gep(row_of_b, [far_b[u - 1]]) if u else row_of_b, sums)
                    next_column = [builder.gep(values[0], [far_a[-1]])] if trans_a else []
                    return [*next_column, builder.gep(row_of_b, [far_b[-1]]), *sums]

                return passes

            strides = stride, B.strides[0]
            first_row_of_b, zeros = B.at(index(0), j), [v.zero()] * (rows * vectors)
            addresses = [address for r in here for address in across(OUT.at(r, j))]
            if trans_a:  # the sum is short, and out is not in the cache
                for address in addresses[:: max(1, LINE // v.size // v.lanes)]:
                    v.prefetch(address, for_writing=True)
            if listed:
                sums = unrolled(builder, depth, 1, unroll, zeros, from_list)
            else:
                values = [*starts[: int(trans_a)], first_row_of_b, *zeros]
                many = builder.sub(depth, builder.srem(depth, index(unroll)))
                values = loop(builder, index(0), many, unroll, values, in_turn(unroll))
                values = loop(builder, many, depth, 1, values, in_turn(1)) if unroll > 1 else values
                sums = values[-rows * vectors :]
            write_tile(v, sums, addresses, alpha, beta, [mask] * len(sums))
            return context.get_dummy_value()

        size = types.intp
        return types.void(a, b, out, ks, size, types.float64, types.float64, size, size, size), generate

    return tile


def dot_tile(rows: int, columns: int, unroll: int = 1) -> Any:
    """Make a tile of a @ b.T: ``tile(a, b, out, alpha, beta, i, j)`` computes rows × columns of out from (i, j) on."""

    @intrinsic
    def tile(typing_context, a, b, out, alpha, beta, i, j):
        def generate(context, builder, signature, arguments):
            A, B, OUT = (Array(context, builder, t, x) for t, x in zip(signature.args[:3], arguments[:3]))
            alpha, beta, i, j = arguments[3:]
            v = Vector(builder, a.dtype)
            rows_of_a = [A.at(builder.add(i, index(r)), index(0)) for r in range(rows)]
            rows_of_b = [B.at(builder.add(j, index(c)), index(0)) for c in range(columns)]
            # In this order, only one vector at a time of the longer side must be in a register.
            order = sorted(range(rows * columns), key=lambda q: q % columns if columns > rows else q // columns)

            def products(k, sums, mask=None):
                offset = builder.mul(k, A.itemsize)
                x = [v.load(builder.gep(row, [offset]), mask) for row in rows_of_a]
                y = [v.load(builder.gep(row, [offset]), mask) for row in rows_of_b]
                new = list(sums)
                for q in order:
                    new[q] = v.fma(x[q // columns], y[q % columns], sums[q])
                return new

            depth = A.shape[1]
            whole = builder.sub(depth, builder.srem(depth, index(v.lanes)))
            sums = unrolled(builder, whole, v.lanes, unroll, [v.zero()] * (rows * columns), products)

            def rest(k, sums):
                return products(k, sums, v.first(builder.sub(depth, k)))

            sums = loop(builder, whole, depth, v.lanes, sums, rest)
            # Reduce as many sums at a time as a vector has lanes, then split the result into pieces contiguous in out.
            length = min(columns, v.lanes)
            piece = Vector(builder, a.dtype, length)
            values, addresses = [], []
            for q in range(0, rows * columns, v.lanes):
                group = sums[q : q + v.lanes]
                total = v.lane_sums(group)
                for p in range(q, q + len(group), length):
                    values.append(v.shuffle(total, total, range(p - q, p - q + length)))
                    addresses.append(OUT.at(builder.add(i, index(p // columns)), builder.add(j, index(p % columns))))
            write_tile(piece, values, addresses, alpha, beta, [None] * len(values))
            return context.get_dummy_value()

        return types.void(a, b, out, types.float64, types.float64, types.intp, types.intp), generate

    return tile


class Shape(NamedTuple):
    """The rows and vectors of columns of an outer tile, or the rows and columns of a dot tile."""

    rows: int
    across: int


# A tile of r × c vectors needs r · c registers for sums, c for a row of b and one for an element of a. If they do not
# fit, sums are spilled in the innermost loop, at half of the speed. Of the tiles that fit, the one with the fewest
# loads per multiply-add is best: (r + c) / (r · c), 7/12 for 4 × 3. A machine without a fused multiply-add needs
# another register for the product. A number of rows that divides the usual batch sizes leaves the fewest single rows.
# Tiles of a single row are for the rest of a batch, and for a batch of one, which reads every weight once: they are
# long.
OUTER, OUTER_ROW, DOT, DOT_ROW = {
    "AVX-512": (Shape(4, 4), Shape(1, 4), Shape(4, 4), Shape(1, 8)),
    "AVX2": (Shape(4, 3), Shape(1, 4), Shape(3, 4), Shape(1, 4)),
    "NEON": (Shape(4, 4), Shape(1, 4), Shape(4, 4), Shape(1, 8)),
    "SSE2": (Shape(4, 2), Shape(1, 4), Shape(2, 4), Shape(1, 4)),
}[MACHINE.name]
LISTED = Shape(2, 8 if MACHINE.registers == 32 else 4)  # listed tiles: fewer rows have more zeros in common
LISTED_ROW = Shape(1, 8)
WINDOW = 4 if MACHINE.registers == 32 else 2  # vectors in a convolution's tile: channels are usually powers of two
UNROLL = 4  # how often the loops of the largest tiles, which compute nearly all of a product, are unrolled
