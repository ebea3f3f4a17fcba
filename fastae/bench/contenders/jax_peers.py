"""JAX on the CPU two ways: a jitted step called for each batch, and the whole epoch as one program."""

import os
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from fastae.bench.contenders.job import RATES, initial_parameters
from fastae.errors import InputError

Parameters = list[tuple[Array, Array]]


def mean_loss(parameters: Parameters, x: Array, loss: str) -> Array:
    """Return the mean over the images of a batch, (m, 784), of their loss."""
    *hidden, (W, b) = parameters
    a = x
    for W_hidden, b_hidden in hidden:
        a = jax.nn.sigmoid(a @ W_hidden + b_hidden)
    t = a @ W + b
    if loss == "mse":
        return jnp.sum((jax.nn.sigmoid(t) - x) ** 2) / len(x)
    return jnp.sum(jax.nn.softplus(t) - x * t) / len(x)  # of logits: differentiating the logarithms can give NaN


def train_batch(parameters: Parameters, images: Array, batch: Array, loss: str) -> tuple[Parameters, Array]:
    """Train on the images that ``batch``, (m,), names; return the new parameters and the sum of the losses."""
    value, gradients = jax.value_and_grad(mean_loss)(parameters, images[batch] / jnp.float32(255), loss)
    parameters = jax.tree.map(lambda p, g: p - RATES[loss] * g, parameters, gradients)
    return parameters, value * len(batch)


class _Jax:
    def __init__(self, images: np.ndarray, batch_size: int, loss: str, threads: int | None = None) -> None:
        self.threads = use_cores(threads)
        self.images, self.batch_size, self.loss = jnp.asarray(images), batch_size, loss
        self.parameters: Parameters = [(jnp.asarray(W), jnp.asarray(b)) for W, b in zip(*initial_parameters())]

    def batches(self, order: np.ndarray) -> Array:
        """Put the order of the whole batches on the device, int32 (batches, m)."""
        whole = len(order) // self.batch_size * self.batch_size
        return jnp.asarray(order[:whole].reshape(-1, self.batch_size), jnp.int32)


class JaxJit(_Jax):
    """A Python loop over a jitted step with donated parameters, which finds its own batch: one dispatch a step."""

    def __init__(self, images: np.ndarray, batch_size: int, loss: str, threads: int | None = None) -> None:
        super().__init__(images, batch_size, loss, threads)

        @partial(jax.jit, donate_argnums=0)
        def step(state: Any, images: Array, batches: Array) -> Any:
            parameters, i, total = state
            parameters, losses = train_batch(parameters, images, batches[i], loss)
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

    def __init__(self, images: np.ndarray, batch_size: int, loss: str, threads: int | None = None) -> None:
        super().__init__(images, batch_size, loss, threads)

        @partial(jax.jit, donate_argnums=0)
        def run(parameters: Parameters, images: Array, batches: Array) -> tuple[Parameters, Array]:
            parameters, losses = lax.scan(lambda p, batch: train_batch(p, images, batch, loss), parameters, batches)
            return parameters, jnp.sum(losses)

        self.run = run

    def epoch(self, order: np.ndarray) -> float:
        """Train on the whole batches of an epoch and return the sum of their losses."""
        self.parameters, total = self.run(self.parameters, self.images, self.batches(order))
        return float(total)


def use_cores(threads: int | None) -> int:
    """Confine this process to so many cores, for JAX has no other way to limit its threads; return their number."""
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
