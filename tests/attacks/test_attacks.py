"""Nothing is lost and nothing is silently wrong: short runs of this folder's attacks, and attacks in one process."""

import ctypes
import errno
import json
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import numba.core.caching
import numpy as np
import pytest
from attacks import determinism, kill
from attacks.small import files, make, some_images, state, train

import fastae
from fastae import Autoencoder, Trainer, interrupts, storage
from fastae.backends.numba_backend import jit
from fastae.backends.numpy_backend import NumpyBackend
from fastae.commands import show
from fastae.errors import CheckpointError, OutputError

EARLIER = "checkpoint-before.npz"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read no images, wait for no disk, draw nothing."""
    images = np.random.default_rng(0).integers(0, 256, (64, 28, 28), dtype=np.uint8)
    some = "fastae.datasets.load_images"
    monkeypatch.setattr(some, lambda path, split, limit=None: (images[:limit], images[:limit, 0, 0]))
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    monkeypatch.setattr(show, "show", lambda *arguments: "")


# Killed.


@pytest.mark.parametrize("backend", ["numpy", "numba"])
@pytest.mark.thorough
def test_killed_at_random_moments_and_resumed_it_ends_in_the_same_bits(backend: str, tmp_path: Path) -> None:
    options = f"--backend {backend} --momentum 0.9 --lr 0.02 --limit 60 --epochs 8".split()
    told = kill.attack(options, 2, 3, tmp_path)
    assert not told.wrong
    assert told.kills.total() == 2


@pytest.mark.usefixtures("quick")
def test_what_a_killed_run_left_is_cleared_by_the_next_and_nothing_else_is(tmp_path: Path) -> None:
    (tmp_path / ".checkpoint.npz.abc_1230").write_bytes(b"half of it")
    (tmp_path / ".results.abc_1230").mkdir()
    (tmp_path / ".results.abc_1230" / "model.npz").write_bytes(b"half of it")
    (tmp_path / ".writable-77").touch()
    others = {".hidden", "checkpoint.npz.abc_1230", ".checkpoint.npz.swp", ".notes.abc_1230", ".writable-x"}
    for name in others:
        (tmp_path / name).touch()
    assert train(tmp_path) == 0
    assert set(files(tmp_path)) == others | {"checkpoint.npz", "history.json", "model.npz"}


@pytest.mark.usefixtures("quick")
def test_a_folder_belongs_to_one_training_at_a_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two would take turns at one checkpoint, and each clear what the other is writing."""
    monkeypatch.setattr(storage, "PATIENCE", 0.2)
    with storage.owned(tmp_path):
        being_written = tmp_path / ".checkpoint.npz.abc_1230"
        being_written.touch()
        assert train(tmp_path) == 2
        assert being_written.exists()
        assert capsys.readouterr().err == (
            f"fastae: another training writes in {tmp_path}; wait for it, or choose another folder\n"
        )
        monkeypatch.setattr(storage, "PATIENCE", 20)  # one that was just killed lets go in a moment
        waiting = threading.Thread(target=train, args=(tmp_path,))
        waiting.start()
        time.sleep(0.2)
    waiting.join()
    assert "model.npz" in files(tmp_path)


def test_names_are_on_the_disk_before_a_write_has_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """First the bytes, then the name, then the folder that holds it: in any other order a power cut may undo it."""
    acts: list[str] = []
    fsync, replace = os.fsync, os.replace

    def note_fsync(handle: int) -> None:
        acts.append("folder" if os.path.isdir(f"/proc/self/fd/{handle}") else "bytes")
        fsync(handle)

    def note_replace(*names: Any) -> None:
        acts.append("name")
        replace(*names)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(os, "replace", note_replace)
    make().save(tmp_path / "checkpoint.npz")
    assert acts == ["bytes", "name", "folder"]


# Ctrl-C.


class CallsBack(NumpyBackend):
    """Interrupted where C code has called back into Python, as LLVM does, where no handler can catch it."""

    name = "callsback"

    def session(self, *arguments: Any, **options: Any) -> Any:
        ctypes.CFUNCTYPE(None)(lambda: os.kill(os.getpid(), signal.SIGINT))()
        return super().session(*arguments, **options)


