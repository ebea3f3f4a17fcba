"""Trainer, SGD and checkpoints: what they refuse, what they compute, and what is left when something goes wrong."""

import errno
import io
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastae
from fastae import SGD, Autoencoder, Trainer, storage
from fastae.backends.numpy_backend import NumpyBackend
from fastae.errors import CheckpointError, Diverged, InputError, OutputError

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
    "floats": (np.zeros((3, 12)), "float64 (3, 12)"),
    "signed bytes": (np.zeros((3, 12), np.int8), "int8 (3, 12)"),
    "too narrow": (np.zeros((3, 11), np.uint8), "uint8 (3, 11)"),
    "squares": (np.zeros((3, 4, 3), np.uint8), "uint8 (3, 4, 3)"),
    "one image": (np.zeros(12, np.uint8), "uint8 (12,)"),
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
    assert str(caught.value) == f"{name} must be a uint8 array of shape (n, 12) with n of at least 1; got {told}"
    assert state(trainer) == before


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
    with pytest.raises(Diverged, match=rf"in epoch 2, batch {told}; try a learning rate below 0\.1$") as caught:
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
        with pytest.raises(Diverged, match=rf"epoch {epoch}, batch {batch}; try a learning rate below .e.3[78]$"):
            fit(trainer, images, 100)
        assert len(trainer.history.epochs) == epoch - 1
        assert parameters(trainer) == good
    assert found, "these rates should overflow float32"


# Checkpoints.


@backends
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_a_checkpoint_brings_everything_back(backend: str, dtype: str, momentum: float, tmp_path: Path) -> None:
    images, tested, path = some_images(10), some_images(5, seed=1), tmp_path / "checkpoint.npz"
    whole = make(momentum, dtype=dtype, backend=backend)
    fit(whole, images, 2, test_images=tested)
    whole.save(path, {"images": "some"})

    resumed = make(momentum, dtype=dtype, backend=backend)
    resumed.resume(path, {"images": "some"})
    assert state(resumed) == state(whole)
    assert resumed.history == whole.history
    assert resumed.workers == whole.workers
    fit(resumed, images, 2, test_images=tested)
    fit(whole, images, 2, test_images=tested)
    assert state(resumed) == state(whole)
    assert len(whole.history.epochs) == 4


def test_a_checkpoint_before_the_first_epoch_is_one_too(tmp_path: Path) -> None:
    trainer, other = make(0.9), make(0.9)
    trainer.save(tmp_path / "checkpoint.npz")
    other.resume(tmp_path / "checkpoint.npz")
    fit(trainer, some_images(9))
    fit(other, some_images(9))
    assert state(trainer) == state(other)


def test_no_file_holds_a_pickle(tmp_path: Path) -> None:
    trainer = make(0.9)
    fit(trainer, some_images(9))
    trainer.save(tmp_path / "checkpoint.npz")
    trainer.model.save(tmp_path / "model.npz")
    for name, count in (("checkpoint.npz", 16), ("model.npz", 8)):
        with np.load(tmp_path / name, allow_pickle=False) as file:
            assert len(file.files) == count + 2  # and the configuration, and the checksum
            for member in file.files:
                assert file[member].dtype.kind in "fu"
            config = json.loads(file["config"].tobytes())
        assert config["kind"] == name.removesuffix(".npz")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"loss": "bce"}, "loss 'mse', not 'bce'"),
        ({"lr": 0.2}, "lr 0.1, not 0.2"),
        ({"momentum": 0.8}, "momentum 0.9, not 0.8"),
        ({"momentum": 0.0}, "momentum 0.9, not 0.0"),
        ({"batch_size": 5}, "batch_size 4, not 5"),
        ({"seed": 1}, "seed 0, not 1"),
        ({"dtype": "float32"}, "dtype 'float64', not 'float32'"),
        ({"backend": "numba"}, "backend 'numpy', not 'numba'"),
        ({"note": {"images": "others"}}, "images 'some', not 'others'"),
    ],
    ids=str,
)
def test_a_checkpoint_of_other_settings_is_refused_and_nothing_changes(
    options: dict[str, Any], told: str, tmp_path: Path
) -> None:
    trainer = make(0.9)
    fit(trainer, some_images(9))
    trainer.save(tmp_path / "checkpoint.npz", {"images": "some"})
    changed = {"momentum": 0.9, "note": {"images": "some"}} | options
    note = changed.pop("note")
    other = make(**changed)
    fit(other, some_images(9))
    before = state(other)
    with pytest.raises(CheckpointError) as caught:
        other.resume(tmp_path / "checkpoint.npz", note)
    assert str(caught.value) == f"{tmp_path / 'checkpoint.npz'} was made with other settings: {told}"
    assert state(other) == before


