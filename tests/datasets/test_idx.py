"""The reader of IDX files: every word that it says, and its edges."""

import gzip
import sys
from collections.abc import Callable
from pathlib import Path

import data_sets
import numpy as np
import pytest
from idx_files import IMAGES, LABELS, fill, header, peak_memory, refusal

from fastae.datasets import described, files, idx, load_dataset, load_images

AGAIN = "download or copy the file again"
SIX = header(1, 2, 3) + bytes(6)
ZIPPED = gzip.compress(SIX, mtime=0)
MESSAGES: dict[str, tuple[str, bytes, int, str]] = {
    "empty": ("f", b"", 3, f"is empty; expected an IDX file with a header of 16 bytes; {AGAIN}"),
    "cut in the header": ("f", SIX[:9], 3, f"ends after 9 bytes; expected an IDX header of 16 bytes; {AGAIN}"),
    "cut in the magic": ("f", SIX[:3], 1, f"ends after 3 bytes; expected an IDX header of 8 bytes; {AGAIN}"),
    "nothing but a magic": (
        "f",
        b"\x89\xff\xfe\xfd",
        3,
        "starts with magic number 0x89fffefd; expected 0x00000803 (images); give an IDX file of images as unsigned "
        "bytes",
    ),
    "labels": (
        "f",
        header(1) + b"\0",
        3,
        "starts with magic number 0x00000801; expected 0x00000803 (images); it looks like a file of labels: give the "
        "one of images",
    ),
    "gzip": (
        "f",
        ZIPPED,
        1,
        "starts with magic number 0x00000803; expected 0x00000801 (labels); it looks like a file of images: give the "
        "one of labels",
    ),
    "floats in a table": (
        "f",
        b"\0\0\x0d\x02" + bytes(16),
        3,
        "starts with magic number 0x00000d02; expected 0x00000803 (images); it has 2 dimensions, of 32-bit floats: "
        "give an IDX file of images as unsigned bytes",
    ),
    "colour": (
        "f",
        header(1, 2, 3, 3),
        3,
        "starts with magic number 0x00000804; expected 0x00000803 (images); it has 4 dimensions, as colour has: make "
        "the images grey, one value a pixel",
    ),
    "colour for labels": (
        "f",
        header(1, 2, 3, 3),
        1,
        "starts with magic number 0x00000804; expected 0x00000801 (labels); it has 4 dimensions, of unsigned bytes: "
        "give an IDX file of labels as unsigned bytes",
    ),
    "a web page": (
        "f",
        b"<html>",
        1,
        "is a web page; expected an IDX file of labels; MNIST's old address answers with one, and MNIST is included: "
        "leave --data out, or download the other data anew",
    ),
    "no data": (
        "f",
        header(0, 2, 3),
        3,
        "holds no data (its header says 0 x 2 x 3); expected sizes of at least 1; give a file with data",
    ),
    "short": ("f", SIX[:-1], 3, f"holds 5 bytes of data; expected 6 as its header says (1 x 2 x 3); {AGAIN}"),
    "short gzip": (
        "f.gz",
        gzip.compress(SIX[:-1]),
        3,
        f"holds 5 bytes of data; expected 6 as its header says (1 x 2 x 3); {AGAIN}",
    ),
    "long gzip": (
        "f.gz",
        gzip.compress(SIX + b"1"),
        3,
        f"holds more than 6 bytes of data; expected 6 as its header says (1 x 2 x 3); {AGAIN}",
    ),
}


