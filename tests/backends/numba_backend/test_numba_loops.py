"""The loops of Numba's kernels in the interpreter: that they lay every tile once, and the largest that fits.

`test_kernels.py` tests the kernels as they are compiled; there, other tiles would give the same products.
"""

import importlib.util
import itertools
import threading
from collections import Counter
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numba import types
from sampling import sample
from whole_numbers import whole_numbers

from fastae.backends.numba_backend import jit, kernels, link, sparse, tiles
from fastae.backends.numba_backend.kernels import K_BLOCK, PREFETCH_DISTANCE, ROW_BLOCK
from fastae.backends.numba_backend.machine import MACHINE
from fastae.backends.numba_backend.tiles import Shape

L = kernels.VECTOR_BYTES // 8  # lanes of float64
ALPHA_BETA = [(1.0, 0.0), (-2.0, 0.0), (1.0, 1.0), (0.5, 2.0)]


@pytest.fixture
def laid() -> Counter[tuple[int, int]]:
    """Count the tiles that are laid, by their rows and columns; a masked one's columns are 0."""
    return Counter()


SHAPES = {
    "SSE2": {"OUTER": (4, 2), "OUTER_ROW": (1, 4), "DOT": (2, 4), "DOT_ROW": (1, 4)},
    "AVX2": {"OUTER": (4, 3), "OUTER_ROW": (1, 4), "DOT": (3, 4), "DOT_ROW": (1, 4)},
    "AVX-512": {"OUTER": (4, 4), "OUTER_ROW": (1, 4), "DOT": (4, 4), "DOT_ROW": (1, 8)},
}


