"""The ladders of a kernel, climbed while the book is built: NumPy and Numba timed, CUDA counted, side by side."""

import os
from collections.abc import Sequence
from functools import cache

import book
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fastae.check.speed import FLOPS
from fastae.ladder.climb import climb, cpu_for
from fastae.ladder.counts import Counts, count
from fastae.ladder.figures import scale
from fastae.ladder.rungs import Rung, ladder

ROUNDS = int(os.environ.get("FASTAE_BOOK_ROUNDS", "3"))  # the tests are content with one


def climbed(name: str, m: int = 128) -> Figure:
    """Climb the three ladders of a kernel and draw them: bars, ticks where a rung was predicted to be, and limits."""
    figure, panels = plt.subplots(3, 1, figsize=(6.6, 7.2), height_ratios=[len(ladder(name, x)) for x in LANGUAGES])
    for axes, language in zip(panels, LANGUAGES):
        rungs = ladder(name, language)
        if language == "cuda":
            counts = counted(name)
            rates, limit = [c.work / c.cycles for c in counts], counts[0].work / counts[0].least
            what = "multiply-adds" if rungs[0].kernel in FLOPS else "elements"
            title = f"CUDA: {what} a cycle of one multiprocessor, counted"
        else:
            kernels = [(rung.name, rung.function()) for rung in rungs]
            device = cpu_for(language)
            _, heights = climb(kernels, rungs[0].kernel, m, device, rounds=ROUNDS)
            rates, limit = [h.rate / 1e9 for h in heights], heights[-1].rate / heights[-1].share / 1e9
            cores = "one core" if device.workers == 1 else f"{device.workers} cores"
            title = f"{NAMES[language]}: {'GFLOP/s' if rungs[0].kernel in FLOPS else 'GB/s'}, timed, limit of {cores}"
        _panel(axes, rungs, rates, limit, title)
    return figure


@cache
def counted(name: str) -> list[Counts]:
    """Count every rung of a ladder for CUDA on the emulator."""
    return [count(rung.load("emulator"), rung.kernel) for rung in ladder(name, "cuda")]


LANGUAGES = ("numpy", "numba", "cuda")
NAMES = {"numpy": "NumPy", "numba": "Numba"}


def _panel(axes: Axes, rungs: Sequence[Rung], rates: Sequence[float], limit: float, title: str) -> None:
    left = min(rates) / 2
    axes.barh(range(len(rungs)), [rate - left for rate in rates], left=left, height=0.6, color=book.BLUE)
    for i, (rung, below) in enumerate(zip(rungs, [0.0, *rates])):
        if rung.gain is not None:
            axes.plot([rung.gain * below] * 2, [i - 0.42, i + 0.42], color=book.ORANGE, linewidth=2.2)
    axes.axvline(limit, color=book.INK, linestyle="--", linewidth=1.2)
    scale(axes, left, 2 * max(limit, *rates))
    axes.set_yticks(range(len(rungs)), [f"{rung.number} {rung.name}" for rung in rungs], fontsize=9)
    right = axes.secondary_yaxis("right")
    right.set_yticks(range(len(rungs)), [f"{rate:,.3g}" for rate in rates], fontsize=9)
    right.tick_params(length=0)
    right.spines[:].set_visible(False)
    axes.invert_yaxis()
    axes.tick_params(axis="x", labelsize=8)
    axes.set_title(title, fontsize=10, loc="left")
