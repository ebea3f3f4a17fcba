"""Causes that lie with the learning rate and the momentum."""

from fastae.diagnosis.case import FLAT, LARGE, NEEDED, WORSE, Case
from fastae.diagnosis.finding import SUITS, Finding, count, flat, lower_rate, times, usual_rate

SMALL = 0.4  # times the usual rate, below which a rate is called too small
NEAR = 3  # a rate that another one exceeds by less than this factor may be taken for it


def per_pixel(case: Case) -> Finding | None:
    """The rate is one for a loss that is a mean over pixels; here the loss is their sum."""
    pixels = case.start["pixels"]
    near = 1 / NEAR < case.lr / case.usual / pixels < NEAR
    if not (near and pixels > NEAR**2 and (case.blob or _harmed(case))):
        return None
    return Finding(
        f"the learning rate is {times(case.lr / case.usual)} times too large: it looks like one for a mean over the "
        f"{pixels:,} pixels, and here the loss is their sum{_effect(case)}",
        f"--lr {case.lr / pixels:.2g}, which is {case.lr:.4g} / {pixels}",
        remains=True,
    )


def momentum(case: Case) -> Finding | None:
    """The momentum is so near 1 that the rate is too large with it."""
    without = case.lr / case.usual  # times the usual rate, if there were no momentum
    if case.momentum < 0.9 or case.factor < max(LARGE, without**2) or not _harmed(case):
        return None
    rest = 1 - case.momentum
    other = (
        f"--momentum 0.9 --lr {case.usual / 10:.2g}" if case.momentum > 0.9 else f"--momentum 0 --lr {case.usual:.2g}"
    )
    return Finding(
        f"momentum {case.momentum:g} makes each gradient count {times(1 / rest)} times, so --lr {case.lr:.2g} moves "
        f"the weights as {case.lr / rest:.2g} would without it, which is {times(case.factor)} times {SUITS}"
        f"{_effect(case)}",
        f"{usual_rate(case)} with this momentum, or {other}",
        remains=True,
    )


def dead_units(case: Case) -> Finding | None:
    """Updates turned most relus of a layer off for all images."""
    if not (case.blob or case.stalled) or not case.dies:
        return None
    if case.factor < LARGE and (case.narrow or case.bright):
        return None  # the few units of a code die easily; bright images turn units off at a third of the rate too
    if not _flatter(case, FLAT):
        return None
    return Finding(
        f"dead units: {flat(case, *case.flattest)} ({_before(case)}), and a relu that is 0 has no gradient"
        f"{_because(case)}",
        f"{lower_rate(case)}, from the start: dead units do not recover",
    )


def saturated(case: Case) -> Finding | None:
    """Updates made most outputs of a layer flat."""
    if not (case.blob or case.stalled) or case.dies:
        return None
    if case.factor < LARGE or case.flattest[1] <= (FLAT if case.fell < 0.01 else 0.75):
        return None
    return Finding(
        f"saturated by the updates: {flat(case, *case.flattest)} ({_before(case)}){_because(case)}",
        f"{lower_rate(case)}, from the start",
    )


def diverged(case: Case) -> Finding | None:
    """The loss or a weight became NaN or infinite."""
    if not case.broken:
        return None
    size = f"{times(case.factor)} times {SUITS}"
    if case.factor >= LARGE:
        return Finding(f"the learning rate is {size}", lower_rate(case))
    return Finding(
        f"the learning rate is not large, {size}: it may be the weights, the data or a kernel",
        f"{lower_rate(case)}; fastae check judges kernels of your own",
    )


def unstable(case: Case) -> Finding | None:
    """The loss goes up and down."""
    if not case.unstable:
        return None
    return Finding(
        f"unstable: {_rose(case)}{_because(case)}",
        f"halve the rate, --lr {case.lr / 2:.2g}" if case.factor < LARGE else lower_rate(case),
    )


def too_large(case: Case) -> Finding | None:
    """The rate is too large, and the training is worse than the mean image or has stopped learning."""
    if case.factor < LARGE:
        return None
    worse = case.work > 2 * NEEDED and case.ratio > WORSE
    if not worse and (case.work <= NEEDED / 2 or not (case.unstable or case.fell < 0.005)):
        return None
    return Finding(
        f"the learning rate is {times(case.factor)} times {SUITS}",
        usual_rate(case),
        remains=case.factor >= 4 * LARGE,
    )


def saturated_output(case: Case) -> Finding | None:
    """Updates made the last sigmoid flat, where the squared error has hardly a gradient."""
    if not case.blob or case.config["loss"] != "mse":
        return None  # the cross-entropy's gradient does not vanish there
    signs = case.signs
    if signs["stuck"] <= 0.02 or signs.get("output_flat", 0) <= 0.9 or signs["output_spread"] >= 0.01:
        return None
    shade = "black" if signs["output_mean"] < 0.5 else "white"
    return Finding(
        f"saturated output: every image comes out the same, and {signs['output_flat']:.0%} of its pixels are "
        f"where the last sigmoid is flat, most of them {shade}; there the gradient of the squared error nearly vanishes"
        f"{_because(case)}",
        f"{lower_rate(case)}, from the start",
    )


def too_small(case: Case) -> Finding | None:
    """The rate is so small that the updates hardly moved the weights."""
    if case.factor >= SMALL or case.work >= NEEDED or "moved" not in case.signs:
        return None
    return Finding(
        f"the learning rate is too small, {times(1 / case.factor)} times less than {SUITS}: "
        f"{count(case.updates, 'update')} were made, and those of the last epoch moved the first layer's weights by "
        f"{case.signs['moved'][0]:.1%}",
        usual_rate(case),
        remains=case.factor < SMALL / 4,
    )


def _flatter(case: Case, least: float) -> bool:
    """Return whether a layer's flat share exceeds ``least`` and has grown much since before the first update.

    Much is to twice the share, or by half of what was not flat.
    """
    share, first = case.flattest[1], case.flattest_at_first[1]
    return share > max(least, min(2 * first, (1 + first) / 2))


def _harmed(case: Case) -> bool:
    """Return whether the figures show what a rate that is too large does."""
    return bool(case.broken) or case.unstable or _flatter(case, 0.3) or (case.blob and case.signs["stuck"] > 0.02)


def _because(case: Case) -> str:
    """Return how large the rate is, if it is too large; else nothing."""
    with_momentum = f", with momentum {case.momentum:g}," if case.momentum else ""
    return f"; the rate{with_momentum} is {times(case.factor)} times {SUITS}" if case.factor >= LARGE else ""


def _effect(case: Case) -> str:
    """Return what a rate that is too large has done, if the figures show it; else nothing."""
    if case.broken:
        return ""
    place, share = case.flattest
    return f"; {flat(case, place, share)}" if share > 0.3 else f"; {_rose(case)}" if case.unstable else ""


def _rose(case: Case) -> str:
    """Return how often the loss rose."""
    parts = count(len(case.parts), "part")
    return f"the loss rose in {case.rises} of the last {parts} of epochs, more than the choice of images explains"


def _before(case: Case) -> str:
    """Return how large the share of the flattest layer was before the first update."""
    shares = case.initial.get("flat")
    return (
        "a smaller rate may keep them"
        if shares is None
        else f"{shares[case.flattest[0] - 1]:.0%} before the first update"
    )
