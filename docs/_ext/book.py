"""What the pages of the book share: one style for figures, digits in rows, and commands as a shell runs them.

A figure is an SVG whose words and lines are of one grey, ``INK``; `inline_svg` makes that the colour of the page's
text, light or dark, and the other colours stand out on both.
"""

import math
import sys
from typing import Any

import matplotlib
import numpy as np
from cycler import cycler
from matplotlib.figure import Figure

INK = "#777778"
BLUE, ORANGE, GREEN, RED, PURPLE = "#2f7fc1", "#cf6a17", "#2b9457", "#d6453d", "#9467bd"

STYLE = {
    "figure.figsize": (6.4, 3.4),
    "figure.facecolor": "none",
    "figure.constrained_layout.use": True,
    "axes.facecolor": "none",
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.titlesize": 11,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.grid": False,
    "axes.prop_cycle": cycler(color=[BLUE, ORANGE, GREEN, PURPLE, RED]),
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": INK,
    "grid.alpha": 0.3,
    "font.size": 11,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "savefig.facecolor": "none",
    "savefig.dpi": 100,
    "svg.fonttype": "path",
    "svg.hashsalt": "fastae",
}


def style(gallery: Any = None, fname: Any = None, when: Any = None) -> None:
    """Set the style; with the arguments that sphinx-gallery gives before each of its scripts."""
    matplotlib.rcParams.update(STYLE)


def scrape(block: Any, block_vars: Any, gallery_conf: Any) -> str:
    """Keep the figures of a gallery's script as SVG."""
    from sphinx_gallery.scrapers import matplotlib_scraper

    return matplotlib_scraper(block, block_vars, gallery_conf, format="svg")


def digits(*rows: tuple[str, np.ndarray]) -> Figure:
    """Draw labelled rows of images: floats from 0 to 1 or uint8, (n, pixels)."""
    import matplotlib.pyplot as plt

    columns, side = max(len(images) for _, images in rows), math.isqrt(rows[0][1].shape[1])
    cell = side + 2
    figure, axes = plt.subplots(figsize=(6.4, 0.58 * len(rows)))
    for line, (label, images) in enumerate(rows):
        strip = np.full((side, columns * cell - 2), np.nan)  # what is between the images stays the page's
        for column, image in enumerate(images):
            highest = 255 if image.dtype == np.uint8 else 1
            strip[:, column * cell : column * cell + side] = image.reshape(side, side) / highest
        extent = (0, strip.shape[1], (line + 1) * cell - 2, line * cell)
        axes.imshow(strip, cmap="gray", vmin=0, vmax=1, interpolation="nearest", extent=extent)
        axes.text(-4, line * cell + side / 2, label, ha="right", va="center", fontsize=9)
    axes.set_ylim(len(rows) * cell, 0)
    axes.set_axis_off()
    return figure


def open_page() -> None:
    """Set the style in a page's kernel: figures as SVG, errors as their message alone."""
    from IPython import get_ipython
    from matplotlib_inline.backend_inline import set_matplotlib_formats

    set_matplotlib_formats("svg")
    style()
    get_ipython().InteractiveTB.set_mode("Minimal")


if "ipykernel" in sys.modules:
    open_page()
