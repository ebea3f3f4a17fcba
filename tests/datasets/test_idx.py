"""The reader of IDX files: every word that it says, in little memory, and its edges."""

import contextlib
import gzip
import os
import struct
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from idx_files import IMAGES, LABELS, fill, header, peak_memory, refusal

from fastae.datasets import files, idx, load_dataset
from fastae.errors import DataError

AGAIN = "download or copy the file again"
PIXELS = bytes(range(6))
SIX = header(1, 2, 3) + PIXELS
SIZES = "expected sizes of at least 1; give a file with data"
FAULTS = {
    "empty": (b"", 3, f"is empty; expected an IDX file with a header of 16 bytes; {AGAIN}"),
    "cut in the magic": (SIX[:3], 1, f"ends after 3 bytes; expected an IDX header of 8 bytes; {AGAIN}"),
    "cut in the sizes": (SIX[:15], 3, f"ends after 15 bytes; expected an IDX header of 16 bytes; {AGAIN}"),
    "other format": (
        b"\x89PNG\r\n\x1a\n" + PIXELS * 3,
        3,
        "is a PNG image; expected an IDX file of images; give a folder of PNG images, named .png",
    ),
    "nothing but a magic": (
        b"\x89\xff\xfe\xfd",
        3,
        "starts with magic number 0x89fffefd; expected 0x00000803 (images); give an IDX file of images as unsigned "
        "bytes",
    ),
    "unknown element type": (
        struct.pack(">4I", 0x0A03, 1, 2, 3) + PIXELS * 4,
        3,
        "starts with magic number 0x00000a03; expected 0x00000803 (images); give an IDX file of images as unsigned "
        "bytes",
    ),
    "little-endian": (
        struct.pack("<4I", 0x0803, 1, 2, 3) + PIXELS,
        3,
        "starts with magic number 0x03080000; expected 0x00000803 (images); give an IDX file of images as unsigned "
        "bytes",
    ),
    "labels": (
        header(1) + b"\0",
        3,
        "starts with magic number 0x00000801; expected 0x00000803 (images); it looks like a file of labels: give the "
        "one of images",
    ),
    "images": (
        SIX,
        1,
        "starts with magic number 0x00000803; expected 0x00000801 (labels); it looks like a file of images: give the "
        "one of labels",
    ),
    "no images": (header(0, 28, 28), 3, f"holds no data (its header says 0 x 28 x 28); {SIZES}"),
    "no rows": (header(5, 0, 28), 3, f"holds no data (its header says 5 x 0 x 28); {SIZES}"),
    "no columns": (header(5, 28, 0), 3, f"holds no data (its header says 5 x 28 x 0); {SIZES}"),
    "no labels": (header(0), 1, f"holds no data (its header says 0); {SIZES}"),
    "no pixels": (SIX[:16], 3, f"holds 0 bytes of data; expected 6 as its header says (1 x 2 x 3); {AGAIN}"),
    "short": (SIX[:-1], 3, f"holds 5 bytes of data; expected 6 as its header says (1 x 2 x 3); {AGAIN}"),
    "product of 2**64": (
        header(2**31, 2**31, 4),
        3,
        "holds 0 bytes of data; expected 18,446,744,073,709,551,616 as its header says (2147483648 x 2147483648 x 4); "
        f"{AGAIN}",
    ),
    "product that wraps to 6": (
        header(321_314, 884_639, 2_985_257_677) + PIXELS,
        3,
        "holds 6 bytes of data; expected 848,550,227,390,639,374,342 as its header says (321314 x 884639 x "
        f"2985257677); {AGAIN}",
    ),
}


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize(("content", "ndim", "words"), FAULTS.values(), ids=FAULTS)
def test_every_word_of_a_faulty_file_is_pinned(
    tmp_path: Path, content: bytes, ndim: int, words: str, suffix: str
) -> None:
    path = tmp_path / f"faulty{suffix}"
    path.write_bytes(gzip.compress(content) if suffix else content)
    assert refusal(path.name, lambda: idx.read_idx(path, ndim)) == f"{str(path)!r} {words}"


@pytest.mark.parametrize(("suffix", "held"), [("", "7 bytes"), (".gz", "more than 6 bytes")])
def test_a_file_that_is_too_long_is_refused(tmp_path: Path, suffix: str, held: str) -> None:
    path = tmp_path / f"long{suffix}"
    path.write_bytes(gzip.compress(SIX + b"1") if suffix else SIX + b"1")
    words = f"holds {held} of data; expected 6 as its header says (1 x 2 x 3); {AGAIN}"
    assert refusal(path.name, lambda: idx.read_idx(path, 3)) == f"{str(path)!r} {words}"


