"""Compare every kernel of the contract, and every operation of the step with every tile, with float64."""

import secrets
from typing import Any

import numpy as np
from gpu_parts.findings import Findings
from gpu_parts.machine import backend

import fastae
from fastae import backends
from fastae.backends.base import Parameters
from fastae.backends.contract import KERNELS
from fastae.bench.contenders.job import initial_parameters
from fastae.check import bounds, verdict

SHAPES = ((1, 784, 256), (16, 784, 256), (17, 33, 5), (128, 256, 784), (129, 128, 131))  # images, inputs, outputs
SIZES = (37, 20, 9, 20, 37)
RATE, MOMENTUM = 0.05, 0.9


def contract(findings: Findings, rehearse: bool) -> None:
    """Call every kernel in every way that the contract allows, like ``fastae check``."""
    k, seed = backend(rehearse), secrets.randbelow(2**31)  # other numbers each time
    for name in KERNELS:
        found = verdict.examine(k, name, seed)
        detail = f"{found.calls} calls, largest error {found.worst:.2f} of the bound"
        for problem in found.problems[:1]:
            detail = f"{problem.what}; with {problem.case}; {'; '.join(problem.causes[:1])}; seed {seed}"
        findings.check(name, not found.problems, detail)


def operations(findings: Findings, rehearse: bool) -> None:
    """Test the step's products with every tile in both precisions, each by itself and then in a whole step."""
    k, launcher = backend(rehearse), backend(rehearse).launcher
    tried = [(tile, dtype) for dtype in ("float32", "float64") for tile in launcher.tiles(np.dtype(dtype))]
    for tile, dtype in tried:
        launcher.tile = lambda *lengths, tile=tile: tile
        shapes = SHAPES[2:3] if rehearse else SHAPES
        worst = max(share for shape in shapes for share in _products(k, dtype, *shape))
        findings.check(f"products, tile {tile}, {dtype}", worst <= 1, f"largest error {worst:.3f} of the bound")
        for loss in ("mse", "bce"):
            worst, apart = _step(k, dtype, loss), _with_momentum(k, dtype, loss)
            detail = f"largest error {worst:.3f} of the bound; with momentum {apart:.1e} apart"
            right = worst <= 1 and apart <= (2e-6 if dtype == "float32" else 1e-14)
            findings.check(f"a step, tile {tile}, {dtype}, {loss}", right, detail)
        del launcher.tile  # the class's own comes back


def _products(k: Any, dtype: str, m: int, inputs: int, outputs: int) -> list[float]:
    """Return the largest error of forward, backward and update, each as a share of its bound."""
    rng = np.random.default_rng()
    shapes = ((m, inputs), (inputs, outputs), (outputs,), (m, outputs))
    a, W, b, d = (rng.standard_normal(shape).astype(dtype) for shape in shapes)
    W /= np.float32(np.sqrt(inputs))  # so that σ is no 0 or 1
    a64, W64, b64, d64 = (x.astype(np.float64) for x in (a, W, b, d))
    s = k.session(model(SIZES, dtype), images(4), batch_size=4)
    with s.stream:
        on_device = [k.asarray(x) for x in (a, W, b, d)]
        y, out = (k.asarray(np.full(shape, np.nan, dtype)) for shape in (d.shape, a.shape))
        rate = k.asarray(np.array([-RATE, 0], dtype))
        made = s.operations()
        made["forward"](*on_device[:3], y)
        forward = k.to_host(y)
        z = a64 @ W64 + b64
        e_z = bounds.gamma(inputs + 3, dtype) * (abs(a64) @ abs(W64) + abs(b64))
        exact = 1 / (1 + np.exp(-z))
        shares = [_share(forward, exact, e_z / 4 + bounds.activation("sigmoid", exact + e_z / 4, dtype))]
        y_in = rng.random(a.shape).astype(dtype)
        made["backward"](on_device[3], on_device[1], k.asarray(y_in), out)
        y64 = y_in.astype(np.float64)
        slope, terms = y64 * (1 - y64), abs(d64) @ abs(W64).T
        shares.append(_share(k.to_host(out), (d64 @ W64.T) * slope, bounds.gamma(outputs + 6, dtype) * terms * slope))
        none = on_device[1][:0], on_device[2][:0]
        made["update"](on_device[0], on_device[3], on_device[1], on_device[2], *none, rate)
        k.launcher.cupy.cuda.runtime.deviceSynchronize()  # the branches too
        rate64 = float(np.array(RATE, dtype))
        for after, before, left in ((on_device[1], W64, a64), (on_device[2], b64, np.ones((m, 1)))):
            moved = rate64 * (left.T @ d64).reshape(before.shape)
            bound = bounds.gamma(m + 4, dtype) * (rate64 * (abs(left).T @ abs(d64)).reshape(before.shape) + abs(before))
            shares.append(_share(k.to_host(after), before - moved, bound))
    return shares


