"""The command ``fastae check``."""

import argparse
import contextlib
import json
import secrets
import sys
import time
from functools import cache
from pathlib import Path
from typing import Any

from fastae import storage
from fastae.bench.limits import Limits
from fastae.check import exhibits, speed
from fastae.check import verdict as verdicts
from fastae.check.file.reading import read_source
from fastae.check.problem import of_call, quiet
from fastae.check.report import Report
from fastae.check.sandbox.process import Refused, WorkerLost
from fastae.check.sandbox.remote import Remote
from fastae.check.speed import BATCHES, Speed
from fastae.check.verdict import Problem, Verdict
from fastae.cuda.includes import names_of
from fastae.errors import FastaeError, InputError
from fastae.ladder.rungs import LADDERS

TIMED = ("numpy", "numba")  # the time that the emulator takes says nothing of a GPU


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.description = (
        "Call the kernels of a file in every way that the contract allows. Exit status 0 if all are right, or "
        "imprecise, 1 if one is wrong, 2 if the file cannot be checked."
    )
    option = parser.add_argument
    option(
        "file",
        type=Path,
        nargs="?",
        metavar="FILE",
        help="a .py or .cu file that defines kernels of the contract by name",
    )
    option(
        "--gallery",
        nargs="?",
        const="",
        metavar="NAME",
        help="list known ways to be wrong; with a name, check that one as if it were the file",
    )
    option("--backend", default="auto", help="for a .cu file: emulator, cupy, or auto (cupy where a GPU works)")
    option("--seed", type=int, help="seed of the data; by default the data differ in each run")
    option("--no-speed", action="store_true", help="do not measure how fast a right kernel is")
    option("--strict", action="store_true", help="exit status 1 also if a kernel is imprecise, which loses digits")
    option("--json", action="store_true", help="print the verdict as JSON")
    option("--watch", action="store_true", help="check again whenever the file is saved, until Ctrl-C")
    option(
        "--patience",
        type=float,
        default=120.0,
        metavar="SECONDS",
        help="time limit of a call; a longer one is reported as an endless loop (default: 120)",
    )
    option("--out", type=Path, metavar="DIR", help="draw where a wrong kernel's errors are: DIR/KERNEL-errors.png")


def run(options: argparse.Namespace) -> int:
    """Check a file; return 0 if all is right or, without ``--strict``, imprecise; 1 if something is not."""
    if options.file is None and options.gallery is None:
        raise InputError("give a FILE to check, or --gallery for known ways to be wrong")
    if not options.patience > 0:
        raise InputError(f"--patience must be a positive number of seconds; got {options.patience:g}")
    if options.gallery is not None:
        return _gallery(options)
    if not options.watch:
        return check(options)
    while True:
        stamp = _stamp(options.file)
        try:
            check(options)
        except FastaeError as error:
            print(f"fastae: {error}", file=sys.stderr)
        _await_change(options.file, stamp)


def _await_change(file: Path, stamp: list[tuple[int, int]]) -> None:
    print(f"\nwatching {file}; Ctrl-C ends", flush=True)
    while _stamp(file) == stamp:
        time.sleep(0.2)
    print()


def _gallery(options: argparse.Namespace) -> int:
    """List the gallery, or check one of its files, on the emulator if it is a ``.cu`` file."""
    if options.file is not None:
        raise InputError(f"give either a FILE or --gallery, not both; got {options.file} too")
    if options.watch:
        raise InputError("the files of the gallery do not change: leave out --watch")
    if options.gallery:
        exhibit = exhibits.find(options.gallery)
        backend = "emulator" if exhibit.path.suffix == ".cu" and options.backend == "auto" else options.backend
        return check(argparse.Namespace(**vars(options) | {"file": exhibit.path, "backend": backend}))
    known = exhibits.exhibits()
    if options.json:
        print(json.dumps([{"name": exhibit.name, "title": exhibit.title} for exhibit in known], indent=1))
    else:
        width = max(len(exhibit.name) for exhibit in known)
        print("\n".join(f"{exhibit.name:{width}}  {exhibit.title}" for exhibit in known))
        print("\nfastae check --gallery NAME checks one")
    return 0


