"""Run parts, each in its own process and session with its own time limit, and keep their findings.

Nothing here touches the device: whatever a part does to its context or to itself costs that part alone.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent.parent
LEAST, SHARE = 2.0, 0.3  # seconds, and of its limit, with less of which no part is begun
MOST_LOG = 100_000  # bytes of what a part has printed, its last
LINES = 8  # of them in the report


@dataclass(frozen=True)
class Part:
    """One part of a command.

    Attributes
    ----------
    name : str
    place : str
        ``"module:function"``, called with its findings, whether it rehearses, and the arguments.
    seconds : float
        After which it is killed.
    arguments : tuple of str
    persistent : bool
        It has blocks that wait for each other: once one such part had to be killed, the others are not begun.
    beside : bool
        The next ones do not wait for it: it needs the host's processors rather than the device, and is not timed.
    kept : bool
        Its time is left free by those before it.
    """

    name: str
    place: str
    seconds: float
    arguments: tuple[str, ...] = ()
    persistent: bool = False
    beside: bool = False
    kept: bool = False


class Supervisor:
    """Runs parts one after another until the time limit.

    Parameters
    ----------
    seconds : float
        For all of them.
    rehearse : bool
    plants : dict
        Faults by the names of parts.
    changed : callable
        Called with no argument after each part.

    Attributes
    ----------
    records : list of dict
        For each part: ``part``, ``status`` (``"done"`` if all went well), ``seconds``, ``findings``, ``output``.
    logs : dict
        All that they have printed.
    """

    def __init__(self, seconds: float, rehearse: bool, plants: dict[str, str], changed: Callable[[], None]) -> None:
        self.end = time.monotonic() + seconds
        self.records: list[dict[str, Any]] = []
        self.logs: dict[str, str] = {}
        self._rehearse, self._plants, self._changed = rehearse, plants, changed
        self._lock = threading.Lock()
        self._running: list[tuple[threading.Thread, list[subprocess.Popen[bytes]]]] = []
        self._hung = ""

    def run(self, parts: list[Part]) -> None:
        """Run all parts."""
        try:
            for i, part in enumerate(parts):
                self._begin(part, sum(later.seconds for later in parts[i + 1 :] if later.kept))
            for thread, _ in self._running:
                thread.join()
        finally:
            for _, children in self._running:
                for child in children:
                    if child.returncode is None:  # else its number may be another's by now
                        kill(child)

    def _begin(self, part: Part, kept: float) -> None:
        record: dict[str, Any] = {"part": part.name, "status": "running", "seconds": 0.0, "findings": [], "output": []}
        self.records.append(record)
        seconds = min(part.seconds, self.end - time.monotonic() - kept)
        if part.persistent and self._hung:
            record["status"] = f"skipped: {self._hung} had to be killed, and this one waits in the same way"
        elif seconds < min(part.seconds, max(LEAST, SHARE * part.seconds)):
            record["status"] = "skipped: no time left"
        else:
            children: list[subprocess.Popen[bytes]] = []
            thread = threading.Thread(target=self._run, args=(part, seconds, record, children), daemon=True)
            self._running.append((thread, children))
            thread.start()
            if not part.beside:
                thread.join()
            return
        with self._lock:
            self._changed()

    def _run(self, part: Part, seconds: float, record: dict[str, Any], children: list[Any]) -> None:
        began = time.monotonic()
        with (
            tempfile.TemporaryDirectory(prefix="gpu-part-", ignore_cleanup_errors=True) as folder,
            tempfile.TemporaryFile() as log,
        ):
            status = self._watched(part, seconds, record, children, folder, log)
            log.seek(max(0, log.seek(0, os.SEEK_END) - MOST_LOG))
            text = log.read().decode(errors="replace")
        with self._lock:
            self.logs[part.name] = text
            record.update(status=status, seconds=round(time.monotonic() - began, 1))
            if status != "done":
                record["output"] = last_words(text)
            if part.persistent and status.startswith("killed"):
                self._hung = part.name
            self._changed()

    def _watched(
        self, part: Part, seconds: float, record: dict[str, Any], children: list[Any], folder: str, log: Any
    ) -> str:
        """Run the part's process, collect its findings, and return how it ended."""
        hear, tell = os.pipe()
        told = {"place": part.place, "arguments": part.arguments, "rehearse": self._rehearse, "descriptor": tell,
                "seconds": seconds, "plant": self._plants.get(part.name, "")}  # fmt: skip
        paths = [str(HERE), str(HERE.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
        child = subprocess.Popen(
            [sys.executable, "-m", "gpu_parts.part", json.dumps(told)],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder, pass_fds=(tell,), start_new_session=True,
            env=environment | {"PYTHONPATH": os.pathsep.join(paths)},
        )  # fmt: skip
        children.append(child)
        os.close(tell)
        listener = threading.Thread(target=_listen, args=(hear, record["findings"]), daemon=True)
        listener.start()
        late = False
        try:
            child.wait(seconds)
        except subprocess.TimeoutExpired:
            late = True
        finally:
            kill(child)
        listener.join(5)
        if late and seconds < part.seconds:
            return f"cut short after {seconds:.3g} s: the command's time is over"
        return f"killed after {seconds:.3g} s" if late else _ending(child.returncode, record["findings"])


def _listen(descriptor: int, findings: list[dict[str, Any]]) -> None:
    with os.fdopen(descriptor, errors="replace") as lines:
        for line in lines:
            with contextlib.suppress(ValueError):  # cut short by its end
                findings.append(json.loads(line))


def last_words(text: str) -> list[str]:
    """Return the last lines of a log; after a crash, the stack of the crashed thread, or of the main thread."""
    lines = text.strip().splitlines()
    for words in ("Current thread", "(most recent call first)"):
        told = [i for i, line in enumerate(lines) if words in line]
        if told:
            return lines[told[-1] : told[-1] + LINES]
    return lines[-LINES:]


def _ending(status: int, findings: list[dict[str, Any]]) -> str:
    raised = next((f["words"] for f in findings if f["kind"] == "raised"), "")
    if raised:
        return f"raised {raised}"
    if status < 0:
        known = {s.value: s.name for s in signal.Signals}
        return f"died by {known.get(-status, f'signal {-status}')}"
    if status or not any(f["kind"] == "done" for f in findings):
        return f"ended with status {status} before it was done"
    return "done" if len(findings) > 1 else "ended without having found anything"


def kill(child: subprocess.Popen[bytes]) -> None:
    """Kill a part's process and all processes of its session, whatever their process group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if os.getsid(int(entry.name)) == child.pid:
                os.kill(int(entry.name), signal.SIGKILL)
    child.wait()
