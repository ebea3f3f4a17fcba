"""The learning rate that is chosen from the data: the rule, where it is shown, and that training at it is stable."""

import itertools
import tracemalloc
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import arrays_of, history_of, refusal, train

import fastae
from fastae import rates
from fastae.rates import RATES, suggest

FASHION = Path(__file__).parents[1] / "data" / "fashion-mnist"
SETS = ("MNIST", "Fashion-MNIST", "inverted")
NETWORKS: dict[str, dict[str, Any]] = {
    "dense": {},
    "conv": {
        "layers": [fastae.Conv2d(16, stride=2), fastae.Conv2d(32, stride=2), fastae.Dense(128)],
        "activation": "tanh",
    },
}
OTHERS: dict[str, dict[str, Any]] = {
    "wide": {"sizes": (784, 1024, 256)},
    "stride 1": {"layers": [fastae.Conv2d(8), fastae.Dense(32)], "activation": "tanh"},
}
RATE = {  # of both losses, by the first 2,000 images
    ("dense", "MNIST"): (0.25, 0.05),
    ("dense", "Fashion-MNIST"): (0.1, 0.021),
    ("dense", "inverted"): (0.035, 0.0069),
    ("conv", "MNIST"): (0.02, 0.004),
    ("conv", "Fashion-MNIST"): (0.0082, 0.0016),
    ("conv", "inverted"): (0.0028, 0.00056),
}
QUICK = [("dense", "Fashion-MNIST", "mse"), ("dense", "inverted", "mse")]


def images_of(name: str, split: str = "train", n: int = 2000) -> np.ndarray:
    images, _ = fastae.load_dataset(FASHION if name == "Fashion-MNIST" else None, split)
    return 255 - images[:n] if name == "inverted" else images[:n]


def trained(network: str, name: str, loss: str, backend: str, lr: Any = "auto") -> tuple[float, np.ndarray]:
    """Train for three epochs; return the learning rate, and the test error after each as a part of the mean image's."""
    images, tested = images_of(name), images_of(name, "test", 500)
    model = fastae.Autoencoder(dtype="float64", image_shape=(28, 28), **(NETWORKS | OTHERS)[network])
    trainer = fastae.Trainer(model, loss, fastae.SGD(lr), backend)
    history = trainer.fit(images, 3, tested, progress=False)
    mean_image = np.mean((images.mean(axis=0) - tested) ** 2) / 255**2
    return trainer.optimizer.lr, np.array([epoch.test_mse for epoch in history.epochs]) / mean_image


# Training at it.


@pytest.mark.parametrize(
    ("network", "name", "loss"),
    [
        pytest.param(*case, marks=[pytest.mark.thorough] * (case not in QUICK))
        for case in itertools.product(NETWORKS, SETS, ("mse", "bce"))
    ],
)
def test_two_backends_agree_at_the_default_and_learn(network: str, name: str, loss: str) -> None:
    """In float64, at a constant rate; and they are better than the mean image, by a third where images are dark.

    An epoch teaches less of what is inverted, since its rate is a seventh.
    """
    (lr, one), (other_lr, other) = (trained(network, name, loss, backend) for backend in ("numpy", "numba"))
    assert lr == other_lr == RATE[network, name][loss == "bce"]
    np.testing.assert_allclose(other, one, rtol=1e-6)
    assert one[-1] < (0.97 if name == "inverted" else 0.67)


@pytest.mark.thorough
def test_at_the_rate_of_mnist_fashion_mnist_is_chaotic() -> None:
    """The test above would fail with the earlier default."""
    one, other = (trained("dense", "Fashion-MNIST", "mse", backend, 0.25)[1] for backend in ("numpy", "numba"))
    assert np.max(np.abs(other / one - 1)) > 1e-4


@pytest.mark.thorough
@pytest.mark.parametrize(("network", "name", "usual"), [("wide", "MNIST", 0.25), ("stride 1", "Fashion-MNIST", 0.0082)])
def test_wide_layers_and_many_patches_get_a_smaller_rate_than_the_chaotic_one(
    network: str, name: str, usual: float
) -> None:
    """``usual`` is the rate of the usual network for these images."""
    (lr, one), (_, other) = (trained(network, name, "mse", backend) for backend in ("numpy", "numba"))
    assert lr < usual / 3
    np.testing.assert_allclose(other, one, rtol=1e-6)
    one, other = (trained(network, name, "mse", backend, usual)[1] for backend in ("numpy", "numba"))
    assert np.max(np.abs(other / one - 1)) > 1e-5


