"""Reading and writing files: a file is written completely or not at all, and reading never executes code."""

import hashlib
import io
import json
import math
import os
import re
import shutil
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from fastae.errors import CheckpointError, OutputError

PATIENCE = 2.0  # seconds to wait until a process that was just killed has released the lock of its folder
LEFTOVER = re.compile(r"\.(checkpoint\.npz|results)\.[a-z0-9_]{8}|\.writable-\d+")  # files of a killed training


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a temporary file that replaces ``path`` when the block ends without an error; raises `OutputError`."""
    path = Path(path)
    temporary = None
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with open(handle, "wb") as file:
            os.chmod(temporary, 0o666 & ~_umask())  # mkstemp's files are private to the user
            yield file
            file.flush()
            os.fsync(file.fileno())  # the content must be on the disk before the new name
        os.replace(temporary, path)
        sync_folder(path.parent)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}; choose another folder") from error
    finally:
        if temporary and os.path.exists(temporary):
            os.unlink(temporary)


def make_folder(folder: Path) -> None:
    """Make a folder for results unless it exists; raises `OutputError`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        raise OutputError(f"cannot make the folder {folder}: {getattr(error, 'strerror', None) or error}") from error


def sync_folder(folder: Path) -> None:
    """Write a folder's list of files to the disk, so that a power cut does not restore an earlier file."""
    with suppress(OSError):  # not every system can open a folder, and not every file system can synchronize it
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def results(folder: Path) -> Iterator[Path]:
    """Make a temporary folder whose files are moved to ``folder`` when the block ends without an error.

    Raises `OutputError` if ``folder`` cannot be written.
    """
    try:
        place = Path(tempfile.mkdtemp(dir=folder, prefix=".results."))
    except OSError as error:
        raise OutputError(f"cannot write in {folder}: {error.strerror or error}; choose another folder") from error
    try:
        yield place
        for path in sorted(place.iterdir()):
            try:
                os.replace(path, folder / path.name)
            except OSError as error:
                raise OutputError(f"cannot write {folder / path.name}: {error.strerror or error}") from error
        sync_folder(folder)
    finally:
        shutil.rmtree(place, ignore_errors=True)


@contextmanager
def owned(folder: Path, what: str = "training") -> Iterator[None]:
    """Lock a folder for one training, and delete temporary files of a killed one; raises `OutputError` if it is locked.

    On systems without locks (Windows, some network drives) it does nothing.
    """
    handle = _lock(folder, what)
    try:
        if handle is not None:  # without a lock, temporary files may belong to a training that is still running
            for path in folder.iterdir():
                if LEFTOVER.fullmatch(path.name):
                    shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
        yield
    finally:
        if handle is not None:
            os.close(handle)


def _lock(folder: Path, what: str) -> int | None:
    """Lock a folder and return the handle that must be closed to release it, or None if there are no locks."""
    try:
        import fcntl

        handle = os.open(folder, os.O_RDONLY)
    except (ImportError, OSError):
        return None
    end = time.monotonic() + PATIENCE
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return handle
        except OSError as error:
            if not isinstance(error, BlockingIOError):  # this file system has no locks
                os.close(handle)
                return None
            if time.monotonic() > end:
                os.close(handle)
                raise OutputError(f"another {what} writes in {folder}; wait for it, or choose another folder") from None
        time.sleep(0.05)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def numbered(**groups: list[np.ndarray]) -> dict[str, np.ndarray]:
    """Return the arrays of each list under numbered names: ``weight=[...]`` becomes weight0, weight1, ..."""
    return {f"{name}{i}": array for name, arrays in groups.items() for i, array in enumerate(arrays)}


