"""The assignment, solved in one run: an autoencoder on MNIST, its gradients worked out by hand.

The four tasks of the handout, in the order in which this file answers them:

1. an encoder y = s(W² s(W¹ x + b¹) + b²) and a decoder z = s(W²′ s(W¹′ y + b¹′) + b²′), with hidden layers of 256 and
   128 units, s the sigmoid;
2. all eight parameters drawn from a normal distribution;
3. training on the average of ‖x − z‖², with the reconstructions after 20 iterations;
4. the same with the cross-entropy.

The handout also speaks of an encoder and a decoder "based on CNNs" and of tanh. So a convolutional network with tanh
comes last, beside the dense one with sigmoids that the formulas give.

First comes the mathematics, in NumPy and nothing else; then `solve` runs the tasks with it. "20 iterations" can be read
as 20 updates or as 20 epochs. The 20 updates are made by the NumPy code here; the 20 epochs, 75,000 updates for each
loss, by fastae, which makes the same step faster. Figures, models and a report.md with every number are left in the
results' folder. Run it by ``python examples/assignment.py``; ``--help`` lists the options.
"""

import argparse
import copy
import json
import math
import sys
import tempfile
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import fastae
from fastae import backends, feature_figures, figures, storage
from fastae.cli import Parser
from fastae.commands.network import LOSS_NAMES
from fastae.datasets import load_images
from fastae.errors import FastaeError, InputError, OutputError
from fastae.terminal import one_of_each

HIDDEN, CODE = 256, 128
BATCH = 16  # images in one update
LEARNING_RATE = {"mse": 0.25, "bce": 0.05}  # why they differ is said at `update`
CHANNELS = (16, 32)  # of the two convolutions
RATE_BY_COSINE = {"dense": 0.25, "conv": 0.02}  # in the first epoch; it falls towards 0
UPDATES = 20
SNAPSHOTS = (0, 1, 2, 5, 10, 20)  # epochs after which the digits are drawn; 0 is the untrained network

Arrays = list[np.ndarray]


# Task 1: the encoder and the decoder.
#
# The handout writes one image as a column x, and W x. Here, as in most programs, images are the ROWS of x, so that a
# whole batch goes through at once: x W, with W of shape (inputs, outputs), the transpose of the handout's. W[0] and
# W[1] are its W¹ and W², W[2] and W[3] its W¹′ and W²′; b likewise.


def s(t: np.ndarray) -> np.ndarray:
    """The sigmoid. Its derivative is s (1 − s), which the output alone tells."""
    return 1 / (1 + np.exp(-t))


def encode(x: np.ndarray, W: Arrays, b: Arrays) -> np.ndarray:
    """Images (n, 784) to codes (n, 128)."""
    return s(s(x @ W[0] + b[0]) @ W[1] + b[1])


def decode(y: np.ndarray, W: Arrays, b: Arrays) -> np.ndarray:
    """Codes (n, 128) to images (n, 784)."""
    return s(s(y @ W[2] + b[2]) @ W[3] + b[3])


# Task 2: all eight parameters from a normal distribution.
#
# Which one matters. The sigmoid's slope s (1 − s) is at most ¼ and vanishes where |t| is large. About a hundred pixels
# of a digit are bright, so weights from N(0, 1) would make t some ten wide: most units would be stuck near 0 or 1, and
# hardly any gradient would come through them. Glorot and Bengio (AISTATS 2010) choose the deviation such that signals
# keep their size on the way forward and back; for this sigmoid it is 4 √(2 / (inputs + outputs)).


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
# Both losses are a sum over the pixels of an image and a mean over the images of a batch. Let t = a W + b be what goes
# into the sigmoid of a layer, a the layer's input, and δ = ∂loss/∂t. The chain rule gives, from the output backwards
# and before the division by the number of images,
#
#     last layer, ‖x − z‖²:         δ = 2 (z − x) · z (1 − z)
#     last layer, cross-entropy:    δ = (z − x) / (z (1 − z)) · z (1 − z) = z − x
#     the layer below:              δ′ = δ Wᵀ · a (1 − a)
#     parameters of the layer:      ∂loss/∂W = aᵀ δ,   ∂loss/∂b = the sum of δ's rows
#
# So the two tasks differ in one line. With the squared error the slope of the last sigmoid stays in δ: a pixel that
# comes out white and should be black, z ≈ 1, has z (1 − z) ≈ 0 and hardly learns. With the cross-entropy it cancels.


