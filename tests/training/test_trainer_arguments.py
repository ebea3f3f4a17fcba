"""Trainer, SGD and fit: which arguments they refuse, and which they take."""

import inspect
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from trainings import NUMPY, SIZES, fit, make, some_images, state, tiny, tiny_images

import fastae
from fastae import SGD, Autoencoder, Trainer
from fastae.errors import InputError


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


def test_arguments_may_be_numpys_numbers(tmp_path: Path) -> None:
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


def test_defaults_are_those_that_the_documentation_promises() -> None:
    defaults = {name: p.default for name, p in inspect.signature(Trainer.__init__).parameters.items()}
    assert (defaults["backend"], defaults["batch_size"], defaults["seed"]) == ("numba", 16, 0)
    defaults = {name: p.default for name, p in inspect.signature(Trainer.fit).parameters.items()}
    assert (defaults["epochs"], defaults["progress"]) == (20, True)
    trainer = tiny()
    assert (trainer.workers, trainer.tf32) == (1, False)
    assert trainer.backend is NUMPY
    assert Trainer(Autoencoder((4, 2)), backend=NUMPY, threads=3, tf32=True).settings()["tf32"] is True


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("momentum", [0.0, 0.5])
def test_velocities_are_of_the_models_dtype_and_empty_without_momentum(momentum: float, dtype: str) -> None:
    trainer = tiny(momentum, dtype)
    assert {array.dtype.name for array in trainer._V + trainer._c} == {dtype}
    shapes = [array.shape for array in trainer._V + trainer._c]
    assert shapes == ([(4, 2), (2, 4), (2,), (4,)] if momentum else [(0, 2), (0, 4), (0,), (0,)])


def test_the_smallest_and_the_largest_rate_are_normal_numbers() -> None:
    for rate in (np.finfo(np.float32).tiny, np.finfo(np.float32).max):
        assert tiny(lr=float(rate)).optimizer.lr == rate


def test_weights_of_another_dtype_are_trained_in_the_models() -> None:
    trainer, other = tiny(), tiny()
    trainer.model.weights = [w.astype(np.float64) for w in trainer.model.weights]
    for each in (trainer, other):
        each.fit(tiny_images(5), 1, progress=False)
    assert [w.dtype for w in trainer.model.weights] == [np.float32] * 2
    assert all(np.array_equal(p, q) for p, q in zip(trainer.model.weights, other.model.weights))


@pytest.mark.parametrize(
    ("size", "here", "shards", "share"),
    [(1, 1, None, None), (2, 1, None, 7), (2, 2, None, 3), (8, 8, None, 1), (2, 1, 4, 1), (1, 1, 2, 1)],
)
def test_the_ranks_of_a_machine_share_its_workers(
    size: int, here: int, shards: int | None, share: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With shards each has one, so that the bits do not depend on the machine."""
    monkeypatch.setattr("fastae.backends.numba_backend.workers.choose", lambda: SimpleNamespace(workers=7))
    trainer: Any = tiny()
    trainer.ranks, trainer.shards = SimpleNamespace(size=size, here=here), shards
    assert trainer._share_of_threads() is None  # NumPy takes no threads
    trainer.backend = SimpleNamespace(takes_threads=True)
    assert trainer._share_of_threads() == share
    assert share is None or type(trainer._share_of_threads()) is int


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_images_are_floats_of_the_models_dtype_where_some_are_floats(dtype: str) -> None:
    trainer, images = tiny(dtype=dtype), tiny_images(5)
    expected = np.divide(images, 255, dtype=dtype)
    for given in (images, images / 255, expected):
        np.testing.assert_array_equal(trainer._floats(given), expected, strict=True)
    assert trainer._floats(expected) is expected  # not a copy
