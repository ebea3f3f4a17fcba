"""The arguments of a launch: from Python's to C's, refused where a kernel's parameter is of another type."""

import ctypes
from typing import Any

import numpy as np

from fastae.backends.emulator.arrays import ndarray


class Type(ctypes.Structure):
    """The type of a kernel's parameter, as ``language/device.h`` lays it out: of a pointer, that of what it points to.

    ``kind`` is NumPy's letter for numbers, ``c`` for char, ``h`` for bfloat16, ``v`` for void, and 0 for another type.
    ``element`` is the bytes of a number, of which a vector has several; ``size`` the bytes of the whole.
    """

    _fields_ = (
        ("pointer", ctypes.c_bool),
        ("kind", ctypes.c_char),
        ("element", ctypes.c_uint16),
        ("size", ctypes.c_uint32),
    )

    @property
    def dtypes(self) -> list[np.dtype[Any]]:
        """The dtypes that an argument may have, the expected one first; empty if any of its size will do."""
        if self.kind == b"c":
            return [np.dtype("i1"), np.dtype("u1")]
        if self.kind == b"h":  # as bits: NumPy has no bfloat16
            return [np.dtype("u2")]
        return [np.dtype(f"{self.kind.decode()}{self.element}")] if self.kind in b"iufb" and self.element else []

    def is_bfloat16(self, dtype: np.dtype[Any]) -> bool:
        """Return whether a parameter is bfloat16, and an argument's dtype the package ml_dtypes' bfloat16."""
        return bool(self.kind == b"h" and dtype.name == "bfloat16")


def as_c(what: str, kind: Type, x: Any) -> Any:
    """Convert an argument to C; raises `TypeError` where its type or size is not the parameter's."""
    dtypes = kind.dtypes
    if kind.pointer:
        if isinstance(x, np.uint64) and x == 0:
            return ctypes.c_void_p(None)
        if not isinstance(x, ndarray):
            raise TypeError(f"{what} must be an array on the device, not {type(x).__name__}")
        is_whole = x.itemsize == kind.size and not (dtypes and x.dtype.kind in "iufb")  # a record, a complex number
        is_same = is_whole or kind.is_bfloat16(x.dtype)
        if kind.kind != b"v" and x.dtype not in (dtypes or [np.dtype("u1")]) and not is_same:
            wanted = dtypes[0] if dtypes else f"uint8, or of a type of {kind.size} bytes"
            raise TypeError(f"{what} must be of {wanted}, not {x.dtype}")
        return ctypes.c_void_p(x.ctypes.data)
    if dtypes and kind.size == dtypes[0].itemsize:
        dtype = np.asarray(x).dtype
        if isinstance(x, int) and not isinstance(x, bool) and kind.kind in b"iuc":
            fitting = next((d for d in dtypes if np.iinfo(d).min <= x <= np.iinfo(d).max), None)
            if fitting is None:
                raise TypeError(f"{what} must be numpy.{dtypes[0]}, into which {x} does not fit")
            x, dtype = fitting.type(x), fitting
        elif type(x) is float and dtype in dtypes:  # which is a double
            x = np.float64(x)
        if not isinstance(x, np.generic | bool) or not (dtype in dtypes or kind.is_bfloat16(dtype)):
            pythons = {int: "int", float: "float"}.get(type(x))
            why = f", which CuPy passes as numpy.{np.asarray(x).dtype} whatever is expected" if pythons else ""
            raise TypeError(f"{what} must be numpy.{dtypes[0]}, not {type(x).__name__}{why}")
        return (ctypes.c_char * kind.size).from_buffer_copy(np.asarray(x).tobytes())
    if not isinstance(x, np.void | np.ndarray | np.complexfloating) or isinstance(x, ndarray) or x.nbytes != kind.size:
        raise TypeError(f"{what} must be a NumPy record or array of {kind.size} bytes, not {type(x).__name__}")
    return (ctypes.c_char * kind.size).from_buffer_copy(x.tobytes())
