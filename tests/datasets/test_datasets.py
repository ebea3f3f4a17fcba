"""Data sets: what is read is what was written, and every faulty file is refused in one line and little memory."""

import errno
import gzip
import hashlib
import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from idx_files import IMAGES, LABELS, encode, fill, header, peak_memory, refusal

from fastae.datasets import files, idx, load_dataset, load_images, read_idx
from fastae.errors import InputError

SHA256 = {
    "train": (
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    ),
    "test": (
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
}
uint8_arrays = st.sampled_from([1, 3]).flatmap(
    lambda ndim: hnp.arrays(np.uint8, hnp.array_shapes(min_dims=ndim, max_dims=ndim, min_side=1, max_side=9))
)

# What is shipped


@pytest.mark.parametrize(("split", "count"), [("train", 60_000), ("test", 10_000)])
def test_shipped_mnist_is_the_published_one(split: str, count: int) -> None:
    images, labels = load_dataset(split=split)
    assert images.shape == (count, 784)
    assert labels.shape == (count,)
    assert set(labels) == set(range(10))
    for array, dims, expected in zip((images, labels), ((count, 28, 28), (count,)), SHA256[split], strict=True):
        assert type(array) is np.ndarray
        assert array.dtype == np.uint8
        assert array.flags.c_contiguous
        assert hashlib.sha256(header(*dims) + array.tobytes()).hexdigest() == expected


def test_shipped_mnist_carries_its_attribution() -> None:
    text = (idx.MNIST / "ATTRIBUTION.md").read_text(encoding="utf-8")
    assert "Yann LeCun, Corinna Cortes and Christopher J. C. Burges" in text
    assert "CC BY-SA 3.0" in text


def test_loading_takes_little_more_memory_than_the_images() -> None:
    assert peak_memory(load_dataset) < 1.5 * 60_000 * 784


# What is written is read back


@settings(deadline=None)
@given(array=uint8_arrays, suffix=st.sampled_from(["", ".gz"]))
def test_what_is_written_is_read_back(tmp_path_factory: pytest.TempPathFactory, array: np.ndarray, suffix: str) -> None:
    path = tmp_path_factory.getbasetemp() / f"round-trip{suffix}"
    content = encode(array)
    path.write_bytes(gzip.compress(content) if suffix else content)
    found = read_idx(path, array.ndim)
    assert found.dtype == np.uint8
    assert found.flags.c_contiguous
    np.testing.assert_array_equal(found, array, strict=True)


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_more_than_one_chunk_is_read_back(tmp_path: Path, suffix: str) -> None:
    array = np.random.default_rng(0).integers(0, 256, (3, 500, 401), np.uint8)
    assert array.size > 2 * files.CHUNK
    path = tmp_path / f"images{suffix}"
    path.write_bytes(gzip.compress(encode(array), 1) if suffix else encode(array))
    np.testing.assert_array_equal(read_idx(path, 3), array, strict=True)


@pytest.mark.parametrize("gz", ["", ".gz"])
@pytest.mark.parametrize("mark", ["-", "."])
@pytest.mark.parametrize(("split", "prefix"), [("train", "train"), ("test", "t10k")])
def test_a_folder_is_read_by_any_accepted_names(tmp_path: Path, split: str, prefix: str, mark: str, gz: str) -> None:
    images = np.arange(2 * 3 * 5, dtype=np.uint8).reshape(2, 3, 5)
    labels = np.array([7, 255], np.uint8)
    pack = gzip.compress if gz else bytes
    (tmp_path / f"{prefix}-images{mark}idx3-ubyte{gz}").write_bytes(pack(encode(images)))
    (tmp_path / f"{prefix}-labels{mark}idx1-ubyte{gz}").write_bytes(pack(encode(labels)))
    for path in (tmp_path, str(tmp_path)):
        found_images, found_labels = load_dataset(path, split)
        np.testing.assert_array_equal(found_images, images.reshape(2, 15), strict=True)
        np.testing.assert_array_equal(found_labels, labels, strict=True)


def test_images_are_read_with_their_height_and_width(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (5, 3, 7)).astype(np.uint8)
    fill(tmp_path, images, np.arange(5, dtype=np.uint8))
    found, labels = load_images(tmp_path)
    flat, same = load_dataset(tmp_path)
    assert found.shape == (5, 3, 7)
    assert np.array_equal(found, images)
    assert np.array_equal(flat, images.reshape(5, 21))
    assert labels.tolist() == same.tolist() == [0, 1, 2, 3, 4]


def test_a_plain_file_wins_over_gzip(tmp_path: Path) -> None:
    fill(tmp_path, np.full((1, 1, 1), 3, np.uint8), np.full(1, 4, np.uint8))
    for name in (IMAGES, LABELS, IMAGES.replace("-idx", ".idx"), LABELS.replace("-idx", ".idx")):
        (tmp_path / f"{name}.gz").write_bytes(b"not read")
    images, labels = load_dataset(tmp_path)
    assert images.tolist() == [[3]]
    assert labels.tolist() == [4]


# Faults of files and folders


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = os.open(path, os.O_RDWR)  # without it a reader would hang here and not fail
    try:
        os.write(writer, header(1) + b"\0")
        assert "is not a regular file" in refusal("pipe", lambda: read_idx(path, 1))
    finally:
        os.close(writer)


@pytest.mark.parametrize("name", [IMAGES, f"{IMAGES}.gz"])
def test_a_folder_in_place_of_a_file_is_refused(tmp_path: Path, name: str) -> None:
    fill(tmp_path, np.ones((2, 1, 1), np.uint8), np.ones(2, np.uint8))
    (tmp_path / IMAGES).unlink()
    (tmp_path / name).mkdir()
    assert "is not a regular file" in refusal(name, lambda: load_dataset(tmp_path))


def test_a_file_that_may_not_be_opened_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbid(self: Path, mode: str) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))

    monkeypatch.setattr(Path, "open", forbid)  # chmod would not stop root
    message = refusal("secret", lambda: read_idx(tmp_path / "secret", 3))
    assert f"cannot be read ({os.strerror(errno.EACCES)})" in message


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_file_that_fails_while_it_is_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    class Failing(io.FileIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    path, content = tmp_path / f"failing{suffix}", header(1) + b"\0"
    path.write_bytes(gzip.compress(content) if suffix else content)
    monkeypatch.setattr(Path, "open", lambda self, mode: Failing(self, mode))
    message = refusal(path.name, lambda: read_idx(path, 1))
    assert f"cannot be read ({os.strerror(errno.EIO)})" in message


def test_a_message_stays_one_line_when_the_path_does_not() -> None:
    assert "cannot be listed" in refusal(r"two\nlines", lambda: load_dataset("two\nlines"))


# Arguments


@pytest.mark.parametrize("split", ["", "Train", "t10k", None, ["train"]])
def test_an_unknown_split_is_refused(split: Any) -> None:
    with pytest.raises(InputError, match="expected 'train' or 'test'"):
        load_dataset(split=split)


@pytest.mark.parametrize("ndim", [-1, 0, 2, 4])
def test_an_unknown_number_of_dimensions_is_refused(ndim: int, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected 1"):
        read_idx(tmp_path / "any", ndim)
