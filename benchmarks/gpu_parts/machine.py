"""Describe the machine: versions, the device, and whether each backend works."""

import os
import platform
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
from gpu_parts.findings import Findings

from fastae import backends
from fastae import doctor as doctors
from fastae.errors import FastaeError

PACKAGES = ("numpy", "numba", "cupy-cuda13x", "cupy-cuda12x", "nvidia-cuda-nvrtc", "torch", "triton", "jax", "pytest")


def backend(rehearse: bool) -> Any:
    """Return the backend under test: cupy, or the emulator in a rehearsal."""
    return backends.get("emulator" if rehearse else "cupy")


def tool(name: str) -> str | None:
    """Return the path of one of CUDA's tools, on the PATH or where NVIDIA installs them, or None."""
    return shutil.which(name) or shutil.which(name, path="/usr/local/cuda/bin")


def versions(findings: Findings, rehearse: bool) -> None:
    """Report the device and all versions, or why there is no device."""
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


def compiled(findings: Findings, rehearse: bool) -> None:
    """Compile every kernel of the step into CuPy's cache; nothing is launched."""
    k, float32 = backend(rehearse), np.dtype(np.float32)
    wanted: list[tuple[Any, dict[str, Any]]] = []
    for real, tf32 in ((float32, False), (np.dtype(np.float64), False), (float32, True)):
        launcher = k.launcher_for(tf32, real)
        pieces = sorted({tile.piece for tile in launcher.tiles(real)})
        losses = [{"BCE": bce, "ACTIVATION": 0} for bce in (0, 1)]
        asked = [("operations.cu", "forward_loss", {"piece": piece, **how}) for piece in pieces for how in losses]
        for activation in (0, 1) if real == float32 and not tf32 else (1,):
            asked += [("convolutions.cu", "gradients", {"piece": piece, "ACTIVATION": activation}) for piece in pieces]
        asked += [("matmul.cu", "matmul", {"piece": piece}) for piece in pieces]
        for piece in (pieces[0], *([0] if len(pieces) > 1 else [])):
            asked += [("persistent.cu", "train", {"piece": piece, "cooperative": True, **how}) for how in losses]
        asked += [("folds.cu", "fold_backward", how) for how in losses]
        if not tf32:
            asked += [("convolve.cu", "convolve", {"piece": piece}) for piece in pieces]
            asked += [("elementwise.cu", "gather", {}), ("losses.cu", "mse_loss", {}), ("patches.cu", "unfold", {})]
            asked += [("ranks.cu", "descend_by_tree", {})]
            asked += [("activation.cu", "bias_activation", {"ACTIVATION": 0})]
        wanted += [(launcher, {"file": file, "kernel": kernel, "real": real, **how}) for file, kernel, how in asked]
    wanted.sort(key=lambda one: one[1]["file"] != "persistent.cu")  # which takes longest, first
    began = time.monotonic()

    def compile_one(launcher: Any, how: dict[str, Any]) -> str:
        registers = getattr(launcher.function(**how), "num_regs", None)  # which CuPy has to compile it for
        precision = "TF32" if launcher.tf32 else str(how["real"])
        more = "".join(f", {name} {how[name]}" for name in ("piece", "BCE") if name in how)
        return f"{how['file']} ({precision}{more}): {registers}"

    with ThreadPoolExecutor(len(wanted)) as pool:
        told = list(pool.map(lambda one: compile_one(*one), wanted))
    text = f"compiled in {time.monotonic() - began:.1f} s; registers of {', '.join(told)}"
    findings.add("note", text=f"{len(told)} modules, " + ("which the emulator compiles later" if rehearse else text))


def doctor(findings: Findings, rehearse: bool) -> None:
    """Let ``fastae doctor`` examine all backends; NumPy's and the device's must work."""
    asked = ("numpy", "emulator" if rehearse else "cupy")
    for found in doctors.examine():
        name = f"doctor: {found.name}"
        if found.works or found.name in asked:
            findings.check(name, found.works, found.reason or f"works, {found.seconds:.1f} s; {found.details}")
        else:
            findings.could_not(name, found.reason)
