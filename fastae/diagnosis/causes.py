"""What a training fails of: one cause a row, in the order in which they are asked about.

A row has the cause's name; when the figures show it; what is told of it; and what mends it. What is wrong with the data
comes before what is wrong with the network's beginning, and that before the learning rate, since each makes what
comes after it fail as well.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

from fastae.diagnosis.case import DARK, NEEDED, Case

FLAT = 0.5  # share of a layer's outputs that are flat, from which on little learns
LARGE = 2.5  # times the usual rate, from which on a rate is called too large
SAME = 0.02  # spread of a code that is the same for all images
FOREIGN = 5  # a rate within so many times another's is taken for it


def _always(case: Case) -> bool:
    return True


def _never(case: Case) -> bool:
    return False


class Cause(NamedTuple):
    """One row.

    Attributes
    ----------
    name, kind : str
        What goes wrong, and where it lies: with the data, the start, the rate, the network or the length of the
        training. Of one kind only the first is told.
    holds : callable
        Do the figures show it?
    told, mend : callable
        What is said of it, and what to do.
    alone : callable
        Where another cause is told already, is this one sure to be left when that is mended?
    """

    name: str
    kind: str
    holds: Callable[[Case], bool]
    told: Callable[[Case], str]
    mend: Callable[[Case], str]
    alone: Callable[[Case], bool] = _never


# The data.


def _dark(case: Case) -> bool:
    return 0 < case.start["largest"] <= DARK


def _nearly_constant(case: Case) -> bool:
    return math.sqrt(case.start["mean_image_mse"]) < 0.01


def _chance(case: Case) -> float:
    return case.start["components"] / max(1, case.start["varying"])


def _noise(case: Case) -> bool:
    count, found = case.start["components"], case.start["explained"]
    return count >= 10 and found < 0.5 and found < 1.5 * _chance(case) + 0.02


def _others(case: Case) -> bool:
    start, count = case.start, min(case.start["images"], 256)
    if "test_mean_image_mse" not in start:
        return False
    own = start["test_own_mean_mse"]
    return case.blob_or_forgets and start["test_mean_image_mse"] > own * (1.4 + 2 / count) + 1e-4


# The beginning.


def _identical(case: Case) -> bool:
    return min(case.initial.get("distinct", [1.0])) < 1e-6


def _told_identical(case: Case) -> str:
    shares = case.initial["distinct"]
    return (
        f"identical units: all units of layer {shares.index(min(shares)) + 1} began with the same weights, so they have "
        f"the same gradient and stay the same{_sigma(case)}"
    )


def _saturated_at_first(case: Case) -> bool:
    return case.activation != "relu" and case.flattest_at_first[1] > FLAT


def _sigma(case: Case) -> str:
    init = case.config["init"]
    return f": weights were drawn with σ = {init:g}" if isinstance(init, float) else f": --init {init}"


def _draw(case: Case, place: int = 1) -> str:
    from fastae.activations import ACTIVATIONS

    rule = ACTIVATIONS[case.activation].init
    return f"--init {rule}, which draws {case.rule(case.layers[place - 1]):.2g} for layer {place}"


def _flat(case: Case, share: float, place: int) -> str:
    where = {"sigmoid": "below 0.01 or above 0.99", "tanh": "beyond ±0.98"}
    return f"{share:.0%} of layer {place}'s outputs are {where[case.activation]}, where the {case.activation} is flat"


# The learning rate.


def _times(x: float) -> str:
    return f"{x:,.0f}" if x >= 10 else f"{x:.2g}"


def _usual(case: Case) -> str:
    lr = case.usual * (1 - case.momentum)
    return f"--lr {lr:.2g}"


def _foreign(case: Case) -> bool:
    pixels = case.start["pixels"]
    return 1 / FOREIGN < case.lr / case.usual / pixels < FOREIGN


def _pixelwise(case: Case) -> bool:
    return _foreign(case) and case.start["pixels"] > FOREIGN**2 and (case.blob or _harmed(case))


def _harmed(case: Case) -> bool:
    """Do the figures show what a rate that is too large does?"""
    return bool(case.broken) or case.unstable or case.flattest[1] > max(0.3, 2 * case.flattest_at_first[1]) or (
        case.blob and case.signs["stuck"] > 0.02
    )


def _swing(case: Case) -> bool:
    alone = case.lr / case.usual
    return case.momentum >= 0.9 and alone < LARGE <= case.factor and _harmed(case)


def _dead(case: Case) -> bool:
    return not case.broken and case.activation == "relu" and case.flattest[1] > max(FLAT, 2 * case.flattest_at_first[1])


def _thrown(case: Case) -> bool:
    return (
        not case.broken
        and case.activation != "relu"
        and case.flattest[1] > FLAT
        and case.factor >= LARGE
    )


def _saw(case: Case) -> str:
    count = len(case.parts)
    return f"the loss rose in {case.rises} of the last {count} parts of epochs by more than the choice of images explains"


# How long.


def _few(case: Case) -> bool:
    return not case.broken and case.updates < NEEDED and NEEDED / case.updates >= 1 / case.factor


def _more_updates(case: Case) -> str:
    images, epochs = case.start["images"], len(case.epochs)
    small = max(1, min(16, images))
    told = f"--batch-size {small}, which makes {max(1, images // small) * epochs:,} in as many epochs" if case.batch > small else ""
    needed = math.ceil(NEEDED / max(1, images // min(case.batch, small)))
    if needed > epochs:
        told += (", and " if told else "") + f"--epochs {needed}" + (" with it" if told else "") + f", which makes {NEEDED}"
    return told or f"--epochs {2 * epochs}"


def _slow(case: Case) -> bool:
    return case.factor < 0.4 and case.work < NEEDED


CAUSES = (
    Cause(
        "all zero",
        "data",
        lambda case: case.start["largest"] == 0,
        lambda case: "nothing to learn: pixel values are all 0",
        lambda case: "look at the file that the images come from, and at how it was converted",
    ),
    Cause(
        "constant data",
        "data",
        lambda case: case.start["varying"] == 0,
        lambda case: "nothing to learn: all images are the same",
        lambda case: "look at the file that the images come from",
    ),
    Cause(
        "pixel scale",
        "data",
        _dark,
        lambda case: f"the largest pixel value is {case.start['largest']}, of 255: to this network the images are black",
        lambda case: f"pixels are bytes from 0 to 255: multiply them by {255 // case.start['largest']}",
    ),
    Cause(
        "nearly constant data",
        "data",
        _nearly_constant,
        lambda case: "the data is nearly constant: from image to image a pixel varies by "
        f"{255 * math.sqrt(case.start['mean_image_mse']):.1f} of 255",
        lambda case: "stretch what varies over 0 to 255, or take other images",
    ),
    Cause(
        "noise",
        "data",
        _noise,
        lambda case: f"the images look like noise: {case.start['components']} principal components explain "
        f"{case.start['explained']:.0%} of the variance of other images, and as many directions at random "
        f"{_chance(case):.0%}",
        lambda case: "no code is shorter than such images; look at how the file is read (its width, type and byte order)",
    ),
    Cause(
        "other test images",
        "data",
        _others,
        lambda case: "the test images are not of the kind of the training images: the training images' mean is wrong on "
        f"them by {case.start['test_mean_image_mse']:.2g} a pixel, their own mean by {case.start['test_own_mean_mse']:.2g}",
        lambda case: "give both the same scale and the same colours, and draw both from one source",
    ),
    Cause(
        "too few images",
        "data",
        lambda case: case.forgets,
        lambda case: f"too few images: the {case.start['images']:,} training images are known by heart (error "
        f"{case.signs['sample_mse']:.2g} a pixel), and others are not ({case.error:.2g})",
        lambda case: f"more training images, {10 * case.start['images']:,} say; with these, fewer --epochs or a smaller code",
    ),
    Cause(
        "identical units",
        "start",
        _identical,
        _told_identical,
        lambda case: _draw(case),
    ),
    Cause(
        "saturated at the start",
        "start",
        _saturated_at_first,
        lambda case: "saturated before the first update: "
        + _flat(case, case.flattest_at_first[1], case.flattest_at_first[0])
        + _sigma(case),
        lambda case: _draw(case, case.flattest_at_first[0]),
    ),
    Cause(
        "a rate for a mean over pixels",
        "rate",
        _pixelwise,
        lambda case: f"the learning rate is {_times(case.lr / case.usual)} times too large: it looks like one for a mean "
        f"over the {case.start['pixels']:,} pixels, and here the loss is their sum{_effect(case)}",
        lambda case: f"--lr {case.lr / case.start['pixels']:.2g}, which is {case.lr:g} / {case.start['pixels']}",
        _always,
    ),
    Cause(
        "momentum too near 1",
        "rate",
        _swing,
        lambda case: f"momentum {case.momentum:g} makes each gradient count {_times(1 / (1 - case.momentum))} times, so "
        f"--lr {case.lr:g} moves the weights as {case.lr / (1 - case.momentum):.2g} does without momentum, "
        f"{_times(case.factor)} times the usual{_effect(case)}",
        lambda case: f"{_usual(case)} with this momentum, or --momentum 0.9 --lr {case.usual / 10:.2g}",
        _always,
    ),
    Cause(
        "dead units",
        "rate",
        _dead,
        lambda case: f"dead units: {case.flattest[1]:.0%} of layer {case.flattest[0]}'s units are 0 for all images"
        f" ({case.initial.get('flat', case.signs['flat'])[case.flattest[0] - 1]:.0%} before the first update), and a relu "
        f"that is 0 has no gradient{_because(case)}",
        lambda case: f"{_lower(case)}, from the start: what is dead stays so",
    ),
    Cause(
        "saturated by the updates",
        "rate",
        _thrown,
        lambda case: f"saturated by the updates: {_flat(case, case.flattest[1], case.flattest[0])}"
        f" ({case.initial.get('flat', case.signs['flat'])[case.flattest[0] - 1]:.0%} before the first){_because(case)}",
        lambda case: f"{_lower(case)}, from the start",
    ),
    Cause(
        "diverged",
        "rate",
        lambda case: bool(case.broken),
        lambda case: _told_broken(case),
        lambda case: _lower(case),
    ),
    Cause(
        "unstable",
        "rate",
        lambda case: case.unstable,
        lambda case: f"unstable: {_saw(case)}{_because(case)}",
        lambda case: f"halve --lr, to {case.lr / 2:.2g}" if case.factor < LARGE else _lower(case),
    ),
    Cause(
        "rate too large",
        "rate",
        lambda case: case.factor >= LARGE and case.work > 100,
        lambda case: f"the learning rate is {_times(case.factor)} times what suits this network, loss and data",
        _usual,
        lambda case: case.factor >= 4 * LARGE,
    ),
    Cause(
        "code too small",
        "network",
        lambda case: case.start["in_room"] < 0.25 and case.start["explained"] > 0.4,
        lambda case: f"the narrowest layer has {case.start['room']} "
        f"unit{'s' * (case.start['room'] > 1)}, and as many principal components explain "
        f"{case.start['in_room']:.0%} of the variance ({case.start['components']}: {case.start['explained']:.0%})",
        lambda case: "a wider code, such as 32",
    ),
    Cause(
        "too few updates",
        "length",
        _few,
        lambda case: f"too few updates: batch {case.batch:,} makes {case.updates:,} updates in "
        f"{len(case.epochs)} epoch{'s' * (len(case.epochs) > 1)}, and it takes some {NEEDED} to learn more than the mean "
        "image",
        _more_updates,
        lambda case: case.updates < NEEDED / 5,
    ),
    Cause(
        "rate too small",
        "rate",
        _slow,
        lambda case: f"the learning rate is too small: {case.updates:,} updates at {_times(1 / case.factor)} times less "
        f"than suits this network, loss and data moved the first layer's weights by "
        f"{case.signs['moved'][0]:.1%} in the last epoch",
        _usual,
        lambda case: case.factor < 0.1,
    ),
    Cause(
        "weights too small",
        "start",
        lambda case: max(case.drawn) < 0.25,
        lambda case: "every unit of the code is nearly the same for all images, and takes long to become different"
        + _sigma(case),
        lambda case: _draw(case),
    ),
    Cause(
        "same code for all images",
        "network",
        lambda case: case.signs["code_spread"] < SAME,
        lambda case: "every unit of the code is the same for all images: what varies is lost in the "
        f"{len(case.layers) // 2} layers before it, as they began (the code varied by "
        f"{case.initial.get('code_spread', case.signs['code_spread']):.1g} of its size) or as they were trained",
        lambda case: "fewer layers" + ("" if case.activation == "tanh" else ", or --activation tanh"),
    ),
    Cause(
        "still learning",
        "length",
        lambda case: case.fell > 0.01,
        lambda case: f"it was still learning when it ended: the loss fell by {case.fell:.1%} in the last "
        f"{len(case.parts)} parts of epochs",
        lambda case: f"--epochs {3 * len(case.epochs)}" + (_in_one(case)),
    ),
    Cause(
        "unknown",
        "",
        _always,
        lambda case: f"the figures fit no single cause: {case.updates:,} updates at {_times(case.factor)} times the usual "
        f"rate; {case.flattest[1]:.0%} of layer {case.flattest[0]}'s "
        f"{'units are off' if case.activation == 'relu' else 'outputs are flat'}; the code varies by "
        f"{case.signs['code_spread']:.2g} of its size, and the loss fell by {case.fell:.1%} in the last {len(case.parts)} "
        "parts of epochs. It may need more updates, or another rate",
        lambda case: f"try --epochs {3 * len(case.epochs)} first, then a third of --lr, {case.lr / 3:.2g}",
    ),
)


def _effect(case: Case) -> str:
    if case.broken:
        return ""
    place, share = case.flattest
    if share > 0.3:
        return f"; {share:.0%} of layer {place}'s {'units are off' if case.activation == 'relu' else 'outputs are flat'}"
    return f"; {_saw(case)}" if case.unstable else ""


def _because(case: Case) -> str:
    if case.factor >= LARGE:
        return f"; the rate is {_times(case.factor)} times what suits this network, loss and data"
    return ""


def _lower(case: Case) -> str:
    return _usual(case) if case.factor >= LARGE else f"a third of the rate, --lr {case.lr / 3:.2g}"


def _told_broken(case: Case) -> str:
    return f"the learning rate is {_times(case.factor)} times what suits this network, loss and data"


def _in_one(case: Case) -> str:
    return "" if case.config["schedule"] == "constant" else ", in one training: a cosine that ended has no rate left"


def outcome(case: Case) -> str:
    """Return what came of a training, the beginning of a paragraph about its cause."""
    if case.broken:
        where = f" of layer {case.broken.layer}" if case.broken.layer else ""
        return (
            f"the loss or a weight{where} became NaN or infinite in epoch {case.broken.epoch}, batch {case.broken.batch}"
        )
    if not case.mean_image:
        return "The network has nothing to learn"
    if case.ratio > 1.05:
        return f"The network is {case.ratio:.2g} times as far off as the mean image"
    if case.blob:
        return "The network has learned hardly more than the mean image, the same blob for every image"
    if case.forgets:
        return f"The network is {_times(case.error / case.signs['sample_mse'])} times worse on test images than on those that it has seen"
    if case.unstable:
        return "The training goes up and down"
    return f"The training has stopped at {case.ratio:.0%} of the mean image's error"
