"""Small trainings, and everything that they change."""

from typing import Any

import numpy as np
import pytest

import fastae
from fastae import SGD, Autoencoder, Trainer
from fastae.backends.numpy_backend import NumpyBackend

SIZES = (12, 7, 4)
TIMINGS = ("seconds", "images_per_second")
NUMPY = NumpyBackend()

backends = pytest.mark.parametrize("backend", ["numpy", "numba"])


def some_images(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, SIZES[0]), dtype=np.uint8)


def make(momentum: float = 0.0, lr: float = 0.1, dtype: str = "float64", **options: Any) -> Trainer:
    options = {"backend": "numpy", "batch_size": 4} | options
    return Trainer(Autoencoder(SIZES, dtype=dtype), optimizer=SGD(lr, momentum), **options)


def fit(trainer: Trainer, images: np.ndarray, epochs: int = 1, **options: Any) -> fastae.History:
    return trainer.fit(images, epochs, progress=False, **options)


def parameters(trainer: Trainer) -> list[bytes]:
    return [array.tobytes() for array in (*trainer.model.weights, *trainer.model.biases)]


def untimed(history: fastae.History) -> list[dict[str, Any]]:
    return [{k: v for k, v in epoch.items() if k not in TIMINGS} for epoch in history.as_dicts()]


def state(trainer: Trainer) -> Any:
    """Everything that training changes, the velocities too."""
    velocities = [array.tobytes() for array in (*trainer._V, *trainer._c)]
    return parameters(trainer), velocities, untimed(trainer.history)


def tiny(
    momentum: float = 0.0,
    dtype: str = "float32",
    lr: float = 0.5,
    schedule: str = "constant",
    tf32: bool = False,
    **network: Any,
) -> Trainer:
    model = Autoencoder((4, 2), dtype=dtype, **network)
    return Trainer(model, "mse", SGD(lr, momentum, schedule), NUMPY, batch_size=2, tf32=tf32)


def tiny_images(n: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, 4), dtype=np.uint8)
