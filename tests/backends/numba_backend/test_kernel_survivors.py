"""What the other tests of Numba's kernels let pass: found by `tests/attacks/mutate_kernels.py`."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest

import fastae
from fastae.backends.numba_backend import activations, elementwise, operations, sparse
from fastae.backends.numba_backend.jit import jit
from fastae.backends.numba_backend.kernels import PIECE, ROW_BLOCK
from fastae.backends.numba_backend.sparse import BYTE, ROWS

pytestmark = pytest.mark.thorough


@cache
def alone(formula: Callable[..., Any]) -> Callable[[np.ndarray], np.ndarray]:
    """Compile a formula of one vector."""
    run = elementwise.sweep(lambda v, x, *same: (formula(v, x), None))

    @jit(name=f"only_{formula.__name__}")
    def sweep(x, out):
        run(out, x, x, x, x, 0.0)

    def call(x: np.ndarray) -> np.ndarray:
        out = np.full((1, x.size), np.nan, x.dtype)
        sweep(x[None], out)
        return out[0]

    return call


def roundings(found: np.ndarray, exact: np.ndarray) -> float:
    """Return the largest relative error, in units of half an ulp; what is exactly 0 must be found so."""
    assert not found[exact == 0].any()
    return float(np.max(np.abs(found - exact)[exact != 0] / np.abs(exact)[exact != 0]) / np.finfo(found.dtype).eps * 2)


@pytest.mark.parametrize(("dtype", "last"), [("float32", 87.3365), ("float64", 708.3964)])
def test_numbas_sigmoid_is_within_five_roundings_of_the_exact_one(dtype: str, last: float) -> None:
    """The bound of the other tests grows with t, for a sum z + bias is rounded; here is nothing to be rounded.

    The ends are where e⁻ᵗ is about to leave the normal numbers.
    """
    t = np.linspace(-last, last, 20_001).astype(dtype)
    found = np.empty((1, t.size), dtype)
    fastae.backends.get("numba").bias_sigmoid(t[None], np.zeros(t.size, dtype), found)
    assert roundings(found[0], 1 / (1 + np.exp(-t.astype(np.longdouble)))) < 5


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_numbas_sigmoid_ends_at_a_number_near_nothing_and_at_one(dtype: str) -> None:
    sigmoid, info = alone(activations.sigmoid), np.finfo(dtype)
    ends = sigmoid(np.array([-1e4, -np.inf, 50, 1e4, np.inf, np.nan], dtype))
    np.testing.assert_allclose(ends, [info.tiny, info.tiny, 1, 1, 1, np.nan], rtol=1e-4)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_numbas_logarithm_is_within_four_roundings(dtype: str) -> None:
    """Of all positive numbers, those below the normal ones too, and near 1 and √½, where its series begins and ends."""
    logarithm, info, rng = alone(elementwise.any_logarithm), np.finfo(dtype), np.random.default_rng(0)
    near = np.arange(-2000, 2000) * info.eps
    everywhere = np.exp2(rng.uniform(info.minexp - info.nmant, info.maxexp, 60_000))
    ends = [info.smallest_subnormal, info.tiny, info.max]
    x = np.concatenate([everywhere, 1 + near, np.sqrt(0.5) * (1 + near), np.linspace(0.25, 2.5, 20_000), ends])
    x = x.astype(dtype)
    x = x[(x > 0) & (x < np.inf)]
    assert roundings(logarithm(x), np.log(x.astype(np.longdouble))) < 4
    assert (logarithm(np.array([0.0, -0.0], dtype)) < -100).all()
    assert np.isnan(logarithm(np.array([-1, -info.tiny, -np.inf, np.inf, np.nan], dtype))).all()


@pytest.mark.parametrize("backend", ["numpy", "numba", "emulator"])
def test_logarithms_are_floored_at_minus_100(backend: str) -> None:
    """Numba's of −0 was +73: −0 is not negative, but has a sign bit."""
    k = fastae.backends.get(backend)
    z = np.array([[0.0], [-0.0], [np.exp(-100.5)], [np.exp(-99.5)]])
    z, x, out = (k.asarray(array) for array in (z, np.ones_like(z), np.zeros(len(z))))
    k.bce_loss(z, x, out)
    np.testing.assert_allclose(k.to_host(out), [100, 100, 100, 99.5], rtol=1e-14)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("loss", ["mse", "bce"])
def test_numbas_gradient_and_loss_in_one_pass_are_those_of_two(loss: str, dtype: str) -> None:
    k, rng = fastae.backends.get("numba"), np.random.default_rng(0)
    z, x = (1 / (1 + np.exp(-rng.normal(0, 3, (2, 5, 37))))).astype(dtype)
    d, right, losses, right_losses = (*np.full((2, 5, 37), np.nan, dtype), *np.full((2, 5), np.nan))
    getattr(operations, loss)(z, x, 1 / 7, d, losses[:, None], None)
    getattr(k, f"{loss}_gradient")(z, x, 1 / 7, right)
    getattr(k, f"{loss}_loss")(z, x, right_losses)
    assert d.tobytes() == right.tobytes()
    assert losses.tobytes() == right_losses.tobytes()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_numbas_products_that_leave_out_zeros_are_the_whole_products(dtype: str) -> None:
    """Of whole numbers, which are exact in any order: dark pixels everywhere, alone, in columns and in all images."""
    assert not sparse.has_zeros(np.zeros((1, 9), dtype)[:0])  # nobody looks where no image is
    rng = np.random.default_rng(0)
    for m, inputs, outputs in (
        (1, 9, 5),
        (3, 4, 16),
        (4, 10, 33),
        (7, 13, 33),
        (ROW_BLOCK + 6, 22, 70),
        (9, 2 * PIECE + 21, 40),
    ):
        for lit in (0.0, 0.1, 0.5, 1.0):
            a = (rng.integers(1, 4, (m, inputs)) * (rng.random((m, inputs)) < lit)).astype(dtype)
            W, d = (rng.integers(-3, 4, (rows, outputs)).astype(dtype) for rows in (inputs, m))
            assert sparse.has_zeros(a) == (a[0] == 0).any()
            ks = np.full(sparse.room(inputs), -1, np.int32)
            lists, words, ends = (np.full(size, -1, np.int32) for size in (BYTE * 200, 200, 99))
            first = inputs // 3
            end = sparse.list_columns(a, m // 3, m, first, inputs, lists, 7)
            assert list(lists[7:end]) == list(first + np.flatnonzero(a[m // 3 :, first:].any(axis=0)))
            whole, bottom = min(inputs // ROWS * ROWS, BYTE), min(m, ROW_BLOCK)
            sparse.list_rows(a, 0, whole, 0, bottom, lists, words, ends, 200)
            for strip in range(whole // ROWS):
                right = np.flatnonzero(a[:bottom, strip * ROWS : (strip + 1) * ROWS].any(axis=1))
                assert list(lists[strip * 200 : ends[strip]]) == list(right)
            y = np.full((m, outputs), np.nan, dtype)
            sparse.multiply(a, W, y, ks)
            np.testing.assert_array_equal(y, a @ W)
            for beta in (0.0, 1.0, 2.0):
                out = np.full((inputs, outputs), np.nan, dtype) if beta == 0 else W.copy()
                sparse.multiply_transposed(a, d, out, -2.0, beta, ks)
                np.testing.assert_array_equal(out, -2 * a.T @ d + (beta * W if beta else 0))
