"""fastae follows the committed trajectories of PyTorch's autograd; README.md describes them.

The networks with convolutions have odd and non-square images, kernels of 1 to 5, strides of 1 to 3, paddings of 0 to 2,
several channels, all three activations, both losses, and a last batch that is smaller.
"""

from functools import cache

import numpy as np
import pytest
from golden_files import (
    CONVOLUTIONAL,
    FLOAT32_LOSS_BOUND,
    GOLDEN,
    LOSS_BOUND,
    REAL,
    SYNTHETIC,
    WEIGHT_BOUND,
    assert_losses,
    assert_parameters,
    fit,
    load,
    new_model,
    parameters,
)

import fastae

FLOAT32_COMPILED = [("deep", "numba"), ("one-hidden", "numba")]  # in float32 for this one test


def on_both(names: list[str]) -> pytest.MarkDecorator:
    """Make parameters of golden runs and backends.

    For networks with convolutions, Numba compiles a step for each activation, loss and dtype, for half a minute.
    """
    return pytest.mark.parametrize(
        ("name", "backend"),
        [
            pytest.param(name, backend, marks=[pytest.mark.thorough] * (name in CONVOLUTIONAL and backend == "numba"))
            for name in names
            for backend in ("numpy", "numba")
        ],
    )


@cache
def trained(name: str, backend: str, dtype: str = "float64") -> tuple[fastae.Autoencoder, fastae.History]:
    """Train as the golden run was trained, once for all tests that look at it.

    With convolutions without test images, so that Numba need not compile the evaluation.
    """
    golden = load(name)
    model, tested = new_model(golden, dtype), None if name in CONVOLUTIONAL else golden["test_images"]
    return model, fit(model, golden, backend, golden["images"], golden["epochs"].item(), tested)


def test_the_golden_files_are_all_there() -> None:
    found = sorted(str(file.relative_to(GOLDEN).with_suffix("")) for file in GOLDEN.rglob("*.npz"))
    assert found == sorted(SYNTHETIC + REAL + CONVOLUTIONAL)
    assert len(found) == 14


@pytest.mark.parametrize("name", SYNTHETIC + CONVOLUTIONAL)
def test_initial_parameters_are_drawn_as_pinned(name: str) -> None:
    golden = load(name)
    # equal up to the last bit of sigma, which is a matter of how its formula is written
    assert_parameters(new_model(golden), golden, "initial", atol=1e-14)


@on_both(SYNTHETIC + CONVOLUTIONAL)
def test_the_first_step_is_pytorchs(name: str, backend: str) -> None:
    golden = load(name)
    model = new_model(golden)
    # one epoch on the images of the first batch alone is one step; in which order they are summed is rounding
    order = np.random.default_rng([1, golden["order_seed"].item(), 0]).permutation(len(golden["images"]))
    first_batch = golden["images"][order[: golden["batch_size"].item()]]
    history = fit(model, golden, backend, first_batch, epochs=1)
    assert_parameters(model, golden, "first", atol=1e-13)
    assert history.epochs[0].train_loss == pytest.approx(golden["step_loss"][0], rel=LOSS_BOUND)


@on_both(SYNTHETIC + CONVOLUTIONAL)
def test_every_parameter_after_the_last_step_is_pytorchs(name: str, backend: str) -> None:
    golden, (model, _) = load(name), trained(name, backend)
    assert_parameters(model, golden, "final", atol=WEIGHT_BOUND)


@on_both(REAL)
def test_sampled_parameters_after_100_steps_on_mnist_are_pytorchs(name: str, backend: str) -> None:
    golden, (model, _) = load(name), trained(name, backend)
    assert len(parameters(model)) == 8
    for key, array in parameters(model).items():
        key = f"final_{key}"
        assert array.dtype == np.float64
        sampled = array.ravel()[golden[f"{key}_indices"]]
        np.testing.assert_allclose(sampled, golden[f"{key}_values"], rtol=0, atol=WEIGHT_BOUND, err_msg=key)
        # The sum and the norm see the entries that the sample misses. Entries that are off by at most WEIGHT_BOUND
        # move the norm by at most WEIGHT_BOUND * sqrt(size) and the sum by WEIGHT_BOUND * size; rounding is far below.
        norm_bound = WEIGHT_BOUND * np.sqrt(array.size)
        assert np.sqrt((array * array).sum()) == pytest.approx(golden[f"{key}_norm"], rel=0, abs=norm_bound)
        assert array.sum() == pytest.approx(golden[f"{key}_sum"], rel=0, abs=WEIGHT_BOUND * array.size)


@on_both(SYNTHETIC + REAL)
def test_losses_in_float64_are_pytorchs(name: str, backend: str) -> None:
    golden, (_, history) = load(name), trained(name, backend)
    assert_losses(history, golden, rtol=LOSS_BOUND)


@on_both(CONVOLUTIONAL)
def test_losses_with_convolutions_are_pytorchs(name: str, backend: str) -> None:
    """The last test error is the model's own to compute; NumPy's training has that of each epoch."""
    golden, (model, history) = load(name), trained(name, backend)
    found = [epoch.train_loss for epoch in history.epochs]
    np.testing.assert_allclose(found, golden["train_loss"], rtol=LOSS_BOUND, atol=0)
    x = golden["test_images"] / 255
    assert np.mean((model.reconstruct(x) - x) ** 2) == pytest.approx(golden["test_mse"][-1], rel=LOSS_BOUND)


@pytest.mark.parametrize(("dtype", "bound"), [("float32", FLOAT32_LOSS_BOUND), ("float64", LOSS_BOUND)])
@pytest.mark.parametrize("name", CONVOLUTIONAL)
def test_losses_and_test_errors_with_convolutions_are_pytorchs_in_numpy(name: str, dtype: str, bound: float) -> None:
    golden = load(name)
    model = new_model(golden, dtype)
    history = fit(model, golden, "numpy", golden["images"], golden["epochs"].item(), golden["test_images"])
    assert {array.dtype for array in parameters(model).values()} == {np.dtype(dtype)}
    assert_losses(history, golden, rtol=bound)


@pytest.mark.parametrize(
    ("name", "backend"),
    [
        pytest.param(name, backend, marks=[pytest.mark.thorough] * ((name, backend) in FLOAT32_COMPILED))
        for name in SYNTHETIC + REAL
        for backend in ("numpy", "numba")
    ],
)
def test_losses_in_float32_are_near_pytorchs(name: str, backend: str) -> None:
    golden, (model, history) = load(name), trained(name, backend, "float32")
    assert {array.dtype for array in parameters(model).values()} == {np.dtype(np.float32)}
    assert_losses(history, golden, rtol=FLOAT32_LOSS_BOUND)
