"""Who takes part in the race on a GPU: fastae's modes, and the peers, each at a precision that it was told."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from gpu_parts.cublas import make_gemm

import fastae
from fastae.backends.base import Parameters
from fastae.backends.cupy_backend.session import CupySession
from fastae.bench.contenders.job import RATES, SEED, initial_parameters


class Ours:
    """A session of the cupy backend, or of the emulator in a rehearsal."""

    def __init__(self, images: np.ndarray, batch_size: int, rehearsal: bool, tf32: bool, mode: str) -> None:
        name = "emulator" if rehearsal else "cupy"
        optimizer, model = fastae.SGD(RATES["mse"]), fastae.Autoencoder(seed=SEED)
        trainer = fastae.Trainer(model, "mse", optimizer, name, batch_size, mode=mode, tf32=tf32)
        self.session = trainer.session(images)

    def epoch(self, order: np.ndarray) -> float:
        """Train on the whole batches of an epoch and return the sum of their losses."""
        self.session.start(order)
        self.session.run(len(order) // self.session.batch_size)
        return self.session.total()


class OursOnCublas(Ours):
    """The captured step with cuBLAS for its products; what our kernels do in the same launch has its own."""

    def __init__(self, images: np.ndarray, batch_size: int, rehearsal: bool, tf32: bool) -> None:
        class Session(CupySession):
            def operations(self) -> dict[str, Any]:
                gemm = make_gemm(self.stream, self.launcher.cupy, tf32, rehearsal)
                lr, k = RATES["mse"], self.backend

                def forward(a: Any, W: Any, b: Any, y: Any, own: Any = None) -> None:
                    gemm(a, W, y)
                    k.bias_sigmoid(y, b, y)

                def backward(d: Any, W: Any, y: Any, out: Any, own: Any = None) -> None:
                    gemm(d, W, out, trans_b=True)
                    k.sigmoid_gradient(out, y, out)

                def update(a: Any, d: Any, W: Any, b: Any, V: Any, c: Any, rate: Any, own: Any = None) -> None:
                    gemm(a, d, W, trans_a=True, alpha=-lr, beta=1)
                    k.column_sum(d, b, rate[0], 1.0)

                own = {"forward": forward, "backward": backward, "update": update}
                return super().operations() | own | {"column_sum": k.column_sum, "advance": k.advance}

        weights, biases = initial_parameters()
        none = [W[:0] for W in weights], [b[:0] for b in biases]
        backend = fastae.backends.get("emulator" if rehearsal else "cupy")
        options = {"batch_size": batch_size, "lr": RATES["mse"]}
        self.session = Session(backend, Parameters(weights, biases, *none), images, **options)


def torch(kind: str, **options: Any) -> Callable[..., Any]:
    """Return what makes a contender of `fastae.bench.contenders.torch_peers` on the GPU."""

    def make(images: np.ndarray, batch_size: int, rehearsal: bool, tf32: bool) -> Any:
        import torch

        from fastae.bench.contenders import torch_peers

        torch.backends.cuda.matmul.allow_tf32 = tf32
        torch.backends.cudnn.allow_tf32 = tf32
        device = "cpu" if rehearsal else "cuda"
        return getattr(torch_peers, kind)(images, batch_size, "mse", device=device, **options)

    return make


def jax(images: np.ndarray, batch_size: int, rehearsal: bool, tf32: bool) -> Any:
    """Make JAX's scan over the epoch."""
    os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"  # the others need memory too
    import jax

    from fastae.bench.contenders.jax_peers import JaxScan

    if not rehearsal and jax.default_backend() != "gpu":
        raise RuntimeError(f"JAX computes on {jax.default_backend()}, not on the GPU")
    jax.config.update("jax_default_matmul_precision", "tensorfloat32" if tf32 else "highest")
    return JaxScan(images, batch_size, "mse")


def ours(mode: str) -> Callable[..., Any]:
    """Return what makes a session of that mode."""
    return lambda images, batch_size, rehearsal, tf32: Ours(images, batch_size, rehearsal, tf32, mode)


@dataclass(frozen=True)
class Contender:
    """One of the race.

    Attributes
    ----------
    make : callable
        (images, batch size, rehearsal, tf32) -> what has ``epoch(order)``.
    tf32 : bool
        Its precision; else float32.
    peer : bool
        Not ours.
    """

    make: Callable[..., Any]
    tf32: bool = False
    peer: bool = False

    @property
    def precision(self) -> str:
        """The precision of its products, in words."""
        return "TF32" if self.tf32 else "float32"


CONTENDERS = {
    "fastae captured": Contender(ours("captured")),
    "fastae persistent": Contender(ours("persistent")),
    "fastae eager": Contender(ours("eager")),
    "fastae on cuBLAS, captured": Contender(OursOnCublas),
    "PyTorch eager": Contender(torch("TorchEager"), peer=True),
    "PyTorch compile, reduce-overhead": Contender(torch("TorchCompile", mode="reduce-overhead"), peer=True),
    "PyTorch compile, max-autotune": Contender(torch("TorchCompile", mode="max-autotune"), peer=True),
    "PyTorch by hand, captured": Contender(torch("TorchCaptured"), peer=True),
    "JAX, scan": Contender(jax, peer=True),
    "fastae captured, TF32": Contender(ours("captured"), tf32=True),
    "fastae persistent, TF32": Contender(ours("persistent"), tf32=True),
    "PyTorch by hand, captured, TF32": Contender(torch("TorchCaptured"), tf32=True, peer=True),
    "JAX, scan, TF32": Contender(jax, tf32=True, peer=True),
}
