"""What the package uses of Numba: one module imports it, and an unknown release is reported."""

import ast
import re
import subprocess
import sys
import sysconfig
import tomllib
from collections.abc import Iterator
from pathlib import Path

import command_line
import numba
import pytest
from registry import forget_backends

import fastae
from fastae import cli, doctor
from fastae.backends.numba_backend import RELEASES, NumbaBackend

ROOT, PACKAGE = Path(__file__).parents[3], Path(fastae.__file__).parent
INTERNALS = PACKAGE / "backends" / "numba_backend" / "internals.py"
LEARNERS = [*(PACKAGE / "ladder").glob("*/numba/*.py"), *(PACKAGE / "check" / "gallery").glob("*.py")]
PROMISED = {"njit", "vectorize"}  # of what Numba promises, all that learners' files need


def imported(path: Path) -> Iterator[str]:
    """The modules that a file imports anywhere, and for ``from a import b`` also a.b, which may be one."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def of_numba(path: Path) -> set[str]:
    return {name for name in imported(path) if name.split(".")[0] in ("numba", "llvmlite")}


def test_one_module_imports_numba() -> None:
    users = {path for path in PACKAGE.rglob("*.py") if of_numba(path)}
    assert INTERNALS in users
    assert users - {INTERNALS} <= set(LEARNERS)


def test_learners_files_need_only_what_numba_promises() -> None:
    needed = set().union(*map(of_numba, LEARNERS))
    assert needed == {f"numba.{name}" for name in PROMISED}


def test_a_hidden_import_is_found(tmp_path: Path) -> None:
    """What the test above relies on: imports in functions, and submodules by ``from``."""
    source = tmp_path / "hidden.py"
    source.write_text("def f():\n    from numba import core\n    import llvmlite.ir as ir\n")
    assert of_numba(source) == {"numba.core", "llvmlite.ir"}


@pytest.fixture
def release(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Replace the number of Numba's release."""
    monkeypatch.setattr(numba, "__version__", request.param)
    monkeypatch.delenv("FASTAE_ANY_NUMBA", raising=False)
    forget_backends()
    yield request.param
    forget_backends()


UNKNOWN = {
    "0.60.0": "Numba 0.60.0 is too old: fastae needs 0.61 or newer",
    "0.69.0rc1": "Numba 0.69.0rc1 is too new: fastae has been tested with those before 0.69",
    "1.0": "Numba 1.0 is too new: fastae has been tested with those before 0.69",
}
MENDED = "pip install 'numba>=0.61,<0.69', or take --backend numpy"


@pytest.mark.parametrize("release", UNKNOWN, indirect=True)
def test_a_release_that_is_not_known_is_told_by_the_doctor(release: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["doctor"]) == 1
    out = capsys.readouterr().out
    (found,) = (line for line in out.splitlines() if line.startswith("numba"))
    assert found == f"numba     does not work: {UNKNOWN[release]}"
    assert f"fix: {MENDED}" in out


@pytest.mark.parametrize("release", UNKNOWN, indirect=True)
@pytest.mark.parametrize("backend", ["numba", "auto"])
def test_a_release_that_is_not_known_is_refused_by_training(
    release: str, backend: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert command_line.train(data, backend=backend) == 2
    (told,) = capsys.readouterr().err.splitlines()
    assert f"the backend 'numba' cannot run here: {UNKNOWN[release]} ({MENDED}" in told


@pytest.mark.parametrize("release", ["0.61.0", "0.68.1", "0.68.2dev0+12.g1234"], indirect=True)
def test_releases_between_the_bounds_are_available(release: str) -> None:
    assert NumbaBackend.availability() == (True, "", "")


@pytest.mark.parametrize("release", ["0.69.0rc1"], indirect=True)
def test_a_release_that_is_not_known_may_be_tried(release: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "FASTAE_ANY_NUMBA=1 tries it as it is" in NumbaBackend.availability().remedy
    monkeypatch.setenv("FASTAE_ANY_NUMBA", "1")
    assert NumbaBackend.availability().ok


def test_nothing_of_numbas_inside_is_touched_first() -> None:
    """By a learner's file either, which imports the backend's modules itself."""
    code = (
        "import numba; numba.__version__ = '0.99.0'; del numba.core.cgutils\n"
        "import fastae.backends.numba_backend.kernels"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("fastae.errors.BackendUnavailable: Numba 0.99.0 is too new"), done.stderr


def test_the_bounds_are_those_of_the_package() -> None:
    """Not read at run time: a checkout on PYTHONPATH has no metadata."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    bounds = [re.match(r"numba>=([\d.]+),<([\d.]+)", text) for text in project["dependencies"]]
    found = [bound.groups() for bound in bounds if bound]
    assert min(oldest for oldest, _ in found) == RELEASES[0]
    assert {untested for _, untested in found} == {RELEASES[1]}


@pytest.mark.parametrize(
    ("free", "locked", "told"),
    [
        (0, True, ""),
        (1, False, "free-threaded: its lock (GIL) is off"),
        (1, True, "free-threaded: its lock (GIL) is on, by a module that was imported or by PYTHON_GIL"),
    ],
)
def test_the_doctor_tells_whether_python_is_free_threaded(
    free: int, locked: bool, told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    known = sysconfig.get_config_var
    monkeypatch.setattr(sysconfig, "get_config_var", lambda name: free if name == "Py_GIL_DISABLED" else known(name))
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: locked, raising=False)
    monkeypatch.setattr(doctor, "examine", lambda: [])
    assert cli.main(["doctor"]) == 0
    out = capsys.readouterr().out.strip()
    assert out.endswith(told)
    assert bool(out) == bool(told)
