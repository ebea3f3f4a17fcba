"""Mutants of the trainer that the other tests let live; see tests/attacks/MUTATION.md."""

import inspect
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastae import SGD, Autoencoder, Trainer, storage
from fastae import trainer as module
from fastae.backends.numpy_backend import NumpyBackend
from fastae.errors import CheckpointError

NUMPY = NumpyBackend()


def make(momentum: float = 0.0, dtype: str = "float32", lr: float = 0.5) -> Trainer:
    return Trainer(Autoencoder((4, 2), dtype=dtype), "mse", SGD(lr, momentum), NUMPY, batch_size=2)


def images(n: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, 4), dtype=np.uint8)


# What is kept where nothing is asked for.


def test_defaults_are_those_that_the_documentation_promises() -> None:
    defaults = {name: p.default for name, p in inspect.signature(Trainer.__init__).parameters.items()}
    assert (defaults["backend"], defaults["batch_size"], defaults["seed"]) == ("numba", 16, 0)
    defaults = {name: p.default for name, p in inspect.signature(Trainer.fit).parameters.items()}
    assert (defaults["epochs"], defaults["progress"]) == (20, True)
    trainer = make()
    assert (trainer.workers, trainer.tf32) == (1, False)
    assert trainer.backend is NUMPY
    assert Trainer(Autoencoder((4, 2)), backend=NUMPY, threads=3, tf32=True).settings()["tf32"] is True


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("momentum", [0.0, 0.5])
def test_velocities_are_of_the_models_dtype_and_empty_without_momentum(momentum: float, dtype: str) -> None:
    trainer = make(momentum, dtype)
    assert {array.dtype.name for array in trainer._V + trainer._c} == {dtype}
    shapes = [array.shape for array in trainer._V + trainer._c]
    assert shapes == ([(4, 2), (2, 4), (2,), (4,)] if momentum else [(0, 2), (0, 4), (0,), (0,)])


def test_the_smallest_and_the_largest_rate_are_normal_numbers() -> None:
    for rate in (np.finfo(np.float32).tiny, np.finfo(np.float32).max):
        assert make(lr=float(rate)).optimizer.lr == rate


def test_weights_of_another_dtype_are_trained_in_the_models() -> None:
    trainer, other = make(), make()
    trainer.model.weights = [w.astype(np.float64) for w in trainer.model.weights]
    for each in (trainer, other):
        each.fit(images(5), 1, progress=False)
    assert [w.dtype for w in trainer.model.weights] == [np.float32] * 2
    assert all(np.array_equal(p, q) for p, q in zip(trainer.model.weights, other.model.weights))


# Checkpoints.


