"""A small data set in any format, and what is read of it or refused."""

import gzip
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastae.datasets import described, load_dataset, load_images
from fastae.errors import DataError

RANDOM = np.random.default_rng(0)
IMAGES, TESTED = (RANDOM.integers(0, 256, (n, 6, 5), np.uint8) for n in (25, 12))
LABELS, TEST_LABELS = (RANDOM.integers(0, 7, n).astype(np.uint8) for n in (25, 12))
IMAGES[0, 0, :2] = TESTED[0, 0, :2] = 0, 255  # whose ends are in both
TYPES = {"u1": 8, "i1": 9, ">i2": 11, ">i4": 12, ">f4": 13, ">f8": 14}


def idx(array: np.ndarray, dtype: str = "u1") -> bytes:
    header = bytes([0, 0, TYPES[dtype], array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.astype(dtype).tobytes()


def fill(
    folder: Path, prefix: str = "", test: str = "t10k", gz: str = "", change: Any = None, dtype: str = "u1"
) -> Path:
    """Write the four files, the images changed and of another type."""
    folder.mkdir(parents=True, exist_ok=True)
    for split, images, labels in (("train", IMAGES, LABELS), (test, TESTED, TEST_LABELS)):
        for kind, content in (
            ("images-idx3", idx(change(images.astype(float)) if change else images, dtype)),
            ("labels-idx1", idx(labels, "u1" if dtype == "i1" else dtype)),
        ):
            path = folder / f"{prefix}{split}-{kind}-ubyte{gz}"
            path.write_bytes(gzip.compress(content) if gz else content)
    return folder


def refused(path: Path, split: str = "train") -> str:
    """Return the one line with which a data set is refused: file, expectation, remedy."""
    with pytest.raises(DataError) as caught:
        load_images(path, split)
    message = str(caught.value)
    assert "; expected " in message
    assert len(message.splitlines()) == 1
    assert message.count("; ") >= 2
    return message


def assert_read(path: Path, labels: bool = True) -> None:
    """The data set comes back as it is, split and labelled."""
    for split, images, classes in (("train", IMAGES, LABELS), ("test", TESTED, TEST_LABELS)):
        found, labelled = load_images(path, split)
        np.testing.assert_array_equal(found, images, strict=True)
        np.testing.assert_array_equal(labelled, classes if labels else 0 * classes, strict=True)
        assert found.flags.c_contiguous
        np.testing.assert_array_equal(load_dataset(path, split)[0], images.reshape(len(images), -1), strict=True)


def assert_held_out(path: Path) -> None:
    """One set of images: every tenth is for the test."""
    (found, _), (tested, _) = load_images(path), load_images(path, "test")
    held_out = np.arange(len(IMAGES)) % 10 == 9
    np.testing.assert_array_equal(found, IMAGES[~held_out], strict=True)
    np.testing.assert_array_equal(tested, IMAGES[held_out], strict=True)
    assert "every tenth" in described(path)
