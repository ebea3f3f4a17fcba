"""``fastae doctor``: it trains on every backend, and names each way in which a backend can fail."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import posix

import fastae
from fastae import cli, doctor
from fastae.backends import Availability
from fastae.backends.numpy_backend import NumpyBackend


class Broken(NumpyBackend):
    name = "broken"

    def matmul(self, *arguments: Any, **options: Any) -> None:
        raise RuntimeError("the coprocessor\nis on fire")


class Wrong(NumpyBackend):
    name = "wrong"

    def bias_sigmoid(self, z: np.ndarray, bias: np.ndarray, out: np.ndarray) -> None:
        out[:] = np.tanh(z + bias)


class Silent(NumpyBackend):
    name = "silent"

    def bias_sigmoid(self, z: np.ndarray, bias: np.ndarray, out: np.ndarray) -> None:
        out[:] = np.nan


class Asleep(NumpyBackend):
    name = "asleep"

    @classmethod
    def availability(cls) -> Availability:
        return Availability(False, "the coprocessor is asleep", "wake it up")


def test_our_own_backends_work_here(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["doctor"]) == 0
    out = capsys.readouterr().out
    for name in ("numpy", "numba", "emulator"):
        assert re.search(rf"^{name} +works \([0-9.]+ s for 64 images\)$", out, re.MULTILINE), out
    assert "threads of its own, none of Numba's threading layers" in out


@pytest.mark.parametrize(
    ("backend", "words"),
    [
        (Broken, "its first steps failed: RuntimeError: the coprocessor"),
        (Wrong, "it computes something else than NumPy: a loss of"),
        (Silent, "became NaN or infinite"),
        (Asleep, "the coprocessor is asleep"),
    ],
)
def test_a_backend_that_fails_is_told_from_the_others(
    backend: type[NumpyBackend], words: str, register: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    register(backend.name, lambda: backend)
    assert cli.main(["doctor"]) == 0  # the doctor succeeds without it
    out = capsys.readouterr().out
    assert re.search(rf"^{backend.name} +does not work: .*{re.escape(words)}", out, re.MULTILINE), out
    assert re.search(r"^numpy +works", out, re.MULTILINE)
    assert ("fix: wake it up" if backend is Asleep else "fix: report it to those who wrote this backend") in out


def python(*arguments: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """Run Python with the modules of a folder before those that are installed."""
    paths = os.pathsep.join([str(folder), str(Path(fastae.__file__).parent.parent)])
    command, environment = [sys.executable, *arguments], os.environ | {"PYTHONPATH": paths}
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment)


def test_without_numba_the_exit_status_is_one(tmp_path: Path) -> None:
    """As where it is not installed, or does not know so new a NumPy: the doctor itself needs none of it."""
    (tmp_path / "numba.py").write_text("raise ImportError('Numba needs NumPy 2.4 or less. Got NumPy 2.5.')")
    (tmp_path / "llvmlite.py").write_text("raise ImportError('there is none')")
    done = python("-m", "fastae", "doctor", folder=tmp_path)
    assert done.returncode == 1, done.stderr
    told = re.escape("does not work: Numba does not import: ImportError: Numba needs NumPy 2.4 or less. Got NumPy 2.5.")
    mended = "pip install --upgrade numba, or take --backend numpy"
    assert re.search(f"^numba +{told}\n +fix: {mended}", done.stdout, re.MULTILINE), done.stdout
    assert re.search(r"^numpy +works", done.stdout, re.MULTILINE)


def test_a_warning_of_numbas_is_no_reason(tmp_path: Path) -> None:
    """Where warnings are errors, as in these tests, one would hide a backend that works."""
    text = "import warnings; warnings.warn('so new a NumPy', FutureWarning); __version__ = '0.68.1'"
    (tmp_path / "numba.py").write_text(text)
    code = "from fastae.backends.numba_backend import NumbaBackend as N; print(N.availability())"
    done = python("-W", "error::FutureWarning", "-c", code, folder=tmp_path)
    assert done.stdout == "Availability(ok=True, reason='', remedy='')\n", done.stderr
    assert "FutureWarning: so new a NumPy" in done.stderr


CACHES = {  # what is set, TMP for a folder that can be written; and what the doctor says
    "Numba's": (
        {"XDG_CACHE_HOME": "TMP", "NUMBA_CACHE_DIR": "/dev/null/numba"},
        "/dev/null/numba cannot be written: Not a directory",
        "NUMBA_CACHE_DIR",
    ),
    "a home": (
        {"HOME": "/dev/null", "NUMBA_CACHE_DIR": "TMP"},
        "/dev/null/.cache/fastae cannot be written: Not a directory",
        "HOME or XDG_CACHE_HOME",
    ),
    "XDG's": ({"XDG_CACHE_HOME": "/dev/null/cache", "NUMBA_CACHE_DIR": "TMP"}, "/dev/null/cache", "XDG_CACHE_HOME"),
}


@posix
@pytest.mark.parametrize("what", CACHES)
def test_a_cache_that_cannot_be_written_is_told(what: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    environment, told, names = CACHES[what]
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value.replace("TMP", str(tmp_path)))
    assert told in doctor.cache()
    assert doctor.cache().startswith("cache     ")
    assert doctor.cache().endswith(f"fix: set {names} to a folder that can be written")
    for name in ("XDG_CACHE_HOME", "NUMBA_CACHE_DIR"):
        monkeypatch.setenv(name, str(tmp_path))
    assert doctor.cache() == ""
