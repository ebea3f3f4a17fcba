"""A model's ``.safetensors`` in PyTorch: the network that its metadata show takes the weights and computes it."""

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from fastae import Autoencoder, Conv2d, Dense

ROOT = Path(__file__).parents[2]
NETWORKS: dict[str, dict[str, Any]] = {
    "dense": {"sizes": (30, 12, 5)},
    "convolutions": {"layers": [Conv2d(4, 3, 2, 1), Conv2d(3, 2, 3, 1), Dense(6)], "image_shape": (9, 7, 3)},
    "a code with channels": {"layers": [Conv2d(5, 3, 2, 1), Conv2d(3, 5, 1, 2)], "image_shape": (9, 8)},
    "rows that no patch reaches": {"layers": [Conv2d(5, 4, 3, 0), Dense(7)], "image_shape": (11, 8, 3)},
    "dense, then a convolution": {"layers": [Dense((6, 7, 3)), Conv2d(5, 3, 2, 1), Dense(6)], "image_shape": (5, 4)},
}
BOUND = {"float32": 1e-6, "float64": 1e-14}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_pytorch_computes_what_the_model_does(name: str, activation: str, dtype: str, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    model = Autoencoder(**NETWORKS[name], seed=3, activation=activation, dtype=dtype)
    model.save(path)
    with safe_open(path, framework="pt") as file:
        network = eval(file.metadata()["sequential"], {"torch": torch}).to(getattr(torch, dtype))  # written just now
    assert network.load_state_dict(load_file(path)) == ([], [])
    x = np.random.default_rng(0).random((7, model.sizes[0])).astype(dtype)
    taken = torch.tensor(x)
    if model.layers[0].shared:
        height, width, *channels = model.image_shape
        taken = taken.reshape(7, height, width, *(channels or [1])).permute(0, 3, 1, 2)
    with torch.no_grad():
        given = network(taken)
    if model.layers[0].shared:
        given = given.permute(0, 2, 3, 1).reshape(7, -1)
    assert given.numpy().dtype == dtype
    assert np.all(abs(given.numpy() - model.reconstruct(x)) <= BOUND[dtype])


def test_the_example_of_the_book() -> None:
    found = runpy.run_path(str(ROOT / "examples" / "into_pytorch.py"))["main"]()
    assert set(found) == {"dense", "convolutional"}
    assert all(difference <= 1e-6 for difference in found.values())
