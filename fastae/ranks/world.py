"""The ranks of a training: how they wait for each other, compare their settings, and end together."""

import os
import pickle
import platform
import signal
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, NoReturn

import numpy as np

from fastae.backends.numba_backend.workers import cores
from fastae.errors import FastaeError, InputError, MissingPackage
from fastae.ranks import launch
from fastae.ranks.launch import PATIENCE

START = 900.0  # seconds for what takes one rank longer than another: reading the data, compiling
PAUSE = 1.0  # seconds between two looks at the clock that mean that this process itself was stopped
SPINS = 2000  # tests of a request before a waiting rank yields its core
SHORT_NAP = 5e-5  # seconds that it yields the core for, where there are more ranks than cores
LONG, NAP = 0.05, 0.001  # seconds after which a rank sleeps while it waits, and how long it sleeps at a time
ANSWER = 2.0  # seconds within which ranks that wait for the same rank answer
PASSED_ON = 0.5  # seconds in which a launcher passes on what a rank has printed: an abort may overtake it
WHO_WAITS, I_WAIT, SPEAKS = range(3)  # tags of the messages of ranks when something is wrong


class Alone:
    """The only rank, with the methods of `World`.

    Examples
    --------
    >>> Alone().all_gather("mine")
    ['mine']
    """

    rank, size, here, local, way = 0, 1, 1, 0, "none"
    hosts: tuple[str, ...] = ("",)

    def barrier(self, patience: float | None = None) -> None:
        """Wait until all ranks are here."""

    def all_gather(self, value: Any, patience: float | None = None) -> list[Any]:
        """Return what each rank has, in the ranks' order, to all of them."""
        return [value]

    def broadcast(self, value: Any) -> Any:
        """Return what rank 0 has to all ranks."""
        return value

    def read_once(
        self, read: Callable[[], Sequence[np.ndarray]], path: str | os.PathLike[str] = "."
    ) -> list[np.ndarray]:
        """Return the arrays that a function gives, which one rank of each machine calls.

        The ranks of a machine share the memory of the arrays: none of them may write there.

        Parameters
        ----------
        read : callable
            Returns a sequence of arrays; on every rank the same.
        path : path-like
            Where it reads. Ranks of one machine that are led to different files by it all call the function.

        Returns
        -------
        list of ndarray, C-contiguous

        Raises
        ------
        FastaeError
            What the function raises, on all ranks for which it was called.
        """
        return list(read())

    def checksum(self, array: np.ndarray) -> int:
        """Return the CRC-32 of an array's bytes; of an array from `read_once` it is known already."""
        return checksum(array)

    def name(self, rank: int) -> str:
        """Return what a rank is called in messages."""
        return f"rank {rank} ({self.hosts[rank]})"

    @contextmanager
    def together(self) -> Iterator[None]:
        """Run a block on all ranks; if it fails on any rank, all of them raise an error that names it."""
        yield

    @contextmanager
    def one_first(self) -> Iterator[None]:
        """Let one rank of each machine go through a block before the others: they find what it leaves in a cache."""
        yield

    def agree(self, facts: dict[str, Any]) -> None:
        """Raise `InputError` on all ranks if one of them has other facts than rank 0."""

    def end(self, message: str, status: int = 2) -> NoReturn:
        """Print why the run ends, and end all ranks at once."""
        print(message, file=sys.stderr, flush=True)
        sys.exit(status)


