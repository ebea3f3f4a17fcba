"""Data sets as people have them: other types, names and formats are read, or refused with the remedy."""

import contextlib
import errno
import gzip
import io
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import history_of, refusal, train
from PIL import Image

from fastae.datasets import described, load_dataset, load_images, read_idx
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


# IDX files of other types.


@pytest.mark.parametrize("dtype", [">i2", ">i4", ">f4", ">f8"])
@pytest.mark.parametrize("gz", ["", ".gz"])
def test_idx_values_of_any_type_are_read_where_they_fit(dtype: str, gz: str, tmp_path: Path) -> None:
    assert_read(fill(tmp_path, dtype=dtype, gz=gz))


@pytest.mark.parametrize("dtype", [">f4", ">f8"])
def test_floats_from_0_to_1_are_shares_of_255(dtype: str, tmp_path: Path) -> None:
    assert_read(fill(tmp_path, dtype=dtype, change=lambda images: images / 255))


@pytest.mark.parametrize(
    ("dtype", "change", "held", "remedy"),
    [
        (">f4", lambda x: x / 127.5 - 1, "float32 values from -1 to 1", "undo the normalisation"),
        (">f8", lambda x: 4 * x, "float64 values from 0 to 1020", "scale them to 0 to 1"),
        (">f4", lambda x: np.where(x > 0, x, np.nan), "float32 values from nan", "np.nan_to_num"),
        (">i4", lambda x: 257 * x, "int32 values from 0 to 65535", "images // 257"),
        (">i2", lambda x: 2 * x - 5, "int16 values from -5 to 505", "scale them"),
        ("i1", lambda x: x - 128, "int8 values from -128 to 127", "images.view(np.uint8)"),
    ],
)
def test_values_that_do_not_fit_are_named_with_the_remedy(
    dtype: str, change: Any, held: str, remedy: str, tmp_path: Path
) -> None:
    message = refused(fill(tmp_path, dtype=dtype, change=change))
    assert f"train-images-idx3-ubyte' holds {held}" in message
    assert remedy in message


@pytest.mark.parametrize("dtype", [">i4", ">f8"])
@pytest.mark.parametrize("label", [-1, 256, 1e30, 0.5, np.nan])
def test_labels_are_whole_numbers(label: float, dtype: str, tmp_path: Path) -> None:
    with np.errstate(invalid="ignore"):
        content = idx(np.array([1.0, label, 2.0]), dtype)
    (tmp_path / "labels").write_bytes(content)
    if (dtype, label) == (">i4", 0.5):
        assert read_idx(tmp_path / "labels", 1).tolist() == [1, 0, 2]
    else:
        with pytest.raises(DataError, match="holds labels of type"):
            read_idx(tmp_path / "labels", 1)


def test_idx_of_colour_is_told_so(tmp_path: Path) -> None:
    (fill(tmp_path) / "train-images-idx3-ubyte").write_bytes(idx(np.zeros((2, 4, 4, 3))))
    assert "as colour has: make the images grey" in refused(tmp_path)


# What a file is instead.

