"""The contract's kernels as formulas in float64, the error that each kernel may have, and a call that is checked."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from pure_python import PurePython

import fastae
from fastae.backends.contract import KERNELS
from fastae.check import bounds
from fastae.check.calls import cases

Arguments = dict[str, Any]

HERE = [name for name, state in fastae.backends.availability().items() if state.ok]
ROUNDED_SUMS = ("bias_sigmoid", "bias_tanh")  # which are taken of the rounded sum
WRITTEN = {"axpy": "y", "advance": "cursor"}  # by the others: out

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
}  # those of images are in test_image_kernels
BOUND: dict[str, Callable[..., Any]] = {
    "matmul": lambda a, b, out, trans_a, trans_b, alpha, beta, dtype: bounds.matmul(
        a.T if trans_a else a, b.T if trans_b else b, out, alpha, beta, dtype
    ),
    "bias_sigmoid": lambda dtype, **given: bounds.activation("sigmoid", bias_sigmoid(**given, dtype=dtype), dtype),
    "sigmoid_gradient": lambda delta, y, out, dtype: bounds.activation_gradient("sigmoid", delta, y, dtype),
    "bias_tanh": lambda dtype, **given: bounds.activation("tanh", bias_tanh(**given, dtype=dtype), dtype),
    "tanh_gradient": lambda delta, y, out, dtype: bounds.activation_gradient("tanh", delta, y, dtype),
    "bias_relu": lambda z, bias, out, dtype: bounds.activation("relu", np.maximum(z + bias, 0), dtype),
    "relu_gradient": lambda delta, y, out, dtype: bounds.activation_gradient("relu", delta, y, dtype),
    "mse_gradient": lambda z, x, scale, out, dtype: bounds.mse_gradient(z, x, scale, dtype),
    "bce_gradient": lambda z, x, scale, out, dtype: bounds.bce_gradient(z, x, scale, dtype),
    "mse_loss": lambda z, x, out, dtype: bounds.mse_loss(z, x, dtype),
    "bce_loss": lambda z, x, out, dtype: bounds.bce_loss(z, x, dtype),
    "column_sum": bounds.column_sum,
    "axpy": bounds.axpy,
    "unfold": lambda out, **arguments: bounds.unfold(**arguments),
    "fold": lambda out, **arguments: bounds.fold(**arguments),
    "convolve": lambda out, **arguments: bounds.convolve(**arguments),
}


def in_float64(arguments: Arguments) -> Arguments:
    arrays = {key: value.astype(np.float64) for key, value in arguments.items() if isinstance(value, np.ndarray)}
    return arguments | arrays


def exact(name: str, arguments: Arguments, dtype: str) -> np.ndarray:
    more = {"dtype": dtype} if name in ROUNDED_SUMS else {}
    return EXACT[name](**in_float64(arguments), **more)


def right(name: str, arguments: Arguments, found: np.ndarray, dtype: str) -> bool:
    """Whether the kernel may write this."""
    bound = BOUND[name](**in_float64(arguments), dtype=dtype)
    return bounds.accepts(found, exact(name, arguments, dtype), bound)


# Arguments for a kernel, and a call that watches everything around them.


def make(name: str, dtype: str, seed: int = 0, **given: Any) -> Arguments:
    """Make arguments of the lengths given by the contract's letters; ``out`` is full of NaN unless beta reads it.

    The kernels for images take m, their geometry and ``channels``, and ``convolve`` takes c.
    """
    given = cases.lengths(name, given)
    rng = np.random.default_rng([len(name), seed])
    parameters = KERNELS[name].parameters.parameters
    arguments: Arguments = {key: p.default for key, p in parameters.items() if p.default is not p.empty}
    arguments |= {"scale": 1 / 7} if "scale" in parameters else {}
    arguments |= {key: given[key] for key in parameters if key in given}
    for key, letters in KERNELS[name].shapes.items():
        shape = tuple(given[letter] for letter in letters)
        if key == "out" and arguments.get("beta", 0) == 0:
            values = np.full(shape, np.nan)
        elif (name, key) == ("tanh_gradient", "y"):
            values = np.tanh(rng.normal(0, 2, shape))
            values.flat[:3] = [0, 1, -1][: values.size]
        elif (name, key) == ("relu_gradient", "y"):
            values = np.maximum(rng.normal(0, 2, shape), 0)
        elif key == "x" and name.startswith(("mse", "bce")):
            values = rng.integers(0, 256, shape) / 255
        elif (key == "z" and not name.startswith("bias")) or (key == "y" and name != "axpy"):
            values = 1 / (1 + np.exp(-rng.normal(0, 8, shape)))  # outputs of σ
            values.flat[:2] = [0, 1][: values.size]
        else:
            values = rng.normal(0, (3 if name == "bias_tanh" else 30) if key == "z" else 1, shape)
        values = values.astype("float64" if key == "out" and name.endswith("loss") else dtype)
        arguments[key] = np.ascontiguousarray(values.T) if arguments.get(f"trans_{key}") else values
    return {key: arguments[key] for key in parameters}


def kernels_of(backend: str) -> Any:
    return PurePython() if backend == "pure-python" else fastae.backends.get(backend)


def frame(array: np.ndarray, block: bool) -> tuple[np.ndarray, tuple[slice, ...]]:
    """Lay the array in a larger one of NaN or 99: among other rows and, as a block of columns, among other columns."""
    margins = [(1, 1)] * array.ndim
    if array.ndim == 2 and not block:
        margins[1] = (0, 0)
    inner = tuple(slice(before, before + n) for (before, _), n in zip(margins, array.shape))
    around = np.full(
        [n + sum(margin) for n, margin in zip(array.shape, margins)],
        np.nan if array.dtype.kind == "f" else 99,
        array.dtype,
    )
    around[inner] = array
    return around, inner


def run(
    backend: str, name: str, arguments: Arguments, block: bool = False, alias: str = "", warnings_are: str = "error"
) -> np.ndarray:
    """Call a kernel and return what it wrote.

    With ``block``, the matrices are blocks of columns of wider ones. Fails if the kernel warns, returns something,
    or touches anything but its output. ``alias`` is an entry of the contract, such as ``"out=z"``.
    """
    k = kernels_of(backend)
    written = WRITTEN.get(name, "out")
    frames = {key: frame(value, block) for key, value in arguments.items() if isinstance(value, np.ndarray)}
    device = {key: k.asarray(around) for key, (around, _) in frames.items()}
    call = arguments | {key: device[key][inner] for key, (_, inner) in frames.items()}
    if alias:
        out, same = alias.split("=")
        call[out], written = call[same], same
    with warnings.catch_warnings():
        warnings.simplefilter(warnings_are)
        result = getattr(k, name)(**call)
    assert result is None
    for key, (before, inner) in frames.items():
        after = k.to_host(device[key])
        if key == written:
            found = after[inner].copy()
            after[inner] = before[inner]
        assert after.tobytes() == before.tobytes(), f"{name} has written into or around {key}"
    return found


def small_enough(backend: str, *lengths: int) -> bool:
    """Leave large shapes to those who take no seconds for them."""
    return backend != "pure-python" or np.prod(lengths) <= 500
