"""Trainings that several ranks do together, and one process alone: the cases, and the program of each rank.

`together` starts the program with a folder: it trains the cases that the folder's ``cases.json`` lists, and writes what
each came to there.
"""

import json
import math
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import golden_files
import numpy as np

import fastae
from fastae.ranks import Alone, join, sums

TIMEOUT = 240  # seconds for all cases of one start: some compile


class Case(NamedTuple):
    """A training: 25 epochs of 4 batches and a smaller one are 125 steps."""

    backend: str
    network: str = "dense"  # or conv, or the name of a golden trajectory
    loss: str = "mse"
    momentum: float = 0.0
    dtype: str = "float64"
    batch_size: int = 10
    images: int = 43  # a last batch of 3: with more ranks some have none of it
    epochs: int = 25
    threads: int | None = None
    shards: int | None = None
    messages: bool = False  # though the ranks are on one machine


def train(case: Case, ranks: Alone) -> dict[str, np.ndarray]:
    """Return all parameters and velocities at the end, and the losses of each epoch."""
    options: dict[str, Any] = {"ranks": ranks, "shards": case.shards, "threads": case.threads}
    if case.network in golden_files.SYNTHETIC:
        golden = golden_files.load(case.network)
        model = golden_files.new_model(golden)
        history = golden_files.fit(
            model, golden, case.backend, golden["images"], golden["epochs"].item(), golden.get("test_images"), **options
        )
        trainer = None
    else:
        model, images, test_images = small(case, 64, 300)
        optimizer = fastae.SGD(0.05 * (1 - case.momentum), case.momentum)
        trainer = fastae.Trainer(model, case.loss, optimizer, case.backend, case.batch_size, **options)
        history = trainer.fit(images, case.epochs, test_images, progress=False)
    made = {f"W{l}": W for l, W in enumerate(model.weights)} | {f"b{l}": b for l, b in enumerate(model.biases)}
    if trainer and case.momentum:
        made |= {f"V{l}": V for l, V in enumerate(trainer._V)} | {f"c{l}": c for l, c in enumerate(trainer._c)}
    made["loss"] = np.array([epoch.train_loss for epoch in history.epochs])
    if history.epochs[0].test_mse is not None:
        made["test"] = np.array([epoch.test_mse for epoch in history.epochs])
    return made


def small(case: Any, pixels: int, tested: int) -> tuple[fastae.Autoencoder, np.ndarray, np.ndarray]:
    """Make a small network, and images for it to be trained with and tested on."""
    rng = np.random.default_rng(3)
    images, test_images = (rng.integers(0, 256, (n, pixels)).astype(np.uint8) for n in (case.images, tested))
    network: dict[str, Any] = {"sizes": (pixels, pixels // 3, pixels // 6)}
    if case.network == "conv":
        side = math.isqrt(pixels)
        layers = [fastae.Conv2d(4, 3, stride=2), fastae.Dense(9)]
        network = {"image_shape": (side, side), "layers": layers, "activation": "tanh"}
    return fastae.Autoencoder(**network, seed=1, dtype=case.dtype), images, test_images


def keep(result: dict[str, np.ndarray], ranks: Alone, path: Path) -> None:
    """Write what a rank came to, and make sure that all others came to the same."""
    if ranks.rank == 0:
        np.savez(path, **result)
    for theirs in ranks.all_gather({name: array.tobytes() for name, array in result.items()}):
        assert theirs == {name: array.tobytes() for name, array in result.items()}, "ranks ended differently"


def together(
    ranks: int, cases: Sequence[Any], folder: Path, program: Sequence[str] = (__file__,)
) -> list[dict[str, np.ndarray]]:
    """Start the program on so many ranks, and return what it wrote of each case."""
    (folder / "cases.json").write_text(json.dumps(cases), encoding="utf-8")
    done = subprocess.run(
        [mpiexec(), "-n", str(ranks), sys.executable, *program, str(folder)],
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    results = []
    for number in range(len(cases)):
        with np.load(folder / f"{number}.npz") as file:
            results.append(dict(file))
    return results


def mpiexec() -> str:
    """Return the launcher that was installed with this Python's MPI."""
    path = Path(sys.executable).with_name("mpiexec")
    assert path.exists(), "the tests of several ranks need: python -m pip install 'fastae[mpi]'"
    return str(path)


if __name__ == "__main__":
    here, world = Path(sys.argv[1]), join()
    window = sums.Window
    for number, fields in enumerate(json.loads((here / "cases.json").read_text(encoding="utf-8"))):
        case = Case(*fields)
        sums.Window = sums.Messages if case.messages else window  # type: ignore[misc, assignment]
        keep(train(case, world), world, here / f"{number}.npz")
