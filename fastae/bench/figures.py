"""What `fastae bench` draws: images a second against the batch size, and the roofline."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import fastae.drawing  # noqa: F401  before matplotlib

# isort: split
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator, StrMethodFormatter

from fastae.bench.contenders import CONTENDERS, of_model
from fastae.bench.harness import Race
from fastae.bench.limits import Limits
from fastae.bench.roofline import Measured
from fastae.figures import save

MARKERS = "osD^vP<>Xp"
PRODUCTS = {"forward": "o", "update": "s", "backward": "D"}  # the other kernels are elementwise


def new(title: str) -> tuple[Figure, Axes]:
    """Return a new figure with one pair of axes."""
    figure = Figure(figsize=(8.0, 4.8), dpi=150, layout="constrained")
    axes = figure.subplots()
    axes.set_title(title, fontsize=10)
    axes.tick_params(labelsize=8)
    axes.grid(alpha=0.3)
    return figure, axes


def speed(path: Path, races: Sequence[Race], title: str) -> None:
    """Draw images per second against the batch size.

    Each contender has a line for its median, and a band from its slowest to its fastest round.

    Parameters
    ----------
    path : Path
        The PNG file to write.
    races : sequence of Race
        One for each batch size, of one model.
    title : str

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    figure, axes = new(title)
    sizes = [race.batch_size for race in races]
    for index, name in enumerate(of_model(races[0].model)):
        if name not in races[0].segments:
            continue
        entry = CONTENDERS[name]
        rates = [[size * 1e6 / t for t in race.times(name)] for size, race in zip(sizes, races)]
        middle = [size * 1e6 / race.time(name) for size, race in zip(sizes, races)]
        width = 1.0 if entry.peer else 2.4
        axes.fill_between(sizes, [min(r) for r in rates], [max(r) for r in rates], color=f"C{index}", alpha=0.12)
        axes.plot(sizes, middle, color=f"C{index}", marker=MARKERS[index], ms=5, lw=width, label=name)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.xaxis.set_major_locator(FixedLocator(sizes))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.set_xlabel("batch size", fontsize=9)
    axes.set_ylabel("images a second", fontsize=9)
    figure.legend(loc="outside right upper", fontsize=8, frameon=False)
    save(figure, path)


def roofline(path: Path, limits: Limits, measured: Mapping[int, Sequence[Measured]], title: str) -> None:
    """Draw the kernels at each batch size under the limits of one core.

    Parameters
    ----------
    path : Path
        The PNG file to write.
    limits : Limits
        Those of one core.
    measured : mapping of int to sequence of Measured
        Kernels by batch size.
    title : str

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    figure, axes = new(title)
    left, right = 0.08, 300.0
    intensity = np.geomspace(left, right, 400)
    for bandwidth, style, where in ((limits.near, "-", "second-level cache"), (limits.far, "--", "memory")):
        roof = np.minimum(limits.flops, intensity * bandwidth) / 1e9
        axes.plot(intensity, roof, style, color="0.4", lw=1.4, label=f"{where}, {bandwidth / 1e9:,.0f} GB/s")
    axes.annotate(f"multiply-adds, {limits.flops / 1e9:,.0f} GFLOP/s", (right, limits.flops / 1e9), xytext=(-4, 4),
                  textcoords="offset points", ha="right", fontsize=7.5)  # fmt: skip
    kinds: list[str] = []
    for kernels, filled in zip(measured.values(), (True, False)):
        for kernel in kernels:
            if not kernel.flops:  # it only moves data, and has no rate of operations
                continue
            kind = kernel.name.split()[0]
            label = None if kind in kinds else kind
            kinds += [kind] if label else []
            color = f"C{kinds.index(kind) % 10}"
            face, marker = color if filled else "none", PRODUCTS.get(kind, "^" if kinds.index(kind) < 10 else "v")
            at = kernel.intensity, kernel.rate / 1e9
            axes.plot(*at, marker, color=color, mfc=face, ms=6, mew=1.2, ls="none", label=label)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(left, right)
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.set_xlabel("operations a byte that must be moved", fontsize=9)
    axes.set_ylabel("GFLOP/s, one core", fontsize=9)
    note = "; ".join(f"{how}: batch {m}" for how, m in zip(("filled", "open"), measured))
    figure.legend(loc="outside right upper", fontsize=8, frameon=False, title=note, title_fontsize=8)
    save(figure, path)