def _stamp(path: Path) -> list[tuple[int, int]]:
    """Return time of change and size of a file, and of the files of its folder that it includes."""
    try:
        names = names_of(read_source(path)) if path.suffix == ".cu" else ()
        files = sorted({path, *(path.parent / name for name in names)})
        states = [file.stat() for file in files if file == path or file.exists()]
    except (OSError, InputError):  # while an editor replaces it
        return []
    return [(state.st_mtime_ns, state.st_size) for state in states]


def check(options: argparse.Namespace, backend: Remote | None = None) -> int:
    """Check every kernel of a file, print the report, and return the exit status.

    Parameters
    ----------
    options : Namespace
        The options of the command.
    backend : Remote, optional
        The file, if a worker has already read it.

    Returns
    -------
    int
        0 if all kernels are right or, without ``--strict``, imprecise, and the model with them is right; else 1.

    Raises
    ------
    InputError
        The file cannot be checked, or an option is wrong.
    """
    if options.seed is not None and options.seed < 0:
        raise InputError(f"--seed must not be negative; got {options.seed}")
    if options.out:
        storage.make_folder(options.out)
    seed = secrets.randbelow(2**31) if options.seed is None else options.seed
    with contextlib.ExitStack() as stack:
        stack.enter_context(quiet())
        report = Report(options, seed)
        try:
            backend = backend or stack.enter_context(opened(options))
        except Refused as refused:
            return report.refuse(refused)
        report.begin(backend)
        try:
            for name in backend.kernels:
                report.add(*_examined(options, backend, name, seed))
            judged = all(v.verdict in ("right", "imprecise") for v in report.found)
            return report.end(verdicts.model_gradient(backend, seed) if judged else None)
        except Refused as refused:
            return report.refuse(refused)


def opened(options: argparse.Namespace) -> Remote:
    """Start a worker that reads the file; raises `Refused`, or `InputError` if reading never ends."""
    output = sys.stderr if options.json else sys.stdout  # what a kernel prints must not come into the JSON
    try:
        return Remote(options.file, options.backend, options.patience, output)
    except WorkerLost as lost:
        raise InputError(f"{options.gallery or options.file}: {lost}, while it is read") from lost


def _examined(options: argparse.Namespace, backend: Remote, name: str, seed: int) -> tuple[Verdict, list[Speed], str]:
    """Check one kernel, time it, draw its errors, and find its place on its ladder."""
    verdict, speeds, where = verdicts.examine(backend, name, seed), list[Speed](), ""
    if not options.no_speed and verdict.verdict != "wrong" and backend.name in TIMED:
        try:
            backend.rest()
            speeds, wrong = speed.measure(backend, name, _limit(speed.cores_of(backend)))
            what = speed.too_fast(name, speeds)
            if wrong is not None:
                verdict.problems.append(of_call(wrong, f"{wrong.case}, in calls that are timed"))
            elif what:
                verdict.problems.append(Problem(what, "calls that are timed"))
        except WorkerLost as lost:
            verdict.problems.append(Problem(str(lost), "calls that are timed", lost.causes))
    if options.out:
        _draw(options.out, verdict)
    if name in LADDERS and verdict.verdict != "wrong" and not options.no_speed and backend.name in (*TIMED, "emulator"):
        backend.rest()
        where = place(name, backend, speeds)
    return verdict, speeds, where


@cache
def _limit(workers: int) -> Limits:
    return speed.limit(workers)


def settings(file: Path, **options: Any) -> argparse.Namespace:
    """Return the options of the command for a file; those not given have their defaults."""
    parser = argparse.ArgumentParser()
    add_options(parser)
    return argparse.Namespace(**vars(parser.parse_args([str(file)])) | options)


def place(name: str, backend: Any, speeds: list[Speed]) -> str:
    """Return in words between which rungs of its ladder a kernel is: by its speed, or on the emulator by counts."""
    from fastae.ladder import climb, counts  # which import much that only this needs

    if not speeds:
        return counts.place(name, backend)
    rate = speeds[0].flops if name in speed.FLOPS else speeds[0].bytes
    return climb.place(name, backend.name, BATCHES[0], rate)


def _draw(folder: Path, verdict: Verdict) -> None:
    """Draw each problem whose errors have places."""
    for problem in verdict.problems:
        if problem.share is None:
            continue
        from fastae.check import pictures  # which loads matplotlib

        number = sum(bool(p.picture) for p in verdict.problems)
        path = folder / f"{verdict.kernel}-errors{f'-{number + 1}' if number else ''}.png"
        pictures.draw(path, verdict.kernel, problem)
        problem.picture = str(path)
