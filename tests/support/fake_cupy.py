"""A stand-in for the slice of CuPy that the cupy backend uses, for machines without a GPU.

It is the emulator's: the very ``.cu`` files that a GPU gets are what is tested, and so are the order, size and type of
every argument, and what may happen while a stream is captured.
"""

import types

from fastae.backends.emulator import device


def module():
    """Return what stands for the module ``cupy``, by name."""
    cupy = types.ModuleType("cupy")
    for name in ("ndarray", "array", "asnumpy", "RawModule", "cuda"):
        setattr(cupy, name, getattr(device, name))
    return {"cupy": cupy}
