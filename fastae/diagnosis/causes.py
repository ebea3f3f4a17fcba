"""The causes of a failed training, one a row, in the order in which they are looked for.

A fault of the data comes first, then one of the initial weights, then one of the learning rate, because each of them
produces the figures of the causes after it.
"""

from collections.abc import Callable
from typing import NamedTuple

from fastae.diagnosis import data, network, rate, start
from fastae.diagnosis.case import Case
from fastae.diagnosis.finding import Finding


class Cause(NamedTuple):
    """One row of the table.

    Attributes
    ----------
    name : str
        The cause's name, as `fastae.Diagnosis` has it.
    kind : {"data", "start", "rate", "network", "length"}
        Where the cause lies. Of causes of one kind only the first is reported.
    find : callable
        Returns what there is to report, or None if the figures do not show this cause.
    """

    name: str
    kind: str
    find: Callable[[Case], Finding | None]


CAUSES = (
    Cause("all zero", "data", data.all_zero),
    Cause("constant data", "data", data.constant),
    Cause("blank images", "data", data.blank),
    Cause("pixel scale", "data", data.pixel_scale),
    Cause("nearly constant data", "data", data.nearly_constant),
    Cause("noise", "data", data.noise),
    Cause("other test images", "data", data.other_test_images),
    Cause("too few images", "data", data.too_few),
    Cause("identical units", "start", start.identical_units),
    Cause("saturated at the start", "start", start.saturated),
    Cause("dead at the start", "start", start.dead),
    Cause("saturated output at the start", "start", start.saturated_output),
    Cause("weights too large", "start", start.weights_too_large),
    Cause("a rate for a mean over pixels", "rate", rate.per_pixel),
    Cause("momentum too near 1", "rate", rate.momentum),
    Cause("dead units", "rate", rate.dead_units),
    Cause("saturated by the updates", "rate", rate.saturated),
    Cause("diverged", "rate", rate.diverged),
    Cause("unstable", "rate", rate.unstable),
    Cause("rate too large", "rate", rate.too_large),
    Cause("saturated output", "rate", rate.saturated_output),
    Cause("code too small", "network", network.code_too_small),
    Cause("too few updates", "length", network.too_few_updates),
    Cause("rate too small", "rate", rate.too_small),
    Cause("weights too small", "start", start.weights_too_small),
    Cause("bright images", "data", data.bright),
    Cause("same code for all images", "network", network.same_code),
    Cause("still learning", "length", network.still_learning),
)
