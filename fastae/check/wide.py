"""How far a kernel may be off whose formula is right on paper but not the best: what tells imprecise from wrong.

A formula is a list of steps v₁, v₂, ..., each of which is rounded to vᵢ (1 + δᵢ) with ``|δᵢ| ≤ u``. To first order its
result is off by Σ δᵢ vᵢ ∂out/∂vᵢ (forward error analysis: Higham, Accuracy and Stability of Numerical Algorithms,
2nd ed., SIAM 2002, sections 1.5 and 3.1). Call ``|vᵢ ∂out/∂vᵢ|`` what step i weighs. If none weighs more than M, a
formula of N steps is within γ(N) M of the exact result.

The best formula of a kernel has steps that weigh no more than the result, or than the terms of its sum, which gives the
bounds of `fastae.check.bounds`. Another formula that is right on paper may subtract numbers that are nearly alike; its
steps then weigh more than the result, but no more than the intermediates that one would expect: 1 for σ, the terms for
a sum. Each function here returns these two, N and M, for any formula of that kind.

An input or an accumulator in a format of fewer bits is a step too, but its δ is 2¹³ times as large (float16 and TF32 in
float32), 2¹⁶ times (bfloat16) or 2²⁹ times (float32 in float64). N is therefore small beside 2¹³: ``ROUNDINGS``, plus a
sum's length.
"""

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from fastae.check import bounds
from fastae.check.bounds import Matrix
from fastae.layers import Geometry

ROUNDINGS = 16  # steps of a formula, without the additions of a sum

Steps = tuple[int, Matrix]


def matmul(a: Matrix, b: Matrix, out: Matrix, alpha: float, beta: float) -> Steps:
    """The largest row of a times the largest column of b, as lengths: what Strassen's products weigh.

    They multiply sums of blocks, so elements of other rows and columns come in and cancel. The terms of an element's
    own sum are together no more, by Cauchy and Schwarz.
    """
    most = abs(alpha) * np.max(_lengths(a), initial=0) * np.max(_lengths(b.T), initial=0)
    return ROUNDINGS + a.shape[1], most + (abs(beta * out) if beta != 0 else np.zeros(out.shape))


def bias_sigmoid(z: Matrix) -> Steps:
    """Such as (1 + tanh(t/2)) / 2, 1 − σ(−t) and their like have steps up to 1, whatever is left of them."""
    return ROUNDINGS, np.ones(z.shape)


def sigmoid_gradient(delta: Matrix, y: Matrix) -> Steps:
    """Such as y − y², ¼ − (y − ½)² and (1 − y) − (1 − y)² have steps up to the larger of 1 and y²."""
    return ROUNDINGS, abs(delta) * np.maximum(1, y * y)


def bias_tanh(z: Matrix) -> Steps:
    """2σ(2t) − 1 and (E − 1) / (E + 1), E = e²ᵗ, subtract 1 from what is near 1."""
    return ROUNDINGS, np.ones(z.shape)


def tanh_gradient(delta: Matrix, y: Matrix) -> Steps:
    """δ − δ y² and 4σ(1 − σ) have steps up to 1 + y²."""
    return ROUNDINGS, abs(delta) * (1 + y * y)


def bias_relu(z: Matrix, bias: Matrix) -> Steps:
    """A sum of scaled numbers, 4 max(0, z/4 + bias/4), where it is positive.

    Elsewhere 0 is written, not computed: a unit that is off by a rounding would be on.
    """
    return ROUNDINGS, (abs(z) + abs(bias)) * (z + bias > 0)


def relu_gradient(delta: Matrix, y: Matrix) -> Steps:
    """δ y / y where y > 0; 0 elsewhere is written, not computed."""
    return ROUNDINGS, abs(delta) * (y > 0)


def mse_gradient(z: Matrix, x: Matrix, scale: float) -> Steps:
    """Multiplied out, 2 scale (z² − z³ − x z + x z²), no step weighs more than z + x, times z² where z is above 1."""
    return ROUNDINGS, 2 * abs(scale) * (abs(z) + abs(x)) * np.maximum(1, z * z)


def bce_gradient(z: Matrix, x: Matrix, scale: float) -> Steps:
    """Scale · z − scale · x, and z (1 − x) − x (1 − z)."""
    return ROUNDINGS, abs(scale) * (abs(z) + abs(x))


