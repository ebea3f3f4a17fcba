"""Kernels without a summation over k: a formula on vectors, swept over the rows of its arrays."""

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from fastae.backends.numba_backend.internals import cgutils, intrinsic, ir, types
from fastae.backends.numba_backend.simd import DOUBLE, I8, I32, Array, Vector, index, loop

LN_2 = Fraction("0.693147180559945309417232121458176568")  # to more digits than a float has


def sweep(formula: Callable[..., tuple[Any, Any]], sums_up: bool = False) -> Any:
    """Make ``run(out, p, q, r, sums, scalar)``: row by row, out = value and, if asked for, sums[row] = Σ term.

    ``formula(v, p, q, r, scalar)`` gives (value, term) from one vector of each array; either may be None, and then
    its output is not touched. A vector for p, q or r is the same for all rows. Bytes are read as floats. Give an
    array a second time where the formula has no use for it.
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

                sums = loop(builder, index(0), whole, v.lanes, [v.zero()], columns)
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


def power_of_two_and_rest(v: Vector, t: Any) -> tuple[Any, Any]:
    """Return 2ⁿ and r with t = n ln 2 + r, n the integer nearest t / ln 2, where 2ⁿ is a normal number.

    ln 2 is in two parts, of which n times the first is exact (Cody and Waite, Software Manual for the Elementary
    Functions, 1980).
    """
    b = v.builder
    bias, mantissa = (127, 23) if v.size == 4 else (1023, 52)
    magic = 1.5 * 2**mantissa  # adding it rounds to an integer, which then stands in the low bits
    shifted = v.fma(t, v.constant(1 / math.log(2)), v.constant(magic))
    n = b.fsub(shifted, v.constant(magic))
    grid = 2 ** (15 if v.size == 4 else 41)
    high = math.floor(LN_2 * grid) / grid
    r = v.fma(n, v.constant(-high), t)
    r = v.fma(n, v.constant(float(Fraction(high) - LN_2)), r)
    exponent = b.shl(b.add(b.bitcast(shifted, v.ints), v.integers(bias)), v.integers(mantissa))
    return b.bitcast(exponent, v.type), r


def clamped(v: Vector, t: Any, limit: float) -> Any:
    """Return t, or whichever of limit and −limit it is beyond; NaN for NaN."""
    b = v.builder
    for bound, beyond in ((limit, ">"), (-limit, "<")):
        t = b.select(b.fcmp_ordered(beyond, t, v.constant(bound)), v.constant(bound), t)
    return t


def exponential(v: Vector, t: Any) -> Any:
    """Return eᵗ where 2ⁿ is a normal number; above that infinity, below the smallest of them; NaN for NaN.

    eᵗ = 2ⁿ eʳ with |r| ≤ ln 2 / 2; eʳ by its Taylor series.
    """
    b = v.builder
    bias, degree = (127, 6) if v.size == 4 else (1023, 13)
    limit = (bias - 1) * math.log(2)
    limit = float(np.float32(limit) if v.size == 4 else limit)
    limit = math.nextafter(limit, 0) if v.size == 8 else float(np.nextafter(np.float32(limit), np.float32(0)))
    too_large = b.fcmp_ordered(">", t, v.constant(limit))
    power, r = power_of_two_and_rest(v, clamped(v, t, limit))
    series = v.constant(1 / math.factorial(degree))
    for j in reversed(range(degree)):
        series = v.fma(series, r, v.constant(1 / math.factorial(j)))
    return b.select(too_large, v.constant(math.inf), b.fmul(series, power))


def hyperbolic_tangent(v: Vector, t: Any) -> Any:
    """Return tanh t.

    tanh t = E / (E + 2) with E = e²ᵗ − 1 = 2ⁿ (eʳ − 1) + (2ⁿ − 1), in which nothing cancels where t is small.
    """
    b = v.builder
    degree, limit = (7, 9.5) if v.size == 4 else (14, 20.0)  # beyond, 1 is the nearest float
    t = clamped(v, t, limit)
    power, r = power_of_two_and_rest(v, b.fadd(t, t))
    series = v.constant(1 / math.factorial(degree))
    for j in reversed(range(1, degree)):
        series = v.fma(series, r, v.constant(1 / math.factorial(j)))
    e = v.fma(power, b.fmul(series, r), b.fsub(power, v.constant(1.0)))
    return b.fdiv(e, b.fadd(e, v.constant(2.0)))


def logarithm(v: Vector, x: Any) -> Any:
    """Return log x for x in [0, ∞): less than −100 for 0 and −0; NaN for NaN and negative numbers.

    x = 2ⁿ m with m in [√½, √2); log m = 2 artanh((m − 1) / (m + 1)) by its series.
    """
    b = v.builder
    mantissa, terms = (23, 5) if v.size == 4 else (52, 11)
    smallest = float(np.finfo(np.float32 if v.size == 4 else np.float64).tiny)
    tiny = b.fcmp_ordered("<", x, v.constant(smallest))
    scaled = b.select(tiny, v.fma(x, v.constant(2.0**mantissa), v.zero()), x)  # + 0, for −0 has other bits
    half = int(np.float32(math.sqrt(0.5)).view(np.int32)) if v.size == 4 else int(np.float64(math.sqrt(0.5)).view("i8"))
    bits = b.sub(b.bitcast(scaled, v.ints), v.integers(half))
    n = b.sitofp(b.ashr(bits, v.integers(mantissa)), v.type)
    n = b.fsub(n, b.select(tiny, v.constant(float(mantissa)), v.zero()))
    fraction = b.add(b.and_(bits, v.integers((1 << mantissa) - 1)), v.integers(half))
    m = b.bitcast(fraction, v.type)
    f = b.fdiv(b.fsub(m, v.constant(1.0)), b.fadd(m, v.constant(1.0)))
    square = b.fmul(f, f)
    series = v.constant(2 / (2 * terms + 1))
    for j in reversed(range(terms)):
        series = v.fma(series, square, v.constant(2 / (2 * j + 1)))
    log = v.fma(n, v.constant(math.log(2)), b.fmul(series, f))
    good = b.and_(b.fcmp_ordered(">=", x, v.zero()), b.fcmp_ordered("<", x, v.constant(math.inf)))
    return b.select(good, log, v.constant(math.nan))


def slope(v: Vector, y: Any) -> Any:
    """Return σ′ = y (1 − y)."""
    return v.builder.fmul(y, v.builder.fsub(v.constant(1.0), y))


def squared_error(v, z, x):
    """Return (z − x)²."""
    e = v.builder.fsub(z, x)
    return v.builder.fmul(e, e)


def cross_entropy(v, z, x):
    """Return −[x log z + (1 − x) log(1 − z)], the logarithms floored at −100."""
    b, floor, one = v.builder, v.constant(-100.0), v.constant(1.0)
    logs = [logarithm(v, z), logarithm(v, b.fsub(one, z))]
    log_z, log_1z = (b.select(b.fcmp_ordered("<", log, floor), floor, log) for log in logs)
    return b.fneg(v.fma(x, log_z, b.fmul(b.fsub(one, x), log_1z)))


def add_bias_sigmoid(v, z, bias, unused, scalar):
    """σ(z + bias)."""
    b, one = v.builder, v.constant(1.0)
    e = exponential(v, b.fneg(b.fadd(z, bias)))
    return b.fdiv(one, b.fadd(one, e)), None


def add_bias_tanh(v, z, bias, unused, scalar):
    """Tanh(z + bias)."""
    return hyperbolic_tangent(v, v.builder.fadd(z, bias)), None


def add_bias_relu(v, z, bias, unused, scalar):
    """Max(0, z + bias)."""
    t = v.builder.fadd(z, bias)
    return v.builder.select(v.builder.fcmp_ordered("<", t, v.zero()), v.zero(), t), None


def scale_tanh_slope(v, delta, y, unused, scalar):
    """Delta · (1 − y²)."""
    b = v.builder
    return b.fmul(delta, b.fsub(v.constant(1.0), b.fmul(y, y))), None


def scale_relu_slope(v, delta, y, unused, scalar):
    """Delta where y > 0."""
    return v.builder.select(v.builder.fcmp_ordered(">", y, v.zero()), delta, v.zero()), None


def scale_slope(v, delta, y, unused, scalar):
    """Delta · σ′."""
    return v.builder.fmul(delta, slope(v, y)), None


def mse_delta(v, z, x, unused, scale):
    """The squared error's gradient."""
    error = v.builder.fmul(v.builder.fmul(scale, v.constant(2.0)), v.builder.fsub(z, x))
    return v.builder.fmul(error, slope(v, z)), None


