"""What is said of images that no network can learn from, or not this one, and of what mends it."""

import math

from fastae.diagnosis.case import Case


def grey(case: Case, x: float) -> str:
    """Return a grey value, from 0 to 1, as the images have it."""
    return f"{255 * x:.3g} of 255" if case.start.get("white", 255) == 255 else f"{x:.2g} of 1"


def scale(case: Case) -> str:
    """Say that the images are dark."""
    largest = grey(case, case.start["largest"] / 255)
    return f"the largest pixel value is {largest.replace(' of', ', of')}: to this network the images are black"


def rescale(case: Case) -> str:
    """Say by what they should be multiplied."""
    kind = "bytes from 0 to 255" if case.start.get("white", 255) == 255 else "floats from 0 to 1"
    by = 255 / case.start["largest"]
    return f"pixels are {kind}: multiply them by {math.floor(by + 1e-3) if by < 1e5 else f'{by:.3g}'}"


def blank(case: Case) -> str:
    """Say how many images have no contrast."""
    return f"{case.start['blank']:.0%} of the images are blank: all pixels of such an image have the same value"


def leave_out(case: Case) -> str:
    """Return how to do without them."""
    if case.start["blank"] > 0.99:
        return "look at the file that the images come from: these may be labels"
    return "leave them out, images[images.min(axis=1) < images.max(axis=1)], or look for why they are so"


def nearly_constant(case: Case) -> str:
    """Say how little varies."""
    varies = grey(case, math.sqrt(case.start["mean_image_mse"]))
    return f"the data is nearly constant: from image to image a pixel varies by {varies}"


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
    kind = "the test images are not of the kind of the training images"
    if case.unlike:
        return (
            f"{kind}: {start['components']} principal components explain {start['explained']:.0%} of the variance of "
            f"other training images, and {start['test_explained']:.0%} of that of the test images"
        )
    return (
        f"{kind}, whose mean is wrong on them by {start['test_mean_image_mse']:.2g} a pixel, while their own is wrong "
        f"by {start['test_own_mean_mse']:.2g}"
    )


def same_source(case: Case) -> str:
    """Say what to look at."""
    if case.unlike:
        return "look whether one of them is turned, or of other classes, and draw both from one source"
    return "give both the same scale and the same colours, and draw both from one source"


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
    white = case.start.get("white", 255)
    return f"train on the negative, {white} - x, whose pixels are {1 - case.start['mean']:.2f} in the mean"


def by_heart(case: Case) -> str:
    """Say how test and training errors differ."""
    if case.repeated:
        seen = min(case.start["images"], 256)
        return f"too few images: of {seen} training images that were looked at, only {case.start['different']} differ"
    return (
        f"too few images: the {case.start['images']:,} training images are known by heart (error "
        f"{case.signs['sample_mse']:.2g} a pixel), and others are not ({case.error:.2g})"
    )


def more_images(case: Case) -> str:
    """Say how many it takes."""
    return f"more training images, {10 * case.start['images']:,} say; with these, fewer --epochs or a smaller code"
