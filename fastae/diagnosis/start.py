"""Causes that lie with the initial weights and biases."""

from fastae.diagnosis.case import FLAT, SAME_WEIGHTS, Case
from fastae.diagnosis.finding import Finding, draw, drawn, flat, times

OFFSET = 4  # bias at which a sigmoid is nearly flat
HUGE = 4  # times the activation's rule: weights beyond it are called too large
SMALL = 0.25  # times the activation's rule: weights below it are called too small
NEAR_0 = "start with biases near 0, as fastae.Autoencoder draws them"


def identical_units(case: Case) -> Finding | None:
    """All units of a layer began with the same weights, so they get the same gradients and stay the same."""
    shares = case.initial.get("distinct", [1.0])
    if min(shares) >= SAME_WEIGHTS:
        return None
    place = next(l for l, share in enumerate(shares, 1) if share < SAME_WEIGHTS)
    return Finding(
        f"identical units: all units of layer {place} began with the same weights, so they "
        f"have the same gradients and stay the same; {drawn(case, place)}",
        draw(case, place),
    )


# A flat unit has no gradient and produces no NaN: a training that diverged did so for another reason.


def saturated(case: Case) -> Finding | None:
    """Most outputs of a hidden layer are flat before the first update."""
    if case.broken or case.dies or case.flattest_at_first[1] <= FLAT or not case.thrown:
        return None
    return Finding(
        f"saturated before the first update: {flat(case, *case.flattest_at_first)}; {_thrown(case)}",
        _draw_flattest(case),
    )


def dead(case: Case) -> Finding | None:
    """Most relus of a layer are 0 for all images before the first update."""
    if case.broken or not case.dies or (case.bright and not case.thrown):
        return None  # bright images alone turn many units off
    if case.flattest_at_first[1] <= FLAT or (max(case.drawn) < SMALL and not case.thrown):
        return None  # of small weights it is the biases that turn units off, for all images alike
    return Finding(
        f"dead before the first update: {flat(case, *case.flattest_at_first)}; {_thrown(case)}", _draw_flattest(case)
    )


def saturated_output(case: Case) -> Finding | None:
    """Large biases make the last sigmoid flat before the first update."""
    share = case.initial.get("output_flat", 0)
    if case.broken or share <= FLAT or case.initial["biases"][-1] <= OFFSET or max(case.drawn) >= HUGE:
        return None
    return Finding(
        f"saturated output before the first update: {share:.0%} of its pixels are below 0.01 or above 0.99, where the "
        f"sigmoid is flat; the last layer's biases have a root mean square of {case.initial['biases'][-1]:.2g}",
        NEAR_0,
    )


def weights_too_large(case: Case) -> Finding | None:
    """A layer's initial weights are much larger than the activation's rule draws them."""
    place, size = case.largest_drawn, max(case.drawn)
    if size <= HUGE:
        return None
    return Finding(
        f"weights too large: layer {place}'s are {times(size)} times what the rule for {case.activation} draws; "
        f"{drawn(case, place)}",
        draw(case, place),
    )


def weights_too_small(case: Case) -> Finding | None:
    """All initial weights are so small that every unit of the code is nearly the same for all images."""
    if max(case.drawn) >= SMALL:
        return None
    return Finding(
        "every unit of the code began nearly the same for all images, and it takes long until they differ; "
        f"{drawn(case)}",
        draw(case),
    )


def _thrown(case: Case) -> str:
    """Return what is large in the layer that is the flattest before the first update."""
    place = case.flattest_at_first[0]
    if case.biased(place):
        return f"its biases have a root mean square of {case.initial['biases'][place - 1]:.2g}"
    return drawn(case, place)


def _draw_flattest(case: Case) -> str:
    """Return how the parameters of that layer should be drawn."""
    place = case.flattest_at_first[0]
    if case.biased(place):
        return NEAR_0
    return draw(case, place) if case.thrown else "another --seed, or a layer of more units"
