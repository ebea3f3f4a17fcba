"""What the operating system denies the worker in any language, and what a timed call cannot hide."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from learner_files import Write

from fastae import system
from fastae.check import fresh, speed
from fastae.check.sandbox import confine
from fastae.check.sandbox.process import Rungs, WorkerLost
from fastae.check.sandbox.remote import Remote

HEAD = """
import ctypes, os, socket, sys
from pathlib import Path
from fastae.check.sandbox.confine import confine
lacking = confine(Path({scratch!r}))
libc = ctypes.CDLL(None, use_errno=True)
def errno(status):
    return 0 if status >= 0 else ctypes.get_errno()
"""
DENIED = {  # what is tried, through the C library, which asks no audit hook; and what is lacking if it is not denied
    "a file elsewhere": ("os.open({outside!r} + '/x', os.O_CREAT | os.O_WRONLY)", "files"),
    "a file that is there": ("os.open({outside!r} + '/there', os.O_WRONLY)", "files"),
    "truncation": ("os.truncate({outside!r} + '/there', 0)", "files"),
    "removal": ("os.unlink({outside!r} + '/there')", "files"),
    "a folder": ("os.mkdir({outside!r} + '/d')", "files"),
    "a link": ("os.symlink('x', {outside!r} + '/l')", "files"),
    "a socket": ("socket.socket()", "network"),
    "a socket of this machine": ("socket.socket(socket.AF_UNIX)", "network"),
    "a child": ("os.fork()", "processes"),
    "a program": ("os.execv('/bin/true', ['true'])", "processes"),
    "a signal": ("os.kill(os.getppid(), 0)", "processes"),
    "a traced process": ("assert errno(libc.ptrace(16, os.getppid(), 0, 0)) == 0", "processes"),
    "memory of others": ("assert errno(libc.process_vm_readv(os.getppid(), 0, 0, 0, 0, 0)) == 0", "processes"),
    "limits of others": ("import resource; resource.prlimit(os.getppid(), resource.RLIMIT_CORE)", "processes"),
    "much memory": ("b = bytearray(5 << 30)", "memory"),
    "much shared memory": ("import mmap; m = mmap.mmap(-1, 1 << 20)", "processes"),
    "memory of a file that is none": ("os.memfd_create('x')", "processes"),
    "modes of files": ("os.chmod({scratch!r}, 0o777)", "processes"),
    "times of files": ("os.utime({scratch!r})", "processes"),
    "memory that stays": ("assert errno(libc.shmget(0, 4096, 0o1600)) == 0", "processes"),
    "priorities of others": ("os.setpriority(os.PRIO_PROCESS, os.getppid(), 19)", "processes"),
    "processors of others": ("os.sched_setaffinity(os.getppid(), {{0}})", "processes"),
    "input for a terminal": ("import fcntl; fcntl.ioctl(0, 0x5412, b'x')", "processes"),
}
LINUX = pytest.mark.skipif(not system.LINUX, reason="only Linux can deny this to a process without a container")


def run(code: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    scratch, outside = folder / "scratch", folder / "outside"
    scratch.mkdir()
    outside.mkdir()
    (outside / "there").write_text("there")
    text = (HEAD + code).format(scratch=str(scratch), outside=str(outside))
    return subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=60)


@LINUX
@pytest.mark.parametrize("name", DENIED)
def test_it_is_denied_or_said_to_be_allowed(name: str, tmp_path: Path) -> None:
    what, key = DENIED[name]
    code = f"""
try:
    {what}
except (OSError, AssertionError, MemoryError) as error:
    print("denied")
else:
    print("lacking" if {key!r} in lacking else "allowed")
"""
    done = run(code, tmp_path)
    assert done.stdout in ("denied\n", "lacking\n"), done.stderr


@LINUX
def test_what_a_kernel_needs_is_allowed(tmp_path: Path) -> None:
    code = """
