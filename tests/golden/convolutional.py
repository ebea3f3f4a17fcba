"""The reference for networks with convolutions: PyTorch's conv2d and conv_transpose2d, its autograd and optim.SGD.

As `reference.py` does for dense networks, it shares no code with fastae. A parameter is kept as fastae keeps it, and
turned into PyTorch's layout inside the network, so that autograd's gradients arrive in fastae's layout too:

- an image is a row of pixels, channels last; PyTorch has (channels, height, width);
- a convolution's weights are (row, column, input channel) by output channel; PyTorch has (out, in, row, column);
- a transposed convolution's are (row, column, output channel) by input channel; PyTorch has (in, out, row, column).
"""

import math
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
import reference
import torch
from reference import Arrays, Tensors, Training, Trajectory
from torch.nn import functional

Shape = tuple[int, int, int]  # height, width, channels


class Conv(NamedTuple):
    """A convolution of the encoder."""

    channels: int
    kernel: int
    stride: int
    padding: int


class Dense(NamedTuple):
    """A dense layer of the encoder; its units may have a shape, (height, width, channels)."""

    units: int | Shape


@dataclass(frozen=True, kw_only=True)
class Settings(Training):
    """A training run of a network with convolutions."""

    encoder: tuple[Conv | Dense, ...]
    image: Shape
    activation: str


class Layer(NamedTuple):
    """One layer of the network, encoder or decoder."""

    kind: str
    before: Shape
    after: Shape
    conv: Conv | None

    @property
    def weights(self) -> tuple[int, int]:
        """The shape of its weights."""
        if self.conv is None:
            return math.prod(self.before), math.prod(self.after)
        image, patched = (self.before, self.after) if self.kind == "conv" else (self.after, self.before)
        return self.conv.kernel**2 * image[2], patched[2]

    @property
    def biases(self) -> int:
        """How many biases it has."""
        return math.prod(self.after) if self.conv is None else self.after[2]

    @property
    def sigma(self) -> dict[str, float]:
        """The standard deviation of its weights, by the rule's name."""
        fan_in, fan_out = map(float, self.weights)
        if self.conv is not None:
            fan_out *= self.conv.kernel**2 / self.conv.stride**2
            fan_in, fan_out = (fan_in, fan_out) if self.kind == "conv" else (fan_out, fan_in)
        glorot = math.sqrt(2 / (fan_in + fan_out))
        return {"sigmoid": 4 * glorot, "tanh": glorot, "relu": math.sqrt(2 / fan_in)}


def network(settings: Settings) -> list[Layer]:
    """Return the layers of the encoder, and behind them those of the decoder, its mirror image."""
    encoder, shape = [], settings.image
    for spec in settings.encoder:
        if isinstance(spec, Conv):
            height, width = ((n + 2 * spec.padding - spec.kernel) // spec.stride + 1 for n in shape[:2])
            layer = Layer("conv", shape, (height, width, spec.channels), spec)
        else:
            after = (1, 1, spec.units) if isinstance(spec.units, int) else spec.units
            layer = Layer("dense", shape, after, None)
        encoder.append(layer)
        shape = layer.after
    mirror = {"conv": "transposed", "dense": "dense"}
    return encoder + [Layer(mirror[x.kind], x.after, x.before, x.conv) for x in reversed(encoder)]


def draw_parameters(settings: Settings) -> tuple[Arrays, Arrays]:
    """Draw weights and biases by the activation's own rule, layer by layer, a weight matrix before its bias."""
    rng = np.random.default_rng([0, settings.seed])
    weights, biases = [], []
    for layer in network(settings):
        weights.append(rng.normal(0, layer.sigma[settings.activation], layer.weights))
        biases.append(rng.normal(0, 0.1, layer.biases))
    return weights, biases


def apply(layer: Layer, x: torch.Tensor, W: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Return a layer's pre-activations, rows of pixels, for rows of pixels."""
    if layer.conv is None:
        return x @ W + b
    _, kernel, stride, padding = layer.conv
    images = x.reshape(-1, *layer.before).permute(0, 3, 1, 2)
    taps = W.reshape(kernel, kernel, -1, W.shape[1]).permute(3, 2, 0, 1)
    if layer.kind == "conv":
        out = functional.conv2d(images, taps, b, stride, padding)
    else:
        # What the convolution's last stride did not reach: rows and columns that no patch of it is in.
        reached = [(n - 1) * stride - 2 * padding + kernel for n in layer.before[:2]]
        extra = [n - r for n, r in zip(layer.after[:2], reached, strict=True)]
        out = functional.conv_transpose2d(images, taps, b, stride, padding, extra)
    return out.permute(0, 2, 3, 1).reshape(len(x), -1)


def reconstruct(layers: list[Layer], activation: str, x: torch.Tensor, W: Tensors, b: Tensors) -> torch.Tensor:
    """Send images through encoder and decoder; the last layer's activation is the sigmoid."""
    for layer, W_l, b_l in zip(layers[:-1], W, b, strict=False):
        x = getattr(torch, activation)(apply(layer, x, W_l, b_l))
    return torch.sigmoid(apply(layers[-1], x, W[-1], b[-1]))


def train(
    weights: Arrays, biases: Arrays, images: np.ndarray, test_images: np.ndarray | None, settings: Settings
) -> Trajectory:
    """Train as `reference.train` does."""
    forward = partial(reconstruct, network(settings), settings.activation)
    return reference.train(weights, biases, images, test_images, settings, forward)
