"""The learning rate that suits a network, a loss and the data: what is taken where nobody names one.

docs/learning-rate.md derives the rule and has the measurements.
"""

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from fastae.activations import ACTIVATIONS

if TYPE_CHECKING:
    import numpy as np

BATCH = 16
# By network, activation and loss: what suits MNIST at that batch size.
RATES = {kind: {name: row.rates[kind] for name, row in ACTIVATIONS.items()} for kind in ("dense", "conv")}
STEEP = 27  # up to this steepness those rates hold; MNIST's is 25.8, of the first 100 images 24.6
MOST, BLOCK = 10_000, 64  # images that are looked at, so many in a row: every sixth of MNIST is not like the others


class Suggestion(NamedTuple):
    """A learning rate, and the two numbers of the data that it was found from.

    Attributes
    ----------
    lr : float
        Of two significant digits.
    square : float
        The mean of ‖x‖² over the images, pixels from 0 to 1: how strongly the first layer's weights act.
    grey : float
        The mean of μ (1 − μ) over the pixels μ of the mean image: how steep the last layer's sigmoids are. 0 where
        every pixel is always black or always white, 0.25 where all are grey.

    Examples
    --------
    >>> found = Suggestion(lr=0.25, square=100.0, grey=0.09)
    >>> round(found.steepness, 6)
    30.0
    """

    lr: float
    square: float
    grey: float

    @property
    def steepness(self) -> float:
        """How steep the data make the loss: ‖x‖² √(μ (1 − μ)), of both the mean."""
        return self.square * math.sqrt(self.grey)

    @property
    def reason(self) -> str:
        """What the rate was found from, in words."""
        return f"from the data (mean ||x||^2 {self.square:.3g}, greyness {self.grey:.2g}; MNIST 87.8 and 0.086)"


def suggest(
    images: "np.ndarray", model: Any, loss: str = "mse", momentum: float = 0.0, batch_size: int = BATCH
) -> Suggestion:
    """Return the learning rate that suits a training: the same number on every machine and backend.

    It is the one that suits MNIST, divided by how much steeper the data make the loss, and smaller for batches below
    16. Some 10,000 of the images are looked at, in blocks that are evenly spaced.

    Parameters
    ----------
    images : ndarray, uint8 or floats in [0, 1], (n, pixels)
    model : Autoencoder
        Its kinds of layers and its activation count.
    loss : {"mse", "bce"}
    momentum : float
        Each gradient moves the weights by lr / (1 − momentum) in the end.
    batch_size : int
        The noise of a gradient falls with its root.

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
    found = Suggestion(0.0, *_seen(images))
    lr = RATES[kind][model.activation][loss] * STEEP / max(found.steepness, STEEP) * (1 - momentum)
    lr *= math.sqrt(min(batch_size, BATCH) / BATCH)
    return found._replace(lr=float(f"{lr:.2g}"))


def _seen(images: "np.ndarray") -> tuple[float, float]:
    """Return the mean of ‖x‖² and the mean image's greyness, quotients of whole numbers."""
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