# The rule.


def test_it_is_found_in_whole_numbers() -> None:
    images = np.random.default_rng(0).integers(0, 256, (97, 20)).astype(np.uint8)
    found = suggest(images, fastae.Autoencoder((20, 3)))
    pixels = [[Fraction(int(p), 255) for p in image] for image in images]
    mean = [sum(column) / 97 for column in zip(*pixels)]
    assert found.square == float(sum(p * p for image in pixels for p in image) / 97)
    assert found.grey == float(sum(p * (1 - p) for p in mean) / 20)
    assert found.steepness == pytest.approx(found.square * found.grey**0.5)
    order = np.random.default_rng(1).permutation(97)
    for same in (images[order], np.asfortranarray(images), np.repeat(images, 2, axis=1)[:, ::2]):
        assert suggest(same, fastae.Autoencoder((20, 3))) == found


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu"])
@pytest.mark.parametrize("loss", ["mse", "bce"])
def test_mnist_and_what_is_darker_have_the_rates_of_the_table(network: str, activation: str, loss: str) -> None:
    images = images_of("MNIST", n=60_000)
    model = fastae.Autoencoder(**NETWORKS[network] | {"activation": activation})
    usual = RATES[network][activation][loss]
    for some in (images, images[:64], images[1000:1200], images // 2, 0 * images[:1], 0 * images[:9] + 255):
        assert suggest(some, model, loss).lr == usual


def test_what_else_it_depends_on() -> None:
    model = fastae.Autoencoder()
    fashion, inverted = images_of("Fashion-MNIST"), images_of("inverted")
    assert suggest(fashion, model).lr == pytest.approx(0.25 * rates.STEEP / suggest(fashion, model).steepness, rel=0.05)
    assert suggest(inverted, model).lr < suggest(fashion, model).lr
    dark = images_of("MNIST")
    assert [suggest(dark, model, batch_size=m).lr for m in (1, 2, 4, 9, 16, 60_000)] == [
        0.062, 0.088, 0.12, 0.19, 0.25, 0.25,
    ]  # fmt: skip
    assert suggest(dark, model, momentum=0.9).lr == 0.025


def test_the_rate_falls_with_the_units_of_a_wide_layer_and_with_the_patches() -> None:
    images = images_of("MNIST", n=60_000)

    def lr(loss: str = "mse", **network: Any) -> float:
        return suggest(images, fastae.Autoencoder(image_shape=(28, 28), **network), loss).lr

    assert [lr(sizes=(784, n, 32)) for n in (32, 256, 512, 1024, 2048)] == [0.25, 0.25, 0.13, 0.066, 0.033]
    assert lr(sizes=(784, 128, 1024)) == 0.066  # the widest, wherever it is
    assert lr(sizes=(784, 1024), loss="bce") == RATES["dense"]["sigmoid"]["bce"]
    assert lr(sizes=(784, 1024), activation="tanh") == RATES["dense"]["tanh"]["mse"]
    layers = [[fastae.Conv2d(4, stride=stride), fastae.Dense(8)] for stride in (1, 2, 4)]
    assert [lr(layers=some, activation="tanh") for some in layers] == [0.0052, 0.02, 0.02]
    assert lr(layers=[fastae.Conv2d(1, stride=2), fastae.Dense(900)]) == RATES["conv"]["sigmoid"]["mse"]


def test_the_reason_names_what_the_network_adds() -> None:
    images, wide = images_of("MNIST"), fastae.Autoencoder((784, 1024, 256))
    assert suggest(images, wide).reason.startswith("from the data and a layer of 1,024 units (mean ||x||^2 ")
    assert suggest(255 - images, wide).lr < suggest(255 - images, fastae.Autoencoder()).lr
    conv = fastae.Autoencoder(layers=[fastae.Conv2d(4), fastae.Dense(8)], image_shape=(28, 28))
    assert suggest(images, conv).reason.startswith("from the data and a convolution of 784 patches (")
    assert suggest(images, fastae.Autoencoder()).reason.startswith("from the data (")


def test_a_few_thousand_of_many_images_stand_for_all() -> None:
    """Without a copy: of 47 MB of images less than 0.5 MB is allocated."""
    images = images_of("MNIST", n=60_000)
    model = fastae.Autoencoder()
    tracemalloc.start()
    try:
        found = suggest(images, model)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 500_000
    assert found.square == pytest.approx(float(np.mean(np.square(images, dtype=np.float32))) * 784 / 255**2, rel=0.01)


# In Python.


def test_a_trainer_finds_it_at_its_first_fit(tmp_path: Path) -> None:
    fashion, model = images_of("Fashion-MNIST", n=100), fastae.Autoencoder()
    trainer = fastae.Trainer(model, "bce", backend="numpy", batch_size=50)
    assert (trainer.optimizer.lr, trainer.suggestion) == ("auto", None)
    with pytest.raises(fastae.errors.InputError, match="no value before a trainer's first fit"):
        trainer.optimizer.rate(0, 1)
    trainer.fit(fashion, 1, progress=False)
    assert trainer.suggestion == suggest(fashion, model, "bce")
    lr = trainer.suggestion.lr
    assert trainer.optimizer.lr == trainer.history.epochs[0].lr == trainer.settings()["lr"] == lr < 0.05
    trainer.fit(images_of("MNIST", n=100), 1, progress=False)
    assert trainer.history.epochs[1].lr == lr

    trainer.save(tmp_path / "checkpoint.npz")
    other = fastae.Trainer(fastae.Autoencoder(), "bce", backend="numpy", batch_size=50)
    other.resume(tmp_path / "checkpoint.npz")
    assert (other.optimizer.lr, other.suggestion) == (lr, None)
    other.fit(images_of("MNIST", n=100), 1, progress=False)
    assert other.history.epochs[2].lr == lr


def test_a_rate_that_is_named_is_kept() -> None:
    assert fastae.SGD().lr == 0.25
    trainer = fastae.Trainer(fastae.Autoencoder(), optimizer=fastae.SGD(), backend="numpy")
    trainer.fit(images_of("inverted", n=32), 1, progress=False)
    assert (trainer.optimizer.lr, trainer.suggestion) == (0.25, None)


# On the command line.


@pytest.mark.usefixtures("no_pictures")
def test_the_command_tells_it_and_keeps_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(FASHION, "--out", tmp_path / "usual") == 0
    line = capsys.readouterr().out.splitlines()[0]
    config = history_of(tmp_path / "usual")["config"]
    assert line == f"learning rate {config['lr']:g}: {config['lr_from']}; --lr sets another"
    assert config["lr"] == history_of(tmp_path / "usual")["epochs"][0]["lr"] == 0.1
    assert config["lr_from"].startswith("from the data (mean ||x||^2 164, greyness 0.16; ")

    assert train(FASHION, "--out", tmp_path / "given", "--lr", config["lr"]) == 0
    assert "learning rate" not in capsys.readouterr().out
    given = history_of(tmp_path / "given")["config"]
    assert given == {**config, "lr_from": "--lr"}
    assert arrays_of(tmp_path / "given" / "model.npz") == arrays_of(tmp_path / "usual" / "model.npz")


@pytest.mark.usefixtures("no_pictures")
def test_a_resumed_run_keeps_the_rate_of_its_checkpoint(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as one of a version with another rule."""
    with monkeypatch.context() as another:
        another.setattr(rates, "STEEP", 1e9)
        assert train(FASHION, "--out", tmp_path) == 0
        assert history_of(tmp_path)["config"]["lr"] == 0.25
    capsys.readouterr()
    assert train(FASHION, "--out", tmp_path, "--resume", "--epochs", 2) == 0
    told = "from the checkpoint; the data suggest 0.1 now"
    assert capsys.readouterr().out.startswith(f"learning rate 0.25: {told}; --lr sets another\n")
    history = history_of(tmp_path)
    assert [epoch["lr"] for epoch in history["epochs"]] == [0.25, 0.25]
    assert (history["config"]["lr"], history["config"]["lr_from"]) == (0.25, told)
    assert "lr 0.25, not 0.1" in refusal(capsys, tmp_path, FASHION, "--resume", "--epochs", 3, "--lr", 0.1)
