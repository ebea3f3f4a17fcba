"""The sum of all ranks' gradients by NCCL, with a GPU for each rank: CUDA graphs can capture it, and no host waits.

Each rank receives its own chunk of every rank's gradient, adds these chunks in the order of a fixed tree, and updates
its chunk of the parameters. Then every rank receives the updated chunks of all others. NCCL's own all-reduce is not
used, because it may add in any order.
"""

import ctypes
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np

from fastae.backends.cupy_backend.session import CupySession
from fastae.errors import BackendUnavailable
from fastae.ranks.device import Single
from fastae.ranks.sums import LINE
from fastae.ranks.world import Alone


class Nccl(Single):
    """The gradients and parameters of one of several ranks, each with its own GPU, and their update."""

    def __init__(self, world: Alone, session: CupySession, size: int, depth: int, momentum: float) -> None:
        real = session.dtype
        line = LINE // real.itemsize
        self._count = -(-size // (world.size * line)) * line  # chunks of one length, as an all-gather requires
        super().__init__(world, session, self._count * world.size, depth, momentum)
        first = self._count * world.rank
        self._take(slice(first, first + self._count), self._zeros(world.size, self._count), momentum)
        self._nccl = library()
        self._comm = communicator(world)
        self._type = {np.float32: self._nccl.NCCL_FLOAT32, np.float64: self._nccl.NCCL_FLOAT64}[real.type]
        self._cuda = session.launcher.cupy.cuda

    def all_reduce(self) -> Any:
        """Exchange chunks of the first slots; return this rank's chunk of every rank's slot, (ranks, length)."""
        stream, count = self._cuda.get_current_stream().ptr, self._count
        with told(self._nccl):
            self._nccl.groupStart()  # a group: single sends and receives would wait for each other
            for rank in range(self.world.size):
                chunk = self.slots[0][rank * count : (rank + 1) * count]
                self._comm.send(chunk.data.ptr, count, self._type, rank, stream)
                self._comm.recv(self.parts[rank].data.ptr, count, self._type, rank, stream)
            self._nccl.groupEnd()
        return self.parts

    def descend(self, parts: Any) -> None:
        """Update this rank's chunk by the sum of the terms, and receive the chunks of the other ranks."""
        self.update(parts)
        self._all_gather(self.parameters)

    def show_velocities(self) -> None:
        """Write the velocities of all ranks into the first slot."""
        super().show_velocities()
        if len(self._velocities):
            self._all_gather(self.slots[0])

    def _all_gather(self, array: Any) -> None:
        """Receive all ranks' chunks of an array."""
        stream, mine = self._cuda.get_current_stream().ptr, array[self._mine]
        with told(self._nccl):
            self._comm.allGather(mine.data.ptr, array.data.ptr, self._count, self._type, stream)

    def wait(self) -> None:
        """Wait until the GPU has finished everything that was launched; raises `BackendUnavailable` if NCCL fails."""
        while not self._session.stream.done:
            with told(self._nccl):
                self._comm.check_async_error()
            time.sleep(0)


@contextmanager
def told(nccl: Any) -> Iterator[None]:
    """Raise NCCL's errors in this block as `BackendUnavailable`."""
    try:
        yield
    except nccl.NcclError as error:
        remedy = "NCCL_DEBUG=WARN lets it tell more, and --distributed mpi does without it"
        raise BackendUnavailable(f"NCCL gives up: {error}; {remedy}") from error


def library() -> Any:
    """Return CuPy's module ``nccl``, or None if it cannot be imported or finds no library."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # CuPy warns if the library is missing, which `why_not` reports
        try:
            from cupy.cuda import nccl
        except ImportError:
            return None
    return nccl if nccl.available else None


@cache
def communicator(world: Alone) -> Any:
    """Return NCCL's communicator of the ranks, each with its current device; it is made once for the process.

    It is never destroyed: that would wait for all ranks, and for every graph that has captured it. Its memory is freed
    when the process ends.
    """
    nccl = library()
    identity = None
    with world.together(), told(nccl):
        if world.rank == 0:
            identity = nccl.get_unique_id()
    identity = world.broadcast(identity)
    with told(nccl):
        made = nccl.NcclCommunicator(world.size, identity, world.rank)
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(made))
    return made


def why_not(world: Alone, backend: Any) -> str:
    """Return the reason why the ranks cannot use NCCL, the same on all ranks.

    Parameters
    ----------
    world : Alone
    backend : CupyBackend

    Returns
    -------
    str
        Empty if they can.
    """
    reason, gpu = "", ""
    if backend.name != "cupy":
        reason = f"NCCL connects GPUs, and the backend {backend.name!r} has none"
    else:
        cuda = backend.launcher.cupy.cuda
        if library() is None:
            major = cuda.runtime.runtimeGetVersion() // 1000
            reason = f"CuPy finds no NCCL: python -m pip install nvidia-nccl-cu{major}"
        gpu = cuda.Device().pci_bus_id
    found = world.all_gather((reason, gpu))
    reasons = [theirs for theirs, _ in found]
    for rank, theirs in enumerate(reasons):
        if theirs:
            return theirs if len(set(reasons)) == 1 else f"{world.name(rank)}: {theirs}"
    owners: dict[tuple[str, str], int] = {}
    for rank, (_, gpu) in enumerate(found):
        first = owners.setdefault((world.hosts[rank], gpu), rank)
        if first != rank:
            return f"NCCL wants a GPU for each rank, and {world.name(first)} and {world.name(rank)} share {gpu}"
    return ""
