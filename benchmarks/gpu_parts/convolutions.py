"""Steps with convolutions, tanh and relu: with every tile against NumPy, then eager against captured."""

from typing import Any

import numpy as np
from gpu_parts.findings import Findings
from gpu_parts.machine import backend

import fastae
from fastae import backends
from fastae.backends.base import Parameters

SHAPE, BATCH, TAIL = (12, 10, 3), 8, 5
LAYERS = [fastae.Conv2d(8, stride=2), fastae.Conv2d(6, kernel=2, padding=0), fastae.Dense(10)]
STEPS = 18  # the first batch eagerly, a graph of 16, one of 1; then a ragged tail
RATE, MOMENTUM = 0.01, 0.9
CASES = (  # dtype, TF32, activation, loss, how far the losses may be from NumPy's in float64
    ("float32", False, "tanh", "mse", 1e-5),
    ("float32", False, "relu", "bce", 1e-5),
    ("float64", False, "sigmoid", "mse", 1e-12),
    ("float64", False, "tanh", "bce", 1e-12),
    ("float32", True, "tanh", "mse", 1e-2),
)


def check(findings: Findings, rehearse: bool) -> None:
    """Try every tile in one step, and both modes in a short training."""
    k = backend(rehearse)
    for dtype in ("float32", "float64"):
        for tile in k.launcher.tiles(np.dtype(dtype)):
            k.launcher.tile = lambda *product, tile=tile: tile
            k.launcher.shared = lambda *product, tile=tile: (tile, 3)
            apart = _step_apart(k, dtype)
            del k.launcher.tile, k.launcher.shared  # the class's own come back
            detail = f"parameters {apart:.1e} from NumPy's"
            findings.check(f"a step, tile {tile}, {dtype}", apart < (4e-6 if dtype == "float32" else 1e-13), detail)
    for dtype, tf32, activation, loss, most in CASES:
        how = {"dtype": dtype, "activation": activation, "loss": loss}
        steps = 2 if rehearse else STEPS
        (eager, bits), (captured, others) = (
            _trained(k, steps, mode=mode, tf32=tf32, **how) for mode in ("eager", "captured")
        )
        exact, _ = _trained(backends.get("numpy"), steps, **how | {"dtype": "float64"})
        apart = max(abs(one / other - 1) for one, other in zip(eager, exact))
        right = np.isfinite(eager).all() and eager == captured and bits == others and apart < most
        same = "the same bits" if (eager, bits) == (captured, others) else "other bits"
        name = f"eager against captured: {activation}, {loss}, {'TF32' if tf32 else dtype}"
        findings.check(name, right, f"{same}; losses {apart:.1e} from NumPy's in float64, which {most:g} bounds")


def session(k: Any, n: int, dtype: str = "float32", activation: str = "tanh", **options: Any) -> Any:
    """Make a session of the small network on n images of noise, with momentum."""
    model = fastae.Autoencoder(layers=LAYERS, activation=activation, image_shape=SHAPE, seed=3)
    groups = [[p.astype(dtype) for p in group] for group in (model.weights, model.biases)]
    parameters = Parameters(*groups, *([np.zeros_like(p) for p in group] for group in groups))
    images = np.random.default_rng(1).integers(0, 256, (n, model.sizes[0]), dtype=np.uint8)
    options = {"batch_size": BATCH, "lr": RATE, "momentum": MOMENTUM, **options}
    return k.session(parameters, images, test_images=images[:11], layers=model.layers, activation=activation, **options)


def _step_apart(k: Any, dtype: str) -> float:
    found = []
    for one in (k, backends.get("numpy")):
        s = session(one, BATCH, dtype)
        s.start(np.arange(BATCH))
        s.run(1)
        found.append(s.read())
    pairs = [(p, q) for groups in zip(*found) for p, q in zip(*groups)]
    apart = [np.abs(p - q).max() for p, q in pairs]
    return float(max(apart)) if np.isfinite(apart).all() else np.inf


def _trained(k: Any, steps: int, **how: Any) -> tuple[list[float], bytes]:
    n = steps * BATCH + TAIL
    s = session(k, n, **how)
    s.start(np.random.default_rng(2).permutation(n))
    s.run(steps)
    s.finish()
    numbers = [s.total(), s.test_error()]
    return numbers, b"".join(p.tobytes() for group in s.read() for p in group)
