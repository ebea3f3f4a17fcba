"""Data sets in NumPy's files: found by their keys or names, or refused with the remedy."""

import contextlib
import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data_sets import IMAGES, LABELS, TEST_LABELS, TESTED, assert_held_out, assert_read, refused

from fastae.datasets import described, load_images
from fastae.errors import DataError

KEYS: list[tuple[str, ...]] = [
    ("x_train", "y_train", "x_test", "y_test"),
    ("train_images", "train_labels", "test_images", "test_labels"),
    ("trainX", "trainY", "testX", "testY"),
    ("train", "train_label", "test", "test_label"),
    ("training-imgs", "training-targets", "t10k-imgs", "t10k-targets"),
]


def arrays(keys: tuple[str, ...], labels: Callable[[np.ndarray], np.ndarray] = lambda y: y) -> dict[str, np.ndarray]:
    return dict(zip(keys, (IMAGES, labels(LABELS), TESTED, labels(TEST_LABELS))))


@pytest.mark.parametrize("keys", KEYS, ids=" ".join)
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_is_read_by_its_keys(keys: tuple[str, ...], save: Any, tmp_path: Path) -> None:
    others = {"val_images": IMAGES, "val_labels": LABELS, "mean": np.float64(0.5), "classes_names": np.arange(3)}
    save(tmp_path / "a.npz", **arrays(keys, lambda y: y[:, None].astype(np.int64)), **others)
    assert_read(tmp_path / "a.npz")
    assert_read(tmp_path)
    assert f"{keys[0]} and {keys[1]}" in described(tmp_path)


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_a_folder_of_arrays_is_read_by_their_names(suffix: str, tmp_path: Path) -> None:
    for name, array in arrays(
        ("kmnist-train-imgs", "kmnist-train-labels", "kmnist-test-imgs", "kmnist-test-labels")
    ).items():
        (np.save if suffix == ".npy" else np.savez_compressed)(tmp_path / f"{name}{suffix}", array)
    assert_read(tmp_path)


@pytest.mark.parametrize(
    "laid",
    [
        lambda x: x,
        lambda x: x[..., None],
        lambda x: x[:, None],
        np.asfortranarray,
        lambda x: x.astype(">f4"),
        lambda x: x / 255,
        lambda x: (x / 255).astype(np.float32) * 255,
        lambda x: x.astype(np.int64),
    ],
    ids=["plain", "channel last", "channel first", "Fortran", "floats", "shares", "rounded", "whole"],
)
def test_one_array_of_images_is_read_however_it_is_laid_out(
    laid: Callable[[np.ndarray], np.ndarray], tmp_path: Path
) -> None:
    np.save(tmp_path / "images.npy", laid(IMAGES))
    assert_held_out(tmp_path / "images.npy")
    assert not load_images(tmp_path)[1].any()


def test_rows_of_pixels_of_square_images_are_read_and_black_and_white(tmp_path: Path) -> None:
    np.save(tmp_path / "images.npy", IMAGES[:, :5].reshape(-1, 25))
    assert load_images(tmp_path)[0].tolist() == np.delete(IMAGES[:, :5], [9, 19], 0).tolist()
    np.savez(tmp_path / "images.npz", x_train=IMAGES > 99, x_test=TESTED > 99)
    assert load_images(tmp_path / "images.npz", "test")[0].tolist() == (255 * (TESTED > 99)).tolist()


WRONG: dict[str, tuple[np.ndarray, str]] = {
    "colour": (np.zeros((9, 4, 4, 3), np.uint8), "images.mean(axis=3)"),
    "colour first": (np.zeros((9, 3, 4, 4), np.uint8), "images.mean(axis=1)"),
    "no square": (np.zeros((9, 12), np.uint8), "reshape them"),
    "one row": (np.zeros(9, np.uint8), "holds no images (it, 9)"),
    "a number": (np.zeros((), np.uint8), "holds no images (it, one number)"),
    "none": (np.zeros((0, 4, 4), np.uint8), "holds no data"),
    "last axis": (np.zeros((4, 4, 40), np.uint8), "np.moveaxis(images, -1, 0)"),
    "complex": (np.zeros((9, 4, 4), complex), "values of type complex128"),
    "words": (np.full((9, 4, 4), "a"), "values of type <U1"),
    "16 bits": (np.full((9, 4, 4), 60000, np.uint16), "images // 257"),
    "12 bits": (np.full((9, 4, 4), 4095, np.uint16), "scale them"),
    "normalised": (np.linspace(-0.42, 2.8, 144).reshape(9, 4, 4), "undo the normalisation"),
    "one image": (np.zeros((1, 4, 4), np.uint8), "at least two"),
    "infinite": (np.full((9, 4, 4), np.inf), "np.nan_to_num"),
}


@pytest.mark.parametrize("what", WRONG)
def test_arrays_that_are_no_grey_images_are_refused(what: str, tmp_path: Path) -> None:
    array, words = WRONG[what]
    np.save(tmp_path / "it.npy", array)
    assert words in refused(tmp_path / "it.npy")


@pytest.mark.parametrize(
    ("held", "words"),
    [
        ({"a": IMAGES, "b": IMAGES}, "holds the arrays a, b"),
        ({"x_train": IMAGES, "images_train": IMAGES, "x_test": TESTED}, "names that say which they are"),
        ({"y": LABELS}, "holds the arrays y"),
        ({}, "holds no arrays"),
        ({"x": IMAGES, "y": LABELS[:-1]}, "holds 25 images (x) but 24 labels (y)"),
        ({"x": IMAGES, "y": np.eye(25)}, "labels.argmax(axis=1)"),
        ({"x": IMAGES, "y": np.full(25, "cat")}, "np.unique(labels, return_inverse=True)"),
    ],
)
def test_npz_that_does_not_say_what_is_what_is_refused(held: dict[str, np.ndarray], words: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **held)
    assert words in refused(tmp_path / "a.npz")


def test_objects_are_not_executed(tmp_path: Path) -> None:
    ragged = np.array([IMAGES[0], IMAGES[0, :2]], object)
    np.save(tmp_path / "a.npy", ragged, allow_pickle=True)
    np.savez(tmp_path / "a.npz", allow_pickle=True, x=ragged)
    for name in ("a.npy", "a.npz"):
        assert "holds Python objects; expected numbers" in refused(tmp_path / name)


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_damaged_files_of_numpys_are_refused_in_one_line(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    np.save(path, IMAGES) if suffix == ".npy" else np.savez_compressed(path, x=IMAGES)
    content = path.read_bytes()
    for length in range(0, len(content), 29):
        path.write_bytes(content[:length])
        refused(path)
    for at in range(0, min(200, len(content)), 7):
        path.write_bytes(content[:at] + bytes([content[at] ^ 0x55]) + content[at + 1 :])
        with contextlib.suppress(DataError):
            load_images(path)


def test_a_header_that_lies_and_a_bomb_fill_no_memory(tmp_path: Path) -> None:
    part = io.BytesIO()
    np.lib.format.write_array_header_1_0(part, {"descr": "|u1", "fortran_order": False, "shape": (10**6, 10**3, 10**3)})
    (tmp_path / "a.npy").write_bytes(part.getvalue() + bytes(9))
    assert "expected 1,000,000,000,000 as its header says" in refused(tmp_path / "a.npy")
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        header = {"descr": "|u1", "fortran_order": False, "shape": (20, 1000, 1000)}
        np.lib.format.write_array_header_1_0(part := io.BytesIO(), header)
        archive.writestr("x.npy", part.getvalue() + bytes(20_000_000))
    assert "unpacks to more than 100 times" in refused(tmp_path / "a.npz")
