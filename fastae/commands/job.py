"""What ``fastae train`` does before training: check the options, read the data, and make the trainer."""

import argparse
import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fastae import backends
from fastae.commands import network
from fastae.errors import InputError

RESERVE = {"numpy": 128, "numba": 512}  # MiB that a backend needs besides the data; 32 more for each core


class Job(NamedTuple):
    """A training that is ready to begin.

    Attributes
    ----------
    trainer : fastae.Trainer
    images, test_images : ndarray of uint8, (n, pixels)
    test_labels : ndarray of uint8, (n,)
    out : Path
        The results' folder.
    note : dict
        What a checkpoint records about the data and the kernels, and what all ranks must agree on.
    """

    trainer: Any
    images: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    out: Path
    note: dict[str, Any]


def check(options: argparse.Namespace) -> None:
    """Check the options, before anything is read."""
    from fastae.trainer import LOSSES

    if options.loss not in LOSSES:
        raise InputError(f"unknown loss {options.loss!r}; the losses are: mse, bce")
    if options.limit is not None and options.limit < 1:
        raise InputError(f"--limit must be a positive whole number; got {options.limit}")
    if options.epochs < 1:
        raise InputError(f"--epochs must be a positive whole number; got {options.epochs}")
    network.check(options)
    _optimizer(options)
    backend: Any = backends.get(options.backend) if options.kernels is None else None
    asked = (options.threads or 0) > 0
    if asked and backend is not None and not backend.takes_threads:  # reported before anything is printed
        raise InputError(f"the backend {backend.name!r} does not take a number of threads; numba does")


def _optimizer(options: argparse.Namespace) -> Any:
    from fastae.optimizer import SGD

    return SGD("auto" if options.lr is None else options.lr, options.momentum, options.schedule)


def read(options: argparse.Namespace) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Read the training images, the test images and the test labels; images are (n, rows, cols)."""
    from fastae.datasets import load_images

    images, _ = load_images(options.data, "train", options.limit)
    test_images, test_labels = load_images(options.data, "test", options.limit)
    if options.transpose:
        images, test_images = (np.ascontiguousarray(some.swapaxes(1, 2)) for some in (images, test_images))
    return images, test_images, test_labels


def prepared(options: argparse.Namespace, images: np.ndarray, test_images: np.ndarray, test_labels: np.ndarray) -> Job:
    """Make the trainer, which may fail on one rank and not on another."""
    from fastae.trainer import Trainer

    shape = images.shape[1:]
    if shape != test_images.shape[1:]:
        (height, width), (test_height, test_width) = shape, test_images.shape[1:]
        raise InputError(
            f"training images are {height} x {width}, {height * width} pixels, but test images "
            f"{test_height} x {test_width}, {test_height * test_width}"
        )
    images, test_images = images.reshape(len(images), -1), test_images.reshape(len(test_images), -1)
    _require_memory(options.backend)
    backend: Any
    if options.kernels is None:
        backend = backends.get(options.backend)
    else:
        from fastae.check import learner

        backend = learner.load(options.kernels, options.backend)
    trainer = Trainer(
        network.build(options, shape),
        options.loss,
        _optimizer(options),
        backend,
        options.batch_size,
        options.seed,
        threads=options.threads,
        mode=options.mode,
        tf32=options.tf32,
        ranks=options.world,
        shards=options.shards,
    )
    note = {
        "images": f"{len(images)} with checksum {options.world.checksum(images):08x}",
        "test_images": f"{len(test_images)} with checksum {options.world.checksum(test_images):08x}",
        "kernels": getattr(backend, "origin", None),
    }
    file = "" if options.kernels is None else f"-{Path(options.kernels).stem}"
    usual = f"runs/{network.folder(options, images.shape[1])}{options.loss}-{backend.name}{file}"
    return Job(trainer, images, test_images, test_labels, Path(options.out or usual), note)


def _require_memory(backend: str) -> None:
    """Raise `InputError` if memory is too small for a backend; OpenBLAS and LLVM would end the process instead."""
    size = RESERVE.get(backend, RESERVE["numba"]) + 32 * min(os.cpu_count() or 1, 64)
    try:
        np.empty(size << 20, np.uint8)  # reserves addresses only, since nothing is written
    except MemoryError:
        raise InputError(f"not enough memory: --backend {backend} needs {size} MiB beside the images") from None
