"""Checkpoints: what they bring back, what is refused, and what is left when something goes wrong."""

import errno
import io
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from trainings import backends, fit, make, some_images, state

from fastae import SGD, Autoencoder, Trainer, storage
from fastae.errors import CheckpointError, OutputError


@backends
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_a_checkpoint_brings_everything_back(backend: str, dtype: str, momentum: float, tmp_path: Path) -> None:
    images, tested, path = some_images(10), some_images(5, seed=1), tmp_path / "checkpoint.npz"
    whole = make(momentum, dtype=dtype, backend=backend)
    fit(whole, images, 2, test_images=tested)
    whole.save(path, {"images": "some"})

    resumed = make(momentum, dtype=dtype, backend=backend)
    resumed.resume(path, {"images": "some"})
    assert state(resumed) == state(whole)
    assert resumed.history == whole.history
    assert resumed.workers == whole.workers
    fit(resumed, images, 2, test_images=tested)
    fit(whole, images, 2, test_images=tested)
    assert state(resumed) == state(whole)
    assert len(whole.history.epochs) == 4


def test_a_checkpoint_before_the_first_epoch_is_one_too(tmp_path: Path) -> None:
    trainer, other = make(0.9), make(0.9)
    trainer.save(tmp_path / "checkpoint.npz")
    other.resume(tmp_path / "checkpoint.npz")
    fit(trainer, some_images(9))
    fit(other, some_images(9))
    assert state(trainer) == state(other)


def test_no_file_holds_a_pickle(tmp_path: Path) -> None:
    trainer = make(0.9)
    fit(trainer, some_images(9))
    trainer.save(tmp_path / "checkpoint.npz")
    trainer.model.save(tmp_path / "model.npz")
    for name, count in (("checkpoint.npz", 16), ("model.npz", 8)):
        with np.load(tmp_path / name, allow_pickle=False) as file:
            assert len(file.files) == count + 2  # and the configuration, and the checksum
            for member in file.files:
                assert file[member].dtype.kind in "fu"
            config = json.loads(file["config"].tobytes())
        assert config["kind"] == name.removesuffix(".npz")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"loss": "bce"}, "loss 'mse', not 'bce'"),
        ({"lr": 0.2}, "lr 0.1, not 0.2"),
        ({"momentum": 0.8}, "momentum 0.9, not 0.8"),
        ({"momentum": 0.0}, "momentum 0.9, not 0.0"),
        ({"batch_size": 5}, "batch_size 4, not 5"),
        ({"seed": 1}, "seed 0, not 1"),
        ({"dtype": "float32"}, "dtype 'float64', not 'float32'"),
        ({"backend": "numba"}, "backend 'numpy', not 'numba'"),
        ({"note": {"images": "others"}}, "images 'some', not 'others'"),
    ],
    ids=str,
)
def test_a_checkpoint_of_other_settings_is_refused_and_nothing_changes(
    options: dict[str, Any], told: str, tmp_path: Path
) -> None:
    trainer = make(0.9)
    fit(trainer, some_images(9))
    trainer.save(tmp_path / "checkpoint.npz", {"images": "some"})
    changed = {"momentum": 0.9, "note": {"images": "some"}} | options
    note = changed.pop("note")
    other = make(**changed)
    fit(other, some_images(9))
    before = state(other)
    with pytest.raises(CheckpointError) as caught:
        other.resume(tmp_path / "checkpoint.npz", note)
    assert str(caught.value) == f"{tmp_path / 'checkpoint.npz'} was made with other settings: {told}"
    assert state(other) == before


def test_a_checkpoint_of_another_architecture_is_refused(tmp_path: Path) -> None:
    make().save(tmp_path / "checkpoint.npz")
    with pytest.raises(CheckpointError, match=r"sizes \[12, 7, 4\], not \[12, 4\]"):
        Trainer(Autoencoder((12, 4), dtype="float64"), "mse", SGD(0.1), "numpy", 4).resume(tmp_path / "checkpoint.npz")


