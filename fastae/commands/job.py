"""What ``fastae train`` does before it trains: look at the options, read the data, and make the trainer."""

import argparse
import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fastae import backends
from fastae.commands import network
from fastae.errors import InputError

RESERVE = {"numpy": 128, "numba": 512}  # MiB that a backend takes beside the data, and 32 more for each core


class Job(NamedTuple):
    """A training that can begin."""

    trainer: Any
    images: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    out: Path
    note: dict[str, Any]


def check(options: argparse.Namespace) -> None:
    """Look at the options before anything is read."""
    from fastae.trainer import LOSSES

    limit = getattr(options, "limit", None)
    if options.loss not in LOSSES:
        raise InputError(f"unknown loss {options.loss!r}; the losses are: mse, bce")
    if limit is not None and limit < 1:
        raise InputError(f"--limit must be a positive whole number; got {limit}")
    if options.epochs < 1:
        raise InputError(f"--epochs must be a positive whole number; got {options.epochs}")
    network.check(options)
    _optimizer(options)
    backend: Any = None if hasattr(options, "kernels") else backends.get(options.backend)
    asked = getattr(options, "threads", 0) > 0
    if asked and backend is not None and not backend.takes_threads:  # told before anything is printed
        raise InputError(f"the backend {backend.name!r} does not take a number of threads; numba does")


def _optimizer(options: argparse.Namespace) -> Any:
    from fastae.optimizer import SGD

    return SGD(getattr(options, "lr", "auto"), options.momentum, options.schedule)


def read(options: argparse.Namespace) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Read the training images, the test images and the test labels; images are (n, rows, cols)."""
    from fastae.datasets import load_images

    data, limit = getattr(options, "data", None), getattr(options, "limit", None)
    images, _ = load_images(data, "train", limit)
    test_images, test_labels = load_images(data, "test", limit)
    if options.transpose:
        images, test_images = (np.ascontiguousarray(some.swapaxes(1, 2)) for some in (images, test_images))
    return images, test_images, test_labels


def prepared(options: argparse.Namespace, images: np.ndarray, test_images: np.ndarray, test_labels: np.ndarray) -> Job:
    """Make the trainer: what may fail on one rank and not on another."""
    from fastae.trainer import Trainer

    world, kernels = options.world, getattr(options, "kernels", None)
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
    if kernels is None:
        backend = backends.get(options.backend)
    else:
        from fastae.check import learner

        backend = learner.load(kernels, options.backend)
    trainer = Trainer(
        network.build(options, shape),
        options.loss,
        _optimizer(options),
        backend,
        options.batch_size,
        options.seed,
        threads=getattr(options, "threads", None),
        mode=getattr(options, "mode", None),
        tf32=options.tf32,
        ranks=world,
        shards=getattr(options, "shards", None),
    )
    note = {
        "images": f"{len(images)} with checksum {world.checksum(images):08x}",
        "test_images": f"{len(test_images)} with checksum {world.checksum(test_images):08x}",
        "kernels": getattr(backend, "origin", None),
    }
    own = "" if kernels is None else f"-{Path(kernels).stem}"
    usual = f"runs/{network.folder(options, images.shape[1])}{options.loss}-{backend.name}{own}"
    out = Path(getattr(options, "out", None) or usual)
    return Job(trainer, images, test_images, test_labels, out, note)


def _require_memory(backend: str) -> None:
    """Raise `InputError` if there is too little; OpenBLAS and LLVM end the process when they find out."""
    size = RESERVE.get(backend, RESERVE["numba"]) + 32 * min(os.cpu_count() or 1, 64)
    try:
        np.empty(size << 20, np.uint8)  # addresses alone: nothing is written there
    except MemoryError:
        raise InputError(f"not enough memory: --backend {backend} needs {size} MiB beside the images") from None