def _share(found: np.ndarray, exact: np.ndarray, bound: np.ndarray) -> float:
    share = np.abs(found - exact) / (bound + np.finfo(np.float64).tiny)
    return float(share.max()) if np.isfinite(share).all() else np.inf


def model(sizes: tuple[int, ...], dtype: str, momentum: float = 0.0) -> Parameters:
    """Draw parameters of these sizes, and velocities if there is momentum."""
    rng = np.random.default_rng(0)
    W = [rng.normal(0, 0.5, shape).astype(dtype) for shape in zip(sizes, sizes[1:])]
    b = [rng.normal(0, 0.1, n).astype(dtype) for n in sizes[1:]]
    groups = [[rng.normal(0, 0.1, x.shape).astype(dtype) if momentum else x[:0] for x in group] for group in (W, b)]
    return Parameters(W, b, *groups)


def task(rehearse: bool) -> tuple[Parameters, np.ndarray]:
    """Return the model that is measured and MNIST; in a rehearsal a small one, and noise."""
    if rehearse:
        return model(SIZES, "float32"), images(1000)
    weights, biases = initial_parameters()
    return Parameters(weights, biases, [W[:0] for W in weights], [b[:0] for b in biases]), fastae.load_dataset()[0]


def images(n: int) -> np.ndarray:
    """Draw images of as many pixels as the small model takes."""
    return np.random.default_rng(1).integers(0, 256, (n, SIZES[0]), dtype=np.uint8)


def _trained(k: Any, parameters: Parameters, loss: str, momentum: float) -> Parameters:
    s = k.session(parameters, images(50), loss=loss, batch_size=50, lr=RATE, momentum=momentum)
    s.start(np.arange(50))
    s.run(1)
    return s.read()


def _step(k: Any, dtype: str, loss: str) -> float:
    """Return the largest error of a step without momentum, as a share of its bound."""
    parameters = model(SIZES, dtype)
    in_float64 = Parameters(*([x.astype(np.float64) for x in group] for group in parameters))
    found, exact = _trained(k, parameters, loss, 0), _trained(backends.get("numpy"), in_float64, loss, 0)
    allowed = bounds.step(in_float64.W, in_float64.b, images(50) / 255, loss, float(np.array(RATE, dtype)), dtype)
    groups = zip((found.W, found.b), (exact.W, exact.b), allowed)
    shares = [_share(f, e, a) for group in groups for f, e, a in zip(*group)]
    return max(shares)


def _with_momentum(k: Any, dtype: str, loss: str) -> float:
    """Return the difference of a step with momentum from NumPy's."""
    parameters = model(SIZES, dtype, MOMENTUM)
    found, numpys = (_trained(b, parameters, loss, MOMENTUM) for b in (k, backends.get("numpy")))
    apart = [np.abs(f - e).max() for one, other in zip(found, numpys) for f, e in zip(one, other)]
    return float(max(apart)) if np.isfinite(apart).all() else np.inf
