"""The plan of the persistent kernel: in which phase to do the updates and to gather the next batch.

A phase ends when its last block is done. Blocks that are done earlier can do tasks that are not urgent: updates of
weights that no later phase of the step reads, then pixels of the next batch. The last phase does the remaining tasks. A
task that is done earlier shortens the last phase by its share, but may make its own phase longer.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from fastae.backends.cupy_backend.launcher import WARP, Launcher, tiles

PIXELS = 2048  # pixels of the next batch in a task, as in persistent.cu
SUM = 1000  # cycles of a sum over images or pixels, or of a task of the next batch: nearly all of it is latency


class Share(NamedTuple):
    """How many of the step's tasks are done at the end of a layer's two phases, counted from the beginning of the step.

    Attributes
    ----------
    updated : int
        Tasks of the updates, the last layer's first, after this layer's backward phase.
    gathered_forward, gathered_backward : int
        Tasks of the next batch, after this layer's forward phase and after its backward phase.
    """

    updated: int
    gathered_forward: int
    gathered_backward: int


class Tasks(NamedTuple):
    """A number of tasks that take the same number of cycles each."""

    number: int
    cycles: float


class Phase:
    """The cycles of each block in a phase; tasks are given to the blocks in turn, as in the kernel.

    Parameters
    ----------
    blocks : int
    own : sequence of Tasks
        The tasks that must be done in this phase.
    """

    def __init__(self, blocks: int, own: Sequence[Tasks]) -> None:
        self._loads, self._dealt = np.zeros(blocks), 0
        for tasks in own:
            for _ in range(tasks.number):
                self._deal(tasks.cycles)

    @property
    def cycles(self) -> float:
        """The cycles that the phase takes."""
        return float(self._loads.max())

    def _deal(self, cycles: float) -> float:
        block = self._dealt % len(self._loads)
        self._loads[block] += cycles
        self._dealt += 1
        return float(self._loads[block])

    def take(self, waiting: Sequence[Tasks]) -> list[int]:
        """Add the number of waiting tasks, in their order, that saves the most time; return how many of each."""
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
        Predicts the cycles of each tile.
    real : dtype

    Returns
    -------
    shares : list of Share
        By layer.
    cycles : float
        The predicted cycles of the step, without barriers.
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
