"""fastae: one autoencoder, one training step, and every way to run it fast."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastae import backends, errors
    from fastae.datasets import load_dataset, load_images
    from fastae.diagnosis import Diagnosis, diagnose
    from fastae.history import Epoch, History
    from fastae.layers import Conv2d, Dense
    from fastae.model import Autoencoder
    from fastae.optimizer import SGD
    from fastae.trainer import Trainer

__all__ = [
    "SGD",
    "Autoencoder",
    "Conv2d",
    "Dense",
    "Diagnosis",
    "Epoch",
    "History",
    "Trainer",
    "backends",
    "diagnose",
    "errors",
    "load_dataset",
    "load_images",
]
__version__ = "0.1.0"

_HOMES = {"load_dataset": "datasets", "load_images": "datasets", "Autoencoder": "model", "SGD": "optimizer"}
_HOMES |= dict.fromkeys(["Conv2d", "Dense"], "layers")
_HOMES |= dict.fromkeys(["Diagnosis", "diagnose"], "diagnosis")
_HOMES |= dict.fromkeys(["Epoch", "History"], "history") | {"Trainer": "trainer"}


def __getattr__(name: str) -> Any:
    """Import the public names when they are first used, so that ``import fastae`` stays quick."""
    if name in ("backends", "errors"):
        return import_module(f"fastae.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'fastae' has no attribute {name!r}")
    return getattr(import_module(f"fastae.{_HOMES[name]}"), name)
