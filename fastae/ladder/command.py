"""The command ``fastae ladder``."""

import argparse
import difflib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fastae import backends, storage, system
from fastae.check.speed import FLOPS
from fastae.errors import InputError
from fastae.ladder import exercises
from fastae.ladder.climb import Cpu, Gpu, Speed, amount, climb, cpu_for, work_of
from fastae.ladder.rungs import KERNELS, Rung, ladder, listing, split

BLOCKS = " ▏▎▍▌▋▊▉█"
BAR = 28  # characters
FOLDER = Path("runs/ladder")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the command's options to its parser."""
    parser.description = (
        "Time the versions (rungs) of a kernel, from naive loops to a fast one, and draw them beside this machine's "
        "limit. For CUDA without a GPU, count their accesses to memory instead."
    )
    option = parser.add_argument
    option("ladder", nargs="?", metavar="LADDER", help=f"{', '.join(KERNELS)}; without it, list all rungs")
    option(
        "--backend",
        default="numba",
        help="numpy or numba: time the rungs; emulator: count the accesses of the CUDA rungs; cupy: time them on a GPU "
        "(default: numba)",
    )
    option("--show", type=int, metavar="N", help="print rung N, with + before each line that rung N - 1 does not have")
    option("--batch-size", type=int, default=128, metavar="M", help="number of images in a call (default: 128)")
    option("--product", default="forward", help="for matmul: forward, backward or update (default: forward)")
    option(
        "--rounds", type=int, default=5, metavar="N", help="number of rounds; each times every rung once (default: 5)"
    )
    option("--out", type=Path, metavar="DIR", help="folder for the picture and the numbers (default: runs/ladder)")


def run(options: argparse.Namespace) -> None:
    """List the ladders, print a rung, or time or count a ladder, as the options say.

    Raises
    ------
    InputError
        There is no such ladder, rung, product or number of rounds.
    OutputError
        The results' folder cannot be written.
    """
    if options.ladder is None:
        print(f"{listing()}\n\nfastae ladder LADDER --backend BACKEND times it; --show N prints a rung")
        return
    rungs = ladder(options.ladder, options.backend)
    if options.show is not None:
        print(shown(rungs, options.show))
        return
    if options.rounds < 1:
        raise InputError(f"--rounds must be a positive whole number; got {options.rounds}")
    if rungs[0].language == "cuda" and options.backend != "cupy":
        _count(rungs, options.out or FOLDER)
        return
    _climb(rungs, options)


def shown(rungs: Sequence[Rung], number: int) -> str:
    """Return a rung's text and code; lines that the rung below does not have are marked with +."""
    if not 1 <= number <= len(rungs):
        raise InputError(f"this ladder has the rungs 1 to {len(rungs)}; got {number}")
    rung = rungs[number - 1]
    if rung.path is None:
        return f"rung {number} is {rung.title}"
    header, code = split(exercises.solution(rung))
    before = split(exercises.solution(rungs[number - 2]))[1] if number > 1 else code
    lines = [line for line in difflib.ndiff(before.splitlines(), code.splitlines()) if line[0] in " +"]
    return f"rung {number}, {rung.name}: {header.strip()}\n\n" + "\n".join(line.rstrip() for line in lines)


def _climb(rungs: Sequence[Rung], options: argparse.Namespace) -> None:
    first = rungs[0]
    device: Cpu | Gpu
    if first.language == "cuda":
        device, cores = Gpu(backends.get("cupy")), "the GPU, as it says of itself,"
    else:
        device = cpu_for(first.language)
        cores = "one core" if device.workers == 1 else f"{device.workers} cores"
    work = work_of(first.kernel, options.batch_size, options.product)
    kernels = [(rung.name, rung.function()) for rung in rungs]
    machine, speeds = climb(
        kernels, first.kernel, options.batch_size, device, options.product, options.rounds, tell=system.progress
    )
    unit = "GFLOP/s" if first.kernel in FLOPS else "GB/s"
    most = amount(work) / work.least(machine)
    bound = "multiply-adds" if work.flops / machine.flops >= work.least(machine) else "memory"
    title = f"{first.ladder} in {first.language}, {work.shape}: limit of {cores} {most / 1e9:,.4g} {unit} ({bound})"
    print(table(rungs, speeds, most, unit, title))
    print("\n".join(_legend(rungs)))
    rates = [speed.rate / 1e9 for speed in speeds]
    _keep(rungs, rates, most / 1e9, unit, title, [asdict(speed) for speed in speeds], options.out or FOLDER)


