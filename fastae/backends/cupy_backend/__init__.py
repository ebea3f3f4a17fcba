"""The CuPy backend: the CUDA kernels of ``fastae/cuda`` on NVIDIA GPUs.

- ``launcher``: compiles the kernels, checks their arguments and launches them
- ``branches``: additional streams that run in parallel with the session's
- ``operations``: the step's operations; those of a dense layer are one kernel each
- ``convolutions``: the operations of convolutions and transposed convolutions
- ``session``: runs the step launch by launch, as a captured graph, or as one persistent kernel
- ``persistent``, ``plan``: the persistent kernel, and the plan of its phases
- ``diagnosis``: finds the reason why a GPU cannot be used
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from fastae.activations import ACTIVATIONS
from fastae.backends.base import Availability, Backend, Parameters
from fastae.backends.contract import KERNELS, Kernel
from fastae.backends.cupy_backend.diagnosis import diagnose
from fastae.backends.cupy_backend.launcher import THREADS, WARP, Launcher, number_of, tiles
from fastae.backends.cupy_backend.session import CupySession
from fastae.errors import InputError
from fastae.layers import Geometry

Number = Any
TAKE = Kernel(
    "take(samples, order, cursor, offset, out)",
    {"samples": ("N", "n"), "order": ("o",), "cursor": ("1",), "out": ("m", "n")},
    "rows order[cursor[0] + offset + i] of the samples",
)


class CupyBackend(Backend):
    """The backend that runs on one NVIDIA GPU, the current device."""

    name = "cupy"
    on_gpu = True

    def __init__(self) -> None:
        import cupy

        self.launcher = Launcher(cupy)
        self._tf32_launcher = Launcher(cupy, tf32=True)

    @classmethod
    def availability(cls) -> Availability:
        """Check everything that a step needs, the cheapest tests first."""
        return diagnose()

    def asarray(self, host: np.ndarray) -> Any:
        """Copy an array to the device, in C order; by default CuPy would keep Fortran order."""
        return self.launcher.cupy.array(host, order="C")

    def to_host(self, array: Any) -> np.ndarray:
        """Copy an array to NumPy, after the work that the current stream has."""
        return self.launcher.cupy.asnumpy(array)

    def launcher_for(self, tf32: bool, real: np.dtype[Any]) -> Launcher:
        """Return the launcher for a session; raises `InputError` if TF32 is asked for but not possible."""
        if not tf32:
            return self.launcher
        if real != np.float32:
            raise InputError(f"TF32 is a way to multiply float32; the model is {real}")
        capability = int(self.launcher.cupy.cuda.Device().compute_capability)
        if capability < 80:
            raise InputError(f"TF32 needs compute capability 8.0; this GPU has {capability / 10}")
        return self._tf32_launcher

    def session(self, parameters: Parameters, images: np.ndarray, **options: Any) -> CupySession:
        """Create a session with the model and its data on the device; for the arguments see `CupySession`."""
        return CupySession(self, parameters, images, **options)

    def take_device(self, number: int) -> None:
        """Use another GPU from now on: GPU ``number`` modulo their count, so that ranks are distributed over them."""
        cuda = self.launcher.cupy.cuda
        number %= cuda.runtime.getDeviceCount()
        if number == cuda.Device().id:
            return
        cuda.Device(number).use()
        self.launcher, self._tf32_launcher = (  # their compiled kernels are loaded on the previous GPU
            Launcher(self.launcher.cupy, launcher.tf32) for launcher in (self.launcher, self._tf32_launcher)
        )

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
        """Write alpha · op(a) op(b) + beta · out."""
        if out.ndim != 2 or a.ndim != 2:
            rows = cols = depth = 0  # the launcher refuses these arguments
        else:
            (rows, cols), depth = out.shape, a.shape[0 if trans_a else 1]
        tile = self.launcher.tile(rows, cols, depth, out.dtype)
        arguments = {"a": a, "b": b, "out": out, "trans_a": bool(trans_a), "trans_b": bool(trans_b)}
        arguments |= {"alpha": alpha, "beta": beta}
        blocks, sizes = tiles(rows, cols, tile), (rows, cols, depth)
        self.launcher.launch("matmul.cu", "matmul", KERNELS["matmul"], sizes, blocks, arguments, out.dtype, tile)

    def mse_gradient(self, z: Any, x: Any, scale: Number, out: Any) -> None:
        """Write 2 · scale · (z − x) · z · (1 − z)."""
        self._launch("mse_gradient", out, z=z, x=x, scale=scale, out=out)

    def bce_gradient(self, z: Any, x: Any, scale: Number, out: Any) -> None:
        """Write scale · (z − x)."""
        self._launch("bce_gradient", out, z=z, x=x, scale=scale, out=out)

    def mse_loss(self, z: Any, x: Any, out: Any) -> None:
        """Write Σ (z − x)² for each image."""
        self._launch("mse_loss", z, z=z, x=x, out=out)

    def bce_loss(self, z: Any, x: Any, out: Any) -> None:
        """Write the cross-entropy of each image, the logarithms floored at −100."""
        self._launch("bce_loss", z, z=z, x=x, out=out)

    def column_sum(self, delta: Any, out: Any, alpha: Number = 1.0, beta: Number = 0.0) -> None:
        """Write alpha · Σ_rows delta + beta · out."""
        self._launch("column_sum", delta, delta=delta, out=out, alpha=alpha, beta=beta)

    def axpy(self, alpha: Number, x: Any, y: Any) -> None:
        """Add alpha · x to y."""
        if x.ndim == y.ndim == 1:
            x, y = x[None], y[None]
        self._launch("axpy", y, alpha=alpha, x=x, y=y)

    def gather(self, images: Any, order: Any, cursor: Any, offset: int, out: Any) -> None:
        """Write rows order[cursor[0] + offset + i] of the images, divided by 255; the rows must exist."""
        self._launch("gather", out, images=images, order=order, cursor=cursor, offset=offset, out=out)

    def take(self, samples: Any, order: Any, cursor: Any, offset: int, out: Any) -> None:
        """Write rows order[cursor[0] + offset + i] of float samples; the rows must exist."""
        arguments = {"samples": samples, "order": order, "cursor": cursor, "offset": offset, "out": out}
        blocks = -(-out.size // THREADS)
        self.launcher.launch("elementwise.cu", "take", TAKE, out.shape, blocks, arguments, out.dtype)

    def advance(self, cursor: Any, n: int) -> None:
        """Add n to cursor[0]."""
        real = np.dtype(np.float32)  # the kernel has no floats
        self.launcher.launch(
            "elementwise.cu", "advance", KERNELS["advance"], (1, 1), 1, {"cursor": cursor, "n": n}, real
        )

    def unfold(self, x: Any, height: int, width: int, kernel: int, stride: int, padding: int, out: Any) -> None:
        """Write each patch of each image as a row of ``out``, with 0 in the padding."""
        self._launch("unfold", out, x=x, **Geometry(height, width, kernel, stride, padding)._asdict(), out=out)

    def fold(self, x: Any, height: int, width: int, kernel: int, stride: int, padding: int, out: Any) -> None:
        """Write, for every pixel, the sum of its values in all patches that contain it."""
        self._launch("fold", out, x=x, **Geometry(height, width, kernel, stride, padding)._asdict(), out=out)

    def convolve(
        self, x: Any, weights: Any, height: int, width: int, kernel: int, stride: int, padding: int, out: Any
    ) -> None:
        """Write unfold(x) · weights, by a product that reads the patches directly from the images."""
        geometry = Geometry(height, width, kernel, stride, padding)
        arguments = {"x": x, "weights": weights, **geometry._asdict(), "out": out}
        (rows, cols), depth = (out.shape, weights.shape[0]) if out.ndim == weights.ndim == 2 else ((0, 0), 0)
        tile = self.launcher.tile(rows, cols, depth, out.dtype)
        blocks, sizes = tiles(rows, cols, tile), (rows, cols, depth)
        self.launcher.launch("convolve.cu", "convolve", KERNELS["convolve"], sizes, blocks, arguments, out.dtype, tile)

    def _launch(self, name: str, work: Any, **arguments: Any) -> None:
        """Launch a kernel with as many blocks as ``work`` needs: by default one thread for each of its elements."""
        rows, cols = work.shape if work.ndim == 2 else (0, 0)  # the launcher refuses other arrays
        blocks = -(-rows * cols // THREADS)
        file = "elementwise.cu"
        if name in ("unfold", "fold"):
            file = "patches.cu"
        elif name in ("mse_loss", "bce_loss"):
            file, blocks = "losses.cu", rows  # one block for each image
        elif name == "column_sum":
            blocks = -(-cols // WARP)
        self.launcher.launch(file, name, KERNELS[name], (rows, cols), blocks, arguments, work.dtype)


def _activation_kernel(activation: str, name: str, function: str) -> Callable[..., None]:
    """Make the method that launches the kernel of an activation or of its gradient, a function of activation.cu."""
    contract = KERNELS[name]

    def kernel(self: CupyBackend, *arrays: Any, **named: Any) -> None:
        arguments = contract.parameters.bind(*arrays, **named).arguments
        out = arguments["out"]
        rows, cols = out.shape if out.ndim == 2 else (0, 0)  # the launcher refuses other arrays
        self.launcher.launch(
            "activation.cu",
            function,
            contract,
            (rows, cols),
            -(-rows * cols // THREADS),
            arguments,
            out.dtype,
            ACTIVATION=number_of(activation),
        )

    kernel.__name__, kernel.__doc__ = name, f"Write {contract.writes}."
    return kernel


for _name, _row in ACTIVATIONS.items():
    setattr(CupyBackend, _row.kernel, _activation_kernel(_name, _row.kernel, "bias_activation"))
    setattr(CupyBackend, _row.gradient, _activation_kernel(_name, _row.gradient, "activation_gradient"))
