"""Patches of images, and back: a copy, or an addition, for each of a patch's pixels, of all patches at once."""

from collections.abc import Iterator

import numpy as np

from fastae.layers import Geometry

Index = tuple[int | slice, ...]


def unfold(x: np.ndarray, g: Geometry, out: np.ndarray) -> None:
    """Write each patch of each image in a row, 0 where it lies in the padding."""
    images, patches = views(x, out, g)
    if g.padding:
        out[:] = 0
    for of_image, of_patch in taps(g):
        patches[of_patch] = images[of_image]


def fold(x: np.ndarray, g: Geometry, out: np.ndarray) -> None:
    """Write every pixel as the sum of what the patches that it is in have for it."""
    images, patches = views(out, x, g)
    out[:] = 0
    for of_image, of_patch in taps(g):
        images[of_image] += patches[of_patch]


def convolve(x: np.ndarray, weights: np.ndarray, g: Geometry, out: np.ndarray) -> None:
    """Write unfold(x) · weights."""
    channels = x.shape[1] // (g.height * g.width)
    images, of_taps = x.reshape(len(x), g.height, g.width, channels), weights.reshape(-1, channels, weights.shape[1])
    of_patches = out.reshape(len(x), g.rows, g.columns, 1, 1, out.shape[1])
    out[:] = 0
    for (of_image, of_patch), tap in zip(taps(g), of_taps):
        pixels = images[of_image]
        # A product for each image. With four axes NumPy would make one for each row of pixels; with two, BLAS would
        # share it among threads, which wait for each other for too long where the machine has other things to do.
        product = pixels.reshape(len(x), pixels.shape[1] * pixels.shape[2], channels) @ tap
        of_patches[(*of_patch[:3], 0, 0)] += product.reshape(*pixels.shape[:3], out.shape[1])


def views(images: np.ndarray, patches: np.ndarray, g: Geometry) -> tuple[np.ndarray, np.ndarray]:
    """View images as (m, height, width, channels), and patches as (m, rows, columns, kernel, kernel, channels)."""
    m, channels = len(images), images.shape[1] // (g.height * g.width)
    return (
        images.reshape(m, g.height, g.width, channels),
        patches.reshape(m, g.rows, g.columns, g.kernel, g.kernel, channels),
    )


def taps(g: Geometry) -> Iterator[tuple[Index, Index]]:
    """Yield for each pixel of a patch where it lies in the images, and in the patches where it is inside."""
    everything = slice(None)
    for i in range(g.kernel):
        rows, patch_rows = inside(i, g.height, g.rows, g)
        for j in range(g.kernel):
            columns, patch_columns = inside(j, g.width, g.columns, g)
            yield (everything, rows, columns), (everything, patch_rows, patch_columns, i, j)


def inside(tap: int, pixels: int, patches: int, g: Geometry) -> tuple[slice, slice]:
    """Return the pixels that a tap of a kernel falls on along one axis, and the patches that have them there."""
    first = max(0, -((tap - g.padding) // g.stride))
    last = min(patches, (pixels - 1 + g.padding - tap) // g.stride + 1)
    start = first * g.stride + tap - g.padding
    count = max(0, last - first)
    return slice(start, start + (count - 1) * g.stride + 1, g.stride) if count else slice(0, 0), slice(
        first, first + count
    )
