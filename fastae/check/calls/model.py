"""Some steps of a small model, trained with the kernels of a file in the process that runs it."""

from typing import Any

import numpy as np

from fastae.backends.base import Parameters
from fastae.check.problem import access_checks, quiet
from fastae.layers import Conv2d, Dense, Layer, autoencoder, image_of

BATCHES, REST = 2, 4  # whole batches of five images, and the images of the last one


def layers_of(convolutions: bool) -> list[Layer]:
    """Return the layers of the model, for images of 5 x 4."""
    encoder = [Conv2d(3, stride=2), Dense(5)] if convolutions else [Dense(9), Dense(5)]
    return list(autoencoder(encoder, image_of((5, 4))))


def drawn(layers: list[Layer], seed: int) -> dict[str, np.ndarray]:
    """Draw weights ``W0``, ``W1``, ..., biases ``b0``, ..., 14 images and their order."""
    rng = np.random.default_rng(seed)
    arrays: dict[str, np.ndarray] = {f"W{i}": rng.normal(0, 0.5, layer.shape) for i, layer in enumerate(layers)}
    arrays |= {f"b{i}": rng.normal(0, 0.1, layer.channels) for i, layer in enumerate(layers)}
    arrays["images"] = rng.integers(0, 256, (5 * BATCHES + REST, layers[0].inputs), dtype=np.uint8)
    arrays["order"] = rng.permutation(len(arrays["images"]))
    return arrays


def trained(backend: Any, arrays: dict[str, np.ndarray], loss: str, activation: str, convolutions: bool) -> None:
    """Train for three steps, and write all parameters and velocities into ``arrays["result"]``.

    Parameters
    ----------
    backend : Backend
    arrays : dict of str to ndarray
        As `drawn` returns them, and ``result``, a float64 vector for all parameters and velocities.
    loss : {"mse", "bce"}
    activation : {"sigmoid", "tanh", "relu"}
    convolutions : bool
        As `layers_of` takes it.
    """
    layers = layers_of(convolutions)
    W, b = ([arrays[f"{letter}{i}"] for i in range(len(layers))] for letter in "Wb")
    parameters = Parameters(W, b, [np.zeros_like(w) for w in W], [np.zeros_like(x) for x in b])
    plain = activation == "sigmoid" and not convolutions
    options: dict[str, Any] = {} if plain else {"layers": layers, "activation": activation}
    with quiet():  # which compiles
        options |= {"loss": loss, "batch_size": 5, "lr": 0.5, "momentum": 0.5}
        session = backend.session(parameters, arrays["images"], **options)
    with quiet(), access_checks(backend):
        session.start(arrays["order"])
        session.run(BATCHES)
        session.finish()
    arrays["result"][:] = np.concatenate([p.ravel() for group in session.read() for p in group])


def steps(backend: Any, seed: int, loss: str, activation: str, convolutions: bool) -> np.ndarray:
    """Return what `trained` writes, for a backend in this process or in a worker: a float64 vector."""
    arrays = drawn(layers_of(convolutions), seed)
    result = np.full(2 * sum(x.size for key, x in arrays.items() if key[0] in "Wb"), np.nan)
    given: dict[str, Any] = {"loss": loss, "activation": activation, "convolutions": convolutions}
    if hasattr(backend, "steps"):
        backend.steps(arrays, result, **given)
    else:
        trained(backend, arrays | {"result": result}, **given)
    return result
