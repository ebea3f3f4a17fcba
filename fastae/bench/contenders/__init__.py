"""The table of contenders: each trains the same autoencoder on the same batches with another library.

A contender is a class with

- ``__init__(images, batch_size, loss, threads=None, model="dense")``, which copies what it needs from the uint8
  ``images``; without ``model`` if it trains only the dense network;
- ``epoch(order) -> float``, which trains on the ``len(order) // batch_size`` whole batches of the images in that order,
  and returns the sum of these images' losses; the weights persist until the next call;
- ``threads``, the number of threads that it computes with.

All contenders do the same job in float32 from the same initial weights: gather a batch of bytes, divide it by 255,
forward, loss, backward, update; see `fastae.bench.contenders.job`. To add one, write its class and add its row.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np

from fastae.bench.contenders.job import epoch_order
from fastae.errors import FastaeError, InputError

TOLERANCE = 1e-4  # relative difference of two correct trainings' losses whose float32 sums have another order


class Entry(NamedTuple):
    """One row of the table of contenders.

    Attributes
    ----------
    place : str
        ``"module:class"``, with the module in this package.
    libraries : tuple of str
        The libraries that it needs.
    what : str
        One line for the help.
    peer : bool
        Whether it is another library's, with which fastae is compared.
    models : tuple of str
        The models that it can train.
    """

    place: str
    libraries: tuple[str, ...]
    what: str
    peer: bool = True
    models: tuple[str, ...] = ("dense", "conv")


NUMPY, DENSE = ("numpy", "threadpoolctl"), ("dense",)
CONTENDERS: dict[str, Entry] = {
    "fastae-numba": Entry("fastae_contenders:FastaeNumba", ("numba",), "fastae, the epoch compiled by Numba", False),
    "fastae-numba-1": Entry("fastae_contenders:FastaeNumbaAlone", ("numba",), "the same with one worker", False),
    "fastae-numpy": Entry("fastae_contenders:FastaeNumpy", NUMPY, "fastae, the step interpreted by NumPy", False),
    "textbook-numpy": Entry("textbook_numpy:TextbookNumpy", NUMPY, "NumPy as a textbook writes it", True, DENSE),
    "torch-eager": Entry("torch_peers:TorchEager", ("torch",), "PyTorch: nn.Sequential, autograd, optim.SGD"),
    "torch-channels-last": Entry(
        "torch_peers:TorchChannelsLast", ("torch",), "the same, its images and weights channels last", True, ("conv",)
    ),
    "torch-compile": Entry("torch_peers:TorchCompile", ("torch",), "PyTorch: the whole step through torch.compile"),
    "torch-manual": Entry("torch_peers:TorchManual", ("torch",), "PyTorch: gradients by hand, in place", True, DENSE),
    "jax-jit": Entry("jax_peers:JaxJit", ("jax",), "JAX: a jitted step, called for each batch from Python"),
    "jax-scan": Entry("jax_peers:JaxScan", ("jax",), "JAX: the whole epoch in lax.scan, jitted"),
}
# Contenders that run in several processes, started by mpiexec; `fastae.bench.ranks` lets them race.
RANKED: dict[str, Entry] = {
    "ranks": Entry("fastae_contenders:FastaeRanks", ("numba", "mpi4py"), "fastae, in memory that all ranks see", False),
    "messages": Entry("fastae_contenders:FastaeMessages", ("numba", "mpi4py"), "fastae, by messages alone", False),
    "torch-ddp": Entry("torch_peers:TorchDistributed", ("torch", "mpi4py"), "PyTorch: DistributedDataParallel, gloo"),
}


class Disagreement(FastaeError):
    """Contenders do not train alike, so that their times cannot be compared."""


def of_model(model: str) -> list[str]:
    """Return the names of the contenders that train that model."""
    return [name for name, entry in CONTENDERS.items() if model in entry.models]


def missing(name: str) -> str | None:
    """Return the library that a contender needs and that is not installed, or None."""
    libraries = (CONTENDERS.get(name) or RANKED[name]).libraries
    return next((library for library in libraries if find_spec(library) is None), None)


def require(names: list[str], model: str = "dense") -> None:
    """Raise `InputError` if a contender is unknown, does not train that model, or lacks its library."""
    for name in names:
        if name not in CONTENDERS:
            raise InputError(f"unknown contender {name!r}; the contenders are: {', '.join(of_model(model))}")
        if model not in CONTENDERS[name].models:
            raise InputError(f"{name} does not train the model {model!r}; these do: {', '.join(of_model(model))}")
        if library := missing(name):
            raise InputError(
                f"{name} needs {library}, which is not installed: pip install 'fastae[bench]', "
                "or choose others with --contenders"
            )


def make(
    name: str, images: np.ndarray, batch_size: int, loss: str, threads: int | None = None, model: str = "dense"
) -> Any:
    """Import and build a contender; raises `InputError` like `require`."""
    if name not in RANKED:
        require([name], model)
    entry = RANKED.get(name) or CONTENDERS[name]
    module, cls = entry.place.split(":")
    contender = getattr(import_module(f"fastae.bench.contenders.{module}"), cls)
    options = {} if entry.models == DENSE else {"model": model}
    return contender(images, batch_size, loss, threads, **options)


def first_epoch_loss(
    name: str, images: np.ndarray, batch_size: int, loss: str, threads: int | None = None, model: str = "dense"
) -> float:
    """Train a new contender for one epoch; return the mean loss of the images when they were trained on."""
    contender = make(name, images, batch_size, loss, threads, model)
    return contender.epoch(epoch_order(0, len(images))) / (len(images) // batch_size * batch_size)


def require_agreement(losses: dict[str, float]) -> None:
    """Raise `Disagreement` unless all losses, by contender, are within `TOLERANCE` of their median."""
    middle = float(np.median(list(losses.values())))
    if not all(abs(loss - middle) <= TOLERANCE * abs(middle) for loss in losses.values()):  # NaN fails too
        told = ", ".join(f"{name} {loss:.6f}" for name, loss in losses.items())
        raise Disagreement(f"the contenders do not train alike: the mean loss of the same images is {told}")
