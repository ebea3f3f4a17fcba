"""The command line: ``fastae train``, ``check``, ``ladder``, ``exercise``, ``bench`` and ``doctor``.

Bad input ends in one line and status 2.
"""

import argparse
import json
import os
import shlex
import signal
import sys
import zlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from fastae import __version__, backends, storage
from fastae.bench import command
from fastae.check import command as check_command
from fastae.errors import Diverged, FastaeError, InputError, OutputError
from fastae.interrupts import Stop, held
from fastae.ladder import command as ladder_command

LEARNING_RATES = {"mse": 0.25, "bce": 0.05}
LOSS_NAMES = {"mse": "squared error", "bce": "cross-entropy"}
BEFORE = "checkpoint-before.npz"
RESERVE = {"numpy": 128, "numba": 512}  # MiB that a backend takes beside the data, and 32 more for each core


class Parser(argparse.ArgumentParser):
    """argparse, but a mistake is answered in one line."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and where to look."""
        self.exit(2, one_line(f"{self.prog}: {message}; see {self.prog} --help") + "\n")


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    top = Parser(prog="fastae", description="An autoencoder on MNIST, to learn fast kernels from.", allow_abbrev=False)
    top.add_argument("--version", action="version", version=f"fastae {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=Parser)
    train = commands.add_parser(
        "train",
        help="train the autoencoder and draw what it learned",
        description="Train the autoencoder 784-256-128-256-784 and draw its reconstructions of ten test digits.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        allow_abbrev=False,
    )
    option = train.add_argument
    option(
        "--backend", default="auto", help="auto (cupy where a GPU works, else numba), " + ", ".join(backends.names())
    )
    option("--loss", default="mse", help="mse (squared error) or bce (cross-entropy)")
    option("--epochs", type=int, default=20, help="times that every image is seen")
    option("--batch-size", type=int, default=16, help="images in one update")
    option(
        "--lr",
        type=float,
        help=f"learning rate; by default {LEARNING_RATES['mse']} for mse and {LEARNING_RATES['bce']} for bce",
        default=argparse.SUPPRESS,
    )
    option("--momentum", type=float, default=0.0, help="of SGD, at least 0 and below 1")
    option(
        "--schedule",
        default="cosine",
        help="cosine: the learning rate falls from --lr in the first epoch towards 0 behind the last; or constant",
    )
    option(
        "--init",
        default="glorot-sigmoid",
        metavar="NAME|F",
        help="glorot-sigmoid, or the standard deviation of every weight and bias",
    )
    option("--dtype", default="float32", help="float32 or float64")
    option("--seed", type=int, default=0, help="of the initial parameters and of the order of the images")
    option(
        "--threads",
        type=int,
        help="workers of the numba backend; by default the cores, at most 8",
        default=argparse.SUPPRESS,
    )
    option(
        "--mode",
        help="how cupy and emulator launch steps: captured (into a graph, which is replayed), eager (one by one) or "
        "persistent (one kernel that stays on the device); by default captured",
        default=argparse.SUPPRESS,
    )
    option(
        "--kernels",
        metavar="FILE",
        help="a .py or .cu file with kernels of your own, to train with; what it lacks comes from its backend",
        default=argparse.SUPPRESS,
    )
    option("--tf32", action="store_true", help="let cupy and emulator multiply in TF32, which has 10 bits of mantissa")
    option(
        "--data",
        metavar="DIR",
        help="folder of IDX files, plain or .gz; by default MNIST, which is included",
        default=argparse.SUPPRESS,
    )
    option(
        "--limit",
        type=int,
        metavar="N",
        help="use only the first N training and at most N test images",
        default=argparse.SUPPRESS,
    )
    option(
        "--out",
        metavar="DIR",
        help="folder for the results; by default runs/<loss>-<backend>, and -<file> with --kernels",
        default=argparse.SUPPRESS,
    )
    option("--resume", action="store_true", help="go on from the last checkpoint in the results' folder")
    option("--no-progress", action="store_true", help="show no progress bar")
    train.set_defaults(run=run_train)
    bench = commands.add_parser(
        "bench", help="measure fastae beside other libraries and this machine's limits", allow_abbrev=False
    )
    command.add_options(bench)
    bench.set_defaults(run=command.run)
    check = commands.add_parser(
        "check",
        help="tell whether a kernel of your own is right, and what may be wrong with it",
        description="Call the kernels of a file in every way that the contract allows. Exit status 0 if all are right, "
        "1 if one is wrong, 2 if the file cannot be checked.",
        allow_abbrev=False,
    )
    check_command.add_options(check)
    check.set_defaults(run=check_command.run)
    climb = commands.add_parser(
        "ladder",
        help="climb from naive loops to the kernel that a backend uses, with what each idea gains",
        description="Time the teaching versions of a kernel beside this machine's limit, and draw them; or, for CUDA "
        "without a GPU, count what they ask of memory.",
        allow_abbrev=False,
    )
    ladder_command.add_ladder_options(climb)
    climb.set_defaults(run=ladder_command.run_ladder)
    exercise = commands.add_parser(
        "exercise",
        help="take the idea out of a rung of a ladder, and put it back",
        description="Exercises made from the ladders: start one, edit the file that it writes, check it. Exit status "
        "of check: 0 if it is right and its goal is reached, 1 if not, 2 if it cannot be checked.",
        allow_abbrev=False,
    )
    ladder_command.add_exercise_options(exercise)
    exercise.set_defaults(run=ladder_command.run_exercise)
    doctor = commands.add_parser(
        "doctor",
        help="tell for each backend whether it works here, or why not and what mends it",
        description="Train a few steps with each backend and compare. Exit status 1 if numpy or numba does not work.",
        allow_abbrev=False,
    )
    doctor.set_defaults(run=run_doctor)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments; by default those of the process.

    Returns
    -------
    int
        Exit status: 0, 1 from a command that found something wrong, 2 for bad input, 130 and 143 when
        interrupted, by Ctrl-C and by SIGTERM.
    """
    own, argv = argv is None, sys.argv[1:] if argv is None else list(argv)
    for word in argv:
        if word.startswith("--") and word.endswith("=--"):  # of which argparse up to Python 3.12 makes an empty list
            parser().error(f"argument {word.removesuffix('=--')}: expected one argument")
    options = parser().parse_args(argv)
    options.own = own
    with Stop(lambda: _interrupted(options, argv)) as options.stop:
        try:
            status = options.run(options)
            sys.stdout.flush()
        except FastaeError as error:
            print(one_line(f"fastae: {error}"), file=sys.stderr)
            return 2
        except MemoryError:
            print("fastae: not enough memory; try a smaller --batch-size or --limit", file=sys.stderr)
            return 2
        except KeyboardInterrupt as interrupt:
            return _interrupted(options, argv, *interrupt.args)
        except (BrokenPipeError, UnicodeEncodeError) as error:  # the results are written; only the telling failed
            sys.stdout = open(os.devnull, "w")  # noqa: SIM115  for the interpreter, which flushes it at the end
            print(one_line(f"fastae: cannot print all of it: {error}"), file=sys.stderr)
            return 2
        except OSError as error:  # a disk that is full elsewhere, no more processes or open files
            print(one_line(f"fastae: the system refuses: {error}"), file=sys.stderr)
            return 2
        except RuntimeError as error:
            if "can't start new thread" not in str(error):
                raise
            print("fastae: this system starts no more threads; try fewer --threads", file=sys.stderr)
            return 2
    return status or 0


def _interrupted(options: argparse.Namespace, argv: list[str], more: str = "") -> int:
    """Say how to go on; return the exit status, as a shell has it."""
    told = "interrupted"
    if options.command == "train":
        again = shlex.join(["fastae", *argv, *([] if options.resume else ["--resume"])])
        told += f"; what the last whole epoch gave is kept.{more} To go on: {again}"
    print(f"\nfastae: {told}", file=sys.stderr, flush=True)
    return 128 + (options.stop.number or signal.SIGINT)


def run_doctor(options: argparse.Namespace) -> int:
    """Examine every backend; a GPU is nobody's duty."""
    from fastae import doctor

    findings = doctor.examine()
    print(doctor.report(findings))
    return int(not all(finding.works for finding in findings if finding.name in ("numpy", "numba")))


def run_train(options: argparse.Namespace) -> None:
    """Train as the options say; write pictures, history, checkpoint and model."""
    from fastae.datasets import load_dataset
    from fastae.model import Autoencoder
    from fastae.optimizer import SGD
    from fastae.trainer import LOSSES, Trainer

    data, limit = getattr(options, "data", None), getattr(options, "limit", None)
    if options.loss not in LOSSES:
        raise InputError(f"unknown loss {options.loss!r}; the losses are: mse, bce")
    if limit is not None and limit < 1:
        raise InputError(f"--limit must be a positive whole number; got {limit}")
    if options.epochs < 1:
        raise InputError(f"--epochs must be a positive whole number; got {options.epochs}")
    optimizer = SGD(getattr(options, "lr", LEARNING_RATES[options.loss]), options.momentum, options.schedule)
    kernels = getattr(options, "kernels", None)
    backend: Any = backends.get(options.backend) if kernels is None else None
    images, _ = load_dataset(data, "train")
    test_images, test_labels = load_dataset(data, "test")
    images, test_images, test_labels = images[:limit], test_images[:limit], test_labels[:limit]
    if images.shape[1] != test_images.shape[1]:
        raise InputError(f"training images have {images.shape[1]} pixels, but test images {test_images.shape[1]}")
    _require_memory(options.backend)
    if kernels is not None:
        from fastae.check import learner

        backend = learner.load(kernels, options.backend)
    init = options.init if options.init == "glorot-sigmoid" else _number(options.init)
    model = Autoencoder((images.shape[1], 256, 128), options.seed, options.dtype, init)
    trainer = Trainer(
        model,
        options.loss,
        optimizer,
        backend,
        options.batch_size,
        options.seed,
        threads=getattr(options, "threads", None),
        mode=getattr(options, "mode", None),
        tf32=options.tf32,
    )
    note = {
        "images": f"{len(images)} with checksum {zlib.crc32(images.data):08x}",
        "test_images": f"{len(test_images)} with checksum {zlib.crc32(test_images.data):08x}",
        "kernels": getattr(backend, "origin", None),
    }
    own = "" if kernels is None else f"-{Path(kernels).stem}"
    out = Path(getattr(options, "out", None) or f"runs/{options.loss}-{backend.name}{own}")
    _make_folder(out)
    with storage.owned(out):
        _train(trainer, images, test_images, out, options, note)
        config = {**trainer.settings(note), "epochs": len(trainer.history.epochs), "data": data, "limit": limit,
                  "threads": trainer.workers, "version": __version__}  # fmt: skip
        # A Ctrl-C waits this second: in the C++ that matplotlib loads it would become some other error.
        with held(), storage.results(out) as new:
            with storage.replacing(new / "history.json") as file:
                file.write(json.dumps({"config": config, "epochs": trainer.history.as_dicts()}, indent=1).encode())
            model.save(new / "model.npz")
            told = _show(trainer, images, test_images, test_labels, new)
        (out / BEFORE).unlink(missing_ok=True)
    if told:
        print(f"{told}\nsee {out}/reconstructions.png, loss.png, history.json and model.npz")


def _train(
    trainer: Any, images: np.ndarray, test_images: np.ndarray, out: Path, options: argparse.Namespace, note: Any
) -> None:
    """Train for the epochs that are missing, each of which ends with a checkpoint.

    The checkpoint of an earlier training, whose results are still there, is kept until this one has results of its own:
    if this one diverges, the earlier one is back in its place.
    """
    checkpoint, before = out / "checkpoint.npz", out / BEFORE
    resumed = options.resume and checkpoint.exists()
    if resumed:
        trainer.resume(checkpoint, note)
    done = len(trainer.history.epochs)
    if done >= options.epochs:
        print(f"{checkpoint} has {done} epochs already; only the pictures are drawn again")
        return
    if resumed and trainer.optimizer.schedule != "constant" and trainer.planned != options.epochs:
        print(
            f"epochs 1 to {done} had the learning rates of a training of {trainer.planned}; from here on they are "
            f"those of {options.epochs}, which does not end where {options.epochs} epochs in one training would"
        )

    def keep(trainer: Any) -> None:
        if len(trainer.history.epochs) == 1:
            with suppress(OSError):  # there is none, or it is kept already, or the file system has no links
                os.link(checkpoint, before)
        try:
            trainer.save(checkpoint, note)
        except BaseException:
            if before.exists() and before.samefile(checkpoint):
                before.unlink()
            raise
        options.stop.check()

    options.stop.check()
    try:
        trainer.fit(images, options.epochs - done, test_images, progress=not options.no_progress, on_epoch=keep)
    except Diverged:
        if trainer.history.epochs and before.exists():
            os.replace(before, checkpoint)
        raise
    except KeyboardInterrupt as interrupt:
        if before.exists():
            interrupt.args = (f" The checkpoint of the training before is {before}.",)
        raise


def _show(trainer: Any, images: np.ndarray, test_images: np.ndarray, labels: np.ndarray, out: Path) -> str:
    """Draw what was learned, on paper, and return what to say of it, with digits where a terminal can show them."""
    from fastae import figures, terminal

    model, epochs = trainer.model, trainer.history.epochs
    mean_image = images.mean(axis=0) / 255
    some = range(0, len(test_images), 1000)  # in floats, a few at a time
    squares = sum(float(np.sum((test_images[i : i + 1000] / 255 - mean_image) ** 2)) for i in some)
    blob = squares / test_images.size  # what knowing only the mean image would give
    digits = test_images[terminal.one_of_each(labels)]
    drawn = model.reconstruct(digits)
    count = "1 epoch" if len(epochs) == 1 else f"{len(epochs)} epochs"
    caption = (
        f"{LOSS_NAMES[trainer.loss]}, {count} of {len(images):,} images, batch size {trainer.batch_size}, "
        f"{trainer.backend.name}{' in TF32' if trainer.tf32 else ''}: test error {epochs[-1].test_mse:.4f} a pixel"
    )
    figures.reconstructions(out / "reconstructions.png", digits, [("reconstruction", drawn)], caption)
    history = trainer.history.as_dicts()
    figures.loss_curve(out / "loss.png", history, caption, references={"mean image": blob})
    told = []
    if sys.stdout.isatty():
        plain = not (sys.stdout.encoding or "").lower().startswith("utf")
        told.append(terminal.draw_pairs(digits, drawn, ascii=plain))
    seconds = sum(epoch.seconds for epoch in epochs)
    team = f" with {trainer.workers} workers" if trainer.workers > 1 else ""
    told += [caption, f"trained in {seconds:.1f} s{team}; the mean image alone would give {blob:.4f}"]
    if epochs[-1].test_mse > 0.9 * blob:
        told.append(
            "The network has learned hardly more than the mean image, the same blob for every digit. Try more epochs, "
            "a smaller batch, another --lr, or --init glorot-sigmoid if you changed it."
        )
    return "\n".join(told)


def one_line(message: str) -> str:
    """Return the message without line breaks, which a name that it quotes may hold."""
    return " ".join(message.splitlines())


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text  # the model says what it should have been


def _make_folder(out: Path) -> None:
    """Make the results' folder, and see now rather than after an hour that it can be written."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        probe = out / f".writable-{os.getpid()}"
        probe.touch()
        probe.unlink(missing_ok=True)  # whoever owns the folder may have cleared it
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        raise OutputError(f"cannot write in {out}: {reason}; choose another with --out") from error


def _require_memory(backend: str) -> None:
    """Raise `InputError` if there is too little; OpenBLAS and LLVM end the process when they find out."""
    size = RESERVE.get(backend, RESERVE["numba"]) + 32 * min(os.cpu_count() or 1, 64)
    try:
        np.empty(size << 20, np.uint8)  # addresses alone: nothing is written there
    except MemoryError:
        raise InputError(f"not enough memory: --backend {backend} needs {size} MiB beside the images") from None