def squared_error(z: np.ndarray, x: np.ndarray) -> float:
    """Task 3: the average of ‖x − z‖² over the images."""
    return float(((x - z) ** 2).sum(axis=1).mean())


def cross_entropy(z: np.ndarray, x: np.ndarray) -> float:
    """Task 4: the average of −Σ [x log z + (1 − x) log(1 − z)]. The handout lost the minus, and we minimise."""
    with np.errstate(divide="ignore"):  # log 0 = −∞ is cut off at −100, as PyTorch does it
        log_z, log_not_z = np.maximum(np.log(z), -100), np.maximum(np.log(1 - z), -100)
    return float(-(x * log_z + (1 - x) * log_not_z).sum(axis=1).mean())


def update(x: np.ndarray, W: Arrays, b: Arrays, loss: str) -> None:
    """One update of all eight parameters, in place, on a batch x: W ← W − lr ∂loss/∂W.

    At z = ½ the squared error's δ is half of the cross-entropy's, and it shrinks further as z leaves ½; so the
    cross-entropy has the larger gradients, and gets the smaller learning rate.
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
# 3 x 3 patch around one input pixel, and all output pixels share the weights, nine for each pair of channels. Every
# second patch is taken, so the image's sides halve from layer to layer, 28, 14, 7, while the channels grow, 1, 16, 32.
# A dense layer makes the code of them. The decoder goes the same way back: a transposed convolution ADDS to the patch
# that a convolution would have read. All activations but the last are tanh.
#
# Here is how the network computes. Its gradients follow the same chain rule, and fastae's step has them.


def halves(shape: Sequence[int]) -> tuple[int, int]:
    """The sides of an image of which every second pixel is taken."""
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


# What to compare with.


def principal_components(images: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The mean image (784,), and the `count` directions (784, count) in which the images vary most.

    To project on them is the best that any LINEAR encoder and decoder can do for these images with a code that short.
    """
    mean = images.mean(axis=0) / 255
    covariance = np.zeros((len(mean), len(mean)))
    for some in thousands(images):
        centred = some / 255 - mean
        covariance += centred.T @ centred
    variances, directions = np.linalg.eigh(covariance)  # the smallest first
    real = variances > 1e-10 * variances[-1]  # n images vary in n − 1 directions at most; the rest is rounding
    return mean, directions[:, real][:, -count:]


def least_cross_entropy(images: np.ndarray) -> float:
    """The cross-entropy of z = x: not zero, because a grey pixel is neither a sure yes nor a sure no."""
    counts = np.sum([np.bincount(some.ravel(), minlength=256) for some in thousands(images)], axis=0)[1:255]
    x = np.arange(1, 255) / 255
    return float(-counts @ (x * np.log(x) + (1 - x) * np.log(1 - x))) / len(images)


def thousands(images: np.ndarray) -> Arrays:
    """Cut the images into lots of a thousand: all 60,000 as floats would take 376 MB."""
    return np.array_split(images, math.ceil(len(images) / 1000))


# The run.


