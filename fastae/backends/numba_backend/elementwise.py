"""Elementwise kernels, losses and column sums: formulas on vectors, applied to all rows of their arrays."""

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from fastae.backends.numba_backend.internals import intrinsic, ir, types
from fastae.backends.numba_backend.simd import DOUBLE, I32, Array, Vector, index, loop

UNROLL = 2  # vectors in one iteration of a sweep
LN_2 = Fraction("0.693147180559945309417232121458176568")  # to more digits than a float has


def sweep(formula: Callable[..., tuple[Any, Any]], sums_up: bool = False) -> Any:
    """Make ``run(out, p, q, r, sums, scalar)``: for each row, out = value and, with ``sums_up``, sums[row] = Σ term.

    ``formula(v, p, q, r, scalar)`` returns (value, term) from one vector of each array; if either is None, its output
    is not written. A one-dimensional p, q or r is used for all rows. Bytes are converted to floats. If the formula does
    not use an array, pass any other array in its place.
    """

    @intrinsic
    def run(typing_context, out, p, q, r, sums, scalar):
        def generate(context, builder, signature, arguments):
            OUT, *INPUTS = (Array(context, builder, t, x) for t, x in zip(signature.args[:4], arguments[:4]))
            SUMS = Array(context, builder, signature.args[4], arguments[4])
            v = Vector(builder, out.dtype)
            many = v.splat(v.scalar(arguments[5]))
            width = OUT.shape[1]
            whole = builder.sub(width, builder.srem(width, index(v.lanes)))
            several = builder.sub(width, builder.srem(width, index(UNROLL * v.lanes)))

            def row(i, nothing):
                def columns(j, sums, mask=None):
                    vectors = [
                        (v.load if array.dtype != types.uint8 else v.load_bytes)(array.at(i, j), mask)
                        for array in INPUTS
                    ]
                    value, term = formula(v, *vectors, many)
                    if value is not None:
                        v.store(value, OUT.at(i, j), mask)
                    if term is None:
                        return sums
                    if mask is not None:
                        term = builder.select(mask, term, v.zero())
                    return [builder.fadd(sums[0], term)]

                def unrolled(j, sums):
                    for u in range(UNROLL):
                        sums = columns(builder.add(j, index(u * v.lanes)), sums)
                    return sums

                sums = loop(builder, index(0), several, UNROLL * v.lanes, [v.zero()], unrolled)
                sums = loop(builder, several, whole, v.lanes, sums, columns)
                sums = loop(
                    builder,
                    whole,
                    width,
                    v.lanes,
                    sums,
                    lambda j, s: columns(j, s, v.first(builder.sub(width, j))),
                )
                if sums_up:
                    total = DOUBLE(0.0)
                    for lane in range(v.lanes):
                        part = builder.extract_element(sums[0], ir.Constant(I32, lane))
                        total = builder.fadd(total, part if v.size == 8 else builder.fpext(part, DOUBLE))
                    builder.store(total, builder.bitcast(SUMS.at(index(0), i), DOUBLE.as_pointer()))
                return []

            loop(builder, index(0), OUT.shape[0], 1, [], row)
            return context.get_dummy_value()

        return types.void(out, p, q, r, sums, types.float64), generate

    return run


def interpolated(function: Callable[[Any], Any], low: float, high: float, degree: int) -> list[float]:
    """Return the coefficients of a nearly best polynomial approximation to a function.

    The polynomial interpolates the function at the Chebyshev points (Trefethen, Approximation Theory and Approximation
    Practice, 2nd ed., SIAM 2019, chapters 2 and 8).
    """
    found = np.polynomial.Chebyshev.interpolate(function, degree, domain=[low, high])
    return [float(c) for c in found.convert(kind=np.polynomial.Polynomial).coef]


def polynomial(v: Vector, x: Any, coefficients: Sequence[float]) -> Any:
    """Return Σ cⱼ xʲ by Horner's rule, which needs the fewest instructions."""
    total = v.constant(coefficients[-1])
    for c in coefficients[-2::-1]:
        total = v.fma(total, x, v.constant(c))
    return total


def power_of_two_and_rest(v: Vector, t: Any, unit: Fraction) -> tuple[Any, Any]:
    """Return 2ⁿ and r with t = n · unit + r, n the integer nearest t / unit, where 2ⁿ is a normal number.

    The unit, ln 2 or half of it, is split in two parts, so that n times the first part is exact (Cody and Waite,
    Software Manual for the Elementary Functions, 1980).
    """
    b = v.builder
    bias, mantissa = (127, 23) if v.size == 4 else (1023, 52)
    magic = 1.5 * 2**mantissa + bias  # adding it rounds to an integer, which is then in the low bits
    shifted = v.fma(t, v.constant(float(1 / unit)), v.constant(magic))
    n = b.fsub(shifted, v.constant(magic))
    grid = 2 ** (15 if v.size == 4 else 41)
    high = Fraction(math.floor(unit * grid), grid)
    r = v.fma(n, v.constant(-float(high)), t)
    r = v.fma(n, v.constant(float(high - unit)), r)
    return b.bitcast(b.shl(b.bitcast(shifted, v.ints), v.integers(mantissa)), v.type), r


