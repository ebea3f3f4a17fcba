"""The command ``fastae bench``: a race between fastae and its peers, and the kernels against the machine's limits."""

import argparse
from pathlib import Path

import fastae
from fastae import storage
from fastae.bench import ranks
from fastae.bench.contenders import CONTENDERS, first_epoch_loss, missing, of_model, require, require_agreement
from fastae.bench.contenders.job import NETWORKS
from fastae.bench.report import IMAGES, Report, tell
from fastae.bench.worker import LEAST_STEPS
from fastae.errors import InputError

BATCHES = (1, 8, 16, 32, 64, 128, 512, 1024)
CHECK_IMAGES = 4096


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the command's options to its parser."""
    parser.description = (
        "Train the same autoencoder with fastae and with other libraries, in turn, each\n"
        "in a process of its own; then compare the speed of fastae's kernels with the\n"
        "limits of this machine."
    )
    only = {name: f" (--model {' '.join(e.models)})" if len(e.models) == 1 else "" for name, e in CONTENDERS.items()}
    parser.epilog = "contenders:\n" + "\n".join(
        f"  {name:21}{entry.what}{only[name]}" for name, entry in CONTENDERS.items()
    )
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    option = parser.add_argument
    option("--model", choices=tuple(NETWORKS), default="dense", help="the network (default: dense)")
    option("--batches", type=int, nargs="+", metavar="N", help="batch sizes (default: 1 to 1024)")
    option("--loss", choices=("mse", "bce"), default="mse", help="loss (default: mse)")
    option(
        "--contenders",
        nargs="+",
        metavar="NAME",
        help="libraries to compare, listed below (default: all that are installed)",
    )
    option("--rounds", type=int, default=7, metavar="N", help="segments that each contender trains (default: 7)")
    option("--seconds", type=float, default=0.7, metavar="S", help="length of a segment in seconds (default: 0.7)")
    option("--threads", type=int, metavar="N", help="threads of each library (default: as many as it chooses)")
    option("--out", type=Path, metavar="DIR", help="folder for the results (default: runs/bench or runs/bench-conv)")
    option(
        "--only",
        choices=("race", "roofline"),
        help="only one part (default: both, about 20 minutes with all contenders)",
    )
    option(
        "--ranks",
        type=int,
        nargs="+",
        metavar="N",
        help="instead compare N processes that share every batch, as --ranks 1 2 4",
    )
    option(
        "--check", action="store_true", help="do not measure; only check that all contenders compute the same losses"
    )


def run(options: argparse.Namespace) -> None:
    """Run the benchmarks that the options ask for.

    Raises
    ------
    FastaeError
        Bad input, a contender that fails or trains differently, or a folder that cannot be written.
    """
    for name in ("rounds", "seconds", "threads"):
        value = getattr(options, name)
        if value is not None and value <= 0:
            raise InputError(f"--{name} must be positive; got {value:g}")
    if options.batches is None:
        options.batches = ranks.BATCHES if options.ranks else BATCHES
    most = CHECK_IMAGES if options.check else IMAGES // LEAST_STEPS
    for batch_size in options.batches:
        if not 1 <= batch_size <= most:
            raise InputError(f"a batch size must be from 1 to {most} here; got {batch_size}")
    if options.ranks:
        ranks.run(options)
        return
    if options.contenders is None:
        able = of_model(options.model)
        absent = {name: library for name in able if (library := missing(name))}
        options.contenders = [name for name in able if name not in absent]
        if absent:
            tell(f"left out for want of {', '.join(sorted(set(absent.values())))}: {', '.join(absent)}; "
                 "pip install 'fastae[bench]' installs them\n")  # fmt: skip
    require(options.contenders, options.model)
    if options.out is None:
        options.out = Path("runs", "bench" if options.model == "dense" else f"bench-{options.model}")
    if options.check:
        check(options)
        return
    storage.make_folder(options.out)
    report = Report(options)
    if options.only != "roofline":
        report.race()
    if options.only != "race":
        report.roofline()


def check(options: argparse.Namespace) -> None:
    """Train every contender for an epoch at each batch size; raise `Disagreement` unless their losses agree."""
    images = fastae.load_dataset()[0][:CHECK_IMAGES]
    for batch_size in options.batches:
        losses = {
            name: first_epoch_loss(name, images, batch_size, options.loss, options.threads, options.model)
            for name in options.contenders
        }
        require_agreement(losses)
        print(f"batch size {batch_size}: mean losses {min(losses.values()):.6f} to {max(losses.values()):.6f}")
