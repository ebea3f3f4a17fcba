"""The command ``fastae trace``: a launch of a kernel as it ran, step by step, on a page."""

import argparse
import re
import sys
from pathlib import Path

from fastae import backends
from fastae.backends.emulator import Trace
from fastae.check.process import Refused, WorkerLost
from fastae.check.remote import Remote
from fastae.errors import InputError
from fastae.trace.launches import described, shape_of
from fastae.trace.page import write


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.description = (
        "Launch the kernels of a .cu file on the emulator and write a page that shows what every warp did, step by "
        "step. It needs no network. Exit status 0, 1 if a fault has ended a launch, 2 if nothing could be launched."
    )
    option = parser.add_argument
    option("file", type=Path, metavar="FILE", help="a .cu file that defines kernels of the contract by name")
    option("--kernel", metavar="NAME", help="of the file's kernels this one alone")
    option(
        "--shape",
        metavar="LENGTHS",
        default="",
        help="of the call, as m=32,n=32,k=32; by default a small one, for there is only so much to be seen on a page",
    )
    option("--out", type=Path, metavar="PAGE", help="the page (default: FILE-trace.html, in this folder)")
    option(
        "--patience",
        type=float,
        default=120.0,
        metavar="SECONDS",
        help="after which a kernel that has not come back is called endless (default: 120)",
    )


def run(options: argparse.Namespace) -> int:
    """Trace a file; return 1 if a fault has ended a launch, 2 if the file is refused."""
    if not options.patience > 0:
        raise InputError(f"--patience must be a positive number of seconds; got {options.patience:g}")
    if options.file.suffix != ".cu":
        raise InputError(f"{options.file}: fastae trace shows kernels in CUDA, of a .cu file")
    given = lengths_of(options.shape)
    backends.get("emulator")  # which says why it cannot run here
    try:
        with Remote(options.file, "emulator", options.patience) as k:
            trace = _traced(k, options.kernel, given)
    except WorkerLost as lost:
        raise InputError(f"{options.file}: {lost}") from lost
    except Refused as refused:
        raise InputError(f"{options.file} is refused: {refused}") from refused
    page = options.out or Path(f"{options.file.stem}-trace.html")
    write(page, trace)
    for launch in trace:
        print(f"{launch.kernel}: {launch.fault or 'ran to its end'}")
    print(f"see {page}")
    return int(any(launch.fault for launch in trace))


def _traced(k: Remote, kernel: str | None, given: dict[str, int]) -> Trace:
    """Launch the file's kernels, or the one that is asked for."""
    if kernel is not None and kernel not in k.kernels:
        raise InputError(f"{k.path} defines no kernel {kernel!r} of the contract; it has: {', '.join(k.kernels)}")
    names = [kernel] if kernel else list(k.kernels)
    if given and len(names) > 1:
        raise InputError(f"--shape is of one kernel; say which by --kernel: {', '.join(names)}")
    trace = Trace()
    for name in names:
        lengths = shape_of(name, given)
        found = k.trace(name, lengths, trace.room)
        if not found:
            print(f"{described(name, lengths)}: nothing is launched", file=sys.stderr)
        trace.extend(found)
    if not trace:
        raise InputError(f"{k.path}: no kernel was launched, so there is nothing to show")
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
