"""NumPy as in a textbook: each formula as it is written, with a new array for every result."""

import numpy as np
from threadpoolctl import threadpool_info, threadpool_limits

from fastae.bench.contenders.job import RATES, initial_parameters, whole_batches


def blas_threads(threads: int | None) -> int:
    """Set the number of threads of NumPy's BLAS, unless it is None, and return the number in use."""
    if threads is not None:
        threadpool_limits(threads, user_api="blas")  # remains in effect until another call
    return max((pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"), default=1)


def sigmoid(t: np.ndarray) -> np.ndarray:
    """Return 1 / (1 + e^−t)."""
    return 1 / (1 + np.exp(-t))


class TextbookNumpy:
    """Backpropagation with one NumPy expression for each formula."""

    def __init__(self, images: np.ndarray, batch_size: int, loss: str, threads: int | None = None) -> None:
        self.threads = blas_threads(threads)
        self.images, self.batch_size, self.loss, self.lr = images, batch_size, loss, RATES[loss]
        self.weights, self.biases = initial_parameters()

    def epoch(self, order: np.ndarray) -> float:
        """Train on the whole batches of an epoch and return the sum of their losses."""
        batches = whole_batches(order, self.batch_size)
        return sum(self.step(self.images[batch] / np.float32(255)) for batch in batches)

    def step(self, x: np.ndarray) -> float:
        """Train on one batch, floats (m, 784), and return the sum of its losses."""
        activations = [x]
        for W, b in zip(self.weights, self.biases):
            activations.append(sigmoid(activations[-1] @ W + b))
        z = activations[-1]
        if self.loss == "mse":
            loss = np.sum((z - x) ** 2)
            delta = 2 * (z - x) / len(x) * z * (1 - z)
        else:
            loss = -np.sum(x * np.maximum(np.log(z), -100) + (1 - x) * np.maximum(np.log(1 - z), -100))
            delta = (z - x) / len(x)
        for layer in reversed(range(len(self.weights))):
            y = activations[layer]
            gradient_W, gradient_b = y.T @ delta, np.sum(delta, axis=0)
            if layer > 0:
                delta = (delta @ self.weights[layer].T) * y * (1 - y)
            self.weights[layer] -= self.lr * gradient_W
            self.biases[layer] -= self.lr * gradient_b
        return float(loss)
