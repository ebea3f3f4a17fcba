"""Every kernel of the contract on the models' shapes, and whole steps: ``pytest benchmarks --benchmark-only``.

Each result's extra_info holds the GFLOP/s and GB/s that the contract's counts and the shortest round make. A kernel
is timed as Python calls it, the check of its arguments included, which is most of it for small arrays and which a
whole step never pays; Numba's kernels run on one core, NumPy's products on as many as its BLAS takes, and whole steps
on all. Choose with -k: ``-k "numba and float32 and matmul"``.
"""

from typing import Any

import numpy as np
import pytest

import fastae
from fastae.backends import availability, get
from fastae.backends.base import Backend
from fastae.backends.contract import FIXED_DTYPES, KERNELS, SUMS
from fastae.bench.contenders.job import NETWORKS, network, rate
from fastae.bench.roofline import multiplications

LAYERS = network("dense").shapes()
CONVOLUTIONS = [layer for layer in network("conv").layers if layer.kind == "conv"]
STEPS = {1: 256, 16: 128, 128: 16}  # batch size: steps in a timed round
IMAGES = 10_000  # to gather from
WIDTHS = {
    "bias_sigmoid": (128, 256, 784),
    "sigmoid_gradient": (128, 256),
    "column_sum": (128, 256, 784),
    "mse_gradient": (784,),
    "bce_gradient": (784,),
    "mse_loss": (784,),
    "bce_loss": (784,),
    "gather": (784,),
}
OF_PIXELS = ("bias_tanh", "tanh_gradient", "bias_relu", "relu_gradient")  # with a row for each pixel
UPDATE = {"alpha": -1e-9, "beta": 1.0}  # so small a rate that no repetition changes the numbers
SCALARS = {"scale": 0.1, "offset": 0}

backends = pytest.mark.parametrize("name", ["numpy", "numba"])
dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])


def cases() -> list[Any]:
    """List (kernel, lengths by the contract's letters, arguments that are no arrays), with names to choose them by."""
    found = [
        pytest.param("axpy", {"size": 784 * 256}, {"alpha": UPDATE["alpha"]}, id="axpy-784x256"),
        pytest.param("advance", {}, {"n": 1}, id="advance"),
    ]
    for m in STEPS:
        for inputs, outputs in LAYERS:
            forward, update = {"m": m, "k": inputs, "n": outputs}, {"m": inputs, "k": m, "n": outputs}
            shape = f"{inputs}x{outputs}-batch{m}"
            found += [
                pytest.param("matmul", forward, {}, id=f"matmul-forward-{shape}"),
                pytest.param("matmul", update, {"trans_a": True, **UPDATE}, id=f"matmul-update-{shape}"),
            ]
            if inputs != 784:  # into the image goes no gradient
                backward = {"m": m, "k": outputs, "n": inputs}
                found.append(pytest.param("matmul", backward, {"trans_b": True}, id=f"matmul-backward-{shape}"))
        for kernel, widths in WIDTHS.items():
            parameters = KERNELS[kernel].parameters.parameters
            scalars = {argument: value for argument, value in SCALARS.items() if argument in parameters}
            found += [pytest.param(kernel, {"m": m, "n": n}, scalars, id=f"{kernel}-{m}x{n}") for n in widths]
        for layer in CONVOLUTIONS:
            geometry, pixels = layer.geometry._asdict(), {"m": m * layer.patches, "n": layer.channels}
            images = {"m": m, "n": layer.inputs, "p": m * layer.patches, "q": layer.shape[0]}
            shape = f"{layer.inputs}-batch{m}"
            found += [
                pytest.param("unfold", images, geometry, id=f"unfold-{shape}"),
                pytest.param("fold", images, geometry, id=f"fold-{shape}"),
                pytest.param("convolve", {**images, "c": layer.channels}, geometry, id=f"convolve-{shape}"),
                *(pytest.param(k, pixels, {}, id=f"{k}-{pixels['m']}x{pixels['n']}") for k in OF_PIXELS),
            ]
    return found


