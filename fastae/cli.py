"""The command line: ``fastae train``, ``check``, ``run``, ``trace``, ``grade``, ``ladder``, ``bench`` and others.

Bad input ends in one line and status 2.
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
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from typing import NamedTuple, NoReturn

from fastae import __version__, system
from fastae.errors import FastaeError, InputError
from fastae.interrupts import Stop
from fastae.ranks import launch

NO_READER = 128 + 13  # the exit status of a program that SIGPIPE ends


class Parser(argparse.ArgumentParser):
    """argparse, but a mistake is answered in one line, and examples end the help.

    Attributes
    ----------
    examples : sequence of str
        Command lines, without the program's name.
    """

    examples: Sequence[str] = ()

    def format_help(self) -> str:
        """Return the help, with the examples, which argparse would break anew, behind it."""
        lines = [f"  fastae {example}" for example in self.examples]
        return "\n".join([super().format_help(), *(["examples:", *lines, ""] if lines else [])])

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and where to look."""
        self.exit(2, one_line(f"{self.prog}: {message}; see {self.prog} --help") + "\n")


def _train(parser: argparse.ArgumentParser) -> None:
    from fastae.commands import train

    train.add_options(parser)
    parser.set_defaults(run=train.run)


def _bench(parser: argparse.ArgumentParser) -> None:
    from fastae.bench import command

    command.add_options(parser)
    parser.set_defaults(run=command.run)


def _check(parser: argparse.ArgumentParser) -> None:
    from fastae.check import command

    command.add_options(parser)
    parser.set_defaults(run=command.run)


def _program(parser: argparse.ArgumentParser) -> None:
    from fastae.run import command

    command.add_options(parser)
    parser.set_defaults(run=command.run)


def _grade(parser: argparse.ArgumentParser) -> None:
    from fastae.grade import command

    command.add_options(parser)
    parser.set_defaults(run=command.run)


def _ladder(parser: argparse.ArgumentParser) -> None:
    from fastae.ladder import command

    command.add_ladder_options(parser)
    parser.set_defaults(run=command.run_ladder)


def _exercise(parser: argparse.ArgumentParser) -> None:
    from fastae.ladder import command

    command.add_exercise_options(parser)
    parser.set_defaults(run=command.run_exercise)


def _trace(parser: argparse.ArgumentParser) -> None:
    from fastae.trace import command

    command.add_options(parser)
    parser.set_defaults(run=command.run)


def _doctor(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Train a few steps with each backend and compare. Exit status 1 if numpy or numba does not work."
    )
    parser.set_defaults(run=run_doctor)


def _completion(parser: argparse.ArgumentParser) -> None:
    from fastae.commands import completion

    parser.description = completion.DESCRIPTION
    parser.set_defaults(run=completion.run)


class Command(NamedTuple):
    """One row of the table of commands: its purpose, what declares its options, and examples of its use."""

    purpose: str
    declare: Callable[[argparse.ArgumentParser], None]
    examples: tuple[str, ...]


COMMANDS = {
    "train": Command(
        "train the autoencoder and draw what it learned",
        _train,
        (
            "train --limit 6000 --epochs 3",
            "train --loss bce --sizes 784,100,20 --out runs/small",
            "train --data fashion-mnist --model conv",
            "train --resume --epochs 40",
        ),
    ),
    "bench": Command(
        "measure fastae beside other libraries and this machine's limits",
        _bench,
        ("bench --batches 16 128 --contenders numpy numba",),
    ),
    "check": Command(
        "tell whether a kernel of your own is right, and what may be wrong with it",
        _check,
        ("check mine.py", "check mine.cu --out errors", "check --gallery"),
    ),
    "run": Command(
        "compile and run a whole CUDA program without a GPU",
        _program,
        ("run program.cu -- 1024", "run --check -O2 -I include program.cu"),
    ),
    "trace": Command(
        "show a CUDA kernel as it runs, step by step, on a page",
        _trace,
        ("trace mine.cu --kernel matmul --out page.html",),
    ),
    "grade": Command(
        "judge a folder of submissions by a rubric, with a page for each student",
        _grade,
        ("grade --example-rubric", "grade submissions --rubric rubric.toml"),
    ),
    "ladder": Command(
        "climb from naive loops to the kernel that a backend uses, with what each idea gains",
        _ladder,
        ("ladder matmul", "ladder sigmoid --backend numpy --show 2"),
    ),
    "exercise": Command(
        "take the idea out of a rung of a ladder, and put it back",
        _exercise,
        ("exercise list", "exercise start matmul-numba-2", "exercise check matmul-numba-2"),
    ),
    "doctor": Command(
        "tell for each backend whether it works here, or why not and what mends it", _doctor, ("doctor",)
    ),
    "completion": Command(
        "print what lets bash or zsh complete commands and options",
        _completion,
        ('completion  # eval "$(fastae completion)"',),
    ),
}