def test_a_ctrl_c_while_the_step_is_compiled_is_not_lost() -> None:
    trainer = make(CallsBack())
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(some_images(9), 1, progress=False)
    assert not trainer.history.epochs


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_that_was_swallowed_ends_the_training_after_the_epoch(
    number: int, status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    total, calls = fastae.backends.base.Session.total, []

    def interrupted(session: Any) -> float:
        if not calls:
            ctypes.CFUNCTYPE(None)(lambda: os.kill(os.getpid(), number))()
        calls.append(session)
        return total(session)

    monkeypatch.setattr("fastae.backends.base.Session.total", interrupted)
    assert train(tmp_path, "--epochs", 100) == status
    assert len(storage.read(tmp_path / "checkpoint.npz", "checkpoint")[0]["epochs"]) == 1
    assert "To continue: fastae train" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


class Interrupting(list[Any]):
    """A history that is interrupted while an epoch joins it."""

    def append(self, epoch: Any) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        super().append(epoch)


def test_a_ctrl_c_never_leaves_the_parameters_of_one_epoch_and_the_history_of_another() -> None:
    images, trainer, whole = some_images(9), make(), make()
    trainer.history.epochs = Interrupting()
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(images, 5, progress=False)
    trainer.history.epochs = list(trainer.history.epochs)
    done = len(trainer.history.epochs)
    trainer.fit(images, 5 - done, progress=False)
    whole.fit(images, 5, progress=False)
    assert done == 1
    assert state(trainer) == state(whole)


def test_who_presses_ctrl_c_twice_is_not_made_to_wait() -> None:
    came: list[bool] = []

    def press_twice() -> None:
        with interrupts.delay_interrupts():
            for _ in range(2):
                os.kill(os.getpid(), signal.SIGINT)
                came.append(True)

    with pytest.raises(KeyboardInterrupt):
        press_twice()
    assert came == [True]


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_ctrl_c_while_pictures_are_drawn_waits_for_them(
    number: int, status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def drawn(*arguments: Any) -> str:
        os.kill(os.getpid(), number)
        time.sleep(0.01)  # in which it would be raised
        (arguments[-1] / "loss.png").touch()
        return ""

    monkeypatch.setattr(show, "show", drawn)
    assert train(tmp_path) == status
    assert set(files(tmp_path)) == {"checkpoint.npz", "history.json", "loss.png", "model.npz"}
    assert "To continue: fastae train" in capsys.readouterr().err


def test_in_another_thread_nothing_is_held() -> None:
    failed: list[BaseException] = []

    def work() -> None:
        try:
            make().fit(some_images(9), 1, progress=False)
            with interrupts.Stop(int) as stop:
                stop.check()
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert not failed


# Resumed with something else.


def test_another_number_of_workers_is_refused_with_the_remedy(tmp_path: Path) -> None:
    images, path = some_images(9), tmp_path / "checkpoint.npz"
    trainer = make("numba", threads=2)
    trainer.fit(images, 1, progress=False)
    trainer.save(path)
    for threads in (1, 3):
        other = make("numba", threads=threads)
        other.resume(path)
        before = state(other)
        with pytest.raises(CheckpointError, match=rf"with 2 workers, and {threads} would .*; go on with --threads 2 "):
            other.fit(images, 1, progress=False)
        assert state(other) == before
    same = make("numba", threads=2)
    same.resume(path)
    same.fit(images, 1, progress=False)
    trainer.fit(images, 1, progress=False)
    assert state(same) == state(trainer)


@pytest.mark.usefixtures("quick")
def test_other_workers_leave_the_checkpoint_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(tmp_path, "--threads", 2, backend="numba") == 0
    before = files(tmp_path)
    assert train(tmp_path, "--threads", 1, "--epochs", 2, "--resume", backend="numba") == 2
    assert "go on with --threads 2" in capsys.readouterr().err
    assert files(tmp_path) == before


@pytest.mark.usefixtures("quick")
def test_other_test_images_or_no_kernels_of_ones_own_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    kernels = tmp_path / "mine.py"
    kernels.write_text("def advance(cursor, n):\n    cursor[0] += n\n")
    assert train(tmp_path / "out", "--kernels", kernels) == 0
    assert train(tmp_path / "out", "--epochs", 2, "--resume") == 2
    assert "kernels 'mine.py with checksum" in capsys.readouterr().err

    assert train(tmp_path / "plain") == 0
    load = fastae.datasets.load_images

    def other(path: Any, split: str, limit: int | None = None) -> Any:
        images, labels = load(path, split, limit)
        return (images[::-1].copy(), labels) if split == "test" else (images, labels)

    monkeypatch.setattr("fastae.datasets.load_images", other)
    assert train(tmp_path / "plain", "--epochs", 2, "--resume") == 2
    assert "test_images '32 with checksum" in capsys.readouterr().err


# An earlier training's checkpoint.


DIVERGES = ("--lr", "2e38", "--momentum", "0.9", "--epochs", "9")


@pytest.mark.usefixtures("quick")
def test_a_run_that_diverges_later_leaves_an_earlier_checkpoint(tmp_path: Path) -> None:
    assert train(tmp_path, "--seed", 7) == 0
    before = files(tmp_path)
    assert train(tmp_path, *DIVERGES) == 2
    assert files(tmp_path) == before


@pytest.mark.usefixtures("quick")
def test_until_a_training_has_results_the_earlier_ones_checkpoint_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Through an interruption and a full disk, also when it is resumed and only then diverges."""
    assert train(tmp_path, "--seed", 7) == 0
    before = files(tmp_path)
    save, saved = Trainer.save, []

    def interrupted(trainer: Trainer, *arguments: Any) -> None:
        save(trainer, *arguments)
        saved.append(trainer)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "save", interrupted)
        assert train(tmp_path, *DIVERGES) == 130
    assert f"The checkpoint of the earlier training is {tmp_path / EARLIER}. To continue: " in capsys.readouterr().err
    assert files(tmp_path)[EARLIER] == before["checkpoint.npz"] != files(tmp_path)["checkpoint.npz"]
    assert train(tmp_path, *DIVERGES, "--resume") == 2
    assert files(tmp_path) == before

    assert train(tmp_path, "--epochs", 3) == 0
    assert set(files(tmp_path)) == set(before)
    assert len(json.loads(files(tmp_path)["history.json"])["epochs"]) == 3


# A full disk.


@pytest.mark.usefixtures("quick")
def test_whatever_the_system_refuses_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Such as a place for what the emulator compiles."""

    def full(*arguments: Any, **options: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "kernels.cpp")

    monkeypatch.setattr(NumpyBackend, "session", full)
    assert train(tmp_path) == 2
    message = f"[Errno {errno.ENOSPC}] No space left on device: 'kernels.cpp'"
    assert capsys.readouterr().err == f"fastae: the system refuses: {message}\n"


@pytest.mark.usefixtures("quick")
def test_a_disk_that_is_full_at_the_end_leaves_the_earlier_results_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The new history beside the old model would be a wrong result."""
    assert train(tmp_path, "--seed", 7) == 0
    before = files(tmp_path)

    def full(model: Autoencoder, path: Path) -> None:
        raise OutputError(f"cannot write {path}: No space left on device; choose another folder")

    with monkeypatch.context() as patch:
        patch.setattr(Autoencoder, "save", full)
        assert train(tmp_path) == 2
    after = files(tmp_path)
    assert after.pop("checkpoint.npz") != before["checkpoint.npz"]
    assert after.pop(EARLIER) == before.pop("checkpoint.npz")
    assert after == before
    assert train(tmp_path, "--resume") == 0
    assert set(files(tmp_path)) == {"checkpoint.npz", "history.json", "model.npz"}
    assert json.loads(files(tmp_path)["history.json"])["config"]["seed"] == 0


@pytest.fixture
def one_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function that compiles another, or finds it kept below ``tmp_path``, and calls it."""
    monkeypatch.setattr(jit, "folder", lambda: str(tmp_path))
    return lambda: jit.jit(lambda x: x + 1, name="one_more", signatures=["int64(int64)"], cached=True)(1)


@pytest.mark.parametrize("suffix", ["nbi", "nbc"])
def test_compiled_code_that_a_power_cut_left_empty_is_made_anew(suffix: str, tmp_path: Path, one_more: Any) -> None:
    assert one_more() == 2
    for path in tmp_path.rglob(f"*.{suffix}"):
        os.truncate(path, 0)
    assert one_more() == 2
    assert not list(tmp_path.rglob("*.nb?"))
    assert one_more() == 2
    assert len(list(tmp_path.rglob("*.nb?"))) == 2


def test_a_disk_too_full_to_keep_compiled_code(one_more: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is used although it cannot be kept."""

    def full(*arguments: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(numba.core.caching.IndexDataCacheFile, "save", full)
    assert one_more() == 2


# The bits, in fresh processes.


@pytest.mark.parametrize("case", [("numpy", 0), ("numba", 2)], ids=str)
@pytest.mark.thorough
def test_fresh_processes_give_the_same_bits(case: tuple[str, int]) -> None:
    assert len({determinism.bits(*case, "bce", 0.9, 60, 1) for _ in range(2)}) == 1
