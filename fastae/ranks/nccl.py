"""The sum of all ranks' gradients by NCCL, a GPU for each rank: no host takes part, and graphs capture it.

Each rank is sent its chunk of everybody's gradient, adds the chunks up in a fixed tree, updates its chunk of the
parameters, and is sent the other ranks' chunks. NCCL's own all-reduce may add in any order.
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
    """Gradients, parameters and the update of one of several ranks, each on a GPU of its own."""

    def __init__(self, world: Alone, session: CupySession, size: int, depth: int, momentum: float) -> None:
        real = session.dtype
        line = LINE // real.itemsize
        self._count = -(-size // (world.size * line)) * line  # all chunks are as long: an all-gather wants that
        super().__init__(world, session, self._count * world.size, depth, momentum)
        first = self._count * world.rank
        self._take(slice(first, first + self._count), self._zeros(world.size, self._count), momentum)
        self._nccl = library()
        self._comm = communicator(world)
        self._type = {np.float32: self._nccl.NCCL_FLOAT32, np.float64: self._nccl.NCCL_FLOAT64}[real.type]
        self._cuda = session.launcher.cupy.cuda

    def all_reduce(self) -> Any:
        """Bring this rank's chunk of all ranks' first slots here, a row each, and return them."""
        stream, count = self._cuda.get_current_stream().ptr, self._count
        with told(self._nccl):
            self._nccl.groupStart()  # of sends and receives that wait for each other
            for rank in range(self.world.size):
                chunk = self.slots[0][rank * count : (rank + 1) * count]
                self._comm.send(chunk.data.ptr, count, self._type, rank, stream)
                self._comm.recv(self.parts[rank].data.ptr, count, self._type, rank, stream)
            self._nccl.groupEnd()
        return self.parts

    def descend(self, parts: Any) -> None:
        """Update all parameters by the sum of the parts."""
        self.update(parts)
        self._all_gather(self.parameters)

    def show_velocities(self) -> None:
        """Write the velocities of all ranks into the first slot."""
        super().show_velocities()
        if len(self._velocities):
            self._all_gather(self.slots[0])

    def _all_gather(self, array: Any) -> None:
        """Bring all ranks' chunks of an array here."""
        stream, mine = self._cuda.get_current_stream().ptr, array[self._mine]
        with told(self._nccl):
            self._comm.allGather(mine.data.ptr, array.data.ptr, self._count, self._type, stream)

    def wait(self) -> None:
        """Wait until the device has done what it was given, or NCCL tells why it never will."""
        while not self._session.stream.done:
            with told(self._nccl):
                self._comm.check_async_error()
            time.sleep(0)


@contextmanager
def told(nccl: Any) -> Iterator[None]:
    """Let NCCL's errors be ours."""
    try:
        yield
    except nccl.NcclError as error:
        remedy = "NCCL_DEBUG=WARN lets it tell more, and --distributed mpi does without it"
        raise BackendUnavailable(f"NCCL gives up: {error}; {remedy}") from error


def library() -> Any:
    """Return CuPy's module of NCCL, or None where there is none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a missing library: `why_not` says it
        try:
            from cupy.cuda import nccl
        except ImportError:
            return None
    return nccl if nccl.available else None


@cache
def communicator(world: Alone) -> Any:
    """Return what connects the ranks, each on its current device: one for as long as the process lives.

    It is never destroyed: NCCL would wait for all ranks, and for the end of every graph that has captured it. What it
    holds is freed with the process.
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
    """Say why the ranks cannot meet by NCCL; empty if they can. All ranks get the same answer.

    Parameters
    ----------
    world : Alone
    backend : CupyBackend
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
