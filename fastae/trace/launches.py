"""Small launches of the contract's kernels, with the arguments of `fastae check`."""

from typing import Any

import numpy as np

from fastae.backends.contract import KERNELS, PATCHES
from fastae.backends.emulator import KernelFault, Trace, tracing
from fastae.backends.emulator.recording import MOST
from fastae.check.calls import cases
from fastae.errors import InputError
from fastae.layers import Geometry

SEED = [20]
MATRICES = {"m": 32, "n": 64}
IMAGES = {"m": 1, "channels": 2, **Geometry(16, 16, kernel=3, stride=2, padding=1)._asdict()}
SHAPES: dict[str, dict[str, int]] = {
    "matmul": {"m": 32, "n": 32, "k": 32},
    "convolve": {**IMAGES, "c": 8},
    "advance": {"n": 8},
}


def shape_of(kernel: str, given: dict[str, int] | None = None) -> dict[str, int]:
    """Return the lengths of a small launch; raises `InputError`.

    Parameters
    ----------
    kernel : str
        A kernel of the contract.
    given : dict of str to int
        Lengths that are not to be the default ones.
    """
    lengths = SHAPES.get(kernel) or (IMAGES if kernel in PATCHES else MATRICES)
    for key, value in (given or {}).items():
        if key not in lengths:
            raise InputError(f"--shape: {kernel} has the lengths {', '.join(lengths)}, not {key!r}")
        if value < (key == "stride") or (value < 1 and key != "padding"):
            raise InputError(f"--shape: {key} must be positive; got {value}")
    return lengths | (given or {})


def record(backend: Any, kernel: str, lengths: dict[str, int], most: int = MOST) -> Trace:
    """Launch a kernel on the emulator and record it, with a fault if there is one.

    Parameters
    ----------
    backend : EmulatorBackend
        With the kernel, such as a learner's.
    kernel : str
    lengths : dict of str to int
        As `shape_of` gives them.
    most : int
        Numbers of 4 bytes to record.
    """
    given: dict[str, Any] = dict(lengths)
    if kernel == "axpy":
        given = {"...": (lengths["m"], lengths["n"]), "alpha": -0.5}
    arguments = cases.made(kernel, "float32", given, SEED)
    arguments = {key: backend.asarray(x) if isinstance(x, np.ndarray) else x for key, x in arguments.items()}
    with tracing() as trace:
        trace.most = most
        try:
            getattr(backend, kernel)(**arguments)
        except KernelFault:
            if not trace:  # it has not come to a launch
                raise
    return trace


def described(kernel: str, lengths: dict[str, int]) -> str:
    """Return a call in words: ``"matmul, m=32, n=32, k=32"``."""
    assert kernel in KERNELS
    return ", ".join([kernel, *(f"{key}={value}" for key, value in lengths.items())])
