"""Numba's convolutions without patches, against NumPy's with them: products along lists, for every share of a team.

The whole step is compared in `tests/golden/test_golden.py`; here are geometries that it does not have.
"""

import numpy as np
import pytest

from fastae.backends.numba_backend import convolutions as cv
from fastae.backends.numba_backend import tables
from fastae.backends.numba_backend.locals import channels_of, few_channels, lists_of, pixels
from fastae.backends.numba_backend.operations import first_unit
from fastae.backends.numba_backend.session import aligned
from fastae.backends.numpy_backend import patches
from fastae.layers import Conv2d, Geometry, Layer
from fastae.layers.layer import Shape

# (height, width, channels), the convolution, images: odd and not square, with and without a border, few channels and
# many, patches that overlap, touch and leave gaps, one patch, more images than a tile has and fewer.
CASES = [
    ((7, 5, 1), Conv2d(16, 3, 2), 9),
    ((9, 9, 3), Conv2d(5, 7, 3), 4),
    ((4, 6, 2), Conv2d(20, 2, 3, padding=0), 1),
    ((5, 5, 8), Conv2d(33, 1, 1), 6),
    ((6, 6, 5), Conv2d(3, 5, 2, padding=4), 8),
    ((3, 3, 16), Conv2d(8, 3, 1, padding=0), 17),
    ((14, 14, 16), Conv2d(32, 3, 2), 5),
]
CASE = pytest.mark.parametrize(("shape", "convolution", "m"), CASES, ids=str)
DTYPES = pytest.mark.parametrize("dtype", ["float32", "float64"])
WORKERS = pytest.mark.parametrize("workers", [1, 2, 3, 5])


def layer_of(shape: tuple[int, int, int], convolution: Conv2d) -> Layer:
    return convolution.layer(Shape(*shape))[0]


def whole(shape: tuple[int, ...], dtype: str, seed: int = 0) -> np.ndarray:
    """Return whole numbers, whose sums are exact in any order, in rows that begin at cache lines."""
    array = aligned(shape, dtype)
    array[:] = np.random.default_rng(seed).integers(-4, 5, shape)
    return array


def shares(units: int, channels: int, workers: int) -> list[slice]:
    """Return a layer's units cut for a team, whole pixels each."""
    cuts = [first_unit(units, worker, workers, channels) for worker in range(workers + 1)]
    return [slice(*cut) for cut in zip(cuts, cuts[1:])]


def unfolded(x: np.ndarray, layer: Layer) -> np.ndarray:
    out = np.full((len(x) * layer.patches, layer.shape[0]), np.nan, x.dtype)
    patches.unfold(x, layer.geometry, out)
    return out


@CASE
@DTYPES
@WORKERS
def test_down_is_the_product_with_the_patches(
    shape: tuple[int, int, int], convolution: Conv2d, m: int, dtype: str, workers: int
) -> None:
    layer = layer_of(shape, convolution)
    a, W = whole((m, layer.inputs), dtype), whole(layer.shape, dtype, 1)
    out = np.full((m, layer.outputs), np.nan, dtype)
    for own in shares(layer.outputs, layer.channels, workers):
        entries, starts = tables.convolution(layer.geometry, channels_of(layer), pixels(own, layer.channels))
        cv.multiply(a, W, out[:, own], entries.ravel(), starts)
    np.testing.assert_array_equal(out, (unfolded(a, layer) @ W).reshape(m, -1))


@CASE
@DTYPES
@WORKERS
def test_up_adds_the_patches_that_a_pixel_is_in(
    shape: tuple[int, int, int], convolution: Conv2d, m: int, dtype: str, workers: int
) -> None:
    """With the weights transposed, and with vectors along the sum."""
    layer = layer_of(shape, convolution)
    channels, filters = channels_of(layer), layer.channels
    d, W = whole((m, layer.outputs), dtype), whole(layer.shape, dtype, 1)
    right = np.full((m, layer.inputs), np.nan, dtype)
    patches.fold(d.reshape(-1, filters) @ W.T, layer.geometry, right)
    W_transposed = np.ascontiguousarray(W.reshape(-1, channels, filters).swapaxes(1, 2).reshape(-1, channels))
    for rows in (channels, filters):
        out = np.full((m, layer.inputs), np.nan, dtype)
        for own in shares(layer.inputs, channels, workers):
            entries, starts = tables.transposed_convolution(layer.geometry, filters, rows, pixels(own, channels))
            if rows == filters:
                cv.multiply(d, W_transposed, out[:, own], entries.ravel(), starts)
            else:
                cv.multiply_by_transposed(d, W, out[:, own], entries.ravel(), starts, channels)
        np.testing.assert_array_equal(out, right)


