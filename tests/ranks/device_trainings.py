"""Trainings by ranks on GPUs, or on what stands for them: the cases, and the program of each rank.

`together` starts the program with a folder: it trains the cases that the folder's ``cases.json`` lists, and writes what
each came to there.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import fake_nccl
import numpy as np
import rank_trainings

import fastae
from fastae.backends import Availability
from fastae.backends.cupy_backend import CupyBackend
from fastae.errors import FastaeError
from fastae.ranks import Alone, join


class Case(NamedTuple):
    """A training of 3 batches and a smaller one an epoch."""

    backend: str = "emulator"
    way: str = "mpi"  # how the ranks are joined
    gpus: tuple[str, ...] = ()  # of the machine, by NCCL's stand-in; none for CuPy itself
    network: str = "dense"  # or conv
    loss: str = "mse"
    momentum: float = 0.9
    dtype: str = "float32"
    batch_size: int = 7
    images: int = 24  # a last batch of 3
    epochs: int = 2
    shards: int | None = None
    mode: str | None = None


def train(case: Case, ranks: Alone) -> dict[str, np.ndarray]:
    """Return all parameters and velocities at the end, the losses of each epoch, and how gradients were summed."""
    model, images, test_images = rank_trainings.small(case, 36, 5)
    optimizer, options = fastae.SGD(0.05, case.momentum), {"mode": case.mode} if case.backend != "numpy" else {}
    trainer = fastae.Trainer(
        model, case.loss, optimizer, case.backend, case.batch_size, ranks=ranks, shards=case.shards, **options
    )
    sessions, session_of = list[Any](), trainer.session
    trainer.session = lambda *data: sessions.append(session_of(*data)) or sessions[0]  # type: ignore[method-assign]
    history = trainer.fit(images, case.epochs, test_images, progress=False)
    made = {"way": np.array(getattr(sessions[0], "way", ""))}
    for name, group in zip("WbVc", (model.weights, model.biases, trainer._V, trainer._c)):
        made |= {f"{name}{l}": p for l, p in enumerate(group)}
    made["loss"] = np.array([epoch.train_loss for epoch in history.epochs])
    made["test"] = np.array([epoch.test_mse for epoch in history.epochs])
    return made


def together(ranks: int, cases: Sequence[Case], folder: Path) -> list[dict[str, np.ndarray]]:
    """Train the cases by so many ranks, started once; of one that is refused, return the ``error``."""
    return rank_trainings.together(ranks, cases, folder, ["-m", "mpi4py", __file__])


def main(folder: Path) -> None:
    from mpi4py import MPI

    worlds: dict[str, Any] = {}
    for number, fields in enumerate(json.loads((folder / "cases.json").read_text(encoding="utf-8"))):
        case = Case(*fields)
        if case.way not in worlds:
            worlds[case.way] = join(case.way)
        world = worlds[case.way]
        if case.gpus:
            stand_in(fake_nccl.Cluster(MPI.COMM_WORLD.Dup(), case.gpus))
        try:
            result = train(case, world)
        except FastaeError as error:
            result = {"error": np.array(str(error) if error.common else f"of one rank: {error}")}
        rank_trainings.keep(result, world, folder / f"{number}.npz")


def stand_in(cluster: fake_nccl.Cluster) -> None:
    """Have the cupy backend work on the stand-ins for the rest of this process."""
    from registry import forget_backends

    from fastae.ranks import nccl

    sys.modules.update(fake_nccl.module(cluster))
    CupyBackend.availability = classmethod(lambda cls: Availability(True))  # type: ignore[method-assign]
    forget_backends()
    nccl.communicator.cache_clear()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
