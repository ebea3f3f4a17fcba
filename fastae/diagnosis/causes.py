"""What a training fails of: one cause a row, in the order in which they are asked about.

What is wrong with the data comes before what is wrong with the network's beginning, and that before the learning rate,
since each makes what comes after it fail as well.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

from fastae.diagnosis import data_words, words
from fastae.diagnosis.case import DARK, FLAT, LARGE, NEEDED, SAME_WEIGHTS, WORSE, Case

OFFSET = 4  # bias at which a sigmoid is nearly flat
HUGE = 4  # times what the activation's rule draws, from which on weights are called too large
DIM = 64  # of 255: the largest value of images that are too dark for a network that has learned nothing
BLANK = 0.1  # share of images without any contrast that is no accident
SAME = 0.1  # spread of a code that is nearly the same for all images
SMALL = 0.4  # times the usual rate, below which a rate is called too small
BRIGHT = 2  # times the ‖x‖² of their negative, from which on images are bright
FOREIGN = 3  # a rate within so many times another's is taken for it


def _never(case: Case) -> bool:
    return False


def _always(case: Case) -> bool:
    return True


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
    also : callable
        Where another cause is told already, is this one sure to be left when that is mended?
    """

    name: str
    kind: str
    holds: Callable[[Case], bool]
    told: Callable[[Case], str]
    mend: Callable[[Case], str]
    also: Callable[[Case], bool] = _never


def _dark(case: Case) -> bool:
    return case.start["largest"] <= (DIM if case.blob else DARK)


def _noise(case: Case) -> bool:
    count, found = case.start["components"], case.start["explained"]
    return count >= 10 and found < 0.5 and found < 1.5 * case.chance + 0.02


def _identical(case: Case) -> bool:
    return min(case.initial.get("distinct", [1.0])) < SAME_WEIGHTS


# What is flat has no gradient, and makes no NaN: a training that diverged did so for another reason.


def _saturated_at_first(case: Case) -> bool:
    return not case.broken and case.activation != "relu" and case.flattest_at_first[1] > FLAT and case.thrown


def _dead_at_first(case: Case) -> bool:
    if case.broken or case.activation != "relu" or (_bright(case) and not case.thrown):
        return False  # bright images put many units off
    return case.flattest_at_first[1] > FLAT


def _output_at_first(case: Case) -> bool:
    flat = case.initial.get("output_flat", 0) > FLAT
    return not case.broken and flat and case.initial["biases"][-1] > OFFSET and max(case.drawn) < HUGE


def _flatter(case: Case, least: float) -> bool:
    """Is more than this share of a layer flat, and twice as much as at first, or half of what was not?"""
    share, first = case.flattest[1], case.flattest_at_first[1]
    return share > max(least, min(2 * first, (1 + first) / 2))


def _harmed(case: Case) -> bool:
    """Do the figures show what a rate that is too large does?"""
    return bool(case.broken) or case.unstable or _flatter(case, 0.3) or (case.blob and case.signs["stuck"] > 0.02)


def _per_pixel(case: Case) -> bool:
    pixels = case.start["pixels"]
    near = 1 / FOREIGN < case.lr / case.usual / pixels < FOREIGN
    return near and pixels > FOREIGN**2 and (case.blob or _harmed(case))


def _swing(case: Case) -> bool:
    own = case.lr / case.usual  # of the rate, without what momentum makes of it
    return case.momentum >= 0.9 and case.factor >= max(LARGE, own**2) and _harmed(case)


def _dead(case: Case) -> bool:
    if not (case.blob or case.stalled) or case.activation != "relu":
        return False
    if case.factor < LARGE and (_narrow(case) or _bright(case)):
        return False  # the few units of a code die easily; bright images put units off at a third of the rate too
    return _flatter(case, FLAT)


def _saturated(case: Case) -> bool:
    if not (case.blob or case.stalled) or case.activation == "relu":
        return False
    return case.factor >= LARGE and case.flattest[1] > (FLAT if case.fell < 0.01 else 0.75)


def _stuck(case: Case) -> bool:
    if not case.blob or case.config["loss"] != "mse":
        return False  # the cross-entropy's gradient does not vanish there
    return case.signs["stuck"] > 0.02 and case.signs.get("output_flat", 0) > 0.9 and case.signs["output_spread"] < 0.01


def _too_large(case: Case) -> bool:
    if case.work > 2 * NEEDED and case.ratio > WORSE:
        return case.factor >= LARGE
    return case.factor >= LARGE and case.work > NEEDED / 2 and (case.unstable or case.fell < 0.005)


