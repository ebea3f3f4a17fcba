"""Patches, for unfold, fold and convolve: other places, and other orders.

All three kernels follow from one table, which says for each number of each patch where it is in the image. A wrong
table makes all three wrong in the same way.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from fastae.backends.contract import PATCHES
from fastae.check.cause.formulas.parts import Ways
from fastae.layers import Geometry

Table = np.ndarray  # (patches, numbers) of an image: an index into the image's numbers, -1 in the padding

NOT_ZEROED = "the padding is not zeroed"  # begins a cause of numbers that are left unwritten


def table(
    g: Geometry,
    channels: int,
    start: tuple[int, int] | None = None,
    stride: tuple[int, int] | None = None,
    spread: int = 1,
    tap: Callable[[Any, Any, Any], tuple[Any, Any, Any]] = lambda i, j, c: (i, j, c),
    inside: tuple[int, int, int, int] = (0, 0, 0, 0),
    beyond: Callable[[Any, int], Any] | None = None,
    places: tuple[Any, Any] = (None, None),
    flat: bool = False,
) -> Table:
    """Return where in the image each number of each patch is; by default as the contract says.

    Parameters
    ----------
    g : Geometry
    channels : int
    start : (int, int), optional
        Row and column at which the first patch begins.
    stride : (int, int), optional
        Rows and columns from one patch to the next.
    spread : int
        Pixels from one number of a patch to the next.
    tap : callable
        Maps row, column and channel in a patch to those that are read.
    inside : (int, int, int, int)
        Pixels that are taken for padding: above, to the left, below, to the right.
    beyond : callable, optional
        Maps a row or a column outside of the image, and their number, to the one that is read.
    places : (ndarray, ndarray), optional
        The row and the column of patches in which each patch is.
    flat : bool
        Whether a column beyond the end of a row is the first of the next row.

    Returns
    -------
    ndarray
        int64 (patches, numbers of a patch): the index of a number of the image, −1 in the padding.
    """
    (top, left), (down, right) = start or (-g.padding, -g.padding), stride or (g.stride, g.stride)
    numbered = np.divmod(np.arange(g.rows * g.columns), g.columns)
    patch_row, patch_column = (own if own is not None else usual for own, usual in zip(places, numbered))
    numbers = np.unravel_index(np.arange(g.kernel**2 * channels), (g.kernel, g.kernel, channels))
    i, j, c = tap(*numbers)
    y = patch_row[:, None] * down + top + i * spread
    x = patch_column[:, None] * right + left + j * spread
    if beyond:
        y, x = beyond(y, g.height), beyond(x, g.width)
    if flat:
        y, x = np.divmod(y * g.width + x, g.width)
    above, before, below, behind = inside
    within = (y >= above) & (y < g.height - below) & (x >= before) & (x < g.width - behind)
    return np.where(within, (y * g.width + x) * channels + c, -1)


def unfolded(x: np.ndarray, at: Table, outside: float = 0.0) -> np.ndarray:
    """Return what unfold writes with a table."""
    padded = np.append(x, np.full((len(x), 1), outside), axis=1)  # index -1 is the last
    return padded[:, at].reshape(-1, at.shape[1])


def folded(x: np.ndarray, at: Table, shape: tuple[int, ...]) -> np.ndarray:
    """Return what fold writes with a table."""
    sums = np.zeros((shape[1] + 1, shape[0]))
    np.add.at(sums, at.ravel(), x.reshape(shape[0], -1).T)
    return sums[:-1].T


def wrong_tables(g: Geometry, channels: int) -> Iterator[tuple[str, Table]]:
    """Yield wrong tables, the likelier first."""

    def other(**changed: Any) -> Table:
        return table(g, channels, **changed)

    k, s, p = g.kernel, g.stride, g.padding
    right = other()
    yield "the kernel is flipped, in rows and in columns", other(tap=lambda i, j, c: (k - 1 - i, k - 1 - j, c))
    yield (
        "the numbers of a patch are in reverse, the channels too: the kernel is flipped as a whole",
        other(tap=lambda i, j, c: (k - 1 - i, k - 1 - j, channels - 1 - c)),
    )
    yield "the kernel is flipped, in rows alone", other(tap=lambda i, j, c: (k - 1 - i, j, c))
    yield "the kernel is flipped, in columns alone", other(tap=lambda i, j, c: (i, k - 1 - j, c))
    yield "rows and columns of a patch are exchanged", other(tap=lambda i, j, c: (j, i, c))
    for text, start in (
        ("padding is on one side only, below and to the right: it is not subtracted", (0, 0)),
        ("padding is on one side only, above and to the left", (-2 * p, -2 * p)),
        ("padding is left out for rows", (0, -p)),
        ("padding is left out for columns", (-p, 0)),
        ("padding is added, not subtracted", (p, p)),
        ("patches begin a pixel too late: padding − 1 is subtracted", (1 - p, 1 - p)),
        ("patches begin a pixel too early: padding + 1 is subtracted", (-1 - p, -1 - p)),
        ("padding is multiplied by the stride too: (row − padding) · stride", (-p * s, -p * s)),
    ):
        yield text, other(start=start)
    for text, stride in (
        ("the stride is ignored: patches begin one pixel apart", (1, 1)),
        ("the stride is ignored for rows", (1, s)),
        ("the stride is ignored for columns", (s, 1)),
        ("the kernel's size is taken for the stride: patches lie side by side", (k, k)),
    ):
        yield text, other(stride=stride)
    yield "the pixels of a patch lie a stride apart: the stride is applied within patches too", other(spread=s)
    yield (
        "the pixels of a patch lie a stride apart, and patches one pixel: the stride is applied to the wrong index",
        other(spread=s, stride=(1, 1)),
    )
    yield from _orders(g, channels, right)
    yield (
        "the border is dropped: patches that lie partly in the padding are left 0",
        np.where(np.any(right < 0, axis=1, keepdims=True), -1, right),
    )
    for text, inside in (
        ("the border is dropped: the first row and column are taken for padding (> for >=)", (1, 1, 0, 0)),
        ("the border is dropped: the last row and column are taken for padding", (0, 0, 1, 1)),
        ("the border is dropped: the outermost pixels are taken for padding", (1, 1, 1, 1)),
        ("the border is dropped: the first row is taken for padding (> for >=)", (1, 0, 0, 0)),
        ("the border is dropped: the first column is taken for padding (> for >=)", (0, 1, 0, 0)),
        ("the border is dropped: the last row is taken for padding", (0, 0, 1, 0)),
        ("the border is dropped: the last column is taken for padding", (0, 0, 0, 1)),
    ):
        yield text, other(inside=inside)
    for text, beyond in (
        ("the padding is filled with the nearest pixel, not with 0", lambda at, n: np.clip(at, 0, n - 1)),
        ("the padding is filled with pixels of the other side, not with 0", lambda at, n: at % n),
        ("the padding is filled with the image mirrored, not with 0", lambda at, n: _mirrored(at, n)),
    ):
        yield text, other(beyond=beyond)
    yield (
        "what lies beyond the end of a row is read from the next one: columns are not compared with the width",
        other(flat=True),
    )


def _mirrored(at: np.ndarray, n: int) -> np.ndarray:
    return np.clip(np.where(at < 0, -at, np.where(at >= n, 2 * (n - 1) - at, at)), 0, n - 1)


def _orders(g: Geometry, channels: int, right: Table) -> Iterator[tuple[str, Table]]:
    """Yield tables with numbers, pixels or patches in another order."""
    numbers, (h, w) = np.arange(right.shape[1]), (g.height, g.width)
    taps, pixels = g.kernel**2, h * w
    patch_channels = (numbers % taps) * channels + numbers // taps  # where (channel, row, column) has its numbers
    pixel, channel = np.divmod(right, channels)

    def at(pixel: np.ndarray, channel: np.ndarray) -> Table:
        return np.where(right < 0, -1, pixel * channels + channel)

    planes = np.where(right < 0, -1, channel * pixels + pixel)
    if channels > 1:
        yield (
            "the channels of a patch come first: (channel, row, column) for (row, column, channel)",
            right[:, patch_channels],
        )
        yield "the image is read as if its channels were planes: (channel, row, column)", planes
        yield "channels come first, in the image and in patches: (channel, row, column)", planes[:, patch_channels]
        yield "the channels are in reverse order", at(pixel, channels - 1 - channel)
        yield "the first channel is taken for all", at(pixel, 0 * channel)
        yield "the channels are off by one", at(pixel, (channel + 1) % channels)
    row, column = np.divmod(pixel, w)
    by_columns = np.arange(len(right)) // g.rows + np.arange(len(right)) % g.rows * g.columns
    by_rows = np.argsort(by_columns)
    yield "rows and columns of the image are exchanged", at(column * h + row, channel)
    for order in (by_columns, by_rows):
        yield "the patches follow each other column by column, not row by row", right[order]
    if h != w:
        yield (
            "height and width are exchanged: a row of the image is taken to have as many pixels as a column",
            at(np.minimum(row * h + column, pixels - 1), channel),
        )
    if (g.rows, g.columns) != (h, w):
        wrong = np.arange(len(right)) // w * g.columns + np.arange(len(right)) % w
        yield "the image's width is taken for the number of patches in a row", right[np.minimum(wrong, len(right) - 1)]


def ways(name: str, v: dict[str, Any]) -> Ways:
    """Yield what these kernels write whose patches lie elsewhere, or in another order."""
    if name not in PATCHES:
        return
    g = Geometry(*(v[key] for key in Geometry._fields))
    images = v[PATCHES[name][0]]
    channels = images.shape[1] // (g.height * g.width)
    x, shape, right = v["x"], v["out"].shape, table(g, channels)
    if name == "unfold":
        yield f"{NOT_ZEROED}: what out held before is left there", unfolded(x, right, np.nan)
    for text, at in wrong_tables(g, channels):
        yield text, written(name, at, v)
    yield from _numbered(name, v, g, channels)
    if name == "fold":
        yield from _added(x, right, shape)
    elif name == "convolve":
        yield from _kernels(unfolded(x, right), v["weights"], right, g.kernel**2, channels, shape)


def _numbered(name: str, v: dict[str, Any], g: Geometry, channels: int) -> Ways:
    """Yield what is written if the row and the column of a patch are computed wrongly from its number."""
    per, images = g.rows * g.columns, len(v[PATCHES[name][0]])
    patches = np.arange(images * per).reshape(images, per)
    right, by_patch = table(g, channels), patches.T.ravel()
    text = "patches of all images follow each other place by place: rows are (patch, image), not (image, patch)"
    if name == "fold":
        yield text, written(name, right, v | {"x": v["x"][np.argsort(by_patch)]})
    else:
        yield text, written(name, right, v)[by_patch]
    for text, row, column in (
        ("row is computed with the number of rows, not with that of columns", patches // g.rows % g.rows, None),
        ("row is not taken modulo their number: it goes on from image to image", patches // g.columns, None),
        ("row is its number modulo that of rows, which nothing divides", patches % g.rows, None),
        ("column is computed with the number of rows, not with that of columns", None, patches % g.rows % g.columns),
        ("column goes on from image to image: it is not taken modulo their number", None, patches),
        ("row and column are computed with the number of rows, not with that of columns",
         patches // g.rows % g.rows, patches % g.rows),
    ):  # fmt: skip
        places = zip(*(x if x is not None else [None] * images for x in (row, column)))
        tables = [table(g, channels, places=place) for place in places]
        yield (
            f"a patch's {text}",
            np.concatenate([written(name, at, _of_image(name, v, i, per)) for i, at in enumerate(tables)]),
        )


def _of_image(name: str, v: dict[str, Any], i: int, per: int) -> dict[str, Any]:
    """Return the arguments of a call for one of the images."""
    rows = {True: slice(i, i + 1), False: slice(i * per, (i + 1) * per)}
    return v | {key: v[key][rows[key == PATCHES[name][0]]] for key in ("x", "out")}


def written(name: str, at: Table, v: dict[str, Any]) -> np.ndarray:
    """Return what a kernel writes with a table."""
    if name == "fold":
        return folded(v["x"], at, v["out"].shape)
    patches = unfolded(v["x"], at)
    return patches if name == "unfold" else patches @ v["weights"]


def _added(x: np.ndarray, at: Table, shape: tuple[int, ...]) -> Ways:
    """Yield what fold writes if it does not add up the patches."""
    numbers, of = x.reshape(shape[0], -1), at.ravel()
    for text, order in (
        ("patches are overwritten, not added: the last one that a pixel is in is left", np.arange(len(of))),
        ("patches are overwritten, not added: the first one that a pixel is in is left", np.arange(len(of))[::-1]),
    ):
        out = np.zeros((shape[0], shape[1] + 1))
        for i in order:
            out[:, of[i]] = numbers[:, i]
        yield text, out[:, :-1]
    sums, counts = folded(x, at, shape), folded(np.ones_like(x), at, shape)
    yield "the sum begins with 1, not with 0", sums + 1
    yield "the mean of the patches is taken, not their sum", sums / np.maximum(counts, 1)
    if (counts == 0).any():
        yield (
            f"{NOT_ZEROED}: nor are pixels that are in no patch, where out is as before",
            np.where(counts == 0, np.nan, sums),
        )


def _kernels(
    patches: np.ndarray, weights: np.ndarray, at: Table, taps: int, channels: int, shape: tuple[int, ...]
) -> Ways:
    """Yield what convolve writes if it reads the weights in another order, or sums fewer terms."""
    of_taps = weights.reshape(taps, channels, -1)
    last = at.shape[1] - 1 - (at[:, ::-1] >= 0).argmax(axis=1)  # of each patch the last number inside the image
    last = np.tile(last, len(patches) // len(at))
    yield (
        "the products are not summed: only the last one inside the image is kept",
        (patches[np.arange(len(patches)), last][:, None] * weights[last]),
    )
    for which, some in (("last", slice(0, -1)), ("first", slice(1, None))):
        fewer = patches.reshape(-1, taps, channels)[..., some]
        yield f"the {which} channel is left out", np.einsum("ptc,tco->po", fewer, of_taps[:, some])
    if channels > 1:
        by_channel = weights.reshape(channels, taps, -1).swapaxes(0, 1)
        yield "the weights are read in the order (channel, row, column)", patches @ by_channel.reshape(weights.shape)
        yield "only the first channel is summed", patches.reshape(-1, taps, channels)[..., 0] @ of_taps[:, 0]
        yield "only the last channel is summed", patches.reshape(-1, taps, channels)[..., -1] @ of_taps[:, -1]
    if shape[1] > 1:
        yield (
            "the kernels are read as rows of the weights, not as columns",
            (patches @ weights.reshape(weights.shape[::-1]).T),
        )
        yield "the output's channels are in reverse", patches @ weights[:, ::-1]
    if taps > 1:
        yield "only the first pixel of each patch is multiplied", patches[:, :channels] @ weights[:channels]
        middle = slice(taps // 2 * channels, (taps // 2 + 1) * channels)
        yield "only the pixel in the middle of each patch is multiplied", patches[:, middle] @ weights[middle]
