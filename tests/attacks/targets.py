"""What the fuzzers attack: the reader of IDX files, and the readers of models and checkpoints.

Each target takes the bytes of a case. The first says how the rest becomes a file; the file is read; and whatever is
not one of fastae's own errors, or takes much more memory than the file has bytes, is a finding. Plain Python:
`fuzz.py` lets atheris find cases, test_fuzz_corpus.py replays those that are kept in corpus/.
"""

import gzip
import io
import json
import math
import os
import tempfile
import tracemalloc
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from fastae import SGD, Autoencoder, Trainer, storage
from fastae.backends.numpy_backend import NumpyBackend
from fastae.datasets import read_idx
from fastae.errors import CheckpointError, DataError, Diverged, FastaeError

NUMPY = NumpyBackend()  # to look it up by name takes longer than a case
FREE = 1 << 19  # bytes that reading may take whatever the file's size: buffers, messages
UNPACKED_FREE = 17 << 20  # and where it is compressed: a small file may hold what costs nobody anything
MULTIPLE = 32  # of the file's size: an empty JSON list of three characters is an object of 56 bytes


def folder() -> Path:
    """Return this process's folder for cases, also where it is another's child."""
    return Path(tempfile.gettempdir()) / f"fastae-fuzz-{os.getpid()}"


@contextmanager
def frugal(limit: float) -> Iterator[None]:
    """Fail if the block takes more memory, at any time, than the limit."""
    if not tracemalloc.is_tracing():
        tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    yield
    taken = tracemalloc.get_traced_memory()[1] - before
    assert taken <= limit, f"{taken:,} bytes were taken; {limit:,.0f} would do"


def refused(kind: type[FastaeError], call: Callable[[], Any]) -> Any:
    """Return what the call returns, or None if it refuses with one line."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # a warning would reach the user's terminal
            return call()
    except kind as error:
        message = str(error)
        assert len(message.splitlines()) == 1, message
        assert len(message) < 2000, message[:200]  # nor does a message quote a whole file
        return None


def written(name: str, content: bytes) -> Path:
    """Write a case's file."""
    folder().mkdir(exist_ok=True)
    path = folder() / name
    path.write_bytes(content)
    return path


# IDX.


def idx(case: bytes) -> None:
    """Read labels or images: a plain file, a .gz, or what the case holds once it is compressed."""
    mode, content = case[0] % 6 if case else 0, case[1:]
    ndim, packing = (1, 3)[mode % 2], mode // 2
    if packing == 2:
        plain, content = content, gzip.compress(content, 1, mtime=0)
    path = written(f"case{'.gz' if packing else ''}", content)
    packed = content.startswith(b"\x1f\x8b")
    limit = UNPACKED_FREE + 101 * len(content) if packed else 2 * FREE + 2 * len(content)
    with frugal(limit):
        found = refused(DataError, lambda: read_idx(path, ndim))
    if found is None:
        return
    if packing < 2:
        plain = gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content
    assert found.ndim == ndim
    assert found.dtype == np.uint8
    assert 0 not in found.shape
    header = np.frombuffer(plain, ">u4", 1 + ndim)
    assert tuple(header[1:].tolist()) == found.shape
    values = np.frombuffer(
        plain[4 + 4 * ndim :], {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}[plain[2]]
    )
    scale = 255.0 if ndim == 3 and values.dtype.kind == "f" and values.max() <= 1 else 1.0
    assert found.tobytes() == np.rint(values * np.float64(scale)).astype(np.uint8).tobytes()


# Models and checkpoints.


def trainer(momentum: float) -> Trainer:
    """Make the trainer whose checkpoints the cases are made from."""
    return Trainer(Autoencoder((2, 1), seed=5), "mse", SGD(0.5, momentum), NUMPY, batch_size=2, seed=1)


def images() -> np.ndarray:
    """Make what it trains on."""
    return np.arange(10, dtype=np.uint8).reshape(5, 2) * 25


