"""Lists of where the patches of a convolution are, for the tiles of ``windows``; made once per session."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from fastae.layers import Geometry

GROUP = 4  # rows of the gradient in a tile


class Table(NamedTuple):
    """Several lists in one array.

    Attributes
    ----------
    entries : ndarray, int64, (entries, numbers)
        The entries of all lists, one list after another.
    starts : ndarray, int64, (lists + 1,)
        The first entry of each list, and the end of the last list.
    """

    entries: np.ndarray
    starts: np.ndarray


def table(lists: Sequence[Sequence[tuple[int, ...]]], numbers: int) -> Table:
    """Make a table of lists whose entries have so many numbers."""
    starts = np.cumsum([0, *(len(entries) for entries in lists)])
    flat = [entry for entries in lists for entry in entries]
    return Table(np.array(flat, np.int64).reshape(len(flat), numbers), starts.astype(np.int64))


def convolution(g: Geometry, channels: int, patches: range) -> Table:
    """List, for each patch, the contiguous ranges of an image's elements that are in it.

    An entry is: the first element in the image, the corresponding row of the weights, the length. ``channels`` are
    those of the image.
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


def transposed_convolution(g: Geometry, channels: int, rows: int, pixels: range) -> Table:
    """List, for each pixel of an image, the patches that contain it.

    An entry is: the first of the patch's channels in a row of all patches' channels, the first row of the weights for
    this pixel of the patch, the number of channels. The weights have ``rows`` rows for each pixel of a patch.
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
    """The lists over which the gradient of a convolution's weights is summed.

    Attributes
    ----------
    offsets : ndarray, int64, (rows of the weights,)
        The distance from a patch's first element in the image to the element that a row of the weights multiplies.
    groups : ndarray, int64, (groups, 4)
        The first row of the weights, the number of rows (`GROUP` or 1), and the first and the end of their pairs.
    pairs : ndarray, int64, (entries, 2)
        A patch's first element in the image, and the first of the channels that belong to the patch.
    """

    offsets: np.ndarray
    groups: np.ndarray
    pairs: np.ndarray


def gradient(g: Geometry, channels: int, filters: int, patches: range | None, pixels: range | None) -> Gradient:
    """List the pairs that a worker sums: those of its own patches, or of its own pixels of the image.

    Rows of the weights are treated in groups of `GROUP`, over the patches that have all of them inside the image; the
    remaining pairs are listed for single rows.

    Parameters
    ----------
    g : Geometry
    channels : int
        Of the image.
    filters : int
        The number of filters: the channels at the other side of the weights.
    patches : range or None
        The worker's own patches; None for all.
    pixels : range or None
        The worker's own pixels of the image; None for all.

    Returns
    -------
    Gradient
    """
    taps = [(i, j) for i in range(g.kernel) for j in range(g.kernel)]
    inside: list[set[int]] = []  # by tap: this worker's patches that have it inside the image
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
    listed: dict[tuple[int, ...], tuple[int, int]] = {}  # rows of the same tap share a list

    def add(row: int, count: int, members: set[int]) -> None:
        key = tuple(sorted(members))
        if key and key not in listed:
            first = len(pairs)
            for patch in key:
                top, left = (n * g.stride - g.padding for n in divmod(patch, g.columns))
                pairs.append(((top * g.width + left) * channels, patch * filters))
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
