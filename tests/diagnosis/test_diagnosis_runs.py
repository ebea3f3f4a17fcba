"""Trainings with a fault: `fastae.diagnose` names the cause, and names none where there is no fault."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastae
from fastae.diagnosis import Broken, Diagnosis
from fastae.errors import InputError

Images = np.ndarray


def digits(count: int, split: str = "train", only: int | None = None) -> Images:
    images, labels = fastae.load_dataset(None, split)
    return images[slice(None) if only is None else labels == only][:count]


def train(images: Images, tested: Images, epochs: int = 4, **options: Any) -> fastae.Trainer:
    """Train a small network; ``prepare`` is what is done to the model before, ``rate`` and ``momentum`` are SGD's."""
    optimizer = fastae.SGD(options.pop("rate", "auto"), options.pop("momentum", 0.0))
    prepare: Callable[[fastae.Autoencoder], None] = options.pop("prepare", lambda model: None)
    loss = options.pop("loss", "mse")
    model = fastae.Autoencoder(options.pop("sizes", (784, 64, 32)), **options)
    prepare(model)
    trainer = fastae.Trainer(model, loss, optimizer, "numpy")
    trainer.fit(images, epochs, tested, progress=False)
    return trainer


def diagnosed(*training: Any) -> Diagnosis:
    found = fastae.diagnose(*training)
    assert found is not None
    return found


def floats(images: Images, factor: float = 1.0, offset: float = 0.0) -> Images:
    return (offset + factor * images / 255).astype(np.float32)


def turned(images: Images) -> Images:
    return np.rot90(images.reshape(-1, 28, 28), axes=(1, 2)).reshape(len(images), -1)


# Images.


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_floats_are_measured_as_their_bytes_are(dtype: str) -> None:
    images, tested = digits(500), digits(100, "test")
    found = train(images, tested, 1).history.start
    same = train((images / 255).astype(dtype), (tested / 255).astype(dtype), 1).history.start
    assert (found.pop("white"), same.pop("white")) == (255, 1)
    for name, figure in found.items():
        if name != "initial":
            assert same[name] == pytest.approx(figure, rel=1e-3), name
    assert same["initial"]["sample_mse"] == pytest.approx(found["initial"]["sample_mse"], rel=1e-4)


@pytest.mark.parametrize(
    ("factor", "offset", "cause", "told"),
    [
        (1.0, 0.0, None, ""),
        (1 / 255, 0.0, "pixel scale", "floats from 0 to 1: multiply them by 255"),
        (0.1, 0.0, "pixel scale", "The largest pixel value is 0.1, of 1"),
        (0.01, 0.5, "nearly constant data", "a pixel varies by 0.0026 of 1"),
    ],
)
def test_floats_of_a_range_that_is_too_small(factor: float, offset: float, cause: str | None, told: str) -> None:
    trainer = train(floats(digits(500), factor, offset), floats(digits(100, "test"), factor, offset), 8)
    found = fastae.diagnose(trainer)
    assert (found and found.cause) == cause
    assert told in str(found or "")


@pytest.mark.parametrize("loss", ["mse", "bce"])
def test_test_images_of_another_kind_are_told_from_training_images_that_are_too_few(loss: str) -> None:
    tested = digits(200, "test")
    for images, others, cause in (
        (digits(500), turned(tested), "other test images"),
        (digits(500, only=1), tested, "other test images"),
        (np.repeat(digits(10), 50, axis=0), tested, "too few images"),
    ):
        found = diagnosed(train(images, others, 12, loss=loss))
        assert found.cause == cause
    assert "only 10 differ" in found.sentence


def test_blank_images_among_the_others() -> None:
    images = digits(1000)
    images[::2] = 0
    found = diagnosed(train(images, digits(200, "test"), 12))
    assert found.cause == "blank images"
    assert "% of the images are blank" in found.sentence


@pytest.mark.parametrize(
    ("images", "remedy"),
    [
        (np.zeros((4, 784), np.int64), r"images\.astype\(np\.uint8\)"),
        (np.zeros((4, 28, 28), np.uint8), r"images\.reshape\(len\(images\), -1\)"),
        (np.zeros(4, np.uint8), "are they labels"),
        (np.full((4, 784), np.nan), "NaN or infinite values; replace them"),
        (np.full((4, 784), 200.0), "scale them"),
    ],
    ids=["int64", "3-d", "labels", "NaN", "range"],
)
def test_images_that_are_refused_are_refused_with_a_remedy(images: Images, remedy: str) -> None:
    with pytest.raises(InputError, match=remedy):
        train(images, digits(4, "test"))


# Weights that a program has set.


