"""Fixtures that tests of several folders share, and pytest's options."""

import os

# Before NumPy is imported: threads of several tests, which spin while they wait, would keep each other from the cores.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # of Numba's parallel loops

import contextlib
import shutil
import signal
import sys
import textwrap
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fake_cupy
import numpy as np
import pytest
from command_line import RESULTS, fill, snapshot, train
from grading import Class
from registry import forget_backends

from fastae import backends
from fastae.backends import Availability
from fastae.backends.cupy_backend import CupyBackend
from fastae.backends.emulator import checking
from fastae.backends.emulator import compiler as compilers
from fastae.check import verdict
from fastae.commands import show

COMPILERS = [  # of C++ that are here, the second for `make thorough`
    pytest.param(name, marks=[pytest.mark.thorough] * (i > 0))
    for i, name in enumerate(filter(shutil.which, ("g++", "clang++")))
]

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # a shell's background job, whose Ctrl-C is another's
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--no-skips", action="store_true", help="a skipped test has failed: for a machine with a GPU")


def pytest_configure() -> None:
    """Keep the options of this run (CI's ``--exitfirst``) from the pytest that some tests start."""
    os.environ.pop("PYTEST_ADDOPTS", None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin a golden section further each day where CI may have no time for all, so that no test is always last."""
    if day := int(os.environ.get("FASTAE_FIRST", "0")):
        first = int(len(items) * (day * 0.618 % 1))
        items[:] = items[first:] + items[:first]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and item.config.getoption("no_skips"):
        report.outcome = "failed"
        report.longrepr = f"skipped, where nothing may be: {report.longrepr[2]}"
    return report


@pytest.fixture
def register(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, Callable[[], Any]], None]]:
    """Return a function that registers, for one test, an entry point of that name with that ``load``."""
    installed = backends._installed
    more = []
    monkeypatch.setattr(backends, "_installed", lambda: [*installed(), *more])

    def add(name: str, load: Callable[[], Any]) -> None:
        more.append(SimpleNamespace(name=name, load=load))
        forget_backends()

    yield add
    forget_backends()


@pytest.fixture(params=["stand-in", pytest.param("gpu", marks=pytest.mark.gpu)])
def cupy(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[CupyBackend]:
    """Give the cupy backend as ``fastae.backends.get`` does: with a stand-in for CuPy, and with a GPU."""
    forget_backends()
    if request.param == "stand-in":
        for name, module in fake_cupy.module().items():
            monkeypatch.setitem(sys.modules, name, module)
        monkeypatch.setattr(CupyBackend, "availability", classmethod(lambda cls: Availability(True)))
    else:
        state = CupyBackend.availability()
        if not state.ok:
            pytest.skip(f"no GPU can be used: {state.reason}")
    backend = backends.get("cupy")
    assert type(backend) is CupyBackend
    yield backend
    forget_backends()


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first 320 training and 100 test images of MNIST."""
    return fill(tmp_path_factory.mktemp("data"), 320, 100)


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare the time for drawing where pictures are not the point."""
    monkeypatch.setattr(show, "show", lambda *arguments: None)


@pytest.fixture(scope="module")
def earlier(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of a training, which no refusal may touch."""
    out = tmp_path_factory.mktemp("earlier")
    assert train(data, "--out", out) == 0
    assert set(snapshot(out)) == RESULTS
    return out


@pytest.fixture
def group(tmp_path: Path) -> Class:
    """Give a class that has handed in nothing yet."""
    return Class(tmp_path)


@pytest.fixture
def random() -> np.random.Generator:
    """Give a test random numbers of its own, which do not depend on the tests before it."""
    return np.random.default_rng(20)


@pytest.fixture(params=COMPILERS)
def compiler(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let the emulator use one compiler."""
    monkeypatch.setenv("CXX", request.param)
    compilers.build.cache_clear()
    return request.param


@pytest.fixture(params=[False, True], ids=["unchecked", "checked"])
def checks(request: pytest.FixtureRequest) -> Iterator[bool]:
    """Run once unchecked, and once with every access checked."""
    with checking() if request.param else contextlib.nullcontext():
        yield request.param


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a learner's file."""

    def write(text: str, name: str = "mine.py") -> Path:
        path = tmp_path / name
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return path

    return write


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try every shape, on a machine that is busy too."""
    for name in ("SECONDS", "MORE_SECONDS"):
        monkeypatch.setattr(verdict, name, 1e9)
