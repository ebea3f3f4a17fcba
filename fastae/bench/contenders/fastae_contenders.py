"""fastae's own backends, called as `fastae.Trainer` calls them."""

import time
from typing import Any

import numpy as np

import fastae
from fastae.bench.contenders.job import network, rate
from fastae.ranks import Alone, join


class _Fastae:
    backend: str

    def __init__(
        self,
        images: np.ndarray,
        batch_size: int,
        loss: str,
        threads: int | None = None,
        model: str = "dense",
        ranks: Alone | None = None,
    ) -> None:
        trainer = fastae.Trainer(
            network(model),
            loss=loss,
            optimizer=fastae.SGD(lr=rate(loss, model)),
            backend=self.backend,
            batch_size=batch_size,
            threads=threads,
            ranks=ranks,
        )
        self.session = trainer.session(images)
        self.threads = self.session.workers
        self.order = np.arange(len(images))

    def epoch(self, order: np.ndarray) -> float:
        """Train on the whole batches of an epoch and return the sum of their losses."""
        self.order[: len(order)] = order  # a session takes the order of all its images, also for a part of an epoch
        self.session.start(self.order)
        self.session.run(len(order) // self.session.batch_size)
        return self.session.total()


class FastaeNumba(_Fastae):
    """The Numba backend with workers on all cores; the loop over the batches is compiled too."""

    backend = "numba"


class FastaeNumbaAlone(_Fastae):
    """The Numba backend with one worker, to measure what several workers gain."""

    backend = "numba"

    def __init__(
        self, images: np.ndarray, batch_size: int, loss: str, threads: int | None = None, model: str = "dense"
    ) -> None:
        super().__init__(images, batch_size, loss, threads=1, model=model)


class FastaeNumpy(_Fastae):
    """The NumPy backend, which interprets the step without temporary arrays."""

    backend = "numpy"

    def __init__(
        self, images: np.ndarray, batch_size: int, loss: str, threads: int | None = None, model: str = "dense"
    ) -> None:
        from fastae.bench.contenders.textbook_numpy import blas_threads

        super().__init__(images, batch_size, loss, model=model)  # the number of threads is that of its BLAS
        self.threads = blas_threads(threads)


class FastaeRanks(_Fastae):
    """All ranks of MPI, each with a share of every batch; ranks on one machine use shared memory.

    Attributes
    ----------
    spent : dict of float
        Seconds that this rank spent ``communicating`` in the last epoch, from its own gradient to the sum of all; and
        the part of these that it spent ``waiting`` for other ranks.
    """

    backend = "numba"

    def __init__(
        self, images: np.ndarray, batch_size: int, loss: str, threads: int | None = None, model: str = "dense"
    ) -> None:
        world = self._world()
        super().__init__(images, batch_size, loss, threads, model, world)
        self.spent = {"communicating": 0.0, "waiting": 0.0}
        session: Any = self.session
        self._clock(session.sum, "all_reduce", "communicating")
        self._clock(world, "barrier", "waiting")

    def _world(self) -> Alone:
        return join("mpi")

    def _clock(self, owner: Any, name: str, label: str) -> None:
        """Wrap a method so that its seconds are added to ``spent[label]``."""
        method = getattr(owner, name)

        def timed(*arguments: Any) -> Any:
            began = time.perf_counter()
            result = method(*arguments)
            self.spent[label] += time.perf_counter() - began
            return result

        setattr(owner, name, timed)

    def epoch(self, order: np.ndarray) -> float:
        """Train on the whole batches of an epoch and return the sum of all ranks' losses."""
        self.spent.update(communicating=0.0, waiting=0.0)
        return super().epoch(order)


class FastaeMessages(FastaeRanks):
    """The same without shared memory, as if every rank were on another machine."""

    def _world(self) -> Alone:
        world = join("mpi")
        world.here = 1
        return world
