"""Load networks that fastae trained, a dense and a convolutional one, into PyTorch, and compare the reconstructions.

Run it with ``python examples/into_pytorch.py``; it needs ``fastae[interchange]`` and PyTorch.
"""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import nn

import fastae


def dense(path: Path) -> nn.Sequential:
    """Load the handout's network, whose input is rows of 784 pixels from 0 to 1."""
    network = nn.Sequential(
        nn.Linear(784, 256),
        nn.Sigmoid(),
        nn.Linear(256, 128),
        nn.Sigmoid(),
        nn.Linear(128, 256),
        nn.Sigmoid(),
        nn.Linear(256, 784),
        nn.Sigmoid(),
    )
    network.load_state_dict(load_file(path))
    return network


def convolutional(path: Path) -> nn.Sequential:
    """Load the network of ``--model conv``, whose input is images of 1 channel, 28 rows and 28 columns."""
    network = nn.Sequential(
        nn.Conv2d(1, 16, 3, stride=2, padding=1),
        nn.Tanh(),
        nn.Conv2d(16, 32, 3, stride=2, padding=1),
        nn.Tanh(),
        nn.Flatten(),
        nn.Linear(1568, 128),
        nn.Tanh(),
        nn.Linear(128, 1568),
        nn.Tanh(),
        nn.Unflatten(1, (32, 7, 7)),
        nn.ConvTranspose2d(32, 16, 3, stride=2, padding=1, output_padding=1),
        nn.Tanh(),
        nn.ConvTranspose2d(16, 1, 3, stride=2, padding=1, output_padding=1),
        nn.Sigmoid(),
    )
    network.load_state_dict(load_file(path))
    return network


def main() -> dict[str, float]:
    """Train both on a few images; print and return the largest difference of PyTorch's and fastae's outputs."""
    images = fastae.load_dataset()[0][:1000]
    layers: list[Any] = [fastae.Conv2d(16, stride=2), fastae.Conv2d(32, stride=2), fastae.Dense(128)]
    models = {
        "dense": (fastae.Autoencoder(), dense, (-1, 784)),
        "convolutional": (fastae.Autoencoder(layers=layers, activation="tanh"), convolutional, (-1, 1, 28, 28)),
    }
    found = {}
    for name, (model, load, shape) in models.items():
        fastae.Trainer(model, backend="numpy").fit(images, epochs=1, progress=False)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.safetensors"
            model.save(path)
            network = load(path)
        x: Any = (images[:100] / 255).astype(np.float32)
        with torch.no_grad():
            theirs = network(torch.tensor(x).reshape(shape)).reshape(len(x), -1).numpy()
        found[name] = float(np.abs(theirs - model.reconstruct(x)).max())
        print(f"{name}: the reconstructions differ by {found[name]:.1e} at most")
    return found


if __name__ == "__main__":
    main()
