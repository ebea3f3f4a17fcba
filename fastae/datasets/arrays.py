"""Read images from NumPy's files: an ``.npz``, an ``.npy``, or a folder of several.

The name of an array determines its role: ``x_train``, ``y_train``, ``x_test``, ``y_test``, or names like
``train_images`` and ``test_labels``. The name is the key in an ``.npz``, else that of the file. If no name contains
train or test, every tenth image becomes a test image. Without labels all labels are 0.
"""

import math
import re
import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastae.datasets import files
from fastae.datasets.files import AGAIN, fault
from fastae.datasets.source import Loaded, Source, listing, part
from fastae.datasets.values import as_images, as_labels
from fastae.errors import DataError

KEYS = "x_train, y_train, x_test and y_test"
_SPLITS = {"train": r"train(ing)?", "test": r"test(ing)?|t10k", "": r"(?<![a-z])val(id(ation)?)?(?![a-z])"}
_LABELS = r"y|labels?|lbls?|targets?|class(es)?"
_IMAGES = r"x|images?|imgs?|digits?|pixels?|inputs?|data|arr"


class Member(NamedTuple):
    """One array: its name, its file, and, in an ``.npz``, its key."""

    name: str
    path: Path
    key: str | None  # in an .npz

    @property
    def split(self) -> str | None:
        """Return "train" or "test"; "" for another split, or None if the name has no split."""
        return next((split for split, words in _SPLITS.items() if re.search(words, self.name.lower())), None)

    @property
    def kind(self) -> str:
        """Return "images" or "labels"; "" if the name has neither."""
        rest = re.sub("|".join(_SPLITS.values()), "", self.name.lower())
        words = [word for word in re.split("[^a-z]+", rest) if word]
        if any(re.fullmatch(_LABELS, word) for word in words):
            return "labels"
        return "images" if not words or any(re.fullmatch(_IMAGES, word) for word in words) else ""

    def read(self) -> NDArray[Any]:
        """Return the array; raises `DataError`."""
        with readable(self.path):
            if self.key is None:
                with self.path.open("rb") as file:
                    return _array(self.path, file, self.path.stat().st_size, None)
            with zipfile.ZipFile(self.path) as archive, archive.open(f"{self.key}.npy") as stream:
                entry = archive.getinfo(f"{self.key}.npy")
                return _array(self.path, stream, entry.file_size, entry.compress_size, f"its array {self.key} ")


def find(folder: Path, listed: Sequence[str], split: str) -> Source | None:
    """Find one split among the arrays of a folder; return None if the folder has no NumPy files."""
    names = sorted(name for name in listed if name.endswith((".npy", ".npz")) and (folder / name).is_file())
    if not names:
        return None
    if names[1:]:
        return _choose(folder, [_only(folder / name) for name in names], split)
    return find_in(folder / names[0], split)


def find_in(path: Path, split: str) -> Source:
    """Find one split in a NumPy file; raises `DataError`."""
    return _choose(path, _members(path), split)


def _members(path: Path) -> list[Member]:
    """Return the arrays of a file."""
    zipped = path.suffix == ".npz"
    expected = f"a {path.suffix} of NumPy's"
    head = files.head_of(path, expected)
    if not head.startswith(b"PK" if zipped else b"\x93NUMPY"):
        files.refuse_foreign(path, head, expected)
        raise fault(path, f"begins with {head[:4]!r}", expected, AGAIN)
    if not zipped:
        return [Member(path.stem, path, None)]
    with readable(path), zipfile.ZipFile(path) as archive:
        keys = [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
    if not keys:
        raise fault(path, "holds no arrays", f"an .npz with {KEYS}", "save them with np.savez")
    return [Member(key, path, key) for key in keys]


def _only(path: Path) -> Member:
    """Return the only array of one of several files, with the file's name as its name."""
    members = _members(path)
    if len(members) > 1:
        keys = listing([member.name for member in members])
        remedy = "give the path of one file, or leave one array in each"
        raise fault(path, f"holds the arrays {keys} and is one of several files", "one array in each", remedy)
    return members[0]._replace(name=path.stem)


def _choose(path: Path, members: Sequence[Member], split: str) -> Source:
    """Choose the images and labels of a split by the arrays' names."""
    have = [part for part in ("train", "test") if any(m.split == part and m.kind != "labels" for m in members)]
    whole = len(have) < 2
    wanted = split if not whole else have[0] if have else None
    own = [member for member in members if member.split == wanted]
    labels = [member for member in own if member.kind == "labels"]
    images = [member for member in own if member.kind == "images"] or [m for m in own if m.kind == ""]
    if len(images) != 1 or len(labels) > 1:
        wrong = f"holds the arrays {listing([member.name for member in members])}"
        raise fault(path, wrong, f"names that say which they are: {KEYS}, or images alone", "rename them")
    names = " and ".join(member.name for member in [*images, *labels])
    told = f"{path}: {names}" + (", of which every tenth image is kept for the test" if whole else "")
    return Source(partial(_load, images[0], labels[0] if labels else None, split, whole), told)


def _load(images: Member, labels: Member | None, split: str, whole: bool, limit: int | None) -> Loaded:
    """Read the chosen arrays."""
    pixels = images.read()
    if pixels.ndim == 3 and 1 < pixels.shape[0] == pixels.shape[1] <= pixels.shape[2] // 10:  # MATLAB's order
        shape = " x ".join(map(str, pixels.shape))
        remedy = "np.moveaxis(images, -1, 0), or if they are along the first already images[:, None], with a channel"
        raise fault(images.path, f"has its images along the last axis ({shape})", "along the first", remedy)
    found = as_images(images.path, pixels, images.name)
    classes = np.zeros(len(found), np.uint8)
    if labels is not None:
        classes = as_labels(labels.path, labels.read(), labels.name)
        if len(classes) != len(found):
            wrong = f"holds {len(found):,} images ({images.name}) but {len(classes):,} labels ({labels.name})"
            raise fault(images.path, wrong, "one label for each image", "save both anew")
    if whole and len(found) < 2:
        raise fault(images.path, "holds one image", "at least two, of which one is kept for the test", "add some")
    own = part(len(found), split, whole)
    return (found, classes) if len(own) == len(found) else (found[own], classes[own])


def _array(path: Path, stream: Any, size: int, packed: int | None, which: str = "") -> NDArray[Any]:
    """Read an .npy file of ``size`` bytes; raises `DataError` if its header promises another size."""
    version = np.lib.format.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"{which}version {version}")
    read_header = getattr(np.lib.format, f"read_array_header_{version[0]}_0")
    shape, fortran, dtype = read_header(stream)
    if dtype.hasobject:
        raise fault(path, f"{which}holds Python objects", "numbers", "convert them: np.stack(list(images))")
    promised = math.prod(shape) * dtype.itemsize
    expected = f"{promised:,} as its header says ({' x '.join(map(str, shape))})"
    if size - stream.tell() != promised:
        raise fault(path, f"{which}holds {size - stream.tell():,} bytes of data", expected, AGAIN)
    data = files.read_exactly(path, stream, promised, packed, expected)
    stream.read(1)  # reaching the end verifies the checksum of an .npz
    return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Convert the errors of reading a file into a `DataError` of one line."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise fault(path, f"cannot be read ({reason})", "a readable file", "check path and permissions") from error
    except DataError:  # a ValueError, which the next clause would catch
        raise
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, KeyError, SyntaxError, RuntimeError,
            tokenize.TokenError) as error:  # fmt: skip
        reason = str(error).splitlines()[0][:200]
        raise fault(path, f"is cut short or corrupt ({reason})", "a complete file of NumPy's", AGAIN) from error
