"""Trainings that fail, each in its own way, and what `fastae.diagnose` concludes from their figures."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from command_line import history_of
from sampling import SEEDS

import fastae
from fastae import cli
from fastae import trainer as module
from fastae.diagnosis import Diagnosis, measure
from fastae.diagnosis.causes import CAUSES
from fastae.errors import Diverged, InputError
from fastae.rates import suggest

Images = np.ndarray
Change = Callable[[Images], Images]
LOSSES = ("mse", "bce")
CONV = [fastae.Conv2d(4, stride=2), fastae.Conv2d(8, stride=2), fastae.Dense(32)]
SHALLOW = [fastae.Conv2d(4), fastae.Dense(16)]
SIZES = (784, 64, 32)
NEAR = (0.9, 0.95, 1.0, 1.05, 1.1)


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
    near : tuple of float
        The learning rates, beside that one, of which most have to lead to the cause. Where training is unstable, the
        last bit decides how it ends, and no single rate ends alike on all processors.
    change, test_change : callable
        What is done to the images, and to those of the test alone.
    only : tuple of str
        The data sets and losses with which it fails in this way; by default all.
    prepare : callable, optional
        What is done to the model before training.
    """

    cause: str
    told: str = ""
    images: int = 500
    epochs: int = 10
    batch: int = 16
    rate: float = 1.0
    near: tuple[float, ...] = (1.0,)
    momentum: float = 0.0
    init: float | None = None
    activation: str = "sigmoid"
    layers: Any = None
    sizes: tuple[int, ...] = SIZES
    change: Change = np.array
    test_change: Change = np.array
    schedule: str = "constant"
    only: tuple[str, ...] = ()
    prepare: Callable[[fastae.Autoencoder], None] | None = None


def scrambled(images: Images) -> Images:
    """Noise of two values."""
    return np.random.default_rng(len(images)).integers(0, 2, images.shape, dtype=np.uint8) * np.uint8(255)


def negative(images: Images) -> Images:
    return 255 - images


def like_labels(images: Images) -> Images:
    """A small number for each image, in all of its pixels."""
    return np.repeat(images.mean(axis=1, keepdims=True).astype(np.uint8) % 10, images.shape[1], axis=1)


def with_bias(layer: int, value: float) -> Callable[[fastae.Autoencoder], None]:
    """Return a function that sets all biases of one layer."""

    def prepare(model: fastae.Autoencoder) -> None:
        model.biases[layer] = np.full_like(model.biases[layer], value)

    return prepare


def alike(images: Images) -> Images:
    """The first image again and again, with a little noise."""
    noise = np.random.default_rng(len(images)).integers(0, 2, images.shape, dtype=np.uint8)
    return np.repeat(images[:1], len(images), 0) ^ noise


