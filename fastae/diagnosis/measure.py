"""What is measured of a training, on a small sample of its images: the figures that a diagnosis reads.

Everything here is NumPy on the host, from parameters that have been fetched anyway: no backend's step takes part in it.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastae.activations import ACTIVATIONS
from fastae.backends import get
from fastae.layers.layer import Layer
from fastae.rates import suggest

SAMPLE = 64  # images that the network is run on after each epoch
FACTS = 256  # images that are looked at once, before the first
PARTS = 10  # of an epoch, whose losses are kept
DIGITS = 6  # that are kept of a figure
ALONE, ROWS = 1 << 18, 16  # multiplications that OpenBLAS does without its threads; images in a block
HUGE = 1e300  # stands for what is no number
OFF_BY = 0.5  # what a pixel that is black or white for good is wrong by at least


def sample(images: np.ndarray, most: int = SAMPLE) -> np.ndarray:
    """Return at most so many of the images, evenly spaced, so that images in the order of their classes are met too."""
    if len(images) <= most:
        return images
    return images[np.linspace(0, len(images) - 1, most).astype(np.intp)]


def pixels(images: np.ndarray, dtype: Any) -> np.ndarray:
    """Return images, bytes or floats, as floats in [0, 1]."""
    return np.divide(images, 255, dtype=dtype) if images.dtype == np.uint8 else images.astype(dtype, copy=False)


@np.errstate(all="ignore")  # figures of a training that goes wrong may be infinite
def signs(
    layers: Sequence[Layer], activation: str, W: Sequence[Any], b: Sequence[Any], x: np.ndarray
) -> dict[str, Any]:
    """Run a network on a sample of images and return what its layers do.

    Parameters
    ----------
    layers, activation
        As a `fastae.Autoencoder` has them.
    W, b : sequence of ndarray
        Weights and biases.
    x : ndarray, (m, pixels)
        uint8, or floats in [0, 1].

    Returns
    -------
    dict
        As `fastae.Epoch.signs` has it, without what needs the epoch.
    """
    k, code = get("numpy"), len(layers) // 2 - 1
    a = x = pixels(x, W[0].dtype)
    flat: list[float] = []
    found: dict[str, Any] = {}
    for l, layer in enumerate(layers):
        last = l == len(layers) - 1
        y = np.empty((len(x), layer.outputs), a.dtype)
        name = "sigmoid" if last else activation
        if layer.kind == "dense":
            product(a, W[l], y)
            getattr(k, ACTIVATIONS[name].kernel)(y, b[l], y)
        else:
            k.forward(a, W[l], b[l], y, layer, name)
        a = y
        if not last:
            flat.append(share_flat(y, layer, activation))
        if l == code:
            found["code_spread"] = spread(y)
    wrong = np.abs(a - x)
    slope = ACTIVATIONS["sigmoid"].flat
    squares = np.square(wrong).mean(axis=1, dtype=np.float64)
    found |= {
        "flat": flat,
        "sample_mse": float(squares.mean()),
        "uneven": float(squares.std() / (squares.mean() or 1)),
        "output_spread": float(np.sqrt(a.var(axis=0).mean(dtype=np.float64))),
        "output_mean": float(a.mean(dtype=np.float64)),
        "output_flat": float(np.mean(ends := (a < slope[0]) | (a > slope[1]))),
        "stuck": float(np.mean((wrong > OFF_BY) & ends)),
    }
    return found


def product(a: np.ndarray, W: np.ndarray, out: np.ndarray) -> None:
    """Write a · W in blocks so small that OpenBLAS wakes no threads, which would spin for 30 ms into the next epoch."""
    columns = max(1, ALONE // (ROWS * len(W)))
    for i in range(0, len(a), ROWS):
        for j in range(0, W.shape[1], columns):
            np.matmul(a[i : i + ROWS], W[:, j : j + columns], out=out[i : i + ROWS, j : j + columns])


def share_flat(y: np.ndarray, layer: Layer, activation: str) -> float:
    """Return the share of a layer's outputs where the activation is flat; for relu, of units off for all images.

    Parameters
    ----------
    y : ndarray, (m, layer.outputs)
    """
    if activation == "relu":
        return float(np.mean(~(y > 0).reshape(-1, layer.channels).any(axis=0)))
    low, high = ACTIVATIONS[activation].flat
    return float(np.mean((y < low) | (y > high)))


def spread(y: np.ndarray) -> float:
    """Return how far units, (m, units), vary from image to image, beside how large they are."""
    size = float(np.sqrt(np.square(y).mean(dtype=np.float64)))
    return float(np.sqrt(y.var(axis=0).mean(dtype=np.float64))) / size if size else 0.0


@np.errstate(all="ignore")
def moved(before: Sequence[np.ndarray], after: Sequence[np.ndarray]) -> list[float]:
    """Return for each layer how far its weights have come, beside how large they were."""
    return [float(np.linalg.norm(new - old)) / (float(np.linalg.norm(old)) or 1.0) for old, new in zip(before, after)]


def distinct(W: np.ndarray, transposed: bool) -> float:
    """Return how far a layer's units differ in their weights, beside how large those are: 0 where all are the same."""
    W = W.T if transposed else W
    if W.shape[1] == 1:
        return 1.0  # nothing that it could differ from
    size = float(np.linalg.norm(W))
    return float(np.linalg.norm(W - W.mean(axis=1, keepdims=True))) / size if size else 0.0


@np.errstate(over="ignore")
def rms(x: np.ndarray) -> float:
    """Return the root mean square."""
    return float(np.sqrt(np.square(x).mean(dtype=np.float64)))


