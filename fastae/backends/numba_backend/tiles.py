"""The register tiles that all matrix products are made of.

A tile computes a small block of the output wholly in registers: for each k it loads a little of both operands and
does as many multiply-adds as there are accumulators, so that arithmetic and not memory sets the pace. The two shapes
are the two ways to lay vectors on a product:

- `outer_tile`: lanes along the output's columns; each element of ``a`` is copied to all lanes and multiplied by a row
  of ``b``. For a @ b (forward) and a.T @ b (update).
- `dot_tile`: lanes along the summation; at the end each accumulator's lanes are summed. For a @ b.T (backward).

(Goto and van de Geijn, Anatomy of high-performance matrix multiplication, ACM TOMS 34(3), 2008.)
"""

from typing import Any, NamedTuple

from fastae.backends.numba_backend.internals import intrinsic, types
from fastae.backends.numba_backend.machine import MACHINE
from fastae.backends.numba_backend.simd import Array, Vector, index, loop


def write_tile(v: Vector, values: list[Any], addresses: list[Any], alpha: Any, beta: Any, masks: list[Any]) -> None:
    """Emit out = alpha · value + beta · out for each vector; with beta = 0 the old out is not read."""
    builder = v.builder
    alpha, many_beta = v.splat(v.scalar(alpha)), v.splat(v.scalar(beta))
    outputs = list(zip(values, addresses, masks))
    with builder.if_else(builder.fcmp_ordered("==", beta, beta.type(0.0))) as (fresh, old):
        with fresh:
            for value, address, mask in outputs:
                v.store(builder.fmul(alpha, value), address, mask)
        with old, builder.if_else(builder.fcmp_ordered("==", beta, beta.type(1.0))) as (add, scale):
            with add:  # a multiplication less where there is little else to do, in the update of a small batch
                for value, address, mask in outputs:
                    v.store(v.fma(alpha, value, v.load(address, mask)), address, mask)
            with scale:
                for value, address, mask in outputs:
                    scaled = builder.fmul(many_beta, v.load(address, mask))
                    v.store(v.fma(alpha, value, scaled), address, mask)


def outer_tile(rows: int, vectors: int, trans_a: bool, masked: bool = False) -> Any:
    """Make a tile of op(a) @ b.

    ``tile(a, b, out, ks, depth, alpha, beta, i, j, count)`` computes ``rows`` rows of out from i on, ``vectors``
    vectors of columns from j on; masked, only ``count`` columns of the single vector. The products are summed over
    the first ``depth`` entries of the list ``ks``: the others are zero, and so is what they would add.
    """

    @intrinsic
    def tile(typing_context, a, b, out, ks, depth, alpha, beta, i, j, count):
        def generate(context, builder, signature, arguments):
            A, B, OUT, KS = (Array(context, builder, t, x) for t, x in zip(signature.args[:4], arguments[:4]))
            depth, alpha, beta, i, j, count = arguments[4:]
            v = Vector(builder, a.dtype)
            mask = v.first(count) if masked else None
            stride = index(v.lanes * v.size)

            def across(address):  # the vectors of one row, side by side
                return [builder.gep(address, [builder.mul(index(c), stride)]) for c in range(vectors)]

            here = [builder.add(i, index(r)) for r in range(rows)]
            starts = [A.at(index(0), r) if trans_a else A.at(r, index(0)) for r in here]
            first_row_of_b = B.at(index(0), j)

            def body(entry, sums):
                k = builder.load(builder.bitcast(KS.at(index(0), entry), i.type.as_pointer()))
                offset = builder.mul(k, A.strides[0] if trans_a else A.itemsize)
                row_of_b = across(builder.gep(first_row_of_b, [builder.mul(k, B.strides[0])]))
                row = [v.load(address, mask) for address in row_of_b]
                new = []
                for r, start in enumerate(starts):
                    x = v.load_scalar(builder.gep(start, [offset]))
                    new += [v.fma(x, y, sums[r * vectors + c]) for c, y in enumerate(row)]
                return new

            sums = loop(builder, index(0), depth, 1, [v.zero()] * (rows * vectors), body)
            addresses = [address for r in here for address in across(OUT.at(r, j))]
            write_tile(v, sums, addresses, alpha, beta, [mask] * len(sums))
            return context.get_dummy_value()

        size = types.intp
        return types.void(a, b, out, ks, size, types.float64, types.float64, size, size, size), generate

    return tile


def dot_tile(rows: int, columns: int) -> Any:
    """Make a tile of a @ b.T: ``tile(a, b, out, alpha, beta, i, j)`` computes rows × columns of out from (i, j) on."""

    @intrinsic
    def tile(typing_context, a, b, out, alpha, beta, i, j):
        def generate(context, builder, signature, arguments):
            A, B, OUT = (Array(context, builder, t, x) for t, x in zip(signature.args[:3], arguments[:3]))
            alpha, beta, i, j = arguments[3:]
            v = Vector(builder, a.dtype)
            rows_of_a = [A.at(builder.add(i, index(r)), index(0)) for r in range(rows)]
            rows_of_b = [B.at(builder.add(j, index(c)), index(0)) for c in range(columns)]

            def products(k, sums, mask=None):
                offset = builder.mul(k, A.itemsize)
                x = [v.load(builder.gep(row, [offset]), mask) for row in rows_of_a]
                y = [v.load(builder.gep(row, [offset]), mask) for row in rows_of_b]
                return [v.fma(x[q // columns], y[q % columns], s) for q, s in enumerate(sums)]

            depth = A.shape[1]
            whole = builder.sub(depth, builder.srem(depth, index(v.lanes)))
            sums = loop(builder, index(0), whole, v.lanes, [v.zero()] * (rows * columns), products)

            def rest(k, sums):
                return products(k, sums, v.first(builder.sub(depth, k)))

            sums = loop(builder, whole, depth, v.lanes, sums, rest)
            # Sums are reduced a vector of lanes at a time, then cut into the pieces that lie side by side in out.
            length = min(columns, v.lanes)
            piece = Vector(builder, a.dtype, length)
            values, addresses = [], []
            for q in range(0, rows * columns, v.lanes):
                group = sums[q : q + v.lanes]
                total = v.lane_sums(group + [v.zero()] * (v.lanes - len(group)))
                for p in range(q, q + len(group), length):
                    values.append(v.shuffle(total, total, range(p - q, p - q + length)))
                    addresses.append(OUT.at(builder.add(i, index(p // columns)), builder.add(j, index(p % columns))))
            write_tile(piece, values, addresses, alpha, beta, [None] * len(values))
            return context.get_dummy_value()

        return types.void(a, b, out, types.float64, types.float64, types.intp, types.intp), generate

    return tile


class Shape(NamedTuple):
    """How many rows and vectors of columns an outer tile has, or rows and columns a dot tile."""

    rows: int
    across: int


# A tile of r × c vectors keeps r · c sums, and LLVM may load the r + c operands of a step before it multiplies: all of
# them must fit in the registers, or sums are spilled in the innermost loop and the speed is halved. Single rows are
# for what is left of a batch, and for a batch of one, which reads every weight once and wants long rows.
MANY_REGISTERS = MACHINE.registers == 32
OUTER = Shape(4, 4) if MANY_REGISTERS else Shape(4, 2)
OUTER_ROW = Shape(1, 4)
DOT = Shape(4, 4) if MANY_REGISTERS else Shape(2, 4)
DOT_ROW = Shape(1, 8) if MANY_REGISTERS else Shape(1, 4)
