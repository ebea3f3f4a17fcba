"""The history of a training: its epochs, and measurements from before the first one."""

import math
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Epoch:
    """The results of one epoch.

    Attributes
    ----------
    epoch : int
        The number of the epoch, from 1.
    train_loss : float
        The mean over the images of their loss, a sum over pixels. Each image's loss is computed when its batch is
        trained on.
    test_mse : float or None
        The mean squared error over test images and pixels after the epoch; None without test images.
    seconds, images_per_second : float
        Time and speed of the training, without compilation and test.
    lr : float
        The learning rate.
    signs : dict, or None for an epoch of an older release
        Measurements for `fastae.diagnose`, on 64 of the training images after the epoch:

        - ``parts``: training loss of each tenth of the epoch, or of each batch if there are fewer than ten;
          ``updates``: the number of batches in the epoch
        - ``flat``: for each hidden layer, the share of its outputs where the activation is nearly flat (sigmoid below
          0.01 or above 0.99, tanh beyond ±0.98), or of its units that are 0 for all images (relu)
        - ``moved``: for each layer, ‖new weights − old‖ / ‖old‖ of the epoch
        - ``code_spread``: standard deviation over images of a unit of the code, divided by the root mean square of the
          code
        - ``sample_mse``: mean squared error of a pixel; ``uneven``: its standard deviation over images, divided by it
        - ``output_spread``, ``output_mean``: standard deviation over images, and mean, of a pixel of a reconstruction
        - ``output_flat``: share of a reconstruction's pixels where the last sigmoid is flat; ``stuck``: share of those
          that are also wrong by more than 0.5

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
        Measurements for `fastae.diagnose` from before the first epoch, on at most 256 images. Of the data:

        - ``images``, ``pixels``: their numbers; ``varying``: the number of pixels that vary
        - ``white``: the value of white (255 in bytes, 1 in floats); ``largest``: the largest value, from 0 to 255
        - ``different``: how many of the images differ; ``blank``: the share of blank ones
        - ``mean``: from 0 to 1; ``square``: the mean of ‖x‖²
        - ``mean_image_mse``, ``test_mean_image_mse``: the error of the mean image as reconstruction
        - ``explained``, ``test_explained``: the share of the variance that ``components`` principal components of
          other images explain, for training and test images; ``in_room``: the same for ``room`` components, as many as
          the narrowest layer has units
        - ``usual_lr``: the learning rate of `fastae.rates.suggest`

        Of the network before training, ``initial``: the measurements that `Epoch` has as ``signs``, the root mean
        square of each layer's ``weights`` and ``biases``, and ``distinct``, how much the units of each layer differ in
        their weights.

    Examples
    --------
    >>> history = History([Epoch(1, 31.2, None, 1.5, 40_000.0, 0.25)])
    >>> history.as_dicts()[0]["train_loss"]
    31.2
    """

    epochs: list[Epoch] = field(default_factory=list)
    start: dict[str, Any] = field(default_factory=dict)

    def as_dicts(self) -> list[dict[str, Any]]:
        """Return the epochs as a list of dicts, for JSON."""
        return [asdict(epoch) for epoch in self.epochs]

    @classmethod
    def read(cls, epochs: Any, lr: Any, start: Any) -> "History":
        """Return the history from a checkpoint's content; raises TypeError or ValueError if it is invalid.

        ``lr`` is the learning rate of the settings, for epochs of older releases, which do not contain theirs.
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
