"""Stochastic gradient descent: epochs, the order of the images, what is measured, and checkpoints."""

import math
import os
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from fastae import checkpoints, storage
from fastae.backends import get
from fastae.backends.base import Backend, Parameters, Session
from fastae.diagnosis import Broken, diagnose, measure
from fastae.errors import CheckpointError, Diverged, InputError, MissingPackage
from fastae.history import Epoch, History
from fastae.images import check_images
from fastae.interrupts import held
from fastae.layers.layer import is_whole, positive
from fastae.model import Autoencoder
from fastae.optimizer import SGD
from fastae.progress import progress_bar
from fastae.ranks.launch import limit_blas
from fastae.ranks.world import Alone, as_common
from fastae.rates import Suggestion, suggest

LOSSES = ("mse", "bce")
SLICE = 0.1  # seconds of training between two looks at the clock, the loss and the keyboard


class Trainer:
    """Trains a model by plain or momentum SGD on one backend.

    Parameters
    ----------
    model : Autoencoder
        Updated at the end of every epoch.
    loss : {"mse", "bce"}
        Squared error or cross-entropy: a sum over pixels, a mean over the images of a batch.
    optimizer : SGD, optional
        By default ``SGD("auto")``: at the learning rate that suits network, loss and images.
    backend : str or Backend
        A name that `fastae.backends.get` takes, or a backend, such as `fastae.check.learner.load` gives.
    batch_size : int
        Images a step; a batch larger than the data is cut to the data.
    seed : int
        Epoch e (from 0) takes the images in the order ``np.random.default_rng([1, seed, e]).permutation(n)``.
    threads : int, optional
        Workers, for the backends that have a team of them; by default as many as help.
    mode : {"captured", "eager", "persistent"}, optional
        How steps are launched, for cupy and emulator; see `fastae.backends.cupy_backend.session.CupySession`. The bits
        are the same.
    tf32 : bool
        Let cupy and emulator round the inputs of products to TF32.
    ranks : fastae.ranks.World, optional
        The processes that share each batch; every one of them makes the same calls.
    shards : int, optional
        Into how many parts each batch is cut whose gradients are summed in a fixed order, so that any number of ranks
        that can share them gives the same bits; by default as many as there are ranks.

    Attributes
    ----------
    history : History
        All epochs so far, of every `fit`.
    workers : int
        How many threads did the last `fit`, of each rank.
    sharers : int
        How many ranks did the last `fit`.
    way : {"alone", "mpi", "nccl"} or None
        How their gradients were summed; None before the first `fit`.
    planned : int
        How many epochs the training has when its last `fit` is over: what its schedule reckons with.
    suggestion : Suggestion or None
        Where ``optimizer.lr`` comes from, if it was ``"auto"`` until the first `fit`.

    Raises
    ------
    InputError
        An argument outside its domain.
    BackendUnavailable
        The backend cannot run on this machine.

    Examples
    --------
    >>> import fastae
    >>> images = np.random.default_rng(0).integers(0, 256, (40, 20), dtype=np.uint8)
    >>> model = fastae.Autoencoder((20, 9, 4))
    >>> trainer = Trainer(model, optimizer=fastae.SGD(0.1), backend="numpy", batch_size=8)
    >>> history = trainer.fit(images, epochs=3, test_images=images[:8], progress=False)
    >>> [epoch.epoch for epoch in history.epochs]
    [1, 2, 3]
    >>> history.epochs[-1].train_loss < history.epochs[0].train_loss
    True
    """

    def __init__(
        self,
        model: Autoencoder,
        loss: str = "mse",
        optimizer: SGD | None = None,
        backend: str | Backend = "numba",
        batch_size: int = 16,
        seed: int = 0,
        threads: int | None = None,
        mode: str | None = None,
        tf32: bool = False,
        ranks: Alone | None = None,
        shards: int | None = None,
    ) -> None:
        if loss not in LOSSES:
            raise InputError(f"unknown loss {loss!r}; the losses are: mse, bce")
        if not is_whole(seed) or seed < 0:
            raise InputError(f"seed must be a whole number of at least 0; got {seed!r}")
        if threads is not None:
            positive("the number of threads", threads)
        self.model, self.loss, self.optimizer = model, loss, optimizer or SGD("auto")
        self.batch_size, self.seed, self.threads = positive("the batch size", batch_size), int(seed), threads
        self.suggestion: Suggestion | None = None
        lr: Any = self.optimizer.lr
        span = np.finfo(model.dtype)
        if lr != "auto" and not float(span.tiny) <= lr <= float(span.max):
            raise InputError(f"the learning rate must be a normal number in {model.dtype}; got {lr!r}")
        self.mode, self.tf32 = mode, bool(tf32)
        self.ranks = ranks or Alone()
        self.shards = None if shards is None else positive("the number of shards", shards)
        if self.ranks.size > 1 or self.shards:
            from fastae.ranks.session import check_parts

            check_parts(self.shards or self.ranks.size, self.ranks.size)
        self.backend = backend if isinstance(backend, Backend) else get(backend)
        self.history = History()
        self.workers, self.planned, self.sharers = threads or 1, 0, self.ranks.size
        self.way = "alone" if self.ranks.size == 1 else self.ranks.way.replace("auto", "mpi")  # until a session says
        mu = self.optimizer.momentum
        self._V = [np.zeros(shape if mu else (0, shape[1]), model.dtype) for shape in model.shapes()]
        self._c = [np.zeros(layer.channels if mu else 0, model.dtype) for layer in model.layers]

    def fit(
        self,
        images: np.ndarray,
        epochs: int = 20,
        test_images: np.ndarray | None = None,
        progress: bool = True,
        on_epoch: Callable[["Trainer"], None] | None = None,
    ) -> History:
        """Train for some more epochs, going on with the next epoch's order.

        Parameters
        ----------
        images : ndarray, (n, model.sizes[0])
            uint8 from 0 to 255, or floats in [0, 1]; floats are taken as the model's dtype.
        epochs : int
        test_images : ndarray, uint8 or floats, (m, model.sizes[0]), optional
            Reconstructed after each epoch; nothing is learned from them.
        progress : bool
            Show a progress bar where standard error is a terminal.
        on_epoch : callable, optional
            Called with the trainer after each epoch.

        Returns
        -------
        History
            The epochs of this call.

        Raises
        ------
        InputError
            Images of another kind, or a count that is not a positive whole number.
        CheckpointError
            The epochs so far were another number of workers', who would have given other bits.
        Diverged
            The loss became NaN or infinite; the model is as it was after the last good epoch.
        """
        check_images("images", images, self.model.sizes[0])
        if test_images is not None:
            check_images("test_images", test_images, self.model.sizes[0])
        first, n = len(self.history.epochs), len(images)
        last = first + positive("the number of epochs", epochs)
        self.ranks.agree({"number of epochs": last, "epochs so far": first})
        with held():  # LLVM, compiling or loading, would swallow a Ctrl-C
            session = self.session(images, test_images)
        other_ranks = self.sharers != self.ranks.size and not self.shards  # who give other bits, as `resume` allows
        if first and session.workers != self.workers and not other_ranks:
            raise as_common(
                CheckpointError(
                    f"the epochs so far were trained with {self.workers} workers, and {session.workers} would give "
                    f"other bits; go on with --threads {self.workers} (in Python, threads={self.workers})"
                )
            )
        self.workers, self.planned, self.sharers = session.workers, last, self.ranks.size
        self.way = getattr(session, "way", "alone")
        self.model.backend = self.backend.name
        if not self.history.start:
            self.history.start = measure.start(self, images, test_images)
        some = measure.sample(images)
        bar = progress_bar(
            total=epochs * n,
            unit=" images",
            unit_scale=True,
            disable=None if progress else True,  # None: where standard error is no terminal
            dynamic_ncols=True,
            bar_format="{desc} {percentage:3.0f}% {bar} {rate_fmt}, {remaining} left{postfix}",
        )
        order, pace = self.order(first, n), 1
        with bar:
            for e in range(first, last):
                bar.set_description(f"epoch {e + 1}/{last}")
                order, pace = self._epoch(session, e, order, pace, e + 1 < last, bar, some)
                if on_epoch is not None:
                    on_epoch(self)
        return History(self.history.epochs[first:], self.history.start)

    def settle_rate(self, images: np.ndarray) -> None:
        """Find the learning rate from the images if it is still ``"auto"``; `fit` does so by itself."""
        if self.optimizer.lr == "auto":
            self.suggestion = suggest(images, self.model, self.loss, self.optimizer.momentum, self.batch_size)
            self.optimizer = replace(self.optimizer, lr=self.suggestion.lr)

    def session(self, images: np.ndarray, test_images: np.ndarray | None = None) -> Session:
        """Put the model as it is and the data on the device, ready to train; see `fastae.backends.base.Session`."""
        self.settle_rate(images)
        self.model.settle_parameters()
        if any(x is not None and x.dtype != np.uint8 for x in (images, test_images)):
            images, test_images = self._floats(images), None if test_images is None else self._floats(test_images)
        parameters = Parameters(
            *(
                [np.asarray(p, self.model.dtype) for p in group]
                for group in (self.model.weights, self.model.biases, self._V, self._c)
            )
        )
        make: Any = self.backend.session
        extra = {name: x for name in ("mode", "tf32") if (x := getattr(self, name))}  # for those that know them
        if threads := self.threads or self._share_of_threads():
            extra["threads"] = threads
        if self.ranks.size > 1 or self.shards or self.ranks.way == "nccl":
            if self.shards and not limit_blas(1) and self.backend.name == "numpy":  # its sums depend on their number
                raise as_common(
                    MissingPackage(
                        "shards need threadpoolctl, so that NumPy's BLAS has one thread on each rank: "
                        "python -m pip install threadpoolctl"
                    )
                )
            make = partial(self.backend.shared_session, self.ranks, self.shards or self.ranks.size)
            extra["facts"] = self.settings()
        return make(
            parameters,
            np.ascontiguousarray(images),
            test_images=None if test_images is None else np.ascontiguousarray(test_images),
            loss=self.loss,
            batch_size=min(self.batch_size, len(images)),
            lr=float(self.optimizer.lr),
            momentum=self.optimizer.momentum,
            **self._network(),
            **extra,
        )

    def _share_of_threads(self) -> int | None:
        """Return how many workers a rank has unless somebody says: shards want a number that depends on nothing."""
        if not self.backend.takes_threads or (self.ranks.size == 1 and not self.shards):
            return None
        from fastae.backends.numba_backend.workers import choose

        return 1 if self.shards else max(1, choose().workers // self.ranks.here)

    def _floats(self, images: np.ndarray) -> np.ndarray:
        dtype = self.model.dtype
        return np.divide(images, 255, dtype=dtype) if images.dtype == np.uint8 else images.astype(dtype, copy=False)

    def _network(self) -> dict[str, Any]:
        """Return what a session must be told unless the network is dense with sigmoids."""
        layers, activation = self.model.layers, self.model.activation
        if activation == "sigmoid" and all(layer.kind == "dense" for layer in layers):
            return {}
        return {"layers": layers, "activation": activation}

    def order(self, epoch: int, n: int) -> np.ndarray:
        """Return the order of the n images in that epoch (from 0), int64 (n,)."""
        return np.random.default_rng([1, self.seed, epoch]).permutation(n)

    @np.errstate(over="ignore", invalid="ignore")  # what diverges is told in one error
    def _epoch(
        self, session: Session, e: int, order: np.ndarray, pace: int, another: bool, bar: Any, some: np.ndarray
    ) -> tuple[np.ndarray, int]:
        """Train for one epoch; return the next one's order, if there is another, and how many batches take 0.1 s."""
        began, n, following = time.perf_counter(), len(order), order
        lr = self.optimizer.rate(e, self.planned)
        if self.optimizer.schedule != "constant":
            session.set_rate(lr, self.optimizer.momentum)
        session.start(order)
        whole, seen, parts = n - n % session.batch_size, 0, measure.Parts(n // session.batch_size)
        while seen < whole:
            size = min(pace, parts.left())
            t = time.perf_counter()
            session.run(size)
            new = size * session.batch_size
            if seen + new == whole:
                session.finish()
                new = n - seen
                if another:
                    following = self.order(e + 1, n)  # drawn while a device works at what it has been given
            seen += new
            total = session.total()
            if not math.isfinite(total):
                raise self._diverged(session, e, n)
            parts.look(size, seen, total)
            bar.update(new)
            bar.set_postfix_str(f"loss {total / seen:.4f}")
            took = session.agreed(time.perf_counter() - t)
            if size == pace or took > SLICE:  # a shorter one, at the end of a part, tells little
                pace = max(1, min(4 * size, int(size * SLICE / took) if took else size))
        seconds = time.perf_counter() - began
        test_mse = session.test_error() if session.has_test else None
        parameters = session.read()
        finite = math.isfinite(total) and math.isfinite(test_mse or 0)
        if not finite or not all(np.isfinite(p).all() for group in parameters for p in group):
            raise self._diverged(session, e, n)  # the last update counts too, though no loss has seen it yet
        signs = measure.of_epoch(self.model, parameters, some, parts)
        with held():  # else a Ctrl-C might leave the parameters of one epoch and the history of another
            self.model.weights, self.model.biases, self._V, self._c = parameters
            self.history.epochs.append(Epoch(e + 1, total / n, test_mse, seconds, n / seconds, lr, signs))
        return following, pace

    def _diverged(self, session: Session, e: int, n: int) -> Diverged:
        """Run the epoch again, batch by batch, to name the one that went wrong: the same bits go wrong again."""
        session.write(Parameters(self.model.weights, self.model.biases, self._V, self._c))
        session.start(self.order(e, n))
        batch = 0
        while math.isfinite(session.total()) and batch < n // session.batch_size:
            session.run(1)
            batch += 1
        if math.isfinite(session.total()):
            session.finish()
            batch = -(-n // session.batch_size)  # the smaller one at the end, or the last update
        broken = (not (np.isfinite(W).all() and np.isfinite(b).all()) for W, b in zip(*list(session.read())[:2]))
        layer = next((l for l, found in enumerate(broken, 1) if found), 0)
        return Diverged(diagnose(self, Broken(e + 1, batch, layer)))

    def save(self, path: str | os.PathLike[str], note: dict[str, Any] | None = None) -> None:
        """Write a checkpoint: model, velocities, history and settings; of several ranks the first one does.

        Parameters
        ----------
        path : path-like
        note : dict, optional
            Further settings, as JSON holds them, that a training to be resumed must share.

        Raises
        ------
        OutputError
            It cannot be written; what was there before is still there.
        """
        if self.ranks.rank:
            return
        checkpoints.save(self, path, note)

    def resume(self, path: str | os.PathLike[str], note: dict[str, Any] | None = None) -> None:
        """Go on from a checkpoint that a trainer with the same settings wrote; of several ranks the first one reads it.

        Another number of ranks may have written it. Unless both have the same ``shards``, the bits are then those of
        neither.

        Raises
        ------
        CheckpointError
            The file is missing or damaged, or its settings differ; nothing is changed.
        """
        with self.ranks.together():
            found: Any = None if self.ranks.rank else storage.read(path, "checkpoint")
        config, arrays = self.ranks.spread(found)
        with self.ranks.together():
            checkpoints.take(self, path, config, arrays, note)

    def settings(self, note: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what decides the course of this training, as JSON holds it."""
        return checkpoints.settings(self, note)
