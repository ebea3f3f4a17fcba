"""The learning rate that suits a network, a loss and the data: what is taken where nobody names one.

docs/learning-rate.md derives the rule and measures it.
"""

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np

# By network, activation and loss: the largest rate that suits MNIST at batch 16 by a cosine.
RATES = {
    "dense": {
        "sigmoid": {"mse": 0.25, "bce": 0.05},
        "tanh": {"mse": 0.03, "bce": 0.01},
        "relu": {"mse": 0.02, "bce": 0.004},
    },
    "conv": {
        "sigmoid": {"mse": 0.02, "bce": 0.01},
        "tanh": {"mse": 0.02, "bce": 0.004},
        "relu": {"mse": 0.01, "bce": 0.003},
    },
}
SQUARE = 90  # the mean of ‖x‖² up to which those rates hold; MNIST's is 88
MOST = 10_000  # images that are looked at, evenly spaced: 16 ms, and 0.4% from the mean of MNIST's 60,000


class Suggestion(NamedTuple):
    """A learning rate, and what it was found from.

    Attributes
    ----------
    lr : float
        Of two significant digits.
    square : float
        The mean of ‖x‖² over the images, pixels from 0 to 1.
    """

    lr: float
    square: float

    @property
    def reason(self) -> str:
        """What the rate was found from, in words."""
        return f"from the data (mean ||x||^2 = {self.square:.3g})"


def suggest(images: "np.ndarray", model: Any, loss: str = "mse", momentum: float = 0.0) -> Suggestion:
    """Return the learning rate for a training; the same number on every machine and backend.

    Parameters
    ----------
    images : ndarray, uint8 or floats in [0, 1], (n, pixels)
    model : Autoencoder
        Its layers and its activation count.
    loss : {"mse", "bce"}
    momentum : float
        A gradient moves the weights by lr / (1 − momentum) in the end.
    """
    kind = "conv" if any(layer.shared for layer in model.layers) else "dense"
    square = mean_square(images)
    lr = RATES[kind][model.activation][loss] * SQUARE / max(square, SQUARE) * (1 - momentum)
    return Suggestion(float(f"{lr:.2g}"), square)


def mean_square(images: "np.ndarray") -> float:
    """Return the mean of ‖x‖² over images, (n, pixels), as pixels from 0 to 1; of bytes a quotient of whole numbers."""
    import numpy as np

    some = images[:: -(-len(images) // MOST)]
    if some.dtype != np.uint8:
        return float(np.einsum("ij,ij->", some, some, dtype=np.float64)) / len(some)
    return int(np.einsum("ij,ij->", some, some, dtype=np.int64)) / (len(some) * 255**2)
