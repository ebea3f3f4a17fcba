"""What of a CUDA kernel can be counted without a GPU, and how long it would take by a model that knows only that.

The model is one multiprocessor of an H100 (docs/cuda.md, "Predicted for an H100"), which has all blocks of the launch:

- it begins four instructions of a warp a cycle: 128 multiply-adds, loads or stores of a thread;
- one of these may be a load or a store, of up to 16 bytes a thread;
- shared memory answers in rounds, one a cycle;
- the second-level cache gives 64 bytes a cycle, two sectors.

The slowest of the four is the time; they overlap, and nobody ever waits. So it is the least that what was counted can
take. What is not in it: latencies, and whether there are threads enough to hide them; the first-level cache, since
every sector that a warp asks for comes from the second; instructions that are not counted, which are addresses, loops
and exponentials; and that a load of 16 bytes may need more rounds than the banks do.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from fastae.backends.contract import KERNELS
from fastae.backends.emulator import Counted, EmulatorBackend, counting
from fastae.check.calls import cases
from fastae.check.sandbox.process import doubting
from fastae.check.sandbox.remote import Remote
from fastae.check.speed import FLOPS, LETTERS
from fastae.ladder.rungs import Rung, between, ladder
from fastae.layers import Geometry

SHAPES = {
    "matmul": {"m": 64, "n": 64, "k": 64},
    "convolve": {"m": 1, "c": 32, "channels": 16, **Geometry(16, 16, kernel=3, stride=2, padding=1)._asdict()},
}
ELEMENTWISE = {"m": 64, "n": 256}
A_CYCLE = 128  # multiply-adds, loads or stores of a thread
BYTES_A_CYCLE, SECTOR = 64, 32


@dataclass(frozen=True)
class Counts:
    """What one launch did, in all its threads.

    Attributes
    ----------
    kernel : str
    shape : str
        Of what it computed.
    threads : int
    work : int
        Multiply-adds of a product; else elements.
    loads, stores : int
        Of global memory, by a thread.
    sectors, fewest_sectors : int
        That were moved, and that would have been if what each warp's instruction asks for lay side by side.
    shared_loads, shared_stores : int
    rounds, fewest_rounds : int
        Of shared memory's banks.
    requests : int
        Loads and stores by a warp, of both memories.
    barriers : int
        Times that a thread passed one.
    least : float
        Cycles in which the model's limits allow the work: its multiply-adds, or every array moved once.
    """

    kernel: str
    shape: str
    threads: int
    work: int
    loads: int
    stores: int
    sectors: int
    fewest_sectors: int
    shared_loads: int
    shared_stores: int
    rounds: int
    fewest_rounds: int
    requests: int
    barriers: int
    least: float

    def of_a_thread(self, count: int) -> float:
        """Return a count for one of the threads."""
        return count / self.threads

    def of_the_work(self, count: int) -> float:
        """Return a count for one multiply-add, or for one element."""
        return count / self.work

    @property
    def coalesced(self) -> float:
        """The share of the moved sectors that was needed."""
        return self.fewest_sectors / max(1, self.sectors)

    @property
    def conflicts(self) -> float:
        """The rounds of shared memory for each that was needed; 1 is none."""
        return self.rounds / max(1, self.fewest_rounds)

    @property
    def terms(self) -> dict[str, float]:
        """Cycles by what limits them."""
        accesses = self.loads + self.stores + self.shared_loads + self.shared_stores
        multiply_adds = self.work if self.kernel in FLOPS else 0
        return {
            "instructions": (multiply_adds + accesses) / A_CYCLE,
            "loads and stores": float(self.requests),
            "shared memory": float(self.rounds),
            "sectors": self.sectors * SECTOR / BYTES_A_CYCLE,
        }

    @property
    def cycles(self) -> float:
        """The modelled time."""
        return max(self.terms.values())

    @property
    def bound(self) -> str:
        """What it is made of."""
        return max(self.terms, key=self.terms.__getitem__)

    @property
    def share(self) -> float:
        """Of the limit: the least cycles, beside those of the model."""
        return self.least / max(1, self.cycles)


def count(backend: EmulatorBackend | Remote, kernel: str, **lengths: int) -> Counts:
    """Launch a kernel once on the emulator, with every access counted.

    Parameters
    ----------
    backend : EmulatorBackend
        Or a learner's file for it, in this process or in a worker.
    kernel : str
        A kernel of the contract with a matrix ``out``.
    **lengths : int
        By the contract's letters, and a convolution's as `cases.make` takes them; by default of `SHAPES`, or
        `ELEMENTWISE`.

    Returns
    -------
    Counts

    Raises
    ------
    KernelFault
        The kernel did what no CUDA program may do.
    """
    if isinstance(backend, Remote):
        with doubting():
            return Counts(**backend.count(kernel, lengths))
    lengths = lengths or SHAPES.get(kernel, ELEMENTWISE)
    arguments = cases.make(kernel, "float32", **lengths)
    arguments = {key: backend.asarray(x) if isinstance(x, np.ndarray) else x for key, x in arguments.items()}
    launcher = backend.launcher
    before, launcher.multiprocessors = launcher.multiprocessors, 1  # which alone needs no small tiles
    try:
        with counting() as counted:
            getattr(backend, kernel)(**arguments)
    finally:
        launcher.multiprocessors = before
    work = cases.work(kernel, lengths)
    lengths = {key: x for key, x in cases.lengths(kernel, lengths).items() if key in LETTERS}
    least = max(work / A_CYCLE if kernel in FLOPS else 0, KERNELS[kernel].bytes(4, **lengths) / BYTES_A_CYCLE)
    shape = " x ".join(str(lengths[x]) for x in ("pqc" if kernel == "convolve" else lengths))  # as of a product
    return Counts(kernel, shape, work=work, least=least, **_totals(counted))


def _totals(counted: Counted) -> dict[str, int]:
    def total(what: str, memory: str = "", action: str = "") -> int:
        chosen = (entry for entry in counted if memory in ("", entry.memory) and action in ("", entry.action))
        return sum(getattr(entry, what) for entry in chosen)

    return {
        "threads": counted.threads,
        "loads": total("accesses", "global", "read"),
        "stores": total("accesses", "global", "write"),
        "sectors": total("transactions", "global"),
        "fewest_sectors": total("best", "global"),
        "shared_loads": total("accesses", "shared", "read"),
        "shared_stores": total("accesses", "shared", "write"),
        "rounds": total("transactions", "shared"),
        "fewest_rounds": total("best", "shared"),
        # Of constant memory each place that a warp asks for is a request of its own.
        "requests": total("requests") + total("transactions", "constant") - total("requests", "constant"),
        "barriers": counted.barriers,
    }


COLUMNS = "{:16} {:>8} {:>8} {:>5} {:>9}  {:16} {:>7} {:>9} {:>6} {:>9} {:>8}"
HEADS = "rung cycles of~limit gain predicted what~limits loads coalesced shared conflicts barriers"
MEANING = """loads, shared: from global and from shared memory, for each {}; coalesced: of the sectors moved, those
that had to be; conflicts: rounds of shared memory's banks for each that had to be; barriers: of a thread"""


