"""Unfold, fold and convolve: one NumPy operation for each pixel of the kernel, for all patches at once."""

from collections.abc import Iterator

import numpy as np

from fastae.layers import Geometry

Index = tuple[int | slice, ...]


def unfold(x: np.ndarray, g: Geometry, out: np.ndarray) -> None:
    """Write each patch of each image as a row of ``out``, with 0 in the padding."""
    images, patches = views(x, out, g)
    if g.padding:
        out[:] = 0
    for of_image, of_patch in taps(g):
        patches[of_patch] = images[of_image]


def fold(x: np.ndarray, g: Geometry, out: np.ndarray) -> None:
    """Write, for every pixel, the sum of its values in all patches that contain it."""
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
        # One product for each image. With four axes NumPy would make one for each row of pixels. With two axes, BLAS
        # would use several threads, which is slow if other processes are busy.
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
    """Yield, for each pixel of the kernel, its index in the images and in the patches, without the padding."""
    everything = slice(None)
    for i in range(g.kernel):
        rows, patch_rows = inside(i, g.height, g.rows, g)
        for j in range(g.kernel):
            columns, patch_columns = inside(j, g.width, g.columns, g)
            yield (everything, rows, columns), (everything, patch_rows, patch_columns, i, j)


def inside(tap: int, pixels: int, patches: int, g: Geometry) -> tuple[slice, slice]:
    """Return, along one axis, the pixels that a pixel of the kernel covers, and the patches in which it covers them."""
    first = max(0, -((tap - g.padding) // g.stride))
    last = min(patches, (pixels - 1 + g.padding - tap) // g.stride + 1)
    start = first * g.stride + tap - g.padding
    count = max(0, last - first)
    return slice(start, start + (count - 1) * g.stride + 1, g.stride) if count else slice(0, 0), slice(
        first, first + count
    )
