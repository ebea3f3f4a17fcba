"""The numpy backend: losses in float64, and its own operations."""

import numpy as np
import pytest

from fastae.backends.numpy_backend import NumpyBackend
from fastae.check import bounds
from fastae.check.calls import cases


@pytest.mark.parametrize("name", ["mse_loss", "bce_loss"])
def test_numpys_losses_are_summed_in_float64(name: str) -> None:
    """The bound would let a sum in float32 pass; a data set's loss is a sum over 47 million pixels."""
    given = cases.make(name, "float32", m=4, n=784)
    z, x = given["z"], given["x"]
    if name == "mse_loss":
        terms = np.square(z - x)
    else:
        with np.errstate(divide="ignore"):
            terms = -(x * np.maximum(np.log(z), -100) + (1 - x) * np.maximum(np.log1p(-z), -100))
    exact = terms.astype(np.float64).sum(axis=1)
    getattr(NumpyBackend(), name)(**given)
    np.testing.assert_allclose(given["out"], exact, rtol=1e-13)
    assert np.all(abs(terms.sum(axis=1) - exact) > 1e-10 * exact)  # which float32 does not reach


def test_numpys_own_operations_and_their_workspace() -> None:
    k = NumpyBackend()
    assert k.workspace(5, "float32").dtype == np.float32
    made = {"gather", "forward", "output", "loss_gradient", "backward", "update", "barrier"}
    assert set(k.operations("mse")) == made
    given = cases.make("gather", "float32", m=4, n=6) | {"offset": 2}
    exact, bound = cases.expected("gather", given, "float32")
    k.operations("mse")["gather"](**given)
    assert bounds.accepts(given["out"].astype(np.float64), exact, bound)
