"""Read image data sets in MNIST's format, IDX: a big-endian header (magic, sizes) and then one byte a value.

A header is only a claim. Nothing of a size that it promises is allocated before the file has been seen to hold it.
"""

import gzip
import io
import math
import os
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fastae.errors import DataError, InputError

MNIST = Path(__file__).parent / "mnist"

_PREFIX = {"train": "train", "test": "t10k"}
_MAGIC = {1: 0x0801, 3: 0x0803}  # 0x08: unsigned bytes; then the number of dimensions
_KIND = {0x0801: "labels", 0x0803: "images"}
_CHUNK = 1 << 18  # bytes a read: large enough to be fast, small enough not to matter when a header lies
_UNPACKED = 100  # bytes that one of a .gz may become: MNIST's become 5, and a bomb's 1,032
_HARMLESS = 1 << 24  # bytes that may come of any .gz: a few images that are all alike are no bomb
_AGAIN = "download or copy the file again"  # the remedy for a damaged file


def load_dataset(
    path: str | os.PathLike[str] | None = None, split: str = "train"
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Load one split of an image data set.

    Parameters
    ----------
    path : path-like, optional
        A folder of IDX files named as MNIST's are (``train-images-idx3-ubyte``, ``t10k-labels-idx1-ubyte``, ...; a dot
        before ``idx`` is accepted too), plain or with ``.gz``; where both exist, the plain file is read.
        None: the MNIST that ships with fastae.
    split : {"train", "test"}
        ``"train"``, or ``"test"`` for the ``t10k`` files.

    Returns
    -------
    images : ndarray of uint8, shape (n, rows * cols), C-contiguous
        One image a row, its pixels row by row; MNIST: (60000, 784) or (10000, 784).
    labels : ndarray of uint8, shape (n,)
        The class of each image.

    Raises
    ------
    InputError
        If `split` is neither ``"train"`` nor ``"test"``.
    DataError
        If a file is missing, unreadable or damaged, or the two files disagree on the number of images.

    See Also
    --------
    fastae.load_images : The same with the images' height and width.
    """
    images, labels = load_images(path, split)
    return images.reshape(len(images), -1), labels


def load_images(
    path: str | os.PathLike[str] | None = None, split: str = "train", limit: int | None = None
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Load one split of an image data set, with the images' height and width.

    Parameters
    ----------
    path : path-like, optional
    split : {"train", "test"}
        As for `fastae.load_dataset`.
    limit : int, optional
        Load at most so many images. Only of the MNIST that ships is no more than that unpacked; other files are read
        to their end, where their checksum is.

    Returns
    -------
    images : ndarray of uint8, shape (n, rows, cols), C-contiguous
        MNIST: (60000, 28, 28) or (10000, 28, 28).
    labels : ndarray of uint8, shape (n,)
        The class of each image.

    Raises
    ------
    InputError, DataError
        As from `fastae.load_dataset`.
    """
    if split not in list(_PREFIX):
        raise InputError(f"split {split!r} is unknown; expected 'train' or 'test'; choose one of them")
    folder = MNIST if path is None else Path(path)
    images_path = _find(folder, f"{_PREFIX[split]}-images", "idx3-ubyte")
    labels_path = _find(folder, f"{_PREFIX[split]}-labels", "idx1-ubyte")
    images, count = _open(images_path, 3, limit if path is None else None)
    labels = read_idx(labels_path, ndim=1)
    if count != len(labels):
        raise _fault(
            images_path,
            f"holds {count:,} images but {str(labels_path)!r} holds {len(labels):,} labels",
            "one label for each image",
            "take both files from the same data set",
        )
    return images[:limit], labels[:limit]


def read_idx(path: str | os.PathLike[str], ndim: int) -> NDArray[np.uint8]:
    """Read one IDX file of unsigned bytes.

    Parameters
    ----------
    path : path-like
        The file; one whose name ends in ``.gz`` is decompressed while it is read.
    ndim : int
        The number of dimensions it must have: 1 (labels) or 3 (images).

    Returns
    -------
    ndarray of uint8, C-contiguous
        Shape (n,) for labels, (n, rows, cols) for images; no dimension is zero.

    Raises
    ------
    InputError
        If `ndim` is neither 1 nor 3.
    DataError
        If the file is missing, unreadable, of another format, cut short, longer than its header says, or without data;
        or if it is a .gz that would fill the memory.
    """
    if ndim not in _MAGIC:
        raise InputError(f"ndim {ndim!r} is unknown; expected 1 (labels) or 3 (images); choose one of them")
    return _open(Path(path), ndim, None)[0]


