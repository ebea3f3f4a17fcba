"""fastae against the committed trajectories of PyTorch's autograd on networks with convolutions.

tests/golden/README.md says what they hold. The networks have odd and non-square images, kernels of 1 to 5, strides of
1 to 3, paddings of 0 to 2, several channels, all three activations, both losses, and a last batch that is smaller.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastae
from fastae.layers import from_json

GOLDEN = Path(__file__).parent / "convolutions"
CASES = ["relu-bce-momentum", "sigmoid-mse", "tanh-mse", "tanh-mse-momentum"]

# NumPy ends within 1e-15 of PyTorch's weights, and within 1e-15 of its losses. The bounds leave room for another BLAS
# or another exp, and for no mistake.
WEIGHT_BOUND = 1e-10
LOSS_BOUND = 1e-12  # relative
FLOAT32_LOSS_BOUND = 2e-5  # relative

every_case = pytest.mark.parametrize("name", CASES)
# Numba compiles a step for each activation, loss and dtype, for half a minute; `make test` compares one with NumPy's.
backends = pytest.mark.parametrize("backend", ["numpy", pytest.param("numba", marks=pytest.mark.thorough)])

Golden = dict[str, Any]


def load(name: str) -> Golden:
    with np.load(GOLDEN / f"{name}.npz", allow_pickle=False) as file:
        return dict(file)


def new_model(golden: Golden, dtype: str = "float64") -> fastae.Autoencoder:
    return fastae.Autoencoder(
        layers=from_json(json.loads(golden["encoder"].item())),
        image_shape=tuple(golden["image"].tolist()),
        activation=golden["activation"].item(),
        seed=golden["seed"].item(),
        dtype=dtype,
    )


def fit(
    model: fastae.Autoencoder,
    golden: Golden,
    backend: str,
    images: np.ndarray,
    epochs: int,
    test_images: np.ndarray | None = None,
) -> fastae.History:
    trainer = fastae.Trainer(
        model,
        loss=golden["loss"].item(),
        optimizer=fastae.SGD(lr=golden["lr"].item(), momentum=golden["momentum"].item()),
        backend=backend,
        batch_size=golden["batch_size"].item(),
        seed=golden["order_seed"].item(),
    )
    return trainer.fit(images, epochs=epochs, test_images=test_images, progress=False)


def assert_parameters(model: fastae.Autoencoder, golden: Golden, stage: str, atol: float) -> None:
    found = {f"{stage}_W{i}": W for i, W in enumerate(model.weights)}
    found |= {f"{stage}_b{i}": b for i, b in enumerate(model.biases)}
    assert found.keys() == {key for key in golden if key.startswith(stage)}
    for key, array in found.items():
        assert array.dtype == np.float64
        np.testing.assert_allclose(array, golden[key], rtol=0, atol=atol, err_msg=key)


def test_the_golden_files_are_all_there() -> None:
    assert sorted(file.stem for file in GOLDEN.glob("*.npz")) == CASES


@every_case
def test_initial_parameters_are_drawn_as_pinned(name: str) -> None:
    golden = load(name)
    assert_parameters(new_model(golden), golden, "initial", atol=1e-14)  # how the formula of σ is written is rounding


@backends
@every_case
def test_first_step(name: str, backend: str) -> None:
    golden = load(name)
    model = new_model(golden)
    # one epoch on the images of the first batch alone is one step; in which order they are summed is rounding
    order = np.random.default_rng([1, golden["order_seed"].item(), 0]).permutation(len(golden["images"]))
    first_batch = golden["images"][order[: golden["batch_size"].item()]]
    history = fit(model, golden, backend, first_batch, epochs=1)
    assert_parameters(model, golden, "first", atol=1e-13)
    assert history.epochs[0].train_loss == pytest.approx(golden["step_loss"][0], rel=LOSS_BOUND)


@backends
@every_case
def test_every_parameter_and_loss_after_the_last_step(name: str, backend: str) -> None:
    golden = load(name)
    model = new_model(golden)
    # Without test images Numba need not compile the evaluation; the last test error is the model's own to compute.
    history = fit(model, golden, backend, golden["images"], golden["epochs"].item())
    assert len(golden["step_loss"]) >= 100
    assert_parameters(model, golden, "final", atol=WEIGHT_BOUND)
    found = [epoch.train_loss for epoch in history.epochs]
    np.testing.assert_allclose(found, golden["train_loss"], rtol=LOSS_BOUND, atol=0)
    x = golden["test_images"] / 255
    assert np.mean((model.reconstruct(x) - x) ** 2) == pytest.approx(golden["test_mse"][-1], rel=LOSS_BOUND)


@every_case
def test_the_test_error_of_every_epoch(name: str) -> None:
    golden = load(name)
    history = fit(new_model(golden), golden, "numpy", golden["images"], golden["epochs"].item(), golden["test_images"])
    found = [epoch.test_mse for epoch in history.epochs]
    np.testing.assert_allclose(found, golden["test_mse"], rtol=LOSS_BOUND, atol=0)


@every_case
def test_losses_in_float32(name: str) -> None:
    golden = load(name)
    model = new_model(golden, dtype="float32")
    history = fit(model, golden, "numpy", golden["images"], golden["epochs"].item(), golden["test_images"])
    assert {array.dtype for array in [*model.weights, *model.biases]} == {np.dtype(np.float32)}
    for key in ("train_loss", "test_mse"):
        losses = [getattr(epoch, key) for epoch in history.epochs]
        np.testing.assert_allclose(losses, golden[key], rtol=FLOAT32_LOSS_BOUND, atol=0)
