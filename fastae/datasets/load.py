"""Load a data set of any supported format: determine the format of a path, and read one split."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fastae.datasets import arrays, files, idx, pictures
from fastae.datasets.files import fault
from fastae.datasets.source import Source, listing
from fastae.errors import InputError

SPLITS = ("train", "test")

# The formats of a folder. Each function looks for its files among the names, and returns None if there are none.
FORMATS: tuple[Callable[[Path, Sequence[str], str], Source | None], ...] = (idx.find, arrays.find, pictures.find)
_OTHERS = "an .npz, an .npy or grey PNGs"
_EXPECTED = f"a folder of IDX files, or {_OTHERS}"


def load_dataset(
    path: str | os.PathLike[str] | None = None, split: str = "train"
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Load one split of an image data set.

    Parameters
    ----------
    path : path-like, optional
        By default the MNIST that is included in fastae. Else one of

        - a folder of IDX files with the names of MNIST's (``train-images-idx3-ubyte``, ``t10k-labels-idx1-ubyte``, ...;
          a dot before ``idx`` is accepted too), plain or with ``.gz``; if both exist, the plain file is read. Names may
          start with the name of the data set, as ``emnist-letters-train-images-idx3-ubyte`` does; if a folder contains
          several data sets, ``folder/emnist-letters`` selects one;
        - an ``.npz`` with the arrays ``x_train``, ``y_train``, ``x_test`` and ``y_test``, with names like
          ``train_images`` and ``test_labels``, or with images only; an ``.npy`` of images; a folder of such files;
        - a folder of grey PNGs of one size, or of one folder for each class; or with folders ``train`` and ``test`` of
          either kind.
    split : {"train", "test"}
        If the images are not divided into splits, every tenth image belongs to ``"test"``.

    Returns
    -------
    images : ndarray of uint8, shape (n, rows * cols), C-contiguous
        One image per row, its pixels row by row; for MNIST (60000, 784) or (10000, 784).
    labels : ndarray of uint8, shape (n,)
        The class of each image; 0 where the data set has none.

    Raises
    ------
    InputError
        If `split` is neither ``"train"`` nor ``"test"``.
    DataError
        If a file is missing, unreadable or damaged; if it contains colour images or values out of range; if images have
        different sizes, or another number than labels.

    See Also
    --------
    fastae.load_images : The same with the images' height and width.

    Notes
    -----
    Integers and floats of any type are read if they are from 0 to 255; floats are rounded. If no float is larger than
    1, they are multiplied by 255 first. False is read as 0 and True as 255.

    Examples
    --------
    >>> images, labels = load_dataset(split="test")
    >>> images.shape, images.dtype.name, labels[:5].tolist()
    ((10000, 784), 'uint8', [7, 2, 1, 0, 4])
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
        Return at most so many images. Only of the included MNIST and of PNGs are no more than that read; other files
        are read to their end, where their checksum is.

    Returns
    -------
    images : ndarray of uint8, shape (n, rows, cols), C-contiguous
        For MNIST (60000, 28, 28) or (10000, 28, 28).
    labels : ndarray of uint8, shape (n,)
        The class of each image; 0 where the data set has none.

    Raises
    ------
    InputError, DataError
        As from `fastae.load_dataset`.

    Examples
    --------
    >>> images, labels = load_images(split="test", limit=3)
    >>> images.shape, labels.tolist()
    ((3, 28, 28), [7, 2, 1])
    """
    images, labels = locate(path, split).read(limit)
    return images[:limit], labels[:limit]


def described(path: str | os.PathLike[str]) -> str:
    """Return which files are read, unless they have MNIST's names; raises `DataError` if there are none."""
    told = [locate(path, split).told for split in SPLITS]
    return "; ".join(dict.fromkeys(filter(None, told)))


def locate(path: str | os.PathLike[str] | None, split: str) -> Source:
    """Find one split of a data set; raises `InputError` and `DataError`."""
    if split not in list(SPLITS):
        raise InputError(f"split {split!r} is unknown; expected 'train' or 'test'; choose one of them")
    given = idx.MNIST if path is None else Path(path)
    if given.is_file():
        return _in_file(given, split)
    try:
        names = os.listdir(given)
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        if isinstance(error, FileNotFoundError) and (source := _by_prefix(given, split)):
            return source
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        remedy = "give the path of that folder, or none for the MNIST that ships with fastae"
        expected = f"a folder that holds {idx.usual_names('train', 'images')[0]}"
        raise fault(given, f"cannot be listed ({reason})", expected, remedy) from error
    try:
        for find in FORMATS:
            if source := find(given, names, split):
                return source
        raise _nothing(given, names, split)
    except OSError as error:  # of a folder inside
        where = Path(error.filename or given)
        wrong = f"cannot be listed ({error.strerror or error})"
        raise fault(where, wrong, "a readable folder", "check path and permissions") from error


def _in_file(path: Path, split: str) -> Source:
    """Find one split by the path of a file: a NumPy file, or one of several IDX files in a folder."""
    if path.suffix in (".npz", ".npy"):
        return arrays.find_in(path, split)
    folder = path.parent
    if (name := idx.named(path.name)) and (source := idx.find(folder, os.listdir(folder), split, name.prefix)):
        return source
    files.refuse_foreign(path, files.head_of(path, _EXPECTED), _EXPECTED)
    raise fault(path, "is of no format that is read", _EXPECTED, "convert it: np.save('images.npy', images)")


def _by_prefix(path: Path, split: str) -> Source | None:
    """Find one split by a path whose last part is not a file, but the prefix of a data set's names."""
    try:
        names = os.listdir(path.parent)
    except OSError:
        return None
    prefixes = {name.prefix for name in map(idx.named, names) if name}
    prefix = next((begin for begin in sorted(prefixes) if begin and begin.rstrip("-_.") == path.name), None)
    return None if prefix is None else idx.find(path.parent, names, split, prefix)


def _nothing(folder: Path, names: Sequence[str], split: str) -> Exception:
    """Return the error for a folder that contains none of the formats."""
    usual = idx.usual_names(split, "images")
    held = f"holds {listing(sorted(names))}" if names else "is empty"
    wrong = f"lacks a file of {usual[0].partition('-idx')[0]} (it {held})"
    remedy = "add it or give another folder"
    if {Path(name).suffix.lower() for name in names} & {".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp"}:
        remedy = "save the images as grey PNGs: Image.open(name).convert('L').save('name.png'), with Pillow"
    for below in sorted(folder.glob("*/")) + sorted(folder.glob("*/*/")):
        if any(map(idx.named, os.listdir(below))):
            remedy = f"give {below}, which has such files"
            break
    return fault(folder, wrong, f"one of {', '.join(usual)}, or {_OTHERS}", remedy)
