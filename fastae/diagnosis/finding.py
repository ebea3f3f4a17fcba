"""What a cause reports, and the phrases that several causes share."""

from typing import NamedTuple

from fastae.activations import ACTIVATIONS
from fastae.diagnosis.case import LARGE, Case

SUITS = "what suits this network, loss and data"


class Finding(NamedTuple):
    """One cause, found in the figures of a training.

    Attributes
    ----------
    sentence : str
        The cause, with the figures that show it; begins in lower case and has no full stop.
    mend : str
        What to do, with its number.
    remains : bool
        Whether the cause is sure to remain if a cause found before it is mended. Then it is reported as well.
    """

    sentence: str
    mend: str
    remains: bool = False


def times(x: float) -> str:
    """Return a factor in digits."""
    if x >= 1e5:
        return f"{x:.0e}"
    return f"{x:,.0f}" if x >= 10 else f"{x:.2g}"


def count(n: int, what: str) -> str:
    """Return a number with its noun, such as "1 unit" or "2,000 updates"."""
    return f"{n:,} {what}{'s' * (n != 1)}"


def flat(case: Case, place: int, share: float) -> str:
    """Return which share of a layer's outputs, or for relu units, is flat; layers count from 1."""
    if case.dies:
        return f"{share:.0%} of layer {place}'s units are 0 for all images"
    low, high = ACTIVATIONS[case.activation].flat
    beyond = f"beyond ±{high:g}" if low == -high else f"below {low:g} or above {high:g}"
    return f"{share:.0%} of layer {place}'s outputs are {beyond}, where the {case.activation} is flat"


def drawn(case: Case, place: int = 1) -> str:
    """Return how the initial weights of a layer were drawn, or how large they are if a program set them."""
    init = case.config["init"]
    if case.own_weights(place):
        size = case.initial["weights"][place - 1]
        return f"these weights were set, not drawn by --init; their root mean square is {size:.2g}"
    return f"weights were drawn by --init {init}" if isinstance(init, str) else f"weights were drawn with σ = {init:g}"


def draw(case: Case, place: int = 1) -> str:
    """Return how the initial weights of a layer should be drawn."""
    sigma, init = case.rule(case.layers[place - 1]), ACTIVATIONS[case.activation].init
    if case.own_weights(place):
        return f"draw them as --init {init} does, with σ = {sigma:.2g} for layer {place}"
    return f"--init {init}, which draws σ = {sigma:.2g} for layer {place}"


def usual_rate(case: Case) -> str:
    """Return the option for the rate that suits network, loss and data at this momentum."""
    return f"--lr {case.usual * (1 - case.momentum):.2g}"


def lower_rate(case: Case) -> str:
    """Return the option for a lower rate: the usual one if the rate is too large, else a third of it."""
    return usual_rate(case) if case.factor >= LARGE else f"a third of the rate, --lr {case.lr / 3:.2g}"
