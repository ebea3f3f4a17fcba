"""Count what a CUDA kernel does on the emulator, and model the time that it would take on a GPU from the counts.

The model is one multiprocessor of an H100 (docs/cuda.md, "Predicted for an H100") that runs all blocks of the launch:

- it starts four instructions of a warp per cycle, that is 128 multiply-adds, loads or stores of a thread;
- one of these four may be a load or a store, of up to 16 bytes per thread;
- shared memory serves one round of its banks per cycle;
- the second-level cache delivers 64 bytes per cycle, two sectors.

The modelled time is the largest of these four terms, as if they overlapped without waiting. It is a lower bound for
what was counted. The model does not include latencies, or whether there are enough threads to hide them; the
first-level cache, since every sector that a warp requests comes from the second-level cache; instructions that are not
counted, such as addresses, loops and exponentials; and that a load of 16 bytes may need more rounds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from fastae.backends.contract import KERNELS
from fastae.backends.emulator import Counted, EmulatorBackend, counting
from fastae.check.calls import cases
from fastae.check.sandbox.process import validating
from fastae.check.sandbox.remote import Remote
from fastae.check.speed import FLOPS, LETTERS
from fastae.ladder.rungs import Rung, between, ladder
from fastae.layers import Geometry

SHAPES = {
    "matmul": {"m": 64, "n": 64, "k": 64},
    "convolve": {"m": 1, "c": 32, "channels": 16, **Geometry(16, 16, kernel=3, stride=2, padding=1)._asdict()},
}
ELEMENTWISE = {"m": 64, "n": 256}
A_CYCLE = 128  # multiply-adds, loads or stores of a thread per cycle
BYTES_A_CYCLE, SECTOR = 64, 32


@dataclass(frozen=True)
class Counts:
    """What all threads of one launch did together.

    Attributes
    ----------
    kernel : str
        The kernel of the contract.
    shape : str
        Lengths of the arrays.
    threads : int
        Number of threads.
    work : int
        Multiply-adds of a matrix product, else elements.
    loads, stores : int
        Accesses of threads to global memory.
    sectors, fewest_sectors : int
        Sectors that were moved; and how many would suffice if the bytes of each warp's access were contiguous.
    shared_loads, shared_stores : int
        Accesses of threads to shared memory.
    rounds, fewest_rounds : int
        Rounds of shared memory's banks; and how many would suffice without bank conflicts.
    requests : int
        Loads and stores of warps, to both memories.
    barriers : int
        Number of times that a thread passed a barrier.
    least : float
        Least cycles of the work in the model: those of its multiply-adds, or of moving every array once.
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
        """Return a count per thread."""
        return count / self.threads

    def of_the_work(self, count: int) -> float:
        """Return a count per multiply-add, or per element."""
        return count / self.work

    @property
    def coalesced(self) -> float:
        """Share of the moved sectors that was needed."""
        return self.fewest_sectors / max(1, self.sectors)

    @property
    def conflicts(self) -> float:
        """Rounds of shared memory divided by the needed ones; 1 means no bank conflicts."""
        return self.rounds / max(1, self.fewest_rounds)

    @property
    def terms(self) -> dict[str, float]:
        """Cycles of each of the model's four terms."""
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
        """The modelled time in cycles: the largest term."""
        return max(self.terms.values())

    @property
    def bound(self) -> str:
        """The name of the largest term."""
        return max(self.terms, key=self.terms.__getitem__)

    @property
    def share(self) -> float:
        """Share of the limit: the least cycles divided by the modelled ones."""
        return self.least / max(1, self.cycles)


def count(backend: EmulatorBackend | Remote, kernel: str, **lengths: int) -> Counts:
    """Launch a kernel once on the emulator and count every access.

    Parameters
    ----------
    backend : EmulatorBackend or Remote
        The emulator with the kernel, in this process or in a worker.
    kernel : str
        A kernel of the contract with a matrix ``out``.
    **lengths : int
        Lengths by the contract's letters, for a convolution as `cases.make` takes them; by default those in `SHAPES`,
        or `ELEMENTWISE`.

    Returns
    -------
    Counts

    Raises
    ------
    KernelFault
        The kernel did something that is not allowed in CUDA, such as an access outside an array.
    """
    if isinstance(backend, Remote):
        with validating():
            return Counts(**backend.count(kernel, lengths))
    lengths = lengths or SHAPES.get(kernel, ELEMENTWISE)
    arguments = cases.make(kernel, "float32", **lengths)
    arguments = {key: backend.asarray(x) if isinstance(x, np.ndarray) else x for key, x in arguments.items()}
    launcher = backend.launcher
    before, launcher.multiprocessors = (
        launcher.multiprocessors,
        1,
    )  # so that no smaller tile is chosen to occupy more of them
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
        # In constant memory each address that a warp reads is a separate request.
        "requests": total("requests") + total("transactions", "constant") - total("requests", "constant"),
        "barriers": counted.barriers,
    }


COLUMNS = "{:16} {:>8} {:>8} {:>5} {:>9}  {:16} {:>7} {:>9} {:>6} {:>9} {:>8}"
HEADS = "rung cycles of~limit gain predicted what~limits loads coalesced shared conflicts barriers"
MEANING = """loads, shared: from global and from shared memory, for each {}; coalesced: of the sectors moved, those
that had to be; conflicts: rounds of shared memory's banks for each that had to be; barriers: of a thread"""


def table(rungs: Sequence[Rung], counts: Sequence[Counts]) -> str:
    """Return a table of a ladder's rungs: modelled cycles, modelled and predicted gain, and the counts."""
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
    """Return between which rungs of its ladder a kernel is by the modelled cycles, in words.

    Parameters
    ----------
    name : str
        A kernel of the contract that has a ladder.
    learner : EmulatorBackend or Remote
        The learner's file.
    """
    cycles = count(learner, name).cycles
    told = [f"rung {rung.number} ({rung.name}, {height:,.0f})" for rung, height in _standing(name)]
    where = between(told, [cycles <= height for _, height in _standing(name)])
    return f"{cycles:,.0f} modelled cycles, {where}"


@cache
def _standing(name: str) -> tuple[tuple[Rung, float], ...]:
    """Return each rung with its modelled cycles; counted once in a process."""
    return tuple((rung, count(rung.load("emulator"), name).cycles) for rung in ladder(name, "cuda"))
