"""Check each file by ``fastae check`` in a process of its own, and store its outcome at once."""

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import fastae
from fastae import storage, system
from fastae.errors import OutputError
from fastae.grade.submissions import File, Student, printable
from fastae.interrupts import delay_interrupts

CHECK = "import sys; sys.path[:] = {path!r}; from fastae.cli import main; sys.exit(main())"
BOUND = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, 15)  # PR_SET_PDEATHSIG, SIGTERM: a check ends with the grading
os.execvp(sys.argv[1], sys.argv[1:])
"""
MOST_OUTPUT = 16 << 20  # bytes that a check may print
LOOK = 0.05  # seconds from one look at the processes to the next
GRACE = 3.0  # seconds that a check has to end after SIGTERM
HERE = "{folder}"  # in the command of --check: the folder of the file


@dataclass(frozen=True)
class Settings:
    """How files are checked. An outcome is used again only for the same settings.

    Attributes
    ----------
    seed : int
        Of the data.
    seconds : float
        The time limit of a file.
    backend : str
        Of ``.cu`` files.
    speed : bool
        Whether speed is measured.
    command : tuple of str
        A command in place of this Python's ``fastae check``; empty for none.
    version : str
        Of fastae.
    """

    seed: int
    seconds: float
    backend: str
    speed: bool
    command: tuple[str, ...] = ()
    version: str = field(default_factory=lambda: fastae.__version__)

    def key(self, file: File) -> str:
        """Return a digest of a file and these settings."""
        text = json.dumps([file.name, file.digest, asdict(self)])
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True)
class Outcome:
    """The outcome of checking a file.

    Attributes
    ----------
    report : dict or None
        The report of ``fastae check --json``.
    why_not : str
        Why there is no report, for the student too.
    lost : bool
        Whether the check failed for a reason outside of the file; it is then repeated the next time.
    """

    report: dict[str, Any] | None
    why_not: str = ""
    lost: bool = False


@dataclass(frozen=True)
class Job:
    """A file to be checked, and the path at which its outcome is stored."""

    student: Student
    file: File
    path: Path

    def kept(self, key: str) -> Outcome | None:
        """Return the stored outcome, if it has the same key; else None."""
        try:
            content = json.loads(self.path.read_text(encoding="utf-8"))
            if content["key"] == key:
                return Outcome(content["report"], str(content["why_not"]))
        except (OSError, ValueError, LookupError, TypeError):  # not there, or of another form
            pass
        return None

    def keep(self, key: str, outcome: Outcome) -> None:
        """Store the outcome; a failure leaves no incomplete file."""
        content: dict[str, Any] = {
            "key": key,
            "student": self.student.name,
            "file": self.file.name,
            "sha256": self.file.digest,
        }
        content |= {"why_not": outcome.why_not, "report": outcome.report}
        with storage.replacing(self.path) as file:
            file.write((json.dumps(content, indent=1) + "\n").encode())


def judge(
    jobs: Sequence[Job], settings: Settings, workers: int, tell: Callable[[int], None]
) -> Generator[tuple[Job, Outcome], None, None]:
    """Check files, and yield each with its outcome after it is stored.

    Parameters
    ----------
    jobs : sequence of Job
    settings : Settings
    workers : int
        How many files are checked at the same time.
    tell : callable
        Called with the number of files that are done, before another one begins.

    Yields
    ------
    job : Job
    outcome : Outcome

    Raises
    ------
    OutputError
        A file or an outcome cannot be written.
    """
    waiting, running, done = list(jobs), list[_Check](), 0
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                tell(done)
                with delay_interrupts():  # an interruption here would lose a process
                    running.append(_Check(waiting.pop(0), settings))
            for check in [check for check in running if check.ended()]:
                with delay_interrupts():
                    running.remove(check)
                    outcome = check.outcome()
                    if not outcome.lost:
                        check.job.keep(settings.key(check.job.file), outcome)
                    done += 1
                yield check.job, outcome
            time.sleep(LOOK)
    finally:
        for check in running:
            check.end()


class _Check:
    """A process that checks a copy of a file in a folder of its own."""

    def __init__(self, job: Job, settings: Settings) -> None:
        self.job, self._seconds, self._stop = job, settings.seconds, ""
        self._stack = contextlib.ExitStack()
        try:
            self._start(settings)
        except BaseException:
            self._stack.close()
            raise
        self._began = time.monotonic()

    def _start(self, settings: Settings) -> None:
        try:
            self._place = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="fastae-grade-")))
            self._folder = self._place / "submission"
            self._folder.mkdir()
            self._folder.chmod(0o755)  # a container may have another user
            path = self._folder / self.job.file.name
            path.write_bytes(self.job.file.content)
            path.chmod(0o644)
        except OSError as error:
            raise OutputError(f"cannot make a folder for a file to check: {error.strerror or error}") from error
        command = [*_command(settings, self._folder), *_options(settings, path)]
        environment = os.environ | {"PYTHONIOENCODING": "utf-8"}
        with open(self._place / "out", "wb") as out, open(self._place / "err", "wb") as err:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                cwd=None if settings.command else self._place,
                env=environment,
                **system.new_process_group(),
            )

    def ended(self) -> bool:
        """Return whether the process has ended, and end it at a limit."""
        if self._process.poll() is not None:
            return True
        if time.monotonic() - self._began > self._seconds:
            self._stop = f"it was not judged within {self._seconds:g} seconds"
        elif sum((self._place / name).stat().st_size for name in ("out", "err")) > MOST_OUTPUT:
            self._stop = f"it prints more than {MOST_OUTPUT >> 20} MiB"
        if self._stop:
            self.end()
        return bool(self._stop)

    def end(self) -> None:
        """End the process and its children: by SIGTERM, so that it can end them itself, and then by SIGKILL."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.terminate()
            self._process.wait(GRACE)
        if hasattr(os, "killpg"):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()
        self._process.wait()
        self._stack.close()

    def outcome(self) -> Outcome:
        """Return the outcome after the process has ended."""
        if self._stop:
            return Outcome(None, self._stop)
        status = self._process.returncode
        out, err = ((self._place / name).read_bytes().decode("utf-8", "replace") for name in ("out", "err"))
        self.end()
        told = [line.removeprefix("fastae: ") for line in err.splitlines() if line.startswith("fastae: ")]
        if status == 2 and told:
            return Outcome(None, printable(told[-1].replace(f"{self._folder}{os.sep}", "")))
        if status in (0, 1):
            try:
                report = _without(json.loads(out), f"{self._folder}{os.sep}")
                if isinstance(report["kernels"], list) and "model" in report:
                    return Outcome(report)
            except (ValueError, LookupError, TypeError, RecursionError):
                pass
        last = printable((err.strip().splitlines() or ["nothing on standard error"])[-1], 200)
        return Outcome(None, f"exit status {status} without a verdict: {last}", lost=True)


def _command(settings: Settings, folder: Path) -> list[str]:
    bound = [sys.executable, "-I", "-c", BOUND] if system.LINUX else []
    if settings.command:
        return [*bound, *(word.replace(HERE, str(folder)) for word in settings.command)]
    path = [entry for entry in sys.path if entry]  # not the current folder
    return [*bound, sys.executable, "-P", "-c", CHECK.format(path=path), "check"]


def _options(settings: Settings, path: Path) -> list[str]:
    patience = min(120.0, settings.seconds / 2)  # so that the report names the kernel that does not return
    options = ["--json", "--seed", str(settings.seed), "--patience", f"{patience:g}"]
    options += [] if settings.speed else ["--no-speed"]
    options += ["--backend", settings.backend] if path.suffix == ".cu" else []
    return [*options, str(path)]


def _without(found: Any, folder: str) -> Any:
    """Remove the path of the temporary folder from every text."""
    if isinstance(found, dict):
        return {key: _without(value, folder) for key, value in found.items()}
    if isinstance(found, list):
        return [_without(value, folder) for value in found]
    return found.replace(folder, "") if isinstance(found, str) else found
