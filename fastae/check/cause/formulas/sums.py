"""Sums: over k, over the rows of a column, over the pixels of an image."""

from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np

from fastae.check.cause.formulas.parts import Formula, Ways, beta_out, factors, log, log1
from fastae.check.cause.formulas.patches import table, unfolded
from fastae.layers import Geometry

TILES = (2, 4, 8, 16, 32, 64, 128, 256)
ODD = (3, 5, 7, 9, 15, 25, 125)  # odd factors of a number of threads that is halved
TERMS = {
    "matmul": "term of the sum over k",
    "convolve": "number of a patch",
    "column_sum": "row",
    "mse_loss": "pixel",
    "bce_loss": "pixel",
}


def ways(name: str, v: dict[str, Any]) -> Ways:
    """Yield sums whose terms are left out or added twice, or that are not begun anew."""
    if name not in TERMS:
        return
    rest = beta_out(v)
    part, terms, others = _partial_sum(name, v)
    for text, index in _selections(terms, TERMS[name]):
        yield text, part(index) + rest
    for what, other in others.items():
        if other < terms:
            yield f"the sum has as many terms as there are {what}", part(np.arange(other)) + rest
        for tile in TILES if name != "convolve" else ():  # few channels: every tile would be one slice
            if (most := -(-other // tile) * tile) < terms:
                text = f"the tiles of the sum, of {tile}, are counted by the {what} (as the grid is), so it stops early"
                yield text, part(np.arange(most)) + rest
    whole = part(np.arange(terms))
    mean = {"matmul": "over k", "convolve": "over a patch", "column_sum": "of the rows"}.get(name, "over pixels")
    yield f"it takes the mean {mean}, not the sum", whole / terms + rest
    yield "the sum begins with 1, not with 0", whole + v.get("alpha", 1.0) + rest
    text = "the sum is not begun anew: it goes on from one element to the next"
    yield text, np.cumsum(whole, axis=-1) + rest
    yield text, np.cumsum(whole).reshape(whole.shape) + rest
    if whole.ndim == 2:
        yield text, np.cumsum(whole, axis=0) + rest
    if name == "column_sum":
        yield from _of_all(v)
    if name in ("matmul", "column_sum"):
        A, B = factors(v) if name == "matmul" else (np.ones((1, len(v["delta"]))), v["delta"])
        total = np.zeros((len(A), B.shape[1]))
        for i in range(terms):
            total = np.trunc(total + A[:, i : i + 1] * B[i])
        text = "the accumulator is a whole number: it is cut after every term of the sum"
        yield text, v["alpha"] * total.reshape(whole.shape) + rest


def _partial_sum(name: str, v: dict[str, Any]) -> tuple[Formula, int, dict[str, int]]:
    """Return the sum as a function of the indices of its terms, the number of terms, and the other lengths."""
    if name == "matmul":
        A, B = factors(v)
        others = {"rows": A.shape[0], "columns": B.shape[1]}
        return lambda i: v["alpha"] * (A[:, i] @ B[i]), A.shape[1], others
    if name == "convolve":
        patches, weights = patches_of(v), v["weights"]
        return lambda i: patches[:, i] @ weights[i], len(weights), {"output channels": weights.shape[1]}
    if name == "column_sum":
        delta = v["delta"]
        return lambda i: v["alpha"] * delta[i].sum(axis=0), len(delta), {"columns": delta.shape[1]}
    z, x = v["z"], v["x"]
    each = (z - x) ** 2 if name == "mse_loss" else -(x * log(z) + (1 - x) * log1(z))
    return lambda i: each[:, i].sum(axis=1), z.shape[1], {"images": len(z)}


def patches_of(v: dict[str, Any]) -> np.ndarray:
    """Return the patches of the images of a convolution, a row each."""
    g = Geometry(*(v[key] for key in Geometry._fields))
    return unfolded(v["x"], table(g, v["x"].shape[1] // (g.height * g.width)))


def _selections(terms: int, term: str) -> Iterator[tuple[str, np.ndarray]]:
    """Yield wrong selections of terms: the fault, and the indices of the terms that are summed."""
    every = np.arange(terms)
    yield f"the last {term} is left out", every[:-1]
    yield f"the first {term} is left out", every[1:]
    for tile in TILES:
        whole = terms // tile * tile
        if whole < terms:
            yield f"the sum stops at the last whole slice of {tile}", every[:whole]
    yield f"only the last {term} is kept", every[-1:]
    yield f"only the first {term} is kept", every[:1]
    yield f"the last {term} is added twice", np.append(every, terms - 1)
    yield f"the first {term} is added twice", np.append(every, 0)
    yield f"the first and the last {term} are left out", every[1:-1]
    for tile in TILES:
        last = (terms - 1) // tile * tile
        if tile > 2:
            text = f"the products are not summed (= for +=): the last one of the last slice of {tile} is left"
            yield text, every[-1:] if terms % tile == 0 else every[:0]  # 0, in the padding
        yield f"only the last slice of {tile} is kept: the sum is begun anew with each", every[last:]
        yield f"only the first slice of {tile} is summed", every[:tile]
        yield f"the first slice of {tile} is left out", every[tile:]
        yield f"the last slice of {tile} is left out", every[:last]
        yield f"only every {_ordinal(tile)} {term} is summed", every[::tile]
        if tile > 2:
            yield f"half of the partial sums of {tile} threads are lost", every[every % tile < tile // 2]
            yield f"the last {term} of each slice of {tile} is left out", every[every % tile != tile - 1]
            yield f"the first {term} of each slice of {tile} is left out", every[every % tile != 0]
        if tile < terms and terms % tile:
            yield f"the last slice of {tile} overlaps the one before", np.append(every[:last], every[terms - tile :])
    for odd in ODD:
        text = f"halving drops some of the threads' sums: their number is no power of two, but a multiple of {odd}"
        yield text, every[_halved(odd)[every % odd]]


@cache
def _halved(threads: int) -> np.ndarray:
    """Return which threads' sums reach the first thread if their number is halved again and again."""
    comes = np.eye(threads, dtype=bool)
    half = threads // 2
    while half:
        comes[:half] |= comes[half : 2 * half]
        half //= 2
    return comes[0]


def _ordinal(n: int) -> str:
    """Return 2nd, 3rd, 4th."""
    return f"{n}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(n % 10 if n % 100 not in (11, 12, 13) else 0, 'th') }"


def _of_all(v: dict[str, Any]) -> Ways:
    """Yield sums of a matrix other than those down its columns."""
    delta, alpha, rest = v["delta"], v["alpha"], beta_out(v)
    if delta.shape[0] == delta.shape[1]:
        yield "it sums along the rows, not down the columns", alpha * delta.sum(axis=1) + rest
    every = np.ones(delta.shape[1])
    yield "the sum is over all elements, not down each column", alpha * delta.sum() * every + rest
    yield "it is the mean of all elements, not the sum down each column", alpha * delta.mean() * every + rest
