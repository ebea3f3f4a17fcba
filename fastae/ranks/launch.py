"""What a process does before MPI is loaded: find its place among the ranks, and start a process that watches it."""

import os
import select
import signal
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from types import FrameType
from typing import NamedTuple, NoReturn

PATIENCE = 30.0  # seconds that ranks wait for one that does not come
TURN, LAST_TURN = 0.5, 5.0  # seconds between the reports of two ranks why the run ends, and the most for any rank
IMPORTED = 30.0  # seconds that a rank has at least before it begins MPI: it may import from a slow disk
ANSWERED = 3.0  # seconds in which the run has ended if one rank has not begun MPI
ONCE = 0.1  # seconds within which a repeated signal is the same one: launchers signal a process and its group
LOOK = 0.1  # seconds between two looks at a process that has not begun MPI yet
BEGINS, JOINED = b"0", b"1"  # what a process reports to the one that waits for it
FORWARDED = ("SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2")

_guard = -1  # the writing end of a pipe to the process that waits for this one


class Place(NamedTuple):
    """Which of the ranks a process is.

    Attributes
    ----------
    rank, size : int
    here : int
        How many of them are on this machine, as far as the launcher says; else 1.
    """

    rank: int
    size: int
    here: int


# Variables in which launchers give a process its rank, the number of ranks, and how many of them are on this machine.
LAUNCHERS = {
    "Open MPI": ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_SIZE"),
    "MVAPICH": ("MV2_COMM_WORLD_RANK", "MV2_COMM_WORLD_SIZE", "MV2_COMM_WORLD_LOCAL_SIZE"),
    "MPICH, Intel MPI and Slurm": ("PMI_RANK", "PMI_SIZE", "MPI_LOCALNRANKS"),
}


def place() -> Place | None:
    """Return this process's place among the ranks; None if no launcher says that there are several."""
    for names in LAUNCHERS.values():
        rank, size, here = (os.environ.get(name, "") for name in names)
        if rank.isdecimal() and size.isdecimal() and int(size) > 1:
            return Place(int(rank), int(size), int(here) if here.isdecimal() and int(here) else 1)
    return None


def limit_blas(threads: int) -> bool:
    """Limit NumPy's BLAS to a number of threads; return False if threadpoolctl is not installed."""
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:
        return False
    threadpool_limits(threads, user_api="blas")
    return True


def turn(rank: int) -> float:
    """Return the seconds after which a rank reports why the run ends: lower ranks report first, and end the run."""
    return min(TURN * rank, LAST_TURN)


def guard() -> None:
    """If this process is one of several ranks, continue in a child; this process waits and reports what ended it.

    A launcher ends all ranks at once when one is killed, and does not say which one it was. The child runs as if it
    had been started itself: it has the environment and the open files, gets each signal once, and its exit status
    becomes this process's. It ends when this process does.
    """
    here = place()
    if here is None or not hasattr(os, "fork"):
        return
    numbers = {number for name in FORWARDED if signal.getsignal(number := getattr(signal, name)) != signal.SIG_IGN}
    reading, writing = os.pipe()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    parent, child = os.getpid(), os.fork()
    if not child:
        os.close(reading)
        _end_with(parent, writing)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return
    os.close(writing)
    os.set_blocking(reading, False)  # a process that the child starts may have the other end still
    came: dict[int, float] = {}

    def forward(number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if now > came.get(number, 0.0) + ONCE:
            with suppress(ProcessLookupError):
                os.kill(child, number)
        came[number] = now

    for number in numbers:
        signal.signal(number, forward)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    told, ended = _await_joining(child, reading, here)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1] if ended is None else ended)
    with suppress(BlockingIOError):
        told += os.read(reading, 2)
    _leave(here.rank, status, status < 0 and -status not in came, JOINED in told)


def _await_joining(child: int, reading: int, here: Place) -> tuple[bytes, int | None]:
    """Wait until the child has joined the others, or has ended; end the run if that takes longer than the patience.

    A rank that has not begun MPI is the one that all others wait for. If all have begun and none continues, the
    lowest rank reports it.

    Returns
    -------
    told : bytes
        What the child has written.
    status : int or None
        Its status as `os.waitpid` gives it, if it has ended.
    """
    limit, seconds, last, told = max(_patience(sys.argv), IMPORTED), 0.0, time.monotonic(), b""
    while JOINED not in told:
        if select.select([reading], [], [], LOOK)[0]:
            new = os.read(reading, 2)
            if not new:
                break
            told += new
        else:
            pid, status = os.waitpid(child, os.WNOHANG)
            if pid:
                return told, status
        now = time.monotonic()
        seconds += min(now - last, 2 * LOOK)  # while all processes are stopped nobody is late
        last = now
        begun = BEGINS in told
        if seconds > limit + (ANSWERED + turn(here.rank)) * begun:
            what = "MPI's start is not over" if begun else "it has not begun MPI"
            _say(f"{_name(here.rank)}: after {limit:g} s {what}; the run is ended")
            os.kill(child, signal.SIGKILL)
            _end_by_signal()
    return told, None


def _patience(argv: Sequence[str]) -> float:
    """Return the seconds that a command line gives, which has not been checked yet."""
    for word, following in zip(argv, [*argv[1:], ""]):
        name, _, value = word.partition("=")
        if name == "--patience":
            with suppress(ValueError):
                return float(value or following) or PATIENCE
    return PATIENCE


def begins() -> None:
    """Report to the process that waits for this one that MPI begins, where ranks wait for each other."""
    _tell(BEGINS)


def joined() -> None:
    """Report to the process that waits for this one that this one can end in order, because MPI knows it."""
    _tell(JOINED)


def _tell(what: bytes) -> None:
    if _guard != -1:
        os.write(_guard, what)


def _end_with(parent: int, writing: int) -> None:
    """Have this process killed when its parent ends, and keep the signals from it that its parent forwards."""
    global _guard
    _guard = writing
    os.setpgid(0, 0)
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
        if os.getppid() != parent:  # it has ended before
            os._exit(128 + signal.SIGKILL)
    else:
        threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(128 + signal.SIGKILL)


def _leave(rank: int, status: int, killed: bool, joined: bool) -> NoReturn:
    """End as the child has; ``killed`` if a signal did it that nobody sent through this process."""
    if killed:
        try:
            name = signal.Signals(-status).name
        except ValueError:  # of real time
            name = "unknown"
        words = f"{_name(rank)} was killed by signal {-status} ({name})"
        _say(f"{words}; the run is ended; the results of the last complete epoch are kept")
    if status and not joined:  # the others wait for it in MPI's start, which ends for a signal only
        _end_by_signal()
    os._exit(128 - status if status < 0 else status)


def _end_by_signal() -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(1)
    os._exit(128 + signal.SIGTERM)


def _name(rank: int) -> str:
    import platform

    return f"rank {rank} ({platform.node()})"


def _say(words: str) -> None:
    print(f"fastae: {words}", file=sys.stderr, flush=True)