RUNS = [
    Run("all zero", "Pixel values are all 0", change=np.zeros_like, epochs=1),
    Run("constant data", "All images are the same", change=lambda x: np.repeat(x[:1], len(x), 0), epochs=1),
    Run("blank images", "may be labels", change=like_labels, epochs=1),
    Run("pixel scale", "largest pixel value is 1, of 255", change=lambda x: x // 255, epochs=1),
    Run("pixel scale", "multiply them by 17", change=lambda x: x // 17, epochs=1),
    Run("nearly constant data", "nearly constant", change=alike, epochs=2),
    Run("noise", "look like noise", change=scrambled),
    Run("other test images", "not of the kind of the training images", test_change=negative),
    Run("too few images", "has memorised", images=20, batch=4, epochs=100, rate=2),
    Run("identical units", "σ = 0", init=0.0),
    Run("identical units", "σ = 0", init=0.0, activation="tanh"),
    Run("saturated at the start", "σ = 1", init=1.0),
    Run("saturated at the start", "σ = 1", init=1.0, activation="tanh"),
    Run("saturated at the start", "too few updates: batch 500 makes 5 updates", init=1.0, batch=500, rate=12, epochs=5),
    Run("dead at the start", "square of 50", prepare=with_bias(1, -50), activation="relu", epochs=4),
    Run("saturated output at the start", "square of 60", prepare=with_bias(-1, -60), epochs=4),
    Run("weights too large", "20 times what the rule for relu draws", init=1.0, activation="relu", epochs=6),
    Run("a rate for a mean over pixels", "784 times too large", rate=784),
    Run("a rate for a mean over pixels", "784 times too large", rate=784, activation="tanh", layers=CONV, epochs=3),
    Run("momentum too near 1", "count 100 times", rate=1, momentum=0.99, activation="tanh", epochs=5),
    Run("dead units", "0 for all images", rate=30, activation="relu", epochs=5),
    Run("dead units", "from the start", rate=3, activation="relu", sizes=(784, 16, 8)),  # half are off at first
    Run("saturated by the updates", "30 times", rate=30, epochs=5),
    Run("saturated by the updates", "30 times", rate=30, activation="tanh", epochs=5),
    Run("rate too large", "5 times what suits", rate=5, layers=CONV, epochs=4, only=("mnist mse",)),
    Run("rate too large", "10 times what suits", rate=10, layers=CONV, epochs=3, only=("fashion mse",)),
    Run("rate too large", "3 times what suits", rate=3, layers=CONV, epochs=6, only=("mnist bce",)),
    Run("rate too large", "4 times what suits", rate=4, layers=CONV, epochs=6, only=("fashion bce",)),
    Run("saturated output", "most of them black", rate=8, layers=SHALLOW, images=300, epochs=2, only=("mnist mse",)),
    Run("saturated output", "most of them black", rate=8, layers=SHALLOW, images=300, epochs=2, only=("fashion mse",)),
    Run("too few updates", "batch 500 makes 5 updates in 5 epochs", batch=500, epochs=5),
    Run("too few updates", "batch 250 makes 4 updates", batch=250, epochs=2, activation="tanh", layers=CONV),
    Run("rate too small", "1,000 times less", rate=1e-3),
    Run("rate too small", "784 times less", rate=1 / 784, activation="relu"),
    Run("rate too small", "784 times less", rate=1 / 784, activation="tanh", layers=CONV),
    Run("weights too small", "σ = 0.001", init=0.001),
    # One component explains more of Fashion-MNIST, and with the squared error what is thrown that far dies first.
    Run("code too small", "principal component", sizes=(784, 64, 1), only=("mnist mse", "mnist bce")),
    Run("bright images", "whose pixels are 0.", change=negative, rate=0.16, epochs=9, activation="tanh"),
    Run("bright images", "whose pixels are 0.", change=negative, rate=0.16, epochs=9, activation="relu"),
    Run("same code for all images", "in 7 layers", sizes=(784, 64, 64, 64, 64, 64, 32, 32)),
    Run("still learning", "the loss fell by", rate=0.49, epochs=4, only=("mnist mse", "mnist bce", "fashion bce")),
    Run("still learning", "--epochs 15", rate=0.45, epochs=5, sizes=(784, 64, 64, 32, 16), only=("fashion mse",)),
    Run("unknown", "fit no single cause", rate=0.45, activation="tanh"),
    Run("unstable", "the loss rose in", batch=500, epochs=60, rate=3.8, near=NEAR, only=("fashion mse",)),
    Run("unstable", "the loss rose in", batch=500, epochs=80, rate=4.6, near=NEAR, only=("fashion bce",)),
    Run("unstable", "halve the rate", batch=500, epochs=100, rate=2.4, near=NEAR, only=("mnist mse",)),
    Run("unstable", "the loss rose in", batch=500, epochs=100, rate=7, near=NEAR, only=("mnist bce",)),
    Run(
        "diverged",
        "became NaN or infinite in epoch 1, batch",
        rate=1e10,
        activation="relu",
        epochs=1,
        only=("mnist bce", "fashion bce"),
    ),
]
FOLDERS = {"mnist": None, "fashion": Path(__file__).parents[1] / "data" / "fashion-mnist"}
DATA = ("mnist", "fashion")
GRID = [
    (run, data, loss)
    for run in RUNS
    for data in DATA
    for loss in LOSSES
    if f"{data} {loss}" in run.only or not run.only
]


def some_images(data: str, count: int, split: str = "train") -> Images:
    return fastae.load_dataset(FOLDERS[data], split)[0][:count]


def train(run: Run, data: str, loss: str, seed: int = 0) -> tuple[fastae.Trainer, Diagnosis | None]:
    """Train, and return what is found."""
    images, tested = some_images(data, run.images), run.test_change(some_images(data, 200, "test"))
    network: Any = {"sizes": run.sizes} if run.layers is None else {"layers": run.layers}
    model = fastae.Autoencoder(seed=seed, init=run.init, activation=run.activation, image_shape=(28, 28), **network)
    lr = run.rate * suggest(images, model, loss, 0.0, run.batch).lr  # of the images as they should be
    if run.prepare:
        run.prepare(model)
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
    """Of the data sets and losses, each run has one for `make test`, another from run to run.

    Of a cause's runs that are for one data set and one loss, the quickest has.
    """
    marked = []
    for turn, run in enumerate(RUNS):
        cases = [case for case in grid if case[0] is run]
        single = [other for other in RUNS if other.cause == run.cause and len(other.only) == 1]
        slow = run in single and run is not min(single, key=lambda run: run.images * run.epochs * len(run.near))
        for i, case in enumerate(cases):
            marks = [pytest.mark.thorough] * (slow or i != turn % len(cases))
            marked.append(pytest.param(*case, marks=marks, id=name(case)))
    return marked


@pytest.mark.parametrize(("run", "data", "loss"), some_of(GRID))
def test_the_cause_is_named_and_no_other(run: Run, data: str, loss: str) -> None:
    found = [train(run._replace(rate=run.rate * factor), data, loss)[1] for factor in run.near]
    named = [diagnosis for diagnosis in found if diagnosis is not None and diagnosis.cause == run.cause]
    assert len(named) > len(found) / 2, found
    assert any(run.told in str(diagnosis) for diagnosis in named)
    assert all(diagnosis.mend for diagnosis in named)


def test_every_cause_is_reproduced_with_each_data_set_and_each_loss() -> None:
    """Except one that the squared error does not lead to, one that only it leads to, and one of a single data set."""
    found = {(run.cause, data, loss) for run, data, loss in GRID}
    missing = {(cause.name, data, loss) for cause in CAUSES for data in DATA for loss in LOSSES} - found
    assert missing == {
        ("diverged", "mnist", "mse"),
        ("diverged", "fashion", "mse"),
        ("saturated output", "mnist", "bce"),
        ("saturated output", "fashion", "bce"),
        ("code too small", "fashion", "mse"),
        ("code too small", "fashion", "bce"),
    }


@pytest.mark.parametrize("seed", range(SEEDS))
def test_a_run_that_learns_has_no_cause(seed: int) -> None:
    activation = ("sigmoid", "tanh", "relu")[seed % 3]
    run = Run("", activation=activation, schedule=("constant", "cosine")[seed % 2], epochs=16, sizes=(784, 256, 128))
    for loss in LOSSES:
        trainer, found = train(run, DATA[seed // 2 % 2], loss, seed)
        assert found is None, found
        assert trainer.history.epochs[-1].signs


@pytest.mark.thorough
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("seed", range(2))
def test_a_convolutional_run_that_learns_has_no_cause(seed: int, loss: str) -> None:
    _, found = train(Run("", activation="tanh", layers=CONV, epochs=15), DATA[seed], loss, seed)
    assert found is None, found


# What is measured.


def short(**options: Any) -> fastae.Trainer:
    """Train for two epochs of 10 batches and an image."""
    trainer = fastae.Trainer(fastae.Autoencoder((784, 16, 8)), backend="numpy", batch_size=4, **options)
    trainer.fit(some_images("mnist", 41), 2, some_images("mnist", 20, "test"), progress=False)
    return trainer


def test_the_figures_are_those_of_the_network_and_of_the_loss() -> None:
    trainer, images = short(), some_images("mnist", 41)
    model, (_, last) = trainer.model, trainer.history.epochs
    signs = last.signs
    assert signs is not None
    z = model.reconstruct(images)
    squares = np.mean((z - images / 255) ** 2, axis=1)
    assert signs["sample_mse"] == pytest.approx(squares.mean(), rel=1e-4)
    assert signs["uneven"] == pytest.approx(squares.std() / squares.mean(), rel=1e-4)
    assert signs["output_spread"] == pytest.approx(np.sqrt(z.var(axis=0).mean()), rel=1e-4)
    hidden = model.outputs(images)[:-1]
    assert signs["flat"] == pytest.approx([np.mean((y < 0.01) | (y > 0.99)) for y in hidden], rel=1e-4)
    code = model.encode(images)
    assert signs["code_spread"] == pytest.approx(np.sqrt(code.var(axis=0).mean() / np.mean(code**2)), rel=1e-4)
    assert signs["updates"] == 10
    images_of_parts = [4] * 9 + [5]
    assert np.average(signs["parts"], weights=images_of_parts) == pytest.approx(last.train_loss, rel=1e-4)
    before = fastae.Trainer(fastae.Autoencoder((784, 16, 8)), backend="numpy", batch_size=4)
    before.fit(images, 1, progress=False)
    moved = [np.linalg.norm(W - V) / np.linalg.norm(V) for W, V in zip(model.weights, before.model.weights)]
    assert signs["moved"] == pytest.approx(moved, rel=1e-4)


def test_units_that_are_off_are_counted_by_channel() -> None:
    model = fastae.Autoencoder(layers=CONV, activation="relu")
    model.biases[0][1] = -1e3
    x = some_images("mnist", 30)
    found = measure.signs(model.layers, "relu", model.weights, model.biases, x)
    assert found["flat"][0] == 0.25


def test_the_parts_do_not_depend_on_how_often_the_clock_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = [epoch.signs for epoch in short().history.epochs]
    monkeypatch.setattr(module, "CHECK_SECONDS", 0.0)
    assert [epoch.signs for epoch in short().history.epochs] == usual


def test_noise_has_no_principal_components() -> None:
    noise = scrambled(np.zeros((300, 784), np.uint8))
    found = measure.facts(noise, None, 8)
    assert found["explained"] == pytest.approx(found["components"] / 784, rel=0.05)
    assert found["in_room"] == pytest.approx(8 / 784, rel=0.3)
    assert measure.facts(some_images("mnist", 300), None, 8)["in_room"] > 0.3


# Where a run is read from.


def test_a_history_is_diagnosed_as_its_trainer_is(tmp_path: Path) -> None:
    trainer, found = train(Run("", init=1.0, epochs=1), "mnist", "mse")
    assert found is not None
    assert found.others == ("too few updates",)
    history = {"config": trainer.settings(), "start": trainer.history.start, "epochs": trainer.history.as_dicts()}
    assert fastae.diagnose(history) == found
    path = tmp_path / "history.json"
    path.write_text(json.dumps(history), encoding="utf-8")
    assert fastae.diagnose(path) == fastae.diagnose(str(path)) == found


def test_a_history_of_an_older_release_has_no_figures() -> None:
    trainer, _ = train(Run("", init=1.0, images=32, epochs=1), "mnist", "mse")
    old = [{name: x for name, x in epoch.items() if name != "signs"} for epoch in trainer.history.as_dicts()]
    assert fastae.diagnose({"config": trainer.settings(), "epochs": old}) is None


@pytest.mark.parametrize("nothing", [None, 3, {}, {"epochs": []}, "/nowhere/history.json", Path(__file__)], ids=str)
def test_what_is_no_history_is_refused(nothing: Any) -> None:
    with pytest.raises(InputError, match=r"history\.json"):
        fastae.diagnose(nothing)


def test_the_command_shows_the_figures_and_keeps_the_cause(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("--data", data, "--out", tmp_path, "--init", 1, "--epochs", 2, "--verbose") == 0
    lines = capsys.readouterr().out.splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("data: 64 images of 784 pixels, of which"))
    assert lines[first + 1].startswith("before the first update: saturated ")
    assert [line.split(":")[0] for line in lines[first + 2 : first + 4]] == ["epoch 1", "epoch 2"]
    (told,) = [line for line in lines if "To fix it" in line]
    assert "Saturated before the first update" in told
    found = history_of(tmp_path)["diagnosis"]
    assert found["cause"] == "saturated at the start"
    assert found["sentence"] in told
    assert command("--data", data, "--out", tmp_path, "--init", 1, "--epochs", 3, "--resume", "--verbose") == 0
    assert "epoch 3: loss" in capsys.readouterr().out
    assert [bool(epoch["signs"]) for epoch in history_of(tmp_path)["epochs"]] == [True] * 3


def command(*options: Any) -> int:
    """Run ``fastae train`` on 64 images."""
    return cli.main(["train", "--backend", "numpy", "--limit", "64", *map(str, options)])
