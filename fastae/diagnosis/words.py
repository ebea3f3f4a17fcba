"""What is said of each cause, and of what mends it, with the numbers of the case."""

import math

from fastae.activations import ACTIVATIONS
from fastae.diagnosis.case import LARGE, NEEDED, SAME_WEIGHTS, WORSE, Case

NEAR_0 = "begin with biases near 0, as fastae.Autoencoder draws them"
SUITS = "what suits this network, loss and data"


def outcome(case: Case) -> str:
    """Return what came of a training, the beginning of a paragraph about its cause."""
    if case.broken:
        epoch, batch, layer = case.broken
        which = f" of layer {layer}" if layer else ""
        return f"the loss or a weight{which} became NaN or infinite in epoch {epoch}, batch {batch}"
    if not (case.mean_image and case.start["varying"]):
        return "The network has nothing to learn"
    if case.ratio > WORSE:
        return f"The network is {times(case.ratio)} times as far off as the mean image"
    if case.blob:
        return "The network has learned hardly more than the mean image, the same blob for every image"
    if case.shifted:
        return "The test error says little"
    if case.forgets:
        worse = times(case.error / case.signs["sample_mse"])
        return f"The network is {worse} times worse on test images than on those that it has seen"
    if case.unstable:
        return "The training goes up and down"
    return f"The training has come no further than {case.ratio:.0%} of the mean image's error"


def times(x: float) -> str:
    """Return a factor."""
    if x >= 1e5:
        return f"{x:.0e}"
    return f"{x:,.0f}" if x >= 10 else f"{x:.2g}"


def count(n: int, what: str) -> str:
    """Return how many there are of something."""
    return f"{n:,} {what}{'s' * (n != 1)}"


# The start.


def drawn(case: Case, place: int = 1) -> str:
    """Say how the initial weights of a layer, from 1, were drawn, or how large they are if they were set."""
    init = case.config["init"]
    if case.own_weights(place):
        size = case.initial["weights"][place - 1]
        return f"these weights were set, not drawn by --init; their root mean square is {size:.2g}"
    return f"weights were drawn by --init {init}" if isinstance(init, str) else f"weights were drawn with σ = {init:g}"


def draw(case: Case, place: int = 1) -> str:
    """Say how they should be; ``place`` is the layer's, from 1."""
    sigma, init = case.rule(case.layers[place - 1]), ACTIVATIONS[case.activation].init
    if case.own_weights(place):
        return f"draw them as --init {init} does, with σ = {sigma:.2g} for layer {place}"
    return f"--init {init}, which draws σ = {sigma:.2g} for layer {place}"


def flat(case: Case, place: int, share: float) -> str:
    """Say how much of a layer is flat."""
    if case.activation == "relu":
        return f"{share:.0%} of layer {place}'s units are 0 for all images"
    low, high = ACTIVATIONS[case.activation].flat
    beyond = f"beyond ±{high:g}" if low == -high else f"below {low:g} or above {high:g}"
    return f"{share:.0%} of layer {place}'s outputs are {beyond}, where the {case.activation} is flat"


def identical(case: Case) -> str:
    """Say in which layer they are."""
    place = next(l for l, share in enumerate(case.initial["distinct"], 1) if share < SAME_WEIGHTS)
    return (
        f"identical units: all units of layer {place} began with the same weights, so they "
        f"have the same gradients and stay the same; {drawn(case, place)}"
    )


def draw_identical(case: Case) -> str:
    """Say how their weights should be drawn."""
    return draw(case, next(l for l, share in enumerate(case.initial["distinct"], 1) if share < SAME_WEIGHTS))


def saturated_at_first(case: Case) -> str:
    """Say how much is flat before the first update."""
    return f"saturated before the first update: {flat(case, *case.flattest_at_first)}; {thrown(case)}"


def dead_at_first(case: Case) -> str:
    """Say how many units are off before the first update."""
    return f"dead before the first update: {flat(case, *case.flattest_at_first)}; {thrown(case)}"


def thrown(case: Case) -> str:
    """Say what is large in the layer that is the flattest at first."""
    place = case.flattest_at_first[0]
    if case.biased(place):
        return f"its biases have a root mean square of {case.initial['biases'][place - 1]:.2g}"
    return drawn(case, place)


def draw_flattest(case: Case) -> str:
    """Say how the parameters of the flattest layer should be drawn."""
    place = case.flattest_at_first[0]
    if case.biased(place):
        return NEAR_0
    return draw(case, place) if case.thrown else "another --seed, or a layer of more units"


def output_at_first(case: Case) -> str:
    """Say how much of the output is flat before the first update."""
    return (
        f"saturated output before the first update: {case.initial['output_flat']:.0%} of its pixels are below 0.01 or "
        f"above 0.99, where the sigmoid is flat; the last layer's biases have a root mean square of "
        f"{case.initial['biases'][-1]:.2g}"
    )


def weights_too_large(case: Case) -> str:
    """Say how large they are."""
    place = case.largest_drawn
    return (
        f"weights too large: layer {place}'s are {times(case.drawn[place - 1])} times what the rule for "
        f"{case.activation} draws; {drawn(case, place)}"
    )


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
    momentum = f", with momentum {case.momentum:g}," if case.momentum else ""
    return f"; the rate{momentum} is {times(case.factor)} times {SUITS}" if case.factor >= LARGE else ""


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
    less = (
        f"--momentum 0.9 --lr {case.usual / 10:.2g}" if case.momentum > 0.9 else f"--momentum 0 --lr {case.usual:.2g}"
    )
    return f"{usual(case)} with this momentum, or {less}"


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


def stuck(case: Case) -> str:
    """Say how much of the output is flat."""
    shade = "black" if case.signs["output_mean"] < 0.5 else "white"
    return (
        f"saturated output: every image comes out the same, and {case.signs['output_flat']:.0%} of its pixels are "
        f"where the last sigmoid is flat, most of them {shade}; there the squared error has hardly a gradient"
        f"{because(case)}"
    )


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
    an_epoch = max(1, images // small)
    told = []
    if case.batch > small:
        told.append(f"--batch-size {small}, which makes {an_epoch * epochs:,} in as many epochs")
    needed = math.ceil(NEEDED / an_epoch)
    if needed > epochs:
        told.append(f"--epochs {needed}{' with it' if told else f', which makes {needed * an_epoch:,}'}")
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
