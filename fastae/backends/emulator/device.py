"""The slice of CuPy that the cupy backend uses, on the CPU."""

from fastae.backends.emulator import streams as cuda
from fastae.backends.emulator.arrays import array, asnumpy, ndarray
from fastae.backends.emulator.modules import RawKernel, RawModule
from fastae.backends.emulator.settings import settings

__all__ = ["RawKernel", "RawModule", "array", "asnumpy", "cuda", "ndarray", "settings"]
