"""A stand-in for the slice of CuPy that the cupy backend uses, for machines without a GPU.

Device memory, launches and kernels are the emulator's, so the very ``.cu`` file that the GPU gets is what is tested,
and so is the order, size and type of every argument; cuBLAS is NumPy.
"""

import types

import numpy as np

from fastae.backends.emulator import device


def gemm(transa, transb, a, b, out, alpha, beta):
    """Compute out = alpha op(a) op(b) + beta out, as cuBLAS does; with beta = 0 out is not read."""
    product = (a.T if transa == "T" else a) @ (b.T if transb == "T" else b)
    out[:] = alpha * product + (0 if beta == 0 else beta * np.asarray(out))


def module():
    """Return what stands for the modules ``cupy`` and ``cupy.cublas``, by name."""
    cublas = types.SimpleNamespace(gemm=gemm)
    cupy = types.ModuleType("cupy")
    cupy.ndarray, cupy.array, cupy.asnumpy, cupy.RawModule = (
        device.ndarray, device.array, device.asnumpy, device.RawModule
    )  # fmt: skip
    cupy.cublas = cublas
    return {"cupy": cupy, "cupy.cublas": cublas}
