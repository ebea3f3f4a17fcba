"""How many workers a team has: what the user asks for, else what the system lets this process use."""

import math
import os
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import NamedTuple

MOST_WORKERS = 8  # by default: beyond, a worker's share of the code layer is less than a vector
GROUP, GROUPS = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")  # Linux alone


class Choice(NamedTuple):
    """A number of workers, and what decided it.

    Attributes
    ----------
    workers : int
    reason : str
        In words that follow the number: "by OMP_NUM_THREADS".
    ignored : str
        A variable that says nothing, with its value; empty if there is none.
    """

    workers: int
    reason: str
    ignored: str = ""


def choose(threads: int | None = None) -> Choice:
    """Return how many workers there will be.

    Parameters
    ----------
    threads : int, optional
        What the caller asks for. Else the environment decides, else affinity and CPU quota, with at most 8 workers.

    Returns
    -------
    Choice
    """
    if threads is not None:
        return Choice(threads, "as asked for")
    if asked := positive(os.environ.get("NUMBA_NUM_THREADS", "")):
        return Choice(asked, "by NUMBA_NUM_THREADS")
    text = os.environ.get("OMP_NUM_THREADS", "")
    if asked := positive(text.split(",")[0]):  # a number for each level of nested teams
        return Choice(asked, "by OMP_NUM_THREADS")
    ignored = f"OMP_NUM_THREADS={text}" if text else ""
    usable, most = cores(), quota()
    allowed = max(1, int(min(usable, most)))
    if allowed > MOST_WORKERS:
        return Choice(MOST_WORKERS, "by default, at most", ignored)
    if allowed < usable:
        return Choice(allowed, f"by a CPU quota of {most:g} cores", ignored)
    return Choice(usable, "by the cores that this process may use", ignored)


def refused() -> str:
    """Return what is wrong with the variable that Numba reads, and cannot be loaded with; empty if nothing is."""
    text = os.environ.get("NUMBA_NUM_THREADS")
    if text is None or positive(text):
        return ""
    return f"NUMBA_NUM_THREADS must be a positive whole number; got {text!r}"


def positive(text: str) -> int:
    """Read a positive whole number; return 0 if it is none."""
    try:
        return max(0, int(text))
    except ValueError:
        return 0


def cores() -> int:
    """Return on how many cores this process may run."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def quota() -> float:
    """Return how many cores' time the process may use: the least that its control groups and those above allow."""
    least = math.inf
    try:
        lines = GROUP.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:  # another system than Linux
        return least
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            folders, read = [GROUPS], _second_version
        elif "cpu" in controllers.split(","):
            folders, read = [GROUPS / "cpu", GROUPS / controllers], _first_version
        else:
            continue
        group = PurePosixPath(path)
        for folder in folders:  # in a container a group may be at the top, whatever it is called outside
            least = min(least, *(_read(read, folder / str(g).lstrip("/")) for g in (group, *group.parents)))
    return least


def _read(read: Callable[[Path], float], folder: Path) -> float:
    """Return what a control group allows; infinity if it says nothing."""
    try:
        return read(folder)
    except (OSError, ValueError, ZeroDivisionError):
        return math.inf


def _second_version(folder: Path) -> float:
    most, period = (folder / "cpu.max").read_text(encoding="ascii").split()
    return float(most) / float(period)  # "max" is no number


def _first_version(folder: Path) -> float:
    most, period = (float((folder / f"cpu.cfs_{name}_us").read_text(encoding="ascii")) for name in ("quota", "period"))
    return most / period if most > 0 else math.inf