def test_a_checkpoint_of_another_architecture_is_refused(tmp_path: Path) -> None:
    make().save(tmp_path / "checkpoint.npz")
    with pytest.raises(CheckpointError, match=r"sizes \[12, 7, 4\], not \[12, 4\]"):
        Trainer(Autoencoder((12, 4), dtype="float64"), "mse", SGD(0.1), "numpy", 4).resume(tmp_path / "checkpoint.npz")


def test_a_missing_checkpoint_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"nowhere\.npz does not exist"):
        make().resume(tmp_path / "nowhere.npz")


def resumed_from(path: Path, content: bytes) -> Any:
    """The state after resuming from a file of that content; None if it was refused, properly."""
    path.write_bytes(content)
    trainer = make(0.9)
    fit(trainer, some_images(4))
    before = state(trainer)
    refusal = ""
    try:
        trainer.resume(path)
    except CheckpointError as error:
        refusal = str(error)
    if not refusal:
        return state(trainer)
    assert str(path) in refusal
    assert len(refusal.splitlines()) == 1
    assert state(trainer) == before
    return None


@pytest.fixture
def saved(tmp_path: Path) -> tuple[Path, Any]:
    trainer = make(0.9)
    fit(trainer, some_images(9), 2)
    trainer.save(tmp_path / "checkpoint.npz")
    return tmp_path / "checkpoint.npz", state(trainer)


def test_a_flipped_bit_is_found_or_harmless(saved: tuple[Path, Any]) -> None:
    """Anywhere in the file: harmless are only dates and the like in the archive's own headers."""
    path, expected = saved
    content = path.read_bytes()
    found = []
    for at in np.random.default_rng(0).choice(len(content), 300, replace=False):
        damaged = bytearray(content)
        damaged[at] ^= 1 << int(at) % 8
        found.append(resumed_from(path, bytes(damaged)))
    assert all(result in (None, expected) for result in found)
    assert found.count(None) > 150
    assert resumed_from(path, content) == expected


