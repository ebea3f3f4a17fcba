"""One training: its figures, and what follows from them. The functions in `fastae.diagnosis.causes` look at it."""

import math
from functools import cached_property
from typing import Any, NamedTuple

from fastae.activations import ACTIVATIONS
from fastae.layers import Layer, autoencoder, from_json, image_of
from fastae.layers.layer import Shape
from fastae.model import deviations

BLOB = 0.9  # times the mean image's error: a network above it has learned hardly more than the mean image
WORSE = 1.05  # times the mean image's error: a network above it is called worse than the mean image
LARGE = 2.5  # times the usual rate: a rate from here on is called too large
NEEDED = 250  # updates at the usual rate after which a network has learned more than the mean image
FLAT = 0.5  # share of a layer's outputs that are flat, above which the layer learns little
SAME_WEIGHTS = 1e-6  # relative difference between units below which they are called identical
DARK = 16  # of 255: images whose largest value is at most this look as if they had another scale
WINDOW = 20  # parts of epochs that are examined to see how a training ends
SURE = 4  # standard deviations by which the loss must rise before the choice of images does not explain it
BRIGHT = 2  # times the ‖x‖² of their negative, above which images are called bright


class Broken(NamedTuple):
    """Where a training became NaN or infinite.

    Attributes
    ----------
    epoch, batch : int
        From 1.
    layer : int
        The first layer whose parameters are not finite, from 1; 0 if only the loss is not.
    """

    epoch: int
    batch: int
    layer: int