def solve(options: argparse.Namespace) -> None:
    """Run the four tasks and leave what came of them in the results' folder."""
    epochs, seed = options.epochs, options.seed
    for name in ("epochs", "limit"):
        value = getattr(options, name)
        if value is not None and value < 1:
            raise InputError(f"--{name} must be a positive whole number; got {value}")
    backend = backends.get(options.backend)
    images, _ = load_images(options.data, "train")
    test_images, labels = load_images(options.data, "test")
    images, test_images, labels = images[: options.limit], test_images[: options.limit], labels[: options.limit]
    shape = images.shape[1:]
    if test_images.shape[1:] != shape:
        raise InputError(f"training images are {by(shape)} pixels, but test images {by(test_images.shape[1:])}")
    images, test_images = images.reshape(len(images), -1), test_images.reshape(len(test_images), -1)
    n, pixels = images.shape
    sizes, batch = (pixels, HIDDEN, CODE), min(BATCH, n)
    untrained = fastae.Autoencoder(sizes, seed)
    trainers = {
        loss: fastae.Trainer(copy.deepcopy(untrained), loss, fastae.SGD(lr), backend.name, batch, seed, options.threads)
        for loss, lr in LEARNING_RATE.items()
    }
    convolutions = [fastae.Conv2d(channels, stride=2) for channels in CHANNELS]
    networks = {
        "dense": copy.deepcopy(untrained),
        "conv": fastae.Autoencoder(
            None, seed, layers=[*convolutions, fastae.Dense(CODE)], activation="tanh", image_shape=shape
        ),
    }
    by_cosine = {
        name: fastae.Trainer(
            model,
            "mse",
            fastae.SGD(RATE_BY_COSINE[name], schedule="cosine"),
            backend.name,
            batch,
            seed,
            options.threads,
        )
        for name, model in networks.items()
    }
    out = make_folder(Path(options.out))

    x = test_images / 255
    shown = one_of_each(labels)  # ten digits, one of each class
    pictures: dict[str, np.ndarray] = {}  # their reconstructions
    test: dict[str, dict[str, float]] = {}  # the errors of all test images' reconstructions
    titles = {
        "mean": "the mean image",
        "pca": "PCA",
        "untrained": "untrained network",
        **{f"{loss}-updates": f"{name}, {UPDATES} updates" for loss, name in LOSS_NAMES.items()},
        **{loss: f"{name}, {count(epochs, 'epoch')}" for loss, name in LOSS_NAMES.items()},
        "dense": "dense network, by a cosine",
        "conv": "convolutional network, by a cosine",
    }

    def measure(name: str, z: np.ndarray) -> None:
        pictures[name] = z[shown]
        test[name] = {"mse": squared_error(z, x) / pixels, "variance": float(z.var(axis=0).mean())}
        if name != "pca":  # whose z are not confined to 0 to 1
            test[name]["cross_entropy"] = cross_entropy(z, x)
        print(f"{titles[name]}: test error {test[name]['mse']:.4f} a pixel", flush=True)

    # Tasks 1 and 2: the network as drawn, by the code above and by fastae, which must be the same.
    W, b = draw_parameters((pixels, HIDDEN, CODE, HIDDEN, pixels), seed)
    z = decode(encode(x, W, b), W, b)
    measure("untrained", z)
    agreement = {"untrained": difference([z], [untrained.reconstruct(test_images)])}
    too_wide = fastae.Autoencoder(sizes, seed, "float64", init=1.0)
    stuck = {"drawn": share_stuck(x, W, b), "N(0, 1)": share_stuck(x, too_wide.weights, too_wide.biases)}

    # Tasks 3 and 4, after 20 UPDATES by the code above: those with which fastae's training begins as well.
    wanted = UPDATES * batch
    order = np.concatenate([trainers["mse"].order(e, n) for e in range(math.ceil(wanted / n))])[:wanted]
    for loss, trainer in trainers.items():
        W_now, b_now = copy.deepcopy((W, b))
        for i in range(0, wanted, batch):
            update(images[order[i : i + batch]] / 255, W_now, b_now, loss)
        measure(f"{loss}-updates", decode(encode(x, W_now, b_now), W_now, b_now))
        # fastae, run for the same updates, must arrive at the same parameters.
        session = trainer.session(images[order])
        session.start(np.arange(wanted))
        session.run(UPDATES)
        W_fast, b_fast, *_ = session.read()
        agreement[f"{loss}-updates"] = difference([*W_now, *b_now], [*W_fast, *b_fast])

    # Tasks 3 and 4, after 20 EPOCHS by fastae. Both start from the same parameters and see the images in one order.
    def keep(trainer: fastae.Trainer) -> None:
        name = f"{trainer.loss}-{len(trainer.history.epochs)}"
        pictures[name] = trainer.model.reconstruct(test_images[shown])

    for loss, trainer in trainers.items():
        print(f"training on the {LOSS_NAMES[loss]} ...", flush=True)
        trainer.fit(images, epochs, test_images, progress=not options.no_progress, on_epoch=keep)
        measure(loss, trainer.model.reconstruct(test_images))

    # The convolutional network beside the dense one, both with a learning rate that falls by a cosine.
    for name, trainer in by_cosine.items():
        print(f"training the {titles[name]} ...", flush=True)
        trainer.fit(images, epochs, test_images, progress=not options.no_progress)
        measure(name, trainer.model.reconstruct(test_images))
    conv = networks["conv"]
    z = conv_decode(conv_encode(x[shown], conv.weights, conv.biases, shape), conv.weights, conv.biases, shape)
    agreement["conv"] = difference([z], [pictures["conv"]])

    # What others make of the same images: the mean image for every digit, and the best linear autoencoder.
    mean, directions = principal_components(images, CODE)
    titles["pca"] = f"PCA, {count(directions.shape[1], 'component')}"
    measure("mean", np.broadcast_to(mean, x.shape))
    measure("pca", mean + (x - mean) @ directions @ directions.T)

    models = {"untrained": untrained, **{loss: trainer.model for loss, trainer in trainers.items()}}
    still = np.all([models[loss].weights[0] == untrained.weights[0] for loss in trainers], axis=(0, 2))
    facts = {
        "version": fastae.__version__,
        "backend": backend.name,
        "workers": trainers["mse"].workers,
        "seed": seed,
        "epochs": epochs,
        "batch_size": batch,
        "training_images": n,
        "test_images": len(x),
        "updates": epochs * math.ceil(n / batch),
        "pixels": pixels,
        "shape": shape,
        "components": directions.shape[1],
        "titles": titles,
        "test": test,
        "test_variance": float(x.var(axis=0).mean()),
        "least_cross_entropy": least_cross_entropy(images),
        "agreement": agreement,
        "stuck": stuck,
        "dark_pixels": int((images.max(axis=0) == 0).sum()),
        "unmoved_pixels": int(np.sum(still)),
        "largest_weight": {name: float(np.abs(model.weights[0]).max()) for name, model in models.items()},
        "history": {name: trainer.history.as_dicts() for name, trainer in {**trainers, **by_cosine}.items()},
        "networks": {name: size_of(model) for name, model in networks.items()},
    }  # fmt: skip
    draw(out, test_images[shown], pictures, models, facts)
    draw_networks(out, test_images[shown], pictures, conv, facts)
    for name, model in {**models, **networks}.items():
        model.save(out / f"model-{name}.npz")
    for file, text in (("numbers.json", json.dumps(facts, indent=1)), ("report.md", report(facts, W, b))):
        with storage.replacing(out / file) as opened:
            opened.write(text.encode())
    print(f"see {out}/report.md and the figures beside it")


