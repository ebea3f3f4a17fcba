"""The number of workers: what the user asks for, else what the system allows this process."""

import math
import os
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import NamedTuple

MOST_WORKERS = 8  # by default; with more, a worker's share of the code layer is less than a vector
GROUP, GROUPS = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")  # only on Linux


class Choice(NamedTuple):
    """A number of workers, and the reason for it.

    Attributes
    ----------
    workers : int
    reason : str
        To be printed after the number, for example "by OMP_NUM_THREADS".
    ignored : str
        An environment variable with an invalid value, as "NAME=value"; empty if there is none.
    """

    workers: int
    reason: str
    ignored: str = ""


def choose(threads: int | None = None) -> Choice:
    """Choose the number of workers.

    Parameters
    ----------
    threads : int, optional
        The number that the caller asks for. Without it, NUMBA_NUM_THREADS or OMP_NUM_THREADS decides; without these,
        CPU affinity and CPU quota, with at most 8 workers.

    Returns
    -------
    Choice
    """
    if threads is not None:
        return Choice(threads, "as asked for")
    if asked := positive(os.environ.get("NUMBA_NUM_THREADS", "")):
        return Choice(asked, "by NUMBA_NUM_THREADS")
    text = os.environ.get("OMP_NUM_THREADS", "")
    if asked := positive(text.split(",")[0]):  # it may list a number for each level of nested teams
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
    """Return why Numba cannot be imported with the value of NUMBA_NUM_THREADS; an empty string if it can."""
    text = os.environ.get("NUMBA_NUM_THREADS")
    if text is None or positive(text):
        return ""
    return f"NUMBA_NUM_THREADS must be a positive whole number; got {text!r}"


def positive(text: str) -> int:
    """Return a text as a positive whole number, or 0 if it is none."""
    try:
        return max(0, int(text))
    except ValueError:
        return 0


def cores() -> int:
    """Return the number of cores on which this process may run."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def quota() -> float:
    """Return the CPU quota in cores: the smallest of the process's control groups and their parents; else infinity."""
    least = math.inf
    try:
        lines = GROUP.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:  # not Linux
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
        for folder in folders:  # in a container, the group may be at the top, whatever its path outside of it
            least = min(least, *(_read(read, folder / str(g).lstrip("/")) for g in (group, *group.parents)))
    return least


def _read(read: Callable[[Path], float], folder: Path) -> float:
    """Return a control group's quota in cores; infinity if it has none."""
    try:
        return read(folder)
    except (OSError, ValueError, ZeroDivisionError):
        return math.inf


def _second_version(folder: Path) -> float:
    most, period = (folder / "cpu.max").read_text(encoding="ascii").split()
    return float(most) / float(period)  # ValueError for "max", which means no quota


def _first_version(folder: Path) -> float:
    most, period = (float((folder / f"cpu.cfs_{name}_us").read_text(encoding="ascii")) for name in ("quota", "period"))
    return most / period if most > 0 else math.inf
