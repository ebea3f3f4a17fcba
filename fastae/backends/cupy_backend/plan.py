"""Which phase of the persistent kernel does what may be done in several: updates, and the next batch.

A phase ends when its last block does. Blocks that are done earlier can take tasks that nobody waits for yet: those of
an update whose weights no later phase reads, then pixels of the next batch. What is left is done in the last phase. A
task that is taken earlier saves its share of the last phase, and costs what it makes its own phase longer.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from fastae.backends.cupy_backend.launcher import WARP, Launcher, tiles

PIXELS = 2048  # of a task of the next batch, as in persistent.cu
SUM = 1000  # cycles that a sum over images or pixels, or a task of the next batch, takes: nearly all of it is waiting


class Share(NamedTuple):
    """What a layer's two phases leave done of the step's lists of tasks, counted from the first.

    Attributes
    ----------
    updated : int
        Tasks of the updates, the last layer's first, behind this layer's backward phase.
    gathered_forward, gathered_backward : int
        Tasks of the next batch, behind this layer's forward and backward phase.
    """

    updated: int
    gathered_forward: int
    gathered_backward: int


class Tasks(NamedTuple):
    """So many tasks, each of so many cycles."""

    number: int
    cycles: float


class Phase:
    """The cycles that each block has been given, dealt out in turn as the kernel does.

    Parameters
    ----------
    blocks : int
    own : sequence of Tasks
        What the phase must do.
    """

    def __init__(self, blocks: int, own: Sequence[Tasks]) -> None:
        self._loads, self._dealt = np.zeros(blocks), 0
        for tasks in own:
            for _ in range(tasks.number):
                self._deal(tasks.cycles)

    @property
    def cycles(self) -> float:
        """How long the phase takes."""
        return float(self._loads.max())

    def _deal(self, cycles: float) -> float:
        block = self._dealt % len(self._loads)
        self._loads[block] += cycles
        self._dealt += 1
        return float(self._loads[block])

    def take(self, waiting: Sequence[Tasks]) -> list[int]:
        """Add as many waiting tasks, in their order, as pay best; return how many of each."""
        before = self._loads.copy(), self._dealt
        own = end = self.cycles
        moved = best = 0.0
        taken = 0
        for cycles in (tasks.cycles for tasks in waiting for _ in range(tasks.number)):
            end = max(end, self._deal(cycles))
            moved += cycles
            gain = moved / len(self._loads) - (end - own)
            if gain > best:
                best, taken = gain, self._dealt - before[1]
        self._loads, self._dealt = before
        counts = []
        for tasks in waiting:
            counts.append(min(tasks.number, taken))
            taken -= counts[-1]
            for _ in range(counts[-1]):
                self._deal(tasks.cycles)
        return counts


def make_plan(
    layers: Sequence[tuple[int, int]], m: int, launcher: Launcher, real: np.dtype[Any]
) -> tuple[list[Share], float]:
    """Plan a step.

    Parameters
    ----------
    layers : sequence of (inputs, outputs)
    m : int
        Images in a batch.
    launcher : Launcher
        Which knows the device, the tiles and what they should cost.
    real : dtype

    Returns
    -------
    shares : list of Share
        By layer.
    cycles : float
        That the step should take, barriers left out.
    """

    def product(rows: int, cols: int, depth: int) -> Tasks:
        tile = launcher.tile(rows, cols, depth, real)
        return Tasks(tiles(rows, cols, tile), launcher.cycles_of_tile(tile, depth, real))

    def update(l: int) -> list[Tasks]:
        inputs, outputs = layers[l]
        return [product(inputs, outputs, m), Tasks(-(-outputs // WARP), SUM)]

    blocks, last, total = launcher.multiprocessors, len(layers) - 1, 0.0
    batch = Tasks(-(-m * layers[0][0] // PIXELS), SUM)
    forward, backward = [], {}
    gathered = updated = 0
    for inputs, outputs in layers:
        phase = Phase(blocks, [product(m, outputs, inputs)])
        gathered += phase.take([batch._replace(number=batch.number - gathered)])[0]
        forward.append(gathered)
        total += phase.cycles
    waiting: list[Tasks] = []
    for l in range(last, 0, -1):
        inputs, outputs = layers[l]
        losses = Tasks(m if l == last else 0, SUM)
        phase = Phase(blocks, [product(m, inputs, outputs), losses])
        *counts, pixels = phase.take([*waiting, batch._replace(number=batch.number - gathered)])
        waiting = [tasks._replace(number=tasks.number - count) for tasks, count in zip(waiting, counts)] + update(l)
        updated, gathered = updated + sum(counts), gathered + pixels
        backward[l] = updated, gathered
        total += phase.cycles
    rest = [*waiting, *update(0), Tasks(1, SUM), batch._replace(number=batch.number - gathered)]
    shares = [Share(backward.get(l, (0, 0))[0], forward[l], backward.get(l, (0, 0))[1]) for l in range(last + 1)]
    return shares, total + Phase(blocks, rest).cycles
