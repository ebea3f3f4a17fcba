"""The command ``fastae trace``: a launch of a kernel as it ran, step by step, on a page."""

import argparse
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from fastae import backends
from fastae.backends.emulator import Trace
from fastae.check.sandbox.process import Refused, WorkerLost
from fastae.check.sandbox.remote import Remote
from fastae.errors import InputError
from fastae.run.command import flags_of
from fastae.run.program import built, has_main, read
from fastae.trace.launches import described, shape_of
from fastae.trace.page import write
from fastae.trace.program import LAUNCHES, Launched, Recording, trace_of

CUT = ", of which the page has a part: it is too long for all"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.description = (
        "Launch the kernels of a .cu file on the emulator and write a page that shows what every warp did, step by "
        "step. The page needs no network. A file with a main() is a program: it is run as by fastae run --check, "
        f"with the words after -- as its arguments, and the page shows its first {LAUNCHES} launches. nvcc's options "
        "are those of fastae run. The exit status is 0; 1 if a fault ended a launch or was found in a program; 2 if "
        "nothing was launched."
    )
    parser.usage = (
        "fastae trace [--kernel NAME] [--shape LENGTHS] [--out PAGE] [--patience SECONDS] [nvcc's options] FILE "
        "[-- ARGUMENT ...]"
    )
    option = parser.add_argument
    option("file", type=Path, metavar="FILE", help="a .cu file: a program, or kernels of the contract by name")
    option("--kernel", metavar="NAME", help="trace this kernel alone")
    option(
        "--shape",
        metavar="LENGTHS",
        default="",
        help="lengths for a kernel of the contract, for example m=32,n=32,k=32 (default: small ones, which fit on a "
        "page)",
    )
    option("--out", type=Path, metavar="PAGE", help="where to write the page (default: FILE-trace.html in this folder)")
    option(
        "--patience",
        type=float,
        default=120.0,
        metavar="SECONDS",
        help="end a kernel or program after this time and report it as endless (default: 120)",
    )
    option("--nvcc", action="append", default=[], help=argparse.SUPPRESS)
    option("--argument", action="append", default=[], help=argparse.SUPPRESS)


def run(options: argparse.Namespace) -> int:
    """Trace a file; return 1 if a fault has ended a launch, 2 if the file is refused."""
    if not options.patience > 0:
        raise InputError(f"--patience must be a positive number of seconds; got {options.patience:g}")
    if options.file.suffix != ".cu":
        raise InputError(f"{options.file}: fastae trace shows kernels in CUDA, of a .cu file")
    given = lengths_of(options.shape)
    backends.get("emulator")  # which says why it cannot run here
    page = options.out or Path(f"{options.file.stem}-trace.html")
    if has_main(read(options.file)):
        return _run_program(options, page)
    if options.nvcc or options.argument:
        raise InputError(f"{options.file} has no main(): nvcc's options, and arguments behind --, are for programs")
    try:
        with Remote(options.file, "emulator", options.patience) as backend:
            trace = _traced(backend, options.kernel, given)
    except WorkerLost as lost:
        raise InputError(f"{options.file}: {lost}") from lost
    except Refused as refused:
        raise InputError(f"{options.file} is refused: {refused}") from refused
    write(page, trace)
    for launch in trace:
        print(f"{launch.kernel}: {launch.fault or 'ran to its end'}{CUT * launch.is_cut}")
    print(f"see {page}")
    return int(any(launch.fault for launch in trace))


def _run_program(options: argparse.Namespace, page: Path) -> int:
    """Run a program and show its launches; return 1 if a fault was found."""
    if options.shape:
        raise InputError(f"--shape is of kernels of the contract; {options.file} is a program, with a main()")
    executable, files = built(options.file, flags_of(options.nvcc), True)
    sys.stdout.flush()
    with tempfile.TemporaryDirectory(prefix="fastae-") as temporary:
        folder = Path(temporary)
        with Recording(executable, files, options.argument, folder, options.kernel or "") as running:
            status = running.wait(options.patience)
        made = [launch for launch in running.launches if launch.number]
        lost = [launch for launch in made if launch.number == "lost"]
        if lost:
            raise InputError(f"{folder}: what the launches did could not be written there; is the disk full?")
        if not made:
            kernels = ", ".join(dict.fromkeys(launch.kernel for launch in running.launches))
            if kernels:
                raise InputError(f"{options.file} launches no kernel {options.kernel!r}; it launches: {kernels}")
            none = "no launch has come to its end" if running.faults else "the program has launched no kernel"
            raise InputError(f"{options.file}: {none}, so there is nothing to show")
        trace = trace_of(made, folder, executable, files)
    note = _note(running.launches, options.kernel)
    write(page, trace, note)
    for launch in trace:
        end = "a fault has ended it" if launch.fault else "ran to its end"
        print(f"{launch.kernel}, launched at {launch.at}: {end}{CUT * launch.is_cut}")
    if note:
        print(note)
    if status and not running.faults:
        print(f"the program's exit status was {status}")
    print(f"see {page}")
    return int(running.faults > 0 or status > 128)


def _note(launches: Sequence[Launched], kernel: str | None) -> str:
    """Return a sentence on which of a program's launches are shown, if not all are."""
    shown = [launch for launch in launches if launch.number]
    if len(shown) == len(launches):
        return ""
    first = min(len(shown), LAUNCHES)
    names = list(dict.fromkeys(launch.kernel for launch in launches))
    made = f"The program made {len(launches)} launches"
    made += f", of {len(names)} kernels: {', '.join(names)}" if len(names) > 1 else ""
    which = f"the first {first}" if first > 1 else "the first"
    which += f" of {kernel}" if kernel else ""
    which += ", and the one that a fault has ended" if len(shown) > first else ""
    chooses = "" if kernel or len(names) == 1 else "; --kernel chooses"
    return f"{made}. Shown {'are' if len(shown) > 1 else 'is'} {which}{chooses}."


def _traced(backend: Remote, kernel: str | None, given: dict[str, int]) -> Trace:
    """Launch the file's kernels, or the one that is asked for."""
    if kernel is not None and kernel not in backend.kernels:
        has = ", ".join(backend.kernels)
        raise InputError(f"{backend.path} defines no kernel {kernel!r} of the contract; it has: {has}")
    names = [kernel] if kernel else list(backend.kernels)
    if given and len(names) > 1:
        raise InputError(f"--shape is of one kernel; say which by --kernel: {', '.join(names)}")
    trace = Trace()
    for name in names:
        lengths = shape_of(name, given)
        found = backend.trace(name, lengths, trace.room)
        if not found:
            print(f"{described(name, lengths)}: nothing is launched", file=sys.stderr)
        trace.extend(found)
    if not trace:
        raise InputError(f"{backend.path}: no kernel was launched, so there is nothing to show")
    return trace


def lengths_of(text: str) -> dict[str, int]:
    """Return lengths by letter, from ``"m=32,n=32"``; raises `InputError`."""
    found = dict[str, int]()
    for part in filter(None, re.split(r"[,\s]+", text)):
        match = re.fullmatch(r"(\w+)=(\d{1,6})", part)
        if not match:
            raise InputError(f"--shape must be lengths such as m=32,n=32,k=32; got {part!r}")
        found[match[1]] = int(match[2])
    return found
