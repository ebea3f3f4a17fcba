"""The assignment, solved in one run: an autoencoder on MNIST, its gradients worked out by hand.

The handout has four tasks, and this file answers them in order:

1. an encoder y = s(W² s(W¹ x + b¹) + b²) and a decoder z = s(W²′ s(W¹′ y + b¹′) + b²′), with hidden layers of 256 and
   128 units, where s is the sigmoid;
2. all eight parameters drawn from a normal distribution;
3. training on the average of ‖x − z‖², with the reconstructions after 20 iterations;
4. the same with the cross-entropy.

The handout also mentions an encoder and a decoder "based on CNNs", and tanh. A convolutional network with tanh
therefore comes last, next to the dense network with sigmoids that the formulas describe.

The first part of the file is the mathematics, in NumPy alone; then `solve` runs the tasks with it. "20 iterations" can
mean 20 updates or 20 epochs. The NumPy code here makes the 20 updates. fastae, which makes the same step faster, trains
for the 20 epochs, 75,000 updates for each loss. The results' folder gets figures, models and a report.md with every
number; ``assignment_report.py`` makes the figures and the report.

Run the file with ``python examples/assignment.py``; ``--help`` lists the options.
"""

import argparse
import copy
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from assignment_report import (
    by,
    count,
    difference,
    draw,
    draw_networks,
    facts,
    make_folder,
    principal_components,
    report,
    titles,
)

import fastae
from fastae import backends, storage
from fastae.cli import Parser
from fastae.commands.network import LOSS_NAMES
from fastae.datasets import load_images
from fastae.errors import FastaeError, InputError
from fastae.terminal import one_of_each

HIDDEN, CODE = 256, 128
BATCH = 16  # images in one update
LEARNING_RATE = {"mse": 0.25, "bce": 0.05}  # `update` says why they differ
CHANNELS = (16, 32)  # of the two convolutions
RATE_BY_COSINE = {"dense": 0.25, "conv": 0.02}  # in the first epoch; the rate falls towards 0
UPDATES = 20

Arrays = list[np.ndarray]


# Task 1: the encoder and the decoder.
#
# The handout writes one image as a column x, and W x. Here, as in most programs, images are the ROWS of x. A whole
# batch is then computed at once as x W, where W has the shape (inputs, outputs), the transpose of the handout's. W[0]
# and W[1] are its W¹ and W², W[2] and W[3] its W¹′ and W²′; b likewise.


def s(t: np.ndarray) -> np.ndarray:
    """The sigmoid. Its derivative is s (1 − s), which can be computed from the output alone."""
    return 1 / (1 + np.exp(-t))


def encode(x: np.ndarray, W: Arrays, b: Arrays) -> np.ndarray:
    """Images (n, 784) to codes (n, 128)."""
    return s(s(x @ W[0] + b[0]) @ W[1] + b[1])


def decode(y: np.ndarray, W: Arrays, b: Arrays) -> np.ndarray:
    """Codes (n, 128) to images (n, 784)."""
    return s(s(y @ W[2] + b[2]) @ W[3] + b[3])


# Task 2: all eight parameters from a normal distribution.
#
# Its standard deviation matters. The sigmoid's slope s (1 − s) is at most ¼, and nearly 0 where |t| is large. About a
# hundred pixels of a digit are bright, so with weights from N(0, 1) the standard deviation of t would be about 10: most
# units would be stuck near 0 or 1 and pass on hardly any gradient. Glorot and Bengio (AISTATS 2010) choose the
# deviation such that signals keep their size on the way forward and back; for this sigmoid it is
# 4 √(2 / (inputs + outputs)).


def deviation(inputs: int, outputs: int) -> float:
    """The standard deviation of a layer's weights. That of its biases is 0.1."""
    return 4 * math.sqrt(2 / (inputs + outputs))


