"""The trainer: what it computes, and what is left when a training diverges."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from step_by_hand import loss_of, train
from trainings import backends, fit, make, parameters, some_images, state, untimed

from fastae import Trainer
from fastae.backends.base import Parameters
from fastae.backends.numpy_backend import NumpyBackend
from fastae.errors import Diverged

# What is computed.


def textbook(trainer: Trainer, images: np.ndarray, epochs: int) -> tuple[Parameters, list[float]]:
    """Train in float64 as a textbook has it, from the trainer's parameters; return the last, and the epochs' losses."""
    how, model, losses = trainer.optimizer, trainer.model, []
    p = Parameters(model.weights, model.biases, *([np.zeros_like(q) for q in g] for g in (model.weights, model.biases)))
    for e in range(epochs):
        order, total = np.random.default_rng([1, trainer.seed, e]).permutation(len(images)), 0.0
        assert np.array_equal(trainer.order(e, len(images)), order)
        for first in range(0, len(images), trainer.batch_size):
            x = images[order[first : first + trainer.batch_size]] / 255
            total += len(x) * loss_of(p.W, p.b, x, trainer.loss)
            p = train(p, [x], trainer.loss, how.lr, how.momentum)
        losses.append(total / len(images))
    return p, losses


@backends
@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("loss", ["mse", "bce"])
@pytest.mark.parametrize(("n", "batch"), [(12, 4), (13, 4), (3, 4), (4, 4), (5, 1)])
def test_a_training_is_the_textbooks(backend: str, loss: str, momentum: float, n: int, batch: int) -> None:
    """With batches that divide the data, leave a smaller one, or are larger than all of it."""
    images = some_images(n)
    trainer = make(momentum, loss=loss, backend=backend, batch_size=batch, seed=6)
    expected, losses = textbook(trainer, images, 3)
    history = fit(trainer, images, 3)
    for found, array in zip(trainer.model.weights + trainer.model.biases, expected.W + expected.b):
        np.testing.assert_allclose(found, array, rtol=0, atol=1e-12)
    np.testing.assert_allclose([epoch.train_loss for epoch in history.epochs], losses, rtol=1e-12)


@backends
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_a_second_fit_goes_on(backend: str, momentum: float) -> None:
    """With the next epoch's order and the velocities as they were: to the bits of a single fit."""
    images, tested = some_images(10), some_images(5, seed=1)
    once, twice = make(momentum, backend=backend), make(momentum, backend=backend)
    whole = fit(once, images, 3, test_images=tested)
    first = fit(twice, images, 1, test_images=tested)
    second = fit(twice, images, 2, test_images=tested)
    assert state(once) == state(twice)
    assert untimed(first) + untimed(second) == untimed(whole) == untimed(twice.history)
    assert [epoch.epoch for epoch in second.epochs] == [2, 3]


def test_the_history_holds_what_was_measured(tmp_path: Path) -> None:
    images, tested = some_images(10), some_images(5, seed=1)
    trainer = make()
    history = fit(trainer, images, 2, test_images=tested)
    assert trainer.history == history
    last = history.epochs[-1]
    error = np.mean((trainer.model.reconstruct(tested) - tested / 255) ** 2)
    assert last.test_mse == pytest.approx(float(error), rel=1e-12)
    assert last.seconds > 0
    assert last.images_per_second == pytest.approx(10 / last.seconds)
    assert json.loads(json.dumps(history.as_dicts()))[1] == {
        "epoch": 2,
        "train_loss": last.train_loss,
        "test_mse": last.test_mse,
        "seconds": last.seconds,
        "images_per_second": last.images_per_second,
        "lr": trainer.optimizer.lr,
        "signs": last.signs,
    }
    assert fit(trainer, images).epochs[0].test_mse is None


def test_on_epoch_is_called_after_each_epoch_with_the_model_as_it_then_is() -> None:
    images, seen = some_images(10), []
    trainer = make()
    fit(trainer, images, 3, on_epoch=lambda t: seen.append((t, len(t.history.epochs), parameters(t))))
    for epochs, (t, done, found) in enumerate(seen, 1):
        assert t is trainer
        assert done == epochs
        stopped = make()
        fit(stopped, images, epochs)
        assert found == parameters(stopped)
    assert len(seen) == 3


def test_an_error_in_on_epoch_ends_the_training_there() -> None:
    def fail(trainer: Trainer) -> None:
        raise RuntimeError("enough")

    trainer, other = make(), make()
    with pytest.raises(RuntimeError, match="enough"):
        fit(trainer, some_images(10), 3, on_epoch=fail)
    fit(other, some_images(10))
    assert state(trainer) == state(other)


@backends
def test_the_model_computes_on_the_backend_that_trained_it(backend: str) -> None:
    trainer = make(backend=backend)
    trainer.model.backend = "none yet"
    fit(trainer, some_images(4))
    assert trainer.model.backend == backend


def test_only_numba_has_workers() -> None:
    trainer = make()
    fit(trainer, some_images(4))
    assert trainer.workers == 1
    for threads in (1, 3):
        trainer = make(backend="numba", threads=threads)
        fit(trainer, some_images(9))
        assert trainer.workers == threads


def test_images_and_the_callers_arrays_are_left_alone() -> None:
    images, tested = some_images(9), some_images(5, seed=1)
    images.flags.writeable = tested.flags.writeable = False
    trainer = make(0.9)
    weights = trainer.model.weights
    copies = [w.copy() for w in weights]
    fit(trainer, images, 2, test_images=tested)
    assert all(np.array_equal(w, c) for w, c in zip(weights, copies))  # the model has got new ones
    assert not np.array_equal(trainer.model.weights[0], copies[0])