def clamped(v: Vector, t: Any, low: float, high: float) -> Any:
    """Return t limited to [low, high]; NaN for NaN."""
    b = v.builder
    for bound, beyond in ((high, ">"), (low, "<")):
        t = b.select(b.fcmp_ordered(beyond, t, v.constant(bound)), v.constant(bound), t)
    return t


def logarithm(v: Vector, x: Any) -> Any:
    """Return log x of a positive normal number.

    x = 2ⁿ m with m in [√½, √2); log m = 2 artanh f = 2 f + 2 f³ / 3 + 2 f⁵ / 5 + …, f = (m − 1) / (m + 1).
    """
    b = v.builder
    mantissa, terms = (23, 4) if v.size == 4 else (52, 10)
    half = int(np.float32(math.sqrt(0.5)).view(np.int32)) if v.size == 4 else int(np.float64(math.sqrt(0.5)).view("i8"))
    bits = b.sub(b.bitcast(x, v.ints), v.integers(half))
    n = b.sitofp(b.ashr(bits, v.integers(mantissa)), v.type)
    fraction = b.add(b.and_(bits, v.integers((1 << mantissa) - 1)), v.integers(half))
    m = b.bitcast(fraction, v.type)
    f = b.fdiv(b.fsub(m, v.constant(1.0)), b.fadd(m, v.constant(1.0)))
    square = b.fmul(f, f)
    series = polynomial(v, square, [2 / (2 * j + 3) for j in range(terms)])
    log = v.fma(b.fmul(f, square), series, b.fadd(f, f))
    return v.fma(n, v.constant(math.log(2)), log)


def any_logarithm(v: Vector, x: Any) -> Any:
    """Return log x for x in [0, ∞): less than −100 for 0 and −0; NaN for NaN and negative numbers."""
    b = v.builder
    mantissa = 23 if v.size == 4 else 52
    tiny = b.fcmp_ordered("<", x, v.constant(smallest(v)))
    scaled = b.select(tiny, v.fma(x, v.constant(2.0**mantissa), v.zero()), x)  # adding 0 turns −0 into 0
    log = b.fsub(logarithm(v, scaled), b.select(tiny, v.constant(mantissa * math.log(2)), v.zero()))
    good = b.and_(b.fcmp_ordered(">=", x, v.zero()), b.fcmp_ordered("<", x, v.constant(math.inf)))
    return b.select(good, log, v.constant(math.nan))


def smallest(v: Vector) -> float:
    """Return the smallest normal number."""
    return float(np.finfo(np.float32 if v.size == 4 else np.float64).tiny)


def slope(v: Vector, y: Any) -> Any:
    """Return σ′ = y (1 − y)."""
    return v.builder.fmul(y, v.builder.fsub(v.constant(1.0), y))


def squared_error(v, z, x):
    """Return (z − x)²."""
    e = v.builder.fsub(z, x)
    return v.builder.fmul(e, e)


def cross_entropy(v, z, x):
    """Return −[x log z + (1 − x) log(1 − z)], the logarithms floored at −100.

    A fast branch serves the usual case: z is far enough from 0 and 1 in all lanes, so no logarithm is floored.
    """
    b, one = v.builder, v.constant(1.0)
    rest = b.fsub(one, z)

    def floored(x):
        log = any_logarithm(v, x)
        return b.select(b.fcmp_ordered("<", log, v.constant(-100.0)), v.constant(-100.0), log)

    least = max(smallest(v), 1e-43)  # a little more than e⁻¹⁰⁰
    far = [b.fcmp_ordered(">=", y, v.constant(least)) for y in (z, rest)]
    every = b.bitcast(b.and_(*far), ir.IntType(v.lanes))
    with b.if_else(b.icmp_unsigned("==", every, every.type(2**v.lanes - 1)), likely=True) as (usual, special):
        with usual:
            plain, plain_end = [logarithm(v, z), logarithm(v, rest)], b.block
        with special:
            careful, careful_end = [floored(z), floored(rest)], b.block
    logs = []
    for from_usual, from_special in zip(plain, careful):
        logs.append(log := b.phi(v.type))
        log.add_incoming(from_usual, plain_end)
        log.add_incoming(from_special, careful_end)
    return b.fneg(v.fma(x, logs[0], b.fmul(b.fsub(one, x), logs[1])))


def mse_delta(v, z, x, unused, scale):
    """Return the gradient of the squared error; there is no term."""
    error = v.builder.fmul(v.builder.fmul(scale, v.constant(2.0)), v.builder.fsub(z, x))
    return v.builder.fmul(error, slope(v, z)), None


