"""The layers of a network: what a user asks for, and what it comes to for one size of image.

- ``dense``, ``convolution``: the kinds, one file each
- ``layer``: `Layer`, what a backend has to know of one, whatever its kind
- here: a list of them made into an autoencoder, whose decoder mirrors its encoder
"""

from collections.abc import Sequence
from typing import Any

from fastae.errors import InputError
from fastae.layers.convolution import Conv2d
from fastae.layers.dense import Dense
from fastae.layers.layer import Geometry, Layer, Shape, is_whole

__all__ = ["KINDS", "Conv2d", "Dense", "Geometry", "Layer", "autoencoder", "dense_layers", "from_json", "image_of"]

KINDS = {"Dense": Dense, "Conv2d": Conv2d}  # a new one also needs operations, in `fastae.operations.KINDS`
Spec = Dense | Conv2d


def image_of(shape: Any) -> Shape:
    """Return an image's height, width and channels; raises `InputError` for what is no shape of an image.

    Examples
    --------
    >>> image_of((28, 28))
    Shape(height=28, width=28, channels=1)
    """
    ok = isinstance(shape, Sequence) and len(shape) in (2, 3) and all(is_whole(n) and 0 < n < 2**31 for n in shape)
    if not ok:
        raise InputError(f"image_shape must be (height, width) or (height, width, channels); got {shape!r}")
    height, width, *channels = (int(n) for n in shape)
    return Shape(height, width, channels[0] if channels else 1)


def autoencoder(specs: Any, image: Shape) -> list[Layer]:
    """Return the encoder's layers and behind them their mirror images, the decoder's.

    Parameters
    ----------
    specs : sequence of Dense or Conv2d
        From the image to the code.
    image : Shape

    Raises
    ------
    InputError
        No layers, one that is none, or one that does not fit what comes before it.

    Examples
    --------
    >>> [layer.kind for layer in autoencoder([Conv2d(8, stride=2), Dense(16)], Shape(28, 28, 1))]
    ['conv', 'dense', 'dense', 'transposed']
    """
    if (
        not isinstance(specs, Sequence)
        or not specs
        or not all(isinstance(spec, tuple(KINDS.values())) for spec in specs)
    ):
        raise InputError(f"layers must be one or more of {', '.join(KINDS)}, such as [Dense(128)]; got {specs!r}")
    encoder: list[Layer] = []
    shape = image
    for number, spec in enumerate(specs, 1):
        try:
            layer, shape = spec.layer(shape)
        except InputError as error:
            raise InputError(f"layer {number}, {spec}: {error}") from None
        encoder.append(layer)
    return [*encoder, *(layer.mirrored() for layer in reversed(encoder))]


def dense_layers(shapes: Sequence[tuple[int, ...]]) -> list[Layer]:
    """Return dense layers with weights of those shapes.

    Examples
    --------
    >>> [(layer.inputs, layer.outputs) for layer in dense_layers([(20, 9), (9, 20)])]
    [(20, 9), (9, 20)]
    """
    return [Layer("dense", inputs, outputs) for inputs, outputs in shapes]


def from_json(entries: Any) -> list[Spec]:
    """Return the layers that a file names, as their ``as_json`` wrote them; raises TypeError or ValueError if none.

    Examples
    --------
    >>> from_json([{"Dense": [128]}])
    [Dense(units=128)]
    """
    specs: list[Spec] = []
    for entry in entries:
        ((kind, arguments),) = entry.items()
        if kind not in KINDS:
            raise ValueError(f"{kind!r} is no kind of layer")
        specs.append(KINDS[kind](*arguments))
    return specs