FOREIGN: dict[str, tuple[bytes, str]] = {
    "a web page": (b"\n<!DOCTYPE html>\n<html lang=en>", "is a web page"),
    "a web page behind a comment": (b"<!-- saved from -->\n<HTML>", "MNIST is included: leave --data out"),
    "a packed web page": (gzip.compress(b"<html><body>404"), "is a web page"),
    "an answer in XML": (b'<?xml version="1.0"?><Error><Code>AccessDenied', "an XML answer of a server"),
    "words": (b"Not Found\n", "is text ('Not Found')"),
    "a table": ("label,σ\n5,0,0\n".encode(), "np.loadtxt"),
    "Git LFS": (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d", "git lfs pull"),
    "zip": (b"PK\x03\x04" + bytes(30), "is a zip archive"),
    "xz": (b"\xfd7zXZ\x00" + bytes(30), "unpack it"),
    "gzip twice": (gzip.compress(gzip.compress(idx(IMAGES))), "is a gzip file"),
    "MATLAB": (b"MATLAB 5.0 MAT-file, Platform: " + bytes(90), "scipy.io.loadmat"),
    "HDF5": (b"\x89HDF\r\n\x1a\n" + bytes(20), "h5py"),
    "a pickle": (pickle.dumps(IMAGES), "is a pickle"),
    "JPEG": (b"\xff\xd8\xff\xe0" + bytes(20), "is an image and no PNG"),
}  # fmt: skip


@pytest.mark.parametrize("gz", ["", ".gz"])
@pytest.mark.parametrize("what", FOREIGN)
def test_what_is_no_idx_file_is_named(what: str, gz: str, tmp_path: Path) -> None:
    content, words = FOREIGN[what]
    (fill(tmp_path, gz=gz) / f"train-images-idx3-ubyte{gz}").write_bytes(content)
    message = refused(tmp_path)
    assert words in message
    assert f"train-images-idx3-ubyte{gz}'" in message


@pytest.mark.parametrize("what", FOREIGN)
@pytest.mark.parametrize("name", ["x.npy", "x.npz", "x.csv", "x.png/0.png"])
def test_what_is_no_array_or_picture_is_named(what: str, name: str, tmp_path: Path) -> None:
    content, words = FOREIGN[what]
    if (what, name) == ("zip", "x.npz"):
        words = "is cut short or corrupt"
    if what in ("gzip twice", "a packed web page"):
        words = "is a gzip file"
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    if path.suffix == ".png":
        path.with_name("1.png").write_bytes(content)
        path = path.parent
    assert words in refused(path)


# IDX files of other names.


@pytest.mark.parametrize(
    ("prefix", "test", "gz"),
    [
        ("emnist-letters-", "test", ".gz"),
        ("emnist-byclass-", "test", ""),
        ("kmnist_", "t10k", ".gz"),
        ("My.", "t10k", ""),
    ],
)
def test_names_that_begin_otherwise_are_found_and_told(prefix: str, test: str, gz: str, tmp_path: Path) -> None:
    fill(tmp_path, prefix, test, gz)
    (tmp_path / "readme.txt").touch()
    assert_read(tmp_path)
    told = described(tmp_path)
    for name in ("train-images-idx3", "train-labels-idx1", f"{test}-images-idx3", f"{test}-labels-idx1"):
        assert f"{prefix}{name}-ubyte{gz}" in told
    assert ("--transpose" in told) == ("emnist" in prefix)


def test_of_several_data_sets_one_is_chosen(tmp_path: Path) -> None:
    for prefix in ("emnist-letters-", "emnist-digits-"):
        fill(tmp_path, prefix, "test", ".gz")
    message = refused(tmp_path)
    assert "'emnist-digits-', 'emnist-letters-'" in message
    assert message.endswith(f"{tmp_path / 'emnist-digits'}")
    assert_read(tmp_path / "emnist-digits")
    assert_read(tmp_path / "emnist-letters-test-labels-idx1-ubyte.gz")
    assert "cannot be listed" in refused(tmp_path / "emnist")
    (tmp_path / "emnist-digits-test-images-idx3-ubyte.gz").unlink()  # only the other one is whole
    assert "emnist-letters-test" in described(tmp_path)
    assert_read(fill(tmp_path))  # MNIST's own names come first
    assert described(tmp_path) == ""


def test_what_is_missing_is_told_with_what_is_there(tmp_path: Path) -> None:
    fill(tmp_path, "emnist-letters-")
    (tmp_path / "emnist-letters-train-labels-idx1-ubyte").unlink()
    message = refused(tmp_path)
    assert "lacks a file of train-labels (it holds emnist-letters-t10k-images-idx3-ubyte, " in message
    assert "expected one of emnist-letters-train-labels-idx1-ubyte, " in message


def test_a_folder_that_an_unpacker_left_is_passed_over(tmp_path: Path) -> None:
    fill(tmp_path)
    (tmp_path / "train-images-idx3-ubyte").rename(tmp_path / "train-images.idx3-ubyte")
    (tmp_path / "train-images-idx3-ubyte").mkdir()
    assert_read(tmp_path)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ((), "(it is empty)"),
        (("photo.JPG", "b.jpg"), "grey PNGs: Image.open"),
        (("MNIST/raw/train-images-idx3-ubyte",), "give DIR/MNIST/raw"),
        (("mnist_train.csv", "mnist_test.csv"), "(it holds mnist_test.csv, mnist_train.csv)"),
        (tuple(f"{i}.txt" for i in range(9)), "5.txt, 3 more)"),
    ],
)
def test_a_folder_of_nothing_that_is_read(files: tuple[str, ...], words: str, tmp_path: Path) -> None:
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    message = refused(tmp_path)
    assert words.replace("DIR", str(tmp_path)) in message
    assert "lacks a file of train-images" in message