def bce_delta(v, z, x, unused, scale):
    """The cross-entropy's gradient."""
    return v.builder.fmul(scale, v.builder.fsub(z, x)), None


def only_mse_loss(v, z, x, unused, scalar):
    """The squared error, and nothing written."""
    return None, squared_error(v, z, x)


def only_bce_loss(v, z, x, unused, scalar):
    """The cross-entropy, and nothing written."""
    return None, cross_entropy(v, z, x)


def mse_delta_and_loss(v, z, x, unused, scale):
    """Gradient and squared error in one pass."""
    return mse_delta(v, z, x, unused, scale)[0], squared_error(v, z, x)


def bce_delta_and_loss(v, z, x, unused, scale):
    """Gradient and cross-entropy in one pass."""
    return bce_delta(v, z, x, unused, scale)[0], cross_entropy(v, z, x)


def add_scaled(v, y, x, unused, alpha):
    """Y + alpha · x."""
    return v.fma(alpha, x, y), None


def divide_by_255(v, pixels, unused, unused_too, scalar):
    """A byte as a float in [0, 1], the very float that dividing gives, in a fraction of its time.

    1/255 is in two parts, of which the first is short enough for its product with a byte to be exact.
    """
    bits = 16 if v.size == 4 else 45
    high = Fraction(math.floor(Fraction(2 ** (bits + 7), 255)), 2 ** (bits + 7))
    low = float(Fraction(1, 255) - high)
    return v.fma(pixels, v.constant(low), v.builder.fmul(pixels, v.constant(float(high)))), None


