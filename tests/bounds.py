"""How far a correct kernel may be from the exact result, from nothing but sizes and the unit roundoff.

u is the unit roundoff: 2⁻²⁴ in float32, 2⁻⁵³ in float64. A result of n roundings is within a factor 1 ± γ(n) of the
exact one, γ(n) = n u / (1 − n u), and a sum of products taken in any order within γ(n) of the sum of their magnitudes
(Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., SIAM 2002, lemma 3.1 and section 3.1).

All bounds are elementwise. Their arguments are the kernel's inputs as float64 arrays, and the dtype that the kernel
computes in. The exact result itself is computed in float64 by the same formula, whose own error `gamma` includes.
"""

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]

SIGMOID = {"float32": 2e-6, "float64": 1e-14}  # relative; the first is the contract's


def unit_roundoff(dtype: str) -> float:
    return float(np.finfo(dtype).eps) / 2


def smallest(dtype: str) -> float:
    """What an operation may lose besides, when its result is too small for a normal number."""
    return float(np.finfo(dtype).tiny)


def gamma(n: int, dtype: str) -> float:
    """γ(n) of the kernel plus γ(n) of the float64 reference that it is compared with."""
    return sum(n * u / (1 - n * u) for u in (unit_roundoff(dtype), unit_roundoff("float64")))


def matmul(a: Matrix, b: Matrix, out: Matrix, alpha: float, beta: float, dtype: str) -> Matrix:
    """The k products and beta · out are k + 1 terms of a sum; one rounding more for each of alpha and alpha · Σ."""
    k = a.shape[1]
    terms = abs(alpha) * (abs(a) @ abs(b))
    if beta != 0:
        terms += abs(beta) * abs(out)
    return gamma(k + 3, dtype) * terms + (k + 3) * smallest(dtype)


def sigmoid(y: Matrix, dtype: str) -> Matrix:
    """What the contract grants, y being σ of the sum as rounded; below the normal numbers there is no promise."""
    return SIGMOID[dtype] * abs(y) + smallest(dtype)


def sigmoid_gradient(delta: Matrix, y: Matrix, dtype: str) -> Matrix:
    """Roundings: 1 − y, and two products."""
    return gamma(3, dtype) * abs(delta * y * (1 - y)) + (1 + abs(delta)) * smallest(dtype)


def mse_gradient(z: Matrix, x: Matrix, scale: float, dtype: str) -> Matrix:
    """Roundings: scale, z − x, 1 − z, and three products."""
    return gamma(6, dtype) * abs(2 * scale * (z - x) * z * (1 - z)) + (1 + 4 * abs(scale)) * smallest(dtype)


def bce_gradient(z: Matrix, x: Matrix, scale: float, dtype: str) -> Matrix:
    """Roundings: scale, z − x, and their product."""
    return gamma(3, dtype) * abs(scale * (z - x)) + smallest(dtype)


def mse_loss(z: Matrix, x: Matrix, dtype: str) -> Matrix:
    """Three roundings for each (z − x)², of which the first counts twice, and n − 1 for their sum."""
    n = z.shape[1]
    return gamma(n + 2, dtype) * np.sum((z - x) ** 2, axis=1) + n * smallest(dtype)


def bce_loss(z: Matrix, x: Matrix, dtype: str) -> Matrix:
    """Every logarithm to four units, 1 − x, its product, the sum of two and the sum of n: n + 6 roundings.

    Besides, 1 − z is rounded before its logarithm is taken: log((1 − z)(1 + δ)) = log(1 − z) + δ, to first order; the
    second order is what γ(2) has over γ(1).
    """
    n = z.shape[1]
    log_z, log_1z = floored_logs(z)
    terms = abs(x * log_z) + abs((1 - x) * log_1z)
    return gamma(n + 6, dtype) * np.sum(terms, axis=1) + gamma(2, dtype) * np.sum(abs(1 - x), axis=1)


def floored_logs(z: Matrix) -> tuple[Matrix, Matrix]:
    """log z and log(1 − z) of the cross-entropy, floored at −100."""
    with np.errstate(divide="ignore"):
        return np.maximum(np.log(z), -100), np.maximum(np.log1p(-z), -100)


def column_sum(delta: Matrix, out: Matrix, alpha: float, beta: float, dtype: str) -> Matrix:
    """A product of a row of ones with delta."""
    return matmul(np.ones((1, len(delta))), delta, out[None], alpha, beta, dtype)[0]


def axpy(alpha: float, x: Matrix, y: Matrix, dtype: str) -> Matrix:
    """Roundings: alpha, alpha · x, and the sum."""
    return gamma(3, dtype) * (abs(alpha * x) + abs(y)) + smallest(dtype)


def step(
    W: list[Matrix], b: list[Matrix], x: Matrix, loss: str, lr: float, dtype: str
) -> tuple[list[Matrix], list[Matrix]]:
    """How far the weights and biases may be from the exact ones after one step of plain gradient descent on batch x.

    The step's kernels one after another. Beside its own roundings each hands on the error of its inputs: a product
    ab with errors e and f has the error e|b| + |a|f + ef; σ′ and |1 − 2y| are at most ¼ and 1.
    """
    u, tiny, layers = unit_roundoff(dtype), smallest(dtype), len(W)
    a, e = [x], [u * x]  # activations, and their errors
    for W_l, b_l in zip(W, b):
        z = a[-1] @ W_l + b_l
        most = (a[-1] + e[-1]) @ abs(W_l) + abs(b_l)
        e_z = e[-1] @ abs(W_l) + gamma(len(W_l) + 3, dtype) * most
        y = 1 / (1 + np.exp(-z))
        a.append(y)
        e.append(e_z / 4 + SIGMOID[dtype] * (y + e_z / 4) + tiny)

    y, scale = a[-1], 1 / len(x)
    difference, e_difference = y - x, e[-1] + e[0]
    if loss == "bce":
        d = scale * difference
        e_d = scale * e_difference + gamma(3, dtype) * scale * (abs(difference) + e_difference)
    else:
        slope, e_slope = y * (1 - y), e[-1]
        d = 2 * scale * difference * slope
        most = 2 * scale * (abs(difference) + e_difference) * (slope + e_slope)
        e_d = most - abs(d) + gamma(6, dtype) * most

    errors_W, errors_b = [], []
    for l in reversed(range(layers)):
        for activation, e_activation, parameter, errors in (
            (a[l], e[l], W[l], errors_W),
            (np.ones((len(x), 1)), 0, b[l], errors_b),
        ):
            gradient = abs(activation.T @ d)
            most = (activation + e_activation).T @ (abs(d) + e_d)
            error = activation.T @ e_d + (np.zeros_like(activation) + e_activation).T @ (abs(d) + e_d)
            error += gamma(len(x) + 3, dtype) * most
            update = lr * (gradient + error)
            errors.insert(0, (lr * error + gamma(3, dtype) * (abs(parameter) + update)).reshape(parameter.shape))
        if l:
            g = d @ W[l].T
            e_g = e_d @ abs(W[l]).T + gamma(W[l].shape[1] + 3, dtype) * (abs(d) + e_d) @ abs(W[l]).T
            slope, e_slope = a[l] * (1 - a[l]), e[l]
            d = g * slope
            most = (abs(g) + e_g) * (slope + e_slope)
            e_d = most - abs(d) + gamma(3, dtype) * most
    return errors_W, errors_b


def accepts(found: Matrix, exact: Matrix, bound: Matrix | float) -> bool:
    """Whether every element is within its bound; a NaN is within none."""
    assert found.shape == exact.shape
    return bool(np.all(abs(found - exact) <= bound))
