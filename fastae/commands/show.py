"""The end of ``fastae train``: pictures of what was learned, and a summary in words."""

import sys
from pathlib import Path
from typing import Any

import numpy as np

from fastae.commands.network import LOSS_NAMES, named


def pictures(model: Any) -> list[str]:
    """Return the names of the pictures that `show` draws of a model."""
    convolutional = any(layer.shared for layer in model.layers)
    return ["reconstructions.png", "loss.png", *(["kernels.png", "features.png"] if convolutional else [])]


def show(trainer: Any, images: np.ndarray, test_images: np.ndarray, labels: np.ndarray, out: Path) -> str:
    """Write the pictures of a trained network, and return the summary to be printed.

    Parameters
    ----------
    trainer : fastae.Trainer
        A trainer after its `fit`.
    images, test_images : ndarray of uint8, (n, pixels)
    labels : ndarray of uint8, (n,)
        Classes of the test images, by which the ten that are drawn are chosen.
    out : Path
        The folder for the pictures.

    Returns
    -------
    str
        The summary; if standard output is a terminal, digits and their reconstructions are drawn in it.
    """
    from fastae import figures, system, terminal

    model, epochs = trainer.model, trainer.history.epochs
    mean_image = images.mean(axis=0) / 255
    starts = range(0, len(test_images), 1000)  # a thousand at a time, because floats take eight times the memory
    squares = sum(float(np.sum((test_images[i : i + 1000] / 255 - mean_image) ** 2)) for i in starts)
    of_mean_image = squares / test_images.size  # the error of a network that always gives the mean image
    digits = test_images[terminal.one_of_each(labels)]
    drawn = model.reconstruct(digits)
    count = "1 epoch" if len(epochs) == 1 else f"{len(epochs)} epochs"
    network = f"{name}: " if (name := named(model)) else ""
    caption = (
        f"{network}{LOSS_NAMES[trainer.loss]}, {count} of {len(images):,} images, batch size {trainer.batch_size}, "
        f"{trainer.backend.name}{' in TF32' if trainer.tf32 else ''}: test error {epochs[-1].test_mse:.4f} a pixel"
    )
    rows = [("reconstruction", drawn)]
    figures.reconstructions(out / "reconstructions.png", digits, rows, caption, shape=model.image_shape)
    history = trainer.history.as_dicts()
    figures.loss_curve(out / "loss.png", history, caption, references={"mean image": of_mean_image})
    if any(layer.shared for layer in model.layers):
        from fastae import feature_figures

        feature_figures.kernels(out / "kernels.png", model, caption)
        feature_figures.features(out / "features.png", model, digits[min(3, len(digits) - 1)], caption)
    lines = []
    height, width = model.image_shape[:2]
    if sys.stdout.isatty() and height == width:
        lines.append(terminal.draw([("original", digits), ("reconstruction", drawn)], ascii=system.ascii_only()))
    seconds = sum(epoch.seconds for epoch in epochs)
    team = f" with {trainer.workers} workers" if trainer.workers > 1 else ""
    if reason := decided(trainer):
        team = f" with {trainer.workers} worker{'s' * (trainer.workers > 1)}, {reason}"
    lines += [caption, f"trained in {seconds:.1f} s{team}; the mean image alone would give {of_mean_image:.4f}"]
    if network:
        parameters = sum(p.size for p in model.weights + model.biases)
        multiplications = sum(layer.multiplications for layer in model.layers)
        lines.append(f"{parameters:,} parameters, {multiplications:,} multiplications an image to reconstruct it")
    return "\n".join(lines)


def decided(trainer: Any) -> str:
    """Return what determined the number of Numba's workers; empty if it is the number of cores."""
    from fastae.backends.numba_backend.workers import choose

    choice = choose(trainer.threads)
    # The numbers differ if a training was resumed without a new epoch: then the workers are the checkpoint's.
    if trainer.backend.name != "numba" or choice.workers != trainer.workers:
        return ""
    if trainer.threads is not None:
        return "by --threads"
    return choice.reason if choice.reason.startswith(("by NUMBA", "by OMP", "by a CPU quota")) else ""
