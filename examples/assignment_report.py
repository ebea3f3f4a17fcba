"""What ``assignment.py`` compares its networks with, its figures, and its report."""

import math
import tempfile
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import fastae
from fastae import feature_figures, figures
from fastae.commands.network import LOSS_NAMES
from fastae.errors import OutputError

SNAPSHOTS = (0, 1, 2, 5, 10, 20)  # epochs after which the digits are drawn; 0 is the untrained network


def principal_components(images: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The mean image (784,), and the `count` directions (784, count) in which the images vary most.

    No LINEAR encoder and decoder with a code of that length reconstructs these images better than a projection on them.
    """
    mean = images.mean(axis=0) / 255
    covariance = np.zeros((len(mean), len(mean)))
    for part in thousands(images):
        centred = part / 255 - mean
        covariance += centred.T @ centred
    variances, directions = np.linalg.eigh(covariance)  # the smallest first
    real = variances > 1e-10 * variances[-1]  # n images vary in at most n − 1 directions; the rest is rounding error
    return mean, directions[:, real][:, -count:]


def least_cross_entropy(images: np.ndarray) -> float:
    """The cross-entropy of perfect reconstructions, z = x. It is not 0, because grey pixels are neither 0 nor 1."""
    counts = np.sum([np.bincount(part.ravel(), minlength=256) for part in thousands(images)], axis=0)[1:255]
    x = np.arange(1, 255) / 255
    return float(-counts @ (x * np.log(x) + (1 - x) * np.log(1 - x))) / len(images)


def thousands(images: np.ndarray) -> list[np.ndarray]:
    """Split the images into parts of a thousand, because all 60,000 as floats would take 376 MB."""
    return np.array_split(images, math.ceil(len(images) / 1000))


def size_of(model: fastae.Autoencoder) -> dict[str, int]:
    """How many parameters a network has, and how many multiplications it makes to reconstruct an image."""
    return {
        "parameters": sum(p.size for p in model.weights + model.biases),
        "multiplications": sum(layer.multiplications for layer in model.layers),
    }


def difference(ours: list[np.ndarray], theirs: list[np.ndarray]) -> float:
    """The largest difference between two lists of arrays."""
    return max(float(np.abs(p - q).max()) for p, q in zip(ours, theirs))


def count(number: int, what: str) -> str:
    """Return "1 epoch", "75,000 updates"."""
    return f"{number:,} {what}" + "s" * (number != 1)


def by(shape: Sequence[int]) -> str:
    """Return "28 x 28"."""
    return " x ".join(map(str, shape))


def make_folder(out: Path) -> Path:
    """Make the results' folder, and find out before the training whether it can be written."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=out).close()
    except OSError as error:
        raise OutputError(f"cannot write in {out}: {error.strerror or error}; choose another with --out") from error
    return out


def titles(epochs: int, updates: int) -> dict[str, str]:
    """Return what the figures and the report call each set of reconstructions."""
    return {
        "mean": "the mean image",
        "pca": "PCA",
        "untrained": "untrained network",
        **{f"{loss}-updates": f"{name}, {updates} updates" for loss, name in LOSS_NAMES.items()},
        **{loss: f"{name}, {count(epochs, 'epoch')}" for loss, name in LOSS_NAMES.items()},
        "dense": "dense network, by a cosine",
        "conv": "convolutional network, by a cosine",
    }


def facts(run: Any, models: dict[str, fastae.Autoencoder]) -> dict[str, Any]:
    """Return every number that the report states, from the `Run` of assignment.py."""
    trained = np.array([models[loss].weights[0] for loss in run.trainers])
    unmoved = np.all(trained == run.untrained.weights[0], axis=(0, 2))
    return {
        "version": fastae.__version__,
        "backend": run.backend.name,
        "workers": run.trainers["mse"].workers,
        "seed": run.seed,
        "epochs": run.epochs,
        "batch_size": run.batch,
        "training_images": run.n,
        "test_images": len(run.x),
        "updates": run.epochs * math.ceil(run.n / run.batch),
        "updates_by_hand": run.updates_by_hand,
        "learning_rate": {loss: t.optimizer.lr for loss, t in run.trainers.items()},
        "rate_by_cosine": {name: t.optimizer.lr for name, t in run.by_cosine.items()},
        "pixels": run.pixels,
        "shape": run.shape,
        "hidden": run.untrained.sizes[1],
        "code": run.untrained.sizes[2],
        "channels": [layer.channels for layer in run.networks["conv"].specs[:-1]],
        "components": run.components,
        "titles": run.titles,
        "test": run.test,
        "test_variance": float(run.x.var(axis=0).mean()),
        "least_cross_entropy": least_cross_entropy(run.images),
        "agreement": run.agreement,
        "stuck": run.stuck,
        "dark_pixels": int((run.images.max(axis=0) == 0).sum()),
        "unmoved_pixels": int(np.sum(unmoved)),
        "largest_weight": {name: float(np.abs(model.weights[0]).max()) for name, model in models.items()},
        "parameters": run.parameters,
        "history": {name: t.history.as_dicts() for name, t in {**run.trainers, **run.by_cosine}.items()},
        "networks": {name: size_of(model) for name, model in run.networks.items()},
    }


def draw(out: Path, digits: np.ndarray, pictures: dict[str, np.ndarray], models: dict[str, Any], facts: Any) -> None:
    """Draw the figures of the four tasks."""
    test, batch, last, shape = facts["test"], facts["batch_size"], facts["epochs"], facts["shape"]
    by_hand = facts["updates_by_hand"]
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
                for key, reading in (("-updates", f"{by_hand} updates"), ("", epochs))
                for loss, name in LOSS_NAMES.items()
            ),
        ],
        f"“20 training iterations” read as updates: {by_hand} batches, {by_hand * batch} images in all (NumPy, as "
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
        f"Weights from the image into {len(units)} of the {facts['hidden']} units of the first layer, those that "
        f"training moved most. A column is one unit: as drawn, and after {setting}.",
    )