# Divergence.


class Poisonous(NumpyBackend):
    """Goes wrong, once armed, at the batch that holds the image whose first pixel is lit."""

    name = "poisonous"
    armed = False
    into = "loss"

    def operations(self, loss: str) -> dict[str, Any]:
        operations = super().operations(loss)
        plain = operations["loss_gradient"]

        def loss_gradient(z, x, scale, d, losses, own):
            plain(z, x, scale, d, losses, own)
            if self.armed and x[:, 0].any():
                (losses if self.into == "loss" else d)[-1:] = np.nan

        return operations | {"loss_gradient": loss_gradient}


@pytest.mark.parametrize("into", ["loss", "weights"])
@pytest.mark.parametrize("batch", [1, 2, 3, 4, 5, 6])
@pytest.mark.parametrize(("n", "batches"), [(23, 6), (20, 5)])
def test_diverged_names_epoch_and_batch_and_keeps_the_last_good_parameters(
    n: int, batches: int, batch: int, into: str, register: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What spoils the weights shows in the loss of the next batch; in the last one, it must not pass for an epoch."""
    if batch > batches:
        batch = 1
    register("poisonous", lambda: Poisonous)
    monkeypatch.setattr(Poisonous, "armed", False)
    monkeypatch.setattr(Poisonous, "into", into)
    images = some_images(n)
    images[:, 0] = 0
    images[np.random.default_rng([1, 5, 1]).permutation(n)[(batch - 1) * 4], 0] = 255  # in the second epoch

    good = make(0.5, backend="poisonous", seed=5)
    fit(good, images)
    trainer, calls = make(0.5, backend="poisonous", seed=5), []

    def arm(trainer: Trainer) -> None:
        calls.append(trainer)
        Poisonous.armed = True

    told = batch if into == "loss" else min(batch + 1, batches)
    with pytest.raises(Diverged, match=rf"in epoch 2, batch {told}\. .*To fix it: .*--lr 0\.033") as caught:
        fit(trainer, images, 9, test_images=some_images(3), on_epoch=arm)
    assert isinstance(caught.value, ArithmeticError)
    assert ("the loss or a weight of layer 1 became" in str(caught.value)) == (into == "weights")
    assert ("the loss or a weight became" in str(caught.value)) == (into == "loss")
    assert len(calls) == len(trainer.history.epochs) == 1
    assert parameters(trainer) == parameters(good)

    Poisonous.armed = False  # and from there it can go on
    fit(trainer, images)
    fit(good, images)
    assert parameters(trainer) == parameters(good)


@pytest.mark.parametrize("part", ["weights", "biases"])
@pytest.mark.parametrize("layer", [1, 2, 3, 4])
def test_diverged_names_the_first_layer_that_is_not_finite(layer: int, part: str) -> None:
    class Spoiling(NumpyBackend):
        """Writes NaN into one layer's update; there is one batch, so that no other layer takes it over."""

        def operations(self, loss: str) -> dict[str, Any]:
            operations = super().operations(loss)
            plain = operations["update"]

            def update(a, d, W, b, *others):
                plain(a, d, W, b, *others)
                if W.shape == trainer.model.weights[layer - 1].shape:
                    (W if part == "weights" else b)[-1:] = np.nan

            return operations | {"update": update}

    trainer = make(backend=Spoiling())
    with pytest.raises(Diverged, match=f"a weight of layer {layer} became NaN or infinite in epoch 1, batch 1"):
        fit(trainer, some_images(4))


@pytest.mark.parametrize("error", [np.nan, np.inf])
def test_a_test_error_that_is_not_finite_is_divergence(error: float, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = make()
    session = trainer.session(some_images(9), some_images(3))
    monkeypatch.setattr(session, "test_error", lambda: error)
    monkeypatch.setattr(trainer, "session", lambda *images: session)
    with pytest.raises(Diverged, match="the loss or a weight became NaN or infinite in epoch 1"):
        fit(trainer, some_images(9), test_images=some_images(3))


def first_overflow(trainer: Trainer, images: np.ndarray) -> tuple[int, int, list[bytes]] | None:
    """Train batch by batch until loss or parameters overflow: epoch, batch, and the parameters before that epoch."""
    session = trainer.session(images)
    whole, rest = divmod(len(images), trainer.batch_size)
    for e in range(20):
        session.start(np.random.default_rng([1, trainer.seed, e]).permutation(len(images)))
        good = session.read()
        for batch in range(1, whole + 1):
            session.run(1)
            if not np.isfinite(session.total()):
                return e + 1, batch, [array.tobytes() for array in (*good.W, *good.b)]
        session.finish()
        if not all(np.isfinite(p).all() for p in (session.total(), *(p for group in session.read() for p in group))):
            return e + 1, whole + bool(rest), [array.tobytes() for array in (*good.W, *good.b)]
    return None


@backends
def test_an_overflow_is_found_where_single_steps_find_it(backend: str) -> None:
    """Without a warning on the way; pytest would make it an error."""
    found = 0
    for lr in (1e37, 3e37, 1e38, 2e38, 3e38):
        images, trainer = some_images(30), make(0.9, lr, "float32", backend=backend, loss="bce")
        with np.errstate(all="ignore"):
            expected = first_overflow(trainer, images)
        if expected is None:
            continue
        found += 1
        epoch, batch, good = expected
        with pytest.raises(Diverged, match=rf"epoch {epoch}, batch {batch}\. .*To fix it: --lr 0\.\d+"):
            fit(trainer, images, 100)
        assert len(trainer.history.epochs) == epoch - 1
        assert parameters(trainer) == good
    assert found, "these rates should overflow float32"
