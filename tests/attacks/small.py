"""A training so small that it takes no time, for the tests of the attacks."""

from pathlib import Path
from typing import Any

import numpy as np

from fastae import SGD, Autoencoder, Trainer, cli

SIZES = (12, 7, 4)


def some_images(n: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, SIZES[0]), dtype=np.uint8)


def make(backend: Any = "numpy", threads: int | None = None) -> Trainer:
    return Trainer(Autoencoder(SIZES), optimizer=SGD(0.1, 0.5), backend=backend, batch_size=4, threads=threads)


def state(trainer: Trainer) -> Any:
    """Everything that training changes."""
    arrays = (*trainer.model.weights, *trainer.model.biases, *trainer._V, *trainer._c)
    return [array.tobytes() for array in arrays], [epoch.train_loss for epoch in trainer.history.epochs]


def train(out: Path, *options: Any, backend: str = "numpy") -> int:
    """Run ``fastae train`` on 32 images for one epoch, unless the options say otherwise."""
    argv = ["train", "--backend", backend, "--limit", 32, "--epochs", 1, "--no-progress", "--out", out, *options]
    return cli.main([str(argument) for argument in argv])


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}