def facts(images: np.ndarray, tested: np.ndarray | None, width: int) -> dict[str, Any]:
    """Return what a sample of the images tells of the data.

    Parameters
    ----------
    images : ndarray, (n, pixels)
        uint8, or floats in [0, 1].
    tested : ndarray, (m, pixels), or None
    width : int
        Units of the network's narrowest layer.

    Returns
    -------
    dict
        As `fastae.History.start` has it.
    """
    some = sample(images, FACTS)
    low, high = some.min(axis=0), some.max(axis=0)
    x = pixels(some, np.float32)
    mean = x.mean(axis=0)
    white = 255 if images.dtype == np.uint8 else 1
    found = {
        "images": len(images),
        "pixels": images.shape[1],
        "white": white,
        "varying": int(np.sum(high > low)),
        "different": len(np.unique(some, axis=0)),
        "blank": float(np.mean(some.min(axis=1) == some.max(axis=1))),
        "largest": int(high.max()) if white == 255 else 255 * float(high.max()),
        "mean": float(mean.mean(dtype=np.float64)),
        "square": float(np.square(x).sum(axis=1, dtype=np.float64).mean()),
        "mean_image_mse": float(np.square(x - mean).mean(dtype=np.float64)),
    }
    y = None
    if tested is not None:
        y = pixels(sample(tested, FACTS), np.float32)
        found["test_images"] = len(tested)
        found["test_mean_image_mse"] = float(np.square(y - mean).mean(dtype=np.float64))
        found["test_own_mean_mse"] = float(np.square(y - y.mean(axis=0)).mean(dtype=np.float64))
    return found | explained(x, width, y)


def explained(x: np.ndarray, width: int, tested: np.ndarray | None = None) -> dict[str, Any]:
    """Return the share of some images' variance that lies along all the principal components of others, and along as
    many as the narrowest layer has room for; and that of the test images' variance.

    Of images without structure it is no more than along as many directions drawn at random.

    Parameters
    ----------
    x : ndarray, (m, pixels)
    width : int
        Units of the narrowest layer.
    tested : ndarray, (k, pixels), optional
    """
    one, other = (some - some.mean(axis=0) if len(some) else some for some in (x[::2], x[1::2]))
    total = float(np.square(other).sum(dtype=np.float64))
    if not total or len(other) < 2:
        return {"components": 0, "explained": 0.0, "room": 0, "in_room": 0.0}
    values, vectors = np.linalg.eigh(one @ one.T)
    count = int(np.sum(values > 1e-6 * values[-1]))
    axes = one.T @ (vectors[:, ::-1][:, :count] / np.sqrt(values[::-1][:count]))
    shares = np.cumsum(np.square(other @ axes).sum(axis=0, dtype=np.float64)) / total
    room = min(width, count)
    found = {"components": count, "explained": float(shares[-1]), "room": room, "in_room": float(shares[room - 1])}
    if tested is not None:
        tested = tested - tested.mean(axis=0)
        along, all_of_it = (np.square(some).sum(dtype=np.float64) for some in (tested @ axes, tested))
        found["test_explained"] = float(along / all_of_it) if all_of_it else 1.0
    return found


class Parts:
    """The losses of the parts of an epoch, which end after the same batches however often somebody looks.

    Parameters
    ----------
    batches : int
        Of the epoch; those left behind the last whole one belong to the last part.
    """

    def __init__(self, batches: int) -> None:
        self.batches, self.done, self.losses = batches, 0, []  # type: int, int, list[float]
        self._begin = (0, 0.0)

    def left(self) -> int:
        """Return how many batches are left of this part."""
        part = self.done * PARTS // self.batches + 1
        return -(-part * self.batches // PARTS) - self.done

    def look(self, batches: int, seen: int, total: float) -> None:
        """Take notice that so many batches more are done, and of the images and the loss of the epoch so far."""
        last = batches == self.left()
        self.done += batches
        if last:
            self.losses.append((total - self._begin[1]) / (seen - self._begin[0]))
            self._begin = seen, total


def of_epoch(model: Any, parameters: Any, x: np.ndarray, parts: Parts) -> dict[str, Any]:
    """Return `fastae.Epoch.signs` of an epoch that led from the model's weights to these parameters."""
    found = {"parts": parts.losses, "updates": parts.batches, "moved": moved(model.weights, parameters.W)}
    return brief(found | signs(model.layers, model.activation, parameters.W, parameters.b, x))


def start(trainer: Any, images: np.ndarray, tested: np.ndarray | None) -> dict[str, Any]:
    """Return `fastae.History.start`; without the network's figures where epochs of an older release came before."""
    model = trainer.model
    found = facts(images, tested, min(layer.outputs for layer in model.layers))
    if trainer.suggestion:
        found["usual_lr"] = trainer.suggestion.lr / (1 - trainer.optimizer.momentum)
    else:
        found["usual_lr"] = suggest(images, model, trainer.loss, 0.0, trainer.batch_size).lr
    if not trainer.history.epochs:
        initial = signs(model.layers, model.activation, model.weights, model.biases, sample(images))
        initial["weights"], initial["biases"] = (list(map(rms, group)) for group in (model.weights, model.biases))
        initial["distinct"] = [distinct(W, layer.kind == "transposed") for W, layer in zip(model.weights, model.layers)]
        found["initial"] = initial
    return brief(found)


def brief(found: Any) -> Any:
    """Return figures with the digits that are kept, and without NaN and infinity, which JSON does not know."""
    if isinstance(found, dict):
        return {name: brief(x) for name, x in found.items()}
    if isinstance(found, list):
        return [brief(x) for x in found]
    if not isinstance(found, float):
        return found
    return float(f"{found:.{DIGITS}g}") if math.isfinite(found) else HUGE