def mse_loss(z: Matrix, x: Matrix) -> Steps:
    """Multiplied out, Σ z² − 2 Σ z x + Σ x² has steps that are together (|z| + |x|)²."""
    return ROUNDINGS + z.shape[1], np.sum((abs(z) + abs(x)) ** 2, axis=1)


def bce_loss(z: Matrix, x: Matrix) -> Steps:
    """X (log z − log(1 − z)) + log(1 − z) weighs each logarithm twice.

    log(zˣ (1 − z)¹⁻ˣ) is off by a rounding of 1 besides, as what it is taken of is.
    """
    log_z, log_1z = bounds.floored_logs(z)
    terms = (abs(x) + abs(1 - x)) * (abs(log_z) + abs(log_1z)) + 1
    return ROUNDINGS + z.shape[1], np.sum(terms, axis=1)


def column_sum(delta: Matrix, out: Matrix, alpha: float, beta: float) -> Steps:
    """The sum of magnitudes: of a mean that is multiplied by the rows, of alpha in every term."""
    old = abs(beta * out) if beta != 0 else np.zeros(out.shape)
    return ROUNDINGS + len(delta), abs(alpha) * np.sum(abs(delta), axis=0) + old


def axpy(alpha: float, x: Matrix, y: Matrix) -> Steps:
    """Alpha · (x + y / alpha)."""
    return ROUNDINGS, abs(alpha * x) + abs(y)


def gather(out: Matrix) -> Steps:
    """1 − (255 − pixel) / 255 has steps up to 1, the largest result."""
    return ROUNDINGS, np.ones(out.shape)


def unfold(exact: Matrix) -> Steps:
    """Of what is multiplied and divided again; a 0 stays 0."""
    return ROUNDINGS, abs(exact)


def fold(x: Matrix, height: int, width: int, kernel: int, stride: int, padding: int) -> Steps:
    """The sum of magnitudes."""
    terms = bounds.magnitudes(x, Geometry(height, width, kernel, stride, padding))
    return ROUNDINGS + bounds.most_patches(kernel, stride), terms


def convolve(x: Matrix, weights: Matrix, height: int, width: int, kernel: int, stride: int, padding: int) -> Steps:
    """The length of an image times that of a channel's weights: what the products of Fourier transforms weigh.

    Every coefficient depends on the whole image. Winograd's tiles are parts of an image.
    """
    g = Geometry(height, width, kernel, stride, padding)
    most = np.repeat(_lengths(x), g.rows * g.columns)
    return ROUNDINGS + len(weights), most[:, None] * _lengths(weights.T)


def _lengths(rows: Matrix) -> Matrix:
    """Return the Euclidean length of each row, without overflow or underflow."""
    most = np.max(abs(rows), axis=1, initial=0)
    scale = np.where(most > 0, most, 1)
    lengths: Matrix = scale * np.sqrt(np.sum((rows / scale[:, None]) ** 2, axis=1))
    return lengths


STEPS: dict[str, Callable[..., Steps]] = {
    step.__name__: step
    for step in (
        *(matmul, bias_sigmoid, sigmoid_gradient, bias_tanh, tanh_gradient, bias_relu, relu_gradient, mse_gradient),
        *(bce_gradient, mse_loss, bce_loss, column_sum, axpy, gather, unfold, fold, convolve),
    )
}
FUNCTIONS = {"bias_sigmoid": bounds.SIGMOID, "bias_tanh": bounds.TANH}  # granted of 1 here, as of the result there


def bound(name: str, values: dict[str, Any], exact: Matrix, best: Matrix, dtype: str) -> Matrix:
    """Return how far from the exact result a kernel may be, elementwise, and still be imprecise and not wrong.

    Parameters
    ----------
    name : str
        A kernel of the contract but ``advance``.
    values : dict
        Its arguments, as float64 where they are floats.
    exact, best : ndarray
        The exact result, and the bound of the best formula, within which a kernel is right.
    dtype : {"float32", "float64"}
    """
    steps, most = weighed(name, values, exact)
    granted = FUNCTIONS[name][dtype] if name in FUNCTIONS else bounds.gamma(steps, dtype)
    return best + granted * most


def weighed(name: str, values: dict[str, Any], exact: Matrix) -> Steps:
    """Return how many steps a formula may have, and what each may weigh."""
    if values.keys() >= {"trans_a", "trans_b"}:
        values = values | {key: values[key].T for key in "ab" if values[f"trans_{key}"]}
    wanted = inspect.signature(STEPS[name]).parameters
    return STEPS[name](**{key: x for key, x in (values | {"exact": exact}).items() if key in wanted})
