"""Files that are written whole or not at all, and never executed when they are read."""

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

PATIENCE = 2.0  # seconds for a process that was just killed to let go of its folder
LEFTOVER = re.compile(r"\.(checkpoint\.npz|results)\.[a-z0-9_]{8}|\.writable-\d+")  # of a training that was killed


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a file beside ``path`` that takes its place when the block ends well; raises `OutputError`."""
    path = Path(path)
    temporary = None
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with open(handle, "wb") as file:
            os.chmod(temporary, 0o666 & ~_umask())  # mkstemp's is private to the user
            yield file
            file.flush()
            os.fsync(file.fileno())  # the bytes must be on the disk before the name is
        os.replace(temporary, path)
        sync_folder(path.parent)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}; choose another folder") from error
    finally:
        if temporary and os.path.exists(temporary):
            os.unlink(temporary)


def make_folder(folder: Path) -> None:
    """Make a folder for results, if it is not there; raises `OutputError`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        raise OutputError(f"cannot make the folder {folder}: {getattr(error, 'strerror', None) or error}") from error


def sync_folder(folder: Path) -> None:
    """Have the names in a folder on the disk too: without it, a power cut may bring an earlier file back."""
    with suppress(OSError):  # not every system lets a folder be opened, not every file system synchronised
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def results(folder: Path) -> Iterator[Path]:
    """Give a folder for new results, which take their places in ``folder`` together when all of them are written."""
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
    """Keep a folder to one training, and clear what a killed one left there; raises `OutputError` if it is taken."""
    handle = _lock(folder, what)
    try:
        if handle is not None:  # without locks (Windows, some network drives) it may be a living one's
            for path in folder.iterdir():
                if LEFTOVER.fullmatch(path.name):
                    shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
        yield
    finally:
        if handle is not None:
            os.close(handle)


def _lock(folder: Path, what: str) -> int | None:
    """Return a handle that holds the folder's lock as long as it is open, at most until the process ends."""
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
    """Name the arrays of each list: ``weight=[...]`` becomes weight0, weight1, ..."""
    return {f"{name}{i}": array for name, arrays in groups.items() for i, array in enumerate(arrays)}


def write(path: str | os.PathLike[str], kind: str, config: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    """Write arrays and their configuration as an ``.npz`` that any NumPy reads without pickles.

    Parameters
    ----------
    path : path-like
    kind : str
        What the file is; `read` asks for it.
    config : dict
        Anything that JSON holds.
    arrays : dict of str to ndarray

    Raises
    ------
    OutputError
        The file cannot be written; an earlier one of that name is untouched.
    """
    text = json.dumps({"kind": kind, **config})
    ordered = {name: np.asarray(array, order="C") for name, array in arrays.items()}  # as the kernels need them
    content = {**ordered, "config": np.frombuffer(text.encode(), np.uint8)}
    content["sha256"] = np.frombuffer(_digest(content), np.uint8)
    with replacing(path) as file, zipfile.ZipFile(file, "w") as archive:
        for name, array in content.items():  # as np.savez, which early NumPy 2 leaves open where a disk is full
            entry = zipfile.ZipInfo(f"{name}.npy")  # of 1980: the same content is the same file
            with archive.open(entry, "w", force_zip64=True) as part:
                np.lib.format.write_array(part, array, allow_pickle=False)


def read(path: str | os.PathLike[str], kind: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Read what `write` wrote.

    Returns
    -------
    config : dict
    arrays : dict of str to ndarray

    Raises
    ------
    CheckpointError
        The file is missing, damaged, or not of that kind.

    Notes
    -----
    Whatever the file claims, reading it takes memory in proportion to its size.
    """
    try:
        if os.path.exists(path) and not os.path.isfile(path):  # opening a pipe waits for its writer
            raise CheckpointError(f"{path} is not a regular file; give a fastae {kind}")
        with zipfile.ZipFile(path) as archive:
            content, left = {}, os.path.getsize(path)
            for entry in archive.infolist():
                # Stored by us as they are, one after another: what is compressed, or more than the file, is a bomb.
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
    except Exception as error:  # zip, NumPy and JSON have a dozen ways to say that this is not such a file
        raise CheckpointError(f"{path} is damaged or not a fastae {kind}: {brief(error)}") from error
    if found != kind:
        raise CheckpointError(f"{path} holds a {brief(found)}, not a {kind}")
    return config, content


def brief(found: object) -> str:
    """Return the beginning of what a file holds or an error says of it, for a message of one line."""
    return ascii(str(found)[:200])[1:-1]


def _array(data: bytes) -> np.ndarray:
    """Return the array of a .npy file, in C order, if it is of numbers and as large as its header says."""
    file = io.BytesIO(data)
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("an array is of another version than NumPy writes for numbers")
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(file, max_header_size=1000)  # NumPy writes 118
    size = math.prod(shape) * dtype.itemsize  # of Python's integers: it cannot overflow
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
    """Empty a folder, however deep its folders are: what is inside one is moved up before it is removed."""
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
