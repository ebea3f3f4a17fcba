"""The activations of hidden layers; the last layer's is always the sigmoid, since images are in [0, 1].

A new activation is a row of the table here, with its formulas in NumPy. A compiled backend needs its formulas too: in
``backends/numba_backend/activations.py``, and for CUDA and the emulator in ``cuda/activations.cuh``.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from fastae.errors import InputError

Array = np.ndarray

APPROXIMATED = {"float32": 2e-6, "float64": 1e-14}
"""Relative error that a kernel may have of a function which is approximated; the contract grants the first."""


class Activation(NamedTuple):
    """One row of the table.

    Attributes
    ----------
    kernel, gradient : str
        The contract's kernels: the activation of z + bias, and the delta times its derivative, from its output alone.
    init : str
        How weights begin unless one says otherwise; see `fastae.Autoencoder`.
    writes, gradient_writes : str
        The two kernels' formulas.
    flops, gradient_flops : int
        Arithmetic operations for each number; a sigmoid or a tanh counts as four.
    flat : (float, float)
        Outputs below the first or above the second lie where the slope is below 4% of the steepest, so that learning
        stops; (-inf, inf) for an activation that has no such part, or that learns there.
    dies : bool
        It is 0 with a slope of 0 for all negative inputs, so that a unit may be 0 for all images. `fastae.diagnose`
        then counts such units instead of flat outputs.
    rates : dict
        The learning rate that suits MNIST at batch size 16, by kind of network and loss, as measured in
        docs/learning-rate.md. To begin with, take those of the most similar activation.
    module, operator : str
        Its names in ``torch.nn`` and in ONNX.
    apply : callable
        ``apply(t)`` replaces the pre-activations t by f(t). Its caller ignores warnings of overflows.
    slope : callable
        ``slope(y, out)`` writes f′ to another array, from the output y = f(t).
    backward : callable
        ``backward(delta, y, out)`` writes delta · f′; out may be delta.
    error : dict of float, optional
        Relative error that a kernel may have, by dtype, if f is approximated. None if f is exact once t = z + bias is
        rounded.
    slope_terms : callable, optional
        ``slope_terms(y)`` returns the sum of the magnitudes of the terms of f′, for the error bound of the gradient's
        kernel. None if delta is copied, so that nothing is rounded.

    Examples
    --------
    >>> ACTIVATIONS["tanh"].kernel, ACTIVATIONS["tanh"].writes
    ('bias_tanh', 'tanh(z + bias)')
    """

    kernel: str
    gradient: str
    init: str
    writes: str
    gradient_writes: str
    flops: int
    gradient_flops: int
    flat: tuple[float, float]
    dies: bool
    rates: dict[str, dict[str, float]]
    module: str
    operator: str
    apply: Callable[[Array], Any]
    slope: Callable[[Array, Array], Any]
    backward: Callable[[Array, Array, Array], Any]
    error: dict[str, float] | None
    slope_terms: Callable[[Array], Array] | None


def sigmoid(t: Array) -> None:
    """Replace t by σ(t) = 1 / (1 + e⁻ᵗ). An overflow of e⁻ᵗ to ∞ is right: it gives σ = 0."""
    np.subtract(0, t, out=t)  # np.negative of NumPy 2.4 is wrong in a column of every 4th float
    np.exp(t, out=t)
    t += 1
    np.divide(1, t, out=t)


def sigmoid_slope(y: Array, out: Array) -> None:
    """Write y · (1 − y)."""
    np.subtract(1, y, out=out)
    out *= y


def tanh_slope(y: Array, out: Array) -> None:
    """Write 1 − y²."""
    np.multiply(y, y, out=out)
    np.subtract(1, out, out=out)


def by_slope(slope: Callable[[Array, Array], Any]) -> Callable[[Array, Array, Array], Any]:
    """Return a function that writes delta · f′; it needs an array for f′, since `out` may be delta."""

    def backward(delta: Array, y: Array, out: Array) -> None:
        slopes = np.empty_like(y)
        slope(y, slopes)
        np.multiply(delta, slopes, out=out)

    return backward


def relu_backward(delta: Array, y: Array, out: Array) -> None:
    """Write delta where y > 0, else 0, also where delta is infinite or NaN."""
    out[:] = np.where(y > 0, delta, 0)


ACTIVATIONS = {
    "sigmoid": Activation(
        kernel="bias_sigmoid",
        gradient="sigmoid_gradient",
        init="glorot-sigmoid",
        writes="σ(z + bias)",
        gradient_writes="delta · y · (1 − y)",
        flops=5,
        gradient_flops=3,
        flat=(0.01, 0.99),
        dies=False,
        rates={"dense": {"mse": 0.25, "bce": 0.05}, "conv": {"mse": 0.02, "bce": 0.01}},
        module="Sigmoid",
        operator="Sigmoid",
        apply=sigmoid,
        slope=sigmoid_slope,
        backward=by_slope(sigmoid_slope),
        error=APPROXIMATED,
        slope_terms=lambda y: abs(y * (1 - y)),  # 1 − y is exact where y is near 1, where it is small
    ),
    "tanh": Activation(
        kernel="bias_tanh",
        gradient="tanh_gradient",
        init="glorot",
        writes="tanh(z + bias)",
        gradient_writes="delta · (1 − y²)",
        flops=5,
        gradient_flops=3,
        flat=(-0.98, 0.98),
        dies=False,
        rates={"dense": {"mse": 0.03, "bce": 0.01}, "conv": {"mse": 0.02, "bce": 0.004}},
        module="Tanh",
        operator="Tanh",
        apply=lambda t: np.tanh(t, out=t),
        slope=tanh_slope,
        backward=by_slope(tanh_slope),
        error=APPROXIMATED,
        slope_terms=lambda y: abs(1 - y * y) + y * y,  # the rounding error of y² remains where 1 − y² is small
    ),
    "relu": Activation(
        kernel="bias_relu",
        gradient="relu_gradient",
        init="he",
        writes="max(0, z + bias)",
        gradient_writes="delta where y > 0, else 0",
        flops=2,
        gradient_flops=1,
        flat=(0.0, float("inf")),
        dies=True,
        rates={"dense": {"mse": 0.02, "bce": 0.004}, "conv": {"mse": 0.005, "bce": 0.0015}},
        module="ReLU",
        operator="Relu",
        apply=lambda t: np.maximum(t, 0, out=t),
        slope=lambda y, out: np.sign(y, out=out),  # y is 0 or positive
        backward=relu_backward,
        error=None,
        slope_terms=None,
    ),
}


def activation_of(name: object) -> str:
    """Return the name of an activation that there is; raises `InputError`.

    Examples
    --------
    >>> activation_of("relu")
    'relu'
    """
    if not isinstance(name, str) or name not in ACTIVATIONS:
        raise InputError(f"unknown activation {name!r}; the activations are: {', '.join(ACTIVATIONS)}")
    return name
