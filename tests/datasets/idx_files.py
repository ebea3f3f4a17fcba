"""IDX files for tests, and how a data set is refused."""

import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fastae.errors import DataError

IMAGES = "train-images-idx3-ubyte"
LABELS = "train-labels-idx1-ubyte"


def header(*dims: int) -> bytes:
    return struct.pack(f">{1 + len(dims)}I", 0x0800 + len(dims), *dims)


def encode(array: np.ndarray) -> bytes:
    return header(*array.shape) + array.tobytes()


def fill(folder: Path, images: np.ndarray, labels: np.ndarray) -> None:
    (folder / IMAGES).write_bytes(encode(images))
    (folder / LABELS).write_bytes(encode(labels))


def refusal(name: str, call: Callable[[], object]) -> str:
    """Return the message of the DataError that `call` must raise: one line that names the file and what to expect."""
    with pytest.raises(DataError) as caught:
        call()
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    assert name in message
    assert "; expected " in message
    return message


def peak_memory(call: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
