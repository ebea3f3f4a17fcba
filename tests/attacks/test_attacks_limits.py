"""Load and limits: short runs of `limits.py`, and limits that need no process of their own."""

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from attacks import limits
from attacks.small import make, some_images, state, train

from fastae import SGD, Autoencoder, Trainer


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(limits, "wrong", [])
    yield
    assert not limits.wrong


@pytest.mark.usefixtures("measured")
@pytest.mark.parametrize(("steps", "threads"), [(20_000, 1), (200, 2)])
@pytest.mark.thorough
def test_steps_leak_nothing(steps: int, threads: int, tmp_path: Path) -> None:
    """A hundred epochs of them; a team on crowded cores waits at every barrier of a step, so it does fewer."""
    limits.steps(tmp_path, steps, threads)


@pytest.mark.alone
@pytest.mark.usefixtures("measured")
@pytest.mark.thorough
def test_trainings_at_once_give_the_bits_of_one_alone(tmp_path: Path) -> None:
    limits.together(tmp_path, 1)


@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_a_session_reads_the_images_where_they_are(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a data set that just fits into memory there is no room for a second one; it may even be a file."""
    images = some_images(50)
    session = make(backend).session(images, images)
    for team in (session.team, session.test_team):
        assert all(np.shares_memory(w.images, images) for w in team)


def test_a_mapped_file_trains(tmp_path: Path) -> None:
    images = some_images(50)
    images.tofile(tmp_path / "images")
    mapped = np.memmap(tmp_path / "images", np.uint8, "r", shape=images.shape)
    for backend in ("numpy", "numba"):
        one, other = make(backend), make(backend)
        one.fit(images, 2, progress=False)
        other.fit(mapped, 2, progress=False)
        assert state(one) == state(other)


@pytest.mark.parametrize(("backend", "mebibytes"), [("numpy", 330), ("numba", 600)])
@pytest.mark.thorough
def test_too_little_memory_is_one_line(backend: str, mebibytes: int, tmp_path: Path) -> None:
    """LLVM and OpenBLAS would end the process themselves."""
    options = ("--backend", backend, "--limit", 32, "--epochs", 1, "--out", tmp_path)
    done = limits.train(*options, limit=mebibytes * limits.MIB)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("fastae: not enough memory")


def test_a_system_without_more_threads_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert train(tmp_path, "--threads", 2, backend="numba") == 2
    assert capsys.readouterr().err == "fastae: this system starts no more threads; try fewer --threads\n"


@pytest.mark.parametrize("widths", [(1, 1, 1), (3, 4096, 1), (4096, 2, 1), (2, 1, 4096)], ids=str)
def test_narrow_and_wide_layers_train_alike_on_numpy_and_numba(widths: tuple[int, ...]) -> None:
    images, losses = np.random.default_rng(0).integers(0, 256, (5, widths[0]), np.uint8), []
    for backend in ("numpy", "numba"):
        trainer = Trainer(Autoencoder(widths, init=0.05), "mse", SGD(1e-3 / widths[0]), backend, batch_size=2)
        losses.append([epoch.train_loss for epoch in trainer.fit(images, 2, progress=False).epochs])
    np.testing.assert_allclose(*losses, rtol=1e-5)