def draw_parameters(sizes: Sequence[int], seed: int) -> tuple[Arrays, Arrays]:
    """The weights (inputs, outputs) and the biases (outputs,) of each layer, as fastae.Autoencoder draws them."""
    generator = np.random.default_rng([0, seed])
    W, b = [], []
    for inputs, outputs in zip(sizes, sizes[1:]):
        W.append(generator.normal(0, deviation(inputs, outputs), (inputs, outputs)))
        b.append(generator.normal(0, 0.1, outputs))
    return W, b


# Tasks 3 and 4: the losses, and a step of gradient descent by hand.
#
# Both losses are a sum over the pixels of an image and a mean over the images of a batch. Let a be a layer's input,
# t = a W + b the input of its sigmoid, and δ = ∂loss/∂t. The chain rule gives, from the output backwards and before
# the division by the number of images,
#
#     last layer, ‖x − z‖²:         δ = 2 (z − x) · z (1 − z)
#     last layer, cross-entropy:    δ = (z − x) / (z (1 − z)) · z (1 − z) = z − x
#     the layer below:              δ′ = δ Wᵀ · a (1 − a)
#     parameters of the layer:      ∂loss/∂W = aᵀ δ,   ∂loss/∂b = the sum of δ's rows
#
# The two tasks differ in one line. With the squared error the slope of the last sigmoid remains in δ: a pixel that is
# reconstructed white and should be black, z ≈ 1, has z (1 − z) ≈ 0 and hardly learns. With the cross-entropy the slope
# cancels.


def squared_error(z: np.ndarray, x: np.ndarray) -> float:
    """Task 3: the average of ‖x − z‖² over the images."""
    return float(((x - z) ** 2).sum(axis=1).mean())


def cross_entropy(z: np.ndarray, x: np.ndarray) -> float:
    """Task 4: the average of −Σ [x log z + (1 − x) log(1 − z)]. The handout omits the minus sign; we minimise."""
    with np.errstate(divide="ignore"):  # log 0 = −∞ is replaced by −100, as in PyTorch
        log_z, log_not_z = np.maximum(np.log(z), -100), np.maximum(np.log(1 - z), -100)
    return float(-(x * log_z + (1 - x) * log_not_z).sum(axis=1).mean())


def update(x: np.ndarray, W: Arrays, b: Arrays, loss: str) -> None:
    """One update of all eight parameters, in place, on a batch x: W ← W − lr ∂loss/∂W.

    At z = ½ the squared error's δ is half of the cross-entropy's, and it is smaller still at other z. The
    cross-entropy has the larger gradients, and therefore gets the smaller learning rate.
    """
    a = [x]
    for l in range(4):
        a.append(s(a[l] @ W[l] + b[l]))
    z = a[4]
    delta = (2 * (z - x) * z * (1 - z) if loss == "mse" else z - x) / len(x)
    for l in (3, 2, 1, 0):
        below = delta @ W[l].T * a[l] * (1 - a[l])  # before the update: it needs the old weights
        W[l] -= LEARNING_RATE[loss] * a[l].T @ delta
        b[l] -= LEARNING_RATE[loss] * delta.sum(axis=0)
        delta = below


# An encoder and a decoder based on CNNs.
#
# A dense layer has a weight for every pair of an input and an output. In a convolution an output pixel depends on the
# 3 x 3 patch around one input pixel, and all output pixels share the weights, nine for each pair of channels. Only
# every second patch is used, so the image's sides halve from layer to layer, 28, 14, 7, while the channels grow, 1, 16,
# 32. A dense layer computes the code from them. The decoder does the reverse: a transposed convolution ADDS to the
# patch that a convolution would have read. All activations but the last are tanh.
#
# The functions below are the forward pass. The gradients follow from the same chain rule; fastae's step computes them.


def halves(shape: Sequence[int]) -> tuple[int, int]:
    """The height and width of an image of which every second row and column is kept."""
    return (shape[0] + 1) // 2, (shape[1] + 1) // 2


