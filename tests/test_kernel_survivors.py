"""What the other tests of the compiled kernels let pass: found by `tests/attacks/mutate_kernels.py`."""

from typing import Any

import numpy as np
import pytest
from test_modes import bits, epochs, session

import fastae
from fastae.backends.cupy_backend import CupyBackend


@pytest.mark.parametrize(("dtype", "last"), [("float32", 87.3365), ("float64", 708.3964)])
def test_numbas_sigmoid_is_within_five_roundings_of_the_exact_one(dtype: str, last: float) -> None:
    """The bound of the other tests grows with t, for a sum z + bias is rounded; here is nothing to be rounded.

    The ends are where e⁻ᵗ is about to leave the normal numbers.
    """
    t = np.linspace(-last, last, 20_001).astype(dtype)
    found = np.empty((1, t.size), dtype)
    fastae.backends.get("numba").bias_sigmoid(t[None], np.zeros(t.size, dtype), found)
    exact = 1 / (1 + np.exp(-t.astype(np.longdouble)))
    assert np.max(np.abs(found[0] - exact) / exact) < 5 * np.finfo(dtype).eps / 2


@pytest.mark.parametrize("blocks", [1, 2])
def test_cuda_trains_on_a_device_of_one_multiprocessor(cupy: CupyBackend, blocks: int, monkeypatch: Any) -> None:
    """A persistent kernel of one block has no other to wait for, or to leave work to."""
    if isinstance(cupy.launcher.cupy.cuda.Device().attributes, dict):  # the stand-in's; a GPU has as many as it has
        monkeypatch.setattr(cupy.launcher, "multiprocessors", blocks)
    found = [session(cupy, mode) for mode in ("eager", "persistent")]
    assert epochs(found[0]) == epochs(found[1])
    assert bits(found[0]) == bits(found[1])
    assert found[1]._train[0].cursor[0] == found[0]._train[0].cursor[0]
