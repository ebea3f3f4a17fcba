"""What is said of each cause, and of what mends it, with the numbers of the case."""

import math

from fastae.activations import ACTIVATIONS
from fastae.diagnosis.case import LARGE, NEEDED, WORSE, Case

FLAT = {"sigmoid": "outputs are below 0.01 or above 0.99", "tanh": "outputs are beyond ±0.98"}
SUITS = "what suits this network, loss and data"


def outcome(case: Case) -> str:
    """Return what came of a training, the beginning of a paragraph about its cause."""
    if case.broken:
        epoch, batch, layer = case.broken
        which = f" of layer {layer}" if layer else ""
        return f"the loss or a weight{which} became NaN or infinite in epoch {epoch}, batch {batch}"
    if not case.mean_image:
        return "The network has nothing to learn"
    if case.ratio > WORSE:
        return f"The network is {case.ratio:.2g} times as far off as the mean image"
    if case.blob:
        return "The network has learned hardly more than the mean image, the same blob for every image"
    if case.shifted:
        return "The test error says little"
    if case.forgets:
        worse = times(case.error / case.signs["sample_mse"])
        return f"The network is {worse} times worse on test images than on those that it has seen"
    if case.unstable:
        return "The training goes up and down"
    return f"The training has stopped at {case.ratio:.0%} of the mean image's error"


def times(x: float) -> str:
    """Return a factor."""
    if x >= 1e5:
        return f"{x:.0e}"
    return f"{x:,.0f}" if x >= 10 else f"{x:.2g}"


def count(n: int, what: str) -> str:
    """Return how many there are of something."""
    return f"{n:,} {what}{'s' * (n != 1)}"


# The data.


def scale(case: Case) -> str:
    """Say that the images are dark."""
    return f"the largest pixel value is {case.start['largest']}, of 255: to this network the images are black"


def rescale(case: Case) -> str:
    """Say by what they should be multiplied."""
    return f"pixels are bytes from 0 to 255: multiply them by {255 // case.start['largest']}"


def nearly_constant(case: Case) -> str:
    """Say how little varies."""
    varies = 255 * math.sqrt(case.start["mean_image_mse"])
    return f"the data is nearly constant: from image to image a pixel varies by {varies:.1f} of 255"


def noise(case: Case) -> str:
    """Say how much principal components explain."""
    start = case.start
    return (
        f"the images look like noise: {start['components']} principal components explain {start['explained']:.0%} of "
        f"the variance of other images, and as many directions at random {case.chance:.0%}"
    )


def other_images(case: Case) -> str:
    """Say how the test images differ."""
    start = case.start
    return (
        "the test images are not of the kind of the training images, whose mean is wrong on them by "
        f"{start['test_mean_image_mse']:.2g} a pixel, while their own is wrong by {start['test_own_mean_mse']:.2g}"
    )


def bright(case: Case) -> str:
    """Say how bright the images are, and what all share."""
    start = case.start
    shared = 1 - start["pixels"] * start["mean_image_mse"] / start["square"]
    return (
        f"the images are bright: {start['mean']:.2f} in the mean, and their mean image makes up {shared:.0%} "
        "of ||x||^2. What all images share moves all units in the same way, and takes long to learn"
    )


def negative(case: Case) -> str:
    """Say what is darker."""
    return f"train on the negative, 255 - x, whose pixels are {1 - case.start['mean']:.2f} in the mean"


def by_heart(case: Case) -> str:
    """Say how test and training errors differ."""
    return (
        f"too few images: the {case.start['images']:,} training images are known by heart (error "
        f"{case.signs['sample_mse']:.2g} a pixel), and others are not ({case.error:.2g})"
    )


def more_images(case: Case) -> str:
    """Say how many it takes."""
    return f"more training images, {10 * case.start['images']:,} say; with these, fewer --epochs or a smaller code"


# The start.


def drawn(case: Case) -> str:
    """Say how the initial weights were drawn."""
    init = case.config["init"]
    return f"weights were drawn by --init {init}" if isinstance(init, str) else f"weights were drawn with σ = {init:g}"


def draw(case: Case, place: int = 1) -> str:
    """Say how they should be; ``place`` is the layer's, from 1."""
    sigma = case.rule(case.layers[place - 1])
    return f"--init {ACTIVATIONS[case.activation].init}, which draws σ = {sigma:.2g} for layer {place}"


