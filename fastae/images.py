"""Which images a trainer takes."""

from typing import Any

import numpy as np

from fastae.errors import InputError


def check_images(name: str, images: Any, width: int) -> None:
    """Refuse images that a trainer cannot train on.

    Parameters
    ----------
    name : str
        What messages call them.
    images : ndarray, uint8 or floats in [0, 1], (n, width)
    width : int
        Numbers of an image.

    Raises
    ------
    InputError
        Another type, shape or range; the message says what to do where that is plain.
    """
    ok = isinstance(images, np.ndarray) and (images.dtype == np.uint8 or images.dtype.kind == "f")
    if not ok or images.ndim != 2 or images.shape[1] != width or not len(images):
        kind = f"{images.dtype} {images.shape}" if isinstance(images, np.ndarray) else type(images).__name__
        raise InputError(
            f"{name} must be an array of uint8, or of floats in [0, 1], of shape (n, {width}) with n of at least 1"
            f"; got {kind}{_remedy(name, images, width)}"
        )
    if images.dtype.kind == "f" and not np.isfinite(images).all():
        raise InputError(f"{name} hold NaN or infinite values; replace them, for example np.nan_to_num({name})")
    if images.dtype.kind == "f" and not (images.min() >= 0 and images.max() <= 1):
        raise InputError(
            f"{name} that are floats must be in [0, 1]; these go from {images.min():g} to {images.max():g}; "
            "scale them, or take fastae.sklearn.Autoencoder, which does"
        )


def _remedy(name: str, images: Any, width: int) -> str:
    """Say how images of another type or shape become an array that a trainer takes, where that is plain."""
    if not isinstance(images, np.ndarray) or not len(images := np.atleast_1d(images)):
        return ""
    if images.ndim == 1:
        return "; are they labels? An image is a row" if width > 1 else ""
    if images.ndim > 2 and images[0].size == width:
        return f"; give {name}.reshape(len({name}), -1)"
    integers = images.dtype.kind in "iu" and images.dtype != np.uint8
    if integers and images.shape[1] == width and images.min() >= 0 and images.max() <= 255:
        return f"; give {name}.astype(np.uint8)"
    return ""
