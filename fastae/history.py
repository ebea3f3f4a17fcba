"""What is kept of a training: its epochs, and how it began."""

import math
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Epoch:
    """What one epoch gave.

    Attributes
    ----------
    epoch : int
        From 1.
    train_loss : float
        Mean over the images of their loss as they were trained on, a sum over pixels.
    test_mse : float or None
        Mean squared error over test images and pixels after the epoch; None without test images.
    seconds, images_per_second : float
        Of training alone: neither compilation nor the test is in it.
    lr : float
        The learning rate.
    signs : dict, or None for an epoch of an older release
        What `fastae.diagnose` reads, measured on 64 of the training images after the epoch:

        - ``parts``: training loss of each tenth of the epoch, of each batch where there are fewer; ``updates``: how
          many batches the epoch had
        - ``flat``: for each hidden layer, the share of its outputs where the activation is nearly flat (sigmoid below
          0.01 or above 0.99, tanh beyond ±0.98), or of its units that are 0 for all images (relu)
        - ``moved``: for each layer, ‖new weights − old‖ / ‖old‖ of the epoch
        - ``code_spread``: standard deviation over images of a unit of the code, beside the root mean square of the code
        - ``sample_mse``: mean squared error of a pixel; ``uneven``: its standard deviation over images, beside it
        - ``output_spread``, ``output_mean``: standard deviation over images, and mean, of a pixel of a reconstruction
        - ``output_flat``: share of a reconstruction's pixels where the last sigmoid is flat; ``stuck``: of those that
          are wrong by more than 0.5 as well

    Examples
    --------
    >>> epoch = Epoch(1, train_loss=31.2, test_mse=0.02, seconds=1.5, images_per_second=40_000.0, lr=0.25)
    >>> epoch.test_mse
    0.02
    """

    epoch: int
    train_loss: float
    test_mse: float | None
    seconds: float
    images_per_second: float
    lr: float
    signs: dict[str, Any] | None = None


@dataclass
class History:
    """The epochs of a training, in order.

    Attributes
    ----------
    epochs : list of Epoch
    start : dict
        What `fastae.diagnose` reads of the time before the first epoch, from at most 256 images: of the data
        ``images``, ``pixels``, how many of them ``varying``, what is ``white`` (255 in bytes, 1 in floats), how many
        of the images are ``different``, the share of those that are ``blank``, the ``largest`` value from 0 to 255, the
        ``mean`` from 0 to 1, the ``square`` mean of ‖x‖², ``mean_image_mse`` (what knowing the mean image alone gives)
        and ``test_mean_image_mse``, the share of the variance that ``components`` principal components of other images
        have ``explained``, of training and test images (``test_explained``), and as many as the narrowest layer has
        ``room`` for (``in_room``), and the ``usual_lr`` of `fastae.rates.suggest`; and of the network before it was
        trained ``initial``, with the figures that `Epoch` has as ``signs``, the root mean square of each layer's
        ``weights`` and ``biases``, and ``distinct``, how far the units of each layer differ in their weights.

    Examples
    --------
    >>> history = History([Epoch(1, 31.2, None, 1.5, 40_000.0, 0.25)])
    >>> history.as_dicts()[0]["train_loss"]
    31.2
    """

    epochs: list[Epoch] = field(default_factory=list)
    start: dict[str, Any] = field(default_factory=dict)

    def as_dicts(self) -> list[dict[str, Any]]:
        """Return the epochs as JSON holds them."""
        return [asdict(epoch) for epoch in self.epochs]

    @classmethod
    def read(cls, epochs: Any, lr: Any, start: Any) -> "History":
        """Return the history that a checkpoint holds; raises TypeError or ValueError if it is none.

        Epochs of older ones do not say their learning rate, which was that of the settings.
        """
        history = cls([Epoch(**{"lr": lr, **epoch}) for epoch in epochs], start)
        for i, epoch in enumerate(history.epochs, 1):
            figures = asdict(epoch)
            signs = figures.pop("signs")
            measured = [x for name, x in figures.items() if name != "epoch" and (name, x) != ("test_mse", None)]
            sound = all(isinstance(x, float) and math.isfinite(x) for x in measured)
            if epoch.epoch != i or not sound or not (signs is None or isinstance(signs, dict)):
                raise ValueError(f"epoch {i} is {epoch}")
        if not isinstance(start, dict):
            raise TypeError(f"its start is {start!r}")
        return history
