"""Read image data sets in MNIST's format, IDX: a big-endian header (magic, sizes) and then the values.

The sizes in a header are not trusted: memory is allocated only as the file turns out to contain the values.
"""

import gzip
import io
import itertools
import math
import os
import re
import struct
import zlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastae.datasets import files
from fastae.datasets.files import AGAIN, fault
from fastae.datasets.source import Source, listing
from fastae.datasets.values import as_images, as_labels
from fastae.errors import DataError, InputError

MNIST = Path(__file__).parent / "mnist"

_PREFIX = {"train": "train", "test": "t10k"}
_NAME = r"(?P<prefix>.*?)(?P<split>train|t10k|test)[-_.]?(?P<kind>images|labels)[-_.]idx\d-[a-z0-9]+(\.gz)?"
_KIND = {1: "labels", 3: "images"}  # by the number of dimensions
_TYPES = {  # by the third byte of the magic number
    0x08: ("unsigned bytes", "u1"),
    0x09: ("signed bytes", "i1"),
    0x0B: ("16-bit integers", ">i2"),
    0x0C: ("32-bit integers", ">i4"),
    0x0D: ("32-bit floats", ">f4"),
    0x0E: ("64-bit floats", ">f8"),
}


def read_idx(path: str | os.PathLike[str], ndim: int) -> NDArray[np.uint8]:
    """Read one IDX file.

    Parameters
    ----------
    path : path-like
        The file. If it is compressed with gzip, whatever its name, it is decompressed while it is read.
    ndim : int
        The number of dimensions that it must have: 1 (labels) or 3 (images).

    Returns
    -------
    ndarray of uint8, C-contiguous
        Shape (n,) for labels, (n, rows, cols) for images; no dimension is zero. Values of other types are converted.
        Integers and floats must be from 0 to 255, and floats are rounded; images of floats from 0 to 1 are multiplied
        by 255.

    Raises
    ------
    InputError
        If `ndim` is neither 1 nor 3.
    DataError
        If the file is missing, unreadable, of another format, truncated, longer than its header says, or without data;
        if its values are out of range; or if it is a .gz that decompresses to too many times its size.
    """
    if ndim not in _KIND:
        raise InputError(f"ndim {ndim!r} is unknown; expected 1 (labels) or 3 (images); choose one of them")
    return _open(Path(path), ndim, None)[0]


class Name(NamedTuple):
    """The parsed name of an IDX file: the whole name, its prefix, "train" or "test", and "images" or "labels"."""

    text: str
    prefix: str
    split: str
    kind: str


def named(text: str) -> Name | None:
    """Parse the name of a file; return None if it is not like that of an IDX file."""
    match = re.fullmatch(_NAME, text, re.IGNORECASE)
    if not match:
        return None
    split = "train" if match["split"].lower() == "train" else "test"
    return Name(text, match["prefix"], split, match["kind"].lower())


def find(folder: Path, listed: Sequence[str], split: str, prefix: str | None = None) -> Source | None:
    """Find one split among the names in a folder.

    Parameters
    ----------
    folder : Path
    listed : sequence of str
        The names in the folder.
    split : {"train", "test"}
    prefix : str, optional
        The prefix of the data set's names, if the folder may contain several data sets.

    Returns
    -------
    Source or None
        None if no name is like that of an IDX file.

    Raises
    ------
    DataError
        If a file is missing, or if the folder contains several data sets and no prefix is given.
    """
    names = [name for text in sorted(listed) if (name := named(text))]
    if not names:
        return None
    if prefix is None:
        prefix = _only_prefix(folder, names, split)

    def path_of(kind: str) -> Path:
        usual = usual_names(split, kind)
        own = [name.text for name in names if name[1:] == (prefix, split, kind)]
        if not own:
            wrong = f"lacks a file of {_PREFIX[split]}-{kind}"
            if others := [name.text for name in names if name.prefix]:
                wrong += f" (it holds {listing(others)})"
            expected = f"one of {', '.join(prefix + name for name in usual)}"
            raise fault(folder, wrong, expected, "add it or give another folder")

        def last(text: str) -> tuple[bool, bool, bool]:
            return not (folder / text).is_file(), text.endswith(".gz"), text not in usual

        return folder / min(own, key=last)  # prefer regular files, uncompressed ones, and MNIST's names

    images, labels = path_of("images"), path_of("labels")
    told = f"{images} and {labels.name}" if prefix else ""
    if "emnist" in prefix.lower() and split == "test":  # once, after both splits
        told += "; EMNIST's rows and columns are exchanged, and --transpose turns its images upright"
    return Source(partial(_load, images, labels), told)


def _only_prefix(folder: Path, names: Sequence[Name], split: str) -> str:
    """Return the prefix of the only data set in a folder; that of MNIST's names is empty."""
    prefixes = list(dict.fromkeys(name.prefix for name in names))
    if "" in prefixes:
        return ""

    def with_all_of(*splits: str) -> list[str]:
        needed = set(itertools.product(splits, ("images", "labels")))
        return [begin for begin in prefixes if needed <= {name[2:] for name in names if name.prefix == begin}]

    found = with_all_of("train", "test") or with_all_of(split) or prefixes
    if len(found) > 1:
        begin = ", ".join(map(repr, found))
        remedy = f"give the folder and how the names of one begin: {str(folder / found[0]).rstrip('-_.')}"
        raise fault(folder, f"holds several data sets, whose names begin with {begin}", "one", remedy)
    return found[0]