import subprocess, threading
import numpy as np
(Path({scratch!r}) / "mine").write_text("mine")
open(os.devnull, "w").write("x")
t = threading.Thread(target=lambda: None); t.start(); t.join()
a = np.ones((300, 300)); assert (a @ a)[0, 0] == 300
os.kill(os.getpid(), 0)
print("done")
"""
    done = run(code, tmp_path)
    assert done.stdout == "done\n", done.stderr


def test_what_is_denied_is_listed() -> None:
    assert {key for _, key in DENIED.values()} == set(confine.ENFORCED)


# Timed calls.

SLOW = """
import time
import numpy as np

def mse_gradient(z, x, scale, out):
    {slow}
    out[:] = 2 * scale * (z - x) * z * (1 - z)
"""


def timer(k: Any, m: int = 16) -> fresh.Timer:
    (work,) = speed.works("mse_gradient", m)
    return fresh.Timer(k, "mse_gradient", "mse_gradient", work.given)


def test_the_clock_is_the_judges(write: Write) -> None:
    """A known time is found again, and a clock that stands still in the worker changes nothing."""
    found = {}
    for name, slow in {"sleeps": "time.sleep(0.005)", "does not": "pass"}.items():
        with Remote(write(SLOW.format(slow=slow), f"{name.replace(' ', '')}.py")) as k:
            found[name] = timer(k).seconds()
    assert 0.005 <= found["sleeps"] - found["does not"] < 0.02


def test_each_timed_call_has_data_of_its_own_and_is_checked(write: Write) -> None:
    with Remote(write(SLOW.format(slow="pass"))) as k:
        t = timer(k)
        seen = set()
        for _ in range(3):
            t.segment()
            seen |= {views["z"].tobytes() for views in t._sets}
        assert len(seen) == 3 * len(t._sets)
        assert t.wrong() is None


@pytest.mark.parametrize(
    ("act", "told"),
    [
        ("if z.shape[0] == 128: out[5, 5] += 1; return", "elements are wrong"),
        ("if z.shape[0] == 128: x[3, 3] = z[3, 3] + 1", "it writes where it must not: x"),
        ("if z.shape[0] == 128: return", "elements are left unwritten|NaN"),
    ],
)
def test_what_is_timed_is_checked(act: str, told: str, write: Write) -> None:
    with Remote(write(SLOW.format(slow=act))) as k:
        t = timer(k, 128)
        t.segment()
        wrong = t.wrong()
    assert wrong is not None
    assert wrong.is_wrong
    assert wrong.fault == (told if "writes" in told else "")


def test_a_kernel_that_fails_only_where_it_is_timed_is_told(write: Write) -> None:
    with (
        Remote(write(SLOW.format(slow="if z.shape[0] == 128: raise ValueError('not here')"))) as k,
        pytest.raises(WorkerLost, match="ValueError: not here"),
    ):
        timer(k, 128)


def test_rungs_are_timed_as_a_learners_kernel_is() -> None:
    with Rungs("loss_gradient", "numpy") as rungs:
        (work,) = speed.works("mse_gradient", 16)
        timers = [fresh.Timer(rungs, number, "mse_gradient", work.given) for number in ("1", "3")]
        times = [timer.seconds() for timer in timers]  # each its own, though both were there before
    assert times[0] > 3 * times[1] > 0


def test_a_worker_begins_anew_when_it_is_lost(write: Write) -> None:
    with Remote(write(SLOW.format(slow="import os\n    if z.shape == (1, 1): os._exit(3)"))) as k:
        arguments = {"z": None, "x": None, "scale": 0.5, "out": None}
        hosts = {key: np.full((1, 1), 0.25) for key in ("z", "x", "out")}
        inner = dict.fromkeys(hosts, (slice(0, 1), slice(0, 1)))
        with pytest.raises(WorkerLost, match="with status 3"):
            k.run("mse_gradient", hosts, inner, arguments, written="out")
        hosts = {key: np.full((2, 1), 0.25) for key in hosts}
        inner = dict.fromkeys(hosts, (slice(0, 2), slice(0, 1)))
        assert k.run("mse_gradient", hosts, inner, arguments, written="out") is None
        assert np.all(hosts["out"] == 0)
