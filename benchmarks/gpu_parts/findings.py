"""What a part tells while it runs: a line of JSON for each finding, written at once: no later fault takes it."""

import json
import time
from typing import Any, TextIO

FAULTS = ("hang", "exception", "illegal")
STRAY = 'extern "C" __global__ void stray(long long address) { *(volatile int*)address = 1; }'


class Findings:
    """Where a part puts what it finds.

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
        """Tell something of a kind that the report knows."""
        self._to.write(json.dumps({"kind": kind, **fields}) + "\n")
        self._to.flush()
        if self._planted:
            planted, self._planted = self._planted, ""
            plant(planted, self._rehearse)

    def check(self, name: str, ok: bool, detail: str) -> None:
        """Tell that something is right or wrong."""
        self.add("check", name=name, ok=bool(ok), detail=detail)

    def could_not(self, name: str, reason: str) -> None:
        """Tell that something could not be tried here, and so is neither right nor wrong."""
        self.add("check", name=name, ok=None, detail=f"could not run: {reason}")


def plant(fault: str, rehearse: bool) -> None:
    """Commit a fault: wait for ever, raise, or write where nothing is."""
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
