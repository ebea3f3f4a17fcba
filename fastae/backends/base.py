"""What a backend is: a few ways to handle its arrays, the contract's kernels, and a session that trains with them.

A third party writes a subclass with the kernels of `fastae.backends.contract.KERNELS` as methods, and names it in the
entry-point group ``fastae.backends``. Everything else here works on the first day, and may be overridden later.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from fastae.backends.contract import KERNELS
from fastae.errors import InputError
from fastae.step import Worker, make_evaluation, make_operations, make_step

TEST_BATCH = 256  # images at a time when nothing is learned: enough to be fast, few enough to stay in a cache


class Availability(NamedTuple):
    """Whether a backend works on this machine; if not, why, and what mends it.

    Attributes
    ----------
    ok : bool
    reason, remedy : str
        Empty when ``ok``.
    """

    ok: bool
    reason: str = ""
    remedy: str = ""


@dataclass
class Parameters:
    """Everything that training changes, as host arrays of one dtype, a list entry for each layer.

    Attributes
    ----------
    W, b : list of ndarray
        Weights (inputs, outputs) and biases (outputs,).
    V, c : list of ndarray
        Their velocities, of the same shapes; with no rows where there is no momentum.
    """

    W: list[np.ndarray]
    b: list[np.ndarray]
    V: list[np.ndarray]
    c: list[np.ndarray]

    def __iter__(self):
        return iter((self.W, self.b, self.V, self.c))


class Backend:
    """A device, or a way to use one.

    The methods named in `KERNELS` are the kernels, with the arguments given there.
    """

    name = "?"

    def __getattr__(self, name: str) -> Any:
        if name in KERNELS:
            raise NotImplementedError(f"the backend {self.name!r} lacks the kernel {KERNELS[name].signature}")
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    @classmethod
    def availability(cls) -> Availability:
        """Say whether the backend works here, by the cheapest test that can tell."""
        return Availability(True)

    def asarray(self, host: np.ndarray) -> Any:
        """Copy a NumPy array to the device."""
        return np.array(host)

    def to_host(self, array: Any) -> np.ndarray:
        """Copy an array of the device to NumPy."""
        return np.array(array)

    def workspace(self, size: int, dtype: Any) -> Any:
        """Make what ``Worker.own`` holds: here nothing; where operations need it, room for ``size`` floats."""
        return None

    def operations(self, loss: str) -> dict[str, Any]:
        """Return the step's operations, by default composed from the kernels; see `fastae.step.make_operations`."""
        return make_operations(self, loss)

    def forward(self, a: Any, W: Any, b: Any, y: Any) -> None:
        """Write σ(a W + b) into ``y``: (m, inputs), (inputs, outputs), (outputs,), (m, outputs)."""
        make_operations(self, "mse")["forward"](a, W, b, y)

    def backward(self, d: Any, W: Any, y: Any, out: Any) -> None:
        """Write (d Wᵀ) · y · (1 − y) into ``out``: (m, outputs), (inputs, outputs), (m, inputs), (m, inputs)."""
        make_operations(self, "mse")["backward"](d, W, y, out)

    def session(self, parameters: Parameters, images: np.ndarray, **options: Any) -> "Session":
        """Put a model and its data on the device; see `Session` for the arguments."""
        return Session(self, parameters, images, **options)


