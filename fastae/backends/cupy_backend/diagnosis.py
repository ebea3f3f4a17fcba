"""Why the GPU cannot be used: one clear reason, found by the cheapest test that can tell."""

import importlib.util
import os
import warnings
from functools import cache

from fastae.backends.base import Availability

DRIVERS = {12: 525, 13: 580}  # the oldest driver for each CUDA


@cache
def diagnose() -> Availability:
    """Say why the GPU cannot be used, and what to do. A warning is no reason, even where warnings are errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        return _diagnose()


def _diagnose() -> Availability:
    if importlib.util.find_spec("cupy") is None:
        remedy = "pip install 'fastae[cuda13]' with a driver of at least 580, or 'fastae[cuda12]' with 525"
        return Availability(False, "CuPy is not installed", remedy)
    try:
        import cupy
        from cupy.cuda import runtime
    except (NotADirectoryError, PermissionError) as error:  # a home, of which CuPy wants a part as it is imported
        return _keeps_nothing(error)
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
    except Exception as error:
        remedy = f"pip install 'cuda-toolkit[nvrtc,cudart]=={built}.*'"
        return Availability(False, f"a CUDA library is missing: {first_line(error)}", remedy)
    try:
        (cupy.zeros(1) + 1).item()  # compiles a kernel and launches it
    except (NotADirectoryError, PermissionError) as error:
        return _keeps_nothing(error)
    except Exception as error:
        return Availability(False, f"the first operation on the GPU failed: {first_line(error)}", "see nvidia-smi")
    return Availability(True)


def _keeps_nothing(error: OSError) -> Availability:
    """Say that CuPy cannot write its cache, which lies in the user's home."""
    reason = f"CuPy cannot write its cache: {error.strerror}: {error.filename}"
    return Availability(False, reason, "set CUPY_CACHE_DIR to a folder that can be written")


def first_line(error: Exception) -> str:
    """Return the gist of an exception."""
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