def write(path: str | os.PathLike[str], kind: str, config: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    """Write arrays and their configuration as an ``.npz`` file, which NumPy can read without pickles.

    Parameters
    ----------
    path : path-like
    kind : str
        The kind of the file, such as "model", which `read` checks.
    config : dict
        Must be serializable to JSON.
    arrays : dict of str to ndarray

    Raises
    ------
    OutputError
        The file cannot be written; an existing file of that name is unchanged.
    """
    text = json.dumps({"kind": kind, **config})
    ordered = {name: np.asarray(array, order="C") for name, array in arrays.items()}  # the order that kernels need
    content = {**ordered, "config": np.frombuffer(text.encode(), np.uint8)}
    content["sha256"] = np.frombuffer(_digest(content), np.uint8)
    with replacing(path) as file, zipfile.ZipFile(file, "w") as archive:
        for name, array in content.items():  # np.savez of early NumPy 2 leaves the file open if the disk is full
            entry = zipfile.ZipInfo(f"{name}.npy")  # dated 1980, so that equal content gives equal files
            with archive.open(entry, "w", force_zip64=True) as part:
                np.lib.format.write_array(part, array, allow_pickle=False)


def read(path: str | os.PathLike[str], kind: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Read a file that `write` wrote.

    Parameters
    ----------
    path : path-like
    kind : str
        The kind with which the file must have been written.

    Returns
    -------
    config : dict
    arrays : dict of str to ndarray

    Raises
    ------
    CheckpointError
        The file is missing, damaged, or of another kind.

    Notes
    -----
    The memory needed is proportional to the size of the file, whatever sizes the file states.
    """
    try:
        if os.path.exists(path) and not os.path.isfile(path):  # opening a pipe waits for its writer
            raise CheckpointError(f"{path} is not a regular file; give a fastae {kind}")
        with zipfile.ZipFile(path) as archive:
            content, left = {}, os.path.getsize(path)
            for entry in archive.infolist():
                # `write` does not compress. A compressed entry, or one larger than the file, could fill the memory.
                left -= entry.file_size
                if entry.compress_type != zipfile.ZIP_STORED:
                    raise ValueError(f"{entry.filename} is compressed")
                if entry.file_size != entry.compress_size or left < 0:
                    raise ValueError("its parts claim to be larger than it is")
                content[entry.filename.removesuffix(".npy")] = _array(archive.read(entry))
        digest = content.pop("sha256").tobytes()
        if digest != _digest(content):
            raise CheckpointError(f"{path} is damaged: its checksum does not match; use an earlier copy")
        config = json.loads(content.pop("config").tobytes())
        found = config.pop("kind")
    except FileNotFoundError:
        raise CheckpointError(f"{path} does not exist") from None
    except CheckpointError:
        raise
    except Exception as error:  # zipfile, NumPy and json raise many types for damaged files
        raise CheckpointError(f"{path} is damaged or not a fastae {kind}: {brief(error)}") from error
    if found != kind:
        raise CheckpointError(f"{path} holds a {brief(found)}, not a {kind}")
    return config, content


def brief(found: object) -> str:
    """Return the first 200 characters of a value or an error as ASCII, for a message of one line."""
    return ascii(str(found)[:200])[1:-1]


def _array(data: bytes) -> np.ndarray:
    """Return the array of a .npy file in C order; raises ValueError unless it is numeric and matches its header."""
    file = io.BytesIO(data)
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("an array is of another version than NumPy writes for numbers")
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(file, max_header_size=1000)  # NumPy writes 118
    size = math.prod(shape) * dtype.itemsize  # Python integers cannot overflow
    if dtype.kind not in "biufc" or min(shape, default=0) < 0 or size != len(data) - file.tell():
        raise ValueError("an array is not of numbers, or not of the size that its header says")
    return np.ndarray(shape, dtype, data, file.tell(), order="F" if fortran else "C").copy()


def _digest(content: dict[str, np.ndarray]) -> bytes:
    sha = hashlib.sha256()
    for name in sorted(content):
        array = np.ascontiguousarray(content[name])
        sha.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        sha.update(array.data)
    return sha.digest()


def clear(folder: Path) -> None:
    """Delete everything in a folder; nested folders, however deep, are first moved to its top level."""
    number = 0
    with suppress(OSError):
        while entries := list(os.scandir(folder)):
            for entry in entries:
                if not entry.is_dir(follow_symlinks=False):
                    os.unlink(entry.path)
                    continue
                os.chmod(entry.path, 0o700)
                for inner in list(os.scandir(entry.path)):
                    number += 1
                    os.replace(inner.path, folder / f".{number}-{os.urandom(8).hex()}")
                os.rmdir(entry.path)