def bce_delta(v, z, x, unused, scale):
    """Return the gradient of the cross-entropy; there is no term."""
    return v.builder.fmul(scale, v.builder.fsub(z, x)), None


def only_mse_loss(v, z, x, unused, scalar):
    """Return the squared error as the term; there is no value."""
    return None, squared_error(v, z, x)


def only_bce_loss(v, z, x, unused, scalar):
    """Return the cross-entropy as the term; there is no value."""
    return None, cross_entropy(v, z, x)


def mse_delta_and_loss(v, z, x, unused, scale):
    """Return the gradient and the squared error."""
    return mse_delta(v, z, x, unused, scale)[0], squared_error(v, z, x)


def bce_delta_and_loss(v, z, x, unused, scale):
    """Return the gradient and the cross-entropy."""
    return bce_delta(v, z, x, unused, scale)[0], cross_entropy(v, z, x)


def add_scaled(v, y, x, unused, alpha):
    """Return y + alpha · x."""
    return v.fma(alpha, x, y), None


def unchanged(v, x, unused, unused_too, scalar):
    """Return x."""
    return x, None


def divide_by_255(v, pixels, unused, unused_too, scalar):
    """Return pixels / 255, with the same bits as a division, in a fraction of its time.

    1/255 is split in two parts; the first is short enough that its product with a byte is exact.
    """
    bits = 16 if v.size == 4 else 45
    high = Fraction(math.floor(Fraction(2 ** (bits + 7), 255)), 2 ** (bits + 7))
    low = float(Fraction(1, 255) - high)
    return v.fma(pixels, v.constant(low), v.builder.fmul(pixels, v.constant(float(high)))), None


MSE_GRADIENT, BCE_GRADIENT = sweep(mse_delta), sweep(bce_delta)
MSE_LOSS, BCE_LOSS = sweep(only_mse_loss, sums_up=True), sweep(only_bce_loss, sums_up=True)
MSE_BOTH, BCE_BOTH = sweep(mse_delta_and_loss, sums_up=True), sweep(bce_delta_and_loss, sums_up=True)
ADD_SCALED, COPY, DIVIDE_BY_255 = sweep(add_scaled), sweep(unchanged), sweep(divide_by_255)


@intrinsic
def prefetch(typing_context, array, row):
    """Prefetch a row of an array, one cache line after another."""

    def generate(context, builder, signature, arguments):
        ARRAY = Array(context, builder, signature.args[0], arguments[0])
        v, bytes_ = Vector(builder, types.float32), builder.mul(ARRAY.shape[1], ARRAY.itemsize)

        def line(offset, nothing):
            v.prefetch(builder.gep(ARRAY.at(arguments[1], index(0)), [offset]))
            return []

        loop(builder, index(0), bytes_, 64, [], line)
        return context.get_dummy_value()

    return types.void(array, types.intp), generate


def columns_of(unrolled: int) -> Any:
    """Make ``run(array, out, alpha, beta)``: out[j] = alpha · (the sum of column j) + beta · out[j]."""

    @intrinsic
    def run(typing_context, array, out, alpha, beta):
        def generate(context, builder, signature, arguments):
            ARRAY, OUT = (Array(context, builder, t, x) for t, x in zip(signature.args[:2], arguments[:2]))
            v = Vector(builder, array.dtype)
            alpha, beta = (v.splat(v.scalar(x)) for x in arguments[2:])
            fresh = builder.fcmp_ordered("==", arguments[3], DOUBLE(0.0))
            width = ARRAY.shape[1]

            def block(j, count, mask=None):
                offsets = [builder.add(j, index(c * v.lanes)) for c in range(count)]

                def row(i, sums):
                    return [builder.fadd(s, v.load(ARRAY.at(i, o), mask)) for s, o in zip(sums, offsets)]

                sums = loop(builder, index(0), ARRAY.shape[0], 1, [v.zero()] * count, row)
                for total, o in zip(sums, offsets):
                    address = OUT.at(index(0), o)
                    total = builder.fmul(alpha, total)
                    with builder.if_else(fresh) as (then, otherwise):
                        with then:
                            v.store(total, address, mask)
                        with otherwise:
                            v.store(v.fma(beta, v.load(address, mask), total), address, mask)
                return []

            wide = builder.sub(width, builder.srem(width, index(unrolled * v.lanes)))
            whole = builder.sub(width, builder.srem(width, index(v.lanes)))
            loop(builder, index(0), wide, unrolled * v.lanes, [], lambda j, s: block(j, unrolled))
            loop(builder, wide, whole, v.lanes, [], lambda j, s: block(j, 1))
            loop(builder, whole, width, v.lanes, [], lambda j, s: block(j, 1, v.first(builder.sub(width, j))))
            return context.get_dummy_value()

        return types.void(array, out, types.float64, types.float64), generate

    return run


COLUMN_SUM = columns_of(4)
