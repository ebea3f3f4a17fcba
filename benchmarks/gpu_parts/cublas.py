"""cuBLAS with its own handle, for comparison: CuPy's handle refuses calls during a capture (cupy#6290)."""

import ctypes
from typing import Any

import numpy as np

from fastae.backends.contract import check_arguments
from fastae.errors import BackendUnavailable

DEFAULT_MATH, TF32_MATH = 0, 3
_int, _pointer = ctypes.c_int, ctypes.c_void_p
_SIGNATURES = {
    "cublasCreate_v2": [ctypes.POINTER(_pointer)],
    "cublasSetStream_v2": [_pointer, _pointer],
    "cublasSetWorkspace_v2": [_pointer, _pointer, ctypes.c_size_t],
    "cublasSetMathMode": [_pointer, _int],
    "cublasSgemm_v2": [_pointer, _int, _int, _int, _int, _int, ctypes.POINTER(ctypes.c_float), _pointer, _int,
                       _pointer, _int, ctypes.POINTER(ctypes.c_float), _pointer, _int],
}  # fmt: skip


def find_library() -> Any:
    """Load cuBLAS from CuPy's wheels."""
    from cuda.pathfinder import load_nvidia_dynamic_lib

    return ctypes.CDLL(load_nvidia_dynamic_lib("cublas").abs_path)


def make_gemm(stream: Any, cupy: Any, tf32: bool = False, rehearsal: bool = False) -> "Gemm":
    """Return a `Gemm` on that stream; in a rehearsal, one on the CPU."""
    if rehearsal:
        from gpu_parts import rehearsal as stand_in

        return Gemm(0, cupy.array(np.zeros(1024, np.uint8)), tf32, stand_in.cublas())
    return Gemm(stream.ptr, cupy.zeros(32 << 20, np.uint8), tf32)


class Gemm:
    """The contract's matmul for float32, with numbers for alpha and beta.

    Parameters
    ----------
    stream : int
        The address of the stream to which all calls go.
    workspace : device array
        Memory for cuBLAS, which may allocate none while a stream is captured.
    tf32 : bool
    library : CDLL, optional
    """

    def __init__(self, stream: int, workspace: Any, tf32: bool = False, library: Any = None) -> None:
        self._library, self._workspace, self._handle = library or find_library(), workspace, _pointer()
        for name, arguments in _SIGNATURES.items():
            getattr(self._library, name).argtypes = arguments
        self._call("cublasCreate_v2", ctypes.byref(self._handle))
        self._call("cublasSetStream_v2", self._handle, stream)
        # After the stream, which resets it.
        self._call("cublasSetWorkspace_v2", self._handle, workspace.data.ptr, workspace.nbytes)
        self._call("cublasSetMathMode", self._handle, TF32_MATH if tf32 else DEFAULT_MATH)

    def __call__(
        self, a: Any, b: Any, out: Any, trans_a: bool = False, trans_b: bool = False, alpha: float = 1, beta: float = 0
    ) -> None:
        """Write alpha · op(a) op(b) + beta · out."""
        arguments = {"a": a, "b": b, "out": out, "trans_a": trans_a, "trans_b": trans_b}
        check_arguments("matmul", arguments, on_device=True)
        assert out.dtype == np.float32
        (m, n), k = out.shape, a.shape[0 if trans_a else 1]
        numbers = ctypes.c_float(alpha), ctypes.c_float(beta)
        places = [(x.data.ptr, max(1, x.strides[0] // 4)) for x in (a, b, out)]
        # Columns come first there: what is a matrix to us is its transpose to cuBLAS, and outᵀ = op(b)ᵀ op(a)ᵀ.
        self._call("cublasSgemm_v2", self._handle, int(trans_b), int(trans_a), n, m, k, ctypes.byref(numbers[0]),
                   *places[1], *places[0], ctypes.byref(numbers[1]), *places[2])  # fmt: skip

    def _call(self, name: str, *arguments: Any) -> None:
        status = getattr(self._library, name)(*arguments)
        if status:
            raise BackendUnavailable(f"{name} of cuBLAS failed with status {status}")
