"""Convert arrays of any type and shape to images and labels as unsigned bytes, or report why it is not possible."""

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastae.datasets.files import fault

_AT_ONCE = 1 << 20  # values that are converted at a time, because the conversion uses float64
_PIXELS = "whole numbers from 0 to 255, or floats from 0 to 1"


def as_images(path: Path, array: NDArray[Any], where: str = "") -> NDArray[np.uint8]:
    """Return images as uint8 (n, rows, cols), C-contiguous.

    Parameters
    ----------
    path : Path
        For the messages.
    array : ndarray
        Shape (n, rows, cols), perhaps with one more axis of length 1 for the channel, or (n, pixels) if the images are
        square. Integers are from 0 to 255. Floats are from 0 to 1, where 1 becomes 255, or from 0 to 255; they are
        rounded. False becomes 0 and True 255.
    where : str
        The array's name, if the file has several; for the messages.

    Raises
    ------
    DataError
        The array has another shape, or values out of range.
    """
    if array.ndim == 4 and 1 in (array.shape[1], array.shape[3]):
        array = array[..., 0] if array.shape[3] == 1 else array[:, 0]
    at = _at(where, array)
    if array.ndim == 4:
        axis = 3 if array.shape[3] == 3 or array.shape[1] not in (3, 4) else 1
        wrong = f"holds colour or several channels {at}"
        grey = f"images.mean(axis={axis}).round().astype(np.uint8)"
        raise fault(path, wrong, "grey images (n x rows x columns)", f"make them grey: {grey}")
    if array.ndim == 2 and (side := math.isqrt(array.shape[1])) ** 2 == array.shape[1]:
        array = array.reshape(len(array), side, side)
    if array.ndim != 3:
        expected = "n x rows x columns, or n x pixels of square images"
        raise fault(path, f"holds no images {at}", expected, "reshape them to that")
    if 0 in array.shape:
        raise fault(path, f"holds no data {at}", "sizes of at least 1", "give a file with data")
    return _bytes(path, array, where)


def as_labels(path: Path, array: NDArray[Any], where: str = "") -> NDArray[np.uint8]:
    """Return labels as uint8 (n,): whole numbers from 0 to 255 of any type; raises `DataError` like `as_images`."""
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    at = _at(where, array)
    if array.ndim != 1:
        remedy = "one-hot labels are labels.argmax(axis=1); of several columns take the one of the classes"
        raise fault(path, f"holds no labels {at}", "one label an image", remedy)
    if not len(array):
        raise fault(path, f"holds no data {at}", "sizes of at least 1", "give a file with data")
    if array.dtype == np.uint8:
        return np.ascontiguousarray(array)
    held = f"holds labels of type {array.dtype} {at}"
    expected, remedy = "whole numbers from 0 to 255", "number the classes: np.unique(labels, return_inverse=True)[1]"
    with np.errstate(invalid="ignore"):  # for signalling NaNs
        if array.dtype.kind not in "biuf" or not ((array >= 0) & (array <= 255)).all() or (array % 1 != 0).any():
            raise fault(path, held, expected, remedy)
    return array.astype(np.uint8)


def _bytes(path: Path, array: NDArray[Any], where: str) -> NDArray[np.uint8]:
    """Return pixels as unsigned bytes."""
    kind = array.dtype.kind
    if array.dtype == np.uint8:
        return np.ascontiguousarray(array)
    if kind == "b":
        return np.ascontiguousarray(array).view(np.uint8) * np.uint8(255)
    if kind not in "iuf":
        raise fault(path, f"holds values of type {array.dtype} {_at(where, array)}", _PIXELS, "convert them to uint8")
    with np.errstate(invalid="ignore"):
        least, most = float(array.min()), float(array.max())  # NaN if any value is
    if not (least >= 0 and most <= 255):
        wrong = f"holds {array.dtype.name} values from {least:g} to {most:g} {_at(where, array)}"
        raise fault(path, wrong, _PIXELS, _remedy(array.dtype, least, most))
    scale = 255.0 if kind == "f" and most <= 1 else 1.0
    flat, pixels = np.ascontiguousarray(array).reshape(-1), np.empty(array.size, np.uint8)
    for at in range(0, array.size, _AT_ONCE):
        pixels[at : at + _AT_ONCE] = np.rint(np.multiply(flat[at : at + _AT_ONCE], scale, dtype=np.float64))
    return pixels.reshape(array.shape)


def _at(where: str, array: NDArray[Any]) -> str:
    """Return the array's name and shape for a message."""
    return f"({', '.join(filter(None, [where, ' x '.join(map(str, array.shape)) or 'one number']))})"


def _remedy(dtype: np.dtype[Any], least: float, most: float) -> str:
    """Return how values out of range can be converted to pixels."""
    if not (math.isfinite(least) and math.isfinite(most)):
        return "replace what is not finite: np.nan_to_num(images)"
    if dtype == np.int8:
        return "if they are unsigned bytes of which 128 and more became negative, images.view(np.uint8)"
    if least >= 0 and dtype.kind in "iu" and most > 4095:
        return "of 16 bits keep the upper eight: (images // 257).astype(np.uint8)"
    if least < 0 and dtype.kind == "f":
        return "undo the normalisation, images * deviation + mean, or scale them: (images - least) / (most - least)"
    return "scale them to 0 to 1: (images - least) / (most - least)"
