"""Mutants of the storage and the trainer that the other tests let live; see tests/attacks/MUTATION.md."""

import errno
import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from fastae import storage
from fastae.errors import OutputError

# Results that take their places together.


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_results_take_their_places_together_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the order of their names, and with the folder synchronised after the last."""
    acts: list[Any] = []
    replace = os.replace
    monkeypatch.setattr(os, "replace", lambda *paths: (acts.append(Path(paths[1]).name), replace(*paths)))
    monkeypatch.setattr(storage, "sync_folder", acts.append)
    with storage.results(tmp_path) as place:
        assert place.parent == tmp_path
        assert storage.LEFTOVER.fullmatch(place.name)
        for name in "bca":
            (place / name).write_text(name)
        assert names(tmp_path) == [place.name]
    assert names(tmp_path) == ["a", "b", "c"]
    assert acts == ["a", "b", "c", tmp_path]
    with pytest.raises(OSError, match="No such file"), storage.results(tmp_path) as place:
        (place / "d").write_bytes((place / "no").read_bytes())
    assert names(tmp_path) == ["a", "b", "c"]


def test_results_that_cannot_take_their_places_say_so(tmp_path: Path) -> None:
    with pytest.raises(OutputError) as caught, storage.results(tmp_path / "no"):
        pass
    reason = "No such file or directory"
    assert str(caught.value) == f"cannot write in {tmp_path / 'no'}: {reason}; choose another folder"
    (tmp_path / "taken").mkdir()
    with pytest.raises(OutputError) as caught, storage.results(tmp_path) as place:
        (place / "taken").touch()
    assert str(caught.value) == f"cannot write {tmp_path / 'taken'}: Is a directory"
    assert names(tmp_path) == ["taken"]


# A folder that is one training's.


def test_a_folder_is_owned_until_the_block_ends_however_it_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "PATIENCE", 0.12)
    before = open_files()
    with pytest.raises(FileNotFoundError), storage.owned(tmp_path):
        (tmp_path / "no").unlink()
    with storage.owned(tmp_path):
        began = time.monotonic()
        with pytest.raises(OutputError) as caught, storage.owned(tmp_path):
            pass
        assert 0.12 < time.monotonic() - began < 5
        told = f"another training writes in {tmp_path}; wait for it, or choose another folder"
        assert str(caught.value) == told
    with storage.owned(tmp_path):
        pass
    assert open_files() == before


def test_leftovers_are_cleared_by_an_owner_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left = [".checkpoint.npz.abc_1230", ".writable-77", ".results.abc_1230", ".results.zzz_0000"]
    (tmp_path / left[2]).mkdir()
    (tmp_path / left[2] / "model.npz").touch()
    for name in (*left[:2], left[3], "kept"):
        (tmp_path / name).touch()

    def no_locks(*arguments: Any) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    before = open_files()
    with monkeypatch.context() as patch:
        patch.setattr("fcntl.flock", no_locks)
        with storage.owned(tmp_path):
            assert names(tmp_path) == sorted([*left, "kept"])
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "fcntl", None)  # Windows
        with storage.owned(tmp_path):
            assert names(tmp_path) == sorted([*left, "kept"])
    assert open_files() == before
    with storage.owned(tmp_path):
        assert names(tmp_path) == ["kept"]
    assert open_files() == before


def test_a_folder_is_synchronised_or_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synchronised: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda handle: synchronised.append(os.readlink(f"/proc/self/fd/{handle}")))
    before = open_files()
    storage.sync_folder(tmp_path)
    storage.sync_folder(tmp_path / "no")
    assert synchronised == [str(tmp_path)]
    assert open_files() == before
