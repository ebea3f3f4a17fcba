"""Data sets in IDX files of other types and names, and files of other kinds: read, or refused with the remedy."""

import errno
import gzip
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import history_of, refusal, train
from data_sets import IMAGES, TESTED, assert_read, fill, refused
from idx_files import encode

from fastae.datasets import described, read_idx
from fastae.errors import DataError

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
        content = encode(np.array([1.0, label, 2.0]), dtype)
    (tmp_path / "labels").write_bytes(content)
    if (dtype, label) == (">i4", 0.5):
        assert read_idx(tmp_path / "labels", 1).tolist() == [1, 0, 2]
    else:
        with pytest.raises(DataError, match="holds labels of type"):
            read_idx(tmp_path / "labels", 1)


def test_idx_of_colour_is_told_so(tmp_path: Path) -> None:
    (fill(tmp_path) / "train-images-idx3-ubyte").write_bytes(encode(np.zeros((2, 4, 4, 3))))
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
    "gzip twice": (gzip.compress(gzip.compress(encode(IMAGES))), "is a gzip file"),
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