def conv_encode(x: np.ndarray, W: Arrays, b: Arrays, shape: Sequence[int]) -> np.ndarray:
    """Images (n, pixels) of that height and width to codes (n, 128)."""
    a = x.reshape(len(x), *shape, 1)
    for l in (0, 1):
        rows, columns = halves(a.shape[1:3])
        a = np.pad(a, ((0, 0), (1, 1), (1, 1), (0, 0)))  # a border of zeros
        taps = [a[:, i : i + 2 * rows - 1 : 2, j : j + 2 * columns - 1 : 2] for i in range(3) for j in range(3)]
        a = np.tanh(np.concatenate(taps, axis=-1) @ W[l] + b[l])  # a patch is a row, a kernel a column
    return np.tanh(a.reshape(len(x), -1) @ W[2] + b[2])


def conv_decode(y: np.ndarray, W: Arrays, b: Arrays, shape: Sequence[int]) -> np.ndarray:
    """Codes (n, 128) to images (n, pixels) of that height and width."""
    a = np.tanh(y @ W[3] + b[3]).reshape(len(y), *halves(halves(shape)), -1)
    for l, (height, width) in ((4, halves(shape)), (5, shape)):
        rows, columns, channels = a.shape[1], a.shape[2], len(W[l]) // 9
        patches = a @ W[l].T
        t = np.zeros((len(y), height + 2, width + 2, channels))
        for tap in range(9):
            i, j = divmod(tap, 3)
            part = patches[..., tap * channels : (tap + 1) * channels]
            t[:, i : i + 2 * rows - 1 : 2, j : j + 2 * columns - 1 : 2] += part
        t = t[:, 1:-1, 1:-1] + b[l]
        a = np.tanh(t) if l == 4 else s(t)
    return a.reshape(len(y), -1)


# The run.


def solve(options: argparse.Namespace) -> None:
    """Run the four tasks and write the results to the folder ``options.out``."""
    run = Run(options)
    run.draw_parameters()
    run.update_by_hand()
    run.train()
    run.train_both_networks()
    run.compare()
    run.write()


