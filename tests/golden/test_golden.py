"""fastae against the committed trajectories of PyTorch's autograd; tests/golden/README.md says what they hold."""

import gzip
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastae

GOLDEN = Path(__file__).parent
SYNTHETIC = [
    "batch-of-all",
    "batch-of-one",
    "bce-momentum",
    "bce-plain",
    "deep",
    "mse-momentum",
    "mse-plain",
    "one-hidden",
]
REAL = ["mnist-bce", "mnist-mse"]

# A NumPy loop written by hand ended within 9e-16 of PyTorch's weights and 4e-16 of its losses in float64, and
# within 2e-7 of its losses in float32. The bounds leave room for another BLAS or another exp, and for no mistake.
WEIGHT_BOUND = 1e-10
LOSS_BOUND = 1e-12  # relative
FLOAT32_LOSS_BOUND = 2e-5  # relative

backends = pytest.mark.parametrize("backend", ["numpy", "numba"])
every_case = pytest.mark.parametrize("name", SYNTHETIC + REAL)

FLOAT32_COMPILED = [("deep", "numba"), ("one-hidden", "numba")]  # in float32 for this one test

Golden = dict[str, Any]


def load(name: str) -> Golden:
    with np.load(GOLDEN / f"{name}.npz", allow_pickle=False) as file:
        golden = dict(file)
    if name in REAL:
        golden["images"] = read_mnist("train", golden["train_count"])
        golden["test_images"] = read_mnist("t10k", golden["test_count"])
    return golden


def read_mnist(part: str, count: int) -> np.ndarray:
    with (files("fastae") / f"datasets/mnist/{part}-images-idx3-ubyte.gz").open("rb") as file:
        return np.frombuffer(gzip.decompress(file.read()), np.uint8, offset=16).reshape(-1, 784)[:count]


def new_model(golden: Golden, dtype: str = "float64") -> fastae.Autoencoder:
    return fastae.Autoencoder(
        sizes=tuple(golden["sizes"].tolist()), seed=golden["seed"].item(), dtype=dtype, init=golden["init"].item()
    )


def fit(
    model: fastae.Autoencoder,
    golden: Golden,
    backend: str,
    images: np.ndarray,
    epochs: int,
    test_images: np.ndarray | None = None,
    **options: Any,
) -> fastae.History:
    optimizer = fastae.SGD(lr=golden["lr"].item(), momentum=golden["momentum"].item())
    trainer = fastae.Trainer(
        model,
        loss=golden["loss"].item(),
        optimizer=optimizer,
        backend=backend,
        batch_size=golden["batch_size"].item(),
        seed=golden["order_seed"].item(),
        **options,
    )
    return trainer.fit(images, epochs=epochs, test_images=test_images, progress=False)


@cache
def trained(name: str, backend: str, dtype: str = "float64") -> tuple[fastae.Autoencoder, fastae.History]:
    """Train as the golden run was trained, once for all tests that look at it."""
    golden = load(name)
    model = new_model(golden, dtype)
    return model, fit(model, golden, backend, golden["images"], golden["epochs"].item(), golden["test_images"])


def parameters(model: fastae.Autoencoder) -> dict[str, np.ndarray]:
    weights = {f"W{i}": W for i, W in enumerate(model.weights)}
    biases = {f"b{i}": b for i, b in enumerate(model.biases)}
    return weights | biases


def assert_parameters(model: fastae.Autoencoder, golden: Golden, stage: str, atol: float) -> None:
    found = {f"{stage}_{key}": array for key, array in parameters(model).items()}
    assert found.keys() == {key for key in golden if key.startswith(stage)}
    for key, array in found.items():
        assert array.dtype == np.float64
        np.testing.assert_allclose(array, golden[key], rtol=0, atol=atol, err_msg=key)


def test_the_golden_files_are_all_there() -> None:
    assert sorted(file.stem for file in GOLDEN.glob("*.npz")) == sorted(SYNTHETIC + REAL)
    assert len(SYNTHETIC + REAL) == 10


@pytest.mark.parametrize("name", SYNTHETIC)
def test_initial_parameters_are_drawn_as_pinned(name: str) -> None:
    golden = load(name)
    # equal up to the last bit of sigma, which is a matter of how its formula is written
    assert_parameters(new_model(golden), golden, "initial", atol=1e-14)


@backends
@pytest.mark.parametrize("name", SYNTHETIC)
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
@pytest.mark.parametrize("name", SYNTHETIC)
def test_every_parameter_after_the_last_step(name: str, backend: str) -> None:
    golden, (model, _) = load(name), trained(name, backend)
    assert_parameters(model, golden, "final", atol=WEIGHT_BOUND)


@backends
@pytest.mark.parametrize("name", REAL)
def test_sampled_parameters_after_100_steps_on_mnist(name: str, backend: str) -> None:
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


@backends
@every_case
def test_losses_in_float64(name: str, backend: str) -> None:
    golden, (_, history) = load(name), trained(name, backend)
    assert_losses(history, golden, rtol=LOSS_BOUND)


@pytest.mark.parametrize(
    ("name", "backend"),
    [
        pytest.param(name, backend, marks=[pytest.mark.thorough] * ((name, backend) in FLOAT32_COMPILED))
        for name in SYNTHETIC + REAL
        for backend in ("numpy", "numba")
    ],
)
def test_losses_in_float32(name: str, backend: str) -> None:
    golden, (model, history) = load(name), trained(name, backend, "float32")
    assert {array.dtype for array in parameters(model).values()} == {np.dtype(np.float32)}
    assert_losses(history, golden, rtol=FLOAT32_LOSS_BOUND)


def assert_losses(history: fastae.History, golden: Golden, rtol: float) -> None:
    train_loss = [epoch.train_loss for epoch in history.epochs]
    test_mse = [epoch.test_mse for epoch in history.epochs]
    np.testing.assert_allclose(train_loss, golden["train_loss"], rtol=rtol, atol=0)
    np.testing.assert_allclose(test_mse, golden["test_mse"], rtol=rtol, atol=0)


@backends
def test_without_test_images_there_is_no_test_mse_and_training_is_the_same(backend: str) -> None:
    golden = load("mse-momentum")
    model = new_model(golden)
    history = fit(model, golden, backend, golden["images"], golden["epochs"].item(), test_images=None)
    assert [epoch.test_mse for epoch in history.epochs] == [None] * golden["epochs"].item()
    assert_parameters(model, golden, "final", atol=WEIGHT_BOUND)
