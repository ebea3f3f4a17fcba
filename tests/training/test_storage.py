"""Storage: files that take their places whole, a folder that is one training's, and arrays in archives."""

import errno
import os
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
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


# A folder that is emptied.


def test_a_folder_is_emptied_however_deep_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outside, folder = tmp_path / "outside", tmp_path / "folder"
    outside.mkdir()
    monkeypatch.chdir(outside)  # os.scandir(None) lists the current folder
    (outside / "kept").touch()
    for deep in ("a/same/same/same", "b/same/same"):
        place = folder / deep
        place.mkdir(parents=True)
        for inner in (place, *place.parents[: deep.count("/")]):
            (inner / "file").touch()
            (inner / "link").symlink_to(outside)
    (folder / "a" / "same").chmod(0)  # this stops all users but root
    storage.clear(folder)
    assert names(folder) == []
    assert names(outside) == ["kept"]
    storage.clear(tmp_path / "no")


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


# A file that takes another's place, and the folders.


def test_the_new_file_lies_beside_the_old_one_until_it_is_whole(tmp_path: Path) -> None:
    """In another folder it might be on another disk, and then it could not take the place at once."""
    with storage.replacing(tmp_path / "checkpoint.npz") as file:
        file.write(b"whole")
        (name,) = names(tmp_path)
        assert storage.LEFTOVER.fullmatch(name)
    assert names(tmp_path) == ["checkpoint.npz"]


def test_a_folder_is_made_with_those_above_it_and_may_be_there(tmp_path: Path) -> None:
    for _ in range(2):
        storage.make_folder(tmp_path / "a" / "b")
    assert names(tmp_path / "a") == ["b"]
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"^cannot make the folder .*file/a: Not a directory$"):
        storage.make_folder(tmp_path / "file" / "a")
    with pytest.raises(OutputError, match=r"^cannot make the folder .*: .*embedded null (byte|character in path)$"):
        storage.make_folder(tmp_path / "\0")


def test_what_cannot_be_cleared_away_hides_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first error is raised, and the folder is released."""

    def interrupted() -> None:
        with storage.results(tmp_path) as place:
            place.rmdir()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    folder, gone = tmp_path / ".results.abcdefgh", tmp_path / ".writable-1"
    folder.mkdir()
    monkeypatch.setattr(Path, "iterdir", lambda path: iter([folder, gone]))

    def refuse(*path: Any, **options: Any) -> None:
        raise PermissionError(errno.EPERM, "no")

    monkeypatch.setattr(os, "rmdir", refuse)
    with storage.owned(tmp_path):
        assert folder.exists()


def test_the_checksum_is_bytes_for_others_too(tmp_path: Path) -> None:
    storage.write(tmp_path / "a.npz", "thing", {}, {"x": np.arange(3.0)})
    with np.load(tmp_path / "a.npz", allow_pickle=False) as content:
        assert (content["sha256"].dtype, content["sha256"].shape) == (np.uint8, (32,))


def test_an_array_that_others_wrote_by_columns_is_read(tmp_path: Path) -> None:
    array = np.arange(6.0).reshape(2, 3)
    np.save(tmp_path / "a.npy", np.asfortranarray(array))
    found = storage._array((tmp_path / "a.npy").read_bytes())
    assert np.array_equal(found, array)
    assert found.flags.c_contiguous


def test_two_hundred_characters_of_a_file_are_told() -> None:
    assert storage.brief("x" * 300) == "x" * 200


def test_the_same_content_is_the_same_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, now in (("a", 1e9), ("b", 2e9)):
        monkeypatch.setattr(time, "time", lambda now=now: now)
        storage.write(tmp_path / name, "thing", {"x": 1}, {"x": np.arange(3.0)})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_an_array_is_as_long_as_its_header_says(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.float64(5))
    data = (tmp_path / "a.npy").read_bytes()
    assert storage._array(data) == 5
    with pytest.raises(ValueError, match="not of the size that its header says"):
        storage._array(data + b"\0")


def test_an_array_may_be_larger_than_old_archives_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their limit is 2 GiB; here, 100 bytes."""
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 100)
    storage.write(tmp_path / "a.npz", "thing", {}, {"x": np.arange(300.0)})
    assert np.array_equal(storage.read(tmp_path / "a.npz", "thing")[1]["x"], np.arange(300.0))