def table(rungs: Sequence[Rung], counts: Sequence[Counts]) -> str:
    """Put what was counted of every rung of a ladder in lines: the model's time, what was predicted, and why."""
    lines = [COLUMNS.format(*(head.replace("~", " ") for head in HEADS.split()))]
    for i, (rung, c) in enumerate(zip(rungs, counts)):
        gain = f"{counts[i - 1].cycles / c.cycles:.2f}" if i else ""
        guess = "" if rung.gain is None else f"{rung.gain:g}"
        told = f"{rung.number} {rung.name}", f"{c.cycles:,.0f}", f"{c.share:.1%}", gain, guess, c.bound
        loads, shared = (f"{c.of_the_work(x):.3g}" for x in (c.loads, c.shared_loads))
        conflicts = f"{c.conflicts:.2f}" if c.rounds else ""
        lines.append(
            COLUMNS.format(*told, loads, f"{c.coalesced:.0%}", shared, conflicts, f"{c.of_a_thread(c.barriers):g}")
        )
    unit = "multiply-add" if rungs[0].kernel in FLOPS else "element"
    return "\n".join([*lines, "", MEANING.format(unit)])


def place(name: str, learner: EmulatorBackend | Remote) -> str:
    """Say between which rungs of its ladder a kernel stands, by the model's cycles.

    Parameters
    ----------
    name : str
        The kernel of the contract, of which there is a ladder.
    learner : EmulatorBackend
        Whose it is.
    """
    cycles = count(learner, name).cycles
    told = [f"rung {rung.number} ({rung.name}, {height:,.0f})" for rung, height in _standing(name)]
    where = between(told, [cycles <= height for _, height in _standing(name)])
    return f"{cycles:,.0f} modelled cycles, {where}"


@cache
def _standing(name: str) -> tuple[tuple[Rung, float], ...]:
    """Return each rung with its cycles, counted once in a process."""
    return tuple((rung, count(rung.load("emulator"), name).cycles) for rung in ladder(name, "cuda"))
