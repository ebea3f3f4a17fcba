"""The default learning rate for a network, a loss and the data.

docs/learning-rate.md derives the rule and has the measurements.
"""

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from fastae.activations import ACTIVATIONS

if TYPE_CHECKING:
    import numpy as np

BATCH = 16
# By network, activation and loss: the learning rate for MNIST at this batch size.
RATES = {kind: {name: row.rates[kind] for name, row in ACTIVATIONS.items()} for kind in ("dense", "conv")}
STEEP = 27  # the largest steepness for which these rates hold; MNIST's is 25.8, that of its first 100 images 24.6
# The networks with which they were measured: units of the widest hidden layer, the most patches of a convolution.
WIDTH, PATCHES = 256, 196
WIDE = {("sigmoid", "mse")}  # activations and losses that do not stand these rates with wider layers
PER_UNIT = 0.343  # what each further unit counts as in ‖x‖²: 256 units as much as an image of MNIST
MOST, BLOCK = 10_000, 64  # images that are used, and images in a block: every sixth of MNIST is not like the others


class Suggestion(NamedTuple):
    """A learning rate, and the properties of the data and of the network from which it was computed.

    Attributes
    ----------
    lr : float
        Rounded to two significant digits.
    square : float
        The mean of ‖x‖² over the images, with pixels from 0 to 1. It measures the effect of the first layer's weights.
    grey : float
        The mean of μ (1 − μ) over the pixels μ of the mean image. It measures the slope of the last layer's sigmoids:
        0 if every pixel is always black or always white, 0.25 if all are grey.
    width : int
        Units of the widest hidden layer, if they are more than 256 and matter; else 0.
    patches : int
        The most patches of a convolution, if they are more than 196; else 0.

    Examples
    --------
    >>> found = Suggestion(lr=0.25, square=100.0, grey=0.09)
    >>> round(found.steepness, 6)
    30.0
    """

    lr: float
    square: float
    grey: float
    width: int = 0
    patches: int = 0

    @property
    def steepness(self) -> float:
        """The steepness of the loss: ``square`` and what a wide layer adds, times √grey, times the patches' share."""
        wide = PER_UNIT * max(0, self.width - WIDTH)
        return (self.square + wide) * math.sqrt(self.grey) * max(1.0, self.patches / PATCHES)

    @property
    def reason(self) -> str:
        """The origin of the rate, as a text for the user."""
        network = [f"a layer of {self.width:,} units"] * bool(self.width)
        network += [f"a convolution of {self.patches:,} patches"] * bool(self.patches)
        data = f"mean ||x||^2 {self.square:.3g}, greyness {self.grey:.2g}; MNIST 87.8 and 0.086"
        return f"from {' and '.join(['the data', *network])} ({data})"


def suggest(
    images: "np.ndarray", model: Any, loss: str = "mse", momentum: float = 0.0, batch_size: int = BATCH
) -> Suggestion:
    """Suggest a learning rate for a training; it is the same on every machine and backend.

    The result is the learning rate for MNIST and the usual networks, divided by the steepness of the loss relative to
    theirs if the data or the network make it steeper, and reduced for batches below 16. About 10,000 of the images are
    used, in evenly spaced blocks.

    Parameters
    ----------
    images : ndarray, uint8 or floats in [0, 1], (n, pixels)
    model : Autoencoder
        The kinds and sizes of its layers and its activation are used.
    loss : {"mse", "bce"}
    momentum : float
        The rate is multiplied by 1 − momentum, since each gradient moves the weights by lr / (1 − momentum) in total.
    batch_size : int
        Below 16, the rate is proportional to its square root, because smaller batches have noisier gradients.

    Returns
    -------
    Suggestion

    Examples
    --------
    >>> import fastae
    >>> images, _ = fastae.load_dataset(split="test")
    >>> suggest(images, fastae.Autoencoder()).lr
    0.25
    >>> suggest(images, fastae.Autoencoder(), loss="bce", momentum=0.9).lr
    0.005
    """
    kind = "conv" if any(layer.shared for layer in model.layers) else "dense"
    found = Suggestion(0.0, *_seen(images), *_size(model, loss))
    lr = RATES[kind][model.activation][loss] * STEEP / max(found.steepness, STEEP) * (1 - momentum)
    lr *= math.sqrt(min(batch_size, BATCH) / BATCH)
    return found._replace(lr=float(f"{lr:.2g}"))


def _size(model: Any, loss: str) -> tuple[int, int]:
    """Return what makes the loss steeper than with the usual networks: units and patches, 0 where it is nothing."""
    patches = max((layer.patches for layer in model.layers if layer.shared), default=0)
    if patches:
        return 0, patches if patches > PATCHES else 0
    width = max(layer.outputs for layer in model.layers[:-1])
    return width if width > WIDTH and (model.activation, loss) in WIDE else 0, 0


def _seen(images: "np.ndarray") -> tuple[float, float]:
    """Return the mean of ‖x‖² and the mean image's greyness, computed exactly from integers until the last division."""
    import numpy as np

    n, squares, sums = 0, 0, np.zeros(images.shape[1], np.int64)
    for first in range(0, len(images), max(BLOCK, len(images) * BLOCK // MOST)):
        some = images[first : first + BLOCK]
        if some.dtype != np.uint8:
            some = np.rint(255 * some).astype(np.uint8)
        n += len(some)
        squares += int(np.einsum("ij,ij->", some, some, dtype=np.int64))
        sums += some.sum(axis=0, dtype=np.uint32)
    grey = np.sum(sums * (255 * n - sums))
    return squares / (n * 255**2), int(grey) / ((255 * n) ** 2 * len(sums))
