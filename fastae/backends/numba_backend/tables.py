"""Where the patches of a convolution lie, as lists for the tiles of ``windows``; made once, on the host."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from fastae.layers import Geometry

GROUP = 4  # rows of the gradient that a tile has


class Table(NamedTuple):
    """Lists, one behind the other: entries, and where each list begins, with the end of the last behind."""

    entries: np.ndarray
    starts: np.ndarray


def table(lists: Sequence[Sequence[tuple[int, ...]]], numbers: int) -> Table:
    """Put lists of so many numbers an entry into one array."""
    starts = np.cumsum([0, *(len(entries) for entries in lists)])
    flat = [entry for entries in lists for entry in entries]
    return Table(np.array(flat, np.int64).reshape(len(flat), numbers), starts.astype(np.int64))


def down(g: Geometry, channels: int, patches: range) -> Table:
    """List, for each of some patches, the stretches of an image's row that are in it.

    An entry: where it begins in the row, the row of the weights that belongs to it, how long it is. ``channels`` are
    the image's.
    """
    lists = []
    for patch in patches:
        top, left = (n * g.stride - g.padding for n in divmod(patch, g.columns))
        first, last = max(0, -left), min(g.kernel, g.width - left)
        entries = []
        for i in range(g.kernel):
            if 0 <= top + i < g.height and last > first:
                start = (top + i) * g.width + left + first
                entries.append((start * channels, (i * g.kernel + first) * channels, (last - first) * channels))
        lists.append(entries)
    return table(lists, 3)


def up(g: Geometry, channels: int, rows: int, pixels: range) -> Table:
    """List, for each of some pixels of an image, the patches that it is in.

    An entry: where the patch's channels begin in a row of them, the row of the weights that belongs to the pixel of the
    patch, of which there are so many ``rows`` each, how many channels.
    """
    lists = []
    for pixel in pixels:
        row, column = divmod(pixel, g.width)
        entries = []
        for i in range(g.kernel):
            for j in range(g.kernel):
                (p, rest), (q, other) = divmod(row + g.padding - i, g.stride), divmod(column + g.padding - j, g.stride)
                if rest == other == 0 and 0 <= p < g.rows and 0 <= q < g.columns:
                    entries.append(((p * g.columns + q) * channels, (i * g.kernel + j) * rows, channels))
        lists.append(entries)
    return table(lists, 3)


class Gradient(NamedTuple):
    """What the gradient of a convolution's weights is summed over.

    Attributes
    ----------
    offsets : ndarray, int64, (rows of the weights,)
        How far behind its patch's beginning the number of an image lies that a row of the weights is multiplied by.
    groups : ndarray, int64, (groups, 4)
        A row of the weights, how many from there on (`GROUP` or 1), the first and last entry of their list.
    pairs : ndarray, int64, (entries, 2)
        Where a patch begins in an image's row, and where its pixel's channels begin.
    """

    offsets: np.ndarray
    groups: np.ndarray
    pairs: np.ndarray


def gradient(g: Geometry, channels: int, behind: int, patches: range | None, pixels: range | None) -> Gradient:
    """List what a worker adds up: of its own patches, or of its own pixels of the image.

    Rows of the weights are taken `GROUP` at a time, over the patches that have all of them inside; what is left is
    taken row by row. ``channels`` are the image's, ``behind`` those behind it.
    """
    taps = [(i, j) for i in range(g.kernel) for j in range(g.kernel)]
    inside: list[set[int]] = []  # by tap: the patches that have it inside the image, and that are this worker's
    for i, j in taps:
        found = set()
        for patch in range(g.rows * g.columns) if patches is None else patches:
            row, column = (n * g.stride - g.padding for n in divmod(patch, g.columns))
            within = 0 <= row + i < g.height and 0 <= column + j < g.width
            if within and (pixels is None or (row + i) * g.width + column + j in pixels):
                found.add(patch)
        inside.append(found)
    offsets = [(i * g.width + j) * channels + c for i, j in taps for c in range(channels)]
    tap_of = [tap for tap in range(len(taps)) for _ in range(channels)]
    groups: list[tuple[int, ...]] = []
    pairs: list[tuple[int, int]] = []
    listed: dict[tuple[int, ...], tuple[int, int]] = {}  # rows of one tap have one list

    def add(row: int, count: int, members: set[int]) -> None:
        key = tuple(sorted(members))
        if key and key not in listed:
            first = len(pairs)
            for patch in key:
                top, left = (n * g.stride - g.padding for n in divmod(patch, g.columns))
                pairs.append(((top * g.width + left) * channels, patch * behind))
            listed[key] = first, len(pairs)
        if key:
            groups.append((row, count, *listed[key]))

    whole = len(offsets) // GROUP * GROUP
    for row in range(0, whole, GROUP):
        members = [inside[tap_of[row + r]] for r in range(GROUP)]
        together = set.intersection(*members)
        add(row, GROUP, together)
        for r in range(GROUP):
            add(row + r, 1, members[r] - together)
    for row in range(whole, len(offsets)):
        add(row, 1, inside[tap_of[row]])
    return Gradient(
        np.array(offsets, np.int64),
        np.array(groups, np.int64).reshape(len(groups), 4),
        np.array(pairs, np.int64).reshape(len(pairs), 2),
    )