class Session:
    """A model on its device, with the step bound to it and every buffer made once.

    Parameters
    ----------
    backend : Backend
    parameters : Parameters
        Where to start from; copied.
    images : ndarray, uint8, (N, pixels)
    test_images : ndarray, uint8, (M, pixels), optional
    loss : {"mse", "bce"}
    batch_size : int
        At most N.
    lr, momentum : float
    threads : int, optional
        For backends that have a team of workers; the others refuse it.
    """

    threads = 1

    def __init__(
        self,
        backend: Backend,
        parameters: Parameters,
        images: np.ndarray,
        test_images: np.ndarray | None = None,
        loss: str = "mse",
        batch_size: int = 16,
        lr: float = 0.25,
        momentum: float = 0.0,
        threads: int | None = None,
    ) -> None:
        if threads is not None:
            raise InputError(f"the backend {backend.name!r} does not take a number of threads; numba does")
        self.backend, self.batch_size, self.lr, self.momentum = backend, batch_size, lr, momentum
        self.dtype = parameters.W[0].dtype
        kernels = SimpleNamespace(**{name: getattr(backend, name) for name in KERNELS}, **backend.operations(loss))
        self._step, self._evaluation = make_step(kernels), make_evaluation(kernels)
        self._widths = [parameters.W[0].shape[0], *(w.shape[1] for w in parameters.W)]
        self._parameters = [tuple(backend.asarray(p) for p in group) for group in parameters]
        self._total = self._zeros(1, np.float64)
        size = max([2 * max(batch_size, TEST_BATCH) * max(self._widths), *(w.size for w in parameters.W)])
        self._own = backend.workspace(size, self.dtype)
        self._train = self._worker(images, batch_size)
        self._tail = self._first_rows(self._train, len(images) % batch_size)
        self.has_test = test_images is not None
        if test_images is not None:
            self._test = self._worker(test_images, min(len(test_images), TEST_BATCH))
            self._test_tail = self._first_rows(self._test, len(test_images) % len(self._test.a[0]))

    def start(self, order: np.ndarray) -> None:
        """Begin an epoch with the images in this order, int64 (N,)."""
        self._train.order[:] = self.backend.asarray(order)
        self._train.cursor[:] = 0
        self._total[:] = 0

    def run(self, batches: int) -> None:
        """Train on the next whole batches."""
        for _ in range(batches):
            self._step(self._train)

    def finish(self) -> None:
        """Train on the images that are left when the batch size does not divide their number."""
        if self._tail:
            self._step(self._tail)

    def total(self) -> float:
        """Return the sum over the epoch's images so far of their loss as they were trained on."""
        return float(self.backend.to_host(self._total)[0])

    def read(self) -> Parameters:
        """Copy the parameters to the host."""
        return Parameters(*([self.backend.to_host(p) for p in group] for group in self._parameters))

    def write(self, parameters: Parameters) -> None:
        """Overwrite the parameters."""
        for group, new in zip(self._parameters, parameters):
            for p, q in zip(group, new):
                p[:] = self.backend.asarray(q)

    def test_error(self) -> float:
        """Return the squared error of the test images' reconstructions: the mean over images and pixels."""
        self._test.cursor[:] = 0
        self._total[:] = 0
        images, pixels = self._test.images.shape
        for _ in range(images // len(self._test.a[0])):
            self._evaluation(self._test)
        if self._test_tail:
            self._evaluation(self._test_tail)
        return self.total() / (images * pixels)

    def _zeros(self, shape: int | Sequence[int], dtype: Any) -> Any:
        return self.backend.asarray(np.zeros(shape, dtype))

    def _worker(self, images: np.ndarray, m: int) -> Worker:
        """Make the one worker of a team of one: its own columns are all of them."""
        W, b, V, c = self._parameters
        a = tuple(self._zeros((m, width), self.dtype) for width in self._widths)
        losses = self._zeros((m, 1), np.float64)
        return Worker(
            images=self.backend.asarray(images),
            order=self.backend.asarray(np.arange(len(images), dtype=np.int64)),
            cursor=self._zeros(1, np.int64),
            rate=self.backend.asarray(np.array([-self.lr, self.momentum], self.dtype)),
            scale=1 / m,
            **{"W": W, "b": b, "V": V, "c": c},
            a=a[:-1],
            y=a[1:],
            d=tuple(self._zeros((m, width), self.dtype) for width in self._widths[1:]),
            x=a[0],
            loss=losses[:, 0],
            losses=losses,
            total=self._total,
            own=self._own,
        )

    def _first_rows(self, w: Worker, m: int) -> Worker | None:
        """Make the worker of a smaller batch in the same buffers; None if there is no image in it."""
        if m == 0:
            return None
        a, y, d = (tuple(array[:m] for array in group) for group in (w.a, w.y, w.d))
        return w._replace(scale=1 / m, a=a, y=y, d=d, x=w.x[:m], loss=w.loss[:m], losses=w.losses[:m])
