"""One copy of the data for all ranks of a machine, in memory that they share, which one of them reads.

A batch is a random selection of all images, so within a few epochs every machine needs every image: a rank's share of
the data is a share of the machine's one copy.
"""

import math
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from fastae.datasets import files
from fastae.errors import FastaeError
from fastae.ranks.sums import LINE, aligned
from fastae.ranks.world import START, World, checksum

SHARED_MEMORY = Path("/dev/shm")  # on Linux, the file system that shared memory counts against
Arrays = Sequence[np.ndarray]
Known = dict[tuple[int, int], int]  # checksums by address and length in bytes


class Segments:
    """Segments of memory that some ranks of a machine share; the rank that reads tells the others their sizes.

    Parameters
    ----------
    world : World
    comm : mpi4py.MPI.Intracomm
        Of those ranks, of which rank 0 reads.

    Attributes
    ----------
    memory : list of ndarray of uint8
    """

    def __init__(self, world: World, comm: Any) -> None:
        self._world, self._comm = world, comm
        self._windows: list[Any] = []
        self.memory: list[np.ndarray] = []

    def make(self, size: int) -> memoryview | None:
        """Allocate a segment of so many bytes on the rank that reads; None if they do not fit in shared memory."""
        if not _fits(size + LINE):
            return None
        self._world.broadcast(size, self._comm)
        self._add(size)
        return self.memory[-1].data

    def allocate_as_told(self) -> Any:
        """Allocate the same segments on the other ranks; return what the rank that reads sends at the end."""
        while isinstance(told := self._world.broadcast(None, self._comm, START), int):
            self._add(told)
        return told

    def _add(self, size: int) -> None:
        mine = 0 if self._comm.rank else size + LINE
        window = self._world.mpi.Win.Allocate_shared(mine, 1, comm=self._comm)
        window.Lock_all()
        memory = np.frombuffer(window.Shared_query(0)[0], np.uint8)
        self._windows.append(window)
        self.memory.append(aligned(memory, size, memory.dtype))

    def place(self, array: np.ndarray) -> tuple[int, int] | None:
        """Return the number of the segment that an array is in, and its offset in bytes; None if it is in none."""
        for number, memory in enumerate(self.memory):
            first = array.ctypes.data - memory.ctypes.data
            if first >= 0 and first + array.nbytes <= len(memory):
                return number, first
        return None

    def settle(self, used: set[int]) -> None:
        """Make what was written visible to all ranks, and free the segments that are not used."""
        for window in self._windows:
            window.Sync()
        self._world.wait(self._comm.Ibarrier(), START)
        for number, window in enumerate(self._windows):
            window.Sync()
            if number not in used:
                window.Unlock_all()
                window.Free()


def read_once(world: World, read: Callable[[], Arrays], path: str | os.PathLike[str]) -> tuple[list[np.ndarray], Known]:
    """Return the arrays that ``read`` gives, and their checksums; see `fastae.ranks.world.World.read_once`.

    Returns
    -------
    arrays : list of ndarray
    known : dict
        The CRC-32 of the bytes of each array that several ranks share, by address and length.
    """
    keys = world.all_gather(_identity(path) or world.rank)
    comm = world.machine.Split(keys.index(keys[world.rank]), world.rank)
    if comm.size == 1:
        return list(read()), {}
    segments = Segments(world, comm)
    arrays: list[np.ndarray] = []
    if comm.rank:
        told = segments.allocate_as_told()
    else:
        told, arrays = _read(segments, read)
        world.broadcast(told, comm)
    if isinstance(told, FastaeError):
        raise told
    if told is None:
        world.kept.append(segments)
        return arrays or list(read()), {}
    segments.settle({number for number, *_ in told})
    world.kept.append(segments)
    known = {}
    arrays = []
    for number, first, shape, dtype, crc in told:
        size = math.prod(shape) * dtype.itemsize
        arrays.append(segments.memory[number][first : first + size].view(dtype).reshape(shape))
        known[arrays[-1].ctypes.data, size] = crc
    return arrays, known


def _read(segments: Segments, read: Callable[[], Arrays]) -> tuple[Any, list[np.ndarray]]:
    """Read; return what the other ranks need to know, and the arrays.

    That is for each array the number of its segment, its offset there, shape, dtype and checksum; None if shared
    memory is too small, so that they must read too; or the error.
    """
    try:
        with files.placed(segments.make):
            arrays = [np.ascontiguousarray(array) for array in read()]
    except FastaeError as error:
        return error, []
    told = []
    for array in arrays:
        place = segments.place(array)
        if place is None:
            if segments.make(array.nbytes) is None:
                return None, arrays
            segments.memory[-1][:] = array.reshape(-1).view(np.uint8)
            place = len(segments.memory) - 1, 0
        told.append((*place, array.shape, array.dtype, checksum(array)))
    return told, arrays


def _identity(path: str | os.PathLike[str]) -> tuple[Any, ...] | None:
    """Return what ranks of a machine have in common if a path leads them to the same files; None if it leads nowhere.

    A path may also be that of a folder and the beginning of its files' names.
    """
    for existing in (Path(path), Path(path).parent):
        with suppress(OSError, ValueError):  # ValueError: a null character in the path
            found = os.stat(existing)
            return os.path.realpath(path), found.st_dev, found.st_ino
    return None


def _fits(length: int) -> bool:
    """Return whether so many bytes fit in shared memory: what does not fit would end the process when it is written."""
    try:
        found = os.statvfs(SHARED_MEMORY)
    except (OSError, AttributeError):  # another system, where it counts against the memory alone
        return True
    return length <= 0.9 * found.f_bavail * found.f_frsize
