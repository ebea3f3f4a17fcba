"""The command line ``fastae``: the table of its commands, and how each of them ends.

The options and the work of a command are in its own module, which `COMMANDS` names. Bad input ends a command with one
line on standard error and exit status 2.
"""

import argparse
import atexit
import gc
import io
import os
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from importlib import import_module
from typing import NamedTuple, NoReturn

from fastae import __version__, system
from fastae.errors import FastaeError, InputError
from fastae.interrupts import Stop
from fastae.ranks import launch

NO_READER = 128 + 13  # the exit status of a program that SIGPIPE ends


class Parser(argparse.ArgumentParser):
    """An `argparse.ArgumentParser` that reports an error in one line and lists examples at the end of its help.

    Attributes
    ----------
    examples : sequence of str
        Command lines, without the program's name.
    """

    examples: Sequence[str] = ()

    def format_help(self) -> str:
        """Return the help text with the examples appended; argparse itself would re-wrap their lines."""
        lines = [f"  fastae {example}" for example in self.examples]
        return "\n".join([super().format_help(), *(["examples:", *lines, ""] if lines else [])])

    def error(self, message: str) -> NoReturn:
        """Print what is wrong and where the help is, and exit with status 2."""
        self.exit(2, one_line(f"{self.prog}: {message}; see {self.prog} --help") + "\n")


class Command(NamedTuple):
    """One row of the table of commands.

    Attributes
    ----------
    purpose : str
        One line for ``fastae --help``.
    module : str
        The module with the functions ``add_options(parser)`` and ``run(options)``. It is imported when its command is
        asked for.
    examples : tuple of str
        Command lines for the end of the command's help, without the program's name.
    """

    purpose: str
    module: str
    examples: tuple[str, ...]


COMMANDS = {
    "train": Command(
        "train the autoencoder and draw what it learned",
        "fastae.commands.train",
        (
            "train --limit 6000 --epochs 3",
            "train --loss bce --sizes 784,100,20 --out runs/small",
            "train --data fashion-mnist --model conv",
            "train --resume --epochs 40",
        ),
    ),
    "bench": Command(
        "compare fastae's speed with other libraries and with this machine's limits",
        "fastae.bench.command",
        ("bench --batches 16 128 --contenders fastae-numpy fastae-numba",),
    ),
    "check": Command(
        "check whether your kernel is correct, and what may be wrong with it",
        "fastae.check.command",
        ("check mine.py", "check mine.cu --out errors", "check --gallery"),
    ),
    "run": Command(
        "compile and run a whole CUDA program without a GPU",
        "fastae.run.command",
        ("run program.cu -- 1024", "run --check -O2 -I include program.cu"),
    ),
    "trace": Command(
        "show a CUDA kernel step by step as it runs, on an HTML page",
        "fastae.trace.command",
        ("trace mine.cu --kernel matmul --out page.html",),
    ),
    "grade": Command(
        "grade a folder of submissions by a rubric, with a page for each student",
        "fastae.grade.command",
        ("grade --example-rubric", "grade submissions --rubric rubric.toml"),
    ),
    "ladder": Command(
        "time versions of a kernel, from naive loops to the one that a backend uses",
        "fastae.ladder.command",
        ("ladder matmul", "ladder sigmoid --backend numpy --show 2"),
    ),
    "exercise": Command(
        "remove the idea from a rung of a ladder, for you to put it back",
        "fastae.ladder.exercise_command",
        ("exercise list", "exercise start matmul-numba-2", "exercise check matmul-numba-2"),
    ),
    "doctor": Command(
        "report for each backend whether it works here, or why not and how to fix it", "fastae.doctor", ("doctor",)
    ),
    "completion": Command(
        "print a script that lets bash or zsh complete commands and options",
        "fastae.commands.completion",
        ('completion  # eval "$(fastae completion)"',),
    ),
}


