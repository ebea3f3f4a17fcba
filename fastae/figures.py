"""Draw figures of a training: digits and their reconstructions, the loss curve, weights of the first layer.

`fastae.feature_figures` draws kernels and outputs of convolutions.

The figures use `matplotlib.figure.Figure`, not pyplot, so that no display is opened and no global state changes.
Importing this module imports matplotlib, which takes a while; import it only where a figure is drawn.
"""

import contextlib
import math
import os
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import fastae.drawing  # noqa: F401  before matplotlib

# isort: split
import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Colormap
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from .errors import InputError, OutputError

DPI = 150
CELL = 84  # pixels of the page per side of an image: 3 for each pixel of an MNIST digit
BAR = 160  # pixels of the page for a colour bar and its numbers
GAP = 6  # pixels between two images
MARGIN = 18  # pixels around the page
CAPTION_SIZE = 10  # points
PAGE = 780  # least width of a page, so that a caption over a single image is not a column of words
GREY = colormaps["gray"].with_extremes(bad="red")  # black or white for NaN would look like a pixel of a digit
SIGNED = colormaps["RdBu_r"].with_extremes(bad="black")


class Row(NamedTuple):
    """Pictures side by side on a page.

    Attributes
    ----------
    label : str
        The label at their left.
    pictures : (n, height, width) or (n, height, width, 3) array
        Numbers, or red, green and blue from 0 to 1.
    colours : Colormap
        The colours of numbers.
    limits : tuple of float
        The numbers at the two ends of the colour map.
    wide : bool
        Whether the row is one picture as wide as the widest row.
    """

    label: str
    pictures: np.ndarray
    colours: Colormap
    limits: tuple[float, float]
    wide: bool = False


def reconstructions(
    path: str | os.PathLike[str],
    originals: np.ndarray,
    rows: Sequence[tuple[str, np.ndarray]],
    caption: str,
    shape: Sequence[int] | None = None,
) -> None:
    """Draw images and, below them, one row of their reconstructions for each model to compare.

    Parameters
    ----------
    path : path-like
        The PNG file to write, whatever its suffix.
    originals : (n, width) array
        Floats in [0, 1] or uint8.
    rows : sequence of (label, images)
        The label at the left of a row, and its (n, width) float array. NaN is drawn red.
    caption : str
        The text above the images.
    shape : (height, width) or (height, width, channels), optional
        The shape of an image. Three channels are drawn as red, green and blue, any other number as their mean. By
        default images are square, or a strip one pixel high if their width is not a square number.

    Raises
    ------
    InputError
        If there is no image, a row has another shape than `originals`, or `shape` is not that of the images.
    OutputError
        If `path` cannot be written; what it held before is kept.

    Examples
    --------
    >>> images = np.zeros((3, 784))
    >>> reconstructions("reconstructions.png", images, [("mse", images)], "three dark images")
    """
    if originals.ndim != 2 or originals.size == 0:
        raise InputError(f"no images to draw: got an array of shape {originals.shape}, expected (images, pixels)")
    for label, images in rows:
        if images.shape != originals.shape:
            raise InputError(f"row {label!r} has shape {images.shape}, expected {originals.shape} as the originals")
    everything = [("original", originals), *rows]
    save(page([Row(label, pictures(images, shape), GREY, (0.0, 1.0)) for label, images in everything], caption), path)


def pictures(images: np.ndarray, shape: Sequence[int] | None = None) -> np.ndarray:
    """Return images, (n, pixels), as the pictures of a `Row`; ``shape`` is as in `reconstructions`.

    Raises
    ------
    InputError
        If `shape` is not that of the images.
    """
    scale = 255.0 if images.dtype == np.uint8 else 1.0
    if shape is None:
        side = math.isqrt(images.shape[1])
        shape = (side, side) if side * side == images.shape[1] else (1, images.shape[1])
    if math.prod(shape) != images.shape[1]:
        expected = f"{' x '.join(map(str, shape))} have {math.prod(shape)} numbers"
        raise InputError(f"images of {expected}; got images of {images.shape[1]}")
    shaped = images.reshape(len(images), *shape) / scale
    if shaped.ndim == 4 and shaped.shape[3] == 3:
        finite = np.isfinite(shaped).all(axis=3, keepdims=True)
        return np.where(finite, np.clip(shaped, 0.0, 1.0), (1.0, 0.0, 0.0))
    return shaped.mean(axis=3) if shaped.ndim == 4 else shaped


def weights(path: str | os.PathLike[str], W: np.ndarray, caption: str, count: int = 100) -> None:
    """Draw the weights of the first layer's units as images, largest norm first.

    Parameters
    ----------
    path : path-like
        The PNG file to write, whatever its suffix.
    W : (inputs, units) float array
        Column j has the weights of unit j.
    caption : str
        The text above the images.
    count : int
        The largest number of units to draw.

    Raises
    ------
    InputError
        If there is no unit to draw.
    OutputError
        If `path` cannot be written; what it held before is kept.

    Examples
    --------
    >>> weights("weights.png", np.eye(784)[:, :4], "four units, of a pixel each")
    """
    largest = np.argsort(-np.linalg.norm(W, axis=0), kind="stable")[:count]
    if len(largest) == 0:
        raise InputError(f"no weights to draw: W has shape {W.shape}, and {count} units were asked for")
    units = W[:, largest].T
    limit = float(np.abs(units[np.isfinite(units)]).max(initial=0.0)) or 1.0  # one range, symmetric, for all units
    columns = math.ceil(math.sqrt(len(units)))
    drawn = pictures(units)
    rows = [Row("", drawn[i : i + columns], SIGNED, (-limit, limit)) for i in range(0, len(units), columns)]
    save(page(rows, caption, bar="weight"), path)


