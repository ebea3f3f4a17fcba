"""CUDA without a GPU: the ``.cu`` files and the host code of the cupy backend, on the CPU.

`source` reads a ``.cu`` file, `ptx` translates its inline PTX, `compiler` makes a library of it, and `modules` launches
its kernels. `device` is the module that stands for CuPy. The C++ is in

- ``language/``: what is put before a kernel, and ``include/``: CUDA's own headers
- ``runtime/``: what is linked with it: a fiber for each thread of a block, with real barriers and warp operations; the
  checks of every access to memory, what it costs, and the recording for `fastae trace`
- ``program/``: CUDA's functions for the host, for `fastae run`
"""

from fastae import system
from fastae.backends.base import Availability
from fastae.backends.cupy_backend import CupyBackend
from fastae.backends.cupy_backend.launcher import Launcher
from fastae.backends.emulator import device
from fastae.backends.emulator.faults import KernelFault
from fastae.backends.emulator.modules import RawKernel, RawModule
from fastae.backends.emulator.recording import Recorded, Trace
from fastae.backends.emulator.settings import Counted, Traffic, checking, counting, tracing
from fastae.backends.emulator.toolchain import find_compiler

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
