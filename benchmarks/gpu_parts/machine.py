"""What is there: versions, the device, and whether each backend works."""

import os
import platform
import shutil
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from gpu_parts.findings import Findings

from fastae import backends
from fastae import doctor as doctors
from fastae.errors import FastaeError

PACKAGES = ("numpy", "numba", "cupy-cuda13x", "cupy-cuda12x", "nvidia-cuda-nvrtc", "torch", "triton", "jax", "pytest")


def backend(rehearse: bool) -> Any:
    """Return the backend that is tried: cupy, or the emulator in a rehearsal."""
    return backends.get("emulator" if rehearse else "cupy")


def tool(name: str) -> str | None:
    """Return the path of one of CUDA's tools, on the PATH or where NVIDIA installs them, or None."""
    return shutil.which(name) or shutil.which(name, path="/usr/local/cuda/bin")


def versions(findings: Findings, rehearse: bool) -> None:
    """Name the device and all versions; or say why there is none."""
    try:
        cupy = backend(rehearse).launcher.cupy
    except FastaeError as error:
        findings.add("unavailable", reason=str(error))
        return
    device = "the emulator"
    if not rehearse:
        runtime = cupy.cuda.runtime
        properties = runtime.getDeviceProperties(0)
        device = f"{properties['name'].decode()}, {properties['multiProcessorCount']} multiprocessors"
        device += f", driver for CUDA {runtime.driverGetVersion() / 1000:g}"
    found = [f"Python {platform.python_version()}"]
    for package in PACKAGES:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    sanitizer = "compute-sanitizer" if tool("compute-sanitizer") else "no compute-sanitizer"
    findings.add("machine", device=device, versions=", ".join([*found, f"{os.cpu_count()} cores", sanitizer]))


def doctor(findings: Findings, rehearse: bool) -> None:
    """Let ``fastae doctor`` examine all backends; that NumPy's and the device's work is asked for."""
    asked = ("numpy", "emulator" if rehearse else "cupy")
    for found in doctors.examine():
        name = f"doctor: {found.name}"
        if found.works or found.name in asked:
            findings.check(name, found.works, found.reason or f"works, {found.seconds:.1f} s; {found.details}")
        else:
            findings.could_not(name, found.reason)