def test_a_missing_checkpoint_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"nowhere\.npz does not exist"):
        make().resume(tmp_path / "nowhere.npz")


def resumed_from(path: Path, content: bytes) -> Any:
    """Return the state after resuming from a file of that content; None if it was refused in one line."""
    path.write_bytes(content)
    trainer = make(0.9)
    fit(trainer, some_images(4))
    before = state(trainer)
    refusal = ""
    try:
        trainer.resume(path)
    except CheckpointError as error:
        refusal = str(error)
    if not refusal:
        return state(trainer)
    assert str(path) in refusal
    assert len(refusal.splitlines()) == 1
    assert state(trainer) == before
    return None


@pytest.fixture
def saved(tmp_path: Path) -> tuple[Path, Any]:
    trainer = make(0.9)
    fit(trainer, some_images(9), 2)
    trainer.save(tmp_path / "checkpoint.npz")
    return tmp_path / "checkpoint.npz", state(trainer)


def test_a_file_cut_short_is_refused(saved: tuple[Path, Any]) -> None:
    path, _ = saved
    content = path.read_bytes()
    for size in [0, 1, 30, len(content) // 3, len(content) // 2, *range(len(content) - 30, len(content))]:
        assert resumed_from(path, content[:size]) is None, size


def rewritten(path: Path, change: Callable[[dict[str, Any], dict[str, np.ndarray]], Any]) -> bytes:
    """Return the checkpoint after a change, with a correct checksum."""
    config, arrays = storage.read(path, "checkpoint")
    change(config, arrays)
    storage.write(path, "checkpoint", config, arrays)
    return path.read_bytes()


CHANGES: dict[str, Callable[[dict[str, Any], dict[str, np.ndarray]], Any]] = {
    "no settings": lambda config, arrays: config.pop("settings"),
    "settings of another kind": lambda config, arrays: config.update(settings=7),
    "a setting left out": lambda config, arrays: config["settings"].pop("lr"),
    "no epochs": lambda config, arrays: config.pop("epochs"),
    "epochs of another kind": lambda config, arrays: config.update(epochs=7),
    "an epoch of another kind": lambda config, arrays: config["epochs"].append("third"),
    "an epoch without a loss": lambda config, arrays: config["epochs"][1].pop("train_loss"),
    "an epoch with more in it": lambda config, arrays: config["epochs"][1].update(colour="red"),
    "no weight": lambda config, arrays: arrays.pop("weight2"),
    "no velocity": lambda config, arrays: arrays.pop("bias_velocity3"),
    "another shape": lambda config, arrays: arrays.update(weight1=arrays["weight1"].T),
    "another dtype": lambda config, arrays: arrays.update(bias0=arrays["bias0"].astype(np.float32)),
    "velocities of another shape": lambda config, arrays: arrays.update(weight_velocity0=np.zeros((0, 7))),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_checkpoint_with_a_right_checksum_and_a_wrong_content_is_refused(
    change: str, saved: tuple[Path, Any]
) -> None:
    path, expected = saved
    assert resumed_from(path, rewritten(path, lambda config, arrays: None)) == expected
    assert resumed_from(path, rewritten(path, CHANGES[change])) is None


def swap(arrays: dict[str, np.ndarray]) -> None:
    arrays["weight0"], arrays["weight_velocity0"] = arrays["weight_velocity0"], arrays["weight0"]


@pytest.mark.parametrize(
    "change",
    [
        lambda arrays: arrays.update(weight0=arrays["weight0"] + 1),
        lambda arrays: arrays.update(config=arrays["config"][::-1]),
        lambda arrays: arrays.update(weight0=arrays["weight0"].T.reshape(arrays["weight0"].shape)),
        lambda arrays: arrays.update(weight0=arrays["weight0"].reshape(1, -1)),
        lambda arrays: arrays.update(weight0=arrays["weight0"].view(np.int64)),
        lambda arrays: arrays.update(weight0b=arrays.pop("weight0")),
        lambda arrays: arrays.pop("bias0"),
        swap,
    ],
    ids=["values", "configuration", "order", "shape", "dtype", "name", "one missing", "two exchanged"],
)
def test_what_was_changed_without_its_checksum_is_refused(
    change: Callable[[dict[str, np.ndarray]], Any], saved: tuple[Path, Any]
) -> None:
    """The archive is whole, and its own checksums are right."""
    path, _ = saved
    with np.load(path) as file:
        arrays = dict(file)
    change(arrays)
    np.savez(path, **arrays)
    with pytest.raises(CheckpointError, match="is damaged: its checksum does not match; use an earlier copy"):
        make(0.9).resume(path)


def test_a_bomb_is_refused_before_it_goes_off(saved: tuple[Path, Any]) -> None:
    """A compressed member may be a thousand times as large as the file."""
    path, _ = saved
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("weight0.npy", bytes(10**6))
    assert len(bomb.getvalue()) < 10**4
    path.write_bytes(bomb.getvalue())
    with pytest.raises(CheckpointError, match=r"weight0\.npy is compressed"):
        make(0.9).resume(path)


# A file is written whole or not at all.


def no_space(*arguments: Any, **options: Any) -> Any:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def half(file: Any, array: Any, **options: Any) -> None:
    file.write(bytes(1000))
    no_space()


FAILURES: dict[str, tuple[Any, str, Any]] = {
    "opening": (storage.tempfile, "mkstemp", no_space),
    "writing": (storage.np.lib.format, "write_array", half),
    "reaching the disk": (storage.os, "fsync", no_space),
    "renaming": (storage.os, "replace", no_space),
}


@pytest.mark.parametrize("there", [True, False], ids=["over an earlier file", "anew"])
@pytest.mark.parametrize("what", ["checkpoint", "model"])
@pytest.mark.parametrize("failure", FAILURES)
def test_a_failing_write_leaves_everything_as_it_was(
    failure: str, what: str, there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer, path = make(), tmp_path / f"{what}.npz"
    save = (trainer if what == "checkpoint" else trainer.model).save
    if there:
        save(path)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    fit(trainer, some_images(9))
    with monkeypatch.context() as patch:
        patch.setattr(*FAILURES[failure])
        with pytest.raises(OutputError, match="No space left on device") as caught:
            save(path)
    assert str(path) in str(caught.value)
    assert isinstance(caught.value, OSError)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before
    save(path)  # nothing is in the way of the next attempt
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    assert path.read_bytes() != before.get(path.name)


def test_an_interrupted_write_leaves_everything_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(file: Any, array: Any, **options: Any) -> None:
        file.write(bytes(1000))
        raise KeyboardInterrupt

    trainer, path = make(), tmp_path / "checkpoint.npz"
    trainer.save(path)
    before = path.read_bytes()
    monkeypatch.setattr(storage.np.lib.format, "write_array", interrupt)
    with pytest.raises(KeyboardInterrupt):
        trainer.save(path)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    assert path.read_bytes() == before


@pytest.mark.parametrize("name", ["nowhere/it.npz", "file/it.npz", "folder"])
@pytest.mark.parametrize("what", ["checkpoint", "model"])
def test_a_place_that_cannot_be_written_is_named(what: str, name: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    (tmp_path / "folder").mkdir()
    trainer = make()
    with pytest.raises(OutputError, match=f"cannot write {tmp_path / name}: ") as caught:
        (trainer if what == "checkpoint" else trainer.model).save(tmp_path / name)
    assert len(str(caught.value).splitlines()) == 1
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")) == ["file", "folder"]


@pytest.mark.skipif(os.name != "posix", reason="permissions as POSIX has them")
def test_a_file_is_as_readable_as_the_user_wants(tmp_path: Path) -> None:
    """A temporary file is private to the user; what takes its name is not."""
    for umask, mode in ((0o022, 0o644), (0o077, 0o600)):
        old = os.umask(umask)
        try:
            make().save(tmp_path / f"{umask}.npz")
            assert os.umask(umask) == umask  # and the umask is as it was
        finally:
            os.umask(old)
        assert (tmp_path / f"{umask}.npz").stat().st_mode & 0o777 == mode
