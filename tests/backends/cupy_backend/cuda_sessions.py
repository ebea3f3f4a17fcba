"""Sessions on CUDA's kernels, of which every number is compared."""

from typing import Any

import numpy as np
import pytest

from fastae.backends.base import Parameters
from fastae.backends.cupy_backend import CupyBackend
from fastae.backends.cupy_backend.session import CupySession
from fastae.backends.emulator.streams import Graph

SIZES, PIXELS, IMAGES, BATCH = (37, 20, 9, 20, 37), 37, 140, 4  # 35 batches: two graphs of 16 steps and three more
LOSSES = pytest.mark.parametrize("loss", ["mse", "bce"])


def parameters(momentum: float = 0.0, dtype: str = "float32") -> Parameters:
    rng = np.random.default_rng(0)
    W = [rng.normal(0, 0.5, shape).astype(dtype) for shape in zip(SIZES, SIZES[1:])]
    b = [rng.normal(0, 0.1, n).astype(dtype) for n in SIZES[1:]]
    none = slice(None) if momentum else slice(0)
    return Parameters(W, b, [np.zeros_like(w)[none] for w in W], [np.zeros_like(x)[none] for x in b])


def images(n: int = IMAGES) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (n, PIXELS), dtype=np.uint8)


def session(
    backend: CupyBackend, mode: str | None, n: int = IMAGES + 3, momentum: float = 0.0, **more: Any
) -> CupySession:
    options = {"batch_size": BATCH, "lr": 0.05, "momentum": momentum, "mode": mode, **more}
    dtype = options.pop("dtype", "float32")
    return backend.session(parameters(momentum, dtype), images(n), test_images=images(41), **options)


def epochs(s: CupySession, count: int = 2, batches: int = IMAGES // BATCH) -> list[float]:
    """Train, in pieces as a trainer does, and return every number that can be read on the way."""
    numbers = []
    for epoch in range(count):
        n = len(s.team[0].order)
        s.start(np.random.default_rng([1, 0, epoch]).permutation(n))
        s.run(1)
        numbers.append(s.total())
        s.run(batches - 1)
        s.finish()
        numbers += [s.total(), s.test_error()]
    return numbers


def bits(s: CupySession) -> bytes:
    return b"".join(p.tobytes() for group in s.read() for p in group)


def longest_chain(graph: Graph) -> list[str]:
    """Return the names of a longest row of launches of which each must wait for the one before it."""
    chains: list[list[str]] = []
    for node in graph.nodes:
        chains.append([*max((chains[i] for i in node.after), key=len, default=[]), node.name])
    return max(chains, key=len)
