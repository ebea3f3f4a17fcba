"""A small data set in any format, and what is read of it or refused."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
from idx_files import encode, refusal

from fastae.datasets import described, load_dataset, load_images

RANDOM = np.random.default_rng(0)
IMAGES, TESTED = (RANDOM.integers(0, 256, (n, 6, 5), np.uint8) for n in (25, 12))
LABELS, TEST_LABELS = (RANDOM.integers(0, 7, n).astype(np.uint8) for n in (25, 12))
IMAGES[0, 0, :2] = TESTED[0, 0, :2] = 0, 255  # whose ends are in both


def fill(
    folder: Path, prefix: str = "", test: str = "t10k", gz: str = "", change: Any = None, dtype: str = "u1"
) -> Path:
    """Write the four files, the images changed and of another type."""
    folder.mkdir(parents=True, exist_ok=True)
    for split, images, labels in (("train", IMAGES, LABELS), (test, TESTED, TEST_LABELS)):
        for kind, content in (
            ("images-idx3", encode(change(images.astype(float)) if change else images, dtype)),
            ("labels-idx1", encode(labels, "u1" if dtype == "i1" else dtype)),
        ):
            path = folder / f"{prefix}{split}-{kind}-ubyte{gz}"
            path.write_bytes(gzip.compress(content) if gz else content)
    return folder


def refused(path: Path, split: str = "train") -> str:
    """Return the one line with which a data set is refused: file, expectation, remedy."""
    message = refusal("", lambda: load_images(path, split))
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