def weight_rows(
    path: str | os.PathLike[str],
    rows: Sequence[tuple[str, np.ndarray]],
    caption: str,
) -> None:
    """Draw the weights of the same units in several models: one column for each unit, one row for each model.

    Parameters
    ----------
    path : path-like
        The PNG file to write, whatever its suffix.
    rows : sequence of (label, weights)
        The label at the left of a row, and its (inputs, units) float array. All rows share one symmetric scale.
    caption : str
        The text above the images.

    Raises
    ------
    InputError
        If there is no unit to draw, or two rows differ in shape.
    OutputError
        If `path` cannot be written; what it held before is kept.

    Examples
    --------
    >>> W = np.eye(784)[:, :4]
    >>> weight_rows("weights.png", [("before", W), ("after", 2 * W)], "the same units of two models")
    """
    shapes = {W.shape for _, W in rows}
    if len(shapes) != 1 or 0 in next(iter(shapes)):
        raise InputError(f"no weights to compare: got arrays of shape {sorted(shapes)}, expected one (inputs, units)")
    everything = np.concatenate([W[np.isfinite(W)] for _, W in rows])
    limit = float(np.abs(everything).max(initial=0.0)) or 1.0
    save(page([Row(label, pictures(W.T), SIGNED, (-limit, limit)) for label, W in rows], caption, bar="weight"), path)


def loss_curve(
    path: str | os.PathLike[str],
    epochs: Sequence[Mapping[str, Any]],
    caption: str,
    references: Mapping[str, float] | None = None,
) -> None:
    """Draw the training loss and, if it was measured, the test error against the epoch.

    Parameters
    ----------
    path : path-like
        The PNG file to write, whatever its suffix.
    epochs : sequence of mappings
        One for each epoch, with `epoch`, `train_loss` (sum over pixels, mean over images) and `test_mse` (per pixel;
        None if it was not measured). Values that are not finite are omitted.
    caption : str
        The text above the two panels.
    references : mapping of str to float, optional
        Test errors to compare with, drawn as horizontal lines: ``{"mean image": 0.0675}``.

    Raises
    ------
    InputError
        If there is no epoch to draw.
    OutputError
        If `path` cannot be written; what it held before is kept.

    Examples
    --------
    >>> loss_curve("loss.png", [{"epoch": 1, "train_loss": 31.2, "test_mse": 0.02}], "one epoch")
    """
    if not epochs:
        raise InputError("no loss curve to draw: there is no epoch")
    # As floats, None becomes NaN.
    losses, errors = (np.array([epoch[key] for epoch in epochs], dtype=float) for key in ("train_loss", "test_mse"))
    tested = bool(np.isfinite(errors).any())

    width, height = 10.0 if tested else 5.5, 3.8
    figure = Figure(figsize=(width, height), dpi=DPI)
    text = _wrapped(caption, figure, figure.bbox.width - 2 * MARGIN)
    title = figure.suptitle(text, y=1 - 0.08 / height, fontsize=CAPTION_SIZE, parse_math=False)
    panels = figure.subplots(1, 2 if tested else 1, squeeze=False)[0]
    # Fixed inches for ticks and labels, because a layout engine would measure all text four times.
    head = 0.2 + title.get_window_extent(FigureCanvasAgg(figure).get_renderer()).height / DPI
    foot = 0.75 if tested and references else 0.5
    head = min(head, height - foot - 0.5)  # leave room for a curve below a long caption
    figure.subplots_adjust(0.9 / width, foot / height, 1 - 0.15 / width, 1 - head / height, 1.0 / ((width - 2) / 2))
    _panel(panels[0], epochs, losses, "training loss\n(sum over pixels, mean over images)", {})
    if tested:
        _panel(panels[1], epochs, errors, "test MSE per pixel", references or {})
        if references:
            # Below both panels, where it hides no part of a curve.
            figure.legend(loc="lower center", ncols=3, fontsize=8, frameon=False)
    save(figure, path)