def size_of(model: fastae.Autoencoder) -> dict[str, int]:
    """How many numbers a network learns, and how many multiplications it makes of an image."""
    return {
        "parameters": sum(p.size for p in model.weights + model.biases),
        "multiplications": sum(layer.multiplications for layer in model.layers),
    }


def share_stuck(x: np.ndarray, W: Arrays, b: Arrays) -> float:
    """The share of the first layer's outputs at which the sigmoid's slope is below 0.01, a 25th of its greatest."""
    y = s(x @ W[0] + b[0])
    return float(np.mean(y * (1 - y) < 0.01))


def difference(ours: Arrays, theirs: Arrays) -> float:
    """The largest difference between two lists of arrays."""
    return max(float(np.abs(p - q).max()) for p, q in zip(ours, theirs))


def make_folder(out: Path) -> Path:
    """Make the results' folder, and see now rather than after the training that it can be written."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=out).close()
    except OSError as error:
        raise OutputError(f"cannot write in {out}: {error.strerror or error}; choose another with --out") from error
    return out


# What is left of it: figures and a report.


def count(number: int, what: str) -> str:
    """Return "1 epoch", "75,000 updates"."""
    return f"{number:,} {what}" + "s" * (number != 1)


def by(shape: Sequence[int]) -> str:
    """Return "28 x 28"."""
    return " x ".join(map(str, shape))


def draw_networks(
    out: Path, digits: np.ndarray, pictures: dict[str, np.ndarray], conv: fastae.Autoencoder, facts: Any
) -> None:
    """Draw what both networks make of the digits, and what the convolutional one has learned."""
    names = {"dense": "dense, sigmoid", "conv": "convolutions, tanh"}
    error = {name: f"{facts['test'][name]['mse']:.4f}" for name in names}
    setting = f"{count(facts['epochs'], 'epoch')} of {count(facts['training_images'], 'image')} by a cosine"
    figures.reconstructions(
        out / "networks.png",
        digits,
        [(f"{label}:\n{error[name]}", pictures[name]) for name, label in names.items()],
        f"The same digits by both networks, trained on the squared error for {setting}. The numbers are test errors a "
        "pixel.",
        shape=conv.image_shape,
    )
    caption = f"The convolutional network after {setting}: test error {error['conv']} a pixel"
    feature_figures.kernels(out / "kernels.png", conv, caption)
    feature_figures.features(out / "features.png", conv, digits[min(3, len(digits) - 1)], caption)


def draw(out: Path, digits: np.ndarray, pictures: dict[str, np.ndarray], models: dict[str, Any], facts: Any) -> None:
    """Draw all figures."""
    test, batch, last, shape = facts["test"], facts["batch_size"], facts["epochs"], facts["shape"]
    epochs, pca = count(last, "epoch"), facts["titles"]["pca"]
    setting = f"{epochs} of {count(facts['training_images'], 'image')}, batch size {batch}, {facts['backend']}"
    error = {name: f"{errors['mse']:.4f}" for name, errors in test.items()}

    figures.reconstructions(
        out / "reconstructions.png",
        digits,
        [(name, pictures[loss]) for loss, name in LOSS_NAMES.items()],
        f"Test digits and their reconstructions after {setting}. Test error a pixel: {error['mse']} (squared error), "
        f"{error['bce']} (cross-entropy); for comparison: {error['mean']} (the mean image), {error['pca']} ({pca}).",
        shape=shape,
    )
    figures.reconstructions(
        out / "updates.png",
        digits,
        [
            (f"mean image: {error['mean']}", pictures["mean"]),
            *(
                (f"{name},\n{reading}: {error[loss + key]}", pictures[loss + key])
                for key, reading in (("-updates", f"{UPDATES} updates"), ("", epochs))
                for loss, name in LOSS_NAMES.items()
            ),
        ],
        f"“20 training iterations” read as updates: {UPDATES} batches, {UPDATES * batch} images in all (NumPy, as "
        f"written in assignment.py); and read as epochs: {setting}, {count(facts['updates'], 'update')}. The numbers "
        "are test errors a pixel.",
        shape=shape,
    )
    for loss, name in LOSS_NAMES.items():
        history = facts["history"][loss]
        rows = [(f"untrained: {error['untrained']}", pictures["untrained"])]
        for e in [e for e in SNAPSHOTS if 0 < e < last] + [last]:
            rows.append((f"{count(e, 'epoch')}: {history[e - 1]['test_mse']:.4f}", pictures[f"{loss}-{e}"]))
        figures.reconstructions(
            out / f"progress-{loss}.png",
            digits,
            rows,
            f"{name.capitalize()}: test digits on the way to {setting}. The numbers are test errors a pixel.",
            shape=shape,
        )
        figures.loss_curve(
            out / f"loss-{loss}.png",
            history,
            f"{name.capitalize()}, {setting}: test error {error[loss]} a pixel",
            references={"mean image": test["mean"]["mse"], pca: test["pca"]["mse"]},
        )

    W = {name: model.weights[0] for name, model in models.items()}
    moved = sum(np.linalg.norm(W[loss] - W["untrained"], axis=0) for loss in LOSS_NAMES)
    units = np.argsort(-moved, kind="stable")[:12]
    figures.weight_rows(
        out / "weights.png",
        [(label, W[name][:, units]) for name, label in {"untrained": "as drawn", **LOSS_NAMES}.items()],
        f"Weights from the image into {len(units)} of the {HIDDEN} units of the first layer, those that training moved "
        f"most. A column is one unit: as drawn, and after {setting}.",
    )


def report(facts: Any, W: Arrays, b: Arrays) -> str:
    """Say in Markdown what was measured and what to look at; W and b are the parameters as drawn."""
    test, history, pixels, batch = facts["test"], facts["history"], facts["pixels"], facts["batch_size"]
    epochs, updates = count(facts["epochs"], "epoch"), count(facts["updates"], "update")
    mse = {name: errors["mse"] for name, errors in test.items()}
    entropies = {name: f"{e['cross_entropy']:.2f}" if "cross_entropy" in e else "–" for name, e in test.items()}
    errors = "\n".join(f"| {name} | {mse[key]:.5f} | {entropies[key]} |" for key, name in facts["titles"].items())
    parameters = "\n".join(
        f"| {name}{which} | {p.shape} | {sigma:.4f} | {p.mean():.4f} | {p.std():.4f} |"
        for which, W_l, b_l in zip(("¹", "²", "¹′", "²′"), W, b)
        for name, p, sigma in (("W", W_l, deviation(*W_l.shape)), ("b", b_l, 0.1))
    )
    varies = {name: e["variance"] / (facts["test_variance"] or 1.0) for name, e in test.items()}
    grey = {name: f"{255 * error**0.5:.0f}" for name, error in mse.items()}  # root mean square, of 255 levels
    sides = ["below" if mse[loss] < mse["pca"] else "above" for loss in LOSS_NAMES]
    ends = f"Both end {sides[0]} PCA" if sides[0] == sides[1] else f"The first ends {sides[0]}, the second {sides[1]}"
    seconds = {loss: sum(epoch["seconds"] for epoch in history[loss]) for loss in LOSS_NAMES}
    first = {loss: history[loss][0]["test_mse"] for loss in LOSS_NAMES}
    recent = {loss: [epoch["test_mse"] for epoch in history[loss]][-5:] for loss in LOSS_NAMES}
    lately = {loss: f"{min(recent[loss]):.4f} to {max(recent[loss]):.4f}" for loss in LOSS_NAMES}
    trained = {loss: history[loss][-1]["train_loss"] for loss in LOSS_NAMES}
    sizes = "\n".join(
        f"| {facts['titles'][name]} | {size['parameters']:,} | {size['multiplications']:,} | {mse[name]:.5f} | "
        f"{entropies[name]} | {sum(epoch['seconds'] for epoch in history[name]):.0f} s |"
        for name, size in facts["networks"].items()
    )
    largest, least, agreement = facts["largest_weight"], facts["least_cross_entropy"], facts["agreement"]
    text = f"""# The assignment: what this run gave