@pytest.fixture(params=SHAPES)
def k(laid: Counter[tuple[int, int]], monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Any:
    """Run the kernels' module with tiles of NumPy and nothing compiled, with the tiles of each machine."""
    shapes = SHAPES[request.param]
    if request.param == MACHINE.name:
        assert {name: tuple(getattr(tiles, name)) for name in shapes} == shapes
    for name, shape in shapes.items():
        monkeypatch.setattr(tiles, name, Shape(*shape))

    def block(product: np.ndarray, out: np.ndarray, beta: float, i: int, j: int) -> None:
        rows, columns = product.shape
        there = out[i : i + rows, j : j + columns]
        assert there.shape == product.shape, "a tile beyond the end"
        there[:] = product if beta == 0 else product + beta * there

    def outer_tile(
        rows: int, vectors: int, trans_a: bool, listed: bool = False, masked: bool = False, unroll: int = 1
    ) -> Callable[..., None]:
        assert not listed

        def tile(a, b, out, ks, depth, alpha, beta, i, j, count):
            assert not masked or (vectors == 1 and 0 < count < L)
            columns = count if masked else vectors * L
            a = a.T if trans_a else a
            block(alpha * a[i : i + rows, :depth] @ b[:depth, j : j + columns], out, beta, i, j)
            laid[rows, 0 if masked else vectors * L] += 1

        return tile

    def dot_tile(rows: int, columns: int, unroll: int = 1) -> Callable[..., None]:
        def tile(a, b, out, alpha, beta, i, j):
            block(alpha * a[i : i + rows] @ b[j : j + columns].T, out, beta, i, j)
            laid[rows, columns] += 1

        return tile

    def plain(function: Any = None, **options: Any) -> Any:
        return function or (lambda f: f)

    for module, name, fake in ((tiles, "outer_tile", outer_tile), (tiles, "dot_tile", dot_tile), (jit, "jit", plain)):
        monkeypatch.setattr(module, name, fake)
    monkeypatch.setattr(link, "linked", lambda letters: plain)
    spec: Any = importlib.util.spec_from_file_location("fastae_loops", kernels.__file__)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def strip(n: int, most: int) -> list[tuple[int, int]]:
    """Return how many of which tiles, by their columns, a strip of n columns takes: the largest first.

    But for four vectors by tiles of three and two: two of two are better than three and one.
    """
    middle = (most + 1) // 2
    vectors, rest = divmod(n, L)
    wide = 0
    while vectors >= most and not (vectors == 2 * middle > most):
        wide, vectors = wide + 1, vectors - most
    halves, single = divmod(vectors, middle)
    return [(most * L, wide), (middle * L, halves), (L, single), (0, int(rest > 0))]


ROWS = (1, 3, 4, 11, ROW_BLOCK, ROW_BLOCK + 5)
COLUMNS = (1, L, 2 * L - 1, 4 * L, 7 * L + 2, 8 * L, 11 * L + 1)


@pytest.mark.parametrize("trans_a", [False, True])
@pytest.mark.parametrize("trans_b", sample([False, True], 2))
def test_each_tile_is_laid_once_and_is_the_largest_that_fits(
    trans_a: bool, trans_b: bool, k: Any, laid: Counter[tuple[int, int]]
) -> None:
    for m, n, depth in itertools.product(ROWS, COLUMNS, (1, 5, ROW_BLOCK + 1, 2 * K_BLOCK + 3)):
        if trans_a and trans_b and m * n * depth > 10_000:
            continue  # it is plain
        for alpha, beta in ALPHA_BETA if depth == 5 else ALPHA_BETA[2:]:
            a, b = whole_numbers(m, depth), whole_numbers(depth, n)
            out = np.full((m, n), np.nan) if beta == 0 else whole_numbers(m, n)
            right = alpha * a @ b + (beta * out if beta else 0)
            laid.clear()
            k.matmul(a.T.copy() if trans_a else a, b.T.copy() if trans_b else b, out, trans_a, trans_b, alpha, beta)
            np.testing.assert_array_equal(out, right)
            assert +laid == +expected(k, m, n, depth, trans_a, trans_b)


def expected(k: Any, m: int, n: int, depth: int, trans_a: bool, trans_b: bool) -> Counter[tuple[int, int]]:
    """Return how many tiles of which size a product takes."""
    counts: Counter[tuple[int, int]] = Counter()
    if trans_a and trans_b:
        return counts
    if trans_b:
        strips, rest = divmod(m, k.DOT.rows)
        if k.DOT.rows == 3 and rest == 1 and strips:  # four rows are two and two
            strips, rest = strips - 1, 4
        pairs, single = divmod(rest, 2)
        shapes = (k.DOT.across, k.DOT.rows, strips), (k.DOT.across, 2, pairs), (k.DOT_ROW.across, 1, single)
        for columns, rows, times in shapes:
            counts[rows, columns] += times * (n // columns)
            counts[1, 1] += rows * times * (n % columns)
        return counts
    blocks = [m] if trans_a else [ROW_BLOCK] * (m // ROW_BLOCK) + [m % ROW_BLOCK]
    pieces = -(-depth // (ROW_BLOCK if trans_a else K_BLOCK))
    for shape, strips in (
        (k.OUTER, sum(block // k.OUTER.rows for block in blocks)),
        (k.OUTER_ROW, sum(block % k.OUTER.rows for block in blocks)),
    ):
        for columns, count in strip(n, shape.across):
            counts[shape.rows, columns] += pieces * strips * count
    return counts


@pytest.mark.parametrize("trans_a", [False, True])
def test_a_sum_of_nothing_is_nothing(trans_a: bool, k: Any) -> None:
    out = np.full((3, 5), np.nan)
    k.matmul(np.zeros((0, 3) if trans_a else (3, 0)), np.zeros((0, 5)), out, trans_a)
    assert not out.any()


def test_gather_asks_early_for_the_rows_that_come(k: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def divide(out: Any, image: Any, *same: Any) -> None:
        assert out.shape == image.shape
        out[:] = image / 255

    fakes = SimpleNamespace(prefetch=lambda images, row: asked.append(int(row)), DIVIDE_BY_255=divide)
    monkeypatch.setattr(k, "ew", fakes)
    images, order = np.arange(60 * 4, dtype=np.uint8).reshape(60, 4), np.random.default_rng(0).permutation(60)
    for first, m in ((0, 5), (7, 20), (60 - PREFETCH_DISTANCE - 3, 10), (50, 10)):
        asked.clear()
        out = np.full((m, 4), np.nan)
        k.gather(images, order, np.array([first - 2]), 2, out)
        np.testing.assert_array_equal(out, images[order[first : first + m]] / 255)
        assert asked == list(order[first + PREFETCH_DISTANCE : first + PREFETCH_DISTANCE + m])
    cursor = np.array([5, 7])
    k.advance(cursor, 3)
    assert list(cursor) == [8, 7]


def test_closures_have_names_of_their_own() -> None:
    """By which code from the cache is linked."""
    made = [
        getattr(m, f"{way}_{rows}")
        for m in (kernels, sparse)
        for way in ("FORWARD", "UPDATE")
        for rows in ("ROWS", "ROW")
    ]
    assert len({columns.py_func.__qualname__ for columns in made}) == len(made)


def test_nobody_goes_on_before_a_linked_function_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another thread would load code that calls a name which nothing has yet."""
    compiling, go_on = threading.Event(), threading.Event()

    def slow(function: Any, **options: Any) -> Any:
        compiling.set()
        assert go_on.wait(20)

    monkeypatch.setattr(link, "_functions", [(abs, "nothing", "m")])
    monkeypatch.setattr(link, "_registered", set())
    monkeypatch.setattr(link, "publish", lambda name, compiled: None)
    monkeypatch.setattr(jit, "jit", slow)
    threads = [threading.Thread(target=link.register_linked, args=(types.float32,), daemon=True) for _ in range(2)]
    threads[0].start()
    assert compiling.wait(20)
    threads[1].start()
    threads[1].join(0.2)
    assert threads[1].is_alive()
    go_on.set()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
