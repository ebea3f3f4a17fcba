"""One copy of the data for all ranks of a machine, in memory that they share, which one of them reads.

A batch is a random selection of all images, so within a few epochs every machine needs every image: a rank's share of
the data is a share of the machine's one copy.
"""

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from fastae.errors import FastaeError, InputError
from fastae.ranks.world import START, World, checksum

LINE = 64  # bytes of a cache line, at which each array begins
SHARED_MEMORY = Path("/dev/shm")  # on Linux, the file system that shared memory counts against
Arrays = Sequence[np.ndarray]


def read_once(world: World, read: Callable[[], Arrays], path: str | os.PathLike[str]) -> list[np.ndarray]:
    """Return the arrays that ``read`` gives; see `fastae.ranks.world.World.read_once`."""
    keys = world.gather(_identity(path) or world.rank)
    comm = world.machine.Split(keys.index(keys[world.rank]), world.rank)
    if comm.size == 1:
        return list(read())
    arrays: list[np.ndarray] = []
    failure: FastaeError | None = None
    if comm.rank == 0:
        try:
            arrays = [np.ascontiguousarray(array) for array in read()]
        except FastaeError as error:
            failure = error
    room = sum(array.nbytes + LINE for array in arrays)
    described = [(array.shape, array.dtype, checksum(array)) for array in arrays]
    described, fits, reason = world.spread((described, _fits(room), failure and str(failure)), comm, START)
    if reason:
        raise failure or InputError(reason)
    if not fits:
        return arrays or list(read())
    window = world.mpi.Win.Allocate_shared(room, 1, comm=comm)  # room is 0 on the ranks that have not read
    window.Lock_all()
    memory, at, shared, checksums = np.frombuffer(window.Shared_query(0)[0], np.uint8), 0, [], {}
    for number, (shape, dtype, known) in enumerate(described):
        at += -(memory.ctypes.data + at) % LINE
        size = int(np.prod(shape)) * dtype.itemsize
        shared.append(memory[at : at + size].view(dtype).reshape(shape))
        checksums[shared[-1].ctypes.data, size] = known
        if comm.rank == 0:
            shared[-1][:] = arrays[number]
        at += size
    window.Sync()
    world.wait(comm.Ibarrier(), START)
    window.Sync()
    world.keep(window, checksums)
    return shared


def _identity(path: str | os.PathLike[str]) -> tuple[Any, ...] | None:
    """Return what ranks of a machine have in common if a path leads them to the same files; None if it leads nowhere.

    A path may also be that of a folder and the beginning of its files' names.
    """
    for existing in (Path(path), Path(path).parent):
        with suppress(OSError, ValueError):  # ValueError: a null character in the path
            found = os.stat(existing)
            return os.path.realpath(path), found.st_dev, found.st_ino
    return None


def _fits(room: int) -> bool:
    """Return whether so many bytes fit in shared memory: what does not fit would end the process when it is written."""
    try:
        found = os.statvfs(SHARED_MEMORY)
    except (OSError, AttributeError):  # another system, where it counts against the memory alone
        return True
    return room <= 0.9 * found.f_bavail * found.f_frsize