class Case:
    """The figures of one training, and what follows from them.

    Layers count from 1. The usual rate is the learning rate that suits the network, the loss and the data without
    momentum.

    Parameters
    ----------
    config, start : dict
        As in ``history.json``.
    epochs : list of dict
        As in ``history.json``; of a training that diverged, the epochs before.
    broken : Broken, optional
        Where the training diverged.
    """

    def __init__(
        self, config: dict[str, Any], start: dict[str, Any], epochs: list[dict[str, Any]], broken: Broken | None = None
    ) -> None:
        self.config, self.start, self.epochs, self.broken = config, start, epochs, broken
        self.signs: dict[str, Any] = epochs[-1]["signs"] if epochs else start.get("initial", {})
        self.initial: dict[str, Any] = start.get("initial", {})
        self.activation, self.batch = config["activation"], min(config["batch_size"], start["images"])
        self.dies = ACTIVATIONS[self.activation].dies
        self.lr, self.momentum, self.usual = config["lr"], config["momentum"], start["usual_lr"]

    # The settings of the training.

    @cached_property
    def layers(self) -> list[Layer]:
        """The layers of encoder and decoder."""
        shape = self.config.get("image_shape")
        image = image_of(shape) if shape else Shape(1, 1, self.config["sizes"][0])
        return autoencoder(from_json(self.config["layers"]), image)

    @property
    def drawn(self) -> list[float]:
        """Standard deviation of each layer's initial weights, divided by that of the activation's rule."""
        sizes = self.initial.get("weights") or [self.asked(layer) for layer in self.layers]
        return [size / self.rule(layer) for size, layer in zip(sizes, self.layers)]

    def asked(self, layer: Layer) -> float:
        """Return the standard deviation of a layer's initial weights that ``--init`` asks for."""
        return deviations(self.config["init"], *layer.fans)[0]

    def own_weights(self, place: int) -> bool:
        """Return whether a program set a layer's initial weights, instead of drawing them by ``--init``.

        Weights that were drawn have the deviation that was asked for, and differ between units.
        """
        if "weights" not in self.initial:
            return False
        size, asked = self.initial["weights"][place - 1], self.asked(self.layers[place - 1])
        return abs(size - asked) > 0.3 * asked or (asked > 0 and self.initial["distinct"][place - 1] < SAME_WEIGHTS)

    def biased(self, place: int) -> bool:
        """Return whether a layer's initial biases are large although its weights are not."""
        return self.initial.get("biases", [0.0] * place)[place - 1] > 2 and self.drawn[place - 1] <= 1.5

    @property
    def largest_drawn(self) -> int:
        """The layer whose initial weights are the largest compared with the activation's rule."""
        return most(self.drawn)[0]

    @property
    def offset(self) -> float:
        """The largest root mean square of a layer's initial biases."""
        return max(self.initial.get("biases", [0.0]))

    def rule(self, layer: Layer) -> float:
        """Return the standard deviation of a layer's weights by the activation's rule."""
        return deviations(ACTIVATIONS[self.activation].init, *layer.fans)[0]

    @property
    def factor(self) -> float:
        """The effective learning rate, including momentum, divided by the usual rate."""
        return self.lr / (1 - self.momentum) / self.usual

    @property
    def updates(self) -> int:
        """Number of updates made."""
        return sum(epoch["signs"]["updates"] for epoch in self.epochs)

    @property
    def work(self) -> float:
        """Number of updates at the usual rate that would have moved the weights as far."""
        moved = sum(epoch["lr"] * epoch["signs"]["updates"] for epoch in self.epochs)
        return moved / (1 - self.momentum) / self.usual

    @property
    def chance(self) -> float:
        """Share of the variance of noise that as many random directions as components would explain."""
        return self.start["components"] / max(1, self.start["varying"])

    @property
    def negative_square(self) -> float:
        """Mean of ‖1 − x‖² over the images."""
        start = self.start
        return start["pixels"] * (1 - 2 * start["mean"]) + start["square"]

    @property
    def narrow(self) -> bool:
        """Whether the narrowest layer has room for few of the components that explain the images."""
        return self.start["in_room"] < 0.25 and self.start["explained"] > 0.4

    # How the training ended.

    @property
    def error(self) -> float:
        """Mean squared error per pixel at the end, of the test images if there are any."""
        tested = self.epochs[-1]["test_mse"]
        return self.signs["sample_mse"] if tested is None else tested

    @property
    def mean_image(self) -> float:
        """Mean squared error per pixel of the mean image."""
        tested = self.epochs[-1]["test_mse"] is not None
        return self.start["test_mean_image_mse" if tested and "test_mean_image_mse" in self.start else "mean_image_mse"]

    @property
    def ratio(self) -> float:
        """The error divided by the mean image's."""
        return self.error / self.mean_image if self.mean_image else math.inf

    @property
    def trained_ratio(self) -> float:
        """The same for training images."""
        return self.signs["sample_mse"] / self.start["mean_image_mse"] if self.start["mean_image_mse"] else math.inf

    @cached_property
    def parts(self) -> list[float]:
        """The loss of the last parts of epochs, in order."""
        return [part for epoch in self.epochs for part in epoch["signs"]["parts"]][-WINDOW:]

    @property
    def noise(self) -> float:
        """Relative standard deviation of the difference of two parts that the choice of their images explains."""
        parts = len(self.signs["parts"])
        if parts == 1:
            return 0.0  # each part consists of all images
        return self.signs["uneven"] * math.sqrt(2 * parts / self.start["images"])

    @property
    def rises(self) -> int:
        """Number of times that the loss rose between the last parts by more than the choice of images explains."""
        least = max(SURE * self.noise, 0.005)
        return sum(after > before * (1 + least) for before, after in zip(self.parts, self.parts[1:]))

    @property
    def fell(self) -> float:
        """Share by which the loss fell between the two halves of the last parts.

        Only epochs at half the first rate or more count: towards the end of a cosine schedule no loss falls.
        """
        parts = [p for epoch in self.epochs if epoch["lr"] >= self.lr / 2 for p in epoch["signs"]["parts"]][-WINDOW:]
        half = len(parts) // 2
        if not half:
            return 1.0
        before, after = sum(parts[:half]) / half, sum(parts[-half:]) / half
        return 1 - after / before

    @property
    def flattest(self) -> tuple[int, float]:
        """The hidden layer with the largest share of flat outputs, and that share."""
        return most(self.signs["flat"])

    @property
    def flattest_at_first(self) -> tuple[int, float]:
        """The same before the first update."""
        return most(self.initial.get("flat", [0.0]))

    @property
    def blob(self) -> bool:
        """Whether the error is hardly better than the mean image's, or worse."""
        return not self.broken and self.ratio > BLOB

    @property
    def stalled(self) -> bool:
        """Whether the training stopped learning far from the error of as many principal components."""
        return (
            not self.broken
            and self.ratio > max(0.5, 2 * (1 - self.start["in_room"]))
            and ((len(self.parts) > 4 and self.fell < 0.005) or self.crippled)
        )

    @property
    def crippled(self) -> bool:
        """Whether most of a layer is flat because of a rate that is too large, or of the initial parameters."""
        if self.flattest[1] <= FLAT:
            return False
        return self.factor >= LARGE or (self.thrown and self.flattest_at_first[1] > FLAT)

    @property
    def thrown(self) -> bool:
        """Whether the initial weights or biases are larger than any rule draws them."""
        return max(self.drawn) > 1.5 or self.offset > 2

    @property
    def unstable(self) -> bool:
        """Whether the loss goes up and down by more than the choice of images explains."""
        return not self.broken and self.rises >= max(3, len(self.parts) // 4)

    @property
    def forgets(self) -> bool:
        """Whether the error is far larger on test images than on training images."""
        tested = None if self.broken else self.epochs[-1]["test_mse"]
        return tested is not None and self.trained_ratio < 0.75 and tested > 2 * self.signs["sample_mse"]

    @property
    def shifted(self) -> bool:
        """Whether the test images are of another kind, so that their mean image is not the training images'."""
        count = min(self.start.get("test_images", 0), 256)
        if self.broken or count < 20:
            return False
        few = 2 / min(self.start["images"], 256) + 2 / count  # the mean of few images is not that of their kind
        return self.start["test_mean_image_mse"] > self.start["test_own_mean_mse"] * (1.4 + few) + 1e-4 or self.unlike

    @property
    def unlike(self) -> bool:
        """Whether test images vary along other directions than training images, and have a larger error."""
        if "test_explained" not in self.start or self.repeated or self.error < 1.5 * self.signs["sample_mse"]:
            return False
        return 1 - self.start["test_explained"] > 1.6 * (1 - self.start["explained"]) + 0.02

    @property
    def repeated(self) -> bool:
        """Whether most of the images are copies of others."""
        return self.start.get("different", math.inf) < min(self.start["images"], 256) / 2

    @property
    def empty(self) -> bool:
        """Whether the images are all the same, or too dark for the network to tell apart."""
        return self.start["varying"] == 0 or self.start["largest"] <= DARK

    @property
    def bright(self) -> bool:
        """Whether the images' negative would make a much larger learning rate possible."""
        return self.blob and self.start["square"] > BRIGHT * self.negative_square

    @property
    def failed(self) -> bool:
        """Whether the training failed, so that there is a cause to find."""
        return (
            bool(self.broken)
            or self.blob
            or self.stalled
            or self.unstable
            or self.forgets
            or self.empty
            or self.shifted
        )


def most(shares: list[float]) -> tuple[int, float]:
    """Return the place of the largest share, from 1, and that share."""
    place = max(range(len(shares)), key=shares.__getitem__)
    return place + 1, shares[place]