def test_a_folder_in_it_that_may_not_be_listed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret").mkdir()

    def forbid(folder: Any) -> Any:
        if Path(folder).name == "secret":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
        return scandir(folder)

    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", forbid)  # chmod would not stop root
    assert f"{str(tmp_path / 'secret')!r} cannot be listed (Permission denied)" in refused(tmp_path)


# NumPy's files.

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
def test_npz_by_its_keys(keys: tuple[str, ...], save: Any, tmp_path: Path) -> None:
    others = {"val_images": IMAGES, "val_labels": LABELS, "mean": np.float64(0.5), "classes_names": np.arange(3)}
    save(tmp_path / "a.npz", **arrays(keys, lambda y: y[:, None].astype(np.int64)), **others)
    assert_read(tmp_path / "a.npz")
    assert_read(tmp_path)
    assert f"{keys[0]} and {keys[1]}" in described(tmp_path)


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_a_folder_of_arrays_by_their_names(suffix: str, tmp_path: Path) -> None:
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
def test_one_array_of_images_however_it_is_laid_out(laid: Callable[[np.ndarray], np.ndarray], tmp_path: Path) -> None:
    np.save(tmp_path / "images.npy", laid(IMAGES))
    assert_held_out(tmp_path / "images.npy")
    assert not load_images(tmp_path)[1].any()


def test_rows_of_pixels_of_square_images_and_black_and_white(tmp_path: Path) -> None:
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
def test_arrays_that_are_no_grey_images(what: str, tmp_path: Path) -> None:
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
def test_npz_that_does_not_say_what_is_what(held: dict[str, np.ndarray], words: str, tmp_path: Path) -> None:
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


# Pictures.


def draw(folder: Path, images: Any, labels: np.ndarray | None = None, **options: Any) -> Path:
    for i, image in enumerate(images):
        below = folder if labels is None else folder / "abcdefg"[labels[i]]
        below.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(below / f"{i:03}.png", **options)
    return folder


def test_pngs_in_one_folder(tmp_path: Path) -> None:
    assert_held_out(draw(tmp_path, IMAGES))
    (tmp_path / "notes.txt").touch()
    assert "25 PNGs" in described(tmp_path)


def test_pngs_in_folders_of_classes_and_splits(tmp_path: Path) -> None:
    """Classes have the same numbers in both splits, though the test lacks one."""
    for split, images, labels in (("training", IMAGES, LABELS), ("Testing", TESTED, np.maximum(TEST_LABELS, 1))):
        draw(tmp_path / split, images, labels)
    for split, images, labels in (("train", IMAGES, LABELS), ("test", TESTED, np.maximum(TEST_LABELS, 1))):
        order = np.argsort(labels, kind="stable")
        found, labelled = load_images(tmp_path, split)
        assert found.tolist() == images[order].tolist()
        assert labelled.tolist() == labels[order].tolist()
    assert len(load_images(tmp_path, limit=3)[0]) == 3


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("16 bits", lambda x: x.astype(np.uint16) * 257),
        ("grey in three channels", lambda x: np.repeat(x[..., None], 3, -1)),
        ("black and white", lambda x: x > 99),
    ],
)
def test_pngs_of_other_kinds_that_are_grey(kind: str, change: Callable[[Any], Any], tmp_path: Path) -> None:
    expected = 255 * (IMAGES > 99) if "white" in kind else IMAGES
    draw(tmp_path, map(change, IMAGES))
    assert load_images(tmp_path)[0].tolist() == np.delete(expected, [9, 19], 0).tolist()