def draw_networks(
    out: Path, digits: np.ndarray, pictures: dict[str, np.ndarray], conv: fastae.Autoencoder, facts: Any
) -> None:
    """Draw both networks' reconstructions of the digits, and the kernels and maps of the convolutional one."""
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


def report(facts: Any) -> str:
    """Return what was measured and what to look at, in Markdown."""
    test, history, pixels, batch = facts["test"], facts["history"], facts["pixels"], facts["batch_size"]
    epochs, updates = count(facts["epochs"], "epoch"), count(facts["updates"], "update")
    mse = {name: errors["mse"] for name, errors in test.items()}
    entropies = {name: f"{e['cross_entropy']:.2f}" if "cross_entropy" in e else "–" for name, e in test.items()}
    errors = "\n".join(f"| {name} | {mse[key]:.5f} | {entropies[key]} |" for key, name in facts["titles"].items())
    parameters = "\n".join(
        f"| {p['name']} | {p['shape']} | {p['deviation']:.4f} | {p['mean']:.4f} | {p['std']:.4f} |"
        for p in facts["parameters"]
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
    drawn = facts["parameters"][0]["deviation"]
    largest, least, agreement = facts["largest_weight"], facts["least_cross_entropy"], facts["agreement"]
    by_hand, code, channels = facts["updates_by_hand"], facts["code"], facts["channels"]
    rate, by_cosine = facts["learning_rate"], facts["rate_by_cosine"]
    text = f"""# The assignment: what this run gave

fastae {facts["version"]}, backend {facts["backend"]}, {count(facts["workers"], "worker")}, seed {facts["seed"]}. For
each loss {epochs} of {count(facts["training_images"], "image")} in batches of {batch}, which is {updates}. Learning
rate {rate["mse"]} for the squared error, {rate["bce"]} for the cross-entropy. The training alone
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
Then look at thin strokes, small gaps and loops: a code of {code} numbers stands for {pixels} pixels, and a detail of
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

**updates.png** (tasks 3 and 4, "20 iterations" read as updates). {by_hand} updates see {by_hand * batch} images. From
image to image the reconstructions then have {varies["mse-updates"]:.1%} (squared error) and
{varies["bce-updates"]:.1%} (cross-entropy) of the images' variance: every digit gives nearly the same picture, a
rough copy of the mean image, and the errors {mse["mse-updates"]:.4f} and {mse["bce-updates"]:.4f} stand beside its
{mse["mean"]:.4f}. What is learned first is where the ink is on average; to tell one digit from another takes more.
After {updates} the reconstructions have {varies["mse"]:.0%} and {varies["bce"]:.0%} of the variance.

**weights.png.** A column is one unit of the first layer; a lit pixel makes it more active where red, less where blue.
As drawn it is noise of deviation {drawn:.3f}. Look for patches after training: such a unit
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
words: convolutions of {channels[0]} and {channels[1]} channels and a dense layer of {code}, with tanh, and the same
way back. Both were trained on the squared error for {epochs} of the same images in the same order. The learning rate
falls by a cosine, from {by_cosine["dense"]} and from {by_cosine["conv"]}, which leaves less of the noise of
the last batches in the weights than the constant rate above.

**networks.png.** The same digits by both. The code has {code} numbers in both networks, so what differs is how well
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
{agreement["untrained"]:.0e} in a pixel of the untrained network's reconstructions, and after {by_hand} updates by at
most {agreement["mse-updates"]:.0e} (squared error) and {agreement["bce-updates"]:.0e} (cross-entropy) in a parameter.
The trained convolutional network's reconstructions of the digits shown differ by at most {agreement["conv"]:.0e}.
"""
    paragraphs = text.strip().split("\n\n")
    return "\n\n".join(p if p[0] in "#|" else textwrap.fill(p, 110, break_on_hyphens=False) for p in paragraphs) + "\n"
