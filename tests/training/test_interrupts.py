"""Signals while compiled code runs, where Python cannot handle them: the process ends, and says how to go on."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

UNRESPONSIVE = "compiled code is running and does not come back; Ctrl-C once more ends it"

BLOCKED = """
import hashlib, threading, time
from fastae import interrupts

clock = time.pthread_getcpuclockid(threading.get_ident())
began = time.clock_gettime(clock)

def tell():
    while time.clock_gettime(clock) < began + 0.1:  # too much work for all but what is tried
        time.sleep(0.01)
    print("running", flush=True)

def last_words():
    print("last words", stop.number, flush=True)
    return 77

interrupts.UNRESPONSIVE_SECONDS = 0.3
with interrupts.Stop(last_words) as stop:
    threading.Thread(target=tell).start()
    {work}
"""
COMPILED = "hashlib.pbkdf2_hmac('sha256', b'', b'', 2**31 - 1)"  # a quarter of an hour, without the interpreter's lock
DELAYED = (
    "end = time.monotonic() + 1.5\n    with interrupts.delay_interrupts():\n        while time.monotonic() < end: pass"
)


@contextmanager
def started(code: str) -> Iterator[Any]:
    pipes: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", code], text=True, **pipes) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def blocked(work: str) -> Iterator[Any]:
    with started(BLOCKED.format(work=work)) as process:
        assert process.stdout.readline() == "running\n"
        yield process


def hears_nothing(process: Any) -> None:
    """Press Ctrl-C once, and wait for the message about it."""
    process.send_signal(signal.SIGINT)
    assert [process.stderr.readline() for _ in range(2)] == ["\n", f"fastae: {UNRESPONSIVE}\n"]


def test_a_second_ctrl_c_ends_what_does_not_come_back() -> None:
    with blocked(COMPILED) as process:
        hears_nothing(process)
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=30) == (f"last words {signal.SIGINT:d}\n", "")
        assert process.returncode == 77


def test_who_asks_it_to_end_need_not_ask_twice() -> None:
    with blocked(COMPILED) as process:
        process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=30) == (f"last words {signal.SIGTERM:d}\n", "")
        assert process.returncode == 77


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_is_only_held_is_waited_for(number: int) -> None:
    with blocked(DELAYED) as process:
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    assert (out, UNRESPONSIVE in err) == ("", False)
    assert err.endswith("KeyboardInterrupt\n")


def test_what_comes_back_late_is_interrupted_as_usual() -> None:
    with blocked("hashlib.pbkdf2_hmac('sha256', b'', b'', 4_000_000)") as process:
        hears_nothing(process)
        out, err = process.communicate(timeout=60)
    assert out == ""
    assert err.endswith("KeyboardInterrupt\n")


@pytest.mark.thorough
def test_a_kernel_that_never_ends_can_be_stopped(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    kernel = "def bias_sigmoid(z, bias, out):\n    i = 0\n    while bias.size:\n        i += 1\n"
    path.write_text(f"from numba import njit\n@njit\n{kernel}")
    options = ["--kernels", str(path), "--limit", "50", "--epochs", "1", "--no-progress", "--out", str(tmp_path)]
    with started(f"import sys, fastae.cli; sys.exit(fastae.cli.main({['train', *options]}))") as process:
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(60)  # compiled by now
        hears_nothing(process)
        process.send_signal(signal.SIGINT)
        err = process.communicate(timeout=30)[1]
        assert "To continue: fastae train --kernels" in err
        assert process.returncode == 130
