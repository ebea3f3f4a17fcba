"""Sessions of a network with convolutions on CUDA's kernels and on NumPy's."""

from typing import Any

import numpy as np
import pytest

import fastae
from fastae import backends
from fastae.backends.base import Parameters
from fastae.backends.cupy_backend.session import CupySession

activations = pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu"])
NUMPY = backends.get("numpy")

LAYERS = [fastae.Conv2d(5, stride=2), fastae.Conv2d(8, kernel=2, padding=0), fastae.Dense(6)]
SHAPE = (9, 7, 3)
N, BATCH = 63, 8  # seven batches and a ragged one of 7


def pictures(n: int = N) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (n, int(np.prod(SHAPE))), dtype=np.uint8)


def network(activation: str = "tanh", dtype: str = "float32", layers: Any = None) -> fastae.Autoencoder:
    return fastae.Autoencoder(layers=layers or LAYERS, activation=activation, image_shape=SHAPE, dtype=dtype, seed=3)


def session(
    k: Any, activation: str = "tanh", momentum: float = 0.9, dtype: str = "float32", **more: Any
) -> CupySession:
    model, n = network(activation, dtype), more.pop("n", N)
    none = slice(None) if momentum else slice(0)
    velocities = [[np.zeros_like(p)[none] for p in group] for group in (model.weights, model.biases)]
    options = {"batch_size": BATCH, "lr": 0.01, "momentum": momentum, "layers": model.layers, "activation": activation}
    parameters = Parameters(model.weights, model.biases, *velocities)
    return k.session(parameters, pictures(n), test_images=pictures(11), **options | more)


def epochs(s: Any, count: int = 1, n: int = N) -> list[float]:
    numbers = []
    for epoch in range(count):
        s.start(np.random.default_rng([1, 0, epoch]).permutation(n))
        s.run(n // BATCH)
        s.finish()
        numbers += [s.total(), s.test_error()]
    return numbers
