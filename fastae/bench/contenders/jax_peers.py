"""JAX in two ways: a jitted step that is called for each batch, and the whole epoch as one jitted program."""

import os
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from fastae.bench.contenders.job import network, rate, whole_batches
from fastae.errors import InputError

Parameters = list[tuple[Array, Array]]


def initial(model: str) -> Parameters:
    """Return a model's initial parameters; kernels have the shape (rows, columns, input channels, output channels)."""
    made, parameters = network(model), []
    for layer, W, b in zip(made.layers, made.weights, made.biases):
        kernel = layer.geometry.kernel
        shape = (kernel, kernel, -1, W.shape[1]) if layer.shared else W.shape
        parameters.append((jnp.asarray(W.reshape(shape)), jnp.asarray(b)))
    return parameters


def dense_logits(parameters: Parameters, x: Array) -> Array:
    """Return the dense network's output for a batch, (m, 784), before the last sigmoid."""
    *hidden, (W, b) = parameters
    for W_hidden, b_hidden in hidden:
        x = jax.nn.sigmoid(x @ W_hidden + b_hidden)
    return x @ W + b


def convolutional_logits(parameters: Parameters, x: Array) -> Array:
    """Return the convolutional network's output for a batch, (m, 784), before the last sigmoid."""
    (W1, b1), (W2, b2), (W3, b3), (W4, b4), (W5, b5), (W6, b6) = parameters
    a = x.reshape(-1, 28, 28, 1)
    for W, b in ((W1, b1), (W2, b2)):
        a = jnp.tanh(convolution(a, W) + b)
    shape = a.shape
    a = jnp.tanh(a.reshape(len(a), -1) @ W3 + b3)
    a = jnp.tanh(a @ W4 + b4).reshape(shape)
    a = jnp.tanh(transposed(a, W5) + b5)
    return (transposed(a, W6) + b6).reshape(x.shape)


def convolution(a: Array, W: Array) -> Array:
    """Return a convolution with 3 x 3 kernels, stride 2 and padding 1."""
    return lax.conv_general_dilated(a, W, (2, 2), [(1, 1), (1, 1)], dimension_numbers=("NHWC", "HWIO", "NHWC"))


def transposed(a: Array, W: Array) -> Array:
    """Return the transpose of `convolution`, whose output has twice as many rows and columns as its input."""
    return lax.conv_transpose(
        a, W, (2, 2), [(1, 2), (1, 2)], dimension_numbers=("NHWC", "HWIO", "NHWC"), transpose_kernel=True
    )


LOGITS = {"dense": dense_logits, "conv": convolutional_logits}


def mean_loss(parameters: Parameters, x: Array, loss: str, model: str) -> Array:
    """Return the mean of the losses of a batch of images, (m, 784)."""
    t = LOGITS[model](parameters, x)
    if loss == "mse":
        return jnp.sum((jax.nn.sigmoid(t) - x) ** 2) / len(x)
    return jnp.sum(jax.nn.softplus(t) - x * t) / len(x)  # of logits: differentiating the logarithms can give NaN


def train_batch(
    parameters: Parameters, images: Array, batch: Array, loss: str, model: str = "dense"
) -> tuple[Parameters, Array]:
    """Train on the images with the indices ``batch``, (m,); return the new parameters and the sum of the losses."""
    value, gradients = jax.value_and_grad(mean_loss)(parameters, images[batch] / jnp.float32(255), loss, model)
    parameters = jax.tree.map(lambda p, g: p - rate(loss, model) * g, parameters, gradients)
    return parameters, value * len(batch)


class _Jax:
    def __init__(
        self, images: np.ndarray, batch_size: int, loss: str, threads: int | None = None, model: str = "dense"
    ) -> None:
        self.threads = use_cores(threads)
        self.images, self.batch_size, self.loss = jnp.asarray(images), batch_size, loss
        self.parameters = initial(model)

    def batches(self, order: np.ndarray) -> Array:
        """Put the order of the whole batches on the device, int32 (batches, m)."""
        return jnp.asarray(whole_batches(order, self.batch_size), jnp.int32)


class JaxJit(_Jax):
    """A Python loop over a jitted step with donated parameters; the step indexes its batch, so it is one dispatch."""

    def __init__(
        self, images: np.ndarray, batch_size: int, loss: str, threads: int | None = None, model: str = "dense"
    ) -> None:
        super().__init__(images, batch_size, loss, threads, model)

        @partial(jax.jit, donate_argnums=0)
        def step(state: Any, images: Array, batches: Array) -> Any:
            parameters, i, total = state
            parameters, losses = train_batch(parameters, images, batches[i], loss, model)
            return parameters, i + 1, total + losses

        self.step = step

    def epoch(self, order: np.ndarray) -> float:
        """Train on the whole batches of an epoch and return the sum of their losses."""
        batches = self.batches(order)
        state = self.parameters, jnp.int32(0), jnp.float32(0)
        for _ in range(len(batches)):
            state = self.step(state, self.images, batches)
        self.parameters = state[0]
        return float(state[2])


class JaxScan(_Jax):
    """The epoch in one jitted lax.scan with donated parameters."""

    def __init__(
        self, images: np.ndarray, batch_size: int, loss: str, threads: int | None = None, model: str = "dense"
    ) -> None:
        super().__init__(images, batch_size, loss, threads, model)

        @partial(jax.jit, donate_argnums=0)
        def run(parameters: Parameters, images: Array, batches: Array) -> tuple[Parameters, Array]:
            def step(parameters: Parameters, batch: Array) -> tuple[Parameters, Array]:
                return train_batch(parameters, images, batch, loss, model)

            parameters, losses = lax.scan(step, parameters, batches)
            return parameters, jnp.sum(losses)

        self.run = run

    def epoch(self, order: np.ndarray) -> float:
        """Train on the whole batches of an epoch and return the sum of their losses."""
        self.parameters, total = self.run(self.parameters, self.images, self.batches(order))
        return float(total)


def use_cores(threads: int | None) -> int:
    """Limit this process to so many cores, because JAX has no option for its threads; return their number."""
    if not hasattr(os, "sched_getaffinity"):
        if threads is not None:
            raise InputError(
                "JAX takes no number of threads on this system: leave out --threads, or the JAX contenders"
            )
        return os.cpu_count() or 1
    cores = sorted(os.sched_getaffinity(0))
    if threads is not None:
        os.sched_setaffinity(0, cores[:threads])  # JAX counts the cores when it computes for the first time
    return min(threads or len(cores), len(cores))