def _narrow(case: Case) -> bool:
    return case.start["in_room"] < 0.25 and case.start["explained"] > 0.4


def _bright(case: Case) -> bool:
    """Would the negative be less steep by far?"""
    return case.blob and case.start["square"] > BRIGHT * case.negative_square


def _same(case: Case) -> bool:
    """Is the code the same for all images as it was drawn? One that becomes so may be on its way."""
    return max(case.signs["code_spread"], case.initial.get("code_spread", 1.0)) < SAME


def _few(case: Case) -> bool:
    return 0 < case.updates < NEEDED and NEEDED / case.updates >= 1 / case.factor


CAUSES = (
    Cause(
        "all zero",
        "data",
        lambda case: case.start["largest"] == 0,
        lambda case: "pixel values are all 0",
        lambda case: "look at the file that the images come from, and at how it was converted",
    ),
    Cause(
        "constant data",
        "data",
        lambda case: case.start["varying"] == 0,
        lambda case: "there is only one image" if case.start["images"] == 1 else "all images are the same",
        lambda case: "look at the file that the images come from",
    ),
    Cause(
        "blank images",
        "data",
        lambda case: case.start.get("blank", 0) > BLANK,
        data_words.blank,
        data_words.leave_out,
    ),
    Cause("pixel scale", "data", _dark, data_words.scale, data_words.rescale),
    Cause(
        "nearly constant data",
        "data",
        lambda case: math.sqrt(case.start["mean_image_mse"]) < 0.01,
        data_words.nearly_constant,
        lambda case: f"stretch what varies over 0 to {case.start.get('white', 255)}, or take other images",
    ),
    Cause(
        "noise",
        "data",
        _noise,
        data_words.noise,
        lambda case: "no code is shorter than noise; look at how the file is read: its width, type and byte order",
    ),
    Cause(
        "other test images",
        "data",
        lambda case: case.shifted,
        data_words.other_images,
        data_words.same_source,
    ),
    Cause("too few images", "data", lambda case: case.forgets, data_words.by_heart, data_words.more_images),
    Cause("identical units", "start", _identical, words.identical, words.draw_identical),
    Cause("saturated at the start", "start", _saturated_at_first, words.saturated_at_first, words.draw_flattest),
    Cause("dead at the start", "start", _dead_at_first, words.dead_at_first, words.draw_flattest),
    Cause(
        "saturated output at the start",
        "start",
        _output_at_first,
        words.output_at_first,
        lambda case: words.NEAR_0,
    ),
    Cause(
        "weights too large",
        "start",
        lambda case: max(case.drawn) > HUGE,
        words.weights_too_large,
        lambda case: words.draw(case, case.largest_drawn),
    ),
    Cause("a rate for a mean over pixels", "rate", _per_pixel, words.per_pixel, words.divided, _always),
    Cause("momentum too near 1", "rate", _swing, words.swing, words.less_swing, _always),
    Cause("dead units", "rate", _dead, words.dead, words.revive),
    Cause("saturated by the updates", "rate", _saturated, words.saturated, words.from_the_start),
    Cause("diverged", "rate", lambda case: bool(case.broken), words.diverged, words.lower_or_check),
    Cause("unstable", "rate", lambda case: case.unstable, words.unstable, words.halve),
    Cause(
        "rate too large",
        "rate",
        _too_large,
        words.too_large,
        words.usual,
        lambda case: case.factor >= 4 * LARGE,
    ),
    Cause("saturated output", "rate", _stuck, words.stuck, words.from_the_start),
    Cause("code too small", "network", _narrow, words.narrow, lambda case: "a wider code, such as 32"),
    Cause(
        "too few updates", "length", _few, words.few_updates, words.more_updates, lambda case: case.updates < NEEDED / 5
    ),
    Cause(
        "rate too small",
        "rate",
        lambda case: case.factor < SMALL and case.work < NEEDED,
        words.too_small,
        words.usual,
        lambda case: case.factor < SMALL / 4,
    ),
    Cause("weights too small", "start", lambda case: max(case.drawn) < 0.25, words.weights_too_small, words.draw),
    Cause("bright images", "data", _bright, data_words.bright, data_words.negative),
    Cause(
        "same code for all images",
        "network",
        _same,
        words.same_code,
        words.fewer_layers,
    ),
    Cause("still learning", "length", lambda case: case.blob and case.fell > 0.01, words.learning, words.longer),
    Cause("unknown", "", _always, words.unknown, words.try_both),
)
