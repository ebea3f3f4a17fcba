"""Causes that lie with the network or the length of the training, and the case that fits no single cause."""

import math

from fastae.diagnosis.case import NEEDED, Case
from fastae.diagnosis.finding import SUITS, Finding, count, draw, drawn, flat, lower_rate, times

SAME = 0.1  # spread of a code that is nearly the same for all images
HALF = 0.5  # times the activation's rule: a stack of layers whose weights are all smaller loses differences


def code_too_small(case: Case) -> Finding | None:
    """The narrowest layer has too few units for images that more units could represent."""
    if not case.narrow:
        return None
    start = case.start
    return Finding(
        f"the narrowest layer has {count(start['room'], 'unit')}, and as many principal components explain "
        f"{start['in_room']:.0%} of the variance ({start['components']}: {start['explained']:.0%})",
        "a wider code, such as 32",
    )


def same_code(case: Case) -> Finding | None:
    """The code was nearly the same for all images from the beginning, and still is.

    A code that only became the same may be on its way.
    """
    first, last = case.initial.get("code_spread", 1.0), case.signs["code_spread"]
    if max(first, last) >= SAME:
        return None
    small, mend = "", f"fewer layers{'' if case.activation == 'tanh' else ', or --activation tanh'}"
    if max(case.drawn) < HALF:
        small = f", with less than half of what the rule for {case.activation} draws: {drawn(case)}"
        mend = f"{draw(case)}; or {mend}"
    return Finding(
        f"every unit of the code is nearly the same for all images: it varies by {last:.1g} of its size, and "
        f"before the first update by {first:.1g}: the differences are lost in {len(case.layers) // 2} layers as they "
        f"were drawn{small}",
        mend,
    )


def too_few_updates(case: Case) -> Finding | None:
    """The training made fewer updates than it takes to learn more than the mean image."""
    if not 0 < case.updates < NEEDED or NEEDED / case.updates < 1 / case.factor:
        return None
    images, epochs = case.start["images"], len(case.epochs)
    small = min(16, case.batch)
    an_epoch = max(1, images // small)
    steps = []
    if case.batch > small:
        steps.append(f"--batch-size {small}, which makes {an_epoch * epochs:,} in as many epochs")
    needed = math.ceil(NEEDED / an_epoch)
    if needed > epochs:
        steps.append(f"--epochs {needed}{' with it' if steps else f', which makes {needed * an_epoch:,}'}")
    return Finding(
        f"too few updates: batch {case.batch:,} makes {count(case.updates, 'update')} in {count(epochs, 'epoch')}, and "
        f"it takes some {NEEDED} to learn more than the mean image",
        ", and ".join(steps) or f"--epochs {2 * epochs}",
        remains=case.updates < NEEDED / 5,
    )


def still_learning(case: Case) -> Finding | None:
    """The loss was still falling when the training ended."""
    if not case.blob or case.fell <= 0.01:
        return None
    constant = case.config["schedule"] == "constant"
    return Finding(
        f"it was still learning when it ended: in the last epochs at half of --lr or more the loss fell by "
        f"{case.fell:.1%}",
        f"--epochs {3 * len(case.epochs)}"
        + ("" if constant else ", in one training: a cosine schedule that has ended has a rate of 0"),
    )


def unknown(case: Case) -> Finding:
    """No single cause fits the figures."""
    small = case.factor < 1
    return Finding(
        f"the figures fit no single cause: {count(case.updates, 'update')} at {times(case.factor)} times {SUITS}; "
        f"{flat(case, *case.flattest)}; the code varies by {case.signs['code_spread']:.2g} of its size, and the loss "
        f"no longer falls. They fit both a rate that is somewhat too {'small' if small else 'large'} and a "
        "plateau that more updates would leave",
        f"{f'three times the rate, --lr {3 * case.lr:.2g}' if small else lower_rate(case)}, "
        f"and --epochs {3 * len(case.epochs)}",
    )
