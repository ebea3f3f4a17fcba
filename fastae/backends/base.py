"""What a backend is: a few ways to handle its arrays, and the contract's kernels.

A third party writes a subclass of `Backend` with the kernels of `fastae.backends.contract.KERNELS` as methods, and
names it in the entry-point group ``fastae.backends``. Everything else has a default, which may be overridden.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from fastae.backends.contract import KERNELS
from fastae.backends.session import Parameters, Session
from fastae.layers import Layer
from fastae.operations import NUMBERS, make_operations
from fastae.step import Local

__all__ = ["Availability", "Backend", "Parameters", "Session"]


class Availability(NamedTuple):
    """Whether a backend works on this machine; if not, why, and what to do.

    Attributes
    ----------
    ok : bool
    reason, remedy : str
        Empty when ``ok``.

    Examples
    --------
    >>> Availability(False, "CuPy is not installed", "pip install 'fastae[cuda13]'").ok
    False
    """

    ok: bool
    reason: str = ""
    remedy: str = ""


class Backend:
    """A device, or a way to use one.

    The methods named in `fastae.backends.contract.KERNELS` are the kernels, with the arguments given there.

    Examples
    --------
    A backend of one kernel; the others are reported when they are needed.

    >>> class Mine(Backend):
    ...     name = "mine"
    ...
    ...     def axpy(self, alpha, x, y):
    ...         y += alpha * x
    >>> Mine().bias_relu
    Traceback (most recent call last):
        ...
    NotImplementedError: the backend 'mine' lacks the kernel bias_relu(z, bias, out)
    """

    name = "?"
    takes_threads = False  # whether a user may set their number
    on_gpu = False  # whether its arrays are on a GPU, or on the emulator's

    def __getattr__(self, name: str) -> Any:
        if name in KERNELS:
            raise NotImplementedError(f"the backend {self.name!r} lacks the kernel {KERNELS[name].signature}")
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def __reduce__(self) -> Any:
        """Pickle the backend as its name: compiled functions cannot be. Raises TypeError if it is not registered."""
        from fastae import backends

        if self.name not in backends.names() or backends.get(self.name) is not self:
            raise TypeError(
                f"a backend is pickled as its name, and {self.name!r} is the name of another one, or of none"
            )
        return backends.get, (self.name,)

    @classmethod
    def availability(cls) -> Availability:
        """Return whether the backend works on this machine, by the cheapest test that shows it."""
        return Availability(True)

    def asarray(self, host: np.ndarray) -> Any:
        """Copy a NumPy array to the device."""
        return np.array(host)

    def data(self, images: np.ndarray) -> Any:
        """Put images on the device; without a copy where the backend's arrays are the host's."""
        return images if type(self).asarray is Backend.asarray else self.asarray(images)

    def to_host(self, array: Any) -> np.ndarray:
        """Copy an array of the device to NumPy."""
        return np.array(array)

    def workspace(self, size: int, dtype: Any) -> Any:
        """Return what ``Buffers.workspace`` holds: here None; a backend may return memory for ``size`` floats."""
        return None

    def operations(self, loss: str, activation: str = "sigmoid", kinds: Sequence[str] = ("dense",)) -> dict[str, Any]:
        """Return the step's operations, by default composed from the kernels; see `fastae.operations.make_operations`.

        In training, a kernel among them replaces the contract's. For a dense network with sigmoids this is called with
        ``loss`` alone.
        """
        return make_operations(self, loss, activation, kinds)

    def forward(self, a: Any, W: Any, b: Any, y: Any, layer: Layer | None = None, activation: str = "sigmoid") -> None:
        """Write a layer's output into ``y``, by the contract's kernels.

        Parameters
        ----------
        a, W, b, y : arrays, (m, inputs), the layer's shape, (channels,), (m, outputs)
        layer : Layer, optional
            By default a dense one, (inputs, outputs).
        activation : {"sigmoid", "tanh", "relu"}
        """
        self._once("forward", layer, activation, W, y)(a, W, b, y)

    def backward(
        self, d: Any, W: Any, y: Any, out: Any, layer: Layer | None = None, activation: str = "sigmoid"
    ) -> None:
        """Write the delta before a layer, whose input was ``y``, into ``out``; arguments as `forward` has them."""
        self._once("backward", layer, activation, W, out)(d, W, y, out)

    def _once(self, name: str, layer: Layer | None, activation: str, W: Any, out: Any) -> Any:
        layer = layer or Layer("dense", *W.shape)
        local = self.local([layer], len(out), W.dtype)[0]
        operation = make_operations(self, "mse", activation, [layer.kind])[name]
        return lambda *arguments: operation(*arguments, local, None)

    def local(self, layers: Sequence[Layer], m: int, dtype: Any) -> tuple[Local, ...]:
        """Return ``Buffers.local`` for batches of m images: memory for their patches, and for products with them."""
        shapes = [(m * layer.patches, layer.shape[0]) if layer.shared else (0, 0) for layer in layers]
        products = self.asarray(np.zeros(max(rows * columns for rows, columns in shapes), dtype))
        return tuple(
            Local(
                NUMBERS[layer.kind],
                layer.geometry,
                self.asarray(np.zeros(shape, dtype)),
                products[: shape[0] * shape[1]].reshape(shape),
            )
            for layer, shape in zip(layers, shapes)
        )

    def take(self, samples: Any, order: Any, cursor: Any, offset: int, out: Any) -> None:
        """Write rows order[cursor[0] + offset + i] of samples that are floats; it replaces ``gather`` for these."""
        first = int(cursor[0]) + offset
        out[:] = samples[order[first : first + len(out)]]

    def session(self, parameters: Parameters, images: np.ndarray, **options: Any) -> "Session":
        """Put a model and its data on the device; see `Session` for the arguments."""
        return Session(self, parameters, images, **options)
