"""Helpers that emit LLVM instructions in Numba intrinsics: vectors of floats, arrays, a counted loop.

Numba compiles Python with LLVM, and an ``@intrinsic`` may emit LLVM instructions itself. The kernels here use this for
tiles of vectors that stay in registers, which the automatic vectorizer does not produce.
"""

from collections.abc import Callable, Sequence
from typing import Any

from fastae.backends.numba_backend.internals import cgutils, ir
from fastae.backends.numba_backend.machine import MACHINE

I8, I32, I64 = ir.IntType(8), ir.IntType(32), ir.IntType(64)
DOUBLE = ir.DoubleType()
Value = Any  # an LLVM value


def index(i: int) -> Value:
    """Return the constant i as LLVM's 64-bit integer."""
    return ir.Constant(I64, i)


class Array:
    """A Numba array inside an intrinsic; its rows must be contiguous."""

    def __init__(self, context: Any, builder: Any, kind: Any, value: Value) -> None:
        array = context.make_array(kind)(context, builder, value)
        self.builder, self.dtype, self.ndim = builder, kind.dtype, kind.ndim
        self.base = builder.bitcast(array.data, I8.as_pointer())
        self.shape = cgutils.unpack_tuple(builder, array.shape, kind.ndim)
        self.strides = cgutils.unpack_tuple(builder, array.strides, kind.ndim)
        self.itemsize = index(kind.dtype.bitwidth // 8)

    def at(self, row: Value, column: Value) -> Value:
        """Return the address of an element; for a one-dimensional array the row is ignored."""
        offset = self.builder.mul(column, self.itemsize)
        if self.ndim == 2:
            offset = self.builder.add(offset, self.builder.mul(row, self.strides[0]))
        return self.builder.gep(self.base, [offset])


class Vector:
    """Vectors of one float type, and operations on them; by default as wide as the machine's vectors."""

    def __init__(self, builder: Any, dtype: Any, lanes: int | None = None) -> None:
        self.builder, self.size = builder, dtype.bitwidth // 8
        self.bits = dtype.bitwidth
        self.lanes = lanes or MACHINE.vector_bytes // self.size
        self.element = ir.FloatType() if self.size == 4 else DOUBLE
        self.type = ir.VectorType(self.element, self.lanes)
        self.ints = ir.VectorType(ir.IntType(self.bits), self.lanes)

    def constant(self, x: float) -> Value:
        """Return x, rounded to this float type, in every lane."""
        return ir.Constant(self.type, [x] * self.lanes)

    def integers(self, i: int) -> Value:
        """Return the integer i in every lane."""
        return ir.Constant(self.ints, [i] * self.lanes)

    def zero(self) -> Value:
        """Return 0 in every lane."""
        return self.constant(0.0)

    def splat(self, x: Value) -> Value:
        """Copy a scalar to every lane."""
        one = self.builder.insert_element(ir.Constant(self.type, ir.Undefined), x, ir.Constant(I32, 0))
        return self.builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(I32, self.lanes), [0] * self.lanes))

    def splat_integer(self, i: Value) -> Value:
        """Copy an integer, which has as many bits as the float type, to every lane."""
        one = self.builder.insert_element(ir.Constant(self.ints, ir.Undefined), i, ir.Constant(I32, 0))
        return self.shuffle(one, one, [0] * self.lanes)

    def scalar(self, x: Value) -> Value:
        """Convert a double to this float type."""
        return x if self.size == 8 else self.builder.fptrunc(x, self.element)

    def load_scalar(self, address: Value) -> Value:
        """Load one float and copy it to every lane."""
        value = self.builder.load(self.builder.bitcast(address, self.element.as_pointer()))
        value.align = self.size
        return self.splat(value)

    def load(self, address: Value, mask: Value | None = None) -> Value:
        """Load a vector; with a mask, the other lanes are 0 and their memory is not read."""
        pointer = self.builder.bitcast(address, self.type.as_pointer())
        if mask is not None:
            arguments = [pointer, ir.Constant(I32, self.size), mask, self.zero()]
            return self.call("llvm.masked.load", self.type, arguments, f"v{self.lanes}f{self.bits}.p0")
        value = self.builder.load(pointer)
        value.align = self.size
        return value

    def load_bytes(self, address: Value, mask: Value | None = None) -> Value:
        """Load one unsigned byte for each lane and convert them to floats."""
        kind = ir.VectorType(I8, self.lanes)
        pointer = self.builder.bitcast(address, kind.as_pointer())
        if mask is not None:
            zero = ir.Constant(kind, [0] * self.lanes)
            value = self.call(
                "llvm.masked.load", kind, [pointer, ir.Constant(I32, 1), mask, zero], f"v{self.lanes}i8.p0"
            )
        else:
            value = self.builder.load(pointer)
            value.align = 1
        return self.builder.uitofp(value, self.type)

    def store(self, value: Value, address: Value, mask: Value | None = None) -> None:
        """Store a vector; with a mask, only the masked lanes."""
        pointer = self.builder.bitcast(address, value.type.as_pointer())
        if mask is None:
            self.builder.store(value, pointer).align = self.size
        else:
            arguments = [value, pointer, ir.Constant(I32, self.size), mask]
            self.call("llvm.masked.store", ir.VoidType(), arguments, f"v{self.lanes}f{self.bits}.p0")

    def prefetch(self, address: Value, for_writing: bool = False) -> None:
        """Emit a prefetch of an address's cache line, which does not wait for the line."""
        kind = ir.FunctionType(ir.VoidType(), [I8.as_pointer(), I32, I32, I32])
        ask = cgutils.get_or_insert_function(self.builder.module, kind, "llvm.prefetch.p0")
        self.builder.call(ask, [address, I32(int(for_writing)), I32(3), I32(1)])  # highest locality; data cache

    def first(self, count: Value) -> Value:
        """Return the mask of the first ``count`` lanes."""
        lanes = ir.Constant(ir.VectorType(I64, self.lanes), list(range(self.lanes)))
        undefined = ir.Constant(lanes.type, ir.Undefined)
        many = self.builder.insert_element(undefined, count, ir.Constant(I32, 0))
        many = self.builder.shuffle_vector(many, many, ir.Constant(ir.VectorType(I32, self.lanes), [0] * self.lanes))
        return self.builder.icmp_signed("<", lanes, many)

    def fma(self, a: Value, b: Value, c: Value) -> Value:
        """Return a · b + c, rounded once where the machine can (``llvm.fma`` would call a library where it cannot)."""
        return self.call("llvm.fmuladd", self.type, [a, b, c], f"v{self.lanes}f{self.bits}")

    def call(self, name: str, result: Any, arguments: Sequence[Value], suffix: str) -> Value:
        """Call one of LLVM's intrinsics, whose names end in a suffix for the type."""
        kind = ir.FunctionType(result, [argument.type for argument in arguments])
        return self.builder.call(
            cgutils.get_or_insert_function(self.builder.module, kind, f"{name}.{suffix}"), arguments
        )

    def shuffle(self, p: Value, q: Value, lanes: Sequence[int]) -> Value:
        """Return a vector of the given lanes of the concatenation of p and q."""
        return self.builder.shuffle_vector(p, q, ir.Constant(ir.VectorType(I32, len(lanes)), list(lanes)))

    def lane_sums(self, vectors: Sequence[Value]) -> Value:
        """Return a vector whose lane i is the sum of all lanes of vector i.

        The number of vectors must be a power of two, and at most the number of lanes. The sums are computed as a tree:
        each stage joins two vectors p and q, by adding the left half of each to its right half. As many vectors as
        there are lanes take lanes - 1 additions in all; summing each separately would take lanes · log(lanes). With
        fewer vectors, neighbouring lanes are added at the end.
        """
        half, lanes, count = self.lanes // 2, range(self.lanes), len(vectors)
        while len(vectors) > 1:
            left = [lane % (2 * half) < half for lane in lanes]  # lanes that get p's sum; the others get q's
            stay = [lane if left[lane] else self.lanes + lane for lane in lanes]
            move = [lane + half if left[lane] else self.lanes + lane - half for lane in lanes]
            pairs = zip(vectors[: len(vectors) // 2], vectors[len(vectors) // 2 :])
            vectors = [self.builder.fadd(self.shuffle(p, q, stay), self.shuffle(p, q, move)) for p, q in pairs]
            half //= 2
        total, left_over = vectors[0], self.lanes
        while left_over > count:
            even, odd = (self.shuffle(total, total, range(first, left_over, 2)) for first in (0, 1))
            total, left_over = self.builder.fadd(even, odd), left_over // 2
        return total


def loop(
    builder: Any,
    start: Value,
    stop: Value,
    step: int,
    initial: Sequence[Value],
    body: Callable[[Value, list[Value]], Sequence[Value]],
) -> list[Value]:
    """Emit ``for i in range(start, stop, step): values = body(i, values)`` and return the final values."""
    before, inside, after = builder.block, builder.append_basic_block("body"), builder.append_basic_block("after")
    builder.cbranch(builder.icmp_signed("<", start, stop), inside, after)
    builder.position_at_end(inside)
    i = builder.phi(I64)
    values = [builder.phi(value.type) for value in initial]
    new = body(i, values)
    following, end = builder.add(i, index(step)), builder.block
    again = builder.cbranch(builder.icmp_signed("<", following, stop), inside, after)
    again.set_metadata("llvm.loop", rolled(builder.module))
    for phi, at_first, later in zip([i, *values], [start, *initial], [following, *new]):
        phi.add_incoming(at_first, before)
        phi.add_incoming(later, end)
    builder.position_at_end(after)
    results = [builder.phi(value.type) for value in initial]
    for phi, at_first, later in zip(results, initial, new):
        phi.add_incoming(at_first, before)
        phi.add_incoming(later, end)
    return results


def rolled(module: Any) -> Any:
    """Return the metadata of a loop that LLVM must not unroll: one tile fills the registers, and two would spill."""
    option = module.add_metadata([ir.MetaDataString(module, "llvm.loop.unroll.disable")])
    mark = module.add_metadata([option])
    mark.operands = (mark, option)  # LLVM requires that the first operand is the node itself
    return mark
