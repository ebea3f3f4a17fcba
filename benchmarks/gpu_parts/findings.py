"""The findings of a part: each is written as a line of JSON at once, so that no later fault can lose it."""

import json
import time
from typing import Any, TextIO

FAULTS = ("hang", "exception", "illegal")
STRAY = 'extern "C" __global__ void stray(long long address) { *(volatile int*)address = 1; }'


class Findings:
    """Collects the findings of a part.

    Parameters
    ----------
    to : file
        A line each.
    rehearse : bool
        The device is the emulator.
    planted : {"", "hang", "exception", "illegal"}
        The fault that follows the first finding, to see what becomes of the others.
    """

    def __init__(self, to: TextIO, rehearse: bool, planted: str = "") -> None:
        self._to, self._rehearse, self._planted = to, rehearse, planted

    def add(self, kind: str, **fields: Any) -> None:
        """Write a finding of a kind that the report knows."""
        self._to.write(json.dumps({"kind": kind, **fields}) + "\n")
        self._to.flush()
        if self._planted:
            planted, self._planted = self._planted, ""
            plant(planted, self._rehearse)

    def check(self, name: str, ok: bool, detail: str) -> None:
        """Write whether something is correct."""
        self.add("check", name=name, ok=bool(ok), detail=detail)

    def could_not(self, name: str, reason: str) -> None:
        """Write that something could not be tested here, and is neither correct nor wrong."""
        self.add("check", name=name, ok=None, detail=f"could not run: {reason}")


def plant(fault: str, rehearse: bool) -> None:
    """Commit a planted fault: hang, raise, or write outside an array."""
    if fault == "hang":
        while True:
            time.sleep(1)
    if fault == "exception":
        raise RuntimeError("a planted exception")
    import numpy as np
    from gpu_parts.machine import backend

    cupy = backend(rehearse).launcher.cupy
    cupy.RawModule(code=STRAY).get_function("stray")((1,), (1,), (np.int64(16),))
    cupy.cuda.get_current_stream().synchronize()
