"""The committed trajectories of tests/golden, and a training by fastae that should follow one."""

import gzip
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

import fastae
from fastae.layers import from_json

GOLDEN = Path(__file__).parents[1] / "golden"
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
CONVOLUTIONAL = [
    f"convolutions/{name}" for name in ("relu-bce-momentum", "sigmoid-mse", "tanh-mse", "tanh-mse-momentum")
]

# A NumPy loop written by hand ended within 9e-16 of PyTorch's weights and 4e-16 of its losses in float64, and
# within 2e-7 of its losses in float32. The bounds leave room for another BLAS or another exp, and for no mistake.
WEIGHT_BOUND = 1e-10
LOSS_BOUND = 1e-12  # relative
FLOAT32_LOSS_BOUND = 2e-5  # relative

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
    if "encoder" in golden:
        return fastae.Autoencoder(
            layers=from_json(json.loads(golden["encoder"].item())),
            image_shape=tuple(golden["image"].tolist()),
            activation=golden["activation"].item(),
            seed=golden["seed"].item(),
            dtype=dtype,
        )
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


def assert_losses(history: fastae.History, golden: Golden, rtol: float) -> None:
    train_loss = [epoch.train_loss for epoch in history.epochs]
    test_mse = [epoch.test_mse for epoch in history.epochs]
    np.testing.assert_allclose(train_loss, golden["train_loss"], rtol=rtol, atol=0)
    np.testing.assert_allclose(test_mse, golden["test_mse"], rtol=rtol, atol=0)
