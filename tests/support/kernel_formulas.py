"""The contract's kernels as formulas in float64, and a call that is checked."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from pure_python import PurePython

import fastae
from fastae.check import bounds
from fastae.check.calls import cases
from fastae.layers import Geometry

Arguments = dict[str, Any]

HERE = [name for name, state in fastae.backends.availability().items() if state.ok]
ROUNDED_SUMS = ("bias_sigmoid", "bias_tanh")  # which are taken of the rounded sum

backends = pytest.mark.parametrize("backend", [*HERE, "pure-python"])
dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])

# What the kernels should write, in float64.


def matmul(a, b, out, trans_a, trans_b, alpha, beta):
    product = alpha * ((a.T if trans_a else a) @ (b.T if trans_b else b))
    return product if beta == 0 else product + beta * out


def bias_sigmoid(z, bias, out, dtype):
    with np.errstate(over="ignore"):
        t = (z + bias).astype(dtype).astype(np.float64)  # σ is taken of the rounded sum
        return 1 / (1 + np.exp(-t))


def bias_tanh(z, bias, out, dtype):
    with np.errstate(over="ignore"):
        return np.tanh((z + bias).astype(dtype).astype(np.float64))


def bce_loss(z, x, out):
    log_z, log_1z = bounds.floored_logs(z)
    return -np.sum(x * log_z + (1 - x) * log_1z, axis=1)


def column_sum(delta, out, alpha, beta):
    return alpha * delta.sum(axis=0) + (0 if beta == 0 else beta * out)


def windows(x: np.ndarray, g: Geometry) -> np.ndarray:
    """Return the patches of images as rows."""
    around, channels = (g.padding, g.padding), x.shape[1] // (g.height * g.width)
    padded = np.pad(x.reshape(len(x), g.height, g.width, channels), ((0, 0), around, around, (0, 0)))
    patches = sliding_window_view(padded, (g.kernel, g.kernel), (1, 2))[:, :: g.stride, :: g.stride]
    return patches.transpose(0, 1, 2, 4, 5, 3).reshape(len(x) * g.rows * g.columns, g.kernel**2 * channels)


EXACT: dict[str, Callable[..., Any]] = {
    "matmul": matmul,
    "bias_sigmoid": bias_sigmoid,
    "sigmoid_gradient": lambda delta, y, out: delta * y * (1 - y),
    "bias_tanh": bias_tanh,
    "tanh_gradient": lambda delta, y, out: delta * (1 - y * y),
    "bias_relu": lambda z, bias, out: np.maximum(z + bias, 0),
    "relu_gradient": lambda delta, y, out: np.where(y > 0, delta, 0),
    "mse_gradient": lambda z, x, scale, out: 2 * scale * (z - x) * z * (1 - z),
    "bce_gradient": lambda z, x, scale, out: scale * (z - x),
    "mse_loss": lambda z, x, out: np.sum((z - x) ** 2, axis=1),
    "bce_loss": bce_loss,
    "column_sum": column_sum,
    "axpy": lambda alpha, x, y: y + alpha * x,
}  # those of images are products with windows


def in_float64(arguments: Arguments) -> Arguments:
    arrays = {key: value.astype(np.float64) for key, value in arguments.items() if isinstance(value, np.ndarray)}
    return arguments | arrays


def exact(name: str, arguments: Arguments, dtype: str) -> np.ndarray:
    more = {"dtype": dtype} if name in ROUNDED_SUMS else {}
    return EXACT[name](**in_float64(arguments), **more)


def bound(name: str, arguments: Arguments, dtype: str) -> np.ndarray:
    """Return how far from the formula a kernel may be, elementwise."""
    with np.errstate(all="ignore"):
        return cases.expected(name, arguments, dtype)[1]


def right(name: str, arguments: Arguments, found: np.ndarray, dtype: str) -> bool:
    """Whether the kernel may write this."""
    return bounds.accepts(found, exact(name, arguments, dtype), bound(name, arguments, dtype))


# Arguments that every backend takes, and a call that watches everything around its arguments.

IMAGES = {"height": 4, "width": 5, "kernel": 3, "stride": 1, "padding": 1, "channels": 2, "c": 3}


def valid(name: str) -> Arguments:
    """Make arguments in float64 of which a test changes one."""
    if name == "gather":
        images, order = np.zeros((9, 6), np.uint8), np.arange(9)
        return {"images": images, "order": order, "cursor": np.array([2]), "offset": 1, "out": np.zeros((4, 6))}
    if name == "advance":
        return {"cursor": np.array([2]), "n": 3}
    return cases.make(name, "float64", m=4, k=5, n=6, **{"...": 6}, alpha=0.5, **IMAGES)


def kernels_of(backend: str) -> Any:
    return PurePython() if backend == "pure-python" else fastae.backends.get(backend)


def run(
    backend: Any, name: str, arguments: Arguments, block: bool = False, alias: str = "", on_device: bool = False
) -> np.ndarray:
    """Call a kernel of a backend, or of the one of that name, and return what it wrote.

    With ``block``, the matrices are blocks of columns of wider ones; with ``on_device``, alpha, beta and scale are 0-d
    arrays there. Fails if the kernel returns something or touches anything but its output; a warning is an error.
    """
    k = kernels_of(backend) if isinstance(backend, str) else backend
    numbers = [key for key in ("alpha", "beta", "scale") if on_device and key in arguments]
    outcome = cases.call(k, name, arguments, block=block, alias=alias, on_device=numbers)
    assert outcome.returned is None
    assert outcome.touched == [], f"{name} has written into or around them"
    return outcome.found


def small_enough(backend: str, *lengths: int) -> bool:
    """Leave large shapes to those who take no seconds for them."""
    return backend != "pure-python" or np.prod(lengths) <= 500
