"""Draw figures of convolutional networks: their kernels, and the output of each layer for an image."""

import os
from typing import Any

import fastae.drawing  # noqa: F401  before matplotlib

# isort: split
import numpy as np
from matplotlib import colormaps

from fastae.errors import InputError
from fastae.figures import GREY, SIGNED, Row, page, pictures, save
from fastae.layers.layer import Layer, Shape

LINE = 16  # most pictures side by side
MOST = 32  # most pictures of one layer
KINDS = {"dense": "dense", "conv": "convolution", "transposed": "transposed"}


def kernels(path: str | os.PathLike[str], model: Any, caption: str) -> None:
    """Draw the kernels of the first and of the last convolution; the last one may be transposed.

    Each picture is one kernel: the weights by which a convolution multiplies a patch, or which a transposed convolution
    adds to a patch. A kernel of several channels has one picture for each channel, at most three.

    Parameters
    ----------
    path : path-like
        The PNG file to write, whatever its suffix.
    model : Autoencoder
    caption : str
        The text above the kernels.

    Raises
    ------
    InputError
        If the model has no convolutions.
    OutputError
        If `path` cannot be written; what it held before is kept.

    Examples
    --------
    >>> import fastae
    >>> model = fastae.Autoencoder(layers=[fastae.Conv2d(4, stride=2), fastae.Dense(8)])
    >>> kernels("kernels.png", model, "before training")
    """
    shared = [number for number, layer in enumerate(model.layers) if layer.shared]
    if not shared:
        raise InputError("no kernels to draw: the model has no convolutions")
    chosen = {number: _kernels(model.layers[number], model.weights[number]) for number in (shared[0], shared[-1])}
    everything = np.concatenate([k[np.isfinite(k)] for k in chosen.values()])
    limit = float(np.abs(everything).max(initial=0.0)) or 1.0
    rows = []
    for number, drawn in chosen.items():
        count, channels = drawn.shape[:2]
        for channel in range(min(channels, 3)):
            label = f"layer {number + 1}, {KINDS[model.layers[number].kind]},\n{some(count, 'kernel')}"
            label += f", channel {channel + 1}" if channels > 1 else ""
            rows += lines(label, drawn[:, channel], SIGNED, (-limit, limit))
    save(page(rows, caption, bar="weight"), path)


def features(path: str | os.PathLike[str], model: Any, image: np.ndarray, caption: str) -> None:
    """Draw one image, the output of each layer for it, and the reconstruction.

    Parameters
    ----------
    path : path-like
        The PNG file to write, whatever its suffix.
    model : Autoencoder
    image : (pixels,) array
        Floats in [0, 1] or uint8.
    caption : str
        The text above the pictures.

    Raises
    ------
    InputError
        If the image does not have the model's number of pixels.
    OutputError
        If `path` cannot be written; what it held before is kept.

    Examples
    --------
    >>> import fastae
    >>> model = fastae.Autoencoder(layers=[fastae.Conv2d(4, stride=2), fastae.Dense(8)])
    >>> features("features.png", model, np.zeros(784, np.uint8), "a dark image")
    """
    image = np.asarray(image)[None]
    *hidden, drawn = model.outputs(image)
    colours, limits = colormaps["viridis"].with_extremes(bad="red"), (0.0, 1.0)
    if model.activation == "tanh":
        colours, limits = SIGNED, (-1.0, 1.0)
    elif model.activation != "sigmoid":
        limits = (0.0, max([float(a[np.isfinite(a)].max(initial=0.0)) for a in hidden], default=0.0) or 1.0)
    rows = [Row("image", pictures(image, model.image_shape), GREY, (0.0, 1.0))]
    for number, (a, layer) in enumerate(zip(hidden, model.layers), 1):
        after, name = shape_after(model.layers, number - 1), f"layer {number}, {KINDS[layer.kind]}"
        is_code = 2 * number == len(model.layers)
        if after[:2] == (1, 1):
            what = "code of" if is_code else "width"
            rows.append(Row(f"{name}, {what} {after.channels}", a[:, None], colours, limits, wide=True))
            continue
        maps = a.reshape(after).transpose(2, 0, 1)
        count = ("code of " if is_code else "") + some(len(maps), "map")
        rows += lines(f"{name},\n{count} of {after[0]} x {after[1]}", maps, colours, limits)
    rows.append(Row("reconstruction", pictures(drawn, model.image_shape), GREY, (0.0, 1.0)))
    save(page(rows, caption, bar=model.activation, bar_of=1), path)


def shape_after(layers: list[Layer], number: int) -> Shape:
    """Return the shape of a layer's output; of a dense layer before a convolution, that of the convolution's input."""
    layer, g = layers[number], layers[number].geometry
    if layer.kind != "dense":
        height, width = (g.rows, g.columns) if layer.kind == "conv" else (g.height, g.width)
        return Shape(height, width, layer.channels)
    following = layers[number + 1] if number + 1 < len(layers) else layer
    if not following.shared:
        return Shape(1, 1, layer.outputs)
    g = following.geometry
    height, width = (g.height, g.width) if following.kind == "conv" else (g.rows, g.columns)
    return Shape(height, width, layer.outputs // following.pixels)


def some(count: int, what: str) -> str:
    """Return the number with its noun, and how many are drawn if not all: "32 of 64 maps"."""
    plural = what + "s" * (count != 1)
    return f"{count} {plural}" if count <= MOST else f"{MOST} of {count} {plural}"


def lines(label: str, drawn: np.ndarray, colours: Any, limits: tuple[float, float]) -> list[Row]:
    """Return rows of at most `LINE` of the first `MOST` pictures, (n, height, width); the first row has the label."""
    drawn = drawn[:MOST]
    return [Row(label if i == 0 else "", drawn[i : i + LINE], colours, limits) for i in range(0, len(drawn), LINE)]


def _kernels(layer: Layer, W: np.ndarray) -> np.ndarray:
    """View weights as (kernels, channels on the image's side, height, width)."""
    side = layer.geometry.kernel
    return W.reshape(side, side, -1, W.shape[1]).transpose(3, 2, 0, 1)
