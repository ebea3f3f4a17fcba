"""The description of a layer for the backends: its inputs and outputs, the shape of its weights, its geometry.

`RULES` has the properties that depend on the kind of a layer; the file of each kind adds its own.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from fastae.errors import InputError


class Shape(NamedTuple):
    """The shape of a layer's input or output, with the channels last.

    The pixels are stored row by row, with the channels of a pixel next to each other. Vectors without height and width
    are one pixel.

    Examples
    --------
    >>> shape = Shape(28, 28, 3)
    >>> print(shape, shape.size)
    28 x 28 x 3 2352
    """

    height: int
    width: int
    channels: int

    @property
    def size(self) -> int:
        """The total number of elements."""
        return math.prod(self)

    def __str__(self) -> str:
        return " x ".join(map(str, self)) if self[:2] != (1, 1) else f"{self.channels}"


class Geometry(NamedTuple):
    """The positions of an image's patches: the arguments that the kernels ``unfold``, ``fold`` and ``convolve`` share.

    The image is the input of a convolution or the output of a transposed one. A patch is ``kernel`` x ``kernel``
    pixels. Patches begin ``stride`` pixels apart, the first one ``padding`` pixels outside the image.

    Examples
    --------
    >>> geometry = Geometry(28, 28, kernel=3, stride=2, padding=1)
    >>> geometry.rows, geometry.columns
    (14, 14)
    """

    height: int = 0
    width: int = 0
    kernel: int = 0
    stride: int = 1
    padding: int = 0

    @property
    def rows(self) -> int:
        """The number of patches along the height."""
        return (self.height + 2 * self.padding - self.kernel) // self.stride + 1

    @property
    def columns(self) -> int:
        """The number of patches along the width."""
        return (self.width + 2 * self.padding - self.kernel) // self.stride + 1


NO_PATCHES = Geometry()  # the geometry of a dense layer


@dataclass(frozen=True)
class Layer:
    """One layer of a network.

    Attributes
    ----------
    kind : {"dense", "conv", "transposed"}
        A key of ``fastae.layers.layer.RULES``.
    inputs, outputs : int
        The number of elements for one image.
    geometry : Geometry
        The geometry of a convolution, or of the convolution that a transposed one mirrors.

    Examples
    --------
    >>> layer = Layer("conv", 28 * 28, 14 * 14 * 16, Geometry(28, 28, kernel=3, stride=2, padding=1))
    >>> layer.shape, layer.channels, layer.patches
    ((9, 16), 16, 196)
    >>> layer.mirrored().kind
    'transposed'
    """

    kind: str
    inputs: int
    outputs: int
    geometry: Geometry = NO_PATCHES

    @property
    def patches(self) -> int:
        """The number of patches in an image."""
        return self.geometry.rows * self.geometry.columns

    @property
    def pixels(self) -> int:
        """The number of pixels of the input; 1 for a dense layer."""
        return RULES[self.kind].pixels(self)

    @property
    def channels(self) -> int:
        """The number of biases: all outputs of a dense layer, or the output channels of a convolution."""
        return RULES[self.kind].channels(self)

    @property
    def shape(self) -> tuple[int, int]:
        """The shape of the weights.

        The weights of a convolution have a row for each element of a patch, in the order (row, column, channel), and a
        column for each output channel. Those of a transposed convolution have the shape of the convolution's that it
        mirrors.
        """
        return RULES[self.kind].shape(self)

    @property
    def shared(self) -> bool:
        """Whether all pixels share the same weights."""
        return RULES[self.kind].shared

    @property
    def fans(self) -> tuple[float, float]:
        """The number of inputs on which an output depends, and the number of outputs that depend on an input.

        For a convolution these are the elements of a patch, and the output channels times the number of patches that
        contain a pixel, kernel² / stride² away from the border. For a transposed convolution they are exchanged.
        """
        return RULES[self.kind].fans(self)

    @property
    def multiplications(self) -> int:
        """The number of multiplications in the forward pass of one image, including those by the padding."""
        rows, columns = self.shape
        return rows * columns * (self.patches if self.shared else 1)

    def mirrored(self) -> "Layer":
        """Return the layer that mirrors this one: from its number of outputs to its number of inputs."""
        return replace(self, kind=RULES[self.kind].mirror, inputs=self.outputs, outputs=self.inputs)


@dataclass(frozen=True)
class Rules:
    """The properties of a `Layer` that depend on its kind.

    Attributes
    ----------
    mirror : str
        The kind of the layer that mirrors it.
    shared : bool
        Whether all pixels share the same weights.
    pixels, channels, shape, fans : callable
        Called with a layer of this kind; they return the value of the property of `Layer` with the same name.
    """

    mirror: str
    shared: bool
    pixels: Callable[[Layer], int]
    channels: Callable[[Layer], int]
    shape: Callable[[Layer], tuple[int, int]]
    fans: Callable[[Layer], tuple[float, float]]


RULES: dict[str, Rules] = {}


def is_whole(n: Any) -> bool:
    """Tell whether n is an integer; True and False do not count."""
    return isinstance(n, int | np.integer) and not isinstance(n, bool)


def positive(what: str, n: Any) -> int:
    """Return n as an int; raises `InputError`, which names it ``what``, unless it is a positive whole number."""
    if not is_whole(n) or n < 1:
        raise InputError(f"{what} must be a positive whole number; got {n!r}")
    return int(n)
