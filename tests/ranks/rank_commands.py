"""Starts ``fastae train`` under mpiexec for the tests of its failures, and finds the processes of its ranks."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from processes import runs, until
from rank_trainings import mpiexec

PATIENCE = 120  # seconds in which whatever a test waits for must have come
HOST = socket.gethostname()
PROGRAM = """
import os, sys
from pathlib import Path
from fastae import cli
from fastae.ranks import launch

def enter(stop, usual=cli.Stop.__enter__):
    usual(stop)
    from fastae.commands import show
    show.show = lambda *arguments: None  # pictures are not the point
    here = launch.place()  # a single rank has none, and no process waits for it
    new = Path(os.environ["FASTAE_TEST_RANKS"], f"new-{here.rank if here else 0}")
    new.write_text(f"{os.getpid()} {os.getppid() if here else os.getpid()}", encoding="utf-8")
    new.rename(new.with_name(new.name[4:]))
    return stop

cli.Stop.__enter__ = enter
"""
GO = "\nsys.exit(cli.main())"


def words(data: Path, out: Path, *options: Any) -> list[str]:
    """Return a command line of a small training that is quick."""
    given: list[Any] = ["train", "--data", data, "--out", out, "--sizes", "784,32,8"]
    given += ["--backend", "numpy", "--epochs", 2, "--schedule", "constant", *options]
    return [str(word) for word in given]


class Run:
    """A training by several ranks: as many as there are command lines.

    Attributes
    ----------
    pids : list of tuples
        Of each rank the process that trains, and the one that waits for it; empty until `begun`.
    """

    def __init__(self, folder: Path, lines: Sequence[list[str]], more: str = "") -> None:
        self._folder = folder / f"ranks-{time.monotonic_ns()}"
        self._folder.mkdir()
        self.pids: list[tuple[int, int]] = []
        self.size = len(lines)
        command = [mpiexec()]
        for number, line in enumerate(lines):
            command += [":"] * (number > 0) + ["-n", "1", sys.executable, "-c", PROGRAM + more + GO, *line]
        env = {**os.environ, "FASTAE_TEST_RANKS": str(self._folder), "OPENBLAS_NUM_THREADS": "1"}
        pipes: Any = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        self.process = subprocess.Popen(command, env=env, text=True, start_new_session=True, **pipes)

    def __enter__(self) -> "Run":
        return self

    def __exit__(self, *exception: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        for pid in {pid for pair in self.pids for pid in pair}:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.communicate()

    def begun(self, *files: Path) -> None:
        """Wait until all ranks would answer an interruption, and files are there."""
        places = [self._folder / str(rank) for rank in range(self.size)]

        def there() -> bool:
            assert self.process.poll() is None, self.process.communicate()
            return all(path.exists() for path in [*places, *files])

        until(there, PATIENCE)
        for place in places:
            child, guard = place.read_text(encoding="utf-8").split()
            self.pids.append((int(child), int(guard)))

    def ended(self, timeout: float = PATIENCE) -> tuple[int, str, list[str]]:
        """Wait for the end; return the exit status, what was printed, and the lines of ours on standard error."""
        try:
            out, err = self.process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired as error:
            columns = "pid,ppid,pgid,sid,stat,wchan:20,etimes,args"
            table = subprocess.run(["ps", "-e", "-o", columns], capture_output=True, text=True).stdout
            table = "\n".join(line[:120] for line in table.splitlines() if " [" not in line)  # no kernel threads
            written = [stream and stream.decode(errors="replace") for stream in (error.stdout, error.stderr)]
            raise AssertionError(f"not ended in {timeout} s: ranks {self.pids}, {written}\n{table}") from error
        assert "Traceback" not in err, err
        return self.process.returncode, out, [line for line in err.splitlines() if line.startswith("fastae")]

    def gone(self) -> None:
        """Make sure that no process of any rank is left."""
        for pid in (pid for pair in self.pids for pid in pair):
            until(lambda pid=pid: not runs(pid), 10, lambda pid=pid: f"process {pid} goes on")


def ranks(folder: Path, lines: Sequence[list[str]], more: str = "") -> tuple[int, str, list[str]]:
    """Run a training to its end; return what `Run.ended` does."""
    with Run(folder, lines, more) as run:
        return run.ended()