@pytest.mark.parametrize(
    ("kind", "place", "values", "told"),
    [
        ("weights", 0, np.zeros((64, 784)), r"weights\[0\] must have the shape \(784, 64\).*transpose it"),
        ("weights", 1, np.full((64, 32), np.nan), r"weights\[1\] must be finite in float32; 2,048 of 2,048"),
        ("weights", 1, np.full((64, 32), 1e300), r"weights\[1\] must be finite"),
        ("biases", 3, np.full(784, np.inf), r"biases\[3\] must be finite"),
        ("biases", 0, ["a"] * 64, r"biases\[0\] must be numbers of shape \(64,\)"),
    ],
)
def test_parameters_that_cannot_be_trained_are_refused(kind: str, place: int, values: Any, told: str) -> None:
    def prepare(model: fastae.Autoencoder) -> None:
        getattr(model, kind)[place] = values

    with pytest.raises(InputError, match=told):
        train(digits(20), digits(20), prepare=prepare)


def test_parameters_may_be_of_another_type_but_none_may_lack() -> None:
    def lists(model: fastae.Autoencoder) -> None:
        model.weights = [W.tolist() for W in model.weights]
        model.biases = [b.astype(np.float64) for b in model.biases]

    usual, same = train(digits(20), digits(20), 1), train(digits(20), digits(20), 1, prepare=lists)
    assert all(map(np.array_equal, usual.model.weights, same.model.weights))
    with pytest.raises(InputError, match="4 layers has as many weights; got 3"):
        train(digits(20), digits(20), prepare=lambda model: model.weights.pop())


@pytest.mark.parametrize(
    ("draw", "activation", "cause", "told"),
    [
        (lambda shape: np.full(shape, 0.05), "relu", "identical units", "were set, not drawn by --init"),
        (lambda shape: np.random.default_rng(0).random(shape), "sigmoid", "saturated at the start", "square is 0.58"),
        (lambda shape: np.random.default_rng(0).random(shape), "relu", "weights too large", "11 times what the rule"),
    ],
    ids=["constant", "rand sigmoid", "rand relu"],
)
def test_weights_of_ones_own_that_are_the_cause_are_named(draw: Any, activation: str, cause: str, told: str) -> None:
    def prepare(model: fastae.Autoencoder) -> None:
        model.weights = [draw(W.shape).astype(np.float32) for W in model.weights]

    found = diagnosed(train(digits(500), digits(100, "test"), activation=activation, prepare=prepare))
    assert found.cause == cause
    assert told in found.sentence
    assert "draw them as --init" in found.mend


def test_a_layer_that_began_saturated_is_named_though_the_rest_learns() -> None:
    def prepare(model: fastae.Autoencoder) -> None:
        model.weights[2] *= 100

    trainer = train(digits(1000), digits(100, "test"), 6, prepare=prepare)
    found = diagnosed(trainer)
    assert found.cause == "saturated at the start"
    assert "layer 3" in found.sentence


# The rate, and the network.


def test_small_weights_are_named_though_biases_turn_relus_off() -> None:
    trainer = train(digits(2000), digits(100, "test"), init=1e-3, activation="relu", sizes=(784, 64, 16))
    assert max(trainer.history.start["initial"]["flat"]) > 0.5
    found = diagnosed(trainer)
    assert found.cause == "weights too small"
    assert found.mend.startswith("--init he")


def test_weights_by_another_activations_rule_are_named_where_layers_lose_the_differences() -> None:
    """Glorot's rule for tanh draws a quarter of what sigmoids need."""
    trainer = train(digits(1000), digits(100, "test"), 5, init="glorot", sizes=(784, 64, 64, 32, 32, 16))
    found = diagnosed(trainer)
    assert found.cause in ("same code for all images", "weights too small")
    assert "by --init glorot" in found.sentence
    assert found.mend.startswith("--init glorot-sigmoid, which draws")


def test_momentum_is_named_where_it_adds_more_than_the_rate() -> None:
    images, tested = digits(1000), digits(100, "test")
    found = diagnosed(train(images, tested, rate=0.7, momentum=0.9))
    assert found.cause == "momentum too near 1"
    assert "--momentum 0 --lr 0.25" in found.mend


def test_a_code_of_one_unit_is_named_before_its_death() -> None:
    trainer = train(digits(1000), digits(100, "test"), 6, activation="relu", sizes=(784, 64, 1))
    assert trainer.history.start["initial"]["flat"][1] == 0
    last = trainer.history.epochs[-1].signs
    assert last is not None
    assert last["flat"][1] == 1
    found = diagnosed(trainer)
    assert found.cause == "code too small"


def test_a_training_that_diverges_in_its_first_epoch_at_a_small_rate_has_a_cause() -> None:
    def prepare(model: fastae.Autoencoder) -> None:
        model.weights[0] *= 20

    trainer = train(digits(64), digits(32, "test"), 1, prepare=prepare, rate=1e-3, activation="relu")
    training = {"config": trainer.settings(), "start": trainer.history.start, "epochs": []}
    found = diagnosed(training, Broken(1, 1, 1))
    assert found.cause == "weights too large"
