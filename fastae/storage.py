"""Files that are written whole or not at all, and never executed when they are read."""

import hashlib
import io
import json
import os
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from fastae.errors import CheckpointError, OutputError


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a file beside ``path`` that takes its place when the block ends well; raises `OutputError`."""
    path = Path(path)
    temporary = None
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        os.chmod(handle, 0o666 & ~_umask())  # mkstemp's is private to the user
        with open(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())  # the bytes must be on the disk before the name is
        os.replace(temporary, path)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}; choose another folder") from error
    finally:
        if temporary and os.path.exists(temporary):
            os.unlink(temporary)


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
    content: dict[str, Any] = {**arrays, "config": np.frombuffer(text.encode(), np.uint8)}
    content["sha256"] = np.frombuffer(_digest(content), np.uint8)
    with replacing(path) as file:
        np.savez(file, **content)


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
    """
    try:
        with zipfile.ZipFile(path) as archive:
            content = {}
            for entry in archive.infolist():
                # Stored uncompressed by us: an entry that claims to be larger than the file is a lie or a bomb.
                if entry.file_size > entry.compress_size:
                    raise CheckpointError(f"{path} is not a fastae {kind}: {entry.filename} is compressed")
                data = io.BytesIO(archive.read(entry))
                content[entry.filename.removesuffix(".npy")] = np.lib.format.read_array(data, allow_pickle=False)
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
        raise CheckpointError(f"{path} is damaged or not a fastae {kind}: {error}".splitlines()[0]) from error
    if found != kind:
        raise CheckpointError(f"{path} holds a {found}, not a {kind}")
    return config, content


def _digest(content: dict[str, np.ndarray]) -> bytes:
    sha = hashlib.sha256()
    for name in sorted(content):
        array = np.ascontiguousarray(content[name])
        sha.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        sha.update(array.data)
    return sha.digest()
