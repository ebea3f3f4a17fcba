"""The command ``fastae exercise``."""

import argparse
from pathlib import Path

from fastae.check import command as check_command
from fastae.check.sandbox.process import Refused
from fastae.errors import InputError
from fastae.ladder import exercises
from fastae.ladder.rungs import listing


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the command's options to its parser."""
    parser.description = (
        "Exercises made from the ladders. start writes a file for you to edit; check tells whether your version is "
        "right and reaches the goal. The exit status of check is 0 if so, 1 if not, 2 if the file cannot be checked."
    )
    option = parser.add_argument
    option("action", choices=("list", "start", "check"), help="list all exercises, start one, or check your version")
    option("name", nargs="?", metavar="NAME", help="name of an exercise, such as matmul-numba-2")
    option("--file", type=Path, metavar="FILE", help="your version; by default NAME.py or NAME.cu in this folder")
    option("--solution", action="store_true", help="with start: write the solution, to compare with")


def run(options: argparse.Namespace) -> int:
    """List, start or check an exercise; return 1 if the checked kernel is wrong or misses the exercise's goal."""
    if options.action == "list":
        print(f"{listing()}\n")
        print("fastae exercise start NAME writes a file with the idea taken out; fastae exercise check NAME checks it")
        return 0
    if options.name is None:
        raise InputError(f"fastae exercise {options.action} needs a name; fastae exercise list has them")
    rung = exercises.find(options.name)
    if options.action == "start":
        path = exercises.start(rung, options.file, options.solution)
        named = "" if options.file is None else f" --file {path}"
        print(f"wrote {path}: {rung.title}\nedit it, and see: fastae check {path} --watch")
        print(f"then: fastae exercise check {rung.exercise}{named}")
        return 0
    path = options.file or exercises.default_path(rung)
    if not path.exists():
        raise InputError(f"there is no {path}; fastae exercise start {rung.exercise} writes it")
    backend = "emulator" if rung.language == "cuda" else "auto"
    settings = check_command.settings(path, backend=backend)
    try:
        with check_command.opened(settings) as learner:
            if rung.kernel not in learner.kernels:
                raise InputError(f"{path} does not define {rung.kernel}, which the exercise is about")
            if learner.name != {"cuda": "emulator"}.get(rung.language, rung.language):
                raise InputError(f"{path} is for {learner.name}; the exercise is for {rung.language}")
            status = check_command.check(settings, learner)
            if status:
                return status
            reached, told = exercises.goal(rung, learner)
    except Refused:
        return check_command.check(settings)
    print(f"the goal: {'reached' if reached else 'NOT REACHED'}: {told}")
    if not reached:
        print(f"hint: {rung.hint}")
    return int(not reached)
