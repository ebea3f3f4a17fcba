"""The real CuPy without a usable driver: with none, and with a fake one; what it and `fastae doctor` say."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from fastae.backends.emulator.toolchain import find_compiler

pytestmark = pytest.mark.thorough

DIAGNOSE = "from fastae.backends.cupy_backend.diagnosis import diagnose; print(*diagnose(), sep='\\n')"


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compile the fake driver; return the folder where it is."""
    folder, compiler = tmp_path_factory.mktemp("driver"), find_compiler()
    assert compiler, "install g++ or clang++"
    source = Path(__file__).with_name("fake_driver.c")
    command = [compiler, "-x", "c", "-shared", "-fPIC", "-o", folder / "libcuda.so.1", source, "-ldl"]
    subprocess.run(command, check=True, capture_output=True)
    return folder


def run(arguments: list[str], folder: Path | None, **settings: str) -> str:
    """Run Python where that driver is found; without a folder, where none is."""
    environment = {k: v for k, v in os.environ.items() if k not in ("LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES")}
    environment |= settings | ({"LD_LIBRARY_PATH": str(folder)} if folder else {})
    done = subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_real_cupy_is_here() -> None:
    """The tests below need it."""
    assert run(["-c", "import cupy; print(cupy.__version__)"], None).strip(), "pip install cupy-cuda13x"


NO_DEVICE = "the NVIDIA driver finds no usable device: CUDARuntimeError: cudaError"
DRIVERS: dict[str, tuple[dict[str, str], str, str]] = {  # their settings, the reason and the remedy
    "old": (
        {"FAKE_VERSION": "12080"},
        "the NVIDIA driver supports CUDA 12, but this CuPy needs 13",
        "update the driver to at least 580, or install 'fastae[cuda12]'",
    ),
    "no device": ({}, f"{NO_DEVICE}NoDevice", "see nvidia-smi"),
    "hidden device": ({"CUDA_VISIBLE_DEVICES": ""}, f"{NO_DEVICE}NoDevice", "CUDA_VISIBLE_DEVICES is '': unset it"),
    "mismatch": ({"FAKE_INIT": "803"}, f"{NO_DEVICE}SystemDriverMismatch", "see nvidia-smi"),
    "broken": ({"FAKE_INIT": "999"}, f"{NO_DEVICE}Unknown", "see nvidia-smi"),
}


@pytest.mark.parametrize(("settings", "reason", "remedy"), DRIVERS.values(), ids=DRIVERS)
def test_a_driver_that_cannot_be_used(settings: dict[str, str], reason: str, remedy: str, driver: Path) -> None:
    ok, told, mend = run(["-c", DIAGNOSE], driver, **settings).splitlines()
    assert ok == "False"
    assert told.startswith(reason)
    assert mend == remedy


@pytest.mark.skipif(os.path.exists("/dev/nvidiactl"), reason="there is a driver")
def test_a_missing_driver_is_named_with_the_remedy() -> None:
    assert run(["-c", DIAGNOSE], None).splitlines() == [
        "False", "no NVIDIA driver was found", "install the driver, or take --backend numba"
    ]  # fmt: skip


def test_the_doctor_names_a_driver_that_is_too_old(driver: Path) -> None:
    settings, reason, remedy = DRIVERS["old"]
    out = run(["-m", "fastae", "doctor"], driver, **settings)
    assert re.search(
        rf"^cupy +does not work: {reason}\n +CuPy [0-9.]+, no device, driver for CUDA 12.08\n", out, re.M
    ), out
    assert f"fix: {remedy}" in out
    assert re.search("^numpy +works", out, re.M)


def test_training_on_it_ends_in_one_line(driver: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "LD_LIBRARY_PATH": str(driver)}
    command = [sys.executable, "-m", "fastae", "train", "--backend", "cupy", "--out", str(tmp_path / "out")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert done.stderr.startswith(
        "fastae: the backend 'cupy' cannot run here: the NVIDIA driver finds no usable device"
    )
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()