class World(Alone):
    """All ranks that mpiexec started, over MPI.

    Parameters
    ----------
    patience : float
        Seconds that ranks wait for one that does not come, before they end the run and name it.
    comm : mpi4py.MPI.Intracomm, optional
        By default MPI's COMM_WORLD.
    way : {"auto", "mpi", "nccl"}
        How gradients are to be summed that are on GPUs; others always are over MPI.

    Attributes
    ----------
    rank, size : int
    here, local : int
        How many of them are on this machine, and which of these this one is.
    hosts : tuple of str
        The machine that each rank is on.

    Raises
    ------
    MissingPackage
        mpi4py, or the MPI that it needs, is not installed.
    """

    def __init__(self, patience: float = PATIENCE, comm: Any = None, way: str = "auto") -> None:
        launch.begins()
        try:
            from mpi4py import MPI
        except (ImportError, RuntimeError) as error:  # RuntimeError: mpi4py is there, and no MPI
            raise MissingPackage(
                f"several ranks need mpi4py and an MPI ({error}): python -m pip install 'fastae[mpi]'"
            ) from error
        self.mpi, self.patience, self.way = MPI, patience, way
        # Of our own, so that no message of another library is taken for one of ours; and for alarms another.
        self.comm = (comm or MPI.COMM_WORLD).Dup()
        launch.joined()
        self._alarms = self.comm.Dup()
        self.rank, self.size = self.comm.rank, self.comm.size
        self.hosts = tuple(self.comm.allgather(platform.node()))
        self.machine = self.comm.Split_type(MPI.COMM_TYPE_SHARED)
        self.here, self.local = self.machine.size, self.machine.rank
        self.kept: list[Any] = []  # what must live as long as this process: windows of shared memory
        self._checksums: dict[tuple[int, int], int] = {}  # of shared arrays, by address and length in bytes
        launch.limit_blas(max(1, cores() // self.here))
        self._spins, self._nap = (SPINS, 0.0) if self.here <= cores() else (1, SHORT_NAP)

    def barrier(self, patience: float | None = None) -> None:
        """Wait until all ranks are here; end the run if one is not in time, and name it."""
        self.wait(self.comm.Ibarrier(), patience)

    def wait(self, request: Any, patience: float | None = None) -> None:
        """Wait until a collective operation is done; a blocking call could not name a missing rank."""
        for _ in range(self._spins):
            if request.Test():
                return
        limit, clock = self.patience if patience is None else patience, Clock()
        while not request.Test():
            waited = clock.seconds()
            time.sleep(self._nap if waited < LONG else NAP)
            self._answer()
            if waited > limit:
                self._name_missing(limit)

    def all_gather(self, value: Any, patience: float | None = None) -> list[Any]:
        """Return what each rank has, in the ranks' order, to all of them."""
        mine, lengths = pickle.dumps(value), np.zeros(self.size, np.int64)
        self.wait(self.comm.Iallgather(np.array([len(mine)], np.int64), lengths), patience)
        everything, ends = bytearray(int(lengths.sum())), np.cumsum(lengths).tolist()
        self.wait(self.comm.Iallgatherv(mine, [everything, lengths.tolist(), self.mpi.BYTE]))
        return [pickle.loads(everything[end - length : end]) for end, length in zip(ends, lengths.tolist())]

    def broadcast(self, value: Any, comm: Any = None, patience: float | None = None) -> Any:
        """Return what rank 0, of all ranks or of some that have a communicator, has to the others."""
        comm = comm or self.comm
        mine = b"" if comm.rank else pickle.dumps(value)
        length = np.array([len(mine)], np.int64)
        self.wait(comm.Ibcast(length), patience)
        data = bytearray(mine or int(length[0]))
        self.wait(comm.Ibcast([data, self.mpi.BYTE]))
        return pickle.loads(data)

    def read_once(
        self, read: Callable[[], Sequence[np.ndarray]], path: str | os.PathLike[str] = "."
    ) -> list[np.ndarray]:
        """Return the arrays that a function gives, which one rank of each machine calls; see `Alone.read_once`."""
        from fastae.ranks.data import read_once

        arrays, known = read_once(self, read, path)
        self._checksums |= known
        return arrays

    def checksum(self, array: np.ndarray) -> int:
        """Return the CRC-32 of an array's bytes; of an array from `read_once` it is known already."""
        known = self._checksums.get((array.ctypes.data, array.nbytes)) if array.flags.c_contiguous else None
        return checksum(array) if known is None else known

    @contextmanager
    def together(self) -> Iterator[None]:
        """Run a block on all ranks; if it fails on any rank, all of them raise an error that names it."""
        failure: FastaeError | None = None
        try:
            yield
        except FastaeError as error:
            failure = error
        told = self.all_gather(failure and str(failure), START)
        if not any(told):
            return
        if all(text == told[0] for text in told):
            assert failure is not None
            raise as_common(failure)
        failed = [rank for rank, text in enumerate(told) if text]
        same = [rank for rank in failed if told[rank] == told[failed[0]]]
        names = ", ".join(self.name(rank) for rank in same)
        raise as_common(InputError(f"{names}: {told[failed[0]]}")) from failure

    @contextmanager
    def one_first(self) -> Iterator[None]:
        """Let one rank of each machine go through a block before the others: they find what it leaves in a cache."""
        if self.machine.rank:
            self.barrier(START)
        yield
        if not self.machine.rank:
            self.barrier(START)
        self.barrier(START)

    def agree(self, facts: dict[str, Any]) -> None:
        """Raise `InputError` on all ranks if one of them has other facts than rank 0."""
        everybody = self.all_gather({name: repr(value) for name, value in facts.items()})
        for name in dict.fromkeys(name for theirs in everybody for name in theirs):
            told = [theirs.get(name, "none") for theirs in everybody]
            others = [rank for rank, text in enumerate(told) if text != told[0]]
            if others:
                has, wanted = (text if len(text) <= 100 else f"{text[:100]}..." for text in (told[others[0]], told[0]))
                who = ", ".join(self.name(rank) for rank in others)
                raise as_common(InputError(f"all ranks must have the same {name}: {who} has {has}, rank 0 {wanted}"))

    def end(self, message: str, status: int = 2) -> NoReturn:
        """Print why the run ends, unless a lower rank does, and end all ranks at once."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_IGN)
        if self._may_speak():
            print(message, file=sys.stderr, flush=True)
            time.sleep(PASSED_ON)
        else:
            time.sleep(ANSWER)  # by then it is ended
        with suppress(OSError):  # what MPI adds says less
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        self.mpi.COMM_WORLD.Abort(status)
        os._exit(status)

    def _may_speak(self) -> bool:
        """Wait for this rank's turn, and tell the others that it is; return False if another speaks already."""
        clock, turn = Clock(), launch.turn(self.rank)
        while not self._alarms.Iprobe(tag=SPEAKS):
            if clock.seconds() >= turn:
                self._tell_all(SPEAKS)
                return True
            time.sleep(NAP)
        return False

    def _tell_all(self, tag: int) -> None:
        for rank in range(self.size):
            if rank != self.rank:
                self._alarms.isend(self.rank, rank, tag)

    def _answer(self) -> None:
        """Answer ranks that ask that this one waits too."""
        while self._alarms.Iprobe(tag=WHO_WAITS):
            self._alarms.isend(self.rank, self._alarms.recv(tag=WHO_WAITS), I_WAIT)

    def _name_missing(self, limit: float) -> NoReturn:
        """End the run, and name the ranks that do not answer that they wait too."""
        clock, missing = Clock(), set(range(self.size)) - {self.rank}
        self._tell_all(WHO_WAITS)
        while clock.seconds() < ANSWER and missing:
            self._answer()
            while self._alarms.Iprobe(tag=I_WAIT):
                missing.discard(self._alarms.recv(tag=I_WAIT))
            time.sleep(NAP)
        names = ", ".join(self.name(rank) for rank in sorted(missing))
        self.end(f"fastae: no answer for {limit:g} s from {names or 'MPI'}; the run is ended")


class Clock:
    """Counts the seconds in which this process ran: if all ranks are stopped for a while, none of them is late."""

    def __init__(self) -> None:
        self._seconds, self._last = 0.0, time.monotonic()

    def seconds(self) -> float:
        """Return how many there were; to be asked more often than once in a `PAUSE`."""
        now = time.monotonic()
        passed, self._last = now - self._last, now
        self._seconds += passed if passed < PAUSE else 0.0
        return self._seconds


def checksum(array: np.ndarray) -> int:
    """Return the CRC-32 of an array's bytes, row by row."""
    return zlib.crc32(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)


def as_common(error: FastaeError) -> FastaeError:
    """Mark an error as one that all ranks raise: one rank prints it, and none need be ended by force."""
    error.common = True
    return error


def check_parts(parts: int, ranks: int) -> int:
    """Return how many parts each rank has; raises `InputError` if they cannot share so many."""
    each = parts // ranks
    if parts % ranks or each & (each - 1):
        number = "1 rank" if ranks == 1 else f"{ranks} ranks"
        *others, last = [str(parts >> halved) for halved in range((parts & -parts).bit_length())]
        possible = f"{', '.join(others)} or {last}" if others else last
        raise as_common(InputError(f"{number} cannot share {parts} shards: take {possible} ranks"))
    return each


# How processes can be ranks of one training, each with what makes them so from their patience.
WAYS: dict[str, Callable[[float], Alone]] = {
    "auto": lambda patience: World(patience) if launch.place() else Alone(),
    "mpi": partial(World, way="mpi"),
    "nccl": partial(World, way="nccl"),
    "none": lambda patience: Alone(),
}


def join(distributed: str = "auto", patience: float = PATIENCE) -> Alone:
    """Return the ranks that this process belongs to.

    Parameters
    ----------
    distributed : str
        A name in `WAYS`: by default over MPI if mpiexec started several processes, and between GPUs by NCCL if each
        rank has its own.
    patience : float
        Seconds; see `World`.

    Examples
    --------
    >>> ranks = join("none")
    >>> ranks.rank, ranks.size
    (0, 1)
    """
    if distributed not in WAYS:
        raise InputError(f"unknown way to distribute {distributed!r}; there are: {', '.join(WAYS)}")
    return WAYS[distributed](patience)