def test_the_settings_are_those_that_decide_the_course_of_a_training() -> None:
    assert make(0.5).settings({"images": "some"}) == {
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
    path, trainer = tmp_path / "checkpoint", make()
    trainer.fit(images(5), 2, progress=False)

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
    trainer = make()
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
        make().resume(path, {"test_images": "tested"})


@pytest.mark.parametrize("planned", [1, -1, 2.0, "2", None, True])
def test_a_plan_that_is_none_is_refused(rewritten: Any, planned: Any) -> None:
    path = rewritten(lambda config: config.update(planned=planned))
    with pytest.raises(CheckpointError, match=re.escape(f"{planned!r} epochs were planned, and 2 are there")):
        make().resume(path, {"test_images": "tested"})


@pytest.mark.parametrize("workers", [0, -1, 1.0, "1", None, True])
def test_a_number_of_workers_that_is_none_is_refused(rewritten: Any, workers: Any) -> None:
    path = rewritten(lambda config: config.update(workers=workers))
    told = (
        f"{path}: its configuration is not a checkpoint's: the number of workers must be a positive whole number; got "
    )
    with pytest.raises(CheckpointError, match=re.escape(told)):
        make().resume(path, {"test_images": "tested"})


# Progress and the clock.


class Bar:
    """A progress bar that keeps what it is told."""

    def __init__(self, **options: Any) -> None:
        self.options, self.updates, self.told = options, [], []

    def __enter__(self) -> "Bar":
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def update(self, n: int) -> None:
        self.updates.append(n)

    def set_description(self, text: str) -> None:
        self.told.append(text)

    set_postfix_str = set_description


def test_the_next_order_is_drawn_while_a_device_works(monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind an epoch's last steps and before the host waits for them; the steps a look go on where they were."""
    trainer, seen = make(), []
    session_of, order = trainer.session, trainer.order

    def session(*arguments: Any) -> Any:
        session = session_of(*arguments)
        run, finish, total = session.run, session.finish, session.total
        session.run = lambda batches: (seen.append(f"run {batches}"), run(batches))
        session.finish = lambda: (seen.append("finish"), finish())
        session.total = lambda: (seen.append("wait"), total())[1]
        return session

    monkeypatch.setattr(trainer, "session", session)
    monkeypatch.setattr(trainer, "order", lambda e, n: (seen.append(f"order {e}"), order(e, n))[1])
    trainer.fit(images(81), 3, progress=False)  # 40 batches and an image
    assert seen[:4] == ["order 0", "run 1", "wait", "run 3"]
    for e in (1, 2):
        i = seen.index(f"order {e}")
        assert seen[i - 2].startswith("run")
        assert (seen[i - 1], seen[i + 1]) == ("finish", "wait")
    assert [call for call in seen if call.startswith("run")] == [
        "run 1",
        "run 3",
        *["run 4"] * 29,
    ]  # tenths of an epoch
    assert "order 3" not in seen
    expected = make()
    for _ in range(3):
        expected.fit(images(81), 1, progress=False)
    assert [W.tobytes() for W in trainer.model.weights] == [W.tobytes() for W in expected.model.weights]


def test_steps_between_two_looks_grow_fourfold_to_a_tenth_of_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """And fall when a step takes longer; the bar sees every image; the seconds are those of training alone."""
    now, sizes, bars = [1000.0], [], []
    trainer = make()
    session_of = trainer.session

    def session(*arguments: Any) -> Any:
        session = session_of(*arguments)
        run, finish, test_error = session.run, session.finish, session.test_error

        def slow(batches: int) -> None:
            sizes.append(batches)
            now[0] += batches * (2**-10 if sum(sizes) < 300 else 2**-5)
            run(batches)

        session.run = slow
        session.finish = lambda: (now.__setitem__(0, now[0] + 2), finish())
        session.test_error = lambda: (now.__setitem__(0, now[0] + 50), test_error())[1]
        return session

    monkeypatch.setattr(trainer, "session", session)
    monkeypatch.setattr(module.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(module, "progress_bar", lambda **options: bars.append(Bar(**options)) or bars[-1])
    data = images(8001)
    history = trainer.fit(data, 1, data[:3], progress=True)
    assert sizes[:6] == [1, 4, 16, 64, 102, 102]  # 102 steps of 2⁻¹⁰ seconds are a tenth
    assert set(sizes[7:]) == {3, 1}  # of 2⁻⁵ seconds; what is left of a tenth of the epoch
    assert sum(sizes) == 4000
    (bar,) = bars
    assert bar.updates == [*(2 * size for size in sizes[:-1]), 2 * sizes[-1] + 1]
    assert bar.options == {
        "total": 8001,
        "unit": " images",
        "unit_scale": True,
        "disable": None,
        "dynamic_ncols": True,
        "bar_format": "{desc} {percentage:3.0f}% {bar} {rate_fmt}, {remaining} left{postfix}",
    }
    assert bar.told[0] == "epoch 1/1"
    last = float(bar.told[-1].removeprefix("loss "))
    (epoch,) = history.epochs
    assert last == pytest.approx(epoch.train_loss, rel=0.01)
    quick = sum(sizes[:6])
    assert epoch.seconds == quick * 2**-10 + (4000 - quick) * 2**-5 + 2
    assert epoch.images_per_second == 8001 / epoch.seconds
    trainer.fit(data, 2, progress=False)
    assert bars[1].options["disable"] is True
    assert bars[1].options["total"] == 16002
    assert [text for text in bars[1].told if text.startswith("epoch")] == ["epoch 2/3", "epoch 3/3"]


def test_a_clock_that_stands_still_does_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(np.repeat(np.arange(99.0), 4))  # each time is told so often that a slice takes none
    monkeypatch.setattr(module.time, "perf_counter", lambda: next(clock))
    trainer = make()
    trainer.fit(images(9), 1, progress=False)
    assert len(trainer.history.epochs) == 1
