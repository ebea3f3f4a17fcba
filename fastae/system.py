"""Functions whose implementation differs between operating systems.

Differences that concern only one module are in that module: writing and locking in `fastae.storage`, signals in
`fastae.interrupts`, exit statuses in `fastae.check.sandbox.process`.
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
STREAMS = ("stdin", "stdout", "stderr")  # by their file descriptors


def make_output_safe() -> None:
    """Make sure that neither unsupported characters nor closed streams end a command with an error.

    Characters that the encoding of a pipe or a console lacks are written as ``?``: on Windows a pipe has the encoding
    of the locale, such as cp1252, which has no σ. Closed streams are redirected to the null device: Python sets them to
    None, and the next file that is opened would get their file descriptor.
    """
    for number, name in enumerate(STREAMS):
        if getattr(sys, name) is None:
            _redirect_to_null(number, only_closed=True)
            setattr(sys, name, open(os.devnull, "r" if number == 0 else "w", encoding="utf-8"))  # noqa: SIM115
        elif number and isinstance(stream := getattr(sys, name), io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def discard_unwritable_output() -> None:
    """Redirect streams that cannot be written to the null device, because the interpreter flushes them at exit.

    A stream cannot be written if its reader has ended or the disk is full.
    """
    for stream in filter(None, (sys.stdout, sys.stderr)):
        try:
            stream.flush()
        except OSError:
            _redirect_to_null(stream.fileno())


def _redirect_to_null(number: int, only_closed: bool = False) -> None:
    """Redirect a file descriptor to the null device; with ``only_closed``, only if it is closed."""
    with contextlib.suppress(OSError):  # the descriptor is closed
        os.fstat(number)
        if only_closed:
            return
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, number)  # child processes inherit it
    if nowhere != number:
        os.close(nowhere)


def ascii_only() -> bool:
    """Tell whether to draw pictures in ASCII, because standard output may lack block characters."""
    return not (sys.stdout.encoding or "").lower().startswith("utf")


def progress(message: str) -> None:
    """Show a message on a line of the terminal that the next message overwrites.

    The line is cleared by spaces, because not every console of Windows supports the escape sequence for it.
    """
    if sys.stderr.isatty():
        width = shutil.get_terminal_size().columns - 1
        print(f"\r{' ' * width}\r{message[:width]}", end="", file=sys.stderr, flush=True)


def command_line(words: Sequence[str]) -> str:
    """Return a command as a string for this system's shell."""
    return subprocess.list2cmdline(words) if WINDOWS else shlex.join(words)


def writable(folder: str | os.PathLike[str]) -> str:
    """Make a folder unless it exists; return the reason why it cannot be written, or an empty string if it can."""
    try:
        os.makedirs(folder, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return ""
    except OSError as error:
        return error.strerror or str(error)


def temporary_folder() -> str:
    """Make a temporary folder that is deleted when this process ends."""
    path, process = tempfile.mkdtemp(prefix="fastae-"), os.getpid()

    def remove() -> None:
        if os.getpid() == process:  # not in a forked child
            shutil.rmtree(path, ignore_errors=True)

    atexit.register(remove)
    return path


def new_process_group() -> dict[str, Any]:
    """Return the options of `subprocess.Popen` for a child that does not get Ctrl-C; its parent must end it."""
    if WINDOWS:
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}  # type: ignore[attr-defined]
    return {"process_group": 0}


def detached() -> dict[str, Any]:
    """Return the options of `subprocess.Popen` for a child that has no terminal and does not get its Ctrl-C."""
    return new_process_group() if WINDOWS else {"start_new_session": True}


def inheriting(handles: Sequence[int]) -> dict[str, Any]:
    """Return the options of `subprocess.Popen` for a child that inherits these file descriptors or handles."""
    if WINDOWS:
        for handle in handles:
            os.set_handle_inheritable(handle, True)  # type: ignore[attr-defined]
        return {"close_fds": False}
    return {"pass_fds": tuple(handles)}


def shared_memory(size: int) -> tuple[mmap.mmap, int | str]:
    """Make memory that several processes can share, and what a child opens it by: a file descriptor or a path.

    On Linux the memory is not backed by a file on a disk, to which the system would write it from time to time.
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


def release_memory(found_by: int | str) -> None:
    """Release what `shared_memory` made, after all processes that use it have ended."""
    if isinstance(found_by, int):
        os.close(found_by)
    else:
        with contextlib.suppress(OSError):  # another process still has it open
            os.unlink(found_by)
