"""The reference training loop: the same autoencoder, trained by PyTorch's autograd in float64.

It shares no code with fastae: weights, order of the batches, loss and update are written down here once more from
the rules that fastae promises, and the gradients are PyTorch's. Where the two agree, neither copied the other.
"""

import gzip
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import binary_cross_entropy, mse_loss

MNIST_FOLDER = Path(__file__).parents[2] / "fastae" / "datasets" / "mnist"

Arrays = list[np.ndarray]
Tensors = list[torch.Tensor]


@dataclass(frozen=True, kw_only=True)
class Training:
    """All that a training run depends on besides its network and its images."""

    loss: str
    lr: float
    momentum: float = 0.0
    batch_size: int = 8
    epochs: int = 12
    seed: int = 3  # of the weights
    order_seed: int = 7  # of the batches; another number than `seed`, so that mixing the two up is noticed


@dataclass(frozen=True, kw_only=True)
class Settings(Training):
    """A training run of a dense network."""

    sizes: tuple[int, ...]


@dataclass
class Trajectory:
    """What a training run left behind: parameters after the first and the last step, and its losses."""

    first_weights: Arrays = field(default_factory=list)
    first_biases: Arrays = field(default_factory=list)
    final_weights: Arrays = field(default_factory=list)
    final_biases: Arrays = field(default_factory=list)
    step_loss: list[float] = field(default_factory=list)
    train_loss: list[float] = field(default_factory=list)
    test_mse: list[float] = field(default_factory=list)


def draw_parameters(sizes: tuple[int, ...], seed: int) -> tuple[Arrays, Arrays]:
    """Draw the weights and biases of "glorot-sigmoid", layer by layer, a weight matrix before its bias."""
    rng = np.random.default_rng([0, seed])
    weights, biases = [], []
    for fan_in, fan_out in pairwise([*sizes, *sizes[-2::-1]]):  # the decoder mirrors the encoder
        sigma = 4 * np.sqrt(2 / (fan_in + fan_out))
        weights.append(rng.normal(0, sigma, (fan_in, fan_out)))
        biases.append(rng.normal(0, 0.1, fan_out))
    return weights, biases


def batch_order(n: int, order_seed: int, epoch: int) -> np.ndarray:
    """Return the order in which epoch `epoch` (from 0) visits its `n` images, each once."""
    return np.random.default_rng([1, order_seed, epoch]).permutation(n)


def make_images(n: int, width: int, seed: int) -> np.ndarray:
    """Make up uint8 images of which, as in MNIST, most pixels are 0 and the others anything up to 255."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (n, width), dtype=np.uint8)
    pixels[rng.random((n, width)) < 0.6] = 0
    return pixels


def read_mnist(part: str, count: int) -> np.ndarray:
    """Read the first `count` images of MNIST's part "train" or "t10k" as uint8, one a row."""
    with gzip.open(MNIST_FOLDER / f"{part}-images-idx3-ubyte.gz") as file:
        file.seek(16)  # the IDX header: magic number, count, rows, columns
        return np.frombuffer(file.read(count * 784), np.uint8).reshape(count, 784)


def reconstruct(x: torch.Tensor, weights: Tensors, biases: Tensors) -> torch.Tensor:
    """Send images through encoder and decoder: every layer is sigmoid(x @ W + b)."""
    for W, b in zip(weights, biases, strict=True):
        x = torch.sigmoid(x @ W + b)
    return x


def summed_loss(z: torch.Tensor, x: torch.Tensor, loss: str) -> torch.Tensor:
    """Return the loss of the reconstructions `z`, summed over pixels and images."""
    if loss == "mse":
        return mse_loss(z, x, reduction="sum")
    # PyTorch divides by max(z(1 - z), 1e-12); beyond that floor it is the floor's gradient, no longer the loss's.
    if (z * (1 - z)).min() < 1e-12:
        raise ArithmeticError("a reconstruction is so saturated that PyTorch's gradient of the BCE is clamped")
    return binary_cross_entropy(z, x, reduction="sum")


def train(
    weights: Arrays,
    biases: Arrays,
    images: np.ndarray,
    test_images: np.ndarray | None,
    settings: Training,
    forward: Callable[[torch.Tensor, Tensors, Tensors], torch.Tensor] = reconstruct,
) -> Trajectory:
    """Train from the given parameters, which stay as they are, by autograd and torch.optim.SGD in float64.

    ``forward`` sends images through the network.
    """
    W = [torch.tensor(w, dtype=torch.float64, requires_grad=True) for w in weights]
    b = [torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in biases]
    optimizer = torch.optim.SGD([*W, *b], lr=settings.lr, momentum=settings.momentum)
    x_all = torch.tensor(images / 255.0)
    x_test = None if test_images is None else torch.tensor(test_images / 255.0)
    n = len(images)
    out = Trajectory()

    for epoch in range(settings.epochs):
        order = torch.tensor(batch_order(n, settings.order_seed, epoch))
        epoch_loss = 0.0
        for chosen in order.split(settings.batch_size):  # the last batch has what is left
            x = x_all[chosen]
            total = summed_loss(forward(x, W, b), x, settings.loss)
            optimizer.zero_grad()
            (total / len(x)).backward()
            optimizer.step()

            epoch_loss += total.item()
            out.step_loss.append(total.item() / len(x))
            if len(out.step_loss) == 1:
                out.first_weights, out.first_biases = _copies(W), _copies(b)
        out.train_loss.append(epoch_loss / n)
        if x_test is not None:
            with torch.no_grad():
                out.test_mse.append(mse_loss(forward(x_test, W, b), x_test).item())

    out.final_weights, out.final_biases = _copies(W), _copies(b)
    return out


def _copies(parameters: list[torch.Tensor]) -> Arrays:
    # .numpy() alone would be a view, which the next step overwrites
    return [p.detach().numpy().copy() for p in parameters]