def parser(argv: Sequence[str]) -> argparse.ArgumentParser:
    """Return the parser of a command line: all commands, with the options of the one that is asked for.

    The modules of the other commands are not imported, because that takes longer than most commands run.

    Parameters
    ----------
    argv : sequence of str
        Arguments without the program's name.
    """
    top = Parser(
        prog="fastae", description="An autoencoder on MNIST, for learning how fast kernels work.", allow_abbrev=False
    )
    top.add_argument("--version", action="version", version=f"fastae {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=Parser)
    asked = next((word for word in argv if not word.startswith("-")), None)
    top.examples = [command.examples[0] for command in COMMANDS.values()]
    for name, (purpose, module, examples) in COMMANDS.items():
        command = commands.add_parser(name, help=purpose, allow_abbrev=False)
        if name == asked:
            implementation = import_module(module)
            implementation.add_options(command)
            command.set_defaults(run=implementation.run)
            command.examples = examples
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
        Exit status: 0 on success; 1 if the command found something wrong; 2 for bad input; 130 after Ctrl-C and 143
        after SIGTERM; 141 if the reader of the output has closed the pipe, as ``head`` does.
    """
    if argv is None:
        # Imported objects live until the end, so the garbage collector need not search them for cycles: that takes
        # 0.1 s during the imports, and 0.5 s once more at exit.
        gc.set_threshold(100_000)
        atexit.register(gc.freeze)
        system.make_output_safe()
        if sys.argv[1:2] == ["train"]:
            launch.guard()
    try:
        try:
            return _run(argv is None, sys.argv[1:] if argv is None else list(argv))
        finally:
            for stream in filter(None, (sys.stdout, sys.stderr)):
                stream.flush()
    except BrokenPipeError:
        system.discard_unwritable_output()
        return NO_READER
    except OSError as error:  # for instance a full disk, or no more processes or open files
        system.discard_unwritable_output()
        print(one_line(f"fastae: the system refuses: {error}"), file=sys.stderr)
        return 2


def parsed(argv: list[str]) -> argparse.Namespace:
    """Return the parsed options of a command line; their attribute ``run`` is the command's function."""
    for word in argv:
        if word.startswith("--") and word.endswith("=--"):  # argparse up to Python 3.12 parses it as an empty list
            parser([]).error(f"argument {word.removesuffix('=--')}: expected one argument")
    if argv[:1] in (["run"], ["trace"]):
        from fastae.run.command import arranged

        argv = [argv[0], *arranged(argv[1:])]
    return parser(argv).parse_args(argv)


def _run(own: bool, argv: list[str]) -> int:
    """Run a command and return its exit status; ``own`` tells whether ``argv`` is the process's own command line."""
    here = launch.place() if argv[:1] == ["train"] else None
    options, usage = _parsed_once(here, argv) if here else (parsed(argv), None)
    options.own, options.world = own, None
    with Stop(lambda: _interrupted(options, argv)) as options.stop:
        try:
            if options.command == "train":
                _join(options, usage)
            return options.run(options) or 0
        except FastaeError as error:
            return _leave(options, one_line(str(error)), common=error.common)
        except MemoryError:
            return _leave(options, "not enough memory; try a smaller network, --batch-size or --limit")
        except KeyboardInterrupt as interrupt:
            return _interrupted(options, argv, *interrupt.args)
        except UnicodeEncodeError as error:  # the results are written; only printing failed
            return _leave(options, one_line(f"cannot print all of it: {error}"))
        except Exception as error:
            if isinstance(error, RuntimeError) and "can't start new thread" in str(error):
                return _leave(options, "this system starts no more threads; try fewer --threads")
            if not _several(options):
                raise
            if isinstance(error, OSError):
                return _leave(options, one_line(f"the system refuses: {error}"))
            return _leave(options, f"this should not happen:\n{traceback.format_exc()}", status=1)


def _parsed_once(here: launch.Place, argv: list[str]) -> tuple[argparse.Namespace, InputError | None]:
    """Return the options of one of several ranks, and what is wrong with them; only rank 0 prints the help."""
    out, err = io.StringIO(), io.StringIO()
    try:
        with redirect_stdout(out), redirect_stderr(err):
            return parsed(argv), None
    except SystemExit as stop:  # argparse's
        if not stop.code:
            print("" if here.rank else out.getvalue(), end="")
            raise
    wrong = InputError(err.getvalue().strip().partition(": ")[2])
    return argparse.Namespace(command="train", distributed="auto", patience=launch.PATIENCE, resume=True), wrong


def _join(options: argparse.Namespace, usage: InputError | None) -> None:
    """Join the ranks that share the training, of which only rank 0 prints; raise `InputError` for wrong options."""
    from fastae.ranks.world import join

    options.world = join(options.distributed, options.patience)
    if options.world.rank:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    with options.world.together():
        if usage:
            raise usage


def _several(options: argparse.Namespace) -> bool:
    return options.world is not None and options.world.size > 1


def _leave(options: argparse.Namespace, words: str, status: int = 2, common: bool = False) -> int:
    """Print why a command ends, once for all ranks, and return the exit status.

    An error that is ``common`` is raised by every rank, so that each ends by itself. Any other error is known to one
    rank while the others wait for it; that rank ends them by force.
    """
    ranks = options.world
    if _several(options):
        if not common:
            ranks.end(f"fastae: {ranks.name(ranks.rank)}: {words}", status)
        if ranks.rank:
            return status
    else:
        _wait_unless_joined(options)
    print(f"fastae: {words}", file=sys.stderr, flush=True)
    return status


def _wait_unless_joined(options: argparse.Namespace) -> None:
    """Let lower ranks print first, if this process is a rank that has not joined the others yet."""
    if options.command == "train" and options.world is None and (here := launch.place()):
        time.sleep(launch.turn(here.rank))


def _interrupted(options: argparse.Namespace, argv: list[str], more: str = "") -> int:
    """Print that the command was interrupted and how to resume it; return the exit status that shells use."""
    message, status = "interrupted", 128 + (options.stop.number or signal.SIGINT)
    if options.command == "train":
        again = system.command_line(["fastae", *argv, *([] if options.resume else ["--resume"])])
        if _several(options):
            again = f"mpirun -n {options.world.size} {again}"
        message += f"; the results of the last complete epoch are kept.{more} To continue: {again}"
    elif options.command == "grade":
        message += f"; earlier verdicts are kept.{more} To continue: {system.command_line(['fastae', *argv])}"
    if _several(options):
        options.world.end(f"\nfastae: {message}", status)
    _wait_unless_joined(options)
    print(f"\nfastae: {message}", file=sys.stderr, flush=True)
    return status


def one_line(message: str) -> str:
    """Return the message on one line: a file name that it quotes may contain line breaks."""
    return " ".join(message.splitlines())