def _open(path: Path, ndim: int, limit: int | None) -> tuple[NDArray[np.uint8], int]:
    """Return the first ``limit`` entries of an IDX file, or all, and how many there are."""
    zipped = path.suffix == ".gz"
    try:
        # Asked before the file is opened, because opening a pipe waits for its writer.
        if path.exists() and not path.is_file():
            raise _fault(path, "is not a regular file", "an IDX file, plain or .gz", "remove it or give another path")
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            return _read(path, gzip.GzipFile(fileobj=file) if zipped else file, ndim, size, zipped, limit)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise _fault(path, f"is cut short or corrupt ({error})", "a complete gzip file", _AGAIN) from error
    except OSError as error:
        reason = error.strerror or error
        raise _fault(path, f"cannot be read ({reason})", "a readable IDX file", "check path and permissions") from error


def _read(
    path: Path, stream: io.BufferedIOBase, ndim: int, size: int, zipped: bool, limit: int | None
) -> tuple[NDArray[np.uint8], int]:
    """Read an open IDX file, or what a .gz of `size` bytes becomes; `path` is for the messages."""
    header_size = 4 + 4 * ndim
    header = stream.read(header_size)
    if not header:
        raise _fault(path, "is empty", f"an IDX file with a header of {header_size} bytes", _AGAIN)
    # The magic first: a short file of the other kind is better told apart by it than by its length.
    if len(header) >= 4:
        _check_magic(path, header[:4], _MAGIC[ndim])
    if len(header) < header_size:
        raise _fault(path, f"ends after {len(header)} bytes", f"an IDX header of {header_size} bytes", _AGAIN)

    dims = struct.unpack_from(f">{ndim}I", header, 4)
    shape = " x ".join(map(str, dims))
    if 0 in dims:
        raise _fault(path, f"holds no data (its header says {shape})", "sizes of at least 1", "give a file with data")
    promised = math.prod(dims)  # of Python's integers: it cannot overflow
    expected = f"{promised:,} as its header says ({shape})"
    if not zipped and size - header_size != promised:
        raise _fault(path, f"holds {size - header_size:,} bytes of data", expected, _AGAIN)

    count = dims[0] if limit is None else min(limit, dims[0])
    wanted = promised // dims[0] * count
    data = bytearray()  # grows with what the file holds, and becomes the array's memory without a copy
    while len(data) < wanted and (chunk := stream.read(min(_CHUNK, wanted - len(data)))):
        data += chunk
        if zipped and len(data) > max(_HARMLESS, _UNPACKED * size):
            wrong = f"unpacks to more than {_UNPACKED} times its {size:,} bytes"
            raise _fault(path, wrong, "images or labels", "unpack it yourself if that is what it holds")
    if len(data) < wanted:
        raise _fault(path, f"holds {len(data):,} bytes of data", expected, _AGAIN)
    # One byte more tells a longer file; at the end of a gzip file it also has the checksum verified.
    if wanted == promised and stream.read(1):
        raise _fault(path, f"holds more than {promised:,} bytes of data", expected, _AGAIN)
    return np.frombuffer(data, np.uint8).reshape(count, *dims[1:]), dims[0]


def _check_magic(path: Path, found: bytes, expected: int) -> None:
    """Raise DataError unless `found` is the magic number `expected`, with a guess at what the file is instead."""
    magic = int.from_bytes(found)
    if magic == expected:
        return
    remedy = f"give an IDX file of {_KIND[expected]} as unsigned bytes"
    if magic in _KIND:
        remedy = f"it looks like a file of {_KIND[magic]}: give the one of {_KIND[expected]}"
    elif found[:2] == b"\x1f\x8b":
        remedy = "it looks like a gzip file: add .gz to its name"
    raise _fault(path, f"starts with magic number {magic:#010x}", f"{expected:#010x} ({_KIND[expected]})", remedy)


def _find(folder: Path, stem: str, suffix: str) -> Path:
    """Return the path of the first of a file's accepted names that `folder` lists; plain names come first."""
    names = [f"{stem}{mark}{suffix}{gz}" for gz in ("", ".gz") for mark in ("-", ".")]
    try:
        listed = os.listdir(folder)
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        remedy = "give the path of that folder, or none for the MNIST that ships with fastae"
        raise _fault(folder, f"cannot be listed ({reason})", f"a folder that holds {names[0]}", remedy) from error
    for name in names:
        if name in listed:
            return folder / name
    raise _fault(folder, f"lacks a file of {stem}", f"one of {', '.join(names)}", "add it or give another folder")


def _fault(path: Path, wrong: str, expected: str, remedy: str) -> DataError:
    # repr, because a name may hold a line break and the message must stay one line
    return DataError(f"{str(path)!r} {wrong}; expected {expected}; {remedy}")
