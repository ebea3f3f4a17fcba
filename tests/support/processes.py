"""What tests ask of other processes: whether they run, and to wait until they have come so far."""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")


def runs(process: int | str) -> bool:
    """Tell whether a process is there and no zombie, whom its adoptive parent has not buried yet."""
    try:
        os.kill(int(process), 0)
        state = Path(f"/proc/{process}/stat")
        return not state.exists() or state.read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


def until(condition: Callable[[], bool], seconds: float = 60, told: Callable[[], object] = lambda: None) -> None:
    """Wait until a condition holds, and fail with what is ``told`` if it has not in so many seconds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, (f"not in {seconds} s", told())
        time.sleep(0.02)
