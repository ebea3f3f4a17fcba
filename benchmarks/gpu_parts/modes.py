"""Compare the modes' results bit for bit, and a whole training with the CPU's."""

import itertools
from functools import cache
from typing import Any

import numpy as np
from gpu_parts.findings import Findings

import fastae
from fastae import backends
from fastae.bench.contenders.job import RATES

EPOCHS = 2
STEPS = 18  # an epoch: the first batch eagerly, a graph of 16, one of 1; then a ragged tail
TAIL = {1: 0, 16: 5, 100: 41}  # by batch size
APART = 1e-3  # relative: what 20 epochs in another order of sums may leave, in losses and test errors


def captured(findings: Findings, rehearse: bool) -> None:
    """Compare eager with captured."""
    _compared(findings, rehearse, "eager", "captured")


def persistent(findings: Findings, rehearse: bool) -> None:
    """Compare captured with persistent."""
    _compared(findings, rehearse, "captured", "persistent")


def _compared(findings: Findings, rehearse: bool, one: str, other: str) -> None:
    """Train in two modes, in every combination of options, and compare all bits."""
    for tf32, dtype in ((False, "float32"), (False, "float64"), (True, "float32")):
        for m, loss, momentum in itertools.product(TAIL, RATES, (0.0, 0.9)):
            plain, all_on = dtype == "float32" and not tf32, (loss, momentum) == ("bce", 0.9)
            if rehearse and not ((m == 16 and plain) or (all_on and (plain or m > 1))):
                continue
            options = {"loss": loss, "dtype": dtype, "momentum": momentum, "tf32": tf32}
            numbers, bits = zip(*(_trained(rehearse, m, mode=mode, **options) for mode in (one, other)))
            fell = np.isfinite(numbers).all() and numbers[0][1] < numbers[0][0]
            name = f"{one} against {other}: batch {m}, {loss}, {'TF32' if tf32 else dtype}, momentum {momentum:g}"
            detail = f"the loss goes from {numbers[0][0]:.4f} to {numbers[0][1]:.4f}"
            if numbers[0] != numbers[1] or bits[0] != bits[1]:
                detail = f"other bits; {detail} in the first, to {numbers[1][1]:.4f} in the second"
            elif not fell:
                detail = f"the same bits, which mean little: {detail}"
            findings.check(name, fell and numbers[0] == numbers[1] and bits[0] == bits[1], detail)


def _trained(
    rehearse: bool, m: int, loss: str, dtype: str, momentum: float, mode: str, tf32: bool
) -> tuple[list[float], bytes]:
    """Train a little; return all losses, the last test error, and the bits of the parameters."""
    images, test_images = data("train", rehearse), data("test", rehearse)
    sizes = (49, 24, 12) if rehearse else (784, 256, 128)
    optimizer = fastae.SGD(RATES[loss] * (1 - momentum), momentum)
    trainer = fastae.Trainer(
        fastae.Autoencoder(sizes, dtype=dtype), loss, optimizer, _name(rehearse), m, mode=mode, tf32=tf32
    )
    n = m * (2 if rehearse and m > 1 else STEPS) + TAIL[m]
    history = trainer.fit(images[:n], EPOCHS, test_images[: 70 if rehearse else 300], progress=False).epochs
    numbers = [*(epoch.train_loss for epoch in history), *(epoch.test_mse or 0.0 for epoch in history)]
    return numbers, b"".join(p.tobytes() for p in trainer.model.weights + trainer.model.biases)


@cache
def data(split: str, small: bool = False) -> np.ndarray:
    """Read MNIST's images once; the small images have every fourth row and column."""
    images, _ = fastae.load_dataset(split=split)
    return np.ascontiguousarray(images.reshape(-1, 28, 28)[:, ::4, ::4]).reshape(-1, 49) if small else images


def _name(rehearse: bool) -> str:
    return "emulator" if rehearse else "cupy"


def history(findings: Findings, rehearse: bool) -> None:
    """Train for 20 epochs at batch size 128 and compare all losses with Numba's, or fewer epochs with NumPy's."""
    numba = not rehearse and backends.availability()["numba"].ok
    cpu, n, epochs = ("numba", 60_000, 20) if numba else ("numpy", 256, 2) if rehearse else ("numpy", 6_000, 20)
    ours: Any = _history(_name(rehearse), n, epochs)
    findings.add("note", text=f"{epochs} epochs of {n:,} images, captured: test error {ours[-1].test_mse:.5f}, "
                 f"{sum(epoch.seconds for epoch in ours):.2f} s")  # fmt: skip
    theirs = _history(cpu, n, epochs)
    apart, tests = (max(abs(getattr(a, what) / getattr(b, what) - 1) for a, b in zip(ours, theirs))
                    for what in ("train_loss", "test_mse"))  # fmt: skip
    fell = ours[-1].train_loss < ours[0].train_loss
    detail = f"train losses within {apart:.1e}, test errors within {tests:.1e}, which {APART:g} bounds"
    detail += f"; the loss goes from {ours[0].train_loss:.4f} to {ours[-1].train_loss:.4f}"
    findings.check(f"{epochs} epochs of {n:,} images against {cpu}", fell and max(apart, tests) < APART, detail)


def _history(name: str, n: int, epochs: int) -> list[Any]:
    images, test_images = data("train")[:n], data("test")[:n]
    trainer = fastae.Trainer(fastae.Autoencoder(), backend=name, batch_size=128)
    return trainer.fit(images, epochs, test_images, progress=False).epochs
