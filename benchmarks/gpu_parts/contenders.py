"""The contenders on a GPU: fastae's modes and other libraries, each at a given precision."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from gpu_parts.cublas import make_gemm
from gpu_parts.limits import module
from gpu_parts.machine import backend

import fastae
from fastae.backends.base import Parameters, Session
from fastae.backends.cupy_backend.launcher import record
from fastae.bench.contenders.job import RATES, SEED, STEPS_A_GRAPH, initial_parameters


class Ours:
    """A session of the cupy backend, or of the emulator in a rehearsal."""

    session: Any

    def __init__(self, images: np.ndarray, batch_size: int, rehearse: bool, mode: str, tf32: bool = False) -> None:
        optimizer, model = fastae.SGD(RATES["mse"]), fastae.Autoencoder(seed=SEED)
        name = "emulator" if rehearse else "cupy"
        self.session = fastae.Trainer(model, "mse", optimizer, name, batch_size, mode=mode, tf32=tf32).session(images)

    def epoch(self, order: np.ndarray) -> float:
        """Train on the whole batches of an epoch and return the sum of their losses."""
        self.session.start(order)
        self.session.run(len(order) // self.session.batch_size)
        return self.session.total()


class OnCublas:
    """The step composed of the contract's kernels, cuBLAS for its products, in graphs without branches."""

    def __init__(self, images: np.ndarray, batch_size: int, rehearse: bool) -> None:
        k, cupy = backend(rehearse), module(rehearse)
        self.stream, self.graph, self.batch_size = cupy.cuda.Stream(non_blocking=True), None, batch_size
        with self.stream:
            gemm = make_gemm(self.stream, cupy, rehearsal=rehearse)

            class Composed(Session):
                def operations(self) -> dict[str, Any]:
                    def forward(a: Any, W: Any, b: Any, y: Any, layer: Any = None, own: Any = None) -> None:
                        gemm(a, W, y)
                        k.bias_sigmoid(y, b, y)

                    def backward(d: Any, W: Any, y: Any, out: Any, layer: Any = None, own: Any = None) -> None:
                        gemm(d, W, out, trans_b=True)
                        k.sigmoid_gradient(out, y, out)

                    def update(
                        a: Any, d: Any, W: Any, b: Any, V: Any, c: Any, rate: Any, layer: Any = None, own: Any = None
                    ) -> None:
                        gemm(a, d, W, trans_a=True, alpha=-RATES["mse"], beta=1)
                        k.column_sum(d, b, rate[0], 1.0)

                    return super().operations() | {"forward": forward, "backward": backward, "update": update}

            weights, biases = initial_parameters()
            none = [W[:0] for W in weights], [b[:0] for b in biases]
            self.session = Composed(
                k, Parameters(weights, biases, *none), images, batch_size=batch_size, lr=RATES["mse"]
            )

    def epoch(self, order: np.ndarray) -> float:
        """Train on the whole batches of an epoch and return the sum of their losses; the first step is not captured."""
        steps = len(order) // self.batch_size
        with self.stream:
            self.session.start(order)
            if self.graph is None:
                self.session.run(steps)
                self.graph = record(self.stream, lambda: self.session.run(min(STEPS_A_GRAPH, steps)))
            else:
                for _ in range(-(-steps // STEPS_A_GRAPH)):
                    self.graph.launch()
            return self.session.total()


def torch(kind: str, **options: Any) -> Callable[..., Any]:
    """Return a function that makes a contender of `fastae.bench.contenders.torch_peers` on the GPU."""

    def make(images: np.ndarray, batch_size: int, rehearse: bool) -> Any:
        import torch

        from fastae.bench.contenders import torch_peers

        torch.set_float32_matmul_precision("highest")
        if kind == "TorchCompile":
            torch.compiler.reset()  # else the eighth batch size would be one compilation too many, and run eagerly
        return getattr(torch_peers, kind)(images, batch_size, "mse", device="cpu" if rehearse else "cuda", **options)

    return make


def cudagraph_skips() -> int:
    """Return how often PyTorch's compiler did not make a CUDA graph although it was asked to."""
    from torch._dynamo.utils import counters

    return int(counters["inductor"]["cudagraph_skips"])


def torch_product(a: np.ndarray, b: np.ndarray, rehearse: bool) -> np.ndarray:
    """Multiply two matrices with PyTorch."""
    import torch

    x, y = (torch.from_numpy(p).to("cpu" if rehearse else "cuda") for p in (a, b))
    return (x @ y).cpu().numpy()


def jax(images: np.ndarray, batch_size: int, rehearse: bool) -> Any:
    """Return the contender that runs an epoch in JAX's scan."""
    os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"
    import jax

    from fastae.bench.contenders.jax_peers import JaxScan

    if not rehearse and jax.default_backend() != "gpu":
        raise RuntimeError(f"JAX computes on {jax.default_backend()}, not on the GPU")
    jax.config.update("jax_default_matmul_precision", "highest")
    return JaxScan(images, batch_size, "mse")


def jax_product(a: np.ndarray, b: np.ndarray, rehearse: bool) -> np.ndarray:
    """Multiply two matrices with JAX."""
    import jax.numpy as jnp

    return np.asarray(jnp.asarray(a) @ jnp.asarray(b))


def our_product(a: np.ndarray, b: np.ndarray, rehearse: bool) -> np.ndarray:
    """Multiply two matrices with the cupy backend."""
    k = backend(rehearse)
    out = k.asarray(np.zeros((len(a), b.shape[1]), np.float32))
    k.matmul(k.asarray(a), k.asarray(b), out)
    return k.to_host(out)


def cublas_product(a: np.ndarray, b: np.ndarray, rehearse: bool) -> np.ndarray:
    """Multiply two matrices with cuBLAS, through our own handle."""
    k, cupy = backend(rehearse), module(rehearse)
    with cupy.cuda.Stream(non_blocking=True) as stream:
        out = k.asarray(np.zeros((len(a), b.shape[1]), np.float32))
        make_gemm(stream, cupy, rehearsal=rehearse)(k.asarray(a), k.asarray(b), out)
        return k.to_host(out)


def ours(mode: str, tf32: bool = False) -> Callable[..., Any]:
    """Return a function that makes a session in that mode."""
    return lambda images, batch_size, rehearse: Ours(images, batch_size, rehearse, mode, tf32)


@dataclass(frozen=True)
class Contender:
    """One contender that is timed.

    Attributes
    ----------
    make : callable
        (images, batch size, rehearse) -> what has ``epoch(order)``.
    product : callable
        (a, b, rehearse) -> their product as it is multiplied there.
    kind : {"ours", "beside", "eager", "graphs"}
        Ours in float32; ours otherwise; a peer that launches; one that is compiled or captured.
    precision : {"float32", "TF32"}
    """

    make: Callable[..., Any]
    product: Callable[..., np.ndarray]
    kind: str
    precision: str = "float32"


CONTENDERS = {
    "fastae captured": Contender(ours("captured"), our_product, "ours"),
    "fastae persistent": Contender(ours("persistent"), our_product, "ours"),
    "fastae eager": Contender(ours("eager"), our_product, "ours"),
    "fastae on cuBLAS, captured": Contender(OnCublas, cublas_product, "beside"),
    "fastae captured, TF32": Contender(ours("captured", tf32=True), our_product, "beside", "TF32"),
    "PyTorch eager": Contender(torch("TorchEager"), torch_product, "eager"),
    "PyTorch by hand, captured": Contender(torch("TorchCaptured"), torch_product, "graphs"),
    "PyTorch compile, reduce-overhead": Contender(
        torch("TorchCompile", mode="reduce-overhead"), torch_product, "graphs"
    ),
    "PyTorch compile, max-autotune": Contender(torch("TorchCompile", mode="max-autotune"), torch_product, "graphs"),
    "JAX, scan": Contender(jax, jax_product, "graphs"),
}
