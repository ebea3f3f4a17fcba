"""Compute the figures that a diagnosis reads, on a small sample of the training's images.

All of it is NumPy on the host, from parameters that the trainer has fetched anyway; no backend computes any of it.
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
FACTS = 256  # images that are examined once, before the first epoch
PARTS = 10  # parts of an epoch whose losses are kept
DIGITS = 6  # significant digits of a figure
ALONE, ROWS = 1 << 18, 16  # multiplications that OpenBLAS does on one thread; images in a block
HUGE = 1e300  # stands for NaN and infinity
OFF_BY = 0.5  # least error of a pixel that is stuck at black or white


def sample(images: np.ndarray, most: int = SAMPLE) -> np.ndarray:
    """Return at most ``most`` of the images, evenly spaced, so that images sorted by class are sampled fairly."""
    if len(images) <= most:
        return images
    return images[np.linspace(0, len(images) - 1, most).astype(np.intp)]


def pixels(images: np.ndarray, dtype: Any) -> np.ndarray:
    """Return images, bytes or floats, as floats in [0, 1]."""
    return np.divide(images, 255, dtype=dtype) if images.dtype == np.uint8 else images.astype(dtype, copy=False)


@np.errstate(all="ignore")  # the figures of a training that diverges may be infinite
def signs(
    layers: Sequence[Layer], activation: str, W: Sequence[Any], b: Sequence[Any], x: np.ndarray
) -> dict[str, Any]:
    """Run a network on a sample of images and return figures about its layers' outputs.

    Parameters
    ----------
    layers, activation
        As of a `fastae.Autoencoder`.
    W, b : sequence of ndarray
        Weights and biases, of each layer.
    x : ndarray, (m, pixels)
        Images as uint8, or as floats in [0, 1].

    Returns
    -------
    dict
        Those entries of `fastae.Epoch.signs` that do not depend on the epoch's updates.
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
    """Write a · W in blocks so small that OpenBLAS uses one thread; more would spin for 30 ms into the next epoch."""
    columns = max(1, ALONE // (ROWS * len(W)))
    for i in range(0, len(a), ROWS):
        for j in range(0, W.shape[1], columns):
            np.matmul(a[i : i + ROWS], W[:, j : j + columns], out=out[i : i + ROWS, j : j + columns])


def share_flat(y: np.ndarray, layer: Layer, activation: str) -> float:
    """Return the share of a layer's outputs at which the activation is flat; for relu, of units 0 for all images.

    Parameters
    ----------
    y : ndarray, (m, layer.outputs)
        The layer's outputs.
    """
    if ACTIVATIONS[activation].dies:
        return float(np.mean(~(y > 0).reshape(-1, layer.channels).any(axis=0)))
    low, high = ACTIVATIONS[activation].flat
    return float(np.mean((y < low) | (y > high)))


def spread(y: np.ndarray) -> float:
    """Return the standard deviation of units, (m, units), from image to image, divided by their root mean square."""
    size = float(np.sqrt(np.square(y).mean(dtype=np.float64)))
    return float(np.sqrt(y.var(axis=0).mean(dtype=np.float64))) / size if size else 0.0


@np.errstate(all="ignore")
def moved(before: Sequence[np.ndarray], after: Sequence[np.ndarray]) -> list[float]:
    """Return for each layer the norm of its weights' change, divided by the norm of the weights before."""
    return [float(np.linalg.norm(new - old)) / (float(np.linalg.norm(old)) or 1.0) for old, new in zip(before, after)]


def distinct(W: np.ndarray, transposed: bool) -> float:
    """Return how much the weights of a layer's units differ, relative to their norm; 0 if all units are identical."""
    W = W.T if transposed else W
    if W.shape[1] == 1:
        return 1.0  # there is no other unit
    size = float(np.linalg.norm(W))
    return float(np.linalg.norm(W - W.mean(axis=1, keepdims=True))) / size if size else 0.0


@np.errstate(over="ignore")
def rms(x: np.ndarray) -> float:
    """Return the root mean square."""
    return float(np.sqrt(np.square(x).mean(dtype=np.float64))) if x.size else 0.0


def facts(images: np.ndarray, tested: np.ndarray | None, width: int) -> dict[str, Any]:
    """Return figures about the data, from a sample of the images.

    Parameters
    ----------
    images : ndarray, (n, pixels)
        Training images as uint8, or as floats in [0, 1].
    tested : ndarray, (m, pixels), or None
        Test images, likewise.
    width : int
        Units of the network's narrowest layer.

    Returns
    -------
    dict
        Those entries of `fastae.History.start` that do not depend on the network's parameters.
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
    """Return how much of the images' variance principal components of other images explain.

    The components are those of every second image, and the variance that of the others. If images have no structure,
    components explain no more than as many random directions.

    Parameters
    ----------
    x : ndarray, (m, pixels)
        Training images as floats.
    width : int
        Units of the narrowest layer.
    tested : ndarray, (k, pixels), optional
        Test images as floats.

    Returns
    -------
    dict
        ``components``, how many there are, and ``explained``, the share that they explain; ``room``, how many the
        narrowest layer has room for, and ``in_room``, the share that these explain; ``test_explained``, the share of
        the test images' variance.
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
    """The losses of the parts of an epoch; each part ends after the same batch in every run.

    Parameters
    ----------
    batches : int
        Number of batches in the epoch.
    """

    def __init__(self, batches: int) -> None:
        self.batches, self.done, self.losses = batches, 0, []  # type: int, int, list[float]
        self._begin = (0, 0.0)

    def left(self) -> int:
        """Return how many batches of the current part are left."""
        part = self.done * PARTS // self.batches + 1
        return -(-part * self.batches // PARTS) - self.done

    def look(self, batches: int, seen: int, total: float) -> None:
        """Record that ``batches`` more are done; ``seen`` and ``total`` are the epoch's images and loss so far."""
        last = batches == self.left()
        self.done += batches
        if last:
            self.losses.append((total - self._begin[1]) / (seen - self._begin[0]))
            self._begin = seen, total


def of_epoch(model: Any, parameters: Any, x: np.ndarray, parts: Parts) -> dict[str, Any]:
    """Return `fastae.Epoch.signs` of an epoch that changed the model's weights to these parameters."""
    found = {"parts": parts.losses, "updates": parts.batches, "moved": moved(model.weights, parameters.W)}
    return brief(found | signs(model.layers, model.activation, parameters.W, parameters.b, x))


def start(trainer: Any, images: np.ndarray, tested: np.ndarray | None) -> dict[str, Any]:
    """Return `fastae.History.start`; without the network's figures if earlier epochs were trained already."""
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
    """Return figures rounded to `DIGITS` digits, with `HUGE` for NaN and infinity, which JSON cannot represent."""
    if isinstance(found, dict):
        return {name: brief(x) for name, x in found.items()}
    if isinstance(found, list):
        return [brief(x) for x in found]
    if not isinstance(found, float):
        return found
    return float(f"{found:.{DIGITS}g}") if math.isfinite(found) else HUGE
