"""What LLVM compiles for: how wide a vector is, and how many of them fit in registers."""

import platform
from dataclasses import dataclass

from fastae.backends.numba_backend.internals import features


@dataclass(frozen=True)
class Machine:
    """The vector unit, as far as the shape of a tile depends on it."""

    name: str
    vector_bytes: int
    registers: int


def target() -> Machine:
    """Return the machine that Numba compiles for: this one, or what NUMBA_CPU_NAME and NUMBA_CPU_FEATURES say."""
    if platform.machine().lower() in ("aarch64", "arm64"):
        return Machine("NEON", 16, 32)
    present = features()
    if "avx512f" in present:
        return Machine("AVX-512", 64, 32)
    if {"avx2", "fma"} <= present:
        return Machine("AVX2", 32, 16)
    return Machine("SSE2", 16, 16)


MACHINE = target()
