"""The end of ``fastae train``: pictures of what was learned, and what is said of it."""

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
    """Draw what was learned, on paper, and return what to say of it, with digits where a terminal can show them."""
    from fastae import figures, system, terminal

    model, epochs = trainer.model, trainer.history.epochs
    mean_image = images.mean(axis=0) / 255
    some = range(0, len(test_images), 1000)  # in floats, a few at a time
    squares = sum(float(np.sum((test_images[i : i + 1000] / 255 - mean_image) ** 2)) for i in some)
    blob = squares / test_images.size  # what knowing only the mean image would give
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
    figures.loss_curve(out / "loss.png", history, caption, references={"mean image": blob})
    if any(layer.shared for layer in model.layers):
        from fastae import feature_figures

        feature_figures.kernels(out / "kernels.png", model, caption)
        feature_figures.features(out / "features.png", model, digits[min(3, len(digits) - 1)], caption)
    told = []
    height, width = model.image_shape[:2]
    if sys.stdout.isatty() and height == width:
        told.append(terminal.draw_pairs(digits, drawn, ascii=system.plain()))
    seconds = sum(epoch.seconds for epoch in epochs)
    team = f" with {trainer.workers} workers" if trainer.workers > 1 else ""
    if reason := decided(trainer):
        team = f" with {trainer.workers} worker{'s' * (trainer.workers > 1)}, {reason}"
    told += [caption, f"trained in {seconds:.1f} s{team}; the mean image alone would give {blob:.4f}"]
    if network:
        parameters = sum(p.size for p in model.weights + model.biases)
        multiplications = sum(layer.multiplications for layer in model.layers)
        told.append(f"{parameters:,} parameters, {multiplications:,} multiplications an image to reconstruct it")
    return "\n".join(told)


def decided(trainer: Any) -> str:
    """Return what has decided the number of Numba's workers, if that is not the cores that there are."""
    from fastae.backends.numba_backend.workers import choose

    choice = choose(trainer.threads)
    if trainer.backend.name != "numba" or choice.workers != trainer.workers:  # who trained before it was resumed
        return ""
    if trainer.threads is not None:
        return "by --threads"
    return choice.reason if choice.reason.startswith(("by NUMBA", "by OMP", "by a CPU quota")) else ""
