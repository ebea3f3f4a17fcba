"""The autoencoder: its sizes, its parameters and where they start, and what it computes once trained."""

import math
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastae import storage
from fastae.backends import get
from fastae.errors import CheckpointError, InputError

DTYPES = ("float32", "float64")


class Autoencoder:
    """A stack of sigmoid layers that narrows from the image to a code, and widens again to the image.

    Parameters
    ----------
    sizes : sequence of int
        Widths from the image to the code; the decoder mirrors them, so (784, 256, 128) is 784-256-128-256-784.
    seed : int
        Seeds the parameters, drawn by ``np.random.default_rng([0, seed])`` in float64, layer by layer, the weight
        matrix before its bias, and cast to `dtype`.
    dtype : {"float32", "float64"}
    init : {"glorot-sigmoid"} or float
        ``"glorot-sigmoid"``: weights from N(0, σ²) with σ = 4 √(2 / (fan_in + fan_out)), Glorot and Bengio's rule
        (AISTATS 2010) for the logistic sigmoid, and biases with σ = 0.1. A number: σ of every weight and bias.

    Attributes
    ----------
    weights, biases : list of ndarray
        (inputs, outputs) and (outputs,) for each layer; training updates them.

    Raises
    ------
    InputError
        Sizes that are not positive whole numbers, an unknown dtype or init, a σ that is negative or too large.
    """

    def __init__(
        self,
        sizes: Sequence[int] = (784, 256, 128),
        seed: int = 0,
        dtype: str = "float32",
        init: str | float = "glorot-sigmoid",
    ) -> None:
        self._settle(sizes, seed, dtype, init)
        generator = np.random.default_rng([0, self.seed])
        self.weights: list[np.ndarray] = []
        self.biases: list[np.ndarray] = []
        for fan_in, fan_out in self.shapes():
            sigma_w, sigma_b = deviations(init, fan_in, fan_out)
            with np.errstate(over="ignore"):  # it is an error, not a warning
                self.weights.append(generator.normal(0, sigma_w, (fan_in, fan_out)).astype(self.dtype))
                self.biases.append(generator.normal(0, sigma_b, fan_out).astype(self.dtype))
        if not all(np.isfinite(p).all() for p in self.weights + self.biases):
            raise InputError(f"init must be small enough for {self.dtype}; got {init!r}")

    def _settle(self, sizes: Sequence[int], seed: int, dtype: str, init: str | float) -> None:
        """Check and keep everything but the parameters; raises `InputError`."""
        if (
            not isinstance(sizes, Sequence | np.ndarray)
            or len(sizes) < 2
            or not all(is_whole(n) and 0 < n < 2**31 for n in sizes)
        ):
            raise InputError(f"sizes must be two or more positive whole numbers, such as (784, 256, 128); got {sizes}")
        if not is_whole(seed) or seed < 0:
            raise InputError(f"seed must be a whole number of at least 0; got {seed!r}")
        try:
            name = np.dtype(dtype).name
        except Exception:  # NumPy has more ways to refuse than TypeError
            name = ""
        if dtype is None or name not in DTYPES:
            raise InputError(f"dtype must be float32 or float64; got {dtype!r}")
        self.sizes, self.seed, self.dtype = tuple(int(n) for n in sizes), int(seed), np.dtype(name)
        self.backend = "numpy"  # what encodes and decodes; training leaves its own here
        deviations(init, 1, 1)
        self.init = init if init == "glorot-sigmoid" else float(init)  # as JSON holds it

    def shapes(self) -> list[tuple[int, int]]:
        """Return (inputs, outputs) of each layer, the encoder's and the decoder's."""
        widths = self.sizes + self.sizes[-2::-1]
        return list(zip(widths, widths[1:]))

    def encode(self, x: Any) -> np.ndarray:
        """Map images to codes.

        Parameters
        ----------
        x : array_like, (n, sizes[0])
            Images, uint8 from 0 to 255 or floats in [0, 1].

        Returns
        -------
        ndarray, (n, sizes[-1]), of the model's dtype

        Raises
        ------
        InputError
            Another shape or kind of number.
        """
        return self._run(x, 0, len(self.weights) // 2)

    def decode(self, y: Any) -> np.ndarray:
        """Map codes, floats (n, sizes[-1]), to images, floats (n, sizes[0]) in [0, 1]; raises `InputError`."""
        return self._run(y, len(self.weights) // 2, len(self.weights))

    def reconstruct(self, x: Any) -> np.ndarray:
        """Encode and decode images; arguments, result and errors as `encode` and `decode` have them."""
        return self._run(x, 0, len(self.weights))

    @np.errstate(over="ignore", invalid="ignore")  # huge weights saturate σ: no reason to warn
    def _run(self, x: Any, first: int, last: int) -> np.ndarray:
        x = np.asarray(x)
        width = self.weights[first].shape[0]
        if x.ndim != 2 or x.shape[1] != width:
            raise InputError(f"expected an array of shape (n, {width}), one row each; got {x.shape}")
        if x.dtype == np.uint8:
            x = np.divide(x, 255, dtype=self.dtype)
        elif x.dtype.kind != "f":
            raise InputError(f"expected uint8 from 0 to 255, or floats in [0, 1]; got {x.dtype}")
        k = get(self.backend)
        a = k.asarray(np.ascontiguousarray(x, self.dtype))
        for W, b in zip(self.weights[first:last], self.biases[first:last]):
            y = k.asarray(np.empty((len(x), W.shape[1]), self.dtype))
            k.forward(a, k.asarray(W), k.asarray(b), y)
            a = y
        return k.to_host(a)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to ``path``, all or nothing: an ``.npz`` without pickles, with a checksum.

        Raises
        ------
        OutputError
            The file cannot be written.
        """
        config = {"sizes": self.sizes, "seed": self.seed, "dtype": self.dtype.name, "init": self.init}
        storage.write(path, "model", config, storage.numbered(weight=self.weights, bias=self.biases))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Autoencoder":
        """Read a model that `save` wrote.

        Raises
        ------
        CheckpointError
            The file is missing, damaged or of another kind.
        """
        config, arrays = storage.read(path, "model")
        model = cls.__new__(cls)  # without drawing parameters, which of sizes that are a lie could fill the memory
        try:
            model._settle(**{name: config[name] for name in ("sizes", "seed", "dtype", "init")})
        except (KeyError, TypeError, InputError) as error:
            raise CheckpointError(f"{path}: its configuration is not a model's: {storage.brief(error)}") from error
        model.weights, model.biases = model.take(path, arrays, "weight"), model.take(path, arrays, "bias")
        return model

    def take(self, path: Any, arrays: dict[str, np.ndarray], name: str) -> list[np.ndarray]:
        """Return the arrays ``name0``, ``name1``, ...; raises `CheckpointError` unless they fit this model."""
        taken = []
        for layer, shape in enumerate(self.shapes()):
            array = arrays.get(f"{name}{layer}")
            expected = shape if name.startswith("weight") else shape[1:]
            if array is None or array.shape != expected or array.dtype != self.dtype:
                found = "nothing" if array is None else f"{array.dtype} {array.shape}"
                raise CheckpointError(f"{path}: {name}{layer} should be {self.dtype} {expected}, but is {found}")
            taken.append(array)
        return taken


def is_whole(n: Any) -> bool:
    """Tell whether n is a whole number; True and False are not."""
    return isinstance(n, int | np.integer) and not isinstance(n, bool)


def deviations(init: str | float, fan_in: int, fan_out: int) -> tuple[float, float]:
    """Return the standard deviations of a layer's weights and of its biases; raises `InputError`."""
    if init == "glorot-sigmoid":
        return 4 * math.sqrt(2 / (fan_in + fan_out)), 0.1
    try:
        sigma = float(init)
    except (TypeError, ValueError, OverflowError):
        sigma = math.nan
    if not (math.isfinite(sigma) and sigma >= 0):
        raise InputError(f"init must be glorot-sigmoid or a standard deviation of at least 0; got {init!r}")
    return sigma, sigma
