"""How much of its error bound each kernel uses on the inputs that use most; `tests/attacks/bounds.py` measures more."""

import numpy as np
import pytest
from attacks import bounds as measured

import fastae
from fastae.backends.numpy_backend import NumpyBackend
from fastae.check import bounds
from fastae.check.calls import cases
from fastae.errors import InputError

EXACT = ("relu_gradient", "unfold")  # which copy what they write
BACKENDS = ("numpy", "numba", "emulator")

backends = pytest.mark.parametrize("backend", BACKENDS)
dtypes = pytest.mark.parametrize("dtype", measured.DTYPES)


@backends
@dtypes
@pytest.mark.parametrize("name", measured.NAMES)
def test_no_kernel_exceeds_its_bound(backend: str, dtype: str, name: str) -> None:
    k = fastae.backends.get(backend)
    largest, count = measured.kernel(k, name, dtype, rounds=1)
    assert 0 <= largest <= 1
    assert (largest == 0) == (name in EXACT)
    assert count > 200
    assert measured.not_finite(k, name, dtype, rounds=1)[0] == 0


@backends
@dtypes
def test_no_step_exceeds_its_bound(backend: str, dtype: str) -> None:
    """From saturated networks, networks of zeros, and at learning rates at which it would not train."""
    largest, count = measured.step(fastae.backends.get(backend), dtype, rounds=1)
    assert 0 < largest <= 1
    assert count > 20_000


def test_steps_in_tf32_exceed_their_bound() -> None:
    """As the emulator multiplies in it; but for networks of zeros, and saturated ones, which hardly change."""
    shares, _ = measured.steps(fastae.backends.get("emulator"), "float32", rounds=1, tf32=True)
    assert np.mean(np.array(shares) > 1) > 0.8
    assert max(shares) > 10


@pytest.mark.parametrize("precision", measured.REDUCED)
@pytest.mark.parametrize("name", measured.NAMES)
def test_reduced_precision_exceeds_every_bound(name: str, precision: str) -> None:
    """By a factor that no rounding explains, though nothing but the inputs is rounded."""
    assert measured.reduced(name, precision) > 100


@pytest.mark.parametrize("name", measured.NAMES)
def test_what_measures_sees_a_wrong_number_a_nan_and_an_infinity(name: str) -> None:
    given = next(measured.every_kind(name, "float32", 1, 0))
    right, bound = measured.exact(name, given, "float32"), measured.bound_of(name, given, "float32")
    assert measured.fraction(right, right, bound) == 0
    for wrong in (np.nan, np.inf, -np.inf):
        found = right.copy()
        found.flat[-1] = wrong
        assert measured.fraction(found, right, bound) == np.inf
    assert measured.fraction(np.nextafter(right + 2 * bound, np.inf), right, bound) > 1


def test_what_measures_sees_a_nan_that_is_swallowed() -> None:
    class Swallows(NumpyBackend):
        def matmul(self, a, b, out, trans_a=False, trans_b=False, alpha=1.0, beta=0.0):
            super().matmul(np.nan_to_num(a), b, out, trans_a, trans_b, alpha, beta)

    assert measured.not_finite(Swallows(), "matmul", "float32", rounds=1)[0] > 0


def test_a_kernel_without_a_bound_is_refused_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new kernel of the contract needs a bound, which its author may not know."""
    monkeypatch.delattr(bounds, "mse_gradient")
    ones = np.ones((2, 3))
    with pytest.raises(InputError, match="mse_gradient has no error bound yet; add a function of that name"):
        cases.expected("mse_gradient", {"z": ones, "x": ones, "scale": 1.0, "out": ones.copy()}, "float32")
