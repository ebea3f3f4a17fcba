"""A check in a process of its own: a kernel that ends it, or never comes back, is told like any other mistake.

Compiled code that loops for ever cannot be interrupted from inside its process, and one stray write may end that. So
the command runs in a child, which notes in a file what it is about to try; its parent waits, and tells what happened.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from fastae import system

NOTES = "FASTAE_NOTES"  # the environment variable that tells the child where to note
CHILD = """
import ctypes, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, 9)  # PR_SET_PDEATHSIG, SIGKILL: who kills the parent is rid of both
sys.path[:] = {path!r}
from fastae.cli import main
sys.exit(main())
"""
LOOK = 0.2  # seconds from one look at the notes to the next

ENDLESS = ["a loop that never ends: its condition, or what should change it"]
OUTSIDE = ["out of bounds: an index leads beyond an array, where compiled code does not look; or endless recursion"]
BEYOND = ["out of bounds: something was written beyond an array, where others keep what they need"]
DIVIDED = ["a whole number is divided by 0"]
SIGNALS = {"SIGSEGV": OUTSIDE, "SIGBUS": OUTSIDE, "SIGABRT": BEYOND, "SIGFPE": DIVIDED}
CAUSES = {int(getattr(signal, name)): causes for name, causes in SIGNALS.items() if hasattr(signal, name)}
EXCEPTIONS = {0xC0000005: OUTSIDE, 0xC00000FD: OUTSIDE, 0xC0000374: BEYOND, 0xC0000094: DIVIDED}  # of Windows

_known: dict[str, Any] = {}


def note(**what: Any) -> None:
    """Note what is about to be tried, for the parent, beside what was noted before; nothing at all: it is done."""
    if path := os.environ.get(NOTES):
        _known.update(what)
        Path(path).write_text(json.dumps(_known if what else {}), encoding="utf-8")


def wanted(options: argparse.Namespace) -> bool:
    """Tell whether a command should run in a child: it is the process's own, and the process not the child."""
    return getattr(options, "own", False) and NOTES not in os.environ


class Ending(NamedTuple):
    """How the child ended.

    Attributes
    ----------
    status : int
        Its exit status.
    lost : str
        What became of it, if it did not end as a check does; else empty.
    causes : list of str
        What is likely then.
    noted : dict
        What it was about to try.
    """

    status: int
    lost: str
    causes: list[str]
    noted: dict[str, Any]


def run(arguments: Sequence[str], patience: float, environment: Mapping[str, str] = MappingProxyType({})) -> Ending:
    """Run the command in a child process.

    Parameters
    ----------
    arguments : sequence of str
        Of the command line ``fastae``.
    patience : float
        How many seconds the child may take for one thing that it noted.
    environment : mapping of str to str
        What the child's environment has beside this process's.
    """
    with tempfile.TemporaryDirectory(prefix="fastae-check-") as folder:
        notes = Path(folder) / "notes"
        notes.touch()
        command = [sys.executable, "-c", CHILD.format(path=sys.path), *arguments]
        child = subprocess.Popen(command, env=os.environ | environment | {NOTES: str(notes)}, **system.apart())
        last, since = "", time.monotonic()
        try:
            while True:
                try:
                    status = child.wait(LOOK)
                    break
                except subprocess.TimeoutExpired:
                    now = notes.read_text(encoding="utf-8")
                    if now != last or not _read(now):
                        last, since = now, time.monotonic()
                    if time.monotonic() - since > patience:
                        return Ending(1, f"it does not come back, not within {patience:g} seconds", ENDLESS, _read(now))
        finally:
            child.kill()
            child.wait()
        noted = _read(notes.read_text(encoding="utf-8"))
    if status < 0:  # a signal; Windows has none
        lost = f"it ends the process: {signal.strsignal(-status) or 'a signal'} (signal {-status})"
        return Ending(status, lost, CAUSES.get(-status, []), noted)
    if status > 0xFF:  # an exception, of Windows
        return Ending(status, f"it ends the process: exception {status:#x}", EXCEPTIONS.get(status, []), noted)
    lost = f"it ends the process, with status {status}" if noted and status in (0, 1, 3) else ""  # 3: abort, on Windows
    return Ending(status, lost, [], noted)


def _read(noted: str) -> dict[str, Any]:
    try:
        return dict(json.loads(noted))
    except ValueError:  # nothing yet, or cut short: the child is writing it
        return {}
