"""What all contenders share: the model, its initial weights, the learning rate and the order of the images."""

from typing import Any

import numpy as np

import fastae

SEED = 0
RATES = {"mse": 0.05, "bce": 0.01}  # small enough that no batch size saturates the units or diverges
CONVOLUTIONAL_RATES = {"mse": 0.01, "bce": 0.002}  # the same for the convolutional network
STEPS_A_GRAPH = 16  # steps that a peer captures into a CUDA graph: as many as fastae


NETWORKS: dict[str, dict[str, Any]] = {  # by the name that --model takes
    "dense": {"sizes": (784, 256, 128)},
    "conv": {
        "layers": [fastae.Conv2d(16, stride=2), fastae.Conv2d(32, stride=2), fastae.Dense(128)],
        "activation": "tanh",
        "image_shape": (28, 28),
    },
}


DESCRIBED = {
    "dense": "784-256-128-256-784",
    "conv": "Conv2d(16)-Conv2d(32)-Dense(128), strides of 2, mirrored, tanh",
}


def network(model: str, dtype: str = "float32") -> fastae.Autoencoder:
    """Return the model of that name with the initial weights of all contenders."""
    return fastae.Autoencoder(seed=SEED, dtype=dtype, **NETWORKS[model])


def rate(loss: str, model: str) -> float:
    """Return the learning rate."""
    return (RATES if model == "dense" else CONVOLUTIONAL_RATES)[loss]


def initial_parameters() -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return the initial weights (inputs, outputs) and biases (outputs,) of each layer of the dense model, float32."""
    model = network("dense")
    return model.weights, model.biases


def epoch_order(epoch: int, n: int) -> np.ndarray:
    """Return the order of n images in an epoch, counted from 0, as int64 (n,)."""
    return np.random.default_rng([1, SEED, epoch]).permutation(n)


def whole_batches(order: np.ndarray, batch_size: int) -> np.ndarray:
    """Return the whole batches of an epoch, (batches, batch_size); images that are left over are left out."""
    return order[: len(order) // batch_size * batch_size].reshape(-1, batch_size)
