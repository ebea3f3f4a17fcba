"""The names of IDX files and of data sets, what else a magic number may say, and how many images are read."""

import gzip
import os
from pathlib import Path

import data_sets
import numpy as np
import pytest
from idx_files import IMAGES, fill, header, peak_memory, refusal

from fastae.datasets import described, load_dataset, load_images, read_idx

MAGIC = {
    "floats in a table": (
        b"\0\0\x0d\x02" + bytes(16),
        3,
        "starts with magic number 0x00000d02; expected 0x00000803 (images); it has 2 dimensions, of 32-bit floats: "
        "give an IDX file of images as unsigned bytes",
    ),
    "colour": (
        header(1, 2, 3, 3),
        3,
        "starts with magic number 0x00000804; expected 0x00000803 (images); it has 4 dimensions, as colour has: make "
        "the images grey, one value a pixel",
    ),
    "colour for labels": (
        header(1, 2, 3, 3),
        1,
        "starts with magic number 0x00000804; expected 0x00000801 (labels); it has 4 dimensions, of unsigned bytes: "
        "give an IDX file of labels as unsigned bytes",
    ),
    "a web page": (
        b"<html>",
        1,
        "is a web page; expected an IDX file of labels; MNIST's old address answers with one, and MNIST is included: "
        "leave --data out, or download the other data anew",
    ),
}


@pytest.mark.parametrize(("content", "ndim", "words"), MAGIC.values(), ids=MAGIC)
def test_every_word_of_another_magic_number_is_pinned(tmp_path: Path, content: bytes, ndim: int, words: str) -> None:
    (tmp_path / "f").write_bytes(content)
    assert refusal("f", lambda: read_idx(tmp_path / "f", ndim)) == f"{str(tmp_path / 'f')!r} {words}"


def test_of_a_large_file_of_another_format_only_the_beginning_is_read(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"no IDX")
    os.truncate(tmp_path / "f", 1 << 24)
    assert peak_memory(lambda: refusal("f", lambda: read_idx(tmp_path / "f", 3))) < 1e6


def test_every_word_of_data_sets_with_other_names_is_pinned(tmp_path: Path) -> None:
    data_sets.fill(tmp_path, "EMNIST-X-", "test")
    assert described(tmp_path) == (
        f"{tmp_path}/EMNIST-X-train-images-idx3-ubyte and EMNIST-X-train-labels-idx1-ubyte; "
        f"{tmp_path}/EMNIST-X-test-images-idx3-ubyte and EMNIST-X-test-labels-idx1-ubyte; EMNIST's rows and columns "
        "are exchanged, and --transpose turns its images upright"
    )
    data_sets.fill(tmp_path, "a_")
    assert refusal("", lambda: load_dataset(tmp_path)) == (
        f"{str(tmp_path)!r} holds several data sets, whose names begin with 'EMNIST-X-', 'a_'; expected one; give the "
        f"folder and how the names of one begin: {tmp_path}/EMNIST-X"
    )
    (tmp_path / "a_train-labels-idx1-ubyte").unlink()
    assert len(load_dataset(tmp_path, "test")[0]) == len(data_sets.TESTED)  # of the only one with both splits
    for name in ("EMNIST-X-train-labels-idx1-ubyte", "EMNIST-X-train-images-idx3-ubyte"):
        (tmp_path / name).unlink()
    (tmp_path / "a_t10k-images-idx3-ubyte").unlink()
    assert len(load_dataset(tmp_path, "test")[0]) == len(data_sets.TESTED)  # of the only one with a whole test split
    for name in ("EMNIST-X-test-images-idx3-ubyte", "EMNIST-X-test-labels-idx1-ubyte"):
        (tmp_path / name).unlink()
    assert refusal("", lambda: load_dataset(tmp_path)) == (
        f"{str(tmp_path)!r} lacks a file of train-labels (it holds a_t10k-labels-idx1-ubyte, "
        "a_train-images-idx3-ubyte); expected one of a_train-labels-idx1-ubyte, a_train-labels.idx1-ubyte, "
        "a_train-labels-idx1-ubyte.gz, a_train-labels.idx1-ubyte.gz; add it or give another folder"
    )


def test_of_several_names_plain_ones_come_first_and_then_mnists(tmp_path: Path) -> None:
    fill(tmp_path, np.full((1, 1, 1), 3, np.uint8), np.full(1, 4, np.uint8))
    for kind in ("images-idx3", "labels-idx1"):
        (tmp_path / f"train-{kind}-a").write_bytes(b"not read")  # which is sorted before -ubyte
    assert load_dataset(tmp_path)[0].tolist() == [[3]]
    for kind in ("images-idx3", "labels-idx1"):
        usual = tmp_path / f"train-{kind}-ubyte"
        usual.rename(tmp_path / f"TRAIN_{kind}-b".upper())
        (tmp_path / f"train-{kind}-a").unlink()
        usual.with_suffix(".gz").write_bytes(b"not read")
    assert load_dataset(tmp_path)[0].tolist() == [[3]]


def test_of_the_included_images_no_more_than_the_limit_are_read() -> None:
    images, labels = load_images(split="test")
    for limit in (1, 3, len(images) + 1):
        some, theirs = load_images(split="test", limit=limit)
        np.testing.assert_array_equal(some, images[:limit], strict=True)
        np.testing.assert_array_equal(theirs, labels[:limit], strict=True)
    assert peak_memory(lambda: load_images(split="test", limit=3)) < images.nbytes / 8


def test_other_images_are_read_to_their_checksum_whatever_the_limit(tmp_path: Path) -> None:
    fill(tmp_path, np.arange(6, dtype=np.uint8).reshape(3, 1, 2), np.arange(3, dtype=np.uint8))
    assert load_images(tmp_path, limit=2)[0].tolist() == [[[0, 1]], [[2, 3]]]
    packed = gzip.compress((tmp_path / IMAGES).read_bytes())
    (tmp_path / IMAGES).write_bytes(packed[:-8] + bytes(4) + packed[-4:])
    message = refusal(IMAGES, lambda: load_images(tmp_path, limit=2))
    assert "is cut short or corrupt (CRC" in message
    assert message.endswith("; expected a complete gzip file; download or copy the file again")
