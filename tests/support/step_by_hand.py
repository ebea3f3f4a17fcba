"""The network and its training step written down once more, in float64 and without fastae; and one step of fastae."""

import hashlib

import numpy as np
from kernel_formulas import kernels_of

import fastae
from fastae.backends.base import Parameters, Session
from fastae.check import bounds

Arrays = list[np.ndarray]

REAL = (784, 256, 128)

# The same network in float64, written independently of fastae.


def outputs(W: Arrays, b: Arrays, x: np.ndarray) -> Arrays:
    layers = [x]
    for W_l, b_l in zip(W, b):
        layers.append(1 / (1 + np.exp(-(layers[-1] @ W_l + b_l))))
    return layers


def loss_of(W: Arrays, b: Arrays, x: np.ndarray, loss: str) -> float:
    """The mean over the images of the sum over their pixels."""
    z = outputs(W, b, x)[-1]
    pixels = (z - x) ** 2 if loss == "mse" else -(x * np.log(z) + (1 - x) * np.log(1 - z))
    return pixels.sum() / len(x)


def gradient_by_hand(W: Arrays, b: Arrays, x: np.ndarray, loss: str) -> tuple[Arrays, Arrays]:
    """Return the gradients where finite differences are too coarse; `test_step` compares the two."""
    a = outputs(W, b, x)
    d = (a[-1] - x) / len(x) * (1 if loss == "bce" else 2 * a[-1] * (1 - a[-1]))
    G, g = [], []
    for l in reversed(range(len(W))):
        G.insert(0, a[l].T @ d)
        g.insert(0, d.sum(axis=0))
        d = d @ W[l].T * a[l] * (1 - a[l])
    return G, g


def train(p: Parameters, batches: list[np.ndarray], loss: str, lr: float, momentum: float = 0.0) -> Parameters:
    """Gradient descent as PyTorch has it: v ← μ v + gradient, W ← W − lr v."""
    W, b, V, c = ([array.astype(np.float64) for array in group] for group in p)
    for x in batches:
        G, g = gradient_by_hand(W, b, x, loss)
        V = [momentum * v + d for v, d in zip(V, G)] if momentum else G
        c = [momentum * v + d for v, d in zip(c, g)] if momentum else g
        W = [w - lr * v for w, v in zip(W, V)]
        b = [w - lr * v for w, v in zip(b, c)]
    return Parameters(W, b, V, c) if momentum else Parameters(W, b, p.V, p.c)


# One step of fastae.


def start(sizes: tuple[int, ...], dtype: str = "float64", momentum: bool = False, seed: int = 3) -> Parameters:
    """Draw parameters, and velocities that are not 0 where there is momentum."""
    model = fastae.Autoencoder(sizes, seed=seed, dtype=dtype)
    rng = np.random.default_rng(seed)
    V, c = (
        [rng.normal(0, 0.1, p.shape if momentum else (0, *p.shape[1:])).astype(dtype) for p in group]
        for group in (model.weights, model.biases)
    )
    return Parameters(model.weights, model.biases, V, c)


def images(width: int, n: int) -> np.ndarray:
    """Make images of all values, with a pixel that is dark in all of them where there is room for it."""
    x = np.random.default_rng(width).integers(0, 256, (n, width), dtype=np.uint8)
    x[:, 2:3] = 0
    return x


def session(backend: str, p: Parameters, data: np.ndarray, **options: object) -> Session:
    return kernels_of(backend).session(p, data, **options)


def step(backend: str, p: Parameters, data: np.ndarray, **options: object) -> Parameters:
    """Train on all the data as one batch, in the order that they have."""
    s = session(backend, p, data, batch_size=len(data), **options)
    s.start(np.arange(len(data)))
    s.run(1)
    return s.read()


def close(found: Parameters, expected: Parameters, bound: float) -> bool:
    """Whether all parameters and velocities are within the bound, which a NaN is not."""
    return all(
        p.shape == q.shape and bounds.accepts(p.astype(np.float64), q, bound)
        for group, others in zip(found, expected)
        for p, q in zip(group, others)
    )


def same_bits(found: Parameters, expected: Parameters) -> bool:
    return [p.tobytes() for group in found for p in group] == [p.tobytes() for group in expected for p in group]


# The same bits.


def digest(backend: str, threads: int | None) -> str:
    """Train the real architecture on 8 batches and a ragged one; condense every bit of the parameters."""
    s = session(backend, start(REAL, "float32", momentum=True), images(784, 130), momentum=0.5, threads=threads)
    s.start(np.arange(130)[::-1].copy())
    s.run(8)
    s.finish()
    return hashlib.sha256(b"".join(q.tobytes() for group in s.read() for q in group)).hexdigest()