fastae {facts["version"]}, backend {facts["backend"]}, {count(facts["workers"], "worker")}, seed {facts["seed"]}. For
each loss {epochs} of {count(facts["training_images"], "image")} in batches of {batch}, which is {updates}. Learning
rate {LEARNING_RATE["mse"]} for the squared error, {LEARNING_RATE["bce"]} for the cross-entropy. The training alone
took {seconds["mse"]:.1f} s and {seconds["bce"]:.1f} s.

## Errors of the {count(facts["test_images"], "test image")}

| | squared error a pixel | cross-entropy an image |
| --- | --- | --- |
{errors}

The squared error is a mean over images and pixels, the cross-entropy a mean over images of a sum over pixels. The
mean image is what one gets without looking at the digit. PCA is the best that a linear encoder and decoder can do for
the training images with a code of {facts["components"]}; its reconstructions leave the range from 0 to 1, so they
have no cross-entropy.

## What to look at

**reconstructions.png** (tasks 3 and 4, "20 iterations" read as epochs). Does each column still show its own digit?
Then look at thin strokes, small gaps and loops: a code of {CODE} numbers stands for {pixels} pixels, and a detail of
few pixels costs little error. The network trained on the squared error is off by {grey["mse"]} of 255 grey levels,
the one trained on the cross-entropy by {grey["bce"]}, PCA by {grey["pca"]} (root mean square). {ends}; to
end below takes more than a linear map.

