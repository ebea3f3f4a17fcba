"""A training as its figures tell it: what the causes in `fastae.diagnosis.causes` are asked about."""

import math
from functools import cached_property
from typing import Any, NamedTuple

from fastae.activations import ACTIVATIONS
from fastae.layers import Layer, autoencoder, from_json, image_of
from fastae.layers.layer import Shape
from fastae.model import deviations

BLOB = 0.9  # of the mean image's error: what a network that has learned nothing else comes to
WORSE = 1.05  # of the mean image's error: a network that is called worse than it
LARGE = 2.5  # times the usual rate, from which on a rate is called too large
NEEDED = 250  # updates at the usual rate after which a network has learned more than the mean image
FLAT = 0.5  # share of a layer's outputs that are flat, from which on little learns
SAME_WEIGHTS = 1e-6  # how little units differ, beside their size, that are called identical
DARK = 16  # of 255: the largest value of images that look as if they had another scale
WINDOW = 20  # parts of epochs that are looked at for how a training ends
SURE = 4  # standard deviations by which a rise of the loss is no accident of the images


class Broken(NamedTuple):
    """Where a training became NaN or infinite: epoch and batch, and the first layer, or 0 for the loss alone."""

    epoch: int
    batch: int
    layer: int


class Case:
    """The figures of one training, and what follows from them.

    Parameters
    ----------
    config, start, epochs
        As history.json has them.
    broken : Broken, optional
        Of a training that diverged; ``epochs`` are those before.
    """

    def __init__(
        self, config: dict[str, Any], start: dict[str, Any], epochs: list[dict[str, Any]], broken: Broken | None = None
    ) -> None:
        self.config, self.start, self.epochs, self.broken = config, start, epochs, broken
        self.signs: dict[str, Any] = epochs[-1]["signs"] if epochs else start.get("initial", {})
        self.initial: dict[str, Any] = start.get("initial", {})
        self.activation, self.batch = config["activation"], min(config["batch_size"], start["images"])
        self.lr, self.momentum, self.usual = config["lr"], config["momentum"], start["usual_lr"]

    # What the training was asked to do.

    @cached_property
    def layers(self) -> list[Layer]:
        """The network's layers, the encoder's and the decoder's."""
        shape = self.config.get("image_shape")
        image = image_of(shape) if shape else Shape(1, 1, self.config["sizes"][0])
        return autoencoder(from_json(self.config["layers"]), image)

    @property
    def drawn(self) -> list[float]:
        """How large each layer's initial weights are beside what the activation's rule draws."""
        sizes = self.initial.get("weights") or [self.asked(layer) for layer in self.layers]
        return [size / self.rule(layer) for size, layer in zip(sizes, self.layers)]

    def asked(self, layer: Layer) -> float:
        """Return σ of a layer's initial weights as ``--init`` asks for."""
        return deviations(self.config["init"], *layer.fans)[0]

    def own_weights(self, place: int) -> bool:
        """Has a program set the initial weights of a layer, from 1? Those that were drawn differ, and are as asked."""
        if "weights" not in self.initial:
            return False
        size, asked = self.initial["weights"][place - 1], self.asked(self.layers[place - 1])
        return abs(size - asked) > 0.3 * asked or (asked > 0 and self.initial["distinct"][place - 1] < SAME_WEIGHTS)

    def biased(self, place: int) -> bool:
        """Are a layer's initial biases large, place from 1, and its weights not?"""
        return self.initial.get("biases", [0.0] * place)[place - 1] > 2 and self.drawn[place - 1] <= 1.5

    @property
    def largest_drawn(self) -> int:
        """The layer, from 1, whose initial weights are the largest beside that rule."""
        return most(self.drawn)[0]

    @property
    def offset(self) -> float:
        """The largest root mean square of a layer's initial biases."""
        return max(self.initial.get("biases", [0.0]))

    def rule(self, layer: Layer) -> float:
        """Return σ of a layer's weights as the activation's rule draws them."""
        return deviations(ACTIVATIONS[self.activation].init, *layer.fans)[0]

    @property
    def factor(self) -> float:
        """How many times larger than usual the rate is at which weights move in the end, momentum counted."""
        return self.lr / (1 - self.momentum) / self.usual

    @property
    def updates(self) -> int:
        """How many there were."""
        return sum(epoch["signs"]["updates"] for epoch in self.epochs)

    @property
    def an_epoch(self) -> int:
        """How many updates an epoch has."""
        return max(1, self.start["images"] // self.batch)

    @property
    def work(self) -> float:
        """How many updates at the usual rate would have moved the weights as far."""
        moved = sum(epoch["lr"] * epoch["signs"]["updates"] for epoch in self.epochs)
        return moved / (1 - self.momentum) / self.usual

    @property
    def chance(self) -> float:
        """The share of the variance of noise that as many directions as there are components would explain."""
        return self.start["components"] / max(1, self.start["varying"])

    @property
    def negative_square(self) -> float:
        """The mean of ‖1 − x‖² over the images."""
        start = self.start
        return start["pixels"] * (1 - 2 * start["mean"]) + start["square"]

    # What came of it.

    @property
    def error(self) -> float:
        """Mean squared error of a pixel at the end: of the test images, if there are any."""
        tested = self.epochs[-1]["test_mse"]
        return self.signs["sample_mse"] if tested is None else tested

    @property
    def mean_image(self) -> float:
        """What knowing only the mean image would give."""
        tested = self.epochs[-1]["test_mse"] is not None
        return self.start["test_mean_image_mse" if tested and "test_mean_image_mse" in self.start else "mean_image_mse"]

    @property
    def ratio(self) -> float:
        """The error beside the mean image's."""
        return self.error / self.mean_image if self.mean_image else math.inf

    @property
    def trained_ratio(self) -> float:
        """The same of training images."""
        return self.signs["sample_mse"] / self.start["mean_image_mse"] if self.start["mean_image_mse"] else math.inf

    @cached_property
    def parts(self) -> list[float]:
        """The loss of the last parts of epochs, in order."""
        return [part for epoch in self.epochs for part in epoch["signs"]["parts"]][-WINDOW:]

    @property
    def noise(self) -> float:
        """The standard deviation of the difference of two parts that comes from the choice of their images alone."""
        parts = len(self.signs["parts"])
        if parts == 1:
            return 0.0  # each part is all images
        return self.signs["uneven"] * math.sqrt(2 * parts / self.start["images"])

    @property
    def rises(self) -> int:
        """How often the loss rose from one of the last parts to the next by more than the choice of images explains."""
        least = max(SURE * self.noise, 0.005)
        return sum(after > before * (1 + least) for before, after in zip(self.parts, self.parts[1:]))

    @property
    def fell(self) -> float:
        """By which share the loss fell, from one half to the other of the last parts at half the rate or more.

        At the end of a cosine no loss falls.
        """
        parts = [p for epoch in self.epochs if epoch["lr"] >= self.lr / 2 for p in epoch["signs"]["parts"]][-WINDOW:]
        half = len(parts) // 2
        if not half:
            return 1.0
        before, after = sum(parts[:half]) / half, sum(parts[-half:]) / half
        return 1 - after / before

    @property
    def flattest(self) -> tuple[int, float]:
        """The hidden layer with the largest share of flat outputs, from 1, and that share."""
        return most(self.signs["flat"])

    @property
    def flattest_at_first(self) -> tuple[int, float]:
        """The same before the first update."""
        return most(self.initial.get("flat", [0.0]))

    @property
    def blob(self) -> bool:
        """Is it no better than the mean image, or hardly?"""
        return not self.broken and self.ratio > BLOB

    @property
    def stalled(self) -> bool:
        """Has it stopped learning far from what as many principal components would give?"""
        return (
            not self.broken
            and self.ratio > max(0.5, 2 * (1 - self.start["in_room"]))
            and ((len(self.parts) > 4 and self.fell < 0.005) or self.crippled)
        )

    @property
    def crippled(self) -> bool:
        """Is most of a layer flat since the rate is too large, or since the first update?"""
        if self.flattest[1] <= FLAT:
            return False
        return self.factor >= LARGE or (self.thrown and self.flattest_at_first[1] > FLAT)

    @property
    def thrown(self) -> bool:
        """Are weights or biases before the first update larger than any rule draws them?"""
        return max(self.drawn) > 1.5 or self.offset > 2

    @property
    def unstable(self) -> bool:
        """Does the loss go up and down, more than the choice of images explains?"""
        return not self.broken and self.rises >= max(3, len(self.parts) // 4)

    @property
    def forgets(self) -> bool:
        """Is it far worse on test images than on those that it has seen?"""
        tested = None if self.broken else self.epochs[-1]["test_mse"]
        return tested is not None and self.trained_ratio < 0.75 and tested > 2 * self.signs["sample_mse"]

    @property
    def shifted(self) -> bool:
        """Are the test images of another kind? Their kind's mean image is not that of the training images then."""
        count = min(self.start.get("test_images", 0), 256)
        if self.broken or count < 20:
            return False
        few = 2 / min(self.start["images"], 256) + 2 / count  # the mean of few images is not their kind's
        return self.start["test_mean_image_mse"] > self.start["test_own_mean_mse"] * (1.4 + few) + 1e-4 or self.unlike

    @property
    def unlike(self) -> bool:
        """Do test images vary along other directions than the training images, and come out worse?"""
        if "test_explained" not in self.start or self.repeated or self.error < 1.5 * self.signs["sample_mse"]:
            return False
        return 1 - self.start["test_explained"] > 1.6 * (1 - self.start["explained"]) + 0.02

    @property
    def repeated(self) -> bool:
        """Are most of the images copies of others?"""
        return self.start.get("different", math.inf) < min(self.start["images"], 256) / 2

    @property
    def empty(self) -> bool:
        """Is there nothing in the images, or nothing that this network sees?"""
        return self.start["varying"] == 0 or self.start["largest"] <= DARK

    @property
    def failed(self) -> bool:
        """Is there anything to explain?"""
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
    """Return the place of the largest, from 1, and the largest."""
    place = max(range(len(shares)), key=shares.__getitem__)
    return place + 1, shares[place]
