"""The result of finding one split of a data set, before it is read."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Loaded = tuple[NDArray[np.uint8], NDArray[np.uint8]]
EVERY = 10  # of images that are not divided into splits, one of so many is a test image


class Source(NamedTuple):
    """One split of a data set that was found and is not yet read.

    Attributes
    ----------
    read : callable
        Called with ``limit``; returns images (n, rows, cols) and labels (n,), all of them, or the first ``limit`` if
        that saves time.
    told : str
        A description of the files, unless they have MNIST's names; then it is empty.
    """

    read: Callable[[int | None], Loaded]
    told: str


def part(n: int, split: str, whole: bool) -> NDArray[np.intp]:
    """Return the indices of the images of a split: all n, or, of a whole data set, every tenth for the test."""
    everything = np.arange(n)
    if not whole:
        return everything
    held_out = everything % EVERY == min(EVERY, n) - 1
    return everything[held_out if split == "test" else ~held_out]


def listing(names: Sequence[str], most: int = 6) -> str:
    """Return the first names separated by commas, and the number of the others."""
    more = [f"{len(names) - most:,} more"] if len(names) > most else []
    return ", ".join([*map(str, names[:most]), *more])
