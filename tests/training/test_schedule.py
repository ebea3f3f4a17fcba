"""The schedule of the learning rate: each epoch's rate on every backend, captured once, and after a resumption."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import train
from step_by_hand import images

import fastae
from fastae.errors import InputError

BACKENDS = ("numpy", "numba", "emulator")
RATES = [0.1, 0.1 * (1 + math.cos(math.pi / 3)) / 2, 0.1 * (1 + math.cos(2 * math.pi / 3)) / 2]


def make(backend: str = "numpy", schedule: str = "cosine", **options: Any) -> fastae.Trainer:
    optimizer = fastae.SGD(0.1, 0.9, schedule)
    return fastae.Trainer(fastae.Autoencoder((37, 20, 9)), "mse", optimizer, backend, 16, **options)


def bits(trainer: fastae.Trainer) -> list[bytes]:
    return [array.tobytes() for array in trainer.model.weights + trainer.model.biases]


def test_each_epoch_has_the_rate_of_its_schedule() -> None:
    constant, cosine = fastae.SGD(0.1), fastae.SGD(0.1, schedule="cosine")
    assert [constant.rate(e, 3) for e in range(3)] == [0.1] * 3
    assert [cosine.rate(e, 3) for e in range(3)] == pytest.approx(RATES, rel=1e-15)
    assert pytest.approx([0.1, 0.075, 0.025]) == RATES
    assert cosine.rate(0, 1) == 0.1
    assert 0 < cosine.rate(999_999, 1_000_000) < 1e-12
    with pytest.raises(InputError, match="unknown schedule 'linear'; the schedules are: constant, cosine"):
        fastae.SGD(schedule="linear")


@pytest.mark.parametrize("backend", BACKENDS)
def test_each_epoch_has_its_rate(backend: str) -> None:
    """A training by hand, with a session whose rate is set, ends in the same bits."""
    data, trainer = images(37, 70), make(backend)
    history = trainer.fit(data, 3, progress=False)
    assert [epoch.lr for epoch in history.epochs] == pytest.approx(RATES, rel=1e-15)
    assert trainer.planned == 3
    fresh = make(backend, "constant")
    session = fresh.session(data)
    for e, lr in enumerate(RATES):
        session.set_rate(lr, 0.9)
        session.start(fresh.order(e, 70))
        session.run(4)
        session.finish()
    found = session.read()
    assert [p.tobytes() for p in found.W + found.b] == bits(trainer)
    constant = make(backend, "constant")
    constant.fit(data, 3, progress=False)
    assert bits(constant) != bits(trainer)
    assert [epoch.lr for epoch in constant.history.epochs] == [0.1] * 3


def test_nothing_is_captured_again(monkeypatch: pytest.MonkeyPatch) -> None:
    trainer, sessions = make("emulator"), []
    session_of = trainer.session
    monkeypatch.setattr(trainer, "session", lambda *a: sessions.append(session_of(*a)) or sessions[-1])
    seen = []
    trainer.fit(images(37, 70), 3, progress=False, on_epoch=lambda t: seen.append(dict(sessions[0].graphs)))
    assert seen[0] == seen[1] == seen[2] != {}


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_resumed_training_has_the_bits_of_its_plan(backend: str, tmp_path: Path) -> None:
    data, path = images(37, 70), tmp_path / "checkpoint.npz"
    whole = make(backend)

    def keep(trainer: fastae.Trainer) -> None:
        if len(trainer.history.epochs) == 1:
            trainer.save(path)

    whole.fit(data, 3, progress=False, on_epoch=keep)
    resumed = make(backend)
    resumed.resume(path)
    assert resumed.planned == 3
    resumed.fit(data, 2, progress=False)
    assert bits(resumed) == bits(whole)
    assert [epoch.lr for epoch in resumed.history.epochs] == [epoch.lr for epoch in whole.history.epochs]
    other = make(backend)
    other.resume(path)
    other.fit(data, 3, progress=False)
    assert bits(other) != bits(whole)
    assert other.history.epochs[-1].lr == pytest.approx(fastae.SGD(0.1, schedule="cosine").rate(3, 4))


@pytest.mark.usefixtures("no_pictures")
def test_the_command_says_what_another_number_of_epochs_changes(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rates = []
    for options in (["--epochs", 2], ["--epochs", 2, "--resume"], ["--epochs", 4, "--resume"]):
        assert train(data, "--out", tmp_path, "--schedule", "cosine", *options) == 0
        told = capsys.readouterr().out
        assert ("epochs 1 to 2 had the learning rates of a training of 2; from here on" in told) == (4 in options)
        history = json.loads((tmp_path / "history.json").read_text())
        assert history["config"]["schedule"] == "cosine"
        rates.append([epoch["lr"] for epoch in history["epochs"]])
    assert rates[0] == rates[1] == pytest.approx([0.25, 0.125])
    assert rates[2] == pytest.approx([0.25, 0.125, 0.125, 0.25 * (1 - math.sqrt(0.5)) / 2])
    assert np.all(np.diff(rates[2]) <= 1e-12)


@pytest.mark.usefixtures("no_pictures")
def test_the_command_has_a_cosine_unless_told(data: Path, tmp_path: Path) -> None:
    from fastae import cli

    options = ["--backend", "numpy", "--data", str(data), "--limit", "64", "--epochs", "3", "--out", str(tmp_path)]
    assert cli.main(["train", *options]) == 0
    epochs = json.loads((tmp_path / "history.json").read_text())["epochs"]
    assert [epoch["lr"] for epoch in epochs] == pytest.approx([0.25, 0.1875, 0.0625])
    assert train(data, "--schedule", "linear") == 2
