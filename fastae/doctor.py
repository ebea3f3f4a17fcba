"""The command ``fastae doctor``: whether each backend works on this machine, and if not, why and what to do."""

import argparse
import importlib.util
import math
import os
import platform
import sys
import sysconfig
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from fastae import backends, system
from fastae.errors import FastaeError

IMAGES, BATCH = 64, 16
TOLERANCE = 1e-4  # relative difference allowed between two backends' losses after these few steps in float32


def add_options(parser: argparse.ArgumentParser) -> None:
    """Describe the command, which has no options of its own."""
    parser.description = (
        "Train a few steps with each backend, and report whether it works. The exit status is 1 if numpy or numba "
        "does not work."
    )


def run(options: argparse.Namespace) -> int:
    """Examine every backend and print the findings; return 1 if numpy or numba does not work, else 0."""
    findings = examine()
    print(report(findings))
    for line in filter(None, (cache(), interpreter())):
        print(line)
    return int(not all(finding.works for finding in findings if finding.name in ("numpy", "numba")))


class Finding(NamedTuple):
    """What was found out about one backend.

    Attributes
    ----------
    name : str
        The backend's name.
    works : bool
        Whether it trained with the same loss as NumPy.
    reason, remedy : str
        Why it does not work, and what to do; empty if it works.
    details : str
        Versions, and the device or threads that it computes with.
    seconds : float
        Duration of the small training, including compilation; NaN if none was run.
    """

    name: str
    works: bool
    reason: str = ""
    remedy: str = ""
    details: str = ""
    seconds: float = math.nan


def examine() -> list[Finding]:
    """Train a few steps with every backend that can be loaded, and compare the losses with NumPy's.

    Returns
    -------
    list of Finding
        One for each backend, in the order of `fastae.backends.names`.
    """
    expected = _train("numpy")[0]
    return [_examine(name, expected) for name in backends.names()]


def _examine(name: str, expected: float) -> Finding:
    ok, reason, remedy = backends.availability()[name]
    if not ok:
        return Finding(name, False, reason, remedy, _details(name))
    try:
        loss, workers, seconds = _train(name)
    except Exception as error:  # whatever it is, examine the other backends too
        first = (str(error).splitlines() or [""])[0]
        kind = "" if isinstance(error, FastaeError) else f"{type(error).__name__}: "
        return Finding(name, False, f"its first steps failed: {kind}{first}", _remedy(name), _details(name))
    details = _details(name) + (f", {workers} workers" if workers > 1 and name != "numba" else "")
    if not abs(loss - expected) <= TOLERANCE * expected:  # NaN fails too
        reason = f"it computes something else than NumPy: a loss of {loss:.6f} instead of {expected:.6f}"
        return Finding(name, False, reason, _remedy(name), details, seconds)
    return Finding(name, True, details=details, seconds=seconds)


def _train(name: str) -> tuple[float, int, float]:
    """Train for a few steps; return the loss, the number of workers and the seconds."""
    from fastae.datasets import load_dataset
    from fastae.model import Autoencoder
    from fastae.optimizer import SGD
    from fastae.trainer import Trainer

    began = time.perf_counter()
    trainer = Trainer(Autoencoder(), optimizer=SGD(0.05), backend=name, batch_size=BATCH)
    (epoch,) = trainer.fit(load_dataset()[0][:IMAGES], epochs=1, progress=False).epochs
    return epoch.train_loss, trainer.workers or 1, time.perf_counter() - began


def _details(name: str) -> str:
    if name == "numpy":
        return f"NumPy {version('numpy')}"
    if name == "numba" and backends.availability()["numba"].ok:
        from fastae.backends.numba_backend.machine import MACHINE
        from fastae.backends.numba_backend.workers import choose

        layer = "threads of its own, none of Numba's threading layers"
        workers, reason, ignored = choose()
        told = f"{workers} worker{'s' * (workers > 1)} {reason}" + (f" ({ignored} is ignored)" if ignored else "")
        return f"Numba {version('numba')}, {MACHINE.name}, {layer}\n{told}"
    if name == "emulator" and backends.availability()[name].ok:
        from fastae.backends.emulator.toolchain import find_compiler

        return f"kernels compiled by {Path(find_compiler() or 'nothing').name}"
    if name == "cupy" and importlib.util.find_spec("cupy"):
        return _cupy_details()
    return ""


def _cupy_details() -> str:
    """Return CuPy's version and the device, as far as they can be determined."""
    try:
        import cupy

        runtime: Any = cupy.cuda.runtime
        device = runtime.getDeviceProperties(0)["name"].decode() if backends.availability()["cupy"].ok else "no device"
        supported = runtime.driverGetVersion()  # 0 without a driver
        return f"CuPy {cupy.__version__}, {device}" + (f", driver for CUDA {supported / 1000:g}" if supported else "")
    except Exception:  # `availability` has reported already what is wrong
        return ""


def _remedy(name: str) -> str:
    """Return what may help if a backend can be loaded but does not compute."""
    package = {"numpy": "numpy", "numba": "numba llvmlite"}.get(name)
    if package:
        return f"reinstall it: pip install --force-reinstall {package}"
    if name == "cupy":
        return "see nvidia-smi, and take --backend numba meanwhile"
    return "report it to those who wrote this backend"


def interpreter() -> str:
    """Report whether the GIL of a free-threaded Python is off.

    Importing a module that is not made for free threading turns the GIL on for all threads.

    Returns
    -------
    str
        One line; empty for a Python that is not free-threaded.
    """
    if not sysconfig.get_config_var("Py_GIL_DISABLED"):
        return ""
    locked: bool = getattr(sys, "_is_gil_enabled")()  # noqa: B009  Python 3.13 has it
    why = "its lock (GIL) is on, by a module that was imported or by PYTHON_GIL" if locked else "its lock (GIL) is off"
    return f"{'python':10}{platform.python_version()}, free-threaded: {why}"


def cache() -> str:
    """Report the folders for compiled code that cannot be written, for instance because the home folder cannot.

    Returns
    -------
    str
        Two lines for each such folder; empty if all can be written.
    """
    home = "XDG_CACHE_HOME"
    usual = Path(os.environ.get(home) or Path("~/.cache").expanduser()) / "fastae"
    folders = {usual: home if os.environ.get(home) else f"HOME or {home}"}
    if own := os.environ.get("NUMBA_CACHE_DIR"):  # for Numba's code; the emulator's stays in the other
        folders[Path(own)] = "NUMBA_CACHE_DIR"
    lines = []
    for folder, variable in folders.items():
        if reason := system.writable(folder):
            lines += [
                f"{'cache':10}{folder} cannot be written: {reason}. Every process compiles anew what it calls",
                f"{'':10}fix: set {variable} to a folder that can be written",
            ]
    return "\n".join(lines)


def report(findings: list[Finding]) -> str:
    """Return the findings as lines for a terminal."""
    lines = []
    for finding in findings:
        took = "" if math.isnan(finding.seconds) else f" ({finding.seconds:.1f} s for {IMAGES} images)"
        lines.append(f"{finding.name:10}{'works' + took if finding.works else 'does not work: ' + finding.reason}")
        texts = [*finding.details.splitlines(), finding.remedy and f"fix: {finding.remedy}"]
        lines += [f"{'':10}{text}" for text in texts if text]
    return "\n".join(lines)