@cache
def sound(kind: str, momentum: float = 0.0) -> bytes:
    """Make the file of a model, or of a checkpoint after one epoch."""
    folder().mkdir(exist_ok=True)
    path, made = folder() / "sound", trainer(momentum)
    made.fit(images(), 1, progress=False)
    made.model.save(path) if kind == "model" else made.save(path)
    return path.read_bytes()


def with_entry(content: bytes, name: str, data: bytes) -> bytes:
    """Return the archive with another entry of that name."""
    changed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(changed, "w") as new:
        for entry in old.namelist():
            new.writestr(zipfile.ZipInfo(entry), data if entry == name else old.read(entry))
    return changed.getvalue()


def npy(array: np.ndarray) -> bytes:
    """Return the array as .npz files hold it."""
    data = io.BytesIO()
    np.lib.format.write_array(data, array)
    return data.getvalue()


@contextmanager
def checksums_right() -> Iterator[None]:
    """Take every checksum for right: whoever writes a file that is meant to do harm computes them."""
    crc, digest, compared = zipfile.ZipExtFile._update_crc, storage._digest, Anything()
    zipfile.ZipExtFile._update_crc = lambda self, data: None
    storage._digest = lambda content: digest(content) and compared
    try:
        yield
    finally:
        zipfile.ZipExtFile._update_crc, storage._digest = crc, digest


class Anything(bytes):
    """Equal to all other bytes."""

    __hash__ = bytes.__hash__

    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False


def checkpoint(case: bytes) -> None:
    """Read a file as it is, with its checksums taken for right, or with the case for a part of it."""
    mode, part = case[0] % 5 if case else 0, case[1:]
    if mode < 2:
        content = part
    elif mode < 4:
        config = npy(np.frombuffer(part, np.uint8))
        content = with_entry(sound(("model", "checkpoint")[mode - 2]), "config.npy", config)
    else:
        content = with_entry(sound("model"), "weight0.npy", part)
    path = written("case.npz", content)
    if mode:
        with checksums_right():
            _read(path, len(content))
    else:
        _read(path, len(content))


def _read(path: Path, size: int) -> None:
    limit = FREE + MULTIPLE * size
    with frugal(limit):
        found = [
            refused(CheckpointError, lambda kind=kind: storage.read(path, kind)) for kind in ("model", "checkpoint")
        ]
    assert None in found  # it cannot be both
    with frugal(limit):
        model = refused(CheckpointError, lambda: Autoencoder.load(path))
    if model is not None:
        assert model.reconstruct(np.zeros((1, model.sizes[0]), np.uint8)).shape == (1, model.sizes[0])
        model.save(folder() / "again")
    for momentum in (0.0, 0.5) if found != [None, None] else (0.0,):  # what cannot be read at all is told by one
        resumed = trainer(momentum)
        before = _state(resumed)
        with frugal(limit):
            done = refused(CheckpointError, lambda resumed=resumed, path=path: resumed.resume(path) or True)
        if done is None:
            assert _state(resumed) == before
        else:
            _goes_on(resumed)


def _state(trainer: Trainer) -> Any:
    groups = (trainer.model.weights, trainer.model.biases, trainer._V, trainer._c)
    return [array.tobytes() for group in groups for array in group], trainer.history.as_dicts(), trainer.workers


def _goes_on(trainer: Trainer) -> None:
    """What was resumed is of use: its history is one, and it trains on."""
    for i, epoch in enumerate(trainer.history.epochs):
        assert epoch.epoch == i + 1
        assert all(isinstance(x, float) for x in (epoch.train_loss, epoch.seconds, epoch.images_per_second))
        assert epoch.test_mse is None or isinstance(epoch.test_mse, float)
    assert isinstance(trainer.workers, int)
    assert trainer.workers > 0
    done = len(trainer.history.epochs)
    try:
        trainer.fit(images(), 1, progress=False)
    except (CheckpointError, Diverged):
        return  # another number of workers; weights that are too large
    assert len(trainer.history.epochs) == done + 1
    assert math.isfinite(trainer.history.epochs[-1].train_loss)
    json.dumps(trainer.history.as_dicts())


TARGETS: dict[str, Callable[[bytes], None]] = {"idx": idx, "checkpoint": checkpoint}