def usual_names(split: str, kind: str) -> list[str]:
    """Return the names of MNIST's file for a split and kind, in the order of preference."""
    suffix = "idx3-ubyte" if kind == "images" else "idx1-ubyte"
    return [f"{_PREFIX[split]}-{kind}{mark}{suffix}{gz}" for gz in ("", ".gz") for mark in ("-", ".")]


def _load(images_path: Path, labels_path: Path, limit: int | None) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Read images and labels; of the included MNIST, read the first ``limit`` images only."""
    images, count = _open(images_path, 3, limit if images_path.parent == MNIST else None)
    labels = read_idx(labels_path, ndim=1)
    if count != len(labels):
        raise fault(
            images_path,
            f"holds {count:,} images but {str(labels_path)!r} holds {len(labels):,} labels",
            "one label for each image",
            "take both files from the same data set",
        )
    return images, labels


def _open(path: Path, ndim: int, limit: int | None) -> tuple[NDArray[np.uint8], int]:
    """Return the first ``limit`` entries of an IDX file, or all, and how many there are."""
    try:
        # Before opening the file, because opening a pipe waits for its writer.
        if path.exists() and not path.is_file():
            raise fault(path, "is not a regular file", "an IDX file, plain or .gz", "remove it or give another path")
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            packed = file.read(2) == b"\x1f\x8b"  # browsers decompress some files and keep their names
            file.seek(0)
            stream: Any = gzip.GzipFile(fileobj=file) if packed else file
            raw, count = _read(path, stream, ndim, size, packed, limit)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise fault(path, f"is cut short or corrupt ({error})", "a complete gzip file", AGAIN) from error
    except OSError as error:
        reason = error.strerror or error
        raise fault(path, f"cannot be read ({reason})", "a readable IDX file", "check path and permissions") from error
    return (as_images if ndim == 3 else as_labels)(path, raw), count


def _read(
    path: Path, stream: io.BufferedIOBase, ndim: int, size: int, packed: bool, limit: int | None
) -> tuple[NDArray[Any], int]:
    """Read an open IDX file, or the contents of a .gz file of ``size`` bytes; ``path`` is for the messages."""
    header_size = 4 + 4 * ndim
    header = stream.read(header_size)
    if not header:
        raise fault(path, "is empty", f"an IDX file with a header of {header_size} bytes", AGAIN)
    # The magic number first: it identifies a short file of the other kind better than the length does.
    if len(header) >= 4 and (header[:2] != b"\0\0" or header[2] not in _TYPES or header[3] != ndim):
        raise _foreign(path, header + stream.read(files.HEAD), ndim)
    if len(header) < header_size:
        raise fault(path, f"ends after {len(header)} bytes", f"an IDX header of {header_size} bytes", AGAIN)

    dtype = np.dtype(_TYPES[header[2]][1])
    dims = struct.unpack_from(f">{ndim}I", header, 4)
    shape = " x ".join(map(str, dims))
    if 0 in dims:
        raise fault(path, f"holds no data (its header says {shape})", "sizes of at least 1", "give a file with data")
    promised = math.prod(dims) * dtype.itemsize  # Python's integers cannot overflow
    expected = f"{promised:,} as its header says ({shape})"
    if not packed and size - header_size != promised:
        raise fault(path, f"holds {size - header_size:,} bytes of data", expected, AGAIN)

    count = dims[0] if limit is None else min(limit, dims[0])
    wanted = promised // dims[0] * count
    data = files.read_exactly(path, stream, wanted, size if packed else None, expected)
    # One more byte shows whether the file is longer; at the end of a gzip file this verifies the checksum.
    if wanted == promised and stream.read(1):
        raise fault(path, f"holds more than {promised:,} bytes of data", expected, AGAIN)
    return np.frombuffer(data, dtype).reshape(count, *dims[1:]), dims[0]


def _foreign(path: Path, head: bytes, ndim: int) -> DataError:
    """Return the error for a file that is not the expected IDX file; it says what the file is, if that is known."""
    remedy = f"give an IDX file of {_KIND[ndim]} as unsigned bytes"
    if head[:2] == b"\0\0" and head[2] in _TYPES:
        remedy = f"it has {head[3]} dimensions, of {_TYPES[head[2]][0]}: {remedy}"
        if head[3] in _KIND:
            remedy = f"it looks like a file of {_KIND[head[3]]}: give the one of {_KIND[ndim]}"
        elif (head[3], ndim) == (4, 3):
            remedy = "it has 4 dimensions, as colour has: make the images grey, one value a pixel"
    else:
        files.refuse_foreign(path, head, f"an IDX file of {_KIND[ndim]}")
    magic = int.from_bytes(head[:4])
    return fault(path, f"starts with magic number {magic:#010x}", f"{0x0800 + ndim:#010x} ({_KIND[ndim]})", remedy)
