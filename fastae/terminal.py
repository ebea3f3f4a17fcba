"""Digits to look at without matplotlib: which ones to show, and how to show them in a terminal."""

import math
import shutil
from collections.abc import Sequence

import numpy as np

ROWS, COLUMNS = 7, 14  # characters per image; a character is about twice as tall as it is wide, so this is square
INK = 0.3  # a quarter of a character is inked above this mean: low enough that thin strokes do not break
QUADRANTS = " ▘▝▀▖▌▞▛▗▚▐▜▄▙▟█"  # bit 0: upper left, bit 1: upper right, bit 2: lower left, bit 3: lower right
SHADES = " .:*#"
SHADE_GAMMA = 0.6  # the mean over a character thins strokes out; a power below 1 brings them back


def one_of_each(labels: np.ndarray, count: int = 10) -> np.ndarray:
    """Choose images to show: the first of each class in the order of the classes, then the first that are left.

    Parameters
    ----------
    labels : (n,) integer array
        The class of each image.
    count : int
        How many to choose.

    Returns
    -------
    (min(count, n),) intp array
        Distinct indices into `labels`.
    """
    _, first = np.unique(labels, return_index=True)
    others = np.setdiff1d(np.arange(len(labels)), first)
    return np.concatenate([first, others])[:count]


def draw(rows: Sequence[tuple[str, np.ndarray]], width: int | None = None, ascii: bool = False) -> str:
    """Draw rows of images in block characters, bright pixels as ink, in as many bands as they need.

    Parameters
    ----------
    rows : sequence of (label, images)
        A line of text above the row, unless it is empty, and an (n, side * side) array: floats in [0, 1] or uint8; NaN
        is drawn as black.
    width : int, optional
        Columns of the terminal; by default those of this one. Five images fit in 80.
    ascii : bool
        Draw with the ASCII shades " .:*#", for a terminal or a file without block characters.

    Returns
    -------
    str
        Lines of equal length within a band, bands parted by a blank line, no newline at the end; "" if there is no
        image or the images are not square.

    Examples
    --------
    >>> print(draw([("white", np.ones((1, 784)))], 80, ascii=True).splitlines()[1])
    ##############
    """
    count, pixels = rows[0][1].shape
    if math.isqrt(pixels) ** 2 != pixels:
        return ""
    if width is None:
        width = shutil.get_terminal_size().columns
    per_band = max(1, (width + 1) // (COLUMNS + 1))  # one blank column between two images

    bands = []
    for start in range(0, count, per_band):
        lines = []
        for label, images in rows:
            if label:
                lines.append(label)
            digits = _characters(images[start : start + per_band], ascii)
            lines += [" ".join("".join(digit[r]) for digit in digits) for r in range(ROWS)]
        bands.append("\n".join(lines))
    return "\n\n".join(bands)


def _characters(images: np.ndarray, ascii: bool) -> np.ndarray:
    """Turn (n, side * side) images into an (n, ROWS, COLUMNS) array of characters."""
    scale = 255.0 if images.dtype == np.uint8 else 1.0
    ink = np.clip(np.nan_to_num(images / scale), 0.0, 1.0)
    side = math.isqrt(images.shape[1])
    ink = ink.reshape(-1, side, side)

    if ascii:
        shade = _area_means(ink, ROWS, COLUMNS) ** SHADE_GAMMA
        return np.array(list(SHADES))[np.minimum(shade * len(SHADES), len(SHADES) - 1).astype(int)]

    quarters = (_area_means(ink, 2 * ROWS, 2 * COLUMNS) > INK).astype(int)
    upper, lower = quarters[:, ::2], quarters[:, 1::2]
    return np.array(list(QUADRANTS))[
        upper[..., ::2] + 2 * upper[..., 1::2] + 4 * lower[..., ::2] + 8 * lower[..., 1::2]
    ]


def _area_means(images: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Resample (n, side, side) images to (n, rows, columns), each value the mean over the area that it covers."""

    def weights(parts: int) -> np.ndarray:
        side = images.shape[1]
        # Cut each of the `side` pixels into `parts` slivers; a part covers `side` slivers, and so its share of a
        # pixel is the number of that pixel's slivers in it, over `side`. Exact for any two sizes.
        return np.repeat(np.eye(side), parts, axis=0).reshape(parts, side, side).mean(axis=1)

    return weights(rows) @ images @ weights(columns).T
