"""What operating systems have in different ways, if at all: each such matter once, its branches side by side.

What only one module needs is in that module: how files reach the disk and who owns a folder in `fastae.storage`,
signals in `fastae.interrupts`, exit statuses in `fastae.check.sandbox.process`.
"""

import atexit
import contextlib
import io
import mmap
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from typing import Any

WINDOWS, LINUX = sys.platform == "win32", sys.platform == "linux"
STREAMS = ("stdin", "stdout", "stderr")  # by their numbers


def say_what_can_be_said() -> None:
    """Let neither a character nor a closed stream end a command.

    What the encoding of a pipe or a console lacks is written as ``?``: on Windows a pipe has the encoding of the
    country, such as cp1252, in which there is no σ. A stream that was closed leads nowhere: Python has None for it, and
    its number would go to the next file that is opened.
    """
    for number, name in enumerate(STREAMS):
        if getattr(sys, name) is None:
            _lead_nowhere(number, only_closed=True)
            setattr(sys, name, open(os.devnull, "r" if number == 0 else "w", encoding="utf-8"))  # noqa: SIM115
        elif number and isinstance(stream := getattr(sys, name), io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def say_no_more() -> None:
    """Let streams whose reader has gone or whose disk is full lead nowhere: the interpreter flushes them at the end."""
    for stream in filter(None, (sys.stdout, sys.stderr)):
        try:
            stream.flush()
        except OSError:
            _lead_nowhere(stream.fileno())


def _lead_nowhere(number: int, only_closed: bool = False) -> None:
    """Give a number of an open file to one that nobody reads; perhaps only if nothing is open there."""
    with contextlib.suppress(OSError):  # it is closed
        os.fstat(number)
        if only_closed:
            return
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, number)  # which a child inherits
    if nowhere != number:
        os.close(nowhere)


def plain() -> bool:
    """Tell whether standard output may lack block characters, so that pictures are to be drawn in ASCII."""
    return not (sys.stdout.encoding or "").lower().startswith("utf")


def progress(message: str) -> None:
    """Show what happens now, on a line of the terminal that the next message overwrites.

    With spaces: not every console of Windows takes the escape sequence that clears a line.
    """
    if sys.stderr.isatty():
        width = shutil.get_terminal_size().columns - 1
        print(f"\r{' ' * width}\r{message[:width]}", end="", file=sys.stderr, flush=True)


def command_line(words: Sequence[str]) -> str:
    """Return a command as this system's shell takes it."""
    return subprocess.list2cmdline(words) if WINDOWS else shlex.join(words)


def writable(folder: str | os.PathLike[str]) -> str:
    """Make a folder unless it is there, and return why nothing can be written in it; empty if something can."""
    try:
        os.makedirs(folder, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return ""
    except OSError as error:
        return error.strerror or str(error)


def passing_folder() -> str:
    """Make a folder that goes with this process."""
    path, process = tempfile.mkdtemp(prefix="fastae-"), os.getpid()

    def remove() -> None:
        if os.getpid() == process:  # and no child that was forked from it
            shutil.rmtree(path, ignore_errors=True)

    atexit.register(remove)
    return path


def apart() -> dict[str, Any]:
    """Return the options of `subprocess.Popen` that keep Ctrl-C from a child, whose parent ends it."""
    if WINDOWS:
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}  # type: ignore[attr-defined]
    return {"process_group": 0}


def without_terminal() -> dict[str, Any]:
    """Return the options of `subprocess.Popen` for a child that has no terminal, nor gets its Ctrl-C."""
    return apart() if WINDOWS else {"start_new_session": True}


def inheriting(handles: Sequence[int]) -> dict[str, Any]:
    """Return the options of `subprocess.Popen` that leave open in a child what has these numbers."""
    if WINDOWS:
        for handle in handles:
            os.set_handle_inheritable(handle, True)  # type: ignore[attr-defined]
        return {"close_fds": False}
    return {"pass_fds": tuple(handles)}


def shared_memory(size: int) -> tuple[mmap.mmap, int | str]:
    """Make memory for several processes, and what a child finds it by: an open file's number or a path.

    On Linux it is no file of any disk, to which the system would write it now and then.
    """
    if LINUX:
        number = os.memfd_create("fastae")
        os.ftruncate(number, size)
        return mmap.mmap(number, size), number
    number, path = tempfile.mkstemp(prefix="fastae-")
    os.truncate(number, size)
    memory = mmap.mmap(number, size)
    os.close(number)
    return memory, path


def forget_memory(found_by: int | str) -> None:
    """Let go of what `shared_memory` made, once all that use it have ended."""
    if isinstance(found_by, int):
        os.close(found_by)
    else:
        with contextlib.suppress(OSError):  # another process has it still
            os.unlink(found_by)