class Run:
    """One run of the assignment: the images, the networks, and what is measured.

    Attributes
    ----------
    pictures : dict of ndarray
        Reconstructions of the ten test digits that the figures show, by the names of `titles`.
    test : dict of dict of float
        Errors of the reconstructions of all test images, by the same names.
    agreement : dict of float
        Largest differences between the NumPy code above and fastae.
    """

    def __init__(self, options: argparse.Namespace) -> None:
        self.options, self.epochs, self.seed = options, options.epochs, options.seed
        for name in ("epochs", "limit"):
            value = getattr(options, name)
            if value is not None and value < 1:
                raise InputError(f"--{name} must be a positive whole number; got {value}")
        self.backend = backends.get(options.backend)
        images, _ = load_images(options.data, "train")
        test_images, labels = load_images(options.data, "test")
        images, test_images, labels = images[: options.limit], test_images[: options.limit], labels[: options.limit]
        self.shape = images.shape[1:]
        if test_images.shape[1:] != self.shape:
            raise InputError(
                f"training images are {by(self.shape)} pixels, but test images {by(test_images.shape[1:])}"
            )
        self.images, self.test_images = images.reshape(len(images), -1), test_images.reshape(len(test_images), -1)
        self.x = self.test_images / 255
        self.shown = one_of_each(labels)  # ten digits, one of each class
        (self.n, self.pixels), self.batch = self.images.shape, min(BATCH, len(images))
        self.untrained = fastae.Autoencoder((self.pixels, HIDDEN, CODE), self.seed)
        self.trainers = {
            loss: self.trainer(copy.deepcopy(self.untrained), loss, fastae.SGD(lr))
            for loss, lr in LEARNING_RATE.items()
        }
        convolutions = [fastae.Conv2d(channels, stride=2) for channels in CHANNELS]
        layers: list[fastae.Conv2d | fastae.Dense] = [*convolutions, fastae.Dense(CODE)]
        conv = fastae.Autoencoder(None, self.seed, layers=layers, activation="tanh", image_shape=self.shape)
        self.networks = {"dense": copy.deepcopy(self.untrained), "conv": conv}
        self.by_cosine = {
            name: self.trainer(model, "mse", fastae.SGD(RATE_BY_COSINE[name], schedule="cosine"))
            for name, model in self.networks.items()
        }
        self.out = make_folder(Path(options.out))
        self.pictures: dict[str, np.ndarray] = {}
        self.test: dict[str, dict[str, float]] = {}
        self.agreement: dict[str, float] = {}
        self.updates_by_hand, self.titles = UPDATES, titles(self.epochs, UPDATES)

    def trainer(self, model: fastae.Autoencoder, loss: str, optimizer: fastae.SGD) -> fastae.Trainer:
        """Make a trainer with the options of this run."""
        return fastae.Trainer(
            model, loss, optimizer, self.backend.name, self.batch, self.seed, threads=self.options.threads
        )

    def measure(self, name: str, z: np.ndarray) -> None:
        """Record and print the errors of the test images' reconstructions z."""
        self.pictures[name] = z[self.shown]
        errors = {"mse": squared_error(z, self.x) / self.pixels, "variance": float(z.var(axis=0).mean())}
        if name != "pca":  # whose z are not confined to 0 to 1
            errors["cross_entropy"] = cross_entropy(z, self.x)
        self.test[name] = errors
        print(f"{self.titles[name]}: test error {errors['mse']:.4f} a pixel", flush=True)

    def draw_parameters(self) -> None:
        """Tasks 1 and 2: the network as drawn, by the code above and by fastae, which must agree."""
        self.W, self.b = draw_parameters((self.pixels, HIDDEN, CODE, HIDDEN, self.pixels), self.seed)
        z = decode(encode(self.x, self.W, self.b), self.W, self.b)
        self.measure("untrained", z)
        self.agreement["untrained"] = difference([z], [self.untrained.reconstruct(self.test_images)])
        wide = fastae.Autoencoder((self.pixels, HIDDEN, CODE), self.seed, "float64", init=1.0)
        self.parameters = [
            {"name": name + which, "shape": p.shape, "deviation": sigma, "mean": p.mean(), "std": p.std()}
            for which, W, b in zip(("¹", "²", "¹′", "²′"), self.W, self.b)
            for name, p, sigma in (("W", W, deviation(*W.shape)), ("b", b, 0.1))
        ]
        self.stuck = {
            "drawn": share_stuck(self.x, self.W, self.b),
            "N(0, 1)": share_stuck(self.x, wide.weights, wide.biases),
        }

    def update_by_hand(self) -> None:
        """Tasks 3 and 4 after 20 UPDATES by the code above; fastae's training begins with the same updates."""
        wanted = UPDATES * self.batch
        orders = [self.trainers["mse"].order(epoch, self.n) for epoch in range(math.ceil(wanted / self.n))]
        order = np.concatenate(orders)[:wanted]
        for loss, trainer in self.trainers.items():
            W, b = copy.deepcopy((self.W, self.b))
            for i in range(0, wanted, self.batch):
                update(self.images[order[i : i + self.batch]] / 255, W, b, loss)
            self.measure(f"{loss}-updates", decode(encode(self.x, W, b), W, b))
            # fastae, run for the same updates, must arrive at the same parameters.
            session = trainer.session(self.images[order])
            session.start(np.arange(wanted))
            session.run(UPDATES)
            W_fast, b_fast, *_ = session.read()
            self.agreement[f"{loss}-updates"] = difference([*W, *b], [*W_fast, *b_fast])

    def train(self) -> None:
        """Tasks 3 and 4 after 20 EPOCHS by fastae, from the same parameters and with the images in the same order."""

        def keep(trainer: fastae.Trainer) -> None:
            name = f"{trainer.loss}-{len(trainer.history.epochs)}"
            self.pictures[name] = trainer.model.reconstruct(self.test_images[self.shown])

        for loss, trainer in self.trainers.items():
            print(f"training on the {LOSS_NAMES[loss]} ...", flush=True)
            progress = not self.options.no_progress
            trainer.fit(self.images, self.epochs, self.test_images, progress=progress, on_epoch=keep)
            self.measure(loss, trainer.model.reconstruct(self.test_images))

    def train_both_networks(self) -> None:
        """Train the convolutional network and the dense one, both with a learning rate that falls by a cosine."""
        for name, trainer in self.by_cosine.items():
            print(f"training the {self.titles[name]} ...", flush=True)
            trainer.fit(self.images, self.epochs, self.test_images, progress=not self.options.no_progress)
            self.measure(name, trainer.model.reconstruct(self.test_images))
        conv, x = self.networks["conv"], self.x[self.shown]
        code = conv_encode(x, conv.weights, conv.biases, self.shape)
        z = conv_decode(code, conv.weights, conv.biases, self.shape)
        self.agreement["conv"] = difference([z], [self.pictures["conv"]])

    def compare(self) -> None:
        """Measure what to compare with: the mean image for every digit, and the best linear autoencoder."""
        mean, directions = principal_components(self.images, CODE)
        self.components = directions.shape[1]
        self.titles["pca"] = f"PCA, {count(self.components, 'component')}"
        self.measure("mean", np.broadcast_to(mean, self.x.shape))
        self.measure("pca", mean + (self.x - mean) @ directions @ directions.T)

    def write(self) -> None:
        """Write figures, models, numbers and report."""
        models = {"untrained": self.untrained, **{loss: trainer.model for loss, trainer in self.trainers.items()}}
        numbers, digits = facts(self, models), self.test_images[self.shown]
        draw(self.out, digits, self.pictures, models, numbers)
        draw_networks(self.out, digits, self.pictures, self.networks["conv"], numbers)
        for name, model in {**models, **self.networks}.items():
            model.save(self.out / f"model-{name}.npz")
        for file, text in (("numbers.json", json.dumps(numbers, indent=1)), ("report.md", report(numbers))):
            with storage.replacing(self.out / file) as opened:
                opened.write(text.encode())
        print(f"see {self.out}/report.md and the figures beside it")


