"""What LLVM compiles for: how wide a vector is, and how many of them fit in registers."""

import platform
from dataclasses import dataclass
from typing import Any

import llvmlite.binding as llvm
from numba.core import config as numba_config

config: Any = numba_config  # its settings are made at run time


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
    if config.CPU_FEATURES is not None:
        features = set(config.CPU_FEATURES.split(","))
    else:
        features = {f"+{name}" for name, present in llvm.get_host_cpu_features().items() if present}
    if "+avx512f" in features and config.ENABLE_AVX:
        return Machine("AVX-512", 64, 32)
    if {"+avx2", "+fma"} <= features and config.ENABLE_AVX:
        return Machine("AVX2", 32, 16)
    return Machine("SSE2", 16, 16)


MACHINE = target()