def _count(rungs: Sequence[Rung], folder: Path) -> None:
    from fastae.ladder import counts

    backends.get("emulator")  # raises if it cannot run here, and says why
    found = [counts.count(rung.load("emulator"), rung.kernel) for rung in rungs]
    unit = f"{'multiply-adds' if rungs[0].kernel in FLOPS else 'elements'} a cycle"
    least = found[0].least
    title = f"{rungs[0].ladder} in cuda, {found[0].shape}, counted: one multiprocessor's limit is {least:,.0f} cycles"
    print(f"{title}\n\n{counts.table(rungs, found)}")
    print("\n".join(_legend(rungs)))
    rates, kept = [c.work / c.cycles for c in found], [asdict(c) | {"cycles": c.cycles} for c in found]
    _keep(rungs, rates, found[0].work / least, unit, title, kept, folder)


def _legend(rungs: Sequence[Rung]) -> list[str]:
    """Return lines with the rungs' titles and the commands that show or exercise them."""
    show = f"fastae ladder {rungs[0].ladder} --backend {rungs[0].language} --show 2"
    more = f"{show} prints a rung; fastae exercise start {rungs[1].exercise} takes its idea out"
    return ["", *(f"{rung.number} {rung.short_title}" for rung in rungs), "", more]


def table(rungs: Sequence[Rung], speeds: Sequence[Speed], most: float, unit: str, title: str) -> str:
    """Return a timed ladder as a table: rate, share of the limit, measured and predicted gain, and a bar."""
    lines = [title, "", f"{'rung':20} {unit:>9} {'of limit':>9} {'gain':>7} {'predicted':>9}"]
    for rung, speed in zip(rungs, speeds):
        gain = "" if speed.gain is None else f"{speed.gain:.2f}" if speed.gain < 10 else f"{speed.gain:.0f}"
        guess = "" if rung.gain is None else f"{rung.gain:g}"
        share = speed.rate / most
        bar = "#" * round(min(1, share) * BAR) if system.ascii_only() else _bar(min(1, share))
        lines.append(
            f"{f'{rung.number} {rung.name}':20} {speed.rate / 1e9:9,.3g} {share:9.1%} {gain:>7} {guess:>9}  {bar}"
        )
    return "\n".join(lines)


def _bar(share: float) -> str:
    eighths = round(share * BAR * 8)
    return BLOCKS[-1] * (eighths // 8) + BLOCKS[eighths % 8].strip()


def _keep(
    rungs: Sequence[Rung],
    rates: Sequence[float],
    limit: float,
    unit: str,
    title: str,
    found: list[dict[str, Any]],
    folder: Path,
) -> None:
    from fastae.ladder.figures import draw

    storage.make_folder(folder)
    stem = f"{rungs[0].ladder}-{rungs[0].language}"
    predicted = [rung.gain and below * rung.gain for rung, below in zip(rungs, [0.0, *rates])]
    draw(folder / f"{stem}.png", [rung.name for rung in rungs], rates, predicted, limit, unit, title)
    entries = [{"rung": rung.name} | entry for rung, entry in zip(rungs, found)]
    content = {"ladder": title, "limit": limit, "unit": unit, "rungs": entries}
    with storage.replacing(folder / f"{stem}.json") as file:
        file.write((json.dumps(content, indent=1) + "\n").encode())
    print(f"see {folder}/{stem}.png and {stem}.json")
