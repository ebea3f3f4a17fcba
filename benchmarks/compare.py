"""Compare fastae with its peers: ``python -m benchmarks.compare``.

Every contender does the same job in a process of its own, one at a time, in turn; see `benchmarks.harness`. A table
goes to standard output; every segment's time, what it was measured on and a figure go to a folder. All contenders at
all batch sizes take about a quarter of an hour.
"""

import argparse
import json
import os
import platform
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator, StrMethodFormatter

import fastae
from benchmarks.contenders import CONTENDERS, first_epoch_loss, require, require_agreement
from benchmarks.harness import IDLE_BOUND, Race, race
from benchmarks.worker import LEAST_STEPS, PAUSE
from fastae.errors import FastaeError, InputError, OutputError

BATCHES = (1, 8, 16, 32, 64, 128, 512, 1024)
IMAGES = 60_000
CHECK_IMAGES = 4096
BUSY = 0.3  # load at the start above which somebody else is computing


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.compare",
        description="Compare the speed of fastae and its peers in training the same autoencoder on MNIST.",
        epilog="contenders:\n" + "\n".join(f"  {name:16}{entry.what}" for name, entry in CONTENDERS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--batches", type=int, nargs="+", default=BATCHES, metavar="N", help="batch sizes")
    parser.add_argument("--loss", choices=("mse", "bce"), default="mse")
    parser.add_argument("--contenders", nargs="+", default=list(CONTENDERS), metavar="NAME", help="default: all")
    parser.add_argument("--rounds", type=int, default=7, metavar="N", help="segments of each contender (default 7)")
    parser.add_argument("--seconds", type=float, default=0.7, metavar="S", help="length of a segment (default 0.7)")
    parser.add_argument("--threads", type=int, metavar="N", help="default: what each library chooses")
    parser.add_argument("--out", type=Path, default=Path("runs/compare"), metavar="DIR", help="default: runs/compare")
    parser.add_argument("--check", action="store_true", help="do not time: only check that all contenders train alike")
    arguments = parser.parse_args(argv)
    for name in ("rounds", "seconds", "threads"):
        value = getattr(arguments, name)
        if value is not None and value <= 0:
            raise InputError(f"--{name} must be positive; got {value:g}")
    most = CHECK_IMAGES if arguments.check else IMAGES // LEAST_STEPS
    for batch_size in arguments.batches:
        if not 1 <= batch_size <= most:
            raise InputError(f"a batch size must be from 1 to {most} here; got {batch_size}")
    require(arguments.contenders)
    return arguments


def machine(contenders: Sequence[str]) -> dict[str, Any]:
    """Describe what is measured on: processor, usable cores, load, versions."""
    libraries = sorted({CONTENDERS[name].library for name in contenders} | {"numpy"})
    return {
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "system": platform.system(),
        "versions": {
            "python": platform.python_version(),
            "fastae": fastae.__version__,
            **{library: version(library) for library in libraries},
        },
    }


def processor() -> str:
    """Return the processor's name as Linux knows it, or else as Python does."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def describe(found: dict[str, Any], arguments: argparse.Namespace) -> str:
    """Say what is measured, how and on what."""
    versions = ", ".join(f"{name} {number}" for name, number in found["versions"].items())
    load = "unknown" if found["load"] is None else f"{found['load']:.2f}"
    return (
        f"Autoencoder 784-256-128-256-784 in float32, loss {arguments.loss}, plain SGD on {IMAGES} images of MNIST.\n"
        "Microseconds a step, with its share of shuffling, gathering and summing the loss: median (smallest to\n"
        f"largest) of {arguments.rounds} segments of about {arguments.seconds:g} s and at least {LEAST_STEPS} steps. "
        "Each contender has a process of\nits own; they train in turn, and "
        f"{PAUSE:g} s pass after each segment for its idle threads to fall asleep.\n"
        "A ratio is the median of those of each round; below 1, fastae is the faster.\n\n"
        f"{found['processor']}, {found['cores']} cores, load {load}; {versions}\n"
    )


def compared(names: Sequence[str]) -> str | None:
    """Return the first of our contenders in the registry's order, to compare with the peers; None if either lack."""
    ours = [name for name in CONTENDERS if name in names and not CONTENDERS[name].peer]
    return ours[0] if ours and any(CONTENDERS[name].peer for name in names) else None


def heading(names: Sequence[str]) -> str:
    """Return the first two lines of the table."""
    ours = compared(names)
    cells = ["batch", *names] + ([f"{ours} / fastest peer"] if ours else [])
    return row(cells) + "\n" + row(["---:"] * len(cells))


def line(result: Race) -> str:
    """Return the table's row for one batch size."""
    cells = [str(result.batch_size)]
    for name in result.segments:
        times = result.times(name)
        cells.append(f"{result.time(name):,.0f} ({min(times):,.0f} to {max(times):,.0f})")
    ours = compared(list(result.segments))
    if ours:
        peer = result.fastest_peer()
        cells.append(f"{result.ratio(ours, peer):.2f} × {peer}")
    return row(cells)


def row(cells: Sequence[str]) -> str:
    """Join the cells of a table's row."""
    return f"| {' | '.join(cells)} |"


def draw(results: Sequence[Race], title: str) -> Figure:
    """Draw images a second against the batch size, a line for each contender from its slowest to its fastest round."""
    figure = Figure(figsize=(8.0, 4.8), dpi=150, layout="constrained")
    axes = figure.subplots()
    for index, (name, entry) in enumerate(CONTENDERS.items()):
        if name not in results[0].segments:
            continue
        sizes = [result.batch_size for result in results]
        rates = [[size * 1e6 / t for t in result.times(name)] for size, result in zip(sizes, results)]
        middle = [size * 1e6 / result.time(name) for size, result in zip(sizes, results)]
        width = 1.0 if entry.peer else 2.4
        axes.fill_between(sizes, [min(r) for r in rates], [max(r) for r in rates], color=f"C{index}", alpha=0.12)
        axes.plot(sizes, middle, color=f"C{index}", marker="osD^vP<>"[index], ms=5, lw=width, label=name)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.xaxis.set_major_locator(FixedLocator([result.batch_size for result in results]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.set_xlabel("batch size", fontsize=9)
    axes.set_ylabel("images a second", fontsize=9)
    axes.set_title(title, fontsize=10)
    axes.tick_params(labelsize=8)
    axes.grid(alpha=0.3)
    figure.legend(loc="outside right upper", fontsize=8, frameon=False)
    return figure


def write(folder: Path, loss: str, found: dict[str, Any], results: Sequence[Race]) -> None:
    """Write ``compare-<loss>.json`` and ``compare-<loss>.png``; raises `OutputError`."""
    raw = {"machine": found, "loss": loss, "races": [vars(result) for result in results]}
    try:
        (folder / f"compare-{loss}.json").write_text(json.dumps(raw, indent=1) + "\n")
        title = f"Training 784-256-128-256-784 in float32, loss {loss}\n{found['processor']}, {found['cores']} cores"
        draw(results, title).savefig(folder / f"compare-{loss}.png")
    except OSError as error:
        raise OutputError(f"cannot write into {folder}: {error.strerror or error}") from error


def check(arguments: argparse.Namespace) -> None:
    """Train every contender for an epoch at each batch size and raise `Disagreement` unless their losses agree."""
    images = fastae.load_dataset()[0][:CHECK_IMAGES]
    for batch_size in arguments.batches:
        losses = {
            name: first_epoch_loss(name, images, batch_size, arguments.loss, arguments.threads)
            for name in arguments.contenders
        }
        require_agreement(losses)
        told = ", ".join(f"{name} {loss:.5f}" for name, loss in losses.items())
        print(f"batch size {batch_size}: all train alike: {told}", flush=True)


def compare(arguments: argparse.Namespace) -> None:
    """Race the contenders at each batch size; print and write what came of it."""
    try:
        arguments.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {arguments.out}: {error.strerror or error}") from error
    found = machine(arguments.contenders)
    print(describe(found, arguments))
    if found["load"] is not None and found["load"] > BUSY:
        tell(f"warning: others are computing on this machine (load {found['load']:.2f}): expect wide ranges\n")
    results: list[Race] = []
    for batch_size in arguments.batches:
        result = race(
            arguments.contenders,
            batch_size,
            arguments.loss,
            arguments.rounds,
            arguments.seconds,
            arguments.threads,
            tell=lambda message: tell(f"\r\x1b[K{message}") if sys.stderr.isatty() else None,
        )
        if sys.stderr.isatty():
            tell("\r\x1b[K")
        if not results:
            print("Threads: " + ", ".join(f"{name} {ready['threads']}" for name, ready in result.ready.items()) + "\n")
            print(heading(arguments.contenders))
        print(line(result), flush=True)
        used, idler = result.busiest_idler()
        if used > IDLE_BOUND:
            tell(f"warning: {idler} used {used:.0%} of a core while others trained: their times suffer\n")
        results.append(result)
        write(arguments.out, arguments.loss, found, results)  # after each, for an interrupted run to leave the rest


def tell(message: str) -> None:
    """Write on standard error."""
    print(message, end="", file=sys.stderr, flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    try:
        arguments = parse(argv)
        if arguments.check:
            check(arguments)
        else:
            compare(arguments)
    except FastaeError as error:
        tell(f"compare: {error}\n")
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
