"""How far a right kernel may be from the exact result, derived from sizes and the unit roundoff alone.

u is the unit roundoff: 2⁻²⁴ in float32, 2⁻⁵³ in float64. A result of n roundings is within a factor 1 ± γ(n) of the
exact one, γ(n) = n u / (1 − n u), and a sum of products taken in any order within γ(n) of the sum of their magnitudes
(Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., SIAM 2002, lemma 3.1 and section 3.1).

A function with the name of a kernel takes that kernel's inputs, float64 arrays of the contract's shapes, and the dtype
in which the kernel computes, ``"float32"`` or ``"float64"``. It returns the largest error of each element: a float64
array of the shape of the output. The exact result is computed in float64 by the same formula; `gamma` includes its
error. The two kernels of an activation have a function for all activations each.
"""

import numpy as np
from numpy.typing import NDArray

from fastae.activations import ACTIVATIONS
from fastae.backends.numpy_backend import patches
from fastae.layers import Geometry

Matrix = NDArray[np.float64]


def unit_roundoff(dtype: str) -> float:
    """Return the unit roundoff u of a dtype.

    Parameters
    ----------
    dtype : {"float32", "float64"}

    Returns
    -------
    float

    Examples
    --------
    >>> unit_roundoff("float32") == 2.0**-24
    True
    """
    return float(np.finfo(dtype).eps) / 2


def smallest(dtype: str) -> float:
    """Return the smallest normal number, which bounds the error of an operation whose result is smaller."""
    return float(np.finfo(dtype).tiny)


def gamma(n: int, dtype: str) -> float:
    """Return γ(n) of the kernel plus γ(n) of the float64 result that it is compared with.

    Parameters
    ----------
    n : int
        Roundings.
    dtype : {"float32", "float64"}
        In which the kernel computes.

    Returns
    -------
    float
        The largest relative error.

    Examples
    --------
    >>> f"{gamma(10, 'float32'):.2e}"
    '5.96e-07'
    """
    return sum(n * u / (1 - n * u) for u in (unit_roundoff(dtype), unit_roundoff("float64")))


def matmul(a: Matrix, b: Matrix, out: Matrix, alpha: float, beta: float, dtype: str) -> Matrix:
    """Bound a product: a sum of k products and beta · out, k + 1 terms, and a rounding for alpha and for alpha · Σ.

    Examples
    --------
    >>> ones = np.ones((2, 2))
    >>> bound = matmul(ones, ones, np.zeros((2, 2)), 1.0, 0.0, "float32")
    >>> accepts(ones @ ones + 1e-7, ones @ ones, bound), accepts(ones @ ones + 1e-5, ones @ ones, bound)
    (True, False)
    """
    k = a.shape[1]
    terms = abs(alpha) * (abs(a) @ abs(b))
    if beta != 0:
        terms += abs(beta) * abs(out)
    return gamma(k + 3, dtype) * terms + (k + 3) * smallest(dtype)


def activation(name: str, y: Matrix, dtype: str) -> Matrix:
    """Bound an activation as the contract does. A result below the normal numbers may become 0.

    Parameters
    ----------
    name : str
        The activation.
    y : ndarray
        Its output: of the rounded sum z + bias if the activation is approximated, else of the exact sum. In an exact
        function of the sum, such as max(0, t), the sum's rounding is the only one.
    dtype : {"float32", "float64"}

    Returns
    -------
    ndarray
        float64, of the shape of `y`.

    Examples
    --------
    >>> float(activation("sigmoid", np.array([[0.5]]), "float32")[0, 0])
    1e-06
    """
    error = ACTIVATIONS[name].error
    if error is None:
        return gamma(1, dtype) * abs(y) + smallest(dtype)
    return error[dtype] * abs(y) + 2 * smallest(dtype)


def activation_gradient(name: str, delta: Matrix, y: Matrix, dtype: str) -> Matrix:
    """Bound the roundings of delta times a derivative: one for each of its arithmetic operations.

    Examples
    --------
    >>> bool(activation_gradient("sigmoid", np.array([[1.0]]), np.array([[0.5]]), "float32")[0, 0] < 1e-7)
    True
    """
    row = ACTIVATIONS[name]
    if row.slope_terms is None:
        return np.zeros_like(delta)
    return gamma(row.gradient_flops, dtype) * abs(delta) * row.slope_terms(y) + (1 + abs(delta)) * smallest(dtype)


def mse_gradient(z: Matrix, x: Matrix, scale: float, dtype: str) -> Matrix:
    """Bound six roundings: of scale, z − x, 1 − z and three products.

    Examples
    --------
    >>> z, x = np.array([[0.5]]), np.array([[0.25]])
    >>> bool(mse_gradient(z, x, 1.0, "float32")[0, 0] < 1e-6)
    True
    """
    return gamma(6, dtype) * abs(2 * scale * (z - x) * z * (1 - z)) + (1 + 4 * abs(scale)) * smallest(dtype)


