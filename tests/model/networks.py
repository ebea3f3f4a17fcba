"""Networks of every kind of layer, and what is compared of them."""

from typing import Any

import numpy as np

from fastae import Autoencoder, Conv2d, Dense

ENCODER = [Conv2d(3, stride=2), Conv2d(4, kernel=2, padding=1), Dense(5)]
NETWORKS: dict[str, dict[str, Any]] = {
    "convolutions": {"layers": ENCODER, "image_shape": (7, 6)},
    "three channels": {"layers": [Conv2d(4, stride=2), Dense(5)], "image_shape": (5, 8, 3), "activation": "tanh"},
    "no dense layer": {"layers": [Conv2d(4, stride=3, padding=0)], "image_shape": (9, 7), "activation": "relu"},
    "a dense layer first": {"layers": [Dense((3, 4, 2)), Conv2d(3)], "image_shape": (5, 2), "activation": "tanh"},
    "pixels left over": {"layers": [Conv2d(2, kernel=2, stride=3, padding=0)], "image_shape": (7, 7)},
    "a stride beyond the kernel": {"layers": [Conv2d(2, kernel=1, stride=3)], "image_shape": (5, 6)},
    "dense": {"layers": [Dense(6), Dense(3)], "image_shape": (3, 4), "activation": "relu"},
}


def bits(model: Autoencoder) -> list[bytes]:
    return [p.tobytes() for p in (*model.weights, *model.biases)]


def pixels_of(model: Autoencoder, n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, model.sizes[0])).astype(np.uint8)
