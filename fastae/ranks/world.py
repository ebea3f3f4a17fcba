"""The ranks of a training: how they meet, agree on what they have, and end together."""

import os
import platform
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, NoReturn

from fastae.backends.numba_backend.workers import cores
from fastae.errors import FastaeError, InputError, MissingPackage
from fastae.ranks import launch

PATIENCE = 30.0  # seconds that ranks wait for one that does not come
START = 900.0  # seconds for what takes one rank longer than another: reading the data, compiling
SPINS = 2000  # questions to MPI before a waiting rank lets others have its core
NAP = 5e-5  # seconds that it lets them have it for, where there are more ranks than cores
ANSWER = 2.0  # seconds within which those that wait for the same rank say that they do


class Alone:
    """The only rank: whatever is shared among ranks is its own."""

    rank, size, here = 0, 1, 1
    hosts: tuple[str, ...] = ("",)

    def meet(self, patience: float | None = None) -> None:
        """Wait until all ranks are here."""

    def gather(self, value: Any) -> list[Any]:
        """Return what each rank has, in the ranks' order, to all of them."""
        return [value]

    def spread(self, value: Any) -> Any:
        """Return what rank 0 has to all ranks."""
        return value

    def name(self, rank: int) -> str:
        """Return what a rank is called in messages."""
        return f"rank {rank} ({self.hosts[rank]})"

    @contextmanager
    def together(self) -> Iterator[None]:
        """Run a block on all ranks; if it fails on any, all of them raise, and say which it was."""
        yield

    @contextmanager
    def one_first(self) -> Iterator[None]:
        """Let one rank of each machine go through a block before the others: they find what it leaves in a cache."""
        yield

    def agree(self, facts: dict[str, Any]) -> None:
        """Raise `InputError` on all ranks if one of them has other facts than rank 0."""

    def end(self, message: str, status: int = 2) -> NoReturn:
        """Say why, and end all ranks at once."""
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

    Attributes
    ----------
    rank, size : int
    here : int
        How many of them are on this machine.
    hosts : tuple of str
        The machine that each rank is on.

    Raises
    ------
    MissingPackage
        mpi4py, or the MPI that it needs, is not installed.
    """

    def __init__(self, patience: float = PATIENCE, comm: Any = None) -> None:
        try:
            from mpi4py import MPI
        except (ImportError, RuntimeError) as error:  # RuntimeError: mpi4py is there, and no MPI
            raise MissingPackage(
                f"several ranks need mpi4py and an MPI ({error}): python -m pip install 'fastae[mpi]'"
            ) from error
        self.mpi, self.patience = MPI, patience
        # Of our own, so that no message of another library is taken for one of ours; and for alarms another.
        self.comm = (comm or MPI.COMM_WORLD).Dup()
        self._alarms = self.comm.Dup()
        self.rank, self.size = self.comm.rank, self.comm.size
        self.hosts = tuple(self.comm.allgather(platform.node()))
        self.machine = self.comm.Split_type(MPI.COMM_TYPE_SHARED)
        self.here = self.machine.size
        launch.limit_blas(max(1, cores() // self.here))
        self._spins, self._nap = (SPINS, 0.0) if self.here <= cores() else (1, NAP)

    def meet(self, patience: float | None = None) -> None:
        """Wait until all ranks are here; end the run if one is not in time, and name it."""
        arrival = self.comm.Ibarrier()
        for _ in range(self._spins):
            if arrival.Test():
                return
        limit = self.patience if patience is None else patience
        deadline = time.monotonic() + limit
        while not arrival.Test():
            time.sleep(self._nap)
            self._answer()
            if time.monotonic() > deadline and not self._lower_asks():
                self._name_missing(limit)

    def gather(self, value: Any) -> list[Any]:
        """Return what each rank has, in the ranks' order, to all of them."""
        self.meet()
        return self.comm.allgather(value)

    def spread(self, value: Any) -> Any:
        """Return what rank 0 has to all ranks."""
        self.meet()
        return self.comm.bcast(value)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Run a block on all ranks; if it fails on any, all of them raise, and say which it was."""
        failure: FastaeError | None = None
        try:
            yield
        except FastaeError as error:
            failure = error
        self.meet(START)
        told = self.comm.allgather(failure and str(failure))
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
            self.meet(START)
        yield
        if not self.machine.rank:
            self.meet(START)
        self.meet(START)

    def agree(self, facts: dict[str, Any]) -> None:
        """Raise `InputError` on all ranks if one of them has other facts than rank 0."""
        everybody = self.gather(facts)
        for name, wanted in everybody[0].items():
            others = [rank for rank, theirs in enumerate(everybody) if theirs.get(name) != wanted]
            if others:
                has = everybody[others[0]].get(name)
                who = ", ".join(self.name(rank) for rank in others)
                raise as_common(
                    InputError(f"all ranks must have the same {name}: {who} has {has!r:.100}, rank 0 {wanted!r:.100}")
                )

    def end(self, message: str, status: int = 2) -> NoReturn:
        """Say why, and end all ranks at once."""
        print(message, file=sys.stderr, flush=True)
        with suppress(OSError):  # what MPI adds says less
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        self.comm.Abort(status)
        os._exit(status)

    # Ranks that wait too long ask who else does: whoever does not answer is the one that they wait for.

    def _answer(self) -> None:
        """Tell a rank that asks that this one waits too."""
        status = self.mpi.Status()
        while self._alarms.Iprobe(tag=0, status=status):
            asker = self._alarms.recv(source=status.source, tag=0)
            self._asked_by = min(asker, getattr(self, "_asked_by", asker))
            self._alarms.isend(self.rank, asker, tag=1)

    def _lower_asks(self) -> bool:
        """Return whether a rank before this one has asked: then that one will say what is to be said."""
        return getattr(self, "_asked_by", self.rank) < self.rank

    def _name_missing(self, limit: float) -> NoReturn:
        waiting, others = {self.rank}, [rank for rank in range(self.size) if rank != self.rank]
        for rank in others:
            self._alarms.isend(self.rank, rank, tag=0)
        until = time.monotonic() + ANSWER
        while time.monotonic() < until:
            self._answer()
            if self._alarms.Iprobe(tag=1):
                waiting.add(self._alarms.recv(tag=1))
            if self._lower_asks():
                until += 1
                time.sleep(0.01)
        missing = ", ".join(self.name(rank) for rank in others if rank not in waiting)
        self.end(f"fastae: no answer for {limit:g} s from {missing or 'MPI'}; the run is ended")


def as_common(error: FastaeError) -> FastaeError:
    """Mark an error as one that all ranks raise: one of them says it, and nobody need be ended by force."""
    error.common = True
    return error


def join(distributed: str = "auto", patience: float = PATIENCE) -> Alone:
    """Return the ranks that this process belongs to.

    Parameters
    ----------
    distributed : {"auto", "mpi", "none"}
        By default over MPI if mpiexec started several processes.
    patience : float
        Seconds; see `World`.
    """
    if distributed not in ("auto", "mpi", "none"):
        raise InputError(f"unknown way to distribute {distributed!r}; there are: auto, mpi, none")
    if distributed == "mpi" or (distributed == "auto" and launch.place()):
        return World(patience)
    return Alone()
