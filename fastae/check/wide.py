"""How far an imprecise kernel may be from the exact result: one with a formula that is right on paper but not the best.

A formula is a list of steps v₁, v₂, ..., each of which is rounded to vᵢ (1 + δᵢ) with ``|δᵢ| ≤ u``. To first order its
result is off by Σ δᵢ vᵢ ∂out/∂vᵢ (forward error analysis: Higham, Accuracy and Stability of Numerical Algorithms,
2nd ed., SIAM 2002, sections 1.5 and 3.1). Call ``|vᵢ ∂out/∂vᵢ|`` what step i weighs. If none weighs more than M, a
formula of N steps is within γ(N) M of the exact result.

The best formula of a kernel has steps that weigh no more than the result, or than the terms of its sum, which gives the
bounds of `fastae.check.bounds`. Another formula that is right on paper may subtract numbers that are nearly alike; its
steps then weigh more than the result, but no more than the usual intermediate results: 1 for σ, the terms for a sum. A
function with the name of a kernel returns N, and M for each element of the output, for any formula of that kernel.

An input or an accumulator in a format of fewer bits is a step too, but its δ is 2¹³ times as large (float16 and TF32 in
float32), 2¹⁶ times (bfloat16) or 2²⁹ times (float32 in float64). N is therefore small beside 2¹³: ``ROUNDINGS``, plus a
sum's length.
"""

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from fastae.activations import ACTIVATIONS
from fastae.check import bounds
from fastae.check.bounds import Matrix
from fastae.layers import Geometry

ROUNDINGS = 16  # steps of a formula without the additions of a sum

Steps = tuple[int, Matrix]


def matmul(a: Matrix, b: Matrix, out: Matrix, alpha: float, beta: float) -> Steps:
    """Weigh Strassen's products: the length of the longest row of a times that of the longest column of b.

    They multiply sums of blocks, in which elements of other rows and columns cancel. The terms of an element's own sum
    are together no more, by the inequality of Cauchy and Schwarz.
    """
    most = abs(alpha) * np.max(_lengths(a), initial=0) * np.max(_lengths(b.T), initial=0)
    return ROUNDINGS + a.shape[1], most + (abs(beta * out) if beta != 0 else np.zeros(out.shape))


def bias_sigmoid(z: Matrix) -> Steps:
    """Weigh formulas such as (1 + tanh(t/2)) / 2 and 1 − σ(−t): steps up to 1, however small the result."""
    return ROUNDINGS, np.ones(z.shape)


def sigmoid_gradient(delta: Matrix, y: Matrix) -> Steps:
    """Weigh formulas such as y − y², ¼ − (y − ½)² and (1 − y) − (1 − y)²: steps up to the larger of 1 and y²."""
    return ROUNDINGS, abs(delta) * np.maximum(1, y * y)


def bias_tanh(z: Matrix) -> Steps:
    """Weigh 2σ(2t) − 1 and (E − 1) / (E + 1) with E = e²ᵗ, which subtract 1 from a number near 1."""
    return ROUNDINGS, np.ones(z.shape)


def tanh_gradient(delta: Matrix, y: Matrix) -> Steps:
    """Weigh δ − δ y² and 4σ(1 − σ): steps up to 1 + y²."""
    return ROUNDINGS, abs(delta) * (1 + y * y)


def bias_relu(z: Matrix, bias: Matrix) -> Steps:
    """Weigh a sum of scaled numbers, 4 max(0, z/4 + bias/4), where it is positive.

    Elsewhere 0 is written and not computed: with a rounding error the unit would be on.
    """
    return ROUNDINGS, (abs(z) + abs(bias)) * (z + bias > 0)


def relu_gradient(delta: Matrix, y: Matrix) -> Steps:
    """Weigh δ y / y where y > 0; elsewhere 0 is written and not computed."""
    return ROUNDINGS, abs(delta) * (y > 0)


def mse_gradient(z: Matrix, x: Matrix, scale: float) -> Steps:
    """Weigh 2 scale (z² − z³ − x z + x z²): no step more than z + x, times z² where z is above 1."""
    return ROUNDINGS, 2 * abs(scale) * (abs(z) + abs(x)) * np.maximum(1, z * z)