@pytest.mark.parametrize(("name", "content", "ndim", "words"), MESSAGES.values(), ids=MESSAGES)
def test_every_word_of_a_faulty_file_is_pinned(
    tmp_path: Path, name: str, content: bytes, ndim: int, words: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert refusal(name, lambda: idx.read_idx(path, ndim)) == f"{str(path)!r} {words}"


def test_every_word_of_a_wrong_path_is_pinned(tmp_path: Path) -> None:
    def told(call: Callable[[], object]) -> str:
        return refusal("", call).replace(str(tmp_path), "DIR")

    names = f"{LABELS}, {LABELS.replace('-idx', '.idx')}, {LABELS}.gz, {LABELS.replace('-idx', '.idx')}.gz"
    remedy = "give the path of that folder, or none for the MNIST that ships with fastae"
    (tmp_path / "file").touch()
    assert told(lambda: idx.read_idx(tmp_path, 3)) == (
        "'DIR' is not a regular file; expected an IDX file, plain or .gz; remove it or give another path"
    )
    assert told(lambda: idx.read_idx(tmp_path / "no", 3)) == (
        "'DIR/no' cannot be read (No such file or directory); expected a readable IDX file; check path and permissions"
    )
    assert told(lambda: load_dataset(tmp_path / "no")) == (
        f"'DIR/no' cannot be listed (No such file or directory); expected a folder that holds {IMAGES}; {remedy}"
    )
    null = "embedded null byte" if sys.version_info < (3, 13) else "listdir: embedded null character in path"
    assert told(lambda: load_dataset("a\0b")) == (
        f"'a\\x00b' cannot be listed ({null}); expected a folder that holds {IMAGES}; {remedy}"
    )
    (tmp_path / IMAGES).write_bytes(SIX)
    assert told(lambda: load_dataset(tmp_path)) == (
        f"'DIR' lacks a file of train-labels; expected one of {names}; add it or give another folder"
    )
    (tmp_path / LABELS).write_bytes(header(2) + b"12")
    assert told(lambda: load_dataset(tmp_path)) == (
        f"'DIR/{IMAGES}' holds 1 images but 'DIR/{LABELS}' holds 2 labels; expected one label for each image; take "
        "both files from the same data set"
    )


def test_every_word_of_data_sets_with_other_names_is_pinned(tmp_path: Path) -> None:
    data_sets.fill(tmp_path, "EMNIST-b-", "test")
    assert described(tmp_path) == (
        f"{tmp_path}/EMNIST-b-train-images-idx3-ubyte and EMNIST-b-train-labels-idx1-ubyte; "
        f"{tmp_path}/EMNIST-b-test-images-idx3-ubyte and EMNIST-b-test-labels-idx1-ubyte; EMNIST's rows and columns "
        "are exchanged, and --transpose turns its images upright"
    )
    data_sets.fill(tmp_path, "a_")
    assert refusal("", lambda: load_dataset(tmp_path)) == (
        f"{str(tmp_path)!r} holds several data sets, whose names begin with 'EMNIST-b-', 'a_'; expected one; give the "
        f"folder and how the names of one begin: {tmp_path}/EMNIST-b"
    )
    for name in ("a_train-labels-idx1-ubyte", "EMNIST-b-train-labels-idx1-ubyte", "EMNIST-b-train-images-idx3-ubyte"):
        (tmp_path / name).unlink()
    (tmp_path / "a_t10k-images-idx3-ubyte").unlink()
    assert len(load_dataset(tmp_path, "test")[0]) == len(data_sets.TESTED)  # of the one with a whole test split
    for name in ("EMNIST-b-test-images-idx3-ubyte", "EMNIST-b-test-labels-idx1-ubyte"):
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


@pytest.mark.parametrize("times", [0, 2])
def test_a_gzip_file_may_become_so_large_and_no_larger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    """At most the size that any file may have, or so many times its own size if that is more."""
    path = tmp_path / "f.gz"
    path.write_bytes(gzip.compress(header(1, 20, 50) + bytes(1000)))
    size = path.stat().st_size
    most = max(999, times * size)
    monkeypatch.setattr(files, "HARMLESS", 1000)
    monkeypatch.setattr(files, "UNPACKED", times)
    assert idx.read_idx(path, 3).shape == (1, 20, 50)
    monkeypatch.setattr(files, "HARMLESS", 999)
    assert most < 1000
    assert refusal("f.gz", lambda: idx.read_idx(path, 3)) == (
        f"{str(path)!r} unpacks to more than {times} times its {size} bytes; expected images or labels; unpack it "
        "yourself if that is what it holds"
    )
    monkeypatch.setattr(files, "UNPACKED", 1000 // size + 1)
    assert idx.read_idx(path, 3).shape == (1, 20, 50)


def test_a_gzip_file_that_is_longer_in_its_second_chunk_is_refused(tmp_path: Path) -> None:
    path, n = tmp_path / "f.gz", files.CHUNK + 1000
    path.write_bytes(gzip.compress(header(n) + np.random.default_rng(0).bytes(n + 9), 1))
    assert f"holds more than {n:,} bytes of data" in refusal("f.gz", lambda: idx.read_idx(path, 1))


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
    assert "is cut short or corrupt (CRC" in refusal(IMAGES, lambda: load_images(tmp_path, limit=2))
