"""Right or wrong: kernels against float64, the modes against each other, a training against the CPU's."""

from functools import cache
from typing import Any

import numpy as np

import fastae
from fastae import backends
from fastae.backends.cupy_backend.launcher import TILES
from fastae.backends.cupy_backend.session import MODES

Check = dict[str, Any]


def outcome(name: str, ok: bool, detail: str) -> Check:
    """Return one line of the report."""
    return {"check": name, "ok": bool(ok), "detail": detail}


def products(backend: Any) -> list[Check]:
    """Products of many shapes, transpositions and tiles against float64, by the textbook's bound for float32."""
    found = []
    rng = np.random.default_rng()  # other numbers each time
    tile_of = backend.launcher.tile
    for tile in TILES:
        worst, tried = 0.0, 0
        backend.launcher.tile = lambda rows, cols, tile=tile: tile
        for m, k, n in ((1, 784, 256), (16, 784, 256), (17, 33, 5), (128, 256, 784), (129, 128, 131), (64, 64, 64)):
            for trans_a, trans_b in ((False, False), (True, False), (False, True), (True, True)):
                a, b = rng.standard_normal((m, k), np.float32), rng.standard_normal((k, n), np.float32)
                out = backend.asarray(np.full((m, n), np.nan, np.float32))
                given = (np.ascontiguousarray(x.T) if t else x for x, t in ((a, trans_a), (b, trans_b)))
                backend.matmul(*map(backend.asarray, given), out, trans_a, trans_b)
                exact = a.astype(np.float64) @ b
                bound = (k + 2) * 2.0**-24 * (np.abs(a).astype(np.float64) @ np.abs(b))
                error = np.abs(backend.to_host(out) - exact) / bound
                worst, tried = max(worst, float(error.max()) if np.isfinite(error).all() else np.inf), tried + 1
        found.append(outcome(f"{tried} products, tile {tile}", worst <= 1, f"largest error {worst:.3f} of the bound"))
    backend.launcher.tile = tile_of
    return found


def elementwise(backend: Any) -> list[Check]:
    """Every other kernel against the numpy backend in float64."""
    rng, numpy = np.random.default_rng(), backends.get("numpy")
    m, n = 37, 333
    z, x, delta = (1 / (1 + np.exp(-rng.normal(0, 3, (m, n)))) for _ in range(3))
    bias = rng.normal(size=n)
    cases: dict[str, tuple[tuple[Any, ...], int]] = {
        "bias_sigmoid": ((z, bias), m * n),
        "sigmoid_gradient": ((delta, z), m * n),
        "mse_gradient": ((z, x, 1 / m), m * n),
        "bce_gradient": ((z, x, 1 / m), m * n),
        "mse_loss": ((z, x), m),
        "bce_loss": ((z, x), m),
        "column_sum": ((delta,), n),
    }
    found = []
    for name, (arguments, size) in cases.items():
        single = [np.asarray(v, np.float32) if isinstance(v, np.ndarray) else v for v in arguments]
        sums = np.float64 if name.endswith("loss") else np.float32
        shape = (m, n) if size == m * n else (size,)
        out, exact = backend.asarray(np.full(shape, np.nan, sums)), np.zeros(shape)
        getattr(backend, name)(*(backend.asarray(v) if isinstance(v, np.ndarray) else v for v in single), out)
        getattr(numpy, name)(*(v.astype(np.float64) if isinstance(v, np.ndarray) else v for v in single), exact)
        error = np.max(np.abs(backend.to_host(out) - exact) / (np.abs(exact) + np.abs(exact).mean()))
        found.append(outcome(name, error < 1e-5, f"largest error {error:.1e} of the value and the mean"))
    return found


@cache
def data(split: str) -> np.ndarray:
    """Read MNIST's images once."""
    return fastae.load_dataset(split=split)[0]


def train(name: str, batch_size: int, epochs: int, limit: int | None, **options: Any) -> tuple[list[Any], bytes]:
    """Return the history of a training and the bits of its parameters."""
    images, test_images = (data(split)[:limit] for split in ("train", "test"))
    trainer = fastae.Trainer(
        fastae.Autoencoder(), optimizer=fastae.SGD(0.25), backend=name, batch_size=batch_size, **options
    )
    history = trainer.fit(images, epochs, test_images, progress=False).epochs
    return history, b"".join(p.tobytes() for p in trainer.model.weights + trainer.model.biases)


def modes(name: str, limit: int) -> list[Check]:
    """Eager, captured and persistent: the same bits, in float32 and TF32, twice."""
    found = []
    for tf32 in (False, True):
        for m in sorted({min(m, limit) for m in (1, 16, 100)}):
            results = {mode: train(name, m, 1, limit, mode=mode, tf32=tf32) for mode in (*MODES, "captured")}
            bits = {r[1] for r in results.values()}
            again = train(name, m, 1, limit, mode="captured", tf32=tf32)[1]
            found.append(
                outcome(f"the modes' bits, batch {m}{', TF32' * tf32}", len(bits | {again}) == 1, f"{len(bits)} kinds")
            )
    return found


def histories(name: str, cpu: str, epochs: int, limit: int | None) -> list[Check]:
    """A whole training's losses against the CPU's, at batch size 128."""
    ours, theirs = (train(backend, 128, epochs, limit)[0] for backend in (name, cpu))
    apart = max(abs(a.train_loss / b.train_loss - 1) for a, b in zip(ours, theirs))
    tests = max(abs(a.test_mse / b.test_mse - 1) for a, b in zip(ours, theirs))
    detail = f"train losses within {apart:.1e}, test errors within {tests:.1e}; last test error {ours[-1].test_mse:.4f}"
    return [outcome(f"{epochs} epochs against {cpu}", max(apart, tests) < 1e-3, detail)]
