"""Numba's formulas: how many roundings they are from the exact ones, and where they end."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest

import fastae
from fastae.backends.numba_backend import activations, elementwise, operations
from fastae.backends.numba_backend.jit import jit


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


@pytest.mark.thorough
@pytest.mark.parametrize(("dtype", "last"), [("float32", 87.3365), ("float64", 708.3964)])
def test_numbas_sigmoid_is_within_five_roundings_of_the_exact_one(dtype: str, last: float) -> None:
    """The bound of the other tests grows with t, for a sum z + bias is rounded; here is nothing to be rounded.

    The ends are where e⁻ᵗ is about to leave the normal numbers.
    """
    t = np.linspace(-last, last, 20_001).astype(dtype)
    found = np.empty((1, t.size), dtype)
    fastae.backends.get("numba").bias_sigmoid(t[None], np.zeros(t.size, dtype), found)
    assert roundings(found[0], 1 / (1 + np.exp(-t.astype(np.longdouble)))) < 5


@pytest.mark.thorough
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_numbas_sigmoid_ends_at_a_number_near_nothing_and_at_one(dtype: str) -> None:
    sigmoid, info = alone(activations.sigmoid), np.finfo(dtype)
    ends = sigmoid(np.array([-1e4, -np.inf, 50, 1e4, np.inf, np.nan], dtype))
    np.testing.assert_allclose(ends, [info.tiny, info.tiny, 1, 1, 1, np.nan], rtol=1e-4)


@pytest.mark.thorough
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


@pytest.mark.thorough
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
