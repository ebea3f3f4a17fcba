"""The layers of a network: their specification by the user, and their description for a given size of images.

- ``dense``, ``convolution``: the kinds of layers, one file each
- ``layer``: `Layer`, the description of a layer for the backends, the same for all kinds
- `autoencoder`: makes the layers of an encoder and of the decoder that mirrors it
"""

from collections.abc import Sequence
from typing import Any

from fastae.errors import InputError
from fastae.layers.convolution import Conv2d
from fastae.layers.dense import Dense
from fastae.layers.layer import Geometry, Layer, Shape, is_whole

__all__ = ["KINDS", "Conv2d", "Dense", "Geometry", "Layer", "autoencoder", "dense_layers", "from_json", "image_of"]

KINDS = {"Dense": Dense, "Conv2d": Conv2d}  # a new kind also needs operations, in `fastae.operations.KINDS`
Spec = Dense | Conv2d


def image_of(shape: Any) -> Shape:
    """Return an image's height, width and channels; raises `InputError` if it is not the shape of an image.

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
    """Return the layers of an autoencoder: those of the encoder, then their mirror images, the decoder.

    Parameters
    ----------
    specs : sequence of Dense or Conv2d
        The encoder, from the image to the code.
    image : Shape
        The shape of the images.

    Returns
    -------
    list of Layer

    Raises
    ------
    InputError
        There are no layers, one is not a layer, or one does not fit the output of the layer before it.

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
    """Return dense layers with weights of the given shapes.

    Examples
    --------
    >>> [(layer.inputs, layer.outputs) for layer in dense_layers([(20, 9), (9, 20)])]
    [(20, 9), (9, 20)]
    """
    return [Layer("dense", inputs, outputs) for inputs, outputs in shapes]


def from_json(entries: Any) -> list[Spec]:
    """Return the layers that ``as_json`` described.

    Parameters
    ----------
    entries : list of dict
        The results of ``as_json``.

    Returns
    -------
    list of Dense or Conv2d

    Raises
    ------
    AttributeError, TypeError or ValueError
        An entry does not describe a layer.

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
