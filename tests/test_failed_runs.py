"""Trainings that fail, each in its own way, and what `fastae.diagnose` makes of their figures."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import fastae
from fastae.diagnosis import Diagnosis
from fastae.errors import Diverged
from fastae.rates import suggest

Images = np.ndarray
Change = Callable[[Images], Images]
LOSSES = ("mse", "bce")
CONV = [fastae.Conv2d(4, stride=2), fastae.Conv2d(8, stride=2), fastae.Dense(32)]
SIZES = (784, 64, 32)


class Run(NamedTuple):
    """A training: by default one that learns.

    Attributes
    ----------
    cause : str
        What is to be found.
    told : str
        What is to be said, among other things.
    rate : float
        The learning rate, beside what suits network, loss and data.
    change, test_change : callable
        What is done to the images, and to those of the test alone.
    """

    cause: str
    told: str = ""
    images: int = 500
    epochs: int = 10
    batch: int = 16
    rate: float = 1.0
    momentum: float = 0.0
    init: float | None = None
    activation: str = "sigmoid"
    layers: Any = None
    sizes: tuple[int, ...] = SIZES
    change: Change = np.array
    test_change: Change = np.array
    schedule: str = "constant"


def scrambled(images: Images) -> Images:
    """Noise of two values."""
    return np.random.default_rng(len(images)).integers(0, 2, images.shape, dtype=np.uint8) * np.uint8(255)


def alike(images: Images) -> Images:
    """The first image again and again, with a little noise."""
    noise = np.random.default_rng(len(images)).integers(0, 2, images.shape, dtype=np.uint8)
    return np.repeat(images[:1], len(images), 0) ^ noise


RUNS = [
    Run("all zero", "pixel values are all 0", change=np.zeros_like, epochs=1),
    Run("constant data", "all images are the same", change=lambda x: np.repeat(x[:1], len(x), 0), epochs=1),
    Run("pixel scale", "the largest pixel value is 1, of 255", change=lambda x: x // 255, epochs=1),
    Run("pixel scale", "multiply them by 17", change=lambda x: x // 17, epochs=1),
    Run("nearly constant data", "nearly constant", change=alike, epochs=2),
    Run("noise", "look like noise", change=scrambled),
    Run("other test images", "not of the kind of the training images", test_change=lambda x: 255 - x),
    Run("too few images", "known by heart", images=20, batch=4, epochs=100, rate=2),
    Run("identical units", "σ = 0", init=0.0),
    Run("identical units", "σ = 0", init=0.0, activation="tanh"),
    Run("saturated at the start", "σ = 1", init=1.0),
    Run("saturated at the start", "σ = 1", init=1.0, activation="tanh"),
    Run("saturated at the start", "too few updates: batch 500 makes 5 updates", init=1.0, batch=500, rate=12, epochs=5),
    Run("a rate for a mean over pixels", "784 times too large", rate=784),
    Run("a rate for a mean over pixels", "784 times too large", rate=784, activation="tanh", layers=CONV, epochs=3),
    Run("momentum too near 1", "count 100 times", rate=1, momentum=0.99, activation="tanh", epochs=5),
    Run("dead units", "0 for all images", rate=30, activation="relu", epochs=5),
    Run("saturated by the updates", "30 times", rate=30, epochs=5),
    Run("saturated by the updates", "30 times", rate=30, activation="tanh", epochs=5),
    Run("too few updates", "batch 500 makes 5 updates in 5 epochs", batch=500, epochs=5),
    Run("too few updates", "batch 250 makes 4 updates", batch=250, epochs=2, activation="tanh", layers=CONV),
    Run("rate too small", "1,000 times less", rate=1e-3),
    Run("rate too small", "784 times less", rate=1 / 784, activation="relu"),
    Run("rate too small", "784 times less", rate=1 / 784, activation="tanh", layers=CONV),
    Run("weights too small", "σ = 0.001", init=0.001),
    Run("code too small", "principal component", sizes=(784, 64, 1)),
]
FOLDERS = {"mnist": None, "fashion": Path(__file__).parent / "data" / "fashion-mnist"}
DATA = ("mnist", "fashion")
GRID = [(run, data, loss) for run in RUNS for data in DATA for loss in LOSSES]


def some_images(data: str, count: int, split: str = "train") -> Images:
    return fastae.load_dataset(FOLDERS[data], split)[0][:count]


def train(run: Run, data: str, loss: str, seed: int = 0) -> tuple[fastae.Trainer, Diagnosis | None]:
    """Train, and return what is found."""
    images, tested = some_images(data, run.images), run.test_change(some_images(data, 200, "test"))
    network: Any = {"sizes": run.sizes} if run.layers is None else {"layers": run.layers}
    model = fastae.Autoencoder(seed=seed, init=run.init, activation=run.activation, image_shape=(28, 28), **network)
    lr = run.rate * suggest(images, model, loss).lr  # of the images as they should be
    trainer = fastae.Trainer(
        model, loss, fastae.SGD(lr, run.momentum, run.schedule), "numpy", batch_size=run.batch, seed=seed
    )
    try:
        trainer.fit(np.ascontiguousarray(run.change(images)), run.epochs, run.change(tested), progress=False)
    except Diverged as error:
        return trainer, error.diagnosis
    return trainer, fastae.diagnose(trainer)


def name(case: tuple[Run, str, str]) -> str:
    run, data, loss = case
    return f"{run.cause}-{RUNS.index(run)}-{data}-{loss}"


def some_of(grid: list[Any]) -> list[Any]:
    """Of the two data sets and both losses each run has one for `make test`, another from run to run."""
    marks = [pytest.mark.thorough]
    return [pytest.param(*case, marks=marks * (i % 4 != i // 4 % 4), id=name(case)) for i, case in enumerate(grid)]


@pytest.mark.parametrize(("run", "data", "loss"), some_of(GRID))
def test_the_cause_is_named_and_no_other(run: Run, data: str, loss: str) -> None:
    _, found = train(run, data, loss)
    assert found is not None
    assert found.cause == run.cause
    assert run.told in str(found)
    assert found.mend