SIGMOID, SLOPE = sweep(add_bias_sigmoid), sweep(scale_slope)
TANH, TANH_SLOPE = sweep(add_bias_tanh), sweep(scale_tanh_slope)
RELU, RELU_SLOPE = sweep(add_bias_relu), sweep(scale_relu_slope)
MSE_GRADIENT, BCE_GRADIENT = sweep(mse_delta), sweep(bce_delta)
MSE_LOSS, BCE_LOSS = sweep(only_mse_loss, sums_up=True), sweep(only_bce_loss, sums_up=True)
MSE_BOTH, BCE_BOTH = sweep(mse_delta_and_loss, sums_up=True), sweep(bce_delta_and_loss, sums_up=True)
ADD_SCALED, DIVIDE_BY_255 = sweep(add_scaled), sweep(divide_by_255)


@intrinsic
def prefetch(typing_context, array, row):
    """Ask for a row, which will be needed soon, line by line; whatever is not there is not waited for."""

    def generate(context, builder, signature, arguments):
        ARRAY = Array(context, builder, signature.args[0], arguments[0])
        kind = ir.FunctionType(ir.VoidType(), [I8.as_pointer(), I32, I32, I32])
        ask = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        bytes_ = builder.mul(ARRAY.shape[1], ARRAY.itemsize)

        def line(offset, nothing):
            address = builder.gep(ARRAY.at(arguments[1], index(0)), [offset])
            builder.call(ask, [address, I32(0), I32(3), I32(1)])  # for reading, to stay, data
            return []

        loop(builder, index(0), bytes_, 64, [], line)
        return context.get_dummy_value()

    return types.void(array, types.intp), generate


def columns_of(combine: Callable[..., Any], together: int) -> Any:
    """Make ``run(array, out, alpha, beta)``: out[j] = alpha · (all rows of column j, combined) + beta · out[j]."""

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
                    return [combine(v, s, v.load(ARRAY.at(i, o), mask)) for s, o in zip(sums, offsets)]

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

            wide = builder.sub(width, builder.srem(width, index(together * v.lanes)))
            whole = builder.sub(width, builder.srem(width, index(v.lanes)))
            loop(builder, index(0), wide, together * v.lanes, [], lambda j, s: block(j, together))
            loop(builder, wide, whole, v.lanes, [], lambda j, s: block(j, 1))
            loop(builder, whole, width, v.lanes, [], lambda j, s: block(j, 1, v.first(builder.sub(width, j))))
            return context.get_dummy_value()

        return types.void(array, out, types.float64, types.float64), generate

    return run


def bits_of_either(v, s, x):
    """Combine bit by bit: 0 only where every x is 0."""
    b = v.builder
    return b.bitcast(b.or_(b.bitcast(s, v.ints), b.bitcast(x, v.ints)), v.type)


COLUMN_SUM = columns_of(lambda v, s, x: v.builder.fadd(s, x), 4)
COLUMN_BITS = columns_of(bits_of_either, 4)
