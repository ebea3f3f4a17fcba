"""The kernels for images, unfold, fold and convolve, of every backend that runs here and of one in pure Python.

What they should write is taken from NumPy's windows into a padded image, and from the matrix that unfolds: fold is its
transpose.
"""

import itertools

import numpy as np
import pytest
from kernel_formulas import Arguments, backends, bound, dtypes, kernels_of, run, windows
from sampling import some

from fastae.check import bounds
from fastae.check.calls.cases import make
from fastae.layers import Geometry

NAMES = ("unfold", "fold", "convolve")
names = pytest.mark.parametrize("name", NAMES)


def geometries() -> list[tuple[Geometry, int, int, int]]:
    """Every kernel to 7, stride to 3 and padding that fits an image that is not square; with images and channels."""
    found = []
    for kernel, stride in itertools.product(range(1, 8), range(1, 4)):
        for padding in {0, kernel // 2, kernel - 1}:
            for height, width in ((1, 1), (5, 8), (9, 7)):
                if kernel <= min(height, width) + 2 * padding:
                    number = len(found)
                    geometry = Geometry(height, width, kernel, stride, padding)
                    found.append((geometry, 1 + number % 3, 1 + number % 4, (1, 3, 8, 2, 17)[number % 5]))
    return found


SOME = geometries()


def exact(name: str, arguments: Arguments) -> np.ndarray:
    """Return what a kernel should write, in float64."""
    x, g = arguments["x"].astype(np.float64), geometry_of(arguments)
    if name == "fold":
        pixels = arguments["out"].shape[1]
        matrix = windows(np.eye(pixels), g).reshape(pixels, -1)  # row: a pixel, column: a number of all patches
        return x.reshape(len(arguments["out"]), matrix.shape[1]) @ matrix.T
    patches = windows(x, g)
    return patches if name == "unfold" else patches @ arguments["weights"].astype(np.float64)


def geometry_of(arguments: Arguments) -> Geometry:
    return Geometry(*(arguments[key] for key in Geometry._fields))


def made(name: str, dtype: str, g: Geometry, m: int, channels: int, c: int, seed: int = 0) -> Arguments:
    return make(name, dtype, seed, m=m, channels=channels, c=c, **g._asdict())


@backends
@dtypes
@names
@pytest.mark.larger
def test_every_geometry_is_within_its_bound(backend: str, dtype: str, name: str) -> None:
    """From kernels of 1 to 7, strides of 1 to 3, as matrices and as blocks of columns, into an output full of NaN."""
    step = {"pure-python": 9, "emulator": 5}.get(backend, 1)
    for number, (g, m, channels, c) in some(enumerate(SOME[::step])):
        arguments = made(name, dtype, g, m, channels, c, number)
        found = run(backend, name, arguments, block=number % 2 == 1)
        assert bounds.accepts(found, exact(name, arguments), bound(name, arguments, dtype)), (g, m, channels, c)


@backends
@dtypes
@names
@pytest.mark.parametrize("m", [0, 1, 130])
def test_no_image_one_image_and_many(backend: str, dtype: str, name: str, m: int) -> None:
    g = Geometry(6, 5, 3, 2, 1)
    if backend in ("pure-python", "emulator") and m > 1:
        m = 9
    arguments = made(name, dtype, g, m, 3, 4)
    found = run(backend, name, arguments)
    assert bounds.accepts(found, exact(name, arguments), bound(name, arguments, dtype))


@backends
@dtypes
@names
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.filterwarnings("ignore:.*encountered:RuntimeWarning")  # NumPy's
def test_nan_and_infinity_reach_exactly_the_numbers_that_depend_on_them(
    backend: str, dtype: str, name: str, bad: float
) -> None:
    """A copy of a pixel in the padding, or one that is multiplied by 0, would spread it."""
    for g in (Geometry(4, 5, 3, 1, 1), Geometry(5, 4, 3, 2, 2), Geometry(6, 6, 2, 3, 0)):
        arguments = made(name, dtype, g, 2, 2, 3)
        arguments["x"] = abs(arguments["x"]) + 1
        if name == "convolve":
            arguments["weights"] = abs(arguments["weights"]) + 1  # so that infinity stays infinity
        clean = exact(name, arguments)
        arguments["x"][1, [0, 7]] = bad
        touched = exact(name, arguments | {"x": (~np.isfinite(arguments["x"])).astype(float)}) != 0
        found = run(backend, name, arguments)
        assert np.array_equal(found[touched], np.full(touched.sum(), bad), equal_nan=True), g
        tolerance = bound(name, arguments | {"x": np.where(np.isfinite(arguments["x"]), arguments["x"], 0)}, dtype)
        assert np.all(abs(found - clean)[~touched] <= tolerance[~touched]), g


@backends
def test_one_pixel_is_its_own_patch(backend: str) -> None:
    """A kernel of 1 leaves the images as they are, in other rows; one of 3 around a pixel has it in the middle."""
    k = kernels_of(backend)
    pixel = k.asarray(np.array([[3.0, 4.0]]))
    out = k.asarray(np.full((1, 18), np.nan))
    k.unfold(pixel, 1, 1, 3, 1, 1, out)
    assert k.to_host(out).tolist() == [[0.0] * 8 + [3.0, 4.0] + [0.0] * 8]
    images = np.arange(24.0).reshape(2, 12)
    for name in ("unfold", "fold"):
        x, result = (images, np.full((12, 2), np.nan)) if name == "unfold" else (images.reshape(12, 2), images * np.nan)
        device = k.asarray(result)
        getattr(k, name)(k.asarray(x), 2, 3, 1, 1, 0, device)
        assert k.to_host(device).ravel().tolist() == images.ravel().tolist()


def test_the_geometries_have_all_that_the_contract_allows() -> None:
    seen = [(g, m, channels) for g, m, channels, _ in SOME]
    assert {g.kernel for g, *_ in seen} == set(range(1, 8))
    assert {g.stride for g, *_ in seen} == {1, 2, 3}
    assert any(g.padding == g.kernel - 1 > 0 for g, *_ in seen)
    assert any((g.height, g.width) == (1, 1) for g, *_ in seen)
    assert any(g.stride > g.kernel for g, *_ in seen)
    assert {channels for *_, channels in seen} == {1, 2, 3, 4}
