"""Kernels that are slightly wrong are rejected, and so are arguments that the contract does not allow."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from kernel_formulas import (
    BOUND,
    EXACT,
    Arguments,
    backends,
    bce_loss,
    dtypes,
    exact,
    in_float64,
    make,
    right,
    run,
    small_enough,
)

import fastae
from fastae.backends.contract import KERNELS, PATCHES
from fastae.check import bounds
from fastae.errors import InputError

# The bounds reject what is slightly wrong.


REDUCED: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "tf32": lambda x: bounds.rounded(x, 10),
    "bfloat16": lambda x: bounds.rounded(x, 7),
    "float16": lambda x: x.astype(np.float16).astype(np.float64),
}
reduced = pytest.mark.parametrize("precision", REDUCED)


@reduced
def test_reduced_precision_is_rejected_on_random_data(precision: str) -> None:
    arguments = make("matmul", "float32", m=16, k=64, n=16)
    low = arguments | {key: REDUCED[precision](in_float64(arguments)[key]) for key in ("a", "b")}
    assert not right("matmul", arguments, exact("matmul", low, "float32"), "float32")


@reduced
def test_reduced_precision_is_rejected_tenfold_at_mnists_width(precision: str) -> None:
    """At k = 784 random data would barely tell; 1 + 2⁻¹² is 1 in all three formats, and its errors add up."""
    arguments = make("matmul", "float32", m=2, k=784, n=2)
    arguments |= {"a": np.full((2, 784), 1 + 2**-12), "b": np.full((784, 2), 1 + 2**-12)}
    low = arguments | {key: REDUCED[precision](arguments[key]) for key in ("a", "b")}
    error = abs(exact("matmul", low, "float32") - exact("matmul", arguments, "float32"))
    assert np.all(error > 9 * BOUND["matmul"](**in_float64(arguments), dtype="float32"))


@backends
@dtypes
def test_kernels_keep_their_whole_precision_at_mnists_width(backend: str, dtype: str) -> None:
    arguments = make("matmul", dtype, m=9, k=784, n=20)
    arguments["a"][:], arguments["b"][:] = 1 + 2**-12, 1 + 2**-12
    if small_enough(backend, 20, 20):
        assert right("matmul", arguments, run(backend, "matmul", arguments), dtype)


def dropped(array: np.ndarray, index: Any) -> np.ndarray:
    """Return the array with 0 where it is left out of a sum."""
    array = array.copy()
    array[index] = 0
    return array


IMAGES = {"height": 4, "width": 5, "kernel": 3, "stride": 1, "padding": 1, "channels": 2, "c": 3}


def exact_of(name: str, x: np.ndarray, out: np.ndarray, others: Arguments) -> np.ndarray:
    """Return what a kernel for images writes in float64."""
    result = np.zeros_like(out)
    getattr(fastae.backends.get("numpy"), name)(**others, x=x, out=result)
    return result


WRONG: list[tuple[str, str, Callable[..., Any]]] = [
    ("matmul", "the last k left out", lambda a, b, alpha, beta, out, **_: alpha * (a[:, :-1] @ b[:-1]) + beta * out),
    ("matmul", "a transposed", lambda a, b, alpha, beta, out, **_: alpha * (a.T @ b) + beta * out),
    ("matmul", "b transposed", lambda a, b, alpha, beta, out, **_: alpha * (a @ b.T) + beta * out),
    ("matmul", "alpha ignored", lambda a, b, beta, out, **_: a @ b + beta * out),
    ("matmul", "beta ignored", lambda a, b, alpha, out, **_: alpha * (a @ b)),
    ("matmul", "beta taken for 1", lambda a, b, alpha, out, **_: alpha * (a @ b) + out),
    ("matmul", "wrong sign", lambda a, b, alpha, beta, out, **_: beta * out - alpha * (a @ b)),
    ("matmul", "off by a row", lambda a, b, alpha, beta, out, **_: alpha * (np.roll(a, 1, 0) @ b) + beta * out),
    ("matmul", "a row not written", lambda a, b, out, alpha, beta, **_: np.vstack([(alpha * a @ b)[:-1], out[-1:]])),
    ("bias_sigmoid", "no bias", lambda z, bias, **_: 1 / (1 + np.exp(-z))),
    ("bias_sigmoid", "the next one's bias", lambda z, bias, **_: 1 / (1 + np.exp(-z - np.roll(bias, 1)))),
    ("bias_sigmoid", "bias subtracted", lambda z, bias, **_: 1 / (1 + np.exp(bias - z))),
    ("bias_sigmoid", "wrong sign", lambda z, bias, **_: 1 / (1 + np.exp(z + bias))),
    ("bias_sigmoid", "tanh", lambda z, bias, **_: np.tanh(z + bias)),
    ("bias_sigmoid", "good to 17 bits", lambda z, bias, **_: 1 / (1 + np.exp(-(z + bias))) * (1 + 2**-17)),
    ("sigmoid_gradient", "σ′ = y", lambda delta, y, **_: delta * y),
    ("sigmoid_gradient", "σ′ = 1 − y", lambda delta, y, **_: delta * (1 - y)),
    ("sigmoid_gradient", "tanh′", lambda delta, y, **_: delta * (1 - y * y)),
    ("sigmoid_gradient", "no delta", lambda delta, y, **_: y * (1 - y)),
    ("mse_gradient", "no 2", lambda z, x, scale, **_: scale * (z - x) * z * (1 - z)),
    ("mse_gradient", "no scale", lambda z, x, **_: 2 * (z - x) * z * (1 - z)),
    ("mse_gradient", "no σ′", lambda z, x, scale, **_: 2 * scale * (z - x)),
    ("mse_gradient", "wrong sign", lambda z, x, scale, **_: 2 * scale * (x - z) * z * (1 - z)),
    ("bce_gradient", "with σ′", lambda z, x, scale, **_: scale * (z - x) * z * (1 - z)),
    ("bce_gradient", "no scale", lambda z, x, **_: z - x),
    ("bce_gradient", "wrong sign", lambda z, x, scale, **_: scale * (x - z)),
    ("mse_loss", "the last pixel left out", lambda z, x, **_: np.sum((z - x)[:, :-1] ** 2, axis=1)),
    ("mse_loss", "a mean", lambda z, x, **_: np.mean((z - x) ** 2, axis=1)),
    ("mse_loss", "no square", lambda z, x, **_: np.sum(abs(z - x), axis=1)),
    ("bce_loss", "the handout's sign", lambda z, x, out: -bce_loss(z, x, out)),
    ("bce_loss", "only what is lit", lambda z, x, **_: -np.sum(x * bounds.floored_logs(z)[0], axis=1)),
    ("bce_loss", "a lower floor", lambda z, x, out: bce_loss(np.where(z == 0, 0.5, z), x, out)),
    ("bce_loss", "images exchanged", lambda z, x, out: np.roll(bce_loss(z, x, out), 1)),
    ("column_sum", "the last row left out", lambda delta, out, alpha, beta: alpha * delta[:-1].sum(0) + beta * out),
    ("column_sum", "alpha ignored", lambda delta, out, alpha, beta: delta.sum(0) + beta * out),
    ("column_sum", "beta ignored", lambda delta, out, alpha, beta: alpha * delta.sum(0)),
    ("column_sum", "a mean", lambda delta, out, alpha, beta: alpha * delta.mean(0) + beta * out),
    ("bias_tanh", "no bias", lambda z, bias, **_: np.tanh(z)),
    ("bias_tanh", "the sigmoid", lambda z, bias, **_: 1 / (1 + np.exp(-(z + bias)))),
    ("bias_tanh", "good to 17 bits", lambda z, bias, **_: np.tanh(z + bias) * (1 + 2**-17)),
    ("tanh_gradient", "σ′", lambda delta, y, **_: delta * y * (1 - y)),
    ("tanh_gradient", "no square", lambda delta, y, **_: delta * (1 - y)),
    ("tanh_gradient", "no delta", lambda delta, y, **_: 1 - y * y),
    ("bias_relu", "no bias", lambda z, bias, **_: np.maximum(z, 0)),
    ("bias_relu", "leaky", lambda z, bias, **_: np.where(z + bias > 0, z + bias, 1e-3 * (z + bias))),
    ("bias_relu", "good to 20 bits", lambda z, bias, **_: np.maximum(z + bias, 0) * (1 + 2**-20)),
    ("relu_gradient", "at 0 too", lambda delta, y, **_: np.where(y >= 0, delta, 0)),
    ("relu_gradient", "no relu", lambda delta, y, **_: delta),
    ("relu_gradient", "off by a rounding", lambda delta, y, **_: np.where(y > 0, delta * (1 + 2**-24), 0)),
    ("unfold", "a rounding", lambda x, out, **g: exact_of("unfold", x * (1 + 2**-24), out, g)),
    ("unfold", "the image before", lambda x, out, **g: exact_of("unfold", np.roll(x, 1, axis=0), out, g)),
    ("fold", "a patch left out", lambda x, out, **g: exact_of("fold", dropped(x, 3), out, g)),
    ("fold", "good to 18 bits", lambda x, out, **g: exact_of("fold", x * (1 + 2**-18), out, g)),
    (
        "convolve",
        "the last weight left out",
        lambda x, weights, out, **g: exact_of("convolve", x, out, g | {"weights": dropped(weights, -1)}),
    ),
    ("convolve", "flipped", lambda x, weights, out, **g: exact_of("convolve", x, out, g | {"weights": weights[::-1]})),
    ("axpy", "wrong sign", lambda alpha, x, y: y - alpha * x),
    ("axpy", "alpha ignored", lambda alpha, x, y: y + x),
    ("axpy", "y overwritten", lambda alpha, x, y: alpha * x),
]


@pytest.mark.parametrize(("name", "what", "wrong"), WRONG, ids=[f"{name}: {what}" for name, what, _ in WRONG])
def test_a_wrong_kernel_exceeds_its_bound(name: str, what: str, wrong: Callable[..., Any]) -> None:
    """In float32, the laxer bound; the same arguments with the right formula pass."""
    given = {"alpha": -0.25, "beta": 1.5} if name in ("matmul", "column_sum") else {"alpha": -0.25}
    arguments = make(name, "float32", m=16, k=16, n=16, **{"...": 16}, **given, **IMAGES)
    bound = BOUND[name](**in_float64(arguments), dtype="float32")
    assert bounds.accepts(right_result(name, arguments).astype("float32"), right_result(name, arguments), bound)
    with np.errstate(over="ignore"):
        assert not bounds.accepts(wrong(**in_float64(arguments)), right_result(name, arguments), bound)


def right_result(name: str, arguments: Arguments) -> np.ndarray:
    if name in EXACT:
        return exact(name, arguments, "float32")
    values = in_float64(arguments)
    return exact_of(name, values.pop("x"), values.pop("out"), values)


@pytest.mark.parametrize("name", BOUND)
def test_a_single_nan_exceeds_every_bound(name: str) -> None:
    arguments = make(name, "float32", m=5, k=5, n=5, **{"...": 5}, alpha=1.0, **IMAGES)
    found = right_result(name, arguments)
    found.flat[-1] = np.nan
    bound = BOUND[name](**in_float64(arguments), dtype="float32")
    assert not bounds.accepts(found, right_result(name, arguments), bound)


def test_a_gather_that_multiplies_by_the_reciprocal_is_not_bit_for_bit() -> None:
    """The test of gather relies on this."""
    pixels = np.arange(256, dtype=np.float32)
    assert (pixels * (np.float32(1) / np.float32(255))).tobytes() != (pixels / np.float32(255)).tobytes()


# Numba's compiled code checks nothing; what stands before it must.


def valid(name: str) -> Arguments:
    if name == "gather":
        images, order = np.zeros((9, 6), np.uint8), np.arange(9)
        return {"images": images, "order": order, "cursor": np.array([2]), "offset": 1, "out": np.zeros((4, 6))}
    if name == "advance":
        return {"cursor": np.array([2]), "n": 3}
    return make(name, "float64", m=4, k=5, n=6, **{"...": 6}, alpha=0.5, **IMAGES)


def refusals() -> Iterator[Any]:
    for name, kernel in KERNELS.items():
        arguments = valid(name)
        for key in kernel.shapes:
            array = arguments[key]
            wide = np.repeat(array, 2, axis=-1)
            yield name, key, "int32", np.zeros(array.shape, np.int32)
            if (name, key) != ("gather", "out"):  # the only float there
                yield name, key, "float32", array.astype(np.float32)
            if array.itemsize > 1:
                yield name, key, "another byte order", array.astype(array.dtype.newbyteorder("S"))
            yield name, key, "too few dimensions", array[0]
            if name != "axpy":
                yield name, key, "too many dimensions", array[None]
            if array.shape[-1] > 1:
                yield name, key, "gaps in its rows", wide[..., ::2]
                yield name, key, "reversed rows", array[..., ::-1]
            if key not in ("order", "cursor"):
                yield name, key, "too wide", wide
            if array.ndim == 2 and (name, key) not in (("gather", "images"), ("column_sum", "delta")):  # of any height
                yield name, key, "too high", np.repeat(array, 2, axis=0)
    for name in PATCHES:
        yield name, "kernel", "none", 0
        yield name, "stride", "none", 0
        yield name, "padding", "negative", -1
        yield name, "padding", "a whole kernel", 3
        yield name, "height", "none", 0
        yield name, "height", "another", 5
        yield name, "width", "larger than the images", 6
        yield name, "kernel", "larger than an image and its padding", 7
        yield name, "stride", "another", 2
        yield name, "padding", "another", 0
    yield "gather", "order", "too short", np.arange(6)
    yield "gather", "order", "rows after the last", np.arange(9) + 4
    yield "gather", "order", "negative rows", np.arange(9) - 4
    yield "gather", "cursor", "before the first", np.array([-2])
    yield "gather", "cursor", "two entries", np.array([2, 0])


REFUSALS = [(name, key, array) for name, key, _, array in refusals()]


@pytest.mark.parametrize(
    ("name", "key", "array"), REFUSALS, ids=[f"{name}: {key}: {what}" for name, key, what, _ in refusals()]
)
def test_numba_refuses_what_the_contract_does_not_allow(name: str, key: str, array: Any) -> None:
    arguments = valid(name)
    before = {other: value.copy() for other, value in arguments.items() if isinstance(value, np.ndarray)}
    with pytest.raises(InputError, match=rf"^{name}: ") as caught:
        getattr(fastae.backends.get("numba"), name)(**(arguments | {key: array}))
    assert len(str(caught.value).splitlines()) == 1
    assert all(np.array_equal(arguments[other], value, equal_nan=True) for other, value in before.items())


def test_what_numba_refuses_is_only_what_is_wrong() -> None:
    """The valid arguments that the refusals start from are taken."""
    for name in KERNELS:
        getattr(fastae.backends.get("numba"), name)(**valid(name))