def test_a_png_with_a_palette_of_greys(tmp_path: Path) -> None:
    for i, image in enumerate(IMAGES[:3]):
        Image.fromarray(image).convert("P").save(tmp_path / f"{i}.png")
    assert load_images(tmp_path)[0].tolist() == IMAGES[:2].tolist()


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (np.stack([IMAGES[0], IMAGES[0], IMAGES[1]], -1), "is in colour; expected a grey image; make it grey"),
        (np.stack([*[IMAGES[0]] * 3, IMAGES[1]], -1), "is partly transparent"),
        (IMAGES[0, :4], "is 5 x 4 pixels; expected 5 x 6 as 000.png"),
    ],
    ids=["colour", "transparent", "size"],
)
def test_the_png_that_does_not_fit_is_named(image: np.ndarray, words: str, tmp_path: Path) -> None:
    draw(tmp_path, IMAGES)
    Image.fromarray(np.ascontiguousarray(image)).save(tmp_path / "007x.png")
    message = refused(tmp_path)
    assert words in message
    assert "007x.png'" in message


def test_damaged_pngs_are_refused_in_one_line(tmp_path: Path) -> None:
    draw(tmp_path, IMAGES)
    path = tmp_path / "003.png"
    content = path.read_bytes()
    for length in range(0, len(content) - 24, 5):  # behind them are checksums and the end
        path.write_bytes(content[:length])
        assert "003.png'" in refused(tmp_path)
    draw(tmp_path / "one", IMAGES[:1])
    assert "at least two" in refused(tmp_path / "one")


# On the command line.


@pytest.mark.usefixtures("no_pictures")
def test_a_training_tells_what_it_has_found_and_turns_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill(tmp_path / "data", "emnist-letters-", "test", ".gz")
    assert train(tmp_path / "data", "--out", tmp_path / "turned", "--transpose", "--model", "conv") == 0
    told = capsys.readouterr().out
    assert told.startswith(f"data: {tmp_path}/data/emnist-letters-train-images-idx3-ubyte.gz and emnist-letters-train-")
    config = history_of(tmp_path / "turned")["config"]
    assert config["transpose"]
    np.savez(tmp_path / "turned.npz", x_train=IMAGES.swapaxes(1, 2), x_test=TESTED.swapaxes(1, 2))
    assert train(tmp_path / "turned.npz", "--out", tmp_path / "as saved", "--model", "conv") == 0
    one, other = (np.load(tmp_path / name / "model.npz") for name in ("turned", "as saved"))
    assert all((one[key] == other[key]).all() for key in one.files)
    np.savez(tmp_path / "dark.npz", x_train=IMAGES > 99, x_test=TESTED.clip(0, 1))
    np.savez(tmp_path / "dim.npz", x_train=IMAGES.clip(0, 1), x_test=TESTED.clip(0, 1))
    capsys.readouterr()
    for name, warned in (("dark", False), ("dim", True)):
        assert train(tmp_path / f"{name}.npz", "--out", tmp_path / name) == 0
        assert ("no value is above 1" in capsys.readouterr().out) == warned


@pytest.mark.parametrize("name", ["page.gz", "page.npz", "page.csv"])
def test_a_web_page_is_refused_with_status_2(
    name: str, tmp_path: Path, earlier: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).write_bytes(b"<!DOCTYPE html>")
    assert "is a web page" in refusal(capsys, earlier, tmp_path / name)
