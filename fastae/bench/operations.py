"""The operations of the Numba backend's step on a convolutional network, for timing each layer on one core.

The Numba backend does not compose a convolution from kernels of the contract. Its operations are therefore timed as the
step calls them, including the activation. Those of a dense layer are matrix products with their bias and activation.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import fastae
from fastae.bench.contenders.job import network
from fastae.layers import Layer

Run = Callable[[int], None]


def operations(m: int, model: str) -> Iterator[tuple[str, Run, int, int]]:
    """Yield ``(name, run, operations, bytes)`` for each operation on batches of m images.

    ``run(times)`` runs it so many times. Operations are those of the definition, two for a multiply-add; bytes are the
    sizes of the arrays that it reads and writes.
    """
    from fastae.backends.numba_backend.session import operations_of

    images = fastae.load_dataset()[0][:m]
    small = fastae.SGD(lr=1e-9)  # so small that repeated updates hardly change the weights
    session = fastae.Trainer(network(model), "mse", small, backend="numba", batch_size=m, threads=1).session(images)
    session.start(np.arange(m))
    session.run(1)  # fills all arrays with values of a real training
    (w,), layers, size = session.team, session.layers, session.dtype.itemsize
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
        if l > 0:  # the image needs no gradient
            arguments = w.d[l], w.W[l], w.y[l - 1], w.d[l - 1], w.local[l], w.workspace
            yield f"backward {shape}", run("backward", *arguments), flops, size * (2 * x + y + weights)


def sizes(layer: Layer, m: int) -> tuple[int, int, int]:
    """Return how many numbers a layer has as inputs, as outputs and as parameters."""
    rows, columns = layer.shape
    return m * layer.inputs, m * layer.outputs, rows * columns + layer.channels


_compiled: dict[str, Any] = {}


def repeating(name: str, operation: Any) -> Any:
    """Return a compiled ``repeat(times, arguments)`` that calls a kernel or an operation ``times`` times."""
    from fastae.backends.numba_backend.internals import types
    from fastae.backends.numba_backend.jit import jit, namespace
    from fastae.backends.numba_backend.link import register_linked

    if name not in _compiled:
        register_linked(types.float32)  # cached code calls the backend's kernels by name
        module = namespace(f"fastae_bench_{name}", operation=operation)

        @jit(name=f"bench_{name}", cached=True)
        def repeat(times, arguments):  # type: ignore[no-untyped-def]
            for _ in range(times):
                module.operation(*arguments)

        _compiled[name] = repeat
    return _compiled[name]