def flat(case: Case, place: int, share: float) -> str:
    """Say how much of a layer is flat."""
    if case.activation == "relu":
        return f"{share:.0%} of layer {place}'s units are 0 for all images"
    return f"{share:.0%} of layer {place}'s {FLAT[case.activation]}, where the {case.activation} is flat"


def identical(case: Case) -> str:
    """Say in which layer they are."""
    shares = case.initial["distinct"]
    return (
        f"identical units: all units of layer {shares.index(min(shares)) + 1} began with the same weights, so they "
        f"have the same gradients and stay the same; {drawn(case)}"
    )


def saturated_at_first(case: Case) -> str:
    """Say how much is flat before the first update."""
    return f"saturated before the first update: {flat(case, *case.flattest_at_first)}; {drawn(case)}"


def draw_flattest(case: Case) -> str:
    """Say how the weights of the flattest layer should be drawn."""
    return draw(case, case.flattest_at_first[0])


def weights_too_small(case: Case) -> str:
    """Say what they do."""
    return (
        "every unit of the code began nearly the same for all images, and it takes long until units differ; "
        f"{drawn(case)}"
    )


# The rate.


def usual(case: Case) -> str:
    """Return the rate that suits network, loss and data, with this momentum."""
    return f"--lr {case.usual * (1 - case.momentum):.2g}"


def lower(case: Case) -> str:
    """Return a lower rate: the usual one, if it is."""
    return usual(case) if case.factor >= LARGE else f"a third of the rate, --lr {case.lr / 3:.2g}"


def because(case: Case) -> str:
    """Say that the rate is too large, if it is."""
    return f"; the rate is {times(case.factor)} times {SUITS}" if case.factor >= LARGE else ""


def effect(case: Case) -> str:
    """Say what a rate that is too large has done."""
    if case.broken:
        return ""
    place, share = case.flattest
    return f"; {flat(case, place, share)}" if share > 0.3 else f"; {rose(case)}" if case.unstable else ""


def rose(case: Case) -> str:
    """Say how often the loss rose."""
    parts = count(len(case.parts), "part")
    return f"the loss rose in {case.rises} of the last {parts} of epochs, more than the choice of images explains"


def per_pixel(case: Case) -> str:
    """Say what the rate looks like."""
    return (
        f"the learning rate is {times(case.lr / case.usual)} times too large: it looks like one for a mean over the "
        f"{case.start['pixels']:,} pixels, and here the loss is their sum{effect(case)}"
    )


def divided(case: Case) -> str:
    """Return the rate, divided by the pixels."""
    return f"--lr {case.lr / case.start['pixels']:.2g}, which is {case.lr:.4g} / {case.start['pixels']}"


def swing(case: Case) -> str:
    """Say what momentum does to the rate."""
    rest = 1 - case.momentum
    return (
        f"momentum {case.momentum:g} makes each gradient count {times(1 / rest)} times, so --lr {case.lr:.2g} moves "
        f"the weights as {case.lr / rest:.2g} would without, which is {times(case.factor)} times {SUITS}{effect(case)}"
    )


def less_swing(case: Case) -> str:
    """Return a rate for it, and a smaller momentum."""
    return f"{usual(case)} with this momentum, or --momentum 0.9 --lr {case.usual / 10:.2g}"


def dead(case: Case) -> str:
    """Say how many units are off."""
    shares = f"{flat(case, *case.flattest)} ({_before(case)})"
    return f"dead units: {shares}, and a relu that is 0 has no gradient{because(case)}"


def revive(case: Case) -> str:
    """Say how they stay alive."""
    return f"{lower(case)}, from the start: what is dead stays so"


def saturated(case: Case) -> str:
    """Say how much is flat now."""
    return f"saturated by the updates: {flat(case, *case.flattest)} ({_before(case)}){because(case)}"


def from_the_start(case: Case) -> str:
    """Return a lower rate."""
    return f"{lower(case)}, from the start"


def _before(case: Case) -> str:
    shares = case.initial.get("flat")
    return "a smaller rate may keep them" if shares is None else f"{shares[case.flattest[0] - 1]:.0%} before the first"