def _panel(
    axes: Axes,
    epochs: Sequence[Mapping[str, Any]],
    values: np.ndarray,
    label: str,
    references: Mapping[str, float],
) -> None:
    """Draw one curve, with horizontal lines at the references."""
    numbers = np.array([epoch["epoch"] for epoch in epochs])
    measured = np.isfinite(values)  # join the points across epochs without a measurement
    axes.plot(numbers[measured], values[measured], color="tab:blue", marker=".")
    styles = ["--", ":", "-."]
    for index, (name, value) in enumerate(references.items()):
        style = styles[index % len(styles)]
        axes.axhline(value, color=f"C{index + 1}", linestyle=style, linewidth=1.2, label=f"{name}: {value:.4g}")

    axes.set_xlabel("epoch", fontsize=9)
    axes.set_ylabel(label, fontsize=9)
    axes.tick_params(labelsize=8)
    axes.grid(alpha=0.3)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    if numbers.min() == numbers.max():
        axes.set_xlim(numbers[0] - 1, numbers[0] + 1)

    shown = np.array([*values[measured], *references.values()])
    if shown.size and shown.min() > 0 and shown.max() > 10 * shown.min():
        axes.set_yscale("log")
        # Ticks within the decades if there are few decades: matplotlib's own choice may be a single tick.
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if shown.max() < 1000 * shown.min() else (1,)))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def page(rows: Sequence[Row], caption: str, bar: str | None = None, bar_of: int = 0) -> Figure:
    """Return a figure with labelled rows of pictures under a caption.

    One pair of axes covers the page, with coordinates in pixels from the upper left corner. The size of the page is
    chosen after measuring all text, so that no text is cut off or overlaps an image.

    Parameters
    ----------
    rows : sequence of Row
    caption : str
    bar : str, optional
        The label of a colour bar at the right.
    bar_of : int
        The row whose colours the bar shows.
    """
    figure = Figure(dpi=DPI)
    renderer = FigureCanvasAgg(figure).get_renderer()
    page = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    page.set_axis_off()

    columns = max(len(row.pictures) for row in rows if not row.wide)
    span = columns * (CELL + GAP) - GAP
    heights = [_height(row) for row in rows]
    depth = sum(heights) + GAP * (len(rows) - 1)

    labels = [page.text(0, 0, row.label, fontsize=9, ha="right", va="center", parse_math=False) for row in rows]
    widest = max(label.get_window_extent(renderer).width for label in labels)
    left = MARGIN + (math.ceil(widest) + 2 * GAP if widest else 0)
    # A size that is not a whole number after conversion to inches and back would shift the images.
    while (width := max(left + span + (BAR if bar else 0) + MARGIN, PAGE)) / DPI * DPI != width:
        left += 1

    text = _wrapped(caption, figure, width - 2 * MARGIN)
    title = page.text(MARGIN, MARGIN, text, fontsize=CAPTION_SIZE, va="top", parse_math=False)
    top = MARGIN + math.ceil(title.get_window_extent(renderer).height) + 2 * GAP
    while (bottom := top + depth + MARGIN) / DPI * DPI != bottom:
        top += 1

    figure.set_size_inches(width / DPI, bottom / DPI)
    y, scale = top, None
    for r, (row, label, height) in enumerate(zip(rows, labels, heights)):
        label.set_position((left - 2 * GAP, y + height / 2))
        cell = span if row.wide else CELL
        # No interpolation where the factor is whole: matplotlib would blur pixels if rounding makes it not quite whole.
        smoothing = "nearest" if CELL % row.pictures.shape[2] == 0 or row.wide else None
        for c, picture in enumerate(row.pictures):
            x = left + c * (CELL + GAP)
            drawn = page.imshow(
                picture,
                cmap=row.colours,
                clim=row.limits,
                interpolation=smoothing,
                aspect="auto",
                extent=(x, x + cell, y + height, y),
            )
            scale = drawn if r == bar_of and scale is None else scale
        y += height + GAP
    page.set_xlim(0, width)  # after imshow, which moves them
    page.set_ylim(bottom, 0)

    if bar and scale is not None:
        x = left + span + 4 * GAP
        axes = figure.add_axes((x / width, MARGIN / bottom, 20 / width, depth / bottom))
        figure.colorbar(scale, cax=axes, format="%.4g").set_label(bar, fontsize=9)
        axes.tick_params(labelsize=8)
    return figure


def _height(row: Row) -> int:
    """Return the height of a row's pictures in pixels of the page."""
    height, width = row.pictures.shape[1:3]
    # Images one pixel high, or wide, would be too small to see.
    return CELL // 3 if row.wide else min(max(round(CELL * height / width), CELL // 3), 3 * CELL)


def _wrapped(caption: str, figure: Figure, pixels: float) -> str:
    """Break a caption into lines no wider than ``pixels``; a word that is wider is split."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    font = FontProperties(size=CAPTION_SIZE)
    lines, characters = [caption], len(caption)
    while (widest := max(renderer.get_text_width_height_descent(line, font, False)[0] for line in lines)) > pixels:
        characters = min(characters - 1, int(characters * pixels / widest))
        lines = textwrap.wrap(caption, characters)
    return "\n".join(lines)


def save(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a PNG beside its destination and move it there, so that a failure leaves the old file unchanged."""
    path = Path(path)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        FigureCanvasAgg(figure).print_png(part)  # savefig would lay out and draw everything twice
        os.replace(part, path)
    except OSError as error:
        raise OutputError(f"cannot write the figure {path}: {error.strerror or error}") from error
    finally:
        with contextlib.suppress(OSError):  # the file was moved, or could not be created
            part.unlink()