def test_a_file_cut_short_is_refused(saved: tuple[Path, Any]) -> None:
    path, _ = saved
    content = path.read_bytes()
    for size in [0, 1, 30, len(content) // 3, len(content) // 2, *range(len(content) - 30, len(content))]:
        assert resumed_from(path, content[:size]) is None, size


def rewritten(path: Path, change: Callable[[dict[str, Any], dict[str, np.ndarray]], Any]) -> bytes:
    """The checkpoint after a change, with a checksum that is right."""
    config, arrays = storage.read(path, "checkpoint")
    change(config, arrays)
    storage.write(path, "checkpoint", config, arrays)
    return path.read_bytes()


CHANGES: dict[str, Callable[[dict[str, Any], dict[str, np.ndarray]], Any]] = {
    "no settings": lambda config, arrays: config.pop("settings"),
    "settings of another kind": lambda config, arrays: config.update(settings=7),
    "a setting left out": lambda config, arrays: config["settings"].pop("lr"),
    "no epochs": lambda config, arrays: config.pop("epochs"),
    "epochs of another kind": lambda config, arrays: config.update(epochs=7),
    "an epoch of another kind": lambda config, arrays: config["epochs"].append("third"),
    "an epoch without a loss": lambda config, arrays: config["epochs"][1].pop("train_loss"),
    "an epoch with more in it": lambda config, arrays: config["epochs"][1].update(colour="red"),
    "no weight": lambda config, arrays: arrays.pop("weight2"),
    "no velocity": lambda config, arrays: arrays.pop("bias_velocity3"),
    "another shape": lambda config, arrays: arrays.update(weight1=arrays["weight1"].T),
    "another dtype": lambda config, arrays: arrays.update(bias0=arrays["bias0"].astype(np.float32)),
    "velocities of another shape": lambda config, arrays: arrays.update(weight_velocity0=np.zeros((0, 7))),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_checkpoint_with_a_right_checksum_and_a_wrong_content_is_refused(
    change: str, saved: tuple[Path, Any]
) -> None:
    path, expected = saved
    assert resumed_from(path, rewritten(path, lambda config, arrays: None)) == expected
    assert resumed_from(path, rewritten(path, CHANGES[change])) is None


def swap(arrays: dict[str, np.ndarray]) -> None:
    arrays["weight0"], arrays["weight_velocity0"] = arrays["weight_velocity0"], arrays["weight0"]


@pytest.mark.parametrize(
    "change",
    [
        lambda arrays: arrays.update(weight0=arrays["weight0"] + 1),
        lambda arrays: arrays.update(config=arrays["config"][::-1]),
        lambda arrays: arrays.update(weight0=arrays["weight0"].T.reshape(arrays["weight0"].shape)),
        lambda arrays: arrays.update(weight0=arrays["weight0"].reshape(1, -1)),
        lambda arrays: arrays.update(weight0=arrays["weight0"].view(np.int64)),
        lambda arrays: arrays.update(weight0b=arrays.pop("weight0")),
        lambda arrays: arrays.pop("bias0"),
        swap,
    ],
    ids=["values", "configuration", "order", "shape", "dtype", "name", "one missing", "two exchanged"],
)
def test_what_was_changed_without_its_checksum_is_refused(
    change: Callable[[dict[str, np.ndarray]], Any], saved: tuple[Path, Any]
) -> None:
    """The archive is whole, and its own checksums are right."""
    path, _ = saved
    with np.load(path) as file:
        arrays = dict(file)
    change(arrays)
    np.savez(path, **arrays)
    with pytest.raises(CheckpointError, match="is damaged: its checksum does not match; use an earlier copy"):
        make(0.9).resume(path)


def test_a_bomb_is_refused_before_it_goes_off(saved: tuple[Path, Any]) -> None:
    """A compressed member may be a thousand times as large as the file."""
    path, _ = saved
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("weight0.npy", bytes(10**6))
    assert len(bomb.getvalue()) < 10**4
    path.write_bytes(bomb.getvalue())
    with pytest.raises(CheckpointError, match=r"weight0\.npy is compressed"):
        make(0.9).resume(path)


# A file is written whole or not at all.


def no_space(*arguments: Any, **options: Any) -> Any:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def half(file: Any, array: Any, **options: Any) -> None:
    file.write(bytes(1000))
    no_space()


FAILURES: dict[str, tuple[Any, str, Any]] = {
    "opening": (storage.tempfile, "mkstemp", no_space),
    "writing": (storage.np.lib.format, "write_array", half),
    "reaching the disk": (storage.os, "fsync", no_space),
    "renaming": (storage.os, "replace", no_space),
}


@pytest.mark.parametrize("there", [True, False], ids=["over an earlier file", "anew"])
@pytest.mark.parametrize("what", ["checkpoint", "model"])
@pytest.mark.parametrize("failure", FAILURES)
def test_a_failing_write_leaves_everything_as_it_was(
    failure: str, what: str, there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer, path = make(), tmp_path / f"{what}.npz"
    save = trainer.save if what == "checkpoint" else trainer.model.save
    if there:
        save(path)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    fit(trainer, some_images(9))
    with monkeypatch.context() as patch:
        patch.setattr(*FAILURES[failure])
        with pytest.raises(OutputError, match="No space left on device") as caught:
            save(path)
    assert str(path) in str(caught.value)
    assert isinstance(caught.value, OSError)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before
    save(path)  # nothing is in the way of the next attempt
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    assert path.read_bytes() != before.get(path.name)


def test_an_interrupted_write_leaves_everything_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(file: Any, array: Any, **options: Any) -> None:
        file.write(bytes(1000))
        raise KeyboardInterrupt

    trainer, path = make(), tmp_path / "checkpoint.npz"
    trainer.save(path)
    before = path.read_bytes()
    monkeypatch.setattr(storage.np.lib.format, "write_array", interrupt)
    with pytest.raises(KeyboardInterrupt):
        trainer.save(path)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    assert path.read_bytes() == before


@pytest.mark.parametrize("name", ["nowhere/checkpoint.npz", "file/checkpoint.npz", "folder"])
def test_a_place_that_cannot_be_written_is_named(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError, match=f"cannot write {tmp_path / name}: "):
        make().save(tmp_path / name)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["file", "folder"]


@pytest.mark.skipif(os.name != "posix", reason="permissions as POSIX has them")
def test_a_file_is_as_readable_as_the_user_wants(tmp_path: Path) -> None:
    """A temporary file is private to the user; what takes its name is not."""
    for umask, mode in ((0o022, 0o644), (0o077, 0o600)):
        old = os.umask(umask)
        try:
            make().save(tmp_path / f"{umask}.npz")
            assert os.umask(umask) == umask  # and the umask is as it was
        finally:
            os.umask(old)
        assert (tmp_path / f"{umask}.npz").stat().st_mode & 0o777 == mode
