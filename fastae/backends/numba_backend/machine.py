"""The vector unit that LLVM compiles for: the width of a vector, and the number of vector registers."""

import platform
from dataclasses import dataclass

from fastae.backends.numba_backend.internals import features


@dataclass(frozen=True)
class Machine:
    """The properties of a vector unit on which the shape of a tile depends.

    Attributes
    ----------
    name : {"NEON", "AVX-512", "AVX2", "SSE2"}
    vector_bytes : int
        The width of a vector.
    registers : int
        The number of vector registers.
    """

    name: str
    vector_bytes: int
    registers: int


def target() -> Machine:
    """Return the machine that Numba compiles for: this one, or that of NUMBA_CPU_NAME and NUMBA_CPU_FEATURES."""
    if platform.machine().lower() in ("aarch64", "arm64"):
        return Machine("NEON", 16, 32)
    present = features()
    if "avx512f" in present:
        return Machine("AVX-512", 64, 32)
    if {"avx2", "fma"} <= present:
        return Machine("AVX2", 32, 16)
    return Machine("SSE2", 16, 16)


MACHINE = target()