@CASE
@DTYPES
@WORKERS
@pytest.mark.parametrize("own", ["patches", "pixels"])
def test_the_gradient_is_what_all_workers_say_of_their_own(
    shape: tuple[int, int, int], convolution: Conv2d, m: int, dtype: str, workers: int, own: str
) -> None:
    """Of their own patches, as a convolution's, or their own pixels of the image, as a transposed one's."""
    layer = layer_of(shape, convolution)
    channels, filters = channels_of(layer), layer.channels
    x, d = whole((m, layer.inputs), dtype), whole((m, layer.outputs), dtype, 1)
    total = np.zeros(layer.shape, dtype)
    units = (layer.outputs, filters) if own == "patches" else (layer.inputs, channels)
    for share in shares(*units, workers):
        mine = pixels(share, units[1])
        lists = tables.gradient(
            layer.geometry,
            channels,
            filters,
            patches=mine if own == "patches" else None,
            pixels=mine if own == "pixels" else None,
        )
        said = np.full(layer.shape, np.nan, dtype)
        cv.add_gradient(x, d, said, *(numbers.ravel() for numbers in lists))
        total += said
    np.testing.assert_array_equal(total, unfolded(x, layer).T @ d.reshape(-1, filters))


@CASE
def test_a_layers_lists_are_found_where_they_lie(shape: tuple[int, int, int], convolution: Conv2d, m: int) -> None:
    conv = layer_of(shape, convolution)
    for layer in (conv, conv.mirrored()):
        image, filters = channels_of(layer), layer.shape[1]
        out, into = (filters, image) if layer.kind == "conv" else (image, filters)
        own, below = slice(out, layer.outputs), slice(0, max(into, layer.inputs // into // 2 * into))
        found = lists_of(layer, below, own, np.dtype("float32"))
        parts = [found[start:stop] for start, stop in zip(found[:8], found[1:9])]
        assert list(parts[cv.NUMBERS]) == [image, own.stop - own.start]
        outputs, inputs = pixels(own, out), pixels(below, into)
        patches_, pixels_ = (outputs, inputs) if layer.kind == "conv" else (inputs, outputs)
        table = tables.convolution(layer.geometry, image, patches_)
        np.testing.assert_array_equal(parts[cv.CONV], table.entries.ravel())
        np.testing.assert_array_equal(parts[cv.CONV_STARTS], table.starts)
        rows = image if few_channels(layer, np.dtype("float32")) else filters
        table = tables.transposed_convolution(layer.geometry, filters, rows, pixels_)
        np.testing.assert_array_equal(parts[cv.TRANSPOSED], table.entries.ravel())
        np.testing.assert_array_equal(parts[cv.TRANSPOSED_STARTS], table.starts)
        assert parts[cv.GROUPS].size % 4 == parts[cv.PAIRS].size % 2 == 0
        assert len(parts[cv.OFFSETS]) == layer.shape[0]


def test_rows_of_the_weights_are_taken_four_at_a_time_where_their_pixels_are_inside_together() -> None:
    """Of one channel and a border, single rows are left for the border alone; of four channels, none."""
    geometry = Geometry(28, 28, 3, 2, 1)
    one = tables.gradient(geometry, 1, 16, range(196), None)
    counted = {rows: sum(last - first for _, n, first, last in one.groups if n == rows) for rows in (tables.GROUP, 1)}
    assert tables.GROUP * counted[tables.GROUP] + counted[1] == sum(
        len(range(max(0, 1 - i), 28 + 1 - i, 2)) and (14 - (i == 0)) * (14 - (j == 0))
        for i in range(3)
        for j in range(3)
    )
    assert tables.GROUP * counted[tables.GROUP] > 0.75 * (tables.GROUP * counted[tables.GROUP] + counted[1])
    four = tables.gradient(Geometry(14, 14, 3, 2, 1), 4, 16, range(49), None)
    assert set(four.groups[:, 1]) == {tables.GROUP}
