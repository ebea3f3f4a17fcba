"""Stand-ins for CuPy and cuBLAS in a rehearsal, so that the whole command runs without a GPU."""

import ctypes
import time
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from fastae.backends.emulator import device, streams


class Event(streams.Event):
    """A CUDA event that records the time of the host."""

    def record(self, stream: streams.Stream | None = None) -> None:
        """Record the current time."""
        super().record(stream)
        self.time = time.perf_counter()

    def synchronize(self) -> None:
        """Return at once, because the event has passed."""


def cupy() -> Any:
    """Return the stand-in for the module cupy."""
    cuda = ModuleType("cuda")
    cuda.__dict__.update({name: getattr(streams, name) for name in ("Stream", "Device", "get_current_stream")})
    cuda.__dict__.update(Event=Event, get_elapsed_time=lambda begin, end: 1e3 * (end.time - begin.time))

    def zeros(shape: Any, dtype: Any) -> device.ndarray:
        return device.array(np.zeros(shape, dtype))

    def copyto(to: device.ndarray, array: device.ndarray) -> None:
        to[:] = array

    return SimpleNamespace(
        array=device.array, ndarray=device.ndarray, RawModule=device.RawModule, cuda=cuda, zeros=zeros,
        empty_like=lambda x: zeros(x.shape, x.dtype), copyto=copyto,
    )  # fmt: skip


def cublas() -> Any:
    """Return the stand-in for cuBLAS, which multiplies column-major matrices with NumPy."""
    library = SimpleNamespace()

    def offered(function: Callable[..., int]) -> None:
        setattr(library, function.__name__, function)  # ctypes' users set attributes of it

    def matrix(place: int, leading: int, rows: int, cols: int) -> np.ndarray:
        """Return a view of memory as a column-major matrix with leading dimension ``leading``."""
        memory = (ctypes.c_float * (leading * (cols - 1) + rows)).from_address(place)
        return np.lib.stride_tricks.as_strided(np.frombuffer(memory, np.float32), (rows, cols), (4, 4 * leading))

    @offered
    def cublasCreate_v2(handle: Any) -> int:
        handle._obj.value = 1
        return 0

    @offered
    def cublasSetStream_v2(handle: Any, stream: int) -> int:
        return 0

    @offered
    def cublasSetWorkspace_v2(handle: Any, place: int, size: int) -> int:
        return 0

    @offered
    def cublasSetMathMode(handle: Any, mode: int) -> int:
        return 0

    @offered
    def cublasSgemm_v2(
        handle: Any, trans_a: int, trans_b: int, m: int, n: int, k: int, alpha: Any, a: int, lda: int, b: int,
        ldb: int, beta: Any, c: int, ldc: int,
    ) -> int:  # fmt: skip
        A = matrix(a, lda, *((k, m) if trans_a else (m, k)))
        B = matrix(b, ldb, *((n, k) if trans_b else (k, n)))
        C = matrix(c, ldc, m, n)
        x, y = alpha._obj.value, beta._obj.value

        def run() -> None:
            product = x * ((A.T if trans_a else A) @ (B.T if trans_b else B))
            C[:] = product if y == 0 else product + y * C

        streams.submit("cublasSgemm", run, [])
        return 0

    return library
