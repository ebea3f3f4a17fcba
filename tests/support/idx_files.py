"""IDX files for tests, and how a data set is refused."""

import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fastae.errors import DataError

IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
TEST_IMAGES, TEST_LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"
TYPES = {"u1": 8, "i1": 9, ">i2": 11, ">i4": 12, ">f4": 13, ">f8": 14}


def header(*dims: int, dtype: str = "u1") -> bytes:
    return struct.pack(f">{1 + len(dims)}I", TYPES[dtype] << 8 | len(dims), *dims)


def encode(array: np.ndarray, dtype: str = "u1") -> bytes:
    return header(*array.shape, dtype=dtype) + array.astype(dtype).tobytes()


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