def backend_of(name: str) -> Backend:
    """Return a backend, or skip the test and say why it cannot run here."""
    ok, reason, _ = availability()[name]
    return get(name) if ok else pytest.skip(reason)


def arrays(kernel: str, lengths: dict[str, int], dtype: str, transposed: set[str]) -> dict[str, np.ndarray]:
    """Make a kernel's array arguments, floats between 0.1 and 0.9."""
    generator = np.random.default_rng(0)
    letters = {**lengths, "1": 1, "N": IMAGES, "o": IMAGES, "...": lengths.get("size", 0)}
    made = {}
    for argument, shape_letters in KERNELS[kernel].shapes.items():
        shape = tuple(letters[letter] for letter in shape_letters)
        if argument == "order":
            made[argument] = generator.permutation(IMAGES)
        elif argument in FIXED_DTYPES:
            made[argument] = generator.integers(256 if argument == "images" else 1, size=shape).astype(
                FIXED_DTYPES[argument]
            )
        else:
            real = "float64" if (kernel, argument) in SUMS else dtype
            made[argument] = generator.uniform(0.1, 0.9, shape[::-1] if argument in transposed else shape).astype(real)
    return made


def note_rates(benchmark: Any, flops: int, moved: int) -> None:
    """Leave GFLOP/s and GB/s in a benchmark's extra_info."""
    if benchmark.stats is None:  # under --benchmark-disable
        return
    for unit, amount in (("GFLOP/s", flops), ("GB/s", moved)):
        if amount:
            benchmark.extra_info[unit] = round(amount / benchmark.stats.stats.min / 1e9, 3)


@backends
@dtypes
@pytest.mark.parametrize(("kernel", "lengths", "scalars"), cases())
@pytest.mark.benchmark(max_time=0.1, min_rounds=5)
def test_kernel(
    benchmark: Any, name: str, dtype: str, kernel: str, lengths: dict[str, int], scalars: dict[str, Any]
) -> None:
    backend = backend_of(name)
    transposed = {argument.removeprefix("trans_") for argument in scalars if argument.startswith("trans_")}
    made = arrays(kernel, lengths, dtype, transposed)
    arguments = {argument: backend.asarray(array) for argument, array in made.items()} | scalars
    function = getattr(backend, kernel)
    function(**arguments)  # may compile
    benchmark.group = f"{kernel} {lengths or ''} {scalars or ''} {dtype}"  # a table for each, of the backends
    benchmark(function, **arguments)
    row = KERNELS[kernel]
    note_rates(benchmark, row.flops(**lengths), row.bytes(s=np.dtype(dtype).itemsize, **lengths))


@backends
@dtypes
@pytest.mark.parametrize("batch_size", STEPS)
@pytest.mark.parametrize("loss", ["mse", "bce"])
@pytest.mark.parametrize("model", NETWORKS)
def test_step(benchmark: Any, name: str, dtype: str, batch_size: int, loss: str, model: str) -> None:
    backend_of(name)
    images, steps = fastae.load_dataset()[0], STEPS[batch_size]
    optimizer = fastae.SGD(rate(loss, model))
    trainer = fastae.Trainer(network(model, dtype), loss, optimizer, backend=name, batch_size=batch_size)
    session = trainer.session(images)
    order = trainer.order(0, len(images))
    benchmark.group = f"{steps} steps, {model}, loss {loss}, batch size {batch_size}, {dtype}"
    benchmark.pedantic(session.run, args=(steps,), setup=lambda: session.start(order), rounds=10, warmup_rounds=1)
    note_rates(benchmark, 2 * multiplications(batch_size, model) * steps, 0)
    if benchmark.stats is not None:
        benchmark.extra_info["us/step"] = round(benchmark.stats.stats.min / steps * 1e6, 1)
