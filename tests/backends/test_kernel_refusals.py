"""Kernels that are slightly wrong are rejected, and so are arguments that the contract does not allow."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from kernel_formulas import IMAGES, backends, dtypes, right, run, small_enough, valid

import fastae
from fastae.backends.contract import KERNELS, PATCHES
from fastae.check import bounds
from fastae.check.calls import cases
from fastae.check.calls.cases import make
from fastae.errors import InputError

# The bounds reject what is slightly wrong; `tests/check/test_bounds.py` has reduced precision.

SLIGHT = {  # the power of two by which the numbers are too large
    **{"matmul": 19, "column_sum": 19, "axpy": 22, "gather": 22, "unfold": 24, "fold": 20, "convolve": 19},
    **{"bias_sigmoid": 18, "sigmoid_gradient": 22, "bias_tanh": 18, "tanh_gradient": 22},
    **{"bias_relu": 23, "relu_gradient": 24, "mse_gradient": 21, "bce_gradient": 22, "mse_loss": 19, "bce_loss": 19},
}


@pytest.mark.parametrize("name", sorted(set(KERNELS) - {"advance"}))
def test_a_bound_rejects_what_is_slightly_wrong(name: str) -> None:
    """In float32, the laxer bound: all numbers too large by one in 2¹⁸ or less, or a single NaN."""
    arguments = make(name, "float32", m=16, k=16, n=16, **{"...": 16}, alpha=-0.25, **IMAGES)
    exact, bound = cases.expected(name, arguments, "float32")
    assert bounds.accepts(exact.astype(np.float32).astype(np.float64), exact, bound)
    assert not bounds.accepts(exact * (1 + 2.0 ** -SLIGHT[name]), exact, bound)
    exact_but_one = exact.copy()
    exact_but_one.flat[-1] = np.nan
    assert not bounds.accepts(exact_but_one, exact, bound)


@backends
@dtypes
def test_kernels_keep_their_whole_precision_at_mnists_width(backend: str, dtype: str) -> None:
    arguments = make("matmul", dtype, m=9, k=784, n=20)
    arguments["a"][:], arguments["b"][:] = 1 + 2**-12, 1 + 2**-12
    if small_enough(backend, 20, 20):
        assert right("matmul", arguments, run(backend, "matmul", arguments), dtype)


def test_a_gather_that_multiplies_by_the_reciprocal_is_not_bit_for_bit() -> None:
    """The test of gather relies on this."""
    pixels = np.arange(256, dtype=np.float32)
    assert (pixels * (np.float32(1) / np.float32(255))).tobytes() != (pixels / np.float32(255)).tobytes()


# Numba's compiled code checks nothing; what stands before it must.


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
