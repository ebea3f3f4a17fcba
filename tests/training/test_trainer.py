"""Trainer and SGD: what they refuse and what they compute, and what is left when a training diverges."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastae
from fastae import SGD, Autoencoder, Trainer
from fastae.backends.numpy_backend import NumpyBackend
from fastae.errors import Diverged, InputError

SIZES = (12, 7, 4)
TIMINGS = ("seconds", "images_per_second")

backends = pytest.mark.parametrize("backend", ["numpy", "numba"])


def some_images(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, SIZES[0]), dtype=np.uint8)


def make(momentum: float = 0.0, lr: float = 0.1, dtype: str = "float64", **options: Any) -> Trainer:
    options = {"backend": "numpy", "batch_size": 4} | options
    return Trainer(Autoencoder(SIZES, dtype=dtype), optimizer=SGD(lr, momentum), **options)


def fit(trainer: Trainer, images: np.ndarray, epochs: int = 1, **options: Any) -> fastae.History:
    return trainer.fit(images, epochs, progress=False, **options)


def parameters(trainer: Trainer) -> list[bytes]:
    return [array.tobytes() for array in (*trainer.model.weights, *trainer.model.biases)]


def untimed(history: fastae.History) -> list[dict[str, Any]]:
    return [{k: v for k, v in epoch.items() if k not in TIMINGS} for epoch in history.as_dicts()]


def state(trainer: Trainer) -> Any:
    """Everything that training changes, the velocities too."""
    velocities = [array.tobytes() for array in (*trainer._V, *trainer._c)]
    return parameters(trainer), velocities, untimed(trainer.history)


# Arguments.


@pytest.mark.parametrize("lr", [0, 0.0, -1, -0.1, float("nan"), float("inf"), "0.1", None, True, 1j], ids=repr)
def test_sgd_refuses_a_learning_rate(lr: Any) -> None:
    with pytest.raises(InputError, match="learning rate must be positive and finite") as caught:
        SGD(lr=lr)
    assert repr(lr) in str(caught.value)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("momentum", [-0.1, 1, 1.5, float("nan"), float("inf"), "0", None, False], ids=repr)
def test_sgd_refuses_a_momentum(momentum: Any) -> None:
    with pytest.raises(InputError, match="momentum must be at least 0 and below 1") as caught:
        SGD(momentum=momentum)
    assert repr(momentum) in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": "l1"}, "unknown loss 'l1'; the losses are: mse, bce"),
        ({"loss": None}, "unknown loss None"),
        ({"backend": "nope"}, "unknown backend 'nope'; the backends are: auto, numpy, numba, cupy"),
        *[
            ({"batch_size": n}, "batch size must be a positive whole number")
            for n in (0, -1, 1.5, 4.0, "4", None, True)
        ],
        *[({"seed": n}, "seed must be a whole number of at least 0") for n in (-1, 0.0, "0", None, True)],
        *[({"threads": n}, "number of threads must be a positive whole number") for n in (0, -2, 1.5, "2", False)],
        *[({"lr": lr}, "learning rate must be a normal number in float64") for lr in (5e-324, 10**400)],
        ({"lr": 1e39, "dtype": "float32"}, "learning rate must be a normal number in float32"),
        ({"lr": 1e-39, "dtype": "float32"}, "learning rate must be a normal number in float32"),
    ],
    ids=repr,
)
def test_trainer_refuses_an_argument(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        make(**options)
    assert isinstance(caught.value, ValueError)
    assert len(str(caught.value).splitlines()) == 1


BAD_IMAGES = {
    "truths": (np.zeros((3, 12), bool), "bool (3, 12)"),
    "signed bytes": (np.zeros((3, 12), np.int8), "int8 (3, 12); give {}.astype(np.uint8)"),
    "too narrow": (np.zeros((3, 11), np.uint8), "uint8 (3, 11)"),
    "squares": (np.zeros((3, 4, 3), np.uint8), "uint8 (3, 4, 3); give {0}.reshape(len({0}), -1)"),
    "one image": (np.zeros(12, np.uint8), "uint8 (12,); are they labels? An image is a row"),
    "no image": (np.zeros((0, 12), np.uint8), "uint8 (0, 12)"),
    "a list": ([[0] * 12], "list"),
    "nothing": (None, "NoneType"),
}


@pytest.mark.parametrize("kind", BAD_IMAGES)
@pytest.mark.parametrize("name", ["images", "test_images"])
def test_fit_refuses_images(name: str, kind: str) -> None:
    images, told = BAD_IMAGES[kind]
    if (name, kind) == ("test_images", "nothing"):
        images, told = (), "tuple"  # no test images are no mistake
    trainer = make()
    before = state(trainer)
    with pytest.raises(InputError) as caught:
        trainer.fit(**({"images": some_images(4), "epochs": 1, "progress": False} | {name: images}))
    expected = "an array of uint8, or of floats in [0, 1], of shape (n, 12) with n of at least 1"
    assert str(caught.value) == f"{name} must be {expected}; got {told.format(name)}"
    assert state(trainer) == before


@pytest.mark.parametrize("wrong", [-0.001, 1.001, 255.0, np.nan, np.inf])
@pytest.mark.parametrize("name", ["images", "test_images"])
def test_fit_refuses_floats_outside_of_0_and_1(name: str, wrong: float) -> None:
    trainer, floats = make(), np.zeros((3, 12), np.float32)
    floats[2, 11] = wrong
    before = state(trainer)
    told = r"that are floats must be in \[0, 1\]; these go from .* scale them"
    if not np.isfinite(wrong):
        told = "hold NaN or infinite values; replace them"
    with pytest.raises(InputError, match=rf"^{name} {told}"):
        trainer.fit(**({"images": some_images(4), "epochs": 1, "progress": False} | {name: floats}))
    assert state(trainer) == before


@pytest.mark.parametrize("backend", ["numpy", "emulator", pytest.param("numba", marks=pytest.mark.thorough)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_floats_train_to_the_bits_of_the_bytes_that_they_are(backend: str, dtype: str) -> None:
    """Also beside bytes: the training images as floats, the test images as they were, and the other way round."""
    images, tests = some_images(13), some_images(7)
    found = []
    for kinds in ((False, False), (True, True), (True, False), (False, True)):
        trainer = fastae.Trainer(fastae.Autoencoder((12, 5), dtype=dtype), "mse", fastae.SGD(0.1), backend, 4)
        as_floats = np.dtype(dtype).type(255)
        data = [x / as_floats if floats else x for x, floats in zip((images, tests), kinds)]
        history = trainer.fit(data[0], 2, data[1], progress=False)
        found.append(([p.tobytes() for p in trainer.model.weights], [e.test_mse for e in history.epochs]))
    assert found == found[:1] * 4


def test_a_kernel_that_stays_on_the_device_takes_bytes_alone() -> None:
    trainer = fastae.Trainer(fastae.Autoencoder((12, 5)), "mse", backend="emulator", mode="persistent")
    with pytest.raises(InputError, match="'persistent' is for images of bytes; with floats take 'captured'"):
        trainer.fit(np.zeros((4, 12)), 1, progress=False)


@pytest.mark.parametrize("epochs", [0, -1, 1.0, "3", None, True], ids=repr)
def test_fit_refuses_a_number_of_epochs(epochs: Any) -> None:
    trainer = make()
    with pytest.raises(InputError, match="number of epochs must be a positive whole number") as caught:
        fit(trainer, some_images(4), epochs)
    assert repr(epochs) in str(caught.value)
    assert not trainer.history.epochs


def test_a_number_of_threads_is_refused_by_a_backend_without_a_team() -> None:
    with pytest.raises(InputError, match="'numpy' does not take a number of threads; numba does"):
        fit(make(threads=2), some_images(4))


def test_numpys_numbers_are_numbers(tmp_path: Path) -> None:
    """In every argument, and then in the JSON of a checkpoint."""
    model = Autoencoder((np.int64(12), np.int32(7), 4), seed=np.int64(3), init=np.float32(0.5))
    optimizer = SGD(np.float32(0.25), np.float64(0.5))
    trainer = Trainer(model, optimizer=optimizer, backend="numpy", batch_size=np.int16(4), seed=np.uint8(2))
    fit(trainer, some_images(9), np.int64(2))
    trainer.save(tmp_path / "checkpoint.npz")
    same = Trainer(Autoencoder(SIZES, seed=3, init=0.5), "mse", SGD(0.25, 0.5), "numpy", batch_size=4, seed=2)
    same.resume(tmp_path / "checkpoint.npz")
    assert state(same) == state(trainer)
    model.save(tmp_path / "model.npz")
    assert Autoencoder.load(tmp_path / "model.npz").init == 0.5


# What is computed.


def textbook(
    model: Autoencoder, images: np.ndarray, loss: str, lr: float, mu: float, batch: int, seed: int, epochs: int
) -> tuple[list[np.ndarray], list[float]]:
    """Train in float64 as a textbook has it; return weights and biases, and the losses of the epochs."""
    W, b = [w.copy() for w in model.weights], [c.copy() for c in model.biases]
    V = [np.zeros_like(p) for p in W + b]
    losses = []
    for e in range(epochs):
        order, total = np.random.default_rng([1, seed, e]).permutation(len(images)), 0.0
        for first in range(0, len(images), batch):
            x = images[order[first : first + batch]] / 255
            a = [x]
            for w, c in zip(W, b):
                a.append(1 / (1 + np.exp(-(a[-1] @ w + c))))
            z = a[-1]
            if loss == "mse":
                total += np.sum((z - x) ** 2)
                d = 2 * (z - x) * z * (1 - z) / len(x)
            else:
                total -= np.sum(x * np.log(z) + (1 - x) * np.log(1 - z))
                d = (z - x) / len(x)
            gradients = []
            for i in reversed(range(len(W))):
                gradients.append((a[i].T @ d, d.sum(axis=0)))
                d = (d @ W[i].T) * a[i] * (1 - a[i])
            gradients.reverse()
            for p, v, g in zip(W + b, V, [g for g, _ in gradients] + [g for _, g in gradients]):
                v *= mu
                v += g
                p -= lr * v
        losses.append(total / len(images))
    return W + b, losses


@backends
@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("loss", ["mse", "bce"])
@pytest.mark.parametrize(("n", "batch"), [(12, 4), (13, 4), (3, 4), (4, 4), (5, 1)])
def test_a_training_is_the_textbooks(backend: str, loss: str, momentum: float, n: int, batch: int) -> None:
    """With batches that divide the data, leave a smaller one, or are larger than all of it."""
    images = some_images(n)
    trainer = make(momentum, loss=loss, backend=backend, batch_size=batch, seed=6)
    expected, losses = textbook(trainer.model, images, loss, 0.1, momentum, batch, 6, 3)
    history = fit(trainer, images, 3)
    for found, array in zip(trainer.model.weights + trainer.model.biases, expected):
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


def test_the_history(tmp_path: Path) -> None:
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
        other = make()
        fit(other, some_images(9))
        for found, expected in zip(trainer.model.weights, other.model.weights):
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


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
    assert len(calls) == len(trainer.history.epochs) == 1
    assert parameters(trainer) == parameters(good)

    Poisonous.armed = False  # and from there it can go on
    fit(trainer, images)
    fit(good, images)
    assert parameters(trainer) == parameters(good)


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
