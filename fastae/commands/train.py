"""The command ``fastae train``: its options, and the training."""

import argparse
import json
import os
import sys
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import numpy as np

from fastae import __version__, backends, storage
from fastae.commands import network, show
from fastae.commands.job import Job, check, prepared, read
from fastae.errors import Diverged, OutputError
from fastae.interrupts import delay_interrupts
from fastae.ranks.launch import PATIENCE
from fastae.ranks.world import START, WAYS
from fastae.rates import RATES, suggest

BEFORE = "checkpoint-before.npz"  # keeps the last training's checkpoint until this one has results
FAINT = "no value is above 1, of 255; black and white is read from bool arrays or floats of 0 and 1"
# Options in which a rank may differ from rank 0. Data and threads are compared elsewhere, by their contents.
EACH = {"run", "own", "stop", "world", "data", "out", "threads", "verbose", "no_progress", "patience"}


class Names:
    """The names of all backends for the help, looked up when they are printed: searching entry points takes time."""

    def __str__(self) -> str:
        return ", ".join(backends.names())


class Defaults(argparse.ArgumentDefaultsHelpFormatter):
    """A help formatter that appends "(default: ...)" to an option, unless the default is None or it is a switch."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        return action.help if action.default is None or action.default is False else super()._get_help_string(action)


def seconds(text: str) -> float:
    """Parse a positive number of seconds; an argparse type."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a positive number of seconds; got {text!r}")
    return number


def add_options(train: argparse.ArgumentParser) -> None:
    """Add the command's options to its parser."""
    train.description = (
        "Train an autoencoder, by default 784-256-128-256-784, and draw its reconstructions of ten test digits."
    )
    train.formatter_class = Defaults
    option = train.add_argument
    network.add_options(option)
    backend = option("--backend", default="auto", help="auto (cupy where a GPU works, else numba), %(names)s")
    backend.names = Names()  # type: ignore[attr-defined]
    option("--loss", default="mse", help="mse (squared error) or bce (cross-entropy)")
    option("--epochs", type=int, default=20, help="passes over all training images")
    option("--batch-size", type=int, default=16, help="images in one update")
    option(
        "--lr",
        type=float,
        help="learning rate of the first epoch; by default chosen for the network, the loss and the data: on MNIST "
        + ", ".join(
            f"for {name} {rates['mse']} with mse and {rates['bce']} with bce"
            for name, rates in ((name, RATES[name][kind.activation]) for name, kind in network.MODELS.items())
        )
        + "; less for brighter images, and others for another --activation",
    )
    option("--momentum", type=float, default=0.0, help="momentum of SGD, at least 0 and below 1")
    option(
        "--schedule",
        default="cosine",
        help="cosine: the learning rate falls from --lr in the first epoch towards 0 after the last; or constant",
    )
    option("--dtype", default="float32", help="float32 or float64")
    option("--seed", type=int, default=0, help="seed of the initial parameters and of the order of the images")
    option(
        "--threads",
        type=int,
        help="workers of the numba backend; by default NUMBA_NUM_THREADS or OMP_NUM_THREADS, else one for each "
        "core that it may use, at most 8. With several ranks: workers of each rank, by default its share of the "
        "machine's cores, or 1 with --shards",
    )
    option(
        "--mode",
        help="how cupy and emulator launch steps: captured (into a graph, which is replayed), eager (one by one) or "
        "persistent (one kernel that stays on the device); by default captured",
    )
    option(
        "--kernels",
        metavar="FILE",
        help="train with your own kernels, from a .py or .cu file; the kernels that it lacks come from a backend",
    )
    option("--tf32", action="store_true", help="let cupy and emulator multiply in TF32, which has 10 bits of mantissa")
    option(
        "--data",
        metavar="PATH",
        help="the images: a folder of IDX files (plain or .gz), of .npy files or of grey PNGs, or a single .npz or "
        ".npy file; by default MNIST, which is included",
    )
    option("--transpose", action="store_true", help="exchange rows and columns of the images, as EMNIST needs")
    option(
        "--limit",
        type=int,
        metavar="N",
        help="use only the first N training and at most N test images",
    )
    option(
        "--out",
        metavar="DIR",
        help="folder for the results; by default runs/<loss>-<backend>. The name also tells what differs from the "
        "default network, as in runs/conv-mse-numba, and the file of --kernels",
    )
    option(
        "--distributed",
        default="auto",
        choices=list(WAYS),
        help="how the processes that mpiexec started share each batch. mpi: gradients are summed by MPI; nccl: by "
        "NCCL, each process with its own GPU; none: they do not share; auto: nccl if it works, else mpi",
    )
    option(
        "--shards",
        type=int,
        metavar="N",
        help="cut each batch into N parts whose gradients are summed in one fixed order: the bits are then the same "
        "for any number of ranks that can share N; by default a part for each rank",
    )
    option(
        "--patience",
        type=seconds,
        metavar="SECONDS",
        default=PATIENCE,
        help="time after which ranks that wait for another rank report it and end the training",
    )
    option("--resume", action="store_true", help="continue from the last checkpoint in the results' folder")
    option("--verbose", action="store_true", help="print after each epoch the figures that the diagnosis uses")
    option("--no-progress", action="store_true", help="show no progress bar")


