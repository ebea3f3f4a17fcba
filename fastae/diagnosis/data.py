"""Causes that lie with the images."""

import math

from fastae.diagnosis.case import DARK, Case
from fastae.diagnosis.finding import Finding

DIM = 64  # of 255: the largest value of images that are too dark for a network that has learned nothing
BLANK = 0.1  # share of images without contrast above which it is a cause


def all_zero(case: Case) -> Finding | None:
    """All pixels of all images are 0."""
    if case.start["largest"] != 0:
        return None
    return Finding("pixel values are all 0", "check the file that the images come from, and how it was converted")


def constant(case: Case) -> Finding | None:
    """No pixel varies from image to image."""
    if case.start["varying"] != 0:
        return None
    sentence = "there is only one image" if case.start["images"] == 1 else "all images are the same"
    return Finding(sentence, "check the file that the images come from")


def blank(case: Case) -> Finding | None:
    """Many images have no contrast."""
    share = case.start.get("blank", 0)
    if share <= BLANK:
        return None
    mend = "leave them out, images[images.min(axis=1) < images.max(axis=1)], or find out why they are blank"
    if share > 0.99:
        mend = "check the file that the images come from: these may be labels"
    return Finding(f"{share:.0%} of the images are blank: all pixels of such an image have the same value", mend)


def pixel_scale(case: Case) -> Finding | None:
    """The pixels have another scale than 0 to 255, or 0 to 1 for floats, so that the images look black."""
    largest = case.start["largest"]
    if largest > (DIM if case.blob else DARK):
        return None
    kind = "bytes from 0 to 255" if _white(case) == 255 else "floats from 0 to 1"
    factor = 255 / largest
    return Finding(
        f"the largest pixel value is {_grey(case, largest / 255).replace(' of', ', of')}: to this network the images "
        "are black",
        f"pixels are {kind}: multiply them by {math.floor(factor + 1e-3) if factor < 1e5 else f'{factor:.3g}'}",
    )


def nearly_constant(case: Case) -> Finding | None:
    """The pixels hardly vary from image to image."""
    varies = math.sqrt(case.start["mean_image_mse"])
    if varies >= 0.01:
        return None
    return Finding(
        f"the data is nearly constant: from image to image a pixel varies by {_grey(case, varies)}",
        f"stretch what varies over 0 to {_white(case)}, or take other images",
    )


def noise(case: Case) -> Finding | None:
    """Principal components explain other images hardly better than random directions do."""
    start = case.start
    known, explained = start["components"], start["explained"]
    if known < 10 or explained >= 0.5 or explained >= 1.5 * case.chance + 0.02:
        return None
    return Finding(
        f"the images look like noise: {known} principal components explain {explained:.0%} of the variance of other "
        f"images, and as many random directions explain {case.chance:.0%}",
        "noise cannot be compressed; check how the file is read: its width, type and byte order",
    )


def other_test_images(case: Case) -> Finding | None:
    """The test images are not of the kind of the training images."""
    if not case.shifted:
        return None
    start, kind = case.start, "the test images are not of the kind of the training images"
    if case.unlike:
        return Finding(
            f"{kind}: {start['components']} principal components explain {start['explained']:.0%} of the variance of "
            f"other training images, and {start['test_explained']:.0%} of that of the test images",
            "check whether one of them is rotated or has other classes; take both from one source",
        )
    return Finding(
        f"{kind}: the mean training image has an error of {start['test_mean_image_mse']:.2g} a pixel on them, and "
        f"their own mean image one of {start['test_own_mean_mse']:.2g}",
        "give both the same scale and the same colours, and take both from one source",
    )


def too_few(case: Case) -> Finding | None:
    """The network has memorised the training images and is far worse on test images."""
    if not case.forgets:
        return None
    images = case.start["images"]
    mend = f"more training images, say {10 * images:,}; with these, fewer --epochs or a smaller code"
    if case.repeated:
        seen, different = min(images, 256), case.start["different"]
        return Finding(
            f"too few images: of {seen} training images that were examined, only {different} differ",
            mend,
        )
    return Finding(
        f"too few images: the network has memorised the {images:,} training images (error "
        f"{case.signs['sample_mse']:.2g} a pixel) and is worse on others ({case.error:.2g})",
        mend,
    )


def bright(case: Case) -> Finding | None:
    """The images are bright, so that what all of them share dominates every unit's input."""
    if not case.bright:
        return None
    start = case.start
    shared = 1 - start["pixels"] * start["mean_image_mse"] / start["square"]
    return Finding(
        f"the images are bright: {start['mean']:.2f} in the mean, and their mean image makes up {shared:.0%} "
        "of ||x||^2. What all images share moves all units in the same way, and is slow to learn",
        f"train on the negative, {_white(case)} - x, whose pixels are {1 - start['mean']:.2f} in the mean",
    )


def _white(case: Case) -> int:
    """Return the value of a white pixel: 255 for bytes, 1 for floats."""
    return case.start.get("white", 255)


def _grey(case: Case, x: float) -> str:
    """Return a grey value from 0 to 1 in the units of the images."""
    return f"{255 * x:.3g} of 255" if _white(case) == 255 else f"{x:.2g} of 1"
