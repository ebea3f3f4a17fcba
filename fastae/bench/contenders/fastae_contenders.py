"""fastae's own backends, driven as `fastae.Trainer` drives them."""

import numpy as np

import fastae
from fastae.bench.contenders.job import network, rate


class _Fastae:
    backend: str

    def __init__(
        self, images: np.ndarray, batch_size: int, loss: str, threads: int | None = None, model: str = "dense"
    ) -> None:
        trainer = fastae.Trainer(
            network(model),
            loss=loss,
            optimizer=fastae.SGD(lr=rate(loss, model)),
            backend=self.backend,
            batch_size=batch_size,
            threads=threads,
        )
        self.session = trainer.session(images)
        self.threads = self.session.workers
        self.order = np.arange(len(images))

    def epoch(self, order: np.ndarray) -> float:
        """Train on the whole batches of an epoch and return the sum of their losses."""
        self.order[: len(order)] = order  # a session takes the order of all its images, a part of an epoch or not
        self.session.start(self.order)
        self.session.run(len(order) // self.session.batch_size)
        return self.session.total()


class FastaeNumba(_Fastae):
    """A team of workers on all cores, the loop over the batches compiled too."""

    backend = "numba"


class FastaeNumbaAlone(_Fastae):
    """The same with one worker, to see what a team gains."""

    backend = "numba"

    def __init__(
        self, images: np.ndarray, batch_size: int, loss: str, threads: int | None = None, model: str = "dense"
    ) -> None:
        super().__init__(images, batch_size, loss, threads=1, model=model)


class FastaeNumpy(_Fastae):
    """The same step, interpreted by NumPy without temporaries."""

    backend = "numpy"

    def __init__(
        self, images: np.ndarray, batch_size: int, loss: str, threads: int | None = None, model: str = "dense"
    ) -> None:
        from fastae.bench.contenders.textbook_numpy import blas_threads

        super().__init__(images, batch_size, loss, model=model)  # the backend takes no number of threads: its BLAS does
        self.threads = blas_threads(threads)
