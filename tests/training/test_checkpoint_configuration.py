"""What a checkpoint's configuration may say: settings, epochs, what was planned, and the number of workers."""

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from trainings import tiny, tiny_images

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
    path, trainer = tmp_path / "checkpoint", tiny()
    trainer.fit(tiny_images(5), 2, progress=False)

    def rewrite(change: Callable[[dict[str, Any]], Any]) -> Path:
        trainer.save(path, {"test_images": "tested"})
        config, arrays = storage.read(path, "checkpoint")
        change(config)
        storage.write(path, "checkpoint", config, arrays)
        return path

    return rewrite


@pytest.mark.parametrize("name", ["tf32", "test_images", "schedule"])
def test_a_checkpoint_that_is_older_than_a_setting_had_its_default(rewritten: Any, name: str) -> None:
    path = rewritten(lambda config: config["settings"].pop(name))
    trainer = tiny()
    trainer.resume(path, {"test_images": "tested"})
    assert len(trainer.history.epochs) == 2
    trainer.tf32 = True
    told = "tf32 False, not True" if name == "tf32" else "tf32"
    with pytest.raises(CheckpointError, match=told):
        trainer.resume(path, {"test_images": "tested"})


EPOCHS: dict[str, dict[str, Any]] = {
    "another number": {"epoch": 3},
    "a whole number": {"train_loss": 1},
    "text": {"seconds": "1"},
    "nothing": {"images_per_second": None},
    "no rate": {"lr": None},
    "NaN": {"train_loss": math.nan},
    "infinite": {"test_mse": math.inf},
}


@pytest.mark.parametrize("change", EPOCHS.values(), ids=EPOCHS)
def test_a_history_that_is_none_is_refused(rewritten: Any, change: dict[str, Any]) -> None:
    path = rewritten(lambda config: config["epochs"][1].update(change))
    with pytest.raises(
        CheckpointError, match=re.escape(f"{path}: its configuration is not a checkpoint's: epoch 2 is")
    ):
        tiny().resume(path, {"test_images": "tested"})


@pytest.mark.parametrize("planned", [1, -1, 2.0, "2", None, True])
def test_a_plan_that_is_none_is_refused(rewritten: Any, planned: Any) -> None:
    path = rewritten(lambda config: config.update(planned=planned))
    with pytest.raises(CheckpointError, match=re.escape(f"{planned!r} epochs were planned, and 2 are there")):
        tiny().resume(path, {"test_images": "tested"})


@pytest.mark.parametrize("workers", [0, -1, 1.0, "1", None, True])
def test_a_number_of_workers_that_is_none_is_refused(rewritten: Any, workers: Any) -> None:
    path = rewritten(lambda config: config.update(workers=workers))
    told = (
        f"{path}: its configuration is not a checkpoint's: the number of workers must be a positive whole number; got "
    )
    with pytest.raises(CheckpointError, match=re.escape(told)):
        tiny().resume(path, {"test_images": "tested"})
