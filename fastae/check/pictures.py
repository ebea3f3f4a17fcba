"""Pictures of a wrong kernel's errors: each element is right, NaN, or wrong by a multiple of its bound."""

import os
import textwrap

import fastae.drawing  # noqa: F401  before matplotlib

# isort: split
import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from fastae.check.cause.patterns import headline
from fastae.check.problem import Problem
from fastae.figures import CAPTION_SIZE, DPI, save

RIGHT, NAN, INFINITE = "#dce6ee", "#303030", "#8e3bb0"
ERRORS = "YlOrRd"
CELL = 0.45  # inches of a side of an element, where there is room
MOST = (7.5, 6.0)  # inches of the map: wide, high
LEAST = (2.2, 0.45)
ROW = 0.1  # inches of a row at least, up to 16 rows
GRID = 40  # elements a side, up to which lines are drawn between them
MARGINS = (0.9, 1.6, 0.75)  # inches at the left, at the right for the colour bar, below
SCALE = 1e20  # bounds; larger errors have the same colour, since their ticks would overflow
BAR = 0.9  # inches of the colour bar at least
LINE = 0.21  # inches of a line of the title


def draw(path: str | os.PathLike[str], kernel: str, problem: Problem) -> None:
    """Draw where a kernel is wrong, and by how many times its bound.

    Parameters
    ----------
    path : path-like
        The PNG file to write, whatever its suffix.
    kernel : str
        The name of the kernel.
    problem : Problem
        With ``share``, of one or two dimensions.

    Raises
    ------
    OutputError
        `path` cannot be written; a file that was there is kept.
    """
    assert problem.share is not None
    share = np.atleast_2d(problem.share)
    rows, columns = share.shape
    cell = min(CELL, MOST[0] / columns, MOST[1] / rows)
    width, height = max(LEAST[0], columns * cell), max(LEAST[1], rows * cell, min(16, rows) * ROW)
    wrong = np.isfinite(share) & (share > 1)
    left, right, below = MARGINS[0], MARGINS[1] if wrong.any() else 0.3, MARGINS[2]
    page = max(left + width + right, 6.0)  # a title over one element should be no column of words
    title = _title(kernel, problem, int((page - 0.4) * 14))
    above = 0.5 + LINE * (title.count("\n") + 1)
    figure = Figure(figsize=(page, above + height + below), dpi=DPI)
    size = figure.get_figwidth(), figure.get_figheight()
    axes = figure.add_axes((left / size[0], below / size[1], width / size[0], height / size[1]))
    figure.text(0.2 / size[0], 1 - 0.12 / size[1], title, va="top", fontsize=CAPTION_SIZE, parse_math=False)

    extent = (-0.5, columns - 0.5, rows - 0.5, -0.5)
    keys = [(~np.isnan(share) & (share <= 1), RIGHT, "right"), (np.isnan(share), NAN, "NaN")]
    keys.append((np.isinf(share), INFINITE, "infinite, or a NaN that is missing"))
    for where, colour, _ in keys:
        flat = np.ma.masked_where(~where, np.ones(share.shape))
        axes.imshow(flat, cmap=ListedColormap([colour]), interpolation="nearest", aspect="auto", extent=extent)
    if wrong.any():
        largest = float(share[wrong].max())
        image = axes.imshow(
            np.ma.masked_where(~wrong, np.minimum(share, SCALE)),
            cmap=colormaps[ERRORS],
            norm=LogNorm(1, min(max(10.0, largest), SCALE)),
            interpolation="nearest",
            aspect="auto",
            extent=extent,
        )
        tall = max(height, BAR)
        place = (left + width + 0.25, below + (height - tall) / 2, 0.16, tall)
        beside = figure.add_axes((place[0] / size[0], place[1] / size[1], place[2] / size[0], place[3] / size[1]))
        figure.colorbar(image, cax=beside, extend="max" if largest > SCALE else "neither")
        beside.set_title("error, in bounds", fontsize=8, loc="left")
        beside.tick_params(labelsize=7)
    _label(axes, problem.share.ndim, rows, columns)
    shown = [Patch(facecolor=colour, edgecolor="grey", label=text) for where, colour, text in keys if where.any()]
    if shown:
        figure.legend(handles=shown, loc="lower left", ncols=3, fontsize=8, frameon=False)
    save(figure, path)


def _title(kernel: str, problem: Problem, characters: int) -> str:
    lines = [f"{kernel}: {problem.what}", f"with {problem.case}"]
    lines += [headline(problem.causes)] if headline(problem.causes) else []
    return "\n".join(part for line in lines for part in textwrap.wrap(line, characters))


def _label(axes: Axes, dimensions: int, rows: int, columns: int) -> None:
    axes.tick_params(labelsize=8)
    axes.set_xlabel("columns" if dimensions == 2 else "elements", fontsize=9)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    if dimensions == 2:
        axes.set_ylabel("rows", fontsize=9)
        axes.yaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    else:
        axes.set_yticks([])
    if max(rows, columns) <= GRID:
        axes.set_xticks(np.arange(0.5, columns - 1), minor=True)
        axes.set_yticks(np.arange(0.5, rows - 1), minor=True)
        axes.grid(which="minor", color="white", linewidth=0.6)
        axes.tick_params(which="minor", length=0)