Which loss is better? Each network should be the better one by the measure that it was trained on; the table has both
measures. But the learning rate stays the same to the end, and every batch pulls the network its own way: in the last
{count(len(recent["mse"]), "epoch")} the test error was {lately["mse"]} with the squared error and {lately["bce"]}
with the cross-entropy. A difference smaller than such ups and downs is luck.

**progress-mse.png, progress-bce.png.** The untrained network gives nearly the same noise for every image: from image
to image its reconstructions have {varies["untrained"]:.1%} of the variance that the images have. The first epoch
takes the test error from {mse["untrained"]:.4f} to {first["mse"]:.4f} (squared error) and {first["bce"]:.4f}
(cross-entropy), the whole training to {mse["mse"]:.4f} and {mse["bce"]:.4f}. See which parts of a digit come first,
and which last or never.

**updates.png** (tasks 3 and 4, "20 iterations" read as updates). {UPDATES} updates see {UPDATES * batch} images. From
image to image the reconstructions then have {varies["mse-updates"]:.1%} (squared error) and
{varies["bce-updates"]:.1%} (cross-entropy) of the images' variance: every digit gives nearly the same picture, a
rough copy of the mean image, and the errors {mse["mse-updates"]:.4f} and {mse["bce-updates"]:.4f} stand beside its
{mse["mean"]:.4f}. What is learned first is where the ink is on average; to tell one digit from another takes more.
After {updates} the reconstructions have {varies["mse"]:.0%} and {varies["bce"]:.0%} of the variance.

