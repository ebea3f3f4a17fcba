"""What a checkpoint's configuration may say: settings, epochs, what was planned, and the number of workers."""

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from trainings import state, tiny, tiny_images

from fastae import storage
from fastae.errors import CheckpointError


def test_the_settings_are_those_that_decide_the_course_of_a_training() -> None:
    assert tiny(0.5).settings({"images": "some"}) == {
        "sizes": [4, 2],
        "layers": [{"Dense": [2]}],
        "activation": "sigmoid",
        "image_shape": None,
        "init": "glorot-sigmoid",
        "model_seed": 0,
        "dtype": "float32",
        "loss": "mse",
        "lr": 0.5,
        "momentum": 0.5,
        "schedule": "constant",
        "batch_size": 2,
        "seed": 0,
        "backend": "numpy",
        "tf32": False,
        "shards": None,
        "images": "some",
    }


@pytest.fixture
def rewritten(tmp_path: Path) -> Callable[[Callable[[dict[str, Any]], Any]], Path]:
    """Return a function that changes the configuration of a sound checkpoint of two epochs."""
    path, trainer = tmp_path / "checkpoint", tiny(image_shape=(2, 2))
    trainer.fit(tiny_images(5), 2, progress=False)

    def rewrite(change: Callable[[dict[str, Any]], Any]) -> Path:
        trainer.save(path, {"test_images": "tested"})
        config, arrays = storage.read(path, "checkpoint")
        change(config)
        storage.write(path, "checkpoint", config, arrays)
        return path

    return rewrite


def without_schedules(config: dict[str, Any]) -> None:
    del config["planned"], config["settings"]["schedule"]
    for epoch in config["epochs"]:
        del epoch["lr"]


def without_layers(config: dict[str, Any]) -> None:
    for name in ("layers", "activation", "image_shape"):
        del config["settings"][name]


OLDER: dict[str, tuple[Any, dict[str, Any], str]] = {  # what it lacks, and another value of today, which is told
    "TF32": (lambda config: config["settings"].pop("tf32"), {"tf32": True}, "tf32 False, not True"),
    "the test images": (lambda config: config["settings"].pop("test_images"), {"tf32": True}, "tf32 False, not True"),
    "schedules": (without_schedules, {"schedule": "cosine"}, "schedule 'constant', not 'cosine'"),
    "layers": (without_layers, {"activation": "tanh"}, "activation 'sigmoid', not 'tanh'"),
}


@pytest.mark.parametrize(("change", "other", "told"), OLDER.values(), ids=OLDER)
def test_a_checkpoint_that_is_older_than_a_setting_had_its_default(
    rewritten: Any, change: Any, other: dict[str, Any], told: str
) -> None:
    path = rewritten(change)
    trainer, first = tiny(image_shape=(2, 2)), tiny(image_shape=(2, 2))
    trainer.resume(path, {"test_images": "tested"})
    first.fit(tiny_images(5), 2, progress=False)
    assert state(trainer) == state(first)
    with pytest.raises(CheckpointError, match=told):
        tiny(image_shape=(2, 2), **other).resume(path, {"test_images": "tested"})


REFUSED: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    f"an epoch with {changed}": (lambda config, changed=changed: config["epochs"][1].update(changed), "epoch 2 is")
    for changed in (
        {"epoch": 3},
        {"train_loss": 1},
        {"seconds": "1"},
        {"images_per_second": None},
        {"lr": None},
        {"train_loss": math.nan},
        {"test_mse": math.inf},
    )
}
REFUSED |= {
    f"{n!r} planned": (lambda config, n=n: config.update(planned=n), f"{n!r} epochs were planned, and 2 are there")
    for n in (1, -1, 2.0, "2", None, True)
}
REFUSED |= {
    f"{n!r} workers": (
        lambda config, n=n: config.update(workers=n),
        f"the number of workers must be a positive whole number; got {n!r}",
    )
    for n in (0, -1, 1.0, "1", None, True)
}


@pytest.mark.parametrize(("change", "told"), REFUSED.values(), ids=REFUSED)
def test_a_configuration_that_is_none_is_refused(rewritten: Any, change: Any, told: str) -> None:
    path = rewritten(change)
    with pytest.raises(CheckpointError, match=re.escape(f"{path}: its configuration is not a checkpoint's: {told}")):
        tiny().resume(path, {"test_images": "tested"})
