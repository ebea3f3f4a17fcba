"""The activations: for each a formula on vectors, its derivative, and the contract's two kernels."""

import math
from typing import Any

import numpy as np

from fastae.backends.numba_backend.elementwise import (
    LN_2,
    clamped,
    interpolated,
    polynomial,
    power_of_two_and_rest,
    slope,
    sweep,
)
from fastae.backends.numba_backend.jit import jit
from fastae.backends.numba_backend.simd import Vector

EXPONENTIAL = {
    4: interpolated(lambda r: np.exp(-r), -float(LN_2) / 2, float(LN_2) / 2, 5),
    8: [(-1) ** j / math.factorial(j) for j in range(14)],  # Taylor: interpolation would have rounding errors
}
"""Coefficients of polynomials for e⁻ʳ, |r| ≤ ln 2 / 2, by the bytes of a float."""


def sigmoid(v: Vector, t: Any) -> Any:
    """Return σ(t). Results below the smallest normal number are not exact, but as small.

    σ(t) = 1 / (1 + e⁻ᵗ) = 2ⁿ / (2ⁿ + e⁻ʳ) with t = n ln 2 + r; no term overflows.
    """
    b = v.builder
    low = (-126 if v.size == 4 else -1022) * float(LN_2)
    power, r = power_of_two_and_rest(v, clamped(v, t, low, 40.0), LN_2)  # above 40, σ(t) rounds to 1
    return b.fdiv(power, b.fadd(power, polynomial(v, r, EXPONENTIAL[v.size])))


def add_bias_sigmoid(v, z, bias, unused, scalar):
    """Return σ(z + bias)."""
    return sigmoid(v, v.builder.fadd(z, bias)), None


def scale_sigmoid_slope(v, delta, y, unused, scalar):
    """Return delta · σ′."""
    return v.builder.fmul(delta, slope(v, y)), None


SIGMOID, SIGMOID_SLOPE = sweep(add_bias_sigmoid), sweep(scale_sigmoid_slope)


@jit
def bias_sigmoid(z, bias, out):
    """Write σ(z + bias)."""
    SIGMOID(out, z, bias, bias, bias, 0.0)


@jit
def sigmoid_gradient(delta, y, out):
    """Write delta · y · (1 − y)."""
    SIGMOID_SLOPE(out, delta, y, y, y, 0.0)


def expm1_of_twice(r: Any) -> Any:
    """Return (e²ʳ − 1) / r."""
    return np.where(r == 0, 2.0, np.expm1(2 * r) / np.where(r == 0, 1.0, r))


EXPONENTIAL_LESS_ONE = {
    4: interpolated(expm1_of_twice, -float(LN_2) / 4, float(LN_2) / 4, 4),
    8: [2 ** (j + 1) / math.factorial(j + 1) for j in range(14)],
}
"""Coefficients of polynomials for (e²ʳ − 1) / r, |r| ≤ ln 2 / 4, by the bytes of a float."""


def hyperbolic_tangent(v: Vector, t: Any) -> Any:
    """Return tanh t.

    tanh t = E / (E + 2) with E = e²ᵗ − 1 = 2ⁿ (e²ʳ − 1) + (2ⁿ − 1), which has no cancellation for small t.
    """
    b = v.builder
    limit = 9.5 if v.size == 4 else 20.0  # beyond, tanh t rounds to ±1
    power, r = power_of_two_and_rest(v, clamped(v, t, -limit, limit), LN_2 / 2)
    series = polynomial(v, r, EXPONENTIAL_LESS_ONE[v.size])
    e = v.fma(power, b.fmul(series, r), b.fsub(power, v.constant(1.0)))
    return b.fdiv(e, b.fadd(e, v.constant(2.0)))


def add_bias_tanh(v, z, bias, unused, scalar):
    """Return tanh(z + bias)."""
    return hyperbolic_tangent(v, v.builder.fadd(z, bias)), None


def scale_tanh_slope(v, delta, y, unused, scalar):
    """Return delta · (1 − y²)."""
    b = v.builder
    return b.fmul(delta, b.fsub(v.constant(1.0), b.fmul(y, y))), None


TANH, TANH_SLOPE = sweep(add_bias_tanh), sweep(scale_tanh_slope)


@jit
def bias_tanh(z, bias, out):
    """Write tanh(z + bias)."""
    TANH(out, z, bias, bias, bias, 0.0)


@jit
def tanh_gradient(delta, y, out):
    """Write delta · (1 − y²)."""
    TANH_SLOPE(out, delta, y, y, y, 0.0)


def add_bias_relu(v, z, bias, unused, scalar):
    """Return max(0, z + bias)."""
    t = v.builder.fadd(z, bias)
    return v.builder.select(v.builder.fcmp_ordered("<", t, v.zero()), v.zero(), t), None


def scale_relu_slope(v, delta, y, unused, scalar):
    """Return delta where y > 0, else 0."""
    return v.builder.select(v.builder.fcmp_ordered(">", y, v.zero()), delta, v.zero()), None


RELU, RELU_SLOPE = sweep(add_bias_relu), sweep(scale_relu_slope)


@jit
def bias_relu(z, bias, out):
    """Write max(0, z + bias)."""
    RELU(out, z, bias, bias, bias, 0.0)


@jit
def relu_gradient(delta, y, out):
    """Write delta where y > 0, else 0."""
    RELU_SLOPE(out, delta, y, y, y, 0.0)
