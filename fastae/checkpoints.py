"""Checkpoints: write the state of a training after an epoch, and continue from it."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from fastae import storage
from fastae.errors import CheckpointError
from fastae.history import History
from fastae.layers.layer import is_whole, positive
from fastae.optimizer import SGD

if TYPE_CHECKING:
    from fastae.trainer import Trainer


def save(trainer: "Trainer", path: Any, note: dict[str, Any] | None) -> None:
    """Write model, velocities, history and settings; for arguments and errors see `fastae.Trainer.save`."""
    arrays = storage.numbered(
        weight=trainer.model.weights, bias=trainer.model.biases, weight_velocity=trainer._V, bias_velocity=trainer._c
    )
    config = {"settings": settings(trainer, note), "workers": trainer.workers, "planned": trainer.planned}
    config |= {"ranks": trainer.sharers, "epochs": trainer.history.as_dicts(), "start": trainer.history.start}
    storage.write(path, "checkpoint", config, arrays)


def restore(
    trainer: "Trainer", path: Any, config: dict[str, Any], arrays: dict[str, np.ndarray], note: dict[str, Any] | None
) -> None:
    """Set a trainer's state from the content of a checkpoint; raises `CheckpointError` if it does not fit."""
    now = settings(trainer, note)
    try:
        # The values for checkpoints of older releases, which lack these settings.
        usual = {"tf32": False, "test_images": now.get("test_images"), "schedule": "constant"}
        usual |= {"shards": None, "activation": "sigmoid", "image_shape": now["image_shape"]}
        usual["layers"] = [{"Dense": [n]} for n in config["settings"].get("sizes", [0])[1:]]
        found, workers, sharers = {**usual, **config["settings"]}, config["workers"], config.get("ranks", 1)
        if now["lr"] == "auto":
            now["lr"] = SGD(found["lr"]).lr
        history = History.read(config["epochs"], found.get("lr"), config.get("start", {}))
        planned = config.get("planned", len(history.epochs))
        positive("the number of workers", workers)
        positive("the number of ranks", sharers)
        if not is_whole(planned) or planned < len(history.epochs):
            raise ValueError(f"{planned!r} epochs were planned, and {len(history.epochs)} are there")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        reason = storage.brief(error)
        raise CheckpointError(f"{path}: its configuration is not a checkpoint's: {reason}") from error
    other = [f"{name} {found.get(name)!r:.200}, not {new!r}" for name, new in now.items() if found.get(name) != new]
    if other:
        raise CheckpointError(f"{path} was made with other settings: {'; '.join(other)}")
    optimizer = replace(trainer.optimizer, lr=now["lr"])
    model = trainer.model
    weights, biases = model.take(path, arrays, "weight"), model.take(path, arrays, "bias")
    if trainer.optimizer.momentum:
        trainer._V, trainer._c = (model.take(path, arrays, f"{name}_velocity") for name in ("weight", "bias"))
    model.weights, model.biases = weights, biases
    trainer.history, trainer.workers, trainer.planned, trainer.optimizer = history, workers, planned, optimizer
    trainer.sharers = sharers


def settings(trainer: "Trainer", note: dict[str, Any] | None) -> dict[str, Any]:
    """Return the settings that determine the result of a training, as a dict for JSON."""
    model = trainer.model
    return {
        "sizes": list(model.sizes),
        **model.described(),
        "init": model.init,
        "model_seed": model.seed,
        "dtype": model.dtype.name,
        "loss": trainer.loss,
        "lr": trainer.optimizer.lr if trainer.optimizer.lr == "auto" else float(trainer.optimizer.lr),
        "momentum": float(trainer.optimizer.momentum),
        "schedule": trainer.optimizer.schedule,
        "batch_size": trainer.batch_size,
        "seed": trainer.seed,
        "backend": trainer.backend.name,
        "tf32": trainer.tf32,
        "shards": trainer.shards,
        **(note or {}),
    }
