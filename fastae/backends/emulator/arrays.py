"""CuPy's arrays on the CPU."""

import weakref
from types import SimpleNamespace
from typing import Any

import numpy as np

from fastae.backends.emulator import streams

ALIGNMENT = 256  # bytes, at which CUDA allocates memory
LEAST_GAP, MOST_GAP = 1 << 12, 1 << 20  # bytes behind an array, so that an index a row too far is in no other one
memory: "weakref.WeakValueDictionary[int, np.ndarray]" = weakref.WeakValueDictionary()  # of all arrays


class ndarray(np.ndarray):  # noqa: N801  as cupy.ndarray
    """An array on the "device": an integer index gives a 0-d view, as CuPy's does."""

    def __getitem__(self, key: Any) -> Any:
        """Index; a number stays an array on the device."""
        if isinstance(key, int) and self.ndim == 1:
            return super().__getitem__(slice(key, key + 1)).reshape(())
        return super().__getitem__(key)

    def __setitem__(self, key: Any, value: Any) -> None:
        """Assign; refused while a stream is captured."""
        streams.forbid("an array is assigned to")
        super().__setitem__(key, value)

    def set(self, host: np.ndarray) -> None:
        """Copy an array of the same shape and type from the host."""
        streams.forbid("an array is copied from the host")
        if self.shape != host.shape or self.dtype != host.dtype:
            raise ValueError(f"{host.dtype} {host.shape} is copied into {self.dtype} {self.shape}")
        super().__setitem__(..., host)

    @property
    def data(self) -> Any:
        """The address, as ``data.ptr``."""
        return SimpleNamespace(ptr=self.ctypes.data)


class MemoryPointer(ndarray):
    """The memory of a variable, of which ``ndarray(shape, dtype, pointer)`` is an array, as in CuPy."""

    @property
    def ptr(self) -> int:
        """The address."""
        return self.ctypes.data


def array(host: Any, order: str = "K") -> ndarray:
    """Copy to the "device"; ``order="K"`` keeps Fortran's order, as in CuPy."""
    streams.forbid("memory is allocated")
    host = np.asarray(host)
    if order == "K" and host.flags.f_contiguous and not host.flags.c_contiguous:
        return array(host.T, order="C").T
    gap = min(max(host.nbytes, LEAST_GAP), MOST_GAP)
    block = np.empty(host.nbytes + ALIGNMENT + gap, np.uint8)
    begin = -block.ctypes.data % ALIGNMENT
    memory[id(block)] = block
    device = block[begin : begin + host.nbytes].view(host.dtype).reshape(host.shape).view(ndarray)
    device[...] = host
    return device


def asnumpy(device: ndarray, *, out: np.ndarray | None = None) -> np.ndarray:
    """Copy to the host, by default to a new array."""
    streams.forbid("an array is copied to the host")
    if out is None:
        return np.array(device, order="C", subok=False)
    if device.shape != out.shape or device.dtype != out.dtype:
        raise ValueError(f"{device.dtype} {device.shape} is copied into {out.dtype} {out.shape}")
    out[...] = device
    return out


def span_of(x: ndarray) -> tuple[int, int, int, int]:
    """Return where an array lies: address, rows, their width and stride in bytes."""
    rows, width = (x.shape[0], x.shape[1]) if x.ndim == 2 else (1, x.size)
    stride = x.strides[0] if x.ndim == 2 and rows > 1 else width * x.itemsize
    return x.ctypes.data, rows, width * x.itemsize, stride