**weights.png.** A column is one unit of the first layer; a lit pixel makes it more active where red, less where blue.
As drawn it is noise of deviation {deviation(pixels, HIDDEN):.3f}. Look for patches after training: such a unit
watches one place of the image. The largest weight of the layer was {largest["untrained"]:.2f} as drawn, is
{largest["mse"]:.2f} after training on the squared error and {largest["bce"]:.2f} on the cross-entropy. Much of the
noise stays, surest at the border: {facts["dark_pixels"]} of {pixels} pixels are dark in every training image, and x =
0 makes the gradient x δ of their weights zero. All weights of {facts["unmoved_pixels"]} pixels are to the last bit
what was drawn.

**loss-mse.png, loss-bce.png.** On the left what is minimised, measured while the weights still changed; on the right
the test error. The squared error's last {trained["mse"]:.3f} is a sum over {pixels} pixels, so
{trained["mse"] / pixels:.5f} a pixel on training images, beside {mse["mse"]:.5f} on test images. The cross-entropy's
last {trained["bce"]:.2f} looks large, but even perfect reconstructions, z = x, would have {least:.2f}, because a grey
pixel leaves −x log x − (1 − x) log(1 − x). The other {trained["bce"] - least:.2f} are what can still be learned.

## A network based on CNNs beside the dense one

| | parameters | multiplications an image | squared error a pixel | cross-entropy an image | training |
| --- | ---: | ---: | ---: | ---: | ---: |
{sizes}

The handout asks for an encoder and a decoder "based on CNNs", with "an activation function such as tanh or sigmoid",
and then writes the formulas of dense layers with sigmoids. The first network follows the formulas, the second the
words: convolutions of {CHANNELS[0]} and {CHANNELS[1]} channels and a dense layer of {CODE}, with tanh, and the same
way back. Both were trained on the squared error for {epochs} of the same images in the same order. The learning rate
falls by a cosine, from {RATE_BY_COSINE["dense"]} and from {RATE_BY_COSINE["conv"]}, which leaves less of the noise of
the last batches in the weights than the constant rate above.

**networks.png.** The same digits by both. The code has {CODE} numbers in both networks, so what differs is how well
the layers before and behind it use them.

**kernels.png, features.png.** The first layer's kernels and the last's, and one digit on its way through the layers.
Which maps follow edges, and which the inside of strokes? How does the decoder go from coarse to fine?

## The eight parameters (task 2)

| | shape | σ | mean drawn | σ drawn |
| --- | --- | --- | --- | --- |
{parameters}

As drawn, {facts["stuck"]["drawn"]:.1%} of the first layer's outputs for the test images lie where the sigmoid's slope
is below 0.01, a 25th of its greatest, so that hardly any gradient comes through. With N(0, 1)
{facts["stuck"]["N(0, 1)"]:.1%} would.

## Is fastae's step the one in assignment.py?

The NumPy code in assignment.py (float64) and fastae (float32, {facts["backend"]}) differ by at most
{agreement["untrained"]:.0e} in a pixel of the untrained network's reconstructions, and after {UPDATES} updates by at
most {agreement["mse-updates"]:.0e} (squared error) and {agreement["bce-updates"]:.0e} (cross-entropy) in a parameter.
The trained convolutional network's reconstructions of the digits shown differ by at most {agreement["conv"]:.0e}.
"""
    paragraphs = text.strip().split("\n\n")
    return "\n\n".join(p if p[0] in "#|" else textwrap.fill(p, 110, break_on_hyphens=False) for p in paragraphs) + "\n"


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
