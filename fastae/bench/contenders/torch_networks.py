"""The models as modules of PyTorch, with fastae's initial parameters in PyTorch's layouts."""

import torch
from torch import Tensor, nn

from fastae.bench.contenders.job import network
from fastae.layers import Layer


def sequential(loss: str, model: str = "dense") -> nn.Sequential:
    """Build a model whose input and output are rows of pixels.

    For the cross-entropy it lacks its last sigmoid, which that loss takes in, as PyTorch advises.
    """
    made = network(model)
    activation = {"sigmoid": nn.Sigmoid, "tanh": nn.Tanh}[made.activation]
    layers: list[nn.Module] = []
    flat = True  # as the images come, and as a dense layer wants them
    for layer, W, b in zip(made.layers, made.weights, made.biases):
        if layer.shared and flat:
            layers.append(nn.Unflatten(1, (layer.inputs // layer.pixels, *before(layer))))
        elif not layer.shared and not flat:
            layers.append(nn.Flatten())
        flat = not layer.shared
        layers += [module(layer, torch.from_numpy(W), torch.from_numpy(b)), activation()]
    reorder(made.layers, layers)
    layers[-1:] = [nn.Sigmoid()] if loss == "mse" else []
    return nn.Sequential(*layers, *([] if flat else [nn.Flatten()]))


def before(layer: Layer) -> tuple[int, int]:
    """Return the height and width of the input of a convolution or a transposed convolution."""
    g = layer.geometry
    return (g.height, g.width) if layer.kind == "conv" else (g.rows, g.columns)


def module(layer: Layer, W: Tensor, b: Tensor) -> nn.Module:
    """Make the module of a layer; PyTorch's kernels are (output channels, input channels, rows, columns)."""
    made: nn.Linear | nn.Conv2d | nn.ConvTranspose2d
    g, channels = layer.geometry, layer.inputs // layer.pixels
    if layer.kind == "dense":
        made, weight = nn.Linear(layer.inputs, layer.outputs), W.T
    else:
        weight = W.reshape(g.kernel, g.kernel, -1, W.shape[1]).permute(3, 2, 0, 1)
        if layer.kind == "conv":
            made = nn.Conv2d(channels, layer.channels, g.kernel, g.stride, g.padding)
        else:
            reached = [(n - 1) * g.stride - 2 * g.padding + g.kernel for n in (g.rows, g.columns)]
            extra = g.height - reached[0], g.width - reached[1]
            made = nn.ConvTranspose2d(channels, layer.channels, g.kernel, g.stride, g.padding, extra)
    with torch.no_grad():
        made.weight.copy_(weight)
        made.bias.copy_(b)
    return made


@torch.no_grad()
def reorder(layers: list[Layer], modules: list[nn.Module]) -> None:
    """Permute the units of dense layers next to convolutions to PyTorch's channels first; fastae has them last."""
    linear = [m for m in modules if isinstance(m, nn.Linear | nn.Conv2d | nn.ConvTranspose2d)]
    for i, (layer, made) in enumerate(zip(layers, linear)):
        if not isinstance(made, nn.Linear):
            continue
        if i > 0 and layers[i - 1].shared:
            g = layers[i - 1].geometry
            rows, columns = (g.rows, g.columns) if layers[i - 1].kind == "conv" else (g.height, g.width)
            images = made.weight.reshape(layer.outputs, rows, columns, -1)
            made.weight.copy_(images.permute(0, 3, 1, 2).reshape(layer.outputs, -1))
        if i + 1 < len(layers) and layers[i + 1].shared:
            rows, columns = before(layers[i + 1])
            for p in (made.weight, made.bias):
                images = p.reshape(rows, columns, -1, p.numel() // layer.outputs)
                p.copy_(images.permute(2, 0, 1, 3).reshape(p.shape))
