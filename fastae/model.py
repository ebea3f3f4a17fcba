"""The autoencoder: its layers, parameters and their initialization, and the computation of codes and images."""

import math
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastae import interchange, storage
from fastae.activations import ACTIVATIONS, activation_of
from fastae.backends import get
from fastae.errors import CheckpointError, InputError
from fastae.layers import Conv2d, Dense, autoencoder, from_json, image_of
from fastae.layers.layer import Shape, is_whole

DTYPES = ("float32", "float64")
SIZES, IMAGE = (784, 256, 128), (28, 28)


INITS = ("glorot-sigmoid", "glorot", "he")
PATCHED_BATCH = 256  # images at a time in a network with patches: the patches of all images might not fit in memory


class Autoencoder:
    """An autoencoder: an encoder from images to codes, and a decoder from codes to images that mirrors its layers.

    Parameters
    ----------
    sizes : sequence of int
        For a network of dense layers, the widths from the image to the code. The decoder mirrors them, so
        (784, 256, 128) is 784-256-128-256-784.
    seed : int
        The seed of the initial parameters. They are drawn by ``np.random.default_rng([0, seed])`` in float64, layer by
        layer, the weight matrix before its bias, and cast to `dtype`.
    dtype : {"float32", "float64"}
    init : {"glorot-sigmoid", "glorot", "he"} or float, optional
        Weights from N(0, σ²) with

        - ``"glorot-sigmoid"``: σ = 4 √(2 / (fan_in + fan_out)), Glorot and Bengio's rule (AISTATS 2010) for the
          logistic sigmoid, the default with it;
        - ``"glorot"``: σ = √(2 / (fan_in + fan_out)), their rule for tanh, the default with it;
        - ``"he"``: σ = √(2 / fan_in), He, Zhang, Ren and Sun's (ICCV 2015) for relu, the default with it;

        and biases with σ = 0.1. For the fans of a convolution see `fastae.layers.Layer.fans`. A number is the σ of
        every weight and bias.
    layers : sequence of Dense or Conv2d, optional
        The encoder's layers, instead of `sizes`. The decoder mirrors them: a convolution becomes a transposed
        convolution with the same kernel size, stride and padding, and with its own weights.
    activation : {"sigmoid", "tanh", "relu"}
        The activation of all layers but the last, which is a sigmoid.
    image_shape : (height, width) or (height, width, channels), optional
        The shape of the images, which are stored row by row with the channels last. With ``layers`` the default is
        (28, 28); with ``sizes`` the product must be ``sizes[0]``.

    Attributes
    ----------
    weights, biases : list of ndarray
        For each dense layer, (inputs, outputs) and (outputs,); training updates them. The weights of a convolution are
        (kernel · kernel · input channels, output channels), with the elements of a patch in the order (row, column,
        channel). The weights of a transposed convolution have the shape of those of the convolution that it mirrors.
        Both have one bias for each output channel.
    layers : list of Layer
        The layers of the encoder and of the decoder; see `fastae.layers.Layer`.
    sizes : tuple of int
        The widths from the image to the code.
    image_shape : tuple of int, or None
        None for dense layers whose image shape was not given.

    Raises
    ------
    InputError
        Sizes that are not positive whole numbers, layers that do not fit, an unknown activation, dtype or init, or a σ
        that is negative or too large.

    Examples
    --------
    >>> import numpy as np
    >>> model = Autoencoder((784, 256, 128), seed=0)
    >>> [W.shape for W in model.weights]
    [(784, 256), (256, 128), (128, 256), (256, 784)]
    >>> images = np.zeros((3, 784), np.uint8)
    >>> model.encode(images).shape, model.reconstruct(images).shape
    ((3, 128), (3, 784))
    """

    def __init__(
        self,
        sizes: Sequence[int] | None = None,
        seed: int = 0,
        dtype: str = "float32",
        init: str | float | None = None,
        layers: Sequence[Dense | Conv2d] | None = None,
        activation: str = "sigmoid",
        image_shape: Sequence[int] | None = None,
    ) -> None:
        if sizes is None and layers is None:
            sizes = SIZES
        self._settle(sizes, seed, dtype, init, layers, activation, image_shape)
        generator = np.random.default_rng([0, self.seed])
        self.weights: list[np.ndarray] = []
        self.biases: list[np.ndarray] = []
        for layer in self.layers:
            sigma_w, sigma_b = deviations(self.init, *layer.fans)
            with np.errstate(over="ignore"):  # an overflow raises InputError below
                self.weights.append(generator.normal(0, sigma_w, layer.shape).astype(self.dtype))
                self.biases.append(generator.normal(0, sigma_b, layer.channels).astype(self.dtype))
        if not all(np.isfinite(p).all() for p in self.weights + self.biases):
            raise InputError(f"init must be small enough for {self.dtype}; got {init!r}")

    def _settle(
        self,
        sizes: Sequence[int] | None,
        seed: int,
        dtype: str,
        init: str | float | None,
        layers: Sequence[Dense | Conv2d] | None = None,
        activation: str = "sigmoid",
        image_shape: Sequence[int] | None = None,
    ) -> None:
        """Check all arguments and set all attributes except for the parameters; raises `InputError`."""
        image = None if image_shape is None else image_of(image_shape)
        self.image_shape = None if image_shape is None else tuple(int(n) for n in image_shape)
        if layers is not None:
            if sizes is not None:
                raise InputError("give sizes or layers, not both")
            self.specs = list(layers) if isinstance(layers, Sequence) else layers
            self.layers = autoencoder(self.specs, image or image_of(IMAGE))
            self.image_shape = self.image_shape or IMAGE
        else:
            if (
                not isinstance(sizes, Sequence | np.ndarray)
                or len(sizes) < 2
                or not all(is_whole(n) and 0 < n < 2**31 for n in sizes)
            ):
                raise InputError(
                    f"sizes must be two or more positive whole numbers, such as (784, 256, 128); got {sizes}"
                )
            if image is not None and image.size != sizes[0]:
                raise InputError(f"sizes begin with {sizes[0]}, but an image of {image} has {image.size} numbers")
            self.specs = [Dense(n) for n in sizes[1:]]
            self.layers = autoencoder(self.specs, Shape(1, 1, int(sizes[0])))
        if not is_whole(seed) or seed < 0:
            raise InputError(f"seed must be a whole number of at least 0; got {seed!r}")
        try:
            name = np.dtype(dtype).name
        except Exception:  # NumPy raises several types
            name = ""
        if dtype is None or name not in DTYPES:
            raise InputError(f"dtype must be float32 or float64; got {dtype!r}")
        half = self.layers[: len(self.layers) // 2]
        self.sizes = (half[0].inputs, *(layer.outputs for layer in half))
        self.seed, self.dtype, self.activation = int(seed), np.dtype(name), activation_of(activation)
        self.backend = "numpy"  # used to encode and decode; training replaces it by its own
        init = ACTIVATIONS[activation].init if init is None else init
        deviations(init, 1, 1)
        self.init = init if init in INITS else float(init)  # a type that JSON supports

    def settle_parameters(self) -> None:
        """Check weights and biases that a program has set, and convert them to arrays of the model's dtype.

        Raises
        ------
        InputError
            Their number or a shape is wrong, or a value is not finite.
        """
        for kind in ("weights", "biases"):
            given, settled = list(getattr(self, kind)), []
            if len(given) != len(self.layers):
                raise InputError(f"a model of {len(self.layers)} layers has as many {kind}; got {len(given)}")
            for place, (layer, values) in enumerate(zip(self.layers, given)):
                shape = layer.shape if kind == "weights" else (layer.channels,)
                try:
                    with np.errstate(over="ignore"):  # the check below finds infinite values
                        array = np.asarray(values, self.dtype)
                except (TypeError, ValueError) as error:
                    raise InputError(f"{kind}[{place}] must be numbers of shape {shape}: {error}") from error
                if array.shape != shape:
                    turned = "; transpose it" if array.shape == shape[::-1] else ""
                    raise InputError(f"{kind}[{place}] must have the shape {shape}; got {array.shape}{turned}")
                if bad := int(np.sum(~np.isfinite(array))):
                    raise InputError(
                        f"{kind}[{place}] must be finite in {self.dtype}; {bad:,} of {array.size:,} values are NaN or "
                        "infinite; set finite ones"
                    )
                settled.append(array)
            setattr(self, kind, settled)

    def shapes(self) -> list[tuple[int, int]]:
        """Return the shape of each layer's weights, in the encoder and the decoder."""
        return [layer.shape for layer in self.layers]

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
            The images have another shape or dtype.
        """
        return self._run(x, 0, len(self.weights) // 2)

    def decode(self, y: Any) -> np.ndarray:
        """Map codes to images.

        Parameters
        ----------
        y : array_like, floats, (n, sizes[-1])
            Codes, as `encode` returns them.

        Returns
        -------
        ndarray, (n, sizes[0]), of the model's dtype
            Images with values in [0, 1].

        Raises
        ------
        InputError
            The codes have another shape or dtype.
        """
        return self._run(y, len(self.weights) // 2, len(self.weights))

    def reconstruct(self, x: Any) -> np.ndarray:
        """Encode and decode images; for the argument see `encode`, for the result see `decode`."""
        return self._run(x, 0, len(self.weights))

    def outputs(self, x: Any) -> list[np.ndarray]:
        """Compute the outputs of every layer for images; the argument and errors are those of `encode`.

        Returns
        -------
        list of ndarray, (n, outputs) of each layer
            The code is in the middle, the reconstruction at the end.
        """
        found: list[np.ndarray] = []
        for l in range(len(self.weights)):
            found.append(self._run(found[-1] if found else x, l, l + 1))
        return found

    @np.errstate(over="ignore", invalid="ignore")  # huge weights saturate σ: no reason to warn
    def _run(self, x: Any, first: int, last: int) -> np.ndarray:
        x = np.asarray(x)
        width = self.layers[first].inputs
        if x.ndim != 2 or x.shape[1] != width:
            raise InputError(f"expected an array of shape (n, {width}), one row each; got {x.shape}")
        if x.dtype == np.uint8:
            x = np.divide(x, 255, dtype=self.dtype)
        elif x.dtype.kind != "f":
            raise InputError(f"expected uint8 from 0 to 255, or floats in [0, 1]; got {x.dtype}")
        x = np.ascontiguousarray(x, self.dtype)
        batch = max(1, len(x)) if all(layer.kind == "dense" for layer in self.layers) else PATCHED_BATCH
        parts = [self._run_batch(x[i : i + batch], first, last) for i in range(0, max(1, len(x)), batch)]
        return np.concatenate(parts) if len(parts) > 1 else parts[0]

    def _run_batch(self, x: np.ndarray, first: int, last: int) -> np.ndarray:
        backend = get(self.backend)
        a = backend.asarray(x)
        for l in range(first, last):
            layer, W, b = self.layers[l], backend.asarray(self.weights[l]), backend.asarray(self.biases[l])
            y = backend.asarray(np.empty((len(x), layer.outputs), self.dtype))
            activation = "sigmoid" if l == len(self.layers) - 1 else self.activation
            if (layer.kind, activation) == ("dense", "sigmoid"):
                backend.forward(a, W, b, y)
            else:
                backend.forward(a, W, b, y, layer, activation)
            a = y
        return backend.to_host(a)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to a file, completely or not at all.

        Parameters
        ----------
        path : path-like
            Its suffix selects the format:

            - ``.npz``, or no suffix: NumPy's format, without pickles, with a checksum;
            - ``.safetensors``: the ``state_dict`` of a ``torch.nn.Sequential``, which the file's metadata contain;
            - ``.onnx``: the network with its weights; its input is ``images``, its outputs are ``code`` and
              ``reconstruction``, all in rows as in `encode` and `reconstruct`.

        Raises
        ------
        InputError
            The path has another suffix.
        MissingPackage
            The packages of ``fastae[interchange]``, which the last two formats need, are not installed.
        OutputError
            The file cannot be written.
        """
        config = {
            "sizes": self.sizes,
            "seed": self.seed,
            "dtype": self.dtype.name,
            "init": self.init,
            **self.described(),
        }
        if interchange.suffix_of(path) == ".npz":
            storage.write(path, "model", config, storage.numbered(weight=self.weights, bias=self.biases))
        else:
            interchange.save(self, path, config)

    def described(self) -> dict[str, Any]:
        """Return layers, activation and image shape as a dict for JSON."""
        shape = None if self.image_shape is None else list(self.image_shape)
        return {"layers": [spec.as_json() for spec in self.specs], "activation": self.activation, "image_shape": shape}

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Autoencoder":
        """Read a model that `save` wrote as ``.npz`` or ``.safetensors``; ``.onnx`` files cannot be read.

        Raises
        ------
        CheckpointError
            The file is missing, damaged or of another kind.
        MissingPackage
            The file is a ``.safetensors``, and ``fastae[interchange]`` is not installed.
        """
        suffix = os.path.splitext(os.fspath(path))[1].lower()
        if suffix == ".onnx":
            raise CheckpointError(f"{path}: an .onnx is written for other programs; load the .npz or .safetensors")
        if suffix == ".safetensors":
            config, arrays = interchange.read_safetensors(path)
            model = cls._settled(path, config)
            interchange.load_tensors(model, path, arrays)
            return model
        config, arrays = storage.read(path, "model")
        model = cls._settled(path, config)
        model.weights, model.biases = model.take(path, arrays, "weight"), model.take(path, arrays, "bias")
        return model

    @classmethod
    def _settled(cls, path: Any, config: dict[str, Any]) -> "Autoencoder":
        """Make a model without parameters from a file's configuration; raises `CheckpointError`."""
        model = cls.__new__(cls)  # draw no parameters: wrong sizes in a file could fill the memory
        try:
            settled = {name: config[name] for name in ("sizes", "seed", "dtype", "init")}
            settled |= {name: config.get(name) for name in ("layers", "image_shape")}
            settled["activation"] = config.get("activation", "sigmoid")  # older files lack these three
            sizes, layers = settled["sizes"], settled["layers"]
            if layers is not None:
                layers = from_json(layers)
                flat = all(isinstance(layer, Dense) and isinstance(layer.units, int) for layer in layers)
                settled |= {"layers": None} if flat else {"layers": layers, "sizes": None}
            model._settle(**settled)
            if model.sizes != tuple(sizes):
                raise InputError(f"its sizes are {sizes}, but its layers give {model.sizes}")
        except (KeyError, TypeError, ValueError, AttributeError, InputError) as error:
            raise CheckpointError(f"{path}: its configuration is not a model's: {storage.brief(error)}") from error
        return model

    def take(self, path: Any, arrays: dict[str, np.ndarray], name: str) -> list[np.ndarray]:
        """Return the arrays ``name0``, ``name1``, ...; raises `CheckpointError` unless they fit this model."""
        taken = []
        for number, layer in enumerate(self.layers):
            array = arrays.get(f"{name}{number}")
            expected = layer.shape if name.startswith("weight") else (layer.channels,)
            if array is None or array.shape != expected or array.dtype != self.dtype:
                found = "nothing" if array is None else f"{array.dtype} {array.shape}"
                raise CheckpointError(f"{path}: {name}{number} should be {self.dtype} {expected}, but is {found}")
            taken.append(array)
        return taken


def deviations(init: str | float, fan_in: float, fan_out: float) -> tuple[float, float]:
    """Return the standard deviations of a layer's weights and of its biases; raises `InputError`."""
    if init in INITS:
        glorot = math.sqrt(2 / (fan_in + fan_out))
        return {"glorot-sigmoid": 4 * glorot, "glorot": glorot, "he": math.sqrt(2 / fan_in)}[str(init)], 0.1
    try:
        sigma = float(init)
    except (TypeError, ValueError, OverflowError):
        sigma = math.nan
    if not (math.isfinite(sigma) and sigma >= 0):
        raise InputError(f"init must be {', '.join(INITS)} or a standard deviation of at least 0; got {init!r}")
    return sigma, sigma
