"""The reader of IDX files: every word that it says, and its edges."""

import gzip
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from idx_files import IMAGES, LABELS, header, refusal

from fastae.datasets import files, idx, load_dataset

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
