"""CUDA without a GPU: the very ``.cu`` files and host code of the cupy backend, on the CPU.

- ``device.h``, ``runtime.cpp``: a fiber for each thread of a block, with real barriers and warp operations
- ``checks.h``, ``counts.h``: every access to memory seen: bounds, races, what was never written; and what it costs
- ``trace.h``, ``recording``: all of it written down, for `fastae trace`
- ``compiler``, ``device``: from a ``.cu`` file to a function, and what stands for CuPy
"""

from fastae import system
from fastae.backends.base import Availability
from fastae.backends.cupy_backend import CupyBackend
from fastae.backends.cupy_backend.launcher import Launcher
from fastae.backends.emulator import device
from fastae.backends.emulator.compiler import find_compiler
from fastae.backends.emulator.device import Counted, RawKernel, RawModule, Traffic, checking, counting, tracing
from fastae.backends.emulator.faults import KernelFault
from fastae.backends.emulator.recording import Recorded, Trace

__all__ = [
    "Counted",
    "EmulatorBackend",
    "KernelFault",
    "RawKernel",
    "RawModule",
    "Recorded",
    "Trace",
    "Traffic",
    "checking",
    "counting",
    "tracing",
]


class EmulatorBackend(CupyBackend):
    """The cupy backend with a CPU for its device."""

    name = "emulator"

    def __init__(self) -> None:
        self.launcher = Launcher(device)
        self._tf32_launcher = Launcher(device, tf32=True)

    @classmethod
    def availability(cls) -> Availability:
        """Look for Linux, whose fibers and linker it takes, and a C++ compiler."""
        if not system.LINUX:
            return Availability(False, "it runs on Linux only", "on Windows, run fastae in WSL; or --backend numba")
        if find_compiler() is None:
            return Availability(False, "no C++ compiler was found", "install g++ or clang++")
        return Availability(True)
