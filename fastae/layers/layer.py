"""What a layer is to those who train it: numbers of inputs and outputs, the shape of its weights, its geometry."""

import math
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from fastae.errors import InputError

MIRROR = {"dense": "dense", "conv": "transposed", "transposed": "conv"}


class Shape(NamedTuple):
    """What a layer takes or gives, channels last: pixel by pixel, row by row, its channels side by side.

    What has no height and width is one pixel.
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
    inputs, outputs : int
        Numbers for one image.
    geometry : Geometry
        Of a convolution, or of the one that this transposes.
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
        g = self.geometry
        return {"dense": 1, "conv": g.height * g.width, "transposed": self.patches}[self.kind]

    @property
    def channels(self) -> int:
        """How many outputs have a bias, and weights, of their own: all of a dense layer, one pixel's of another."""
        if self.kind == "dense":
            return self.outputs
        return self.outputs // (self.patches if self.kind == "conv" else self.geometry.height * self.geometry.width)

    @property
    def shape(self) -> tuple[int, int]:
        """The weights' shape.

        A convolution has a row for each number of a patch, (row, column, channel), and a column for each channel of its
        output. A transposed convolution has the shape of the convolution that it transposes.
        """
        if self.kind == "dense":
            return self.inputs, self.outputs
        image, patched = (self.inputs, self.outputs) if self.kind == "conv" else (self.outputs, self.inputs)
        g = self.geometry
        return g.kernel**2 * image // (g.height * g.width), patched // self.patches

    @property
    def shared(self) -> bool:
        """Do all pixels have the same weights?"""
        return self.kind != "dense"

    @property
    def fans(self) -> tuple[float, float]:
        """How many inputs an output is computed from, and how many outputs an input goes to.

        Of a convolution: a patch, and as many channels as it gives to a pixel times the patches that a pixel is in,
        kernel² / stride² where no border is near. Transposed: the other way round.
        """
        if self.kind == "dense":
            return self.inputs, self.outputs
        rows, columns = self.shape
        fans = rows, columns * self.geometry.kernel**2 / self.geometry.stride**2
        return fans if self.kind == "conv" else fans[::-1]

    @property
    def multiplications(self) -> int:
        """Multiplications for one image on the way forward, those by padding counted too."""
        rows, columns = self.shape
        return rows * columns * (self.patches if self.shared else 1)

    def mirrored(self) -> "Layer":
        """Return the layer that leads back, from this one's outputs to as many as its inputs."""
        return replace(self, kind=MIRROR[self.kind], inputs=self.outputs, outputs=self.inputs)


def is_whole(n: Any) -> bool:
    """Tell whether n is a whole number; True and False are not."""
    return isinstance(n, int | np.integer) and not isinstance(n, bool)


def positive(what: str, n: Any) -> int:
    """Return a positive whole number; raises `InputError`."""
    if not is_whole(n) or n < 1:
        raise InputError(f"{what} must be a positive whole number; got {n!r}")
    return int(n)