def run(options: argparse.Namespace) -> None:
    """Train as the options say; write the pictures, the history, the checkpoints and the model.

    Raises
    ------
    FastaeError
        Bad input, a training that diverged, or results that cannot be written.
    """
    from fastae.datasets import described, idx

    world = options.world
    given = {name: x for name, x in vars(options).items() if x is not None and name not in EACH}
    world.agree({f"--{name.replace('_', '-')}": x for name, x in given.items()})
    with world.together():
        check(options)
    with world.together():
        arrays = world.read_once(lambda: read(options), options.data or idx.MNIST)
    with world.together():
        job = prepared(options, *arrays)
    world.agree(job.note)
    with ExitStack() as until_written:
        with world.together():
            if not world.rank:
                _make_folder(job.out)
                until_written.enter_context(storage.owned(job.out))
        if options.data is not None and not world.rank:
            if what := described(options.data):
                print(f"data: {what}")
            if job.images.max() == 1:
                print(f"data: {FAINT}")
        why = _train(job, options)
        if not world.rank:
            _write(job, options, why)
        world.barrier(START)  # not in MPI's finalization, where nobody would name a rank 0 that hangs


def _write(job: Job, options: argparse.Namespace, why: str) -> None:
    """Write all results but the checkpoint, and print a summary; ``why`` is where the learning rate came from."""
    from fastae.diagnosis import diagnose

    trainer, out, world = job.trainer, job.out, options.world
    config = {
        **trainer.settings(job.note),
        "lr_from": why,
        "epochs": len(trainer.history.epochs),
        "data": options.data,
        "transpose": options.transpose,
        "limit": options.limit,
        "threads": trainer.workers,
        "ranks": {"number": world.size, "hosts": [host for host in world.hosts if host], "way": trainer.way},
        "version": __version__,
    }
    # Ctrl-C is held back for this second: inside matplotlib's C++ code it would turn into some other error.
    with delay_interrupts(), storage.results(out) as new:
        found = diagnose(trainer)
        history = {
            "config": config,
            "start": trainer.history.start,
            "epochs": trainer.history.as_dicts(),
            "diagnosis": None if found is None else found._asdict(),
        }
        with storage.replacing(new / "history.json") as file:
            file.write(json.dumps(history, indent=1).encode())
        trainer.model.save(new / "model.npz")
        summary = show.show(trainer, job.images, job.test_images, job.test_labels, new)
    (out / BEFORE).unlink(missing_ok=True)
    if summary:
        summary += "" if found is None else f"\n{found}"
        print(f"{summary}\nsee {out}/{', '.join(show.pictures(trainer.model))}, history.json and model.npz")