def share_stuck(x: np.ndarray, W: Arrays, b: Arrays) -> float:
    """The share of the first layer's outputs at which the sigmoid's slope is below 0.01, a 25th of its greatest."""
    y = s(x @ W[0] + b[0])
    return float(np.mean(y * (1 - y) < 0.01))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the assignment; return the exit status: 0, 2 for bad input, 130 when interrupted."""
    parser = Parser(
        prog="assignment.py",
        description="Solve the four tasks of the assignment: the autoencoder 784-256-128-256-784 on MNIST, with the "
        "squared error and with the cross-entropy; and, beside it, a convolutional one.",
        allow_abbrev=False,
    )
    option = parser.add_argument
    option(
        "--backend", default="auto", help=f"auto (cupy where a GPU works, else numba), {', '.join(backends.names())}"
    )
    option("--epochs", type=int, default=20, help="times that every image is seen (20)")
    option("--limit", type=int, metavar="N", help="use only the first N training and at most N test images")
    option("--seed", type=int, default=0, help="of the initial parameters and of the order of the images (0)")
    option("--threads", type=int, help="workers of the numba backend; by default the cores it may use, at most 8")
    option("--data", metavar="DIR", help="folder of IDX files, plain or .gz; by default MNIST, which is included")
    option("--out", metavar="DIR", default="runs/assignment", help="folder for the results (runs/assignment)")
    option("--no-progress", action="store_true", help="show no progress bar")
    try:
        solve(parser.parse_args(argv))
    except FastaeError as error:
        print(f"assignment.py: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nassignment.py: interrupted; earlier results are kept", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
