"""The options of ``fastae train`` that choose the network, the network itself, and its name in files and captions."""

import argparse
from collections.abc import Sequence
from typing import Any, NamedTuple

from fastae.activations import ACTIVATIONS
from fastae.errors import InputError

HIDDEN = (256, 128)  # units of the dense network's layers after the image, as the handout asks for
CHANNELS, CODE = (16, 32), 128  # of the convolutional network
LOSS_NAMES = {"mse": "squared error", "bce": "cross-entropy"}


class Kind(NamedTuple):
    """One row of the table of networks.

    Attributes
    ----------
    activation : str
        The default activation of the hidden layers.
    options : tuple of str
        Names of the options that only this network has.
    """

    activation: str
    options: tuple[str, ...]


MODELS = {
    "dense": Kind("sigmoid", ("sizes",)),
    "conv": Kind("tanh", ("channels", "code")),
}


def whole(text: str) -> int:
    """Parse a positive whole number; an argparse type."""
    return whole_numbers(text, 1)[0]


def whole_numbers(text: str, most: int | None = None) -> tuple[int, ...]:
    """Parse positive whole numbers separated by commas, at most ``most`` of them; an argparse type."""
    try:
        numbers = tuple(int(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if not numbers or min(numbers) < 1 or len(numbers) > (most or len(numbers)):
        kind = "a positive whole number" if most == 1 else "positive whole numbers with commas between"
        raise argparse.ArgumentTypeError(f"must be {kind}; got {text!r}")
    return numbers


def add_options(option: Any) -> None:
    """Add the options that choose the network; ``option`` is a parser's ``add_argument``."""
    option(
        "--model",
        default="dense",
        help="dense: the handout's network, in which each unit is connected to the whole layer before; conv: "
        "convolutions of stride 2 and then a dense layer. The decoder mirrors the encoder",
    )
    option(
        "--sizes",
        type=whole_numbers,
        metavar="N,N,...",
        help="with --model dense: widths of the layers from the image to the code; by default the number of pixels, "
        "then " + ", ".join(map(str, HIDDEN)),
    )
    option(
        "--channels",
        type=whole_numbers,
        metavar="N,N,...",
        help="with --model conv: channels of each convolution, which is 3 x 3 with stride 2 and padding 1; by default "
        + ",".join(map(str, CHANNELS)),
    )
    option("--code", type=whole, metavar="N", help=f"with --model conv: width of the code; by default {CODE}")
    *others, last = ACTIVATIONS
    option(
        "--activation",
        help=f"activation of the hidden layers, {', '.join(others)} or {last}; by default "
        + ", ".join(f"{kind.activation} for {name}" for name, kind in MODELS.items())
        + ". The last layer always has the sigmoid",
    )
    option(
        "--init",
        metavar="NAME|F",
        help="initial weights: glorot-sigmoid, glorot, he, or a number, the standard deviation of every weight and "
        "bias; by default glorot-sigmoid for sigmoid, glorot for tanh, he for relu",
    )


def check(options: argparse.Namespace) -> None:
    """Raise `InputError` for an unknown network or activation, or an option that belongs to another network."""
    from fastae.activations import activation_of

    if options.model not in MODELS:
        raise InputError(f"unknown model {options.model!r}; the models are: {', '.join(MODELS)}")
    activation_of(activation(options))
    for name, kind in MODELS.items():
        for foreign in kind.options:
            if name != options.model and getattr(options, foreign) is not None:
                own = " and ".join(f"--{option}" for option in MODELS[options.model].options)
                raise InputError(f"--{foreign} is an option of --model {name}; --model {options.model} has {own}")


def activation(options: argparse.Namespace) -> str:
    """Return the name of the hidden layers' activation; it may be unknown."""
    return MODELS[options.model].activation if options.activation is None else options.activation


def build(options: argparse.Namespace, image: Sequence[int]) -> Any:
    """Return the `fastae.Autoencoder` for images of (height, width); raises `InputError`."""
    from fastae.layers import Conv2d, Dense
    from fastae.model import INITS, Autoencoder

    pixels = image[0] * image[1]
    init = options.init if options.init is None or options.init in INITS else _number(options.init)
    chosen: dict[str, Any] = {"init": init, "activation": activation(options), "image_shape": tuple(image)}
    if options.model == "conv":
        layers: list[Any] = [Conv2d(n, kernel=3, stride=2, padding=1) for n in options.channels or CHANNELS]
        layers.append(Dense(options.code or CODE))
        return Autoencoder(None, options.seed, options.dtype, layers=layers, **chosen)
    sizes = options.sizes or (pixels, *HIDDEN)
    if sizes[0] != pixels or len(sizes) < 2:
        raise InputError(
            f"--sizes must begin with {pixels}, the pixels of an image of {image[0]} x {image[1]}, and have at least "
            f"one number more; got {','.join(map(str, sizes))}"
        )
    return Autoencoder(sizes, options.seed, options.dtype, **chosen)


def folder(options: argparse.Namespace, pixels: int) -> str:
    """Return the beginning of the results' folder: what differs from the handout's network, each part with a dash."""
    parts = []
    if options.model == "conv":
        channels, code = options.channels or CHANNELS, options.code or CODE
        parts += ["conv"]
        parts += [] if channels == CHANNELS else ["-".join(map(str, channels))]
        parts += [] if code == CODE else [f"code{code}"]
    elif (sizes := options.sizes or (pixels, *HIDDEN)) != (pixels, *HIDDEN):
        parts += ["-".join(map(str, sizes))]
    if activation(options) != MODELS[options.model].activation:
        parts += [activation(options)]
    return "".join(f"{part}-" for part in parts)


def named(model: Any) -> str:
    """Return a description of the encoder, from the image to the code; "" for the handout's network."""
    if all(layer.kind == "dense" for layer in model.layers):
        usual = model.sizes[1:] == HIDDEN and model.activation == "sigmoid"
        return "" if usual else f"{'-'.join(map(str, model.sizes))}, {model.activation}"
    return f"{', '.join(map(brief, model.specs))}, {model.activation}"


def brief(spec: Any) -> str:
    """Return a layer without its default arguments, such as ``Conv2d(16, stride=2)``."""
    if type(spec).__name__ != "Conv2d":
        return str(spec)
    usual = {"kernel": 3, "stride": 1, "padding": spec.kernel // 2}
    others = [f"{name}={getattr(spec, name)}" for name, n in usual.items() if getattr(spec, name) != n]
    return f"Conv2d({', '.join([str(spec.channels), *others])})"


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text  # `Autoencoder` reports what it should have been
