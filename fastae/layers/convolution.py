"""Convolutions: each output pixel depends on a patch of the input, and all pixels share the same weights."""

from dataclasses import dataclass
from typing import Any

from fastae.errors import InputError
from fastae.layers.layer import RULES, Geometry, Layer, Rules, Shape, is_whole


def _area(layer: Layer) -> int:
    """Return the number of pixels of the image from which the patches are taken."""
    return layer.geometry.height * layer.geometry.width


def _shape(image: int, patched: int, layer: Layer) -> tuple[int, int]:
    """Return the weights' shape, from the sizes of a convolution's input image and of its output."""
    return layer.geometry.kernel**2 * image // _area(layer), patched // layer.patches


def _fans(layer: Layer) -> tuple[float, float]:
    rows, columns = layer.shape
    return rows, columns * layer.geometry.kernel**2 / layer.geometry.stride**2


RULES["conv"] = Rules(
    mirror="transposed",
    shared=True,
    pixels=_area,
    channels=lambda layer: layer.outputs // layer.patches,
    shape=lambda layer: _shape(layer.inputs, layer.outputs, layer),
    fans=_fans,
)
RULES["transposed"] = Rules(
    mirror="conv",
    shared=True,
    pixels=lambda layer: layer.patches,
    channels=lambda layer: layer.outputs // _area(layer),
    shape=lambda layer: _shape(layer.outputs, layer.inputs, layer),
    fans=lambda layer: _fans(layer)[::-1],
)


@dataclass(frozen=True)
class Conv2d:
    """A convolution in the sense of neural networks: the kernel is not flipped.

    Parameters
    ----------
    channels : int
        The number of output channels, that is of kernels.
    kernel : int
        Height and width of a kernel.
    stride : int
        Pixels from one patch to the next.
    padding : int, optional
        Rows and columns of zeros on every side of the input; by default half a kernel, ``kernel // 2``.

    Raises
    ------
    InputError
        Channels, kernel or stride is not a positive whole number, or the padding is not less than the kernel.

    Examples
    --------
    >>> layer = Conv2d(16, stride=2)
    >>> print(layer)
    Conv2d(16, kernel=3, stride=2, padding=1)
    >>> import fastae
    >>> model = fastae.Autoencoder(layers=[layer, fastae.Dense(32)], image_shape=(28, 28))
    >>> model.weights[0].shape, model.sizes
    ((9, 16), (784, 3136, 32))
    """

    channels: int
    kernel: int = 3
    stride: int = 1
    padding: int | None = None

    def __post_init__(self) -> None:
        for name in ("channels", "kernel", "stride"):
            n = getattr(self, name)
            if not is_whole(n) or not 0 < n < 2**15:
                raise InputError(f"Conv2d's {name} must be a positive whole number below {2**15}; got {n!r}")
            object.__setattr__(self, name, int(n))
        padding = self.kernel // 2 if self.padding is None else self.padding
        if not is_whole(padding) or not 0 <= padding < self.kernel:
            raise InputError(
                f"Conv2d's padding must be a whole number from 0 to {self.kernel - 1}, less than its kernel; "
                f"got {padding!r}"
            )
        object.__setattr__(self, "padding", int(padding))

    def layer(self, before: Shape) -> tuple[Layer, Shape]:
        """Return the layer for an input of shape ``before``, and the shape of its output; raises `InputError`."""
        assert self.padding is not None
        height, width, channels = before
        if (height, width) == (1, 1) and self.kernel > 1:
            raise InputError(
                f"a convolution needs an image of more than one pixel, and what comes before gives {channels} without "
                "height and width; take fewer strides or, if it is Dense, give it a shape, such as Dense((7, 7, 32))"
            )
        if self.kernel > min(height, width) + 2 * self.padding:
            raise InputError(
                f"its kernel of {self.kernel} x {self.kernel} is larger than its input of {before} with a padding of "
                f"{self.padding} on every side"
            )
        geometry = Geometry(height, width, self.kernel, self.stride, self.padding)
        after = Shape(geometry.rows, geometry.columns, self.channels)
        if after.size >= 2**31:
            raise InputError(f"its output of {after} is too large")
        return Layer("conv", before.size, after.size, geometry), after

    def as_json(self) -> dict[str, Any]:
        """Return a description of the layer for JSON, which `fastae.layers.from_json` reads."""
        return {"Conv2d": [self.channels, self.kernel, self.stride, self.padding]}

    def __str__(self) -> str:
        return f"Conv2d({self.channels}, kernel={self.kernel}, stride={self.stride}, padding={self.padding})"