SOUND_GZIP = gzip.compress(SIX, mtime=0)
GZIP_FAULTS = {
    "no byte at all": (b"", "is empty"),
    "cut in gzip's header": (SOUND_GZIP[:5], "is cut short or corrupt"),
    "cut in the data": (SOUND_GZIP[:20], "is cut short or corrupt"),
    "cut in the trailer": (SOUND_GZIP[:-1], "is cut short or corrupt"),
    "wrong checksum": (SOUND_GZIP[:-8] + b"\0\0\0\0" + SOUND_GZIP[-4:], "is cut short or corrupt (CRC"),
    "invalid block": (SOUND_GZIP[:10] + b"\xff" * 20, "is cut short or corrupt (Error -3"),
    "something after it": (SOUND_GZIP + b"more", "is cut short or corrupt"),
}


@pytest.mark.parametrize(("content", "words"), GZIP_FAULTS.values(), ids=GZIP_FAULTS)
def test_a_faulty_gzip_file_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "faulty.gz"
    path.write_bytes(content)
    assert words in refusal(path.name, lambda: idx.read_idx(path, 3))


@pytest.mark.parametrize(("name", "content"), [(IMAGES, SOUND_GZIP), (f"{IMAGES}.gz", SIX)])
def test_what_a_file_holds_counts_and_not_its_suffix(name: str, content: bytes, tmp_path: Path) -> None:
    """Browsers unpack some files and keep their names."""
    (tmp_path / name).write_bytes(content)
    assert idx.read_idx(tmp_path / name, 3).tobytes() == PIXELS


@settings(deadline=None, max_examples=300)
@given(data=st.data())
def test_damaged_gzip_never_yields_other_data(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.gz"
    content = bytearray(SOUND_GZIP)
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    with contextlib.suppress(DataError):
        assert idx.read_idx(path, 3).tobytes() == PIXELS


# Headers that lie: refused in little memory


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("dims", [(2**20, 2**10, 2**10), (2**32 - 1,) * 3, (2**32 - 1,)])
def test_a_header_that_lies_allocates_nothing_of_its_size(tmp_path: Path, dims: tuple[int, ...], suffix: str) -> None:
    path = tmp_path / f"lying{suffix}"
    content = header(*dims) + PIXELS
    path.write_bytes(gzip.compress(content) if suffix else content)
    assert peak_memory(lambda: refusal(path.name, lambda: idx.read_idx(path, len(dims)))) < 1e6


def test_a_plain_file_is_refused_by_its_size_alone(tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    path.write_bytes(header(2**20, 2**10, 2**10))
    os.truncate(path, 16 + 2**26)
    assert peak_memory(lambda: refusal("sparse", lambda: idx.read_idx(path, 3))) < 1e6


def test_a_gzip_bomb_is_not_decompressed(tmp_path: Path) -> None:
    path = tmp_path / "bomb.gz"
    bomb = gzip.compress(header(1, 2, 3) + bytes(2**25))
    path.write_bytes(bomb[: len(bomb) // 2])  # who decompresses on to the cut reports the cut instead
    messages = []
    assert peak_memory(lambda: messages.append(refusal("bomb.gz", lambda: idx.read_idx(path, 3)))) < 1e6
    assert "holds more than 6 bytes of data; expected 6 as" in messages[0]


# Paths


def test_every_word_of_a_wrong_path_is_pinned(tmp_path: Path) -> None:
    def told(call: Callable[[], object]) -> str:
        return refusal("", call).replace(str(tmp_path), "DIR")

    names = f"{LABELS}, {LABELS.replace('-idx', '.idx')}, {LABELS}.gz, {LABELS.replace('-idx', '.idx')}.gz"
    remedy = "give the path of that folder, or none for the MNIST that ships with fastae"
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
    for images, labels in ((1, 2), (2, 1)):
        fill(tmp_path, np.ones((images, 2, 3), np.uint8), np.ones(labels, np.uint8))
        assert told(lambda: load_dataset(tmp_path)) == (
            f"'DIR/{IMAGES}' holds {images} images but 'DIR/{LABELS}' holds {labels} labels; expected one label for "
            "each image; take both files from the same data set"
        )
    (tmp_path / IMAGES).unlink()
    assert f"'DIR' lacks a file of train-images; expected one of {IMAGES}, " in told(lambda: load_dataset(tmp_path))


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
