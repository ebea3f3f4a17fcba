"""``fastae bench --ranks``: the speed of several processes that share each batch, and the cost of communication."""

import argparse
import shutil
import sys
from collections.abc import Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from fastae import storage
from fastae.bench.contenders import missing
from fastae.bench.contenders.job import DESCRIBED
from fastae.bench.harness import Race, Worker, take_turns
from fastae.bench.report import Report, header, in_one_line, row, spread, tell, warn_of_idlers
from fastae.errors import InputError, MissingPackage
from fastae.ranks import launch
from fastae.system import progress

BATCHES = (32, 128, 512, 1024)


class Way(NamedTuple):
    """A way to use a number of cores: a contender, its number of processes, and the threads of each process."""

    contender: str
    ranks: int
    threads: int

    @property
    def key(self) -> str:
        """The name of this way in a `Race`."""
        return f"{self.contender} {self.ranks}x{self.threads}"


def ways(ranks: int) -> list[Way]:
    """Return the ways to compare for a number of ranks; for one rank, only a single process with one thread."""
    if ranks == 1:
        return [Way("fastae-numba", 1, 1)]
    return [
        Way("fastae-numba", 1, ranks),
        Way("ranks", ranks, 1),
        Way("messages", ranks, 1),
        Way("torch-ddp", ranks, 1),
    ]


def launcher() -> list[str]:
    """Return the command that starts ranks, without their number: mpiexec beside this Python, or else on the PATH.

    Raises
    ------
    MissingPackage
        mpiexec or mpi4py is missing.
    """
    beside = str(Path(sys.executable).parent)
    found = shutil.which("mpiexec", path=beside) or shutil.which("mpiexec")
    absent = missing("ranks") or (None if found else "mpiexec")
    if absent or not found:
        raise MissingPackage(f"several ranks need {absent}, which is not installed: pip install 'fastae[mpi]'")
    return [found, "-n"]


def race(options: Any, all_ways: Sequence[Way], batch_size: int) -> Race:
    """Let all ways train in turn at one batch size; arguments and errors as in `fastae.bench.harness.race`."""

    def start(way: Way) -> Worker:
        command: Sequence[str] = launcher() if way.ranks > 1 else ()
        of_all = batch_size, options.loss, options.seconds
        return Worker(way.contender, *of_all, way.threads, options.model, command, way.ranks)

    starts = {way.key: partial(start, way) for way in all_ways}
    return take_turns(Race(batch_size, model=options.model), starts, options.rounds, progress)


HEADING = [
    "batch", "ranks", "one worker", "as many workers", "ranks of one", "by messages", "PyTorch DDP",
    "× one worker", "time / workers", "time / DDP", "communicating", "of it waiting", "by messages: communicating",
]  # fmt: skip


def rows(result: Race, numbers: Sequence[int], absent: str | None) -> list[list[str]]:
    """Return the cells of the table for one batch size, a row for each number of ranks.

    Parameters
    ----------
    result : Race
    numbers : sequence of int
        Of ranks.
    absent : str or None
        The library that PyTorch's contender lacks.
    """
    (alone,) = ways(1)
    found = []
    for number in numbers:
        cells = [str(result.batch_size), str(number), rate(result, alone)]
        team, ours, by_messages, theirs = ways(number)
        cells += [rate(result, way) for way in (team, ours, by_messages)]
        cells.append(f"needs {absent}" if absent else rate(result, theirs))
        cells.append(f"{result.ratio(alone.key, ours.key):.2f}")
        cells.append(f"{result.ratio(ours.key, team.key):.2f}")
        cells.append("" if absent else f"{result.ratio(ours.key, theirs.key):.2f}")
        cells += [f"{share(result, ours, 'communicating'):.0%}", f"{share(result, ours, 'waiting'):.0%}"]
        cells.append(f"{share(result, by_messages, 'communicating'):.0%}")
        found.append(cells)
    return found


def rate(result: Race, way: Way) -> str:
    """Return the images per second of the median segment, and those of the slowest and the fastest."""
    return spread([result.batch_size * 1e6 / time for time in result.times(way.key)])


def share(result: Race, way: Way, of: str) -> float:
    """Return a share of rank 0's time, the median over the segments.

    With ``of="communicating"`` it is the share of the whole time, with ``of="waiting"`` that of the time spent
    communicating.
    """
    whole = "seconds" if of == "communicating" else "communicating"
    return median(segment[of] / (segment[whole] or 1.0) for segment in result.segments[way.key])


def run(options: argparse.Namespace) -> None:
    """Measure all ways for each batch size and number of ranks; print the results, and write them to files.

    Raises
    ------
    FastaeError
        Bad input, MPI is missing, a process fails, or the contenders do not train alike.
    """
    numbers = sorted({number for number in options.ranks if number != 1})
    for name in ("check", "contenders", "only", "threads"):
        if getattr(options, name):
            raise InputError(f"--{name} does not go with --ranks")
    if launch.place():
        raise InputError("fastae bench starts its ranks itself: run it without mpiexec")
    if min(options.ranks) < 1 or not numbers:
        raise InputError("--ranks takes whole numbers of at least 1, one of them larger: --ranks 1 2")
    if max(numbers) > min(options.batches):
        few = min(options.batches)
        raise InputError(f"{max(numbers)} ranks cannot share {few} image{'s' * (few > 1)}")
    launcher()
    options.out = options.out or Path("runs", "bench-ranks")
    storage.make_folder(options.out)
    absent = missing("torch-ddp")
    if absent:
        tell(f"left out for want of {absent}: PyTorch DDP; pip install 'fastae[bench]' installs it\n")
    all_ways = [way for number in (1, *numbers) for way in ways(number) if not absent or way.contender != "torch-ddp"]
    options.contenders = ["fastae-numba"]
    report = Report(options)
    libraries = ["mpi4py", *([] if absent else ["torch"])]
    report.machine["versions"].update({library: version(library) for library in libraries})
    if max(numbers) > report.machine["cores"]:
        tell(f"warning: {max(numbers)} ranks of one thread each share {report.machine['cores']} cores\n")
    report.say(describe(report.machine, options))
    report.say(header(HEADING))
    for batch_size in options.batches:
        result = race(options, all_ways, batch_size)
        for cells in rows(result, numbers, absent):
            report.say(row(cells))
        warn_of_idlers(result)
        report.raw.setdefault("ranks", []).append(vars(result))
        report.keep()


def describe(found: dict[str, Any], options: argparse.Namespace) -> str:
    """Return what is measured, how, and on which machine, for the head of the report."""
    return (
        f"Autoencoder {DESCRIBED[options.model]}, in float32, loss {options.loss}, plain SGD, every batch shared by\n"
        "ranks of one thread each. Images a second: median (smallest to largest) of "
        f"{options.rounds} segments of about {options.seconds:g} s,\nin turn with one process of one worker and one of "
        "as many workers as there are ranks. Ranks of one machine see\neach other's gradients; with messages they do "
        "as those of different machines must, though none leaves this one.\nPyTorch: DistributedDataParallel over "
        "gloo, one thread a rank. Ratios are medians of those of each round: how\nmany times as fast as one worker, "
        "and the ranks' time over that of the others. Communicating is a rank's share\nof the step between its own "
        "gradient and the sum of all; a part of that it waits for other ranks.\n\n"
        f"{in_one_line(found)}\n"
    )