def bce_gradient(z: Matrix, x: Matrix, scale: float, dtype: str) -> Matrix:
    """Bound three roundings: of scale, z − x and their product.

    Examples
    --------
    >>> z, x = np.array([[0.5]]), np.array([[0.25]])
    >>> bool(bce_gradient(z, x, 1.0, "float32")[0, 0] < 1e-6)
    True
    """
    return gamma(3, dtype) * abs(scale * (z - x)) + smallest(dtype)


def mse_loss(z: Matrix, x: Matrix, dtype: str) -> Matrix:
    """Bound three roundings of each (z − x)², the first counted twice since it is squared, and n − 1 of their sum.

    Examples
    --------
    >>> mse_loss(np.full((3, 4), 0.5), np.zeros((3, 4)), "float32").shape
    (3,)
    """
    n = z.shape[1]
    return gamma(n + 2, dtype) * np.sum((z - x) ** 2, axis=1) + n * smallest(dtype)


def bce_loss(z: Matrix, x: Matrix, dtype: str) -> Matrix:
    """Bound n + 6 roundings: four of a logarithm, one each of 1 − x, its product and the sum of two, n − 1 of the sum.

    The rounding of 1 − z before its logarithm is a term of its own: log((1 − z)(1 + δ)) = log(1 − z) + δ to first
    order, and γ(2) instead of γ(1) covers the second order.

    Examples
    --------
    >>> bce_loss(np.full((3, 4), 0.5), np.zeros((3, 4)), "float32").shape
    (3,)
    """
    n = z.shape[1]
    log_z, log_1z = floored_logs(z)
    terms = abs(x * log_z) + abs((1 - x) * log_1z)
    return gamma(n + 6, dtype) * np.sum(terms, axis=1) + gamma(2, dtype) * np.sum(abs(1 - x), axis=1)


def floored_logs(z: Matrix) -> tuple[Matrix, Matrix]:
    """Return log z and log(1 − z), each at least −100, as the cross-entropy has them."""
    with np.errstate(divide="ignore"):
        return np.maximum(np.log(z), -100), np.maximum(np.log1p(-z), -100)


def column_sum(delta: Matrix, out: Matrix, alpha: float, beta: float, dtype: str) -> Matrix:
    """Bound a column sum as the product of a row of ones with delta.

    Examples
    --------
    >>> column_sum(np.ones((3, 4)), np.zeros(4), 1.0, 0.0, "float32").shape
    (4,)
    """
    return matmul(np.ones((1, len(delta))), delta, out[None], alpha, beta, dtype)[0]


def axpy(alpha: float, x: Matrix, y: Matrix, dtype: str) -> Matrix:
    """Bound three roundings: of alpha, alpha · x and the sum.

    Examples
    --------
    >>> bool(axpy(2.0, np.ones((1, 1)), np.ones((1, 1)), "float32")[0, 0] < 1e-6)
    True
    """
    return gamma(3, dtype) * (abs(alpha * x) + abs(y)) + smallest(dtype)


def gather(pixels: Matrix, dtype: str) -> Matrix:
    """Bound two roundings: of 1 / 255, and of its product with the pixel."""
    return gamma(2, dtype) * pixels


