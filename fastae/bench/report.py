"""What ``fastae bench`` prints and writes: tables, figures and the machine's description."""

import argparse
import json
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import fastae
from fastae import storage
from fastae.bench.contenders import CONTENDERS
from fastae.bench.contenders.job import DESCRIBED
from fastae.bench.harness import IDLE_BOUND, Race, race
from fastae.bench.worker import LEAST_STEPS, PAUSE
from fastae.system import progress

ROOFLINE_BATCHES = (128, 16)
IMAGES = 60_000
BUSY = 0.3  # load at the start above which other programs are computing
SHARE_BATCHES = 16  # batches over which the number of computed multiplications is averaged
OURS = "fastae-numba"


class Report:
    """The results of the benchmarks: printed as they come, and written to the folder ``options.out``.

    Parameters
    ----------
    options : argparse.Namespace
        The command's options, complete.
    """

    def __init__(self, options: argparse.Namespace) -> None:
        self.options, self.machine = options, machine(options.contenders)
        self.title = f"{self.machine['processor']}, {self.machine['cores']} cores"
        self.races: list[Race] = []
        self.raw: dict[str, Any] = {"machine": self.machine, "model": options.model, "loss": options.loss}
        self.text: list[str] = []
        load = self.machine["load"]
        if load is not None and load > BUSY:
            tell(f"warning: other programs are running on this machine (load {load:.2f}): expect wide ranges\n")

    def say(self, line: str) -> None:
        """Print a line, and add it to ``bench.md``."""
        print(line, flush=True)
        self.text.append(line)

    def keep(self) -> None:
        """Write ``bench.json`` and ``bench.md``; called after each part, so that an interrupted run keeps results."""
        with storage.replacing(self.options.out / "bench.json") as file:
            file.write((json.dumps(self.raw, indent=1) + "\n").encode())
        with storage.replacing(self.options.out / "bench.md") as file:
            file.write(("\n".join(self.text) + "\n").encode())

    def race(self) -> None:
        """Let the contenders train in turn at each batch size."""
        from fastae.bench import figures

        options = self.options
        self.say(describe(self.machine, options))
        for batch_size in options.batches:
            result = race(
                options.contenders,
                batch_size,
                options.loss,
                options.rounds,
                options.seconds,
                options.threads,
                tell=progress,
                model=options.model,
            )
            if not self.races:
                threads = ", ".join(f"{name} {ready['threads']}" for name, ready in result.ready.items())
                self.say(f"Threads: {threads}\n")
                self.say(heading(options.contenders))
            self.say(line(result))
            warn_of_idlers(result)
            self.races.append(result)
            self.raw["races"] = [vars(result) for result in self.races]
            self.keep()
            title = f"Training {DESCRIBED[options.model]}\nfloat32, loss {options.loss}; {self.title}"
            figures.speed(options.out / "speed.png", self.races, title)

    def roofline(self) -> None:
        """Measure the machine's limits and the kernels, and compare the rate of the whole step with them."""
        from fastae.backends.numba_backend.workers import choose
        from fastae.bench import figures, limits, roofline

        measured, alone = {}, None
        for m in ROOFLINE_BATCHES:
            alone, measured[m] = roofline.kernels(m, self.options.rounds, progress, self.options.model)
        assert alone is not None
        workers = choose(self.options.threads).workers
        team = limits.measure(workers, self.options.rounds)
        progress("")
        self.say(f"\nMeasured limits, multiply-adds in float32 and reading: {in_words(alone)}; {in_words(team)}\n")
        columns = [*(f"batch {m}, GFLOP/s" for m in measured), *["of its roof"] * len(measured)]
        self.say(header(["kernel, one core", *columns], named=True))
        for kernels in zip(*measured.values()):
            rates = [f"{k.rate / 1e9:.1f}" if k.flops else f"{k.bytes / k.seconds / 1e9:.1f} GB/s" for k in kernels]
            self.say(row([kernels[0].name, *rates, *(f"{kernel.share:.0%}" for kernel in kernels)]))
        self.raw["limits"] = [limit._asdict() for limit in (alone, team)]
        self.raw["kernels"] = {m: [kernel.as_dict() for kernel in kernels] for m, kernels in measured.items()}
        self.steps(team.flops)
        self.keep()
        what = "Kernels" if self.options.model == "dense" else "Layers and kernels of the convolutional network"
        title = f"{what}, Numba backend\nfloat32, one core; {self.title}"
        figures.roofline(self.options.out / "roofline.png", alone, measured, title)

    def steps(self, limit: float) -> None:
        """Report which share of the limit, in operations per second, the whole step reached in the race, if any."""
        from fastae.bench.roofline import multiplications, multiplications_done

        dense, images = self.options.model == "dense", fastae.load_dataset()[0]
        results = [result for result in self.races if OURS in result.segments]
        if not results:
            return
        # The dense step skips products with dark pixels; for convolutions all products of the definition count.
        columns = ["GFLOP/s done", "of the limit", "GFLOP/s if dense"] if dense else ["GFLOP/s", "of the limit"]
        columns = ["batch", "step, µs", *columns, "one worker / team"]
        self.say("\n" + header(columns))
        for result in results:
            m, seconds = result.batch_size, result.time(OURS) / 1e6
            whole = done = 2 * multiplications(m, self.options.model) / seconds
            if dense:
                batches = [images[i * m : (i + 1) * m] for i in range(min(SHARE_BATCHES, len(images) // m))]
                done = 2 * sum(map(multiplications_done, batches)) / len(batches) / seconds
            alone = f"{OURS}-1"
            gain = f"{result.ratio(alone, OURS):.2f}" if alone in result.segments else ""
            cells = [str(m), f"{seconds * 1e6:,.0f}", f"{done / 1e9:.0f}", f"{done / limit:.0%}"]
            self.say(row([*cells, *([f"{whole / 1e9:.0f}"] if dense else []), gain]))
            self.raw.setdefault("steps", []).append({"batch_size": m, "done": done, "dense": whole})


def in_words(limits: Any) -> str:
    """Return limits in words."""
    who = "one core" if limits.workers == 1 else f"{limits.workers} cores together"
    return (
        f"{who} {limits.flops / 1e9:.0f} GFLOP/s, {limits.near / 1e9:.0f} GB/s from the second-level cache, "
        f"{limits.far / 1e9:.1f} GB/s from memory"
    )


def machine(contenders: Sequence[str]) -> dict[str, Any]:
    """Return a description of the machine: processor, usable cores, load, versions."""
    libraries = sorted({CONTENDERS[name].libraries[0] for name in contenders} | {"numpy", "numba"})
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
    """Return the processor's name from Linux, or else from Python."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def describe(found: Mapping[str, Any], options: argparse.Namespace) -> str:
    """Return what is measured, how, and on which machine, for the head of the report."""
    return (
        f"Autoencoder {DESCRIBED[options.model]}, in float32,\nloss {options.loss}, plain SGD on {IMAGES} images of "
        "MNIST.\n"
        "Microseconds a step, with its share of shuffling, gathering and summing the loss: median (smallest to\n"
        f"largest) of {options.rounds} segments of about {options.seconds:g} s and at least {LEAST_STEPS} steps. "
        "Each contender has a process of\nits own; they train in turn, and "
        f"{PAUSE:g} s pass after each segment for its idle threads to fall asleep.\n"
        "A ratio is the median of those of each round; below 1, fastae is the faster. A perfect dense step does every\n"
        "multiply-add of the definition at the rate that the cores had before the round, and nothing else.\n\n"
        f"{in_one_line(found)}\n"
    )


def in_one_line(found: Mapping[str, Any]) -> str:
    """Return the description of a machine in one line."""
    versions = ", ".join(f"{name} {number}" for name, number in found["versions"].items())
    load = "unknown" if found["load"] is None else f"{found['load']:.2f}"
    return f"{found['processor']}, {found['cores']} cores, load {load}; {versions}"


def compared(names: Sequence[str]) -> str | None:
    """Return the first of fastae's contenders, to compare with the peers; None without both."""
    ours = [name for name in CONTENDERS if name in names and not CONTENDERS[name].peer]
    return ours[0] if ours and any(CONTENDERS[name].peer for name in names) else None


def heading(names: Sequence[str]) -> str:
    """Return the first two lines of the table, in Markdown."""
    ours = compared(names)
    cells = ["batch", *names] + ([f"{ours} / fastest peer", f"{ours} / perfect dense step"] if ours else [])
    return header(cells)


def line(result: Race) -> str:
    """Return the table's row for one batch size."""
    cells = [str(result.batch_size)]
    for name in result.segments:
        cells.append(spread(result.times(name)))
    ours = compared(list(result.segments))
    if ours:
        peer = result.fastest_peer()
        cells += [f"{result.ratio(ours, peer):.2f} × {peer}", f"{result.of_perfect(ours):.2f}"]
    return row(cells)


def spread(values: Sequence[float]) -> str:
    """Return the median of some values, and the smallest and largest of them."""
    return f"{median(values):,.0f} ({min(values):,.0f} to {max(values):,.0f})"


def header(cells: Sequence[str], named: bool = False) -> str:
    """Return the first two lines of a Markdown table of numbers; with ``named``, its first column has names."""
    return row(cells) + "\n" + row([*["---"] * named, *["---:"] * (len(cells) - named)])


def row(cells: Sequence[str]) -> str:
    """Return a row of a Markdown table."""
    return f"| {' | '.join(cells)} |"


def warn_of_idlers(result: Race) -> None:
    """Warn if a contender used a core while others trained."""
    used, idler = result.busiest_idler()
    if used > IDLE_BOUND:
        tell(f"warning: {idler} used {used:.0%} of a core while others trained: their times suffer\n")


def tell(message: str) -> None:
    """Write a message to standard error."""
    print(message, end="", file=sys.stderr, flush=True)