def parser(argv: Sequence[str]) -> argparse.ArgumentParser:
    """Return the parser of a command line: all commands, and the options of the one that it asks for.

    The modules of the other commands are not imported, for that takes longer than most of what is asked.
    """
    top = Parser(prog="fastae", description="An autoencoder on MNIST, to learn fast kernels from.", allow_abbrev=False)
    top.add_argument("--version", action="version", version=f"fastae {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=Parser)
    asked = next((word for word in argv if not word.startswith("-")), None)
    top.examples = [command.examples[0] for command in COMMANDS.values()]
    for name, (purpose, declare, examples) in COMMANDS.items():
        command = commands.add_parser(name, help=purpose, allow_abbrev=False)
        if name == asked:
            declare(command)
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
        Exit status: 0, 1 from a command that found something wrong, 2 for bad input, 130 and 143 when
        interrupted, by Ctrl-C and by SIGTERM, 141 when whoever reads the output has gone, as ``head`` does.
    """
    if argv is None:
        gc.set_threshold(100_000)  # looking for cycles among what imports make, and which stays, takes a tenth of
        atexit.register(gc.freeze)  # a second; doing so once more at the very end half a second
        system.say_what_can_be_said()
        if sys.argv[1:2] == ["train"]:
            launch.guard()
    try:
        try:
            return _run(argv is None, sys.argv[1:] if argv is None else list(argv))
        finally:
            for stream in filter(None, (sys.stdout, sys.stderr)):
                stream.flush()
    except BrokenPipeError:
        system.say_no_more()
        return NO_READER
    except OSError as error:  # a disk that is full elsewhere, no more processes or open files
        system.say_no_more()
        print(one_line(f"fastae: the system refuses: {error}"), file=sys.stderr)
        return 2


def parsed(argv: list[str]) -> argparse.Namespace:
    """Return the options of a command line, whose command is their ``run``."""
    for word in argv:
        if word.startswith("--") and word.endswith("=--"):  # of which argparse up to Python 3.12 makes an empty list
            parser([]).error(f"argument {word.removesuffix('=--')}: expected one argument")
    if argv[:1] in (["run"], ["trace"]):
        from fastae.run.command import arranged

        argv = [argv[0], *arranged(argv[1:])]
    return parser(argv).parse_args(argv)


def _run(own: bool, argv: list[str]) -> int:
    """Run the command that is asked for; ``own`` if it is the process's own."""
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
        except UnicodeEncodeError as error:  # the results are written; only the telling failed
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
    """Return the options, and what is wrong with them; of several ranks the first one prints the help."""
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
    """Become one of the ranks that share the training, of which the first alone prints; refuse wrong options."""
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
    """Say why a command ends, once for all ranks, and return the exit status.

    What only one of them knows ends the others by force: they wait for it. What is ``common`` ends each by itself.
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
    """Let lower ranks speak first, if this is a rank that has not come to know the others."""
    if options.command == "train" and options.world is None and (here := launch.place()):
        time.sleep(launch.turn(here.rank))


def _interrupted(options: argparse.Namespace, argv: list[str], more: str = "") -> int:
    """Say how to go on; return the exit status, as a shell has it."""
    told, status = "interrupted", 128 + (options.stop.number or signal.SIGINT)
    if options.command == "train":
        again = system.command_line(["fastae", *argv, *([] if options.resume else ["--resume"])])
        if _several(options):
            again = f"mpirun -n {options.world.size} {again}"
        told += f"; what the last whole epoch gave is kept.{more} To go on: {again}"
    elif options.command == "grade":
        told += f"; what was judged is kept.{more} To go on: {system.command_line(['fastae', *argv])}"
    if _several(options):
        options.world.end(f"\nfastae: {told}", status)
    _wait_unless_joined(options)
    print(f"\nfastae: {told}", file=sys.stderr, flush=True)
    return status


def run_doctor(options: argparse.Namespace) -> int:
    """Examine every backend; a GPU is nobody's duty."""
    from fastae import doctor

    findings = doctor.examine()
    print(doctor.report(findings))
    for told in filter(None, (doctor.cache(), doctor.interpreter())):
        print(told)
    return int(not all(finding.works for finding in findings if finding.name in ("numpy", "numba")))


def one_line(message: str) -> str:
    """Return the message without line breaks, which a name that it quotes may hold."""
    return " ".join(message.splitlines())