def bce_gradient(z: Matrix, x: Matrix, scale: float) -> Steps:
    """Weigh scale · z − scale · x, and z (1 − x) − x (1 − z)."""
    return ROUNDINGS, abs(scale) * (abs(z) + abs(x))


def mse_loss(z: Matrix, x: Matrix) -> Steps:
    """Weigh Σ z² − 2 Σ z x + Σ x²: its steps are together (|z| + |x|)²."""
    return ROUNDINGS + z.shape[1], np.sum((abs(z) + abs(x)) ** 2, axis=1)


def bce_loss(z: Matrix, x: Matrix) -> Steps:
    """Weigh x (log z − log(1 − z)) + log(1 − z), which has each logarithm twice.

    The argument of log(zˣ (1 − z)¹⁻ˣ) is rounded, which adds a step that weighs 1.
    """
    log_z, log_1z = bounds.floored_logs(z)
    terms = (abs(x) + abs(1 - x)) * (abs(log_z) + abs(log_1z)) + 1
    return ROUNDINGS + z.shape[1], np.sum(terms, axis=1)


def column_sum(delta: Matrix, out: Matrix, alpha: float, beta: float) -> Steps:
    """Weigh a mean times the number of rows, and alpha in every term: the sum of the magnitudes."""
    old = abs(beta * out) if beta != 0 else np.zeros(out.shape)
    return ROUNDINGS + len(delta), abs(alpha) * np.sum(abs(delta), axis=0) + old


def axpy(alpha: float, x: Matrix, y: Matrix) -> Steps:
    """Weigh alpha · (x + y / alpha)."""
    return ROUNDINGS, abs(alpha * x) + abs(y)


def gather(out: Matrix) -> Steps:
    """Weigh 1 − (255 − pixel) / 255: steps up to 1, the largest result."""
    return ROUNDINGS, np.ones(out.shape)


def unfold(exact: Matrix) -> Steps:
    """Weigh a number that is multiplied and divided again; a 0 stays 0."""
    return ROUNDINGS, abs(exact)


def fold(x: Matrix, height: int, width: int, kernel: int, stride: int, padding: int) -> Steps:
    """Weigh any order of a sum: the sum of the magnitudes."""
    terms = bounds.magnitudes(x, Geometry(height, width, kernel, stride, padding))
    return ROUNDINGS + bounds.most_patches(kernel, stride), terms


def convolve(x: Matrix, weights: Matrix, height: int, width: int, kernel: int, stride: int, padding: int) -> Steps:
    """Weigh the products of Fourier transforms: the length of an image times that of a channel's weights.

    Every coefficient depends on the whole image. Winograd's tiles are parts of an image, and weigh less.
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
FUNCTIONS = {
    row.kernel: row.error for row in ACTIVATIONS.values() if row.error
}  # relative to 1 here, there to the result


def bound(name: str, values: dict[str, Any], exact: Matrix, best: Matrix, dtype: str) -> Matrix:
    """Return how far from the exact result an imprecise kernel may be; beyond that it is wrong.

    Parameters
    ----------
    name : str
        A kernel of the contract other than ``advance``.
    values : dict
        Its arguments by name; floats in float64.
    exact, best : ndarray
        The exact result, and the bound within which a kernel is right; float64.
    dtype : {"float32", "float64"}
        In which the kernel computes.

    Returns
    -------
    ndarray
        float64, of the shape of `exact`.
    """
    steps, most = weighed(name, values, exact)
    granted = FUNCTIONS[name][dtype] if name in FUNCTIONS else bounds.gamma(steps, dtype)
    return best + granted * most


def weighed(name: str, values: dict[str, Any], exact: Matrix) -> Steps:
    """Return N, the steps that a formula may have, and M, what each may weigh, of the shape of the output."""
    if values.keys() >= {"trans_a", "trans_b"}:
        values = values | {key: values[key].T for key in "ab" if values[f"trans_{key}"]}
    wanted = inspect.signature(STEPS[name]).parameters
    return STEPS[name](**{key: x for key, x in (values | {"exact": exact}).items() if key in wanted})