def _train(job: Job, options: argparse.Namespace) -> str:
    """Train the missing epochs, with a checkpoint after each; return where the learning rate comes from.

    If the folder has results of an earlier training, its checkpoint is kept until this training has results of its own.
    If this training diverges, the earlier checkpoint is put back.
    """
    trainer, world = job.trainer, options.world
    checkpoint, before = job.out / "checkpoint.npz", job.out / BEFORE
    resumed = world.broadcast(options.resume and checkpoint.exists())
    if resumed:
        trainer.resume(checkpoint, job.note)
    elif options.resume:
        print(f"there is no {checkpoint} to resume; the training begins with epoch 1", flush=True)
    why = _settle_rate(trainer, job.images, options)
    done = len(trainer.history.epochs)
    if done >= options.epochs:
        print(f"{checkpoint} has {done} epoch{'s' * (done != 1)} already; only the pictures are drawn again")
        return why
    if options.lr is None:
        print(f"learning rate {trainer.optimizer.lr:g}: {why}; --lr sets another", flush=True)
    if resumed and trainer.optimizer.schedule != "constant" and trainer.planned != options.epochs:
        print(
            f"epochs 1 to {done} had the learning rates of a training of {trainer.planned}; from here on they are "
            f"those of {options.epochs}, which does not end where {options.epochs} epochs in one training would"
        )
    if resumed and trainer.sharers != world.size and trainer.shards is None:
        print(
            f"epochs 1 to {done} were trained by {_ranks(trainer.sharers)}, from here on by {_ranks(world.size)}: the "
            "bits change. With --shards, from the first epoch on, they do not"
        )

    def keep(trainer: Any) -> None:
        if len(trainer.history.epochs) == 1 and not world.rank:
            with suppress(OSError):  # no checkpoint, or kept already, or a file system without links
                os.link(checkpoint, before)
        try:
            trainer.save(checkpoint, job.note)
        except BaseException:
            if before.exists() and before.samefile(checkpoint):
                before.unlink()
            raise
        if options.verbose and not world.rank:
            _print_figures(trainer, done)
        options.stop.check()

    options.stop.check()
    try:
        progress = not options.no_progress and not world.rank
        trainer.fit(job.images, options.epochs - done, job.test_images, progress, on_epoch=keep)
    except Diverged:
        if trainer.history.epochs and not world.rank and before.exists():
            os.replace(before, checkpoint)
        raise
    except KeyboardInterrupt as interrupt:
        if before.exists():
            interrupt.args = (f" The checkpoint of the earlier training is {before}.",)
        raise
    return why


def _ranks(number: int) -> str:
    return f"{number} rank{'s' * (number > 1)}"


def _settle_rate(trainer: Any, images: np.ndarray, options: argparse.Namespace) -> str:
    """Determine the learning rate unless ``--lr`` or a checkpoint gives it; return where it comes from."""
    if options.lr is not None:
        return "--lr"
    suggestion = suggest(images, trainer.model, trainer.loss, trainer.optimizer.momentum, trainer.batch_size)
    trainer.settle_rate(images)
    if trainer.optimizer.lr == suggestion.lr:
        return suggestion.reason
    return f"from the checkpoint; the data suggest {suggestion.lr:g} now"


def _print_figures(trainer: Any, done: int) -> None:
    """Print the figures of the last epoch; before those of the first epoch, print those of the data."""
    from tqdm import tqdm

    from fastae.diagnosis import lines

    history, activation = trainer.history, trainer.model.activation
    text = [lines.epoch(history.as_dicts()[-1], activation)]
    if len(history.epochs) == done + 1:
        text.insert(0, lines.beginning(history.start, activation))
    if sys.stdout:
        tqdm.write("\n".join(text))  # above the progress bar, if there is one


def _make_folder(out: Path) -> None:
    """Make the results' folder, and find out now, not after an hour of training, whether it can be written."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        probe = out / f".writable-{os.getpid()}"
        probe.touch()
        probe.unlink(missing_ok=True)  # the process that owns the folder may have removed it
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        raise OutputError(f"cannot write in {out}: {reason}; choose another with --out") from error
