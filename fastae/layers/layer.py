"""What a layer is to a backend: numbers of inputs and outputs, the shape of its weights, its geometry.

What depends on the kind of a layer is in `RULES`, to which the file of each kind adds its own.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from fastae.errors import InputError


class Shape(NamedTuple):
    """What a layer takes or gives, channels last: pixel by pixel, row by row, its channels side by side.

    What has no height and width is one pixel.

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
        """How many numbers that is."""
        return math.prod(self)

    def __str__(self) -> str:
        return " x ".join(map(str, self)) if self[:2] != (1, 1) else f"{self.channels}"


class Geometry(NamedTuple):
    """Where the patches of an image lie: the argument that the kernels ``unfold`` and ``fold`` share.

    The image is what a convolution reads and a transposed one writes. A patch is ``kernel`` x ``kernel`` pixels;
    patches begin ``stride`` pixels apart, the first of them ``padding`` pixels outside the image.

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
        """Patches that lie one below the other."""
        return (self.height + 2 * self.padding - self.kernel) // self.stride + 1

    @property
    def columns(self) -> int:
        """Patches that lie side by side."""
        return (self.width + 2 * self.padding - self.kernel) // self.stride + 1


NO_PATCHES = Geometry()  # a dense layer's


@dataclass(frozen=True)
class Layer:
    """One layer of a network.

    Attributes
    ----------
    kind : {"dense", "conv", "transposed"}
        A key of ``fastae.layers.layer.RULES``.
    inputs, outputs : int
        Numbers for one image.
    geometry : Geometry
        Of a convolution, or of the one that this transposes.

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
        """How many patches an image has."""
        return self.geometry.rows * self.geometry.columns

    @property
    def pixels(self) -> int:
        """How many pixels its input has; 1 for a dense layer."""
        return RULES[self.kind].pixels(self)

    @property
    def channels(self) -> int:
        """How many outputs have a bias, and weights, of their own: all of a dense layer, one pixel's of another."""
        return RULES[self.kind].channels(self)

    @property
    def shape(self) -> tuple[int, int]:
        """The weights' shape.

        A convolution has a row for each number of a patch, (row, column, channel), and a column for each channel of its
        output. A transposed convolution has the shape of the convolution that it transposes.
        """
        return RULES[self.kind].shape(self)

    @property
    def shared(self) -> bool:
        """Do all pixels have the same weights?"""
        return RULES[self.kind].shared

    @property
    def fans(self) -> tuple[float, float]:
        """How many inputs an output is computed from, and how many outputs an input goes to.

        Of a convolution: a patch, and as many channels as it gives to a pixel times the patches that a pixel is in,
        kernel² / stride² where no border is near. Transposed: the other way round.
        """
        return RULES[self.kind].fans(self)

    @property
    def multiplications(self) -> int:
        """Multiplications for one image on the way forward, those by padding counted too."""
        rows, columns = self.shape
        return rows * columns * (self.patches if self.shared else 1)

    def mirrored(self) -> "Layer":
        """Return the layer that leads back, from this one's outputs to as many as its inputs."""
        return replace(self, kind=RULES[self.kind].mirror, inputs=self.outputs, outputs=self.inputs)


@dataclass(frozen=True)
class Rules:
    """What a kind of layer makes of the numbers in a `Layer`.

    Attributes
    ----------
    mirror : str
        The kind that leads back.
    shared : bool
    pixels, channels, shape, fans : callable
        Called with a layer of this kind: what the properties of `Layer` with these names return.
    """

    mirror: str
    shared: bool
    pixels: Callable[[Layer], int]
    channels: Callable[[Layer], int]
    shape: Callable[[Layer], tuple[int, int]]
    fans: Callable[[Layer], tuple[float, float]]


RULES: dict[str, Rules] = {}


def is_whole(n: Any) -> bool:
    """Tell whether n is a whole number; True and False are not."""
    return isinstance(n, int | np.integer) and not isinstance(n, bool)


def positive(what: str, n: Any) -> int:
    """Return a positive whole number; raises `InputError`."""
    if not is_whole(n) or n < 1:
        raise InputError(f"{what} must be a positive whole number; got {n!r}")
    return int(n)
