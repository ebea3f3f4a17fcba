"""The trainer: epochs of stochastic gradient descent, the order of the images, measurements and checkpoints."""

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
from fastae.interrupts import delay_interrupts
from fastae.layers.layer import is_whole, positive
from fastae.model import Autoencoder
from fastae.optimizer import SGD
from fastae.progress import progress_bar
from fastae.ranks.launch import limit_blas
from fastae.ranks.world import Alone, as_common, check_parts
from fastae.rates import Suggestion, suggest

LOSSES = ("mse", "bce")
CHECK_SECONDS = 0.1  # seconds of training between two checks of the clock, the loss and the keyboard


class Trainer:
    """Trains a model by plain or momentum SGD on one backend.

    Parameters
    ----------
    model : Autoencoder
        Updated at the end of every epoch.
    loss : {"mse", "bce"}
        Squared error or cross-entropy: a sum over pixels, a mean over the images of a batch.
    optimizer : SGD, optional
        By default ``SGD("auto")``, which chooses a learning rate for the network, the loss and the images.
    backend : str or Backend
        The name of a backend, see `fastae.backends.get`, or a backend, for example from `fastae.check.learner.load`.
    batch_size : int
        Images per step, at most the number of images.
    seed : int
        Epoch e (from 0) has the images in the order ``np.random.default_rng([1, seed, e]).permutation(n)``.
    threads : int, optional
        The number of workers, for backends that have several; by default it is chosen from the available cores.
    mode : {"captured", "eager", "persistent"}, optional
        How cupy and emulator launch steps; see `fastae.backends.cupy_backend.session.CupySession`. All modes give the
        same bits.
    tf32 : bool
        Whether cupy and emulator round the inputs of products to TF32.
    ranks : fastae.ranks.World, optional
        The processes that share each batch; all of them must make the same calls.
    shards : int, optional
        The number of parts into which each batch is divided. Their gradients are summed in a fixed order, so the bits
        do not depend on the number of ranks that share the parts. By default, the number of ranks.

    Attributes
    ----------
    history : History
        All epochs so far, of every `fit`.
    workers : int
        The number of threads of each rank in the last `fit`.
    sharers : int
        The number of ranks in the last `fit`.
    way : {"alone", "mpi", "nccl"}
        How the gradients of ranks are summed. On GPUs this may change in the first `fit`.
    planned : int
        The number of epochs at the end of the last `fit`, which the schedule of the learning rate uses.
    suggestion : Suggestion or None
        The origin of ``optimizer.lr``, if it was ``"auto"`` until the first `fit`.

    Raises
    ------
    InputError
        An argument is outside its domain.
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
            check_parts(self.shards or self.ranks.size, self.ranks.size)
        self.backend = backend if isinstance(backend, Backend) else get(backend)
        self.history = History()
        self.workers, self.planned, self.sharers = threads or 1, 0, self.ranks.size
        self.way = "alone" if self.ranks.size == 1 else self.ranks.way.replace("auto", "mpi")  # a session may change it
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
        """Train the model for more epochs, after those of earlier calls.

        Parameters
        ----------
        images : ndarray, (n, model.sizes[0])
            uint8 from 0 to 255, or floats in [0, 1]; floats are converted to the model's dtype.
        epochs : int
        test_images : ndarray, uint8 or floats, (m, model.sizes[0]), optional
            Reconstructed after each epoch, to measure the error; they are not used for training.
        progress : bool
            Show a progress bar if standard error is a terminal.
        on_epoch : callable, optional
            Called with the trainer after each epoch.

        Returns
        -------
        History
            The epochs of this call.

        Raises
        ------
        InputError
            The images have a wrong type, shape or range, or ``epochs`` is not a positive whole number.
        CheckpointError
            The epochs so far were trained with another number of workers, which gives other bits.
        Diverged
            The loss became NaN or infinite; the model is as it was after the last good epoch.
        """
        check_images("images", images, self.model.sizes[0])
        if test_images is not None:
            check_images("test_images", test_images, self.model.sizes[0])
        first, n = len(self.history.epochs), len(images)
        last = first + positive("the number of epochs", epochs)
        self.ranks.agree({"number of epochs": last, "epochs so far": first})
        with delay_interrupts():  # a Ctrl-C would be lost while LLVM compiles or loads code
            session = self.session(images, test_images)
        other_ranks = self.sharers != self.ranks.size and not self.shards  # they give other bits, which `resume` allows
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
        sample = measure.sample(images)
        bar = progress_bar(
            total=epochs * n,
            unit=" images",
            unit_scale=True,
            disable=None if progress else True,  # None disables it if standard error is not a terminal
            dynamic_ncols=True,
            bar_format="{desc} {percentage:3.0f}% {bar} {rate_fmt}, {remaining} left{postfix}",
        )
        order, pace = self.order(first, n), 1
        with bar:
            for e in range(first, last):
                bar.set_description(f"epoch {e + 1}/{last}")
                order, pace = self._epoch(session, e, order, pace, e + 1 < last, bar, sample)
                if on_epoch is not None:
                    on_epoch(self)
        return History(self.history.epochs[first:], self.history.start)

    def settle_rate(self, images: np.ndarray) -> None:
        """Set the learning rate from the images if it is still ``"auto"``; `fit` calls this method itself."""
        if self.optimizer.lr == "auto":
            self.suggestion = suggest(images, self.model, self.loss, self.optimizer.momentum, self.batch_size)
            self.optimizer = replace(self.optimizer, lr=self.suggestion.lr)

    def session(self, images: np.ndarray, test_images: np.ndarray | None = None) -> Session:
        """Create a session with the model and the data, ready to train.

        Parameters
        ----------
        images, test_images : ndarray
            As in `fit`.

        Returns
        -------
        fastae.backends.base.Session

        Raises
        ------
        InputError
            The model's parameters are invalid, or the backend does not support the network or an option.
        MissingPackage
            Shards with NumPy need threadpoolctl.
        """
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
        extra = {name: x for name in ("mode", "tf32") if (x := getattr(self, name))}  # only some backends take them
        if threads := self.threads or self._share_of_threads():
            extra["threads"] = threads
        if self.ranks.size > 1 or self.shards or self.ranks.way == "nccl":
            if self.shards and not limit_blas(1) and self.backend.name == "numpy":  # BLAS threads change its sums
                raise as_common(
                    MissingPackage(
                        "shards need threadpoolctl, so that NumPy's BLAS has one thread on each rank: "
                        "python -m pip install threadpoolctl"
                    )
                )
            from fastae.ranks.sessions import shared_session  # only now: a training of one process does not need it

            make = partial(shared_session, self.ranks, self.shards or self.ranks.size, self.backend)
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
        """Return the default number of a rank's workers; with shards it is always 1, so that the bits do not vary."""
        if not self.backend.takes_threads or (self.ranks.size == 1 and not self.shards):
            return None
        from fastae.backends.numba_backend.workers import choose

        return 1 if self.shards else max(1, choose().workers // self.ranks.here)

    def _floats(self, images: np.ndarray) -> np.ndarray:
        dtype = self.model.dtype
        return np.divide(images, 255, dtype=dtype) if images.dtype == np.uint8 else images.astype(dtype, copy=False)

    def _network(self) -> dict[str, Any]:
        """Return the session's options that describe the network; a dense network with sigmoids needs none."""
        layers, activation = self.model.layers, self.model.activation
        if activation == "sigmoid" and all(layer.kind == "dense" for layer in layers):
            return {}
        return {"layers": layers, "activation": activation}

    def order(self, epoch: int, n: int) -> np.ndarray:
        """Return the order of the n images in an epoch (from 0), int64, (n,)."""
        return np.random.default_rng([1, self.seed, epoch]).permutation(n)

    @np.errstate(over="ignore", invalid="ignore")  # divergence raises an error instead
    def _epoch(
        self, session: Session, e: int, order: np.ndarray, pace: int, another: bool, bar: Any, sample: np.ndarray
    ) -> tuple[np.ndarray, int]:
        """Train for one epoch; return the order of the next epoch, if any, and the number of batches in 0.1 s."""
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
                    following = self.order(e + 1, n)  # drawn while a device is still busy
            seen += new
            total = session.total()
            if not math.isfinite(total):
                raise self._diverged(session, e, n)
            parts.look(size, seen, total)
            bar.update(new)
            bar.set_postfix_str(f"loss {total / seen:.4f}")
            took = session.agreed(time.perf_counter() - t)
            if size == pace or took > CHECK_SECONDS:  # a shorter run, at the end of a part, is not representative
                pace = max(1, min(4 * size, int(size * CHECK_SECONDS / took) if took else size))
        seconds = time.perf_counter() - began
        test_mse = session.test_error() if session.has_test else None
        parameters = session.read()
        finite = math.isfinite(total) and math.isfinite(test_mse or 0)
        if not finite or not all(np.isfinite(p).all() for group in parameters for p in group):
            raise self._diverged(session, e, n)  # the loss does not include the last update
        signs = measure.of_epoch(self.model, parameters, sample, parts)
        with delay_interrupts():  # so that parameters and history always belong to the same epoch
            self.model.weights, self.model.biases, self._V, self._c = parameters
            self.history.epochs.append(Epoch(e + 1, total / n, test_mse, seconds, n / seconds, lr, signs))
        return following, pace

    def _diverged(self, session: Session, e: int, n: int) -> Diverged:
        """Run the epoch again, batch by batch and with the same bits, to find the batch that diverged."""
        session.write(Parameters(self.model.weights, self.model.biases, self._V, self._c))
        session.start(self.order(e, n))
        batch = 0
        while math.isfinite(session.total()) and batch < n // session.batch_size:
            session.run(1)
            batch += 1
        if math.isfinite(session.total()):
            session.finish()
            batch = -(-n // session.batch_size)  # the smaller batch at the end, or the last update
        broken = (not (np.isfinite(W).all() and np.isfinite(b).all()) for W, b in zip(*list(session.read())[:2]))
        layer = next((l for l, found in enumerate(broken, 1) if found), 0)
        return Diverged(diagnose(self, Broken(e + 1, batch, layer)))

    def save(self, path: str | os.PathLike[str], note: dict[str, Any] | None = None) -> None:
        """Write a checkpoint: model, velocities, history and settings. Of several ranks, only the first one writes.

        Parameters
        ----------
        path : path-like
        note : dict, optional
            Further settings, serializable to JSON, that must be equal when the training is resumed.

        Raises
        ------
        OutputError
            The file cannot be written; an existing file is unchanged.
        """
        if self.ranks.rank:
            return
        checkpoints.save(self, path, note)

    def resume(self, path: str | os.PathLike[str], note: dict[str, Any] | None = None) -> None:
        """Continue from a checkpoint that a trainer with the same settings wrote; of several ranks the first reads it.

        The number of ranks may differ. Unless ``shards`` is set, the bits then differ from those of a training with
        either number of ranks.

        Parameters
        ----------
        path : path-like
        note : dict, optional
            The same as in `save`.

        Raises
        ------
        CheckpointError
            The file is missing or damaged, or its settings differ; the trainer is unchanged.
        """
        with self.ranks.together():
            found: Any = None if self.ranks.rank else storage.read(path, "checkpoint")
        config, arrays = self.ranks.broadcast(found)
        with self.ranks.together():
            checkpoints.restore(self, path, config, arrays, note)

    def settings(self, note: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the settings that determine the result of this training, as a dict for JSON."""
        return checkpoints.settings(self, note)