def diverged(case: Case) -> str:
    """Say how large the rate is."""
    if case.factor >= LARGE:
        return f"the learning rate is {times(case.factor)} times {SUITS}"
    size = f"{times(case.factor)} times {SUITS}"
    return f"the learning rate is not large, {size}: it may be the weights, the data or a kernel"


def lower_or_check(case: Case) -> str:
    """Return a lower rate; where it was not large, doubt the kernels."""
    return lower(case) + ("; fastae check judges kernels of your own" if case.factor < LARGE else "")


def unstable(case: Case) -> str:
    """Say how the loss goes up and down."""
    return f"unstable: {rose(case)}{because(case)}"


def halve(case: Case) -> str:
    """Return half the rate, or the usual one."""
    return f"halve the rate, --lr {case.lr / 2:.2g}" if case.factor < LARGE else lower(case)


def too_large(case: Case) -> str:
    """Say how large the rate is."""
    return f"the learning rate is {times(case.factor)} times {SUITS}"


def too_small(case: Case) -> str:
    """Say how small the rate is."""
    return (
        f"the learning rate is too small, {times(1 / case.factor)} times less than {SUITS}: "
        f"{count(case.updates, 'update')} were made, and those of the last epoch moved the first layer's weights by "
        f"{case.signs['moved'][0]:.1%}"
    )


# The network, and the length.


def narrow(case: Case) -> str:
    """Say what the narrowest layer has room for."""
    start = case.start
    return (
        f"the narrowest layer has {count(start['room'], 'unit')}, and as many principal components explain "
        f"{start['in_room']:.0%} of the variance ({start['components']}: {start['explained']:.0%})"
    )


def same_code(case: Case) -> str:
    """Say how little the code varies."""
    return (
        "every unit of the code is nearly the same for all images: it varies by "
        f"{case.signs['code_spread']:.1g} of its size, and before the first update by "
        f"{case.initial['code_spread']:.1g}: what varies is lost in {len(case.layers) // 2} layers as they were drawn"
    )


def fewer_layers(case: Case) -> str:
    """Say what makes it vary."""
    return f"fewer layers{'' if case.activation == 'tanh' else ', or --activation tanh'}"


def few_updates(case: Case) -> str:
    """Say how many there were."""
    return (
        f"too few updates: batch {case.batch:,} makes {count(case.updates, 'update')} in "
        f"{count(len(case.epochs), 'epoch')}, and it takes some {NEEDED} to learn more than the mean image"
    )


def more_updates(case: Case) -> str:
    """Say what makes enough of them."""
    images, epochs = case.start["images"], len(case.epochs)
    small = min(16, case.batch)
    told = []
    if case.batch > small:
        told.append(f"--batch-size {small}, which makes {max(1, images // small) * epochs:,} in as many epochs")
    needed = math.ceil(NEEDED / max(1, images // small))
    if needed > epochs:
        told.append(f"--epochs {needed}{' with it' if told else f', which makes {NEEDED}'}")
    return ", and ".join(told) or f"--epochs {2 * epochs}"


def learning(case: Case) -> str:
    """Say how fast the loss still fell."""
    return (
        f"it was still learning when it ended: in the last epochs at half of --lr or more the loss fell "
        f"by {case.fell:.1%}"
    )


def longer(case: Case) -> str:
    """Return more epochs."""
    ended = (
        "" if case.config["schedule"] == "constant" else ", in one training: a cosine that has ended has no rate left"
    )
    return f"--epochs {3 * len(case.epochs)}{ended}"


def unknown(case: Case) -> str:
    """Say what was seen."""
    return (
        f"the figures fit no single cause: {count(case.updates, 'update')} at {times(case.factor)} times {SUITS}; "
        f"{flat(case, *case.flattest)}; the code varies by {case.signs['code_spread']:.2g} of its size, and the loss "
        f"no longer falls. They fit both a rate that is somewhat too {'small' if case.factor < 1 else 'large'} and a "
        "plateau that more updates would leave"
    )


def try_both(case: Case) -> str:
    """Return what to try."""
    rate = f"three times the rate, --lr {3 * case.lr:.2g}" if case.factor < 1 else lower(case)
    return f"{rate}, and --epochs {3 * len(case.epochs)}"
