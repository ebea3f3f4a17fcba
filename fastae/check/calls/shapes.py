"""The lengths and numbers of all ordinary calls of a kernel."""

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from fastae.backends.contract import KERNELS, PATCHES
from fastae.check.calls.cases import ALPHA_BETA
from fastae.layers import Geometry

DTYPES = ("float32", "float64")
# Of m, k and n, and of m and n below, some length is a multiple of 2, of 4 and of 8 and not of twice that, so that
# `fastae.check.cause.conditions` can tell a kernel that works in blocks of 4 from one that works in blocks of 8.
PRODUCTS = (  # m, k, n
    (1, 1, 1),
    (2, 3, 4),
    (5, 7, 3),
    (1, 6, 4),
    (12, 1, 4),
    (6, 4, 1),
    (8, 5, 3),  # one of three lengths is a multiple of 8, so that m, k and n can be told apart
    (3, 8, 5),
    (5, 3, 8),
    (8, 8, 8),
    (17, 33, 18),
    (33, 70, 65),
    (16, 784, 40),
)
MATRICES = ((1, 1), (1, 6), (5, 1), (12, 4), (8, 8), (67, 3), (3, 67), (18, 64), (33, 65), (16, 784))
IMAGES = (  # m, height, width, channels, kernel, stride, padding
    (1, 1, 1, 1, 1, 1, 0),
    (2, 1, 1, 2, 3, 1, 2),
    (2, 3, 4, 1, 2, 1, 0),
    (1, 4, 3, 2, 3, 1, 1),
    (3, 5, 3, 2, 1, 1, 0),
    (2, 4, 5, 3, 1, 2, 0),
    (2, 5, 7, 1, 3, 2, 1),
    (1, 6, 4, 3, 2, 3, 0),
    (1, 7, 5, 2, 4, 3, 2),
    (2, 6, 6, 1, 3, 2, 1),
    (1, 5, 6, 2, 5, 1, 3),
    (1, 9, 8, 1, 7, 3, 6),
    (1, 6, 9, 2, 6, 2, 5),
    (2, 8, 8, 3, 3, 1, 1),
    (9, 4, 3, 2, 3, 2, 1),  # more images than a tile has rows
    (3, 14, 13, 8, 3, 2, 1),
)
PRIMES = (67, 71, 73, 79, 83, 89, 97)  # lengths that no tile divides
FEW = 4  # channels of a convolution's output at most
SCALES, ALPHAS = (
    (1 / 7, 0.25, 3.0),
    (-0.25, 1.0, 0.75, 0.0, 2.0),
)  # their numbers make every way to call meet all of them


def ordinary(name: str, seed: int) -> Iterator[tuple[str, dict[str, Any], bool]]:
    """Yield the ordinary calls of a kernel, small ones first.

    The last shapes are drawn at random, so that a kernel cannot be written for the shapes of this file.

    Parameters
    ----------
    name : str
        A kernel of the contract.
    seed : int
        Of the shapes that are drawn.

    Yields
    ------
    dtype : {"float32", "float64"}
    given : dict
        Lengths by the contract's letters, and numbers, as `fastae.check.calls.cases.made` takes them.
    block : bool
        Whether matrices are blocks of columns of wider ones.
    """
    rng = np.random.default_rng([seed, len(name)])
    if name == "advance":
        for n in (0, 1, 16, 2**40):
            yield "float64", {"n": n}, False
        return
    numbers, scales, alphas = itertools.cycle(ALPHA_BETA), itertools.cycle(SCALES), itertools.cycle(ALPHAS)
    if name == "matmul":
        for m, k, n in (*PRODUCTS, tuple(map(int, rng.integers(2, 48, 3)))):
            for trans_a, trans_b, dtype in itertools.product((False, True), (False, True), DTYPES):
                for block in (False, True):
                    alpha, beta = next(numbers)
                    given = {"m": m, "k": k, "n": n, "trans_a": trans_a, "trans_b": trans_b}
                    yield dtype, given | {"alpha": alpha, "beta": beta}, block
            next(numbers)  # so that each shape meets other numbers
        return
    if name in PATCHES:
        for number, (m, *geometry, channels) in enumerate(
            (m, h, w, *rest, c) for m, h, w, c, *rest in (*IMAGES, _image(rng))
        ):
            given = {"m": m, **dict(zip(Geometry._fields, geometry)), "channels": channels}
            given |= {"c": 1 + number % FEW} if name == "convolve" else {}
            yield from ((dtype, given, block) for dtype, block in itertools.product(DTYPES, (False, True)))
        return
    drawn = tuple(map(int, rng.choice(PRIMES, 2))), tuple(map(int, rng.integers(2, 48, 2)))
    for (m, n), dtype, block in itertools.product((*MATRICES, *drawn), DTYPES, (False, True)):
        if name == "axpy":
            shape = {"...": (m, n), "m": m, "n": n} if block else {"...": n, "m": 1, "n": n}
            yield dtype, shape | {"alpha": next(alphas)}, block
        elif name == "column_sum":
            for alpha, beta in ALPHA_BETA:
                yield dtype, {"m": m, "n": n, "alpha": alpha, "beta": beta}, block
        else:
            scale = {"scale": next(scales)} if "scale" in KERNELS[name].arguments else {}
            yield dtype, {"m": m, "n": n, **scale}, block


def _image(rng: np.random.Generator) -> tuple[int, ...]:
    """Draw a geometry, as `IMAGES` has them."""
    kernel = int(rng.integers(1, 5))
    m, channels, stride = map(int, rng.integers(1, 4, 3))
    height, width = map(int, rng.integers(kernel, 9, 2))
    return m, height, width, channels, kernel, stride, int(rng.integers(kernel))
