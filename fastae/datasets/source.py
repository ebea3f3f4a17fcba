"""Where one split of a data set was found, and how what is found is told."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Loaded = tuple[NDArray[np.uint8], NDArray[np.uint8]]
EVERY = 10  # of images that are not split, one of so many is kept for the test


class Source(NamedTuple):
    """One split of a data set, found and not yet read.

    Attributes
    ----------
    read : callable
        Returns images (n, rows, cols) and labels (n,), or the first ``limit`` images alone, if that spares time.
    told : str
        What was found, where it is not what MNIST's own files are called; else empty.
    """

    read: Callable[[int | None], Loaded]
    told: str


def part(n: int, split: str, whole: bool) -> NDArray[np.intp]:
    """Return which of n images belong to a split; of a whole that nobody has split, every tenth is for the test."""
    everything = np.arange(n)
    if not whole:
        return everything
    held_out = everything % EVERY == min(EVERY, n) - 1
    return everything[held_out if split == "test" else ~held_out]


def listing(names: Sequence[str], most: int = 6) -> str:
    """Return some names with commas between, and how many others there are."""
    more = [f"{len(names) - most:,} more"] if len(names) > most else []
    return ", ".join([*map(str, names[:most]), *more])
