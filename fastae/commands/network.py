"""The options that choose the network, the network that they choose, and what it is called."""

import argparse
from collections.abc import Sequence
from typing import Any, NamedTuple

from fastae.errors import InputError

HIDDEN = (256, 128)  # the handout's: of the dense network, behind the image
CHANNELS, CODE = (16, 32), 128
LOSS_NAMES = {"mse": "squared error", "bce": "cross-entropy"}


class Kind(NamedTuple):
    """One row of the table of networks.

    Attributes
    ----------
    activation : str
        Unless one is asked for.
    own : tuple of str
        The options that no other network has.
    """

    activation: str
    own: tuple[str, ...]


MODELS = {
    "dense": Kind(
        "sigmoid",
        ("sizes",),
    ),
    "conv": Kind(
        "tanh",
        ("channels", "code"),
    ),
}


def whole(text: str) -> int:
    """Read a positive whole number, as argparse calls it."""
    return whole_numbers(text, 1)[0]


def whole_numbers(text: str, most: int | None = None) -> tuple[int, ...]:
    """Read positive whole numbers with commas between, as argparse calls it."""
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
        help="dense: the handout's, each unit sees all of the layer before; conv: convolutions of stride 2 and then a "
        "dense layer. The decoder mirrors the encoder",
    )
    absent: dict[str, Any] = {"default": argparse.SUPPRESS}
    option(
        "--sizes",
        type=whole_numbers,
        metavar="N,N,...",
        help="of --model dense: numbers from the image to the code; by default the image's pixels, "
        + ", ".join(map(str, HIDDEN)),
        **absent,
    )
    option(
        "--channels",
        type=whole_numbers,
        metavar="N,N,...",
        help="of --model conv: of each convolution, 3 x 3 with stride 2 and padding 1; by default "
        + ",".join(map(str, CHANNELS)),
        **absent,
    )
    option("--code", type=whole, metavar="N", help=f"of --model conv: numbers of the code; by default {CODE}", **absent)
    option(
        "--activation",
        help="sigmoid, tanh or relu, of all layers but the last, which has the sigmoid; by default "
        + ", ".join(f"{kind.activation} for {name}" for name, kind in MODELS.items()),
        **absent,
    )
    option(
        "--init",
        metavar="NAME|F",
        help="glorot-sigmoid, glorot, he, or the standard deviation of every weight and bias; by default the first for "
        "sigmoid, the second for tanh, the third for relu",
        **absent,
    )


def check(options: argparse.Namespace) -> None:
    """Refuse an unknown network or activation, and options of one network given to another; raises `InputError`."""
    from fastae.activations import activation_of

    if options.model not in MODELS:
        raise InputError(f"unknown model {options.model!r}; the models are: {', '.join(MODELS)}")
    activation_of(activation(options))
    for name, kind in MODELS.items():
        for foreign in kind.own:
            if name != options.model and hasattr(options, foreign):
                own = " and ".join(f"--{mine}" for mine in MODELS[options.model].own)
                raise InputError(f"--{foreign} is an option of --model {name}; --model {options.model} has {own}")


def activation(options: argparse.Namespace) -> str:
    """Return the hidden layers' activation, which may be unknown."""
    return getattr(options, "activation", MODELS[options.model].activation)


def build(options: argparse.Namespace, image: Sequence[int]) -> Any:
    """Return the `fastae.Autoencoder` for images of (height, width); raises `InputError`."""
    from fastae.layers import Conv2d, Dense
    from fastae.model import INITS, Autoencoder

    pixels = image[0] * image[1]
    given = getattr(options, "init", None)
    init = given if given is None or given in INITS else _number(given)
    chosen: dict[str, Any] = {"init": init, "activation": activation(options), "image_shape": tuple(image)}
    if options.model == "conv":
        layers: list[Any] = [Conv2d(n, kernel=3, stride=2, padding=1) for n in _channels(options)]
        return Autoencoder(
            None, options.seed, options.dtype, layers=[*layers, Dense(getattr(options, "code", CODE))], **chosen
        )
    sizes = getattr(options, "sizes", (pixels, *HIDDEN))
    if sizes[0] != pixels or len(sizes) < 2:
        raise InputError(
            f"--sizes must begin with {pixels}, the pixels of an image of {image[0]} x {image[1]}, and have at least "
            f"one number more; got {','.join(map(str, sizes))}"
        )
    return Autoencoder(sizes, options.seed, options.dtype, **chosen)


def folder(options: argparse.Namespace, pixels: int) -> str:
    """Return how the results' folder begins: "" for the handout's network, else what is different, and a dash."""
    parts = []
    if options.model == "conv":
        code = getattr(options, "code", CODE)
        parts += ["conv"]
        parts += [] if _channels(options) == CHANNELS else ["-".join(map(str, _channels(options)))]
        parts += [] if code == CODE else [f"code{code}"]
    elif (sizes := getattr(options, "sizes", (pixels, *HIDDEN))) != (pixels, *HIDDEN):
        parts += ["-".join(map(str, sizes))]
    usual = MODELS[options.model].activation
    parts += [] if activation(options) == usual else [activation(options)]
    return "".join(f"{part}-" for part in parts)


def named(model: Any) -> str:
    """Return the network in words, from the image to the code; "" for the handout's, of which nobody need be told."""
    if all(layer.kind == "dense" for layer in model.layers):
        usual = model.sizes[1:] == HIDDEN and model.activation == "sigmoid"
        return "" if usual else f"{'-'.join(map(str, model.sizes))}, {model.activation}"
    return f"{', '.join(map(brief, model.specs))}, {model.activation}"


def brief(spec: Any) -> str:
    """Return a layer without what is as usual: Conv2d(16, stride=2)."""
    if type(spec).__name__ != "Conv2d":
        return str(spec)
    usual = {"kernel": 3, "stride": 1, "padding": spec.kernel // 2}
    told = [f"{name}={getattr(spec, name)}" for name, n in usual.items() if getattr(spec, name) != n]
    return f"Conv2d({', '.join([str(spec.channels), *told])})"


def _channels(options: argparse.Namespace) -> tuple[int, ...]:
    return getattr(options, "channels", CHANNELS)


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text  # the model says what it should have been
