"""The operations of the Numba backend's own step on a network with convolutions, one layer at a time, on one core.

A dense layer's are the contract's matrix product and what belongs to it. A convolution's are not composed of the
contract's kernels there, so they are timed as the step calls them, activation included.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import fastae
from fastae.bench.contenders.job import network
from fastae.layers import Layer

Run = Callable[[int], None]


def operations(m: int, model: str) -> Iterator[tuple[str, Run, int, int]]:
    """Yield (name, function of how many times to run it, operations, bytes) for batches of m images.

    Operations are those of the definition, two to a multiply-add; bytes those of the arrays that are read or written.
    """
    from fastae.backends.numba_backend.session import operations_of

    images = fastae.load_dataset()[0][:m]
    small = fastae.SGD(lr=1e-9)  # the weights stay as they are, however often a gradient is added
    session = fastae.Trainer(network(model), "mse", small, backend="numba", batch_size=m, threads=1).session(images)
    session.start(np.arange(m))
    session.run(1)  # so that all arrays hold what they hold in a training
    (w,), layers, size = session._train, session.layers, session.dtype.itemsize
    for l, layer in enumerate(layers):
        last = l == len(layers) - 1
        activation = "sigmoid" if last else session.activation
        made = operations_of(layer.kind, activation)
        shape, numbers = f"{layer.kind} {layer.inputs} to {layer.outputs}", sizes(layer, m)
        flops = 2 * m * layer.multiplications

        def run(name: str, *arguments: Any, key: str = f"{layer.kind}_{activation}", made: Any = made) -> Run:
            return lambda times: repeating(f"{key}_{name}", made[name])(times, arguments)  # compiled when first run

        x, y, weights = numbers
        arguments: tuple[Any, ...] = w.a[l], w.W[l], w.b[l], w.y[l], w.local[l], w.workspace
        yield f"forward {shape}", run("forward", *arguments), flops, size * (x + y + weights)
        arguments = w.a[l], w.d[l], w.W[l], w.b[l], w.V[l], w.c[l], w.rate, w.local[l], w.workspace
        yield f"update {shape}", run("update", *arguments), flops, size * (x + y + 2 * weights)
        if l > 0:  # into the image goes no gradient
            arguments = w.d[l], w.W[l], w.y[l - 1], w.d[l - 1], w.local[l], w.workspace
            yield f"backward {shape}", run("backward", *arguments), flops, size * (2 * x + y + weights)


def sizes(layer: Layer, m: int) -> tuple[int, int, int]:
    """Return how many numbers a layer takes, gives, and has."""
    rows, columns = layer.shape
    return m * layer.inputs, m * layer.outputs, rows * columns + layer.channels


_compiled: dict[str, Any] = {}


def repeating(name: str, operation: Any) -> Any:
    """Compile ``repeat(times, arguments)``, which calls a kernel or an operation so many times, or find it cached."""
    from fastae.backends.numba_backend.internals import types
    from fastae.backends.numba_backend.jit import jit, namespace
    from fastae.backends.numba_backend.link import known

    if name not in _compiled:
        known(types.float32)  # what is found cached calls them by name
        module = namespace(f"fastae_bench_{name}", operation=operation)

        @jit(name=f"bench_{name}", cached=True)
        def repeat(times, arguments):  # type: ignore[no-untyped-def]
            for _ in range(times):
                module.operation(*arguments)

        _compiled[name] = repeat
    return _compiled[name]