def unfold(x: Matrix, height: int, width: int, kernel: int, stride: int, padding: int, dtype: str) -> Matrix:
    """Return 0 for each number of each patch: all are copied."""
    g = Geometry(height, width, kernel, stride, padding)
    return np.zeros((len(x) * g.rows * g.columns, kernel**2 * (x.shape[1] // (height * width))))


def fold(x: Matrix, height: int, width: int, kernel: int, stride: int, padding: int, dtype: str) -> Matrix:
    """Bound a pixel, the sum of the numbers of its patches: at most ⌈kernel / stride⌉² terms."""
    most = most_patches(kernel, stride)
    terms = magnitudes(x, Geometry(height, width, kernel, stride, padding))
    return gamma(most, dtype) * terms + (most - 1) * smallest(dtype)


def magnitudes(x: Matrix, g: Geometry) -> Matrix:
    """Return for each pixel the sum of the magnitudes of its patches' numbers for it, of the shape of the images."""
    terms = np.zeros((len(x) // (g.rows * g.columns), g.height * g.width * (x.shape[1] // g.kernel**2)))
    patches.fold(abs(x), g, terms)
    return terms


def most_patches(kernel: int, stride: int) -> int:
    """Return the largest number of patches that contain a pixel."""
    return int(-(-kernel // stride)) ** 2


def convolve(
    x: Matrix, weights: Matrix, height: int, width: int, kernel: int, stride: int, padding: int, dtype: str
) -> Matrix:
    """Bound a matrix product of the patches with the weights; the zeros of the padding add nothing."""
    g = Geometry(height, width, kernel, stride, padding)
    unfolded = np.zeros((len(x) * g.rows * g.columns, len(weights)))
    patches.unfold(x, g, unfolded)
    return matmul(unfolded, weights, np.zeros((1, 1)), 1.0, 0.0, dtype)


def step(
    W: list[Matrix], b: list[Matrix], x: Matrix, loss: str, lr: float, dtype: str
) -> tuple[list[Matrix], list[Matrix]]:
    """Bound the errors of weights and biases after one step of plain gradient descent with sigmoids.

    The bounds of the step's kernels are combined: each adds the error of its inputs to its own roundings. The error of
    a product pq is ``e|q| + |p|f + ef``, that of σ(z) at most ``e (|σ′| + e/10)`` or e/4, as ``|σ′| ≤ 1/4`` and
    ``|σ″| < 1/10``, and that of y (1 − y) is ``e |1 − 2y| + e²``.

    Parameters
    ----------
    W, b : list of ndarray
        Weights (inputs, outputs) and biases (outputs,) of each layer before the step, float64.
    x : ndarray
        The batch (images, pixels), float64.
    loss : {"mse", "bce"}
    lr : float
        The learning rate.
    dtype : {"float32", "float64"}
        In which the step computes.

    Returns
    -------
    errors_W : list of ndarray
        Of the shapes of `W`, float64.
    errors_b : list of ndarray
        Of the shapes of `b`, float64.

    Examples
    --------
    >>> W, b, x = [np.ones((3, 2)), np.ones((2, 3))], [np.zeros(2), np.zeros(3)], np.full((4, 3), 0.5)
    >>> errors_W, errors_b = step(W, b, x, "mse", 0.1, "float32")
    >>> [error.shape for error in errors_W + errors_b]
    [(3, 2), (2, 3), (2,), (3,)]
    """
    layers = len(W)
    a, e = [x], [gamma(1, dtype) * x]  # activations, and their errors
    for W_l, b_l in zip(W, b):
        e_z = e[-1] @ abs(W_l) + gamma(len(W_l) + 3, dtype) * ((a[-1] + e[-1]) @ abs(W_l) + abs(b_l))
        y = 1 / (1 + np.exp(-(a[-1] @ W_l + b_l)))
        e_y = e_z * np.minimum(y * (1 - y) + e_z / 10, 1 / 4)
        a.append(y)
        e.append(e_y + activation("sigmoid", y + e_y, dtype))

    def times(p: Matrix, e_p: Matrix, q: Matrix, e_q: Matrix, roundings: int) -> Matrix:
        """Return the bound of the product p q."""
        return e_p * abs(q) + (abs(p) + e_p) * e_q + gamma(roundings, dtype) * (abs(p) + e_p) * (abs(q) + e_q)

    def slope(l: int) -> tuple[Matrix, Matrix]:
        """Return y (1 − y) of layer l, and its error without roundings, which `times` adds."""
        y, e_y = a[l], e[l]
        return y * (1 - y), e_y * (abs(1 - 2 * y) + e_y)

    scale = 1 / len(x)
    d, e_d = scale * (a[-1] - x), scale * (e[-1] + e[0])
    if loss == "mse":
        s, e_s = slope(layers)
        d, e_d = 2 * d * s, times(2 * d, 2 * e_d, s, e_s, 6)
    else:
        e_d += gamma(3, dtype) * (abs(d) + e_d)

    errors_W: list[Matrix] = []
    errors_b: list[Matrix] = []
    for l in reversed(range(layers)):
        ones = np.ones((len(x), 1))
        for output, e_a, parameter, errors in ((a[l], e[l], W[l], errors_W), (ones, 0 * ones, b[l], errors_b)):
            error = abs(output).T @ e_d + e_a.T @ (abs(d) + e_d)
            error += gamma(len(x) + 3, dtype) * (abs(output) + e_a).T @ (abs(d) + e_d)
            update = lr * (abs(output.T @ d) + error)
            errors.insert(0, (lr * error + gamma(3, dtype) * (abs(parameter) + update)).reshape(parameter.shape))
        if l:
            g, columns = d @ W[l].T, abs(W[l]).T
            e_g = e_d @ columns + gamma(len(columns) + 3, dtype) * (abs(d) + e_d) @ columns
            s, e_s = slope(l)
            d, e_d = g * s, times(g, e_g, s, e_s, 3)
    return errors_W, errors_b


def accepts(found: Matrix, exact: Matrix, bound: Matrix | float) -> bool:
    """Return whether every element is within its bound; a NaN never is.

    Parameters
    ----------
    found, exact : ndarray
        Of one shape.
    bound : ndarray or float
        Of that shape, or one for all elements.

    Returns
    -------
    bool

    Examples
    --------
    >>> exact = np.array([[1.0, 2.0]])
    >>> accepts(exact + 1e-7, exact, 1e-6), accepts(exact * np.nan, exact, 1e-6)
    (True, False)
    """
    assert found.shape == exact.shape
    return bool(np.all(abs(found - exact) <= bound))


def rounded(x: Matrix, bits: int) -> Matrix:
    """Round to a mantissa of so many bits after the leading one.

    Parameters
    ----------
    x : ndarray
        float64.
    bits : int
        10 for TF32, 7 for bfloat16.

    Returns
    -------
    ndarray
        float64, of the shape of `x`.

    Examples
    --------
    >>> import numpy as np
    >>> rounded(np.array([1 + 2.0**-12]), 10)
    array([1.])
    """
    mantissa, exponent = np.frexp(x)
    return np.ldexp(np.rint(np.ldexp(mantissa, bits + 1)), exponent - bits - 1)
