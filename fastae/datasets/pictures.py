"""Read images from a folder of PNGs, all grey and of one size.

The folder may contain folders called ``train`` and ``test`` (or ``training``, ``testing``, ``val``); else every tenth
image becomes a test image. Folders below these are classes, numbered in the order of their names; without such folders
all labels are 0.
"""

import os
import struct
import warnings
import zlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fastae import system
from fastae.datasets import files
from fastae.datasets.files import AGAIN, fault
from fastae.datasets.source import Loaded, Source, part
from fastae.errors import DataError

if TYPE_CHECKING:
    from PIL import Image

_FOLDERS = {"train": ("train", "training"), "test": ("test", "testing", "t10k", "val", "valid", "validation")}
_GREY = "make it grey: Image.open(name).convert('L').save(name), with Pillow"


def find(folder: Path, listed: Sequence[str], split: str) -> Source | None:
    """Find one split among PNGs and folders of them; return None if there is no PNG."""
    lowered = {name.lower(): name for name in listed}
    own = {
        which: next((folder / lowered[name] for name in names if name in lowered), None)
        for which, names in _FOLDERS.items()
    }
    whole = own["train"] is None or own["test"] is None
    base = (own["train"] or folder) if whole else own[split]
    assert base is not None
    classes = _classes(base)
    paths = [path for _, paths in classes for path in paths]
    if not paths:
        return None
    if whole and len(paths) < 2:
        raise fault(base, "holds one PNG", "at least two, of which one is kept for the test", "add some")
    others = classes if whole else _classes(own["train" if split == "test" else "test"] or folder)
    numbers = {name: i % 256 for i, name in enumerate(sorted({name for name, _ in [*classes, *others]}))}
    labels = np.array([numbers[name] for name, paths in classes for _ in paths], np.uint8)
    of = part(len(paths), split, whole)
    kept = ", of which every tenth is kept for the test" if whole else ""
    in_classes = f" in {len(classes)} folders" if len(classes) > 1 else ""
    told = f"{base}: {len(paths):,} PNGs{in_classes}{kept}"
    return Source(partial(_load, [paths[i] for i in of], labels[of]), told)


def _classes(folder: Path) -> list[tuple[str, list[Path]]]:
    """Return the PNGs of each class, in the order of their names."""
    inside = sorted(os.scandir(folder), key=lambda entry: entry.name)
    pictures = [Path(entry.path) for entry in inside if _is_png(entry)]
    if pictures:
        return [("", pictures)]
    found = []
    for entry in inside:
        if entry.is_dir():
            below = sorted(Path(one.path) for one in os.scandir(entry.path) if _is_png(one))
            found += [(entry.name, below)] if below else []
    return found


def _is_png(entry: "os.DirEntry[str]") -> bool:
    return entry.name.lower().endswith(".png") and not entry.name.startswith(".") and entry.is_file()


def _load(paths: Sequence[Path], labels: NDArray[np.uint8], limit: int | None) -> Loaded:
    """Read the pictures, at most ``limit`` of them."""
    paths = paths[:limit]
    first = read_png(paths[0])
    images = np.empty((len(paths), *first.shape), np.uint8)
    for i, path in enumerate(paths):
        if i % 1000 == 999:
            system.progress(f"reading PNGs: {i + 1:,} of {len(paths):,}")
        image = read_png(path)
        if image.shape != first.shape:
            (height, width), (others, wide) = image.shape, first.shape
            expected = f"{wide} x {others} as {paths[0].name}"
            raise fault(path, f"is {width} x {height} pixels", expected, "crop or scale all to one size")
        images[i] = image
    if len(paths) >= 1000:
        system.progress("")
    return images, labels[:limit]


def read_png(path: Path) -> NDArray[np.uint8]:
    """Read a grey picture as uint8 (rows, cols): black and white as 0 and 255; of 16 bits, the upper eight.

    Raises
    ------
    DataError
        The file is missing or damaged, or the picture is in colour or transparent.
    """
    from PIL import Image

    try:
        head = files.head_of(path, "a PNG image")
        if not head.startswith(b"\x89PNG"):
            files.refuse_foreign(path, head, "a PNG image")
        with warnings.catch_warnings(), Image.open(path, formats=["PNG"]) as image:
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            return _grey(path, image)
    except (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, Warning,
            Image.DecompressionBombError) as error:  # fmt: skip
        if isinstance(error, DataError):
            raise
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        raise fault(path, f"cannot be read ({reason})", "a PNG image", AGAIN) from error


def _grey(path: Path, image: "Image.Image") -> NDArray[np.uint8]:
    """Return an open picture's pixels; raises `DataError` unless they are grey and opaque."""
    if image.mode == "L" and "transparency" not in image.info:
        return np.asarray(image)
    if image.mode == "1":
        return np.asarray(image).astype(np.uint8) * np.uint8(255)
    if image.mode.startswith("I"):
        return ((np.asarray(image).astype(np.int64) * 255 + 32767) // 65535).astype(np.uint8)
    channels = np.asarray(image.convert("RGBA"))
    if channels[..., 3].min() < 255:
        raise fault(path, "is partly transparent", "grey pixels", "put it on a background of one colour")
    if (channels[..., :2] != channels[..., 1:3]).any():
        raise fault(path, "is in colour", "a grey image", _GREY)
    return channels[..., 0]
