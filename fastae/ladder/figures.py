"""The picture of a ladder: the speed of each rung."""

from collections.abc import Sequence
from pathlib import Path

import fastae.drawing  # noqa: F401  before matplotlib

# isort: split
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from fastae.figures import save


def draw(
    path: Path,
    names: Sequence[str],
    rates: Sequence[float],
    predicted: Sequence[float | None],
    limit: float,
    unit: str,
    title: str,
) -> None:
    """Draw a bar for each rung, a tick for its predicted speed, and a line for the machine's limit.

    Parameters
    ----------
    path : Path
        The PNG file to write.
    names : sequence of str
        Names of the rungs, slowest first.
    rates : sequence of float
        Their speeds, in ``unit``.
    predicted : sequence of float or None
        The speed of the rung below times the predicted gain.
    limit : float
        The machine's limit.
    unit, title : str

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    figure = Figure(figsize=(8.0, 1.3 + 0.42 * len(names)), dpi=150, layout="constrained")
    axes = figure.subplots()
    places = range(len(names))
    left = min(rates) / 2
    axes.barh(places, [rate - left for rate in rates], left=left, height=0.62, color="C0", zorder=2)
    for place, guess in zip(places, predicted):
        if guess is not None:
            label = "predicted from the rung before" if place == 1 else None
            axes.plot([guess, guess], [place - 0.42, place + 0.42], color="C1", lw=2.2, zorder=3, label=label)
    axes.axvline(limit, color="0.35", lw=1.4, ls="--", zorder=1, label=f"limit, {limit:,.4g}")
    scale(axes, left, 1.5 * max(limit, *rates))
    axes.set_yticks(list(places), [f"{name}  {place + 1}" for place, name in zip(places, names)], fontsize=9)
    axes.invert_yaxis()  # the first rung at the top, as in the table
    right = axes.secondary_yaxis("right")
    right.set_yticks(list(places), [f"{rate:,.3g}" for rate in rates], fontsize=9)
    right.tick_params(length=0)
    axes.set_xlabel(unit, fontsize=9)
    axes.tick_params(axis="x", labelsize=8)
    axes.set_title(title, fontsize=10)
    axes.grid(axis="x", alpha=0.3)
    figure.legend(loc="outside lower center", ncols=2, fontsize=8, frameon=False)
    save(figure, path)


def scale(axes: Axes, left: float, right: float) -> None:
    """Make the x axis logarithmic from left to right, with plain numbers: few of them, but more than one."""
    axes.set_xscale("log")
    axes.set_xlim(left, right)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if right < 100 * left else (1,)))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
