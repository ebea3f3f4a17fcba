"""NVIDIA GPUs by CuPy: matmul from cuBLAS, the other kernels from ``fastae/cuda``.

The step runs eagerly, launch by launch. It is laid to be captured: buffers are made once, and the cursor, the learning
rate and the sum of the losses live on the device.
"""

import importlib.util
import os
from functools import cache
from typing import Any

import numpy as np

from fastae.backends.base import Availability, Backend
from fastae.backends.contract import check_arguments
from fastae.cuda import source
from fastae.errors import InputError

BLOCK, MOST_BLOCKS = 256, 4096  # the kernels loop, so a grid may have fewer threads than there is work
Number = Any
WARP = 32  # threads that compute the loss of an image
LOSSES = ("mse_loss", "bce_loss")
TILE, TILE_THREADS = 32, 16  # as matmul.cu has them
NUMBERS = ("alpha", "beta", "scale")  # values, or 0-d arrays on the device
DRIVERS = {12: 525, 13: 580}  # the oldest driver for each CUDA


class CupyBackend(Backend):
    """One NVIDIA GPU, the current device."""

    name = "cupy"

    def __init__(self) -> None:
        import cupy
        from cupy import cublas

        self.cupy, self.cublas = cupy, cublas
        self._modules: dict[Any, Any] = {}
        self._functions: dict[tuple[str, Any], Any] = {}

    @classmethod
    def availability(cls) -> Availability:
        """Try everything that a step needs, from the cheapest on."""
        return diagnose()

    def asarray(self, host: np.ndarray) -> Any:
        """Copy an array to the device."""
        return self.cupy.array(host)

    def to_host(self, array: Any) -> np.ndarray:
        """Copy an array to NumPy, when the device has come so far."""
        return self.cupy.asnumpy(array)

    def matmul(
        self,
        a: Any,
        b: Any,
        out: Any,
        trans_a: bool = False,
        trans_b: bool = False,
        alpha: Number = 1.0,
        beta: Number = 0.0,
    ) -> None:
        """Write alpha · op(a) op(b) + beta · out; cuBLAS, which here takes no row stride but the width."""
        check_arguments("matmul", {"a": a, "b": b, "out": out, "trans_a": trans_a, "trans_b": trans_b})
        for name, array in (("a", a), ("b", b), ("out", out)):
            if not array.flags.c_contiguous:
                raise InputError(f"matmul: cupy needs {name} without gaps between its rows; copy it first")
        if out.size == 0:
            return
        self.cublas.gemm("T" if trans_a else "N", "T" if trans_b else "N", a, b, out, alpha, beta)

    def tiled_matmul(
        self,
        a: Any,
        b: Any,
        out: Any,
        trans_a: bool = False,
        trans_b: bool = False,
        alpha: Number = 1.0,
        beta: Number = 0.0,
    ) -> None:
        """Write alpha · op(a) op(b) + beta · out, by ``matmul.cu``, which takes any row stride."""
        check_arguments("matmul", {"a": a, "b": b, "out": out, "trans_a": trans_a, "trans_b": trans_b})
        rows, cols = out.shape
        if out.size == 0:
            return
        values = [np.int32(rows), np.int32(cols), np.int32(a.shape[0 if trans_a else 1])]
        for name, x in (("a", a), ("b", b), ("out", out)):
            values += self._c_values("matmul", name, x, out.dtype)
        values += [np.int32(trans_a), np.int32(trans_b)]
        values += self._c_values("matmul", "alpha", alpha, out.dtype) + self._c_values(
            "matmul", "beta", beta, out.dtype
        )
        grid = -(-cols // TILE), -(-rows // TILE)
        self._function("matmul", out.dtype, "matmul.cu")(grid, (TILE_THREADS, TILE_THREADS), tuple(values))

    def bias_sigmoid(self, z: Any, bias: Any, out: Any) -> None:
        """Write σ(z + bias)."""
        self._launch("bias_sigmoid", out.shape, z=z, bias=bias, out=out)

    def sigmoid_gradient(self, delta: Any, y: Any, out: Any) -> None:
        """Write delta · y · (1 − y)."""
        self._launch("sigmoid_gradient", out.shape, delta=delta, y=y, out=out)

    def mse_gradient(self, z: Any, x: Any, scale: Number, out: Any) -> None:
        """Write 2 · scale · (z − x) · z · (1 − z)."""
        self._launch("mse_gradient", out.shape, z=z, x=x, scale=scale, out=out)

    def bce_gradient(self, z: Any, x: Any, scale: Number, out: Any) -> None:
        """Write scale · (z − x)."""
        self._launch("bce_gradient", out.shape, z=z, x=x, scale=scale, out=out)

    def mse_loss(self, z: Any, x: Any, out: Any) -> None:
        """Write Σ (z − x)² for each image."""
        self._launch("mse_loss", z.shape, z=z, x=x, out=out)

    def bce_loss(self, z: Any, x: Any, out: Any) -> None:
        """Write the cross-entropy of each image, the logarithms floored at −100."""
        self._launch("bce_loss", z.shape, z=z, x=x, out=out)

    def column_sum(self, delta: Any, out: Any, alpha: Number = 1.0, beta: Number = 0.0) -> None:
        """Write alpha · Σ_rows delta + beta · out."""
        self._launch("column_sum", delta.shape, delta=delta, out=out, alpha=alpha, beta=beta)

    def axpy(self, alpha: Number, x: Any, y: Any) -> None:
        """Add alpha · x to y."""
        if y.ndim == 1:
            x, y = x[None], y[None]
        self._launch("axpy", y.shape, alpha=alpha, x=x, y=y)

    def gather(self, images: Any, order: Any, cursor: Any, offset: int, out: Any) -> None:
        """Write rows order[cursor[0] + offset + i] of the images, divided by 255; the rows must be there."""
        self._launch("gather", out.shape, images=images, order=order, cursor=cursor, offset=offset, out=out)

    def advance(self, cursor: Any, n: int) -> None:
        """Add n to cursor[0]."""
        self._launch("advance", (1, 1), cursor=cursor, n=n)

    def _launch(self, name: str, shape: tuple[int, int], **arguments: Any) -> None:
        """Launch a kernel of ``elementwise.cu`` or ``losses.cu``, its arguments checked.

        A raw kernel sees neither strides nor dtypes, and takes a Python float for 8 bytes whatever it expects.
        """
        check_arguments(name, arguments, on_device=True)
        rows, cols = shape
        file = "losses.cu" if name in LOSSES else "elementwise.cu"
        work = cols if name == "column_sum" else rows * WARP if name in LOSSES else rows * cols
        if work == 0:
            return
        real = next((arguments[x].dtype for x in ("z", "out", "y") if x in arguments), np.dtype(np.float32))
        values: list[Any] = [np.int32(rows), np.int32(cols)]
        for argument, x in arguments.items():
            values += self._c_values(name, argument, x, real)
        grid = min(-(-work // BLOCK), MOST_BLOCKS)
        self._function(name, real, file)((grid,), (BLOCK,), tuple(values))

    def _c_values(self, kernel: str, argument: str, x: Any, real: np.dtype[Any]) -> list[Any]:
        """Turn an argument into C's: a matrix and its row stride, a vector, a number and where it lies, or a length."""
        if argument in NUMBERS:
            on_device = isinstance(x, self.cupy.ndarray)
            if on_device and (x.ndim or x.dtype != real):
                raise InputError(f"{kernel}: {argument} must be a number or a 0-d array of {real}, not {x.dtype}")
            return [real.type(0 if on_device else x), x if on_device else np.uint64(0)]
        if not isinstance(x, self.cupy.ndarray):
            return [np.int64(x)]
        return [x, np.int64(x.strides[0] // x.itemsize)] if x.ndim == 2 else [x]

    def _function(self, name: str, real: np.dtype[Any], file: str) -> Any:
        if (file, real) not in self._modules:
            options = (f"-Dreal={'float' if real == np.float32 else 'double'}",)
            self._modules[file, real] = self.cupy.RawModule(code=source(file), options=options)
        if (name, real) not in self._functions:
            self._functions[name, real] = self._modules[file, real].get_function(name)
        return self._functions[name, real]


@cache
def diagnose() -> Availability:
    """Say why the GPU cannot be used, and what mends it."""
    if importlib.util.find_spec("cupy") is None:
        remedy = "pip install 'fastae[cuda13]' with a driver of at least 580, or 'fastae[cuda12]' with 525"
        return Availability(False, "CuPy is not installed", remedy)
    try:
        import cupy
        from cupy.cuda import runtime
    except Exception as error:  # broken or mixed wheels fail in many ways
        reason = f"CuPy is installed but does not import: {first_line(error)}"
        return Availability(False, reason, "install one CuPy wheel alone: pip list | grep cupy")
    version = runtime.driverGetVersion()
    built = runtime.runtimeGetVersion() // 1000
    if version == 0:
        return Availability(False, "no NVIDIA driver was found", "install the driver, or take --backend numba")
    if version // 1000 < built:
        reason = f"the NVIDIA driver supports CUDA {version // 1000}, but this CuPy needs {built}"
        remedy = f"update the driver to at least {DRIVERS.get(built, 'a newer one')}"
        if version // 1000 in DRIVERS:
            remedy += f", or install 'fastae[cuda{version // 1000}]'"
        return Availability(False, reason, remedy)
    try:
        count = runtime.getDeviceCount()
    except runtime.CUDARuntimeError as error:
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        remedy = f"CUDA_VISIBLE_DEVICES is {visible!r}: unset it" if visible is not None else "see nvidia-smi"
        return Availability(False, f"the NVIDIA driver finds no usable device: {first_line(error)}", remedy)
    if count == 0:
        return Availability(False, "the NVIDIA driver finds no device", "see nvidia-smi")
    try:
        from cupy.cuda import nvrtc

        nvrtc.getVersion()
        from cupy import cublas  # noqa: F401  that it imports is the test
    except Exception as error:
        remedy = f"pip install 'cuda-toolkit[nvrtc,cudart,cublas]=={built}.*'"
        return Availability(False, f"a CUDA library is missing: {first_line(error)}", remedy)
    try:
        cupy.zeros(1).sum().item()
    except Exception as error:
        return Availability(False, f"the first operation on the GPU failed: {first_line(error)}", "see nvidia-smi")
    return Availability(True)


def first_line(error: Exception) -> str:
    """Return the gist of an exception."""
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
