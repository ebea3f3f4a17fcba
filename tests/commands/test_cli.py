"""The command line: what it writes, and what it shows on a terminal."""

import os
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import INKED, RESULTS, arrays_of, history_of, is_one_line, posix, snapshot, start, train

import fastae
from fastae import backends, cli, storage, terminal
from fastae.backends import Availability
from fastae.commands import train as train_command

# Divergence.


@pytest.mark.usefixtures("no_pictures")
def test_a_training_that_diverges_says_where_and_keeps_the_last_good_checkpoint(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--lr", 1e38, "--momentum", 0.9]
    assert train(data, "--out", tmp_path / "all", "--epochs", 30, *options) == 2
    stdout, stderr = capsys.readouterr()
    assert is_one_line(stderr)
    assert stdout == ""
    found = re.search(r"NaN or infinite in epoch (\d+), batch (\d+)\. .*To fix it: --lr 0\.\d+", stderr)
    assert found
    epoch, batch = map(int, found.groups())
    assert 2 <= epoch <= 30
    assert 1 <= batch <= 4
    assert set(snapshot(tmp_path / "all")) == {"checkpoint.npz"}
    assert len(storage.read(tmp_path / "all" / "checkpoint.npz", "checkpoint")[0]["epochs"]) == epoch - 1

    assert train(data, "--out", tmp_path / "good", "--epochs", epoch - 1, *options) == 0
    good = arrays_of(tmp_path / "good" / "checkpoint.npz")
    assert good == arrays_of(tmp_path / "all" / "checkpoint.npz")
    with np.load(tmp_path / "good" / "model.npz") as file:
        assert all(np.isfinite(file[name]).all() for name in file.files)


# What is written.

RATE_FROM = "from the data (mean ||x||^2 84.8, greyness 0.082; MNIST 87.8 and 0.086)"


def test_a_training_leaves_its_results_and_nothing_else(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "a" / "new" / "folder"
    assert train(data, "--out", out, "--epochs", 2, "--seed", 5, "--batch-size", 10) == 0
    stdout, stderr = capsys.readouterr()
    assert stderr == ""
    assert set(snapshot(out)) == RESULTS
    assert not [path for path in out.iterdir() if path.name.startswith(".")]
    for name in ("loss.png", "reconstructions.png"):
        assert (out / name).read_bytes().startswith(b"\x89PNG\r\n\x1a\n")

    history = history_of(out)
    assert list(history) == ["config", "start", "epochs", "diagnosis"]
    for images in ("images", "test_images"):
        assert re.fullmatch(r"64 with checksum [0-9a-f]{8}", history["config"].pop(images))
    assert history["config"] == {
        "sizes": [784, 256, 128],
        "layers": [{"Dense": [256]}, {"Dense": [128]}],
        "activation": "sigmoid",
        "image_shape": [28, 28],
        "init": "glorot-sigmoid",
        "model_seed": 5,
        "dtype": "float32",
        "loss": "mse",
        "lr": 0.2,
        "momentum": 0.0,
        "schedule": "constant",
        "batch_size": 10,
        "seed": 5,
        "backend": "numpy",
        "tf32": False,
        "shards": None,
        "kernels": None,
        "lr_from": RATE_FROM,
        "epochs": 2,
        "data": str(data),
        "transpose": False,
        "limit": 64,
        "threads": 1,
        "ranks": {"number": 1, "hosts": [], "way": "alone"},
        "version": fastae.__version__,
    }
    assert [epoch["epoch"] for epoch in history["epochs"]] == [1, 2]
    for epoch in history["epochs"]:
        assert list(epoch) == ["epoch", "train_loss", "test_mse", "seconds", "images_per_second", "lr", "signs"]
        assert all(type(epoch[key]) is float and epoch[key] > 0 for key in list(epoch)[1:-1])
        assert epoch["images_per_second"] == pytest.approx(64 / epoch["seconds"])

    model = fastae.Autoencoder.load(out / "model.npz")
    tested = fastae.load_dataset(data, "test")[0][:64]
    error = float(np.mean((model.reconstruct(tested).astype(float) - tested / 255) ** 2))
    assert history["epochs"][-1]["test_mse"] == pytest.approx(error, rel=1e-5)
    assert f"test error {error:.4f} a pixel" in stdout
    in_checkpoint = arrays_of(out / "checkpoint.npz")
    assert all(in_checkpoint[name] == array for name, array in arrays_of(out / "model.npz").items())


@pytest.mark.usefixtures("no_pictures")
def test_the_options_are_those_of_the_library(data: Path, tmp_path: Path) -> None:
    """A run equals what its options say in Python; --limit takes the first images, and no more than there are."""
    options = "--loss bce --lr 0.125 --momentum 0.5 --batch-size 7 --init 0.25 --dtype float64 --seed 3 --limit 150"
    assert train(data, "--out", tmp_path, "--epochs", 2, *options.split()) == 0
    (images, _), (tested, _) = fastae.load_dataset(data), fastae.load_dataset(data, "test")
    assert (len(images), len(tested)) == (320, 100)
    model = fastae.Autoencoder((784, 256, 128), seed=3, dtype="float64", init=0.25)
    trainer = fastae.Trainer(model, "bce", fastae.SGD(0.125, 0.5), "numpy", batch_size=7, seed=3)
    trainer.fit(images[:150], 2, tested, progress=False)  # of test images there are but 100

    saved = fastae.Autoencoder.load(tmp_path / "model.npz")
    assert saved.init == 0.25
    for found, expected in zip(saved.weights + saved.biases, model.weights + model.biases):
        assert found.dtype == np.float64
        assert np.array_equal(found, expected)
    assert [(e["train_loss"], e["test_mse"]) for e in history_of(tmp_path)["epochs"]] == [
        (e.train_loss, e.test_mse) for e in trainer.history.epochs
    ]


@pytest.mark.usefixtures("no_pictures")
def test_a_limit_beyond_the_data_is_no_limit(data: Path, tmp_path: Path) -> None:
    assert train(data, "--out", tmp_path / "all", "--limit", 320) == 0
    assert train(data, "--out", tmp_path / "more", "--limit", 10**9) == 0
    assert arrays_of(tmp_path / "all" / "model.npz") == arrays_of(tmp_path / "more" / "model.npz")
    assert "320 with" in history_of(tmp_path / "more")["config"]["images"]


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize(("loss", "lr"), [("mse", 0.25), ("bce", 0.05)])
def test_the_loss_sets_the_learning_rate_and_the_folder(
    loss: str, lr: float, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert train(data, "--loss", loss) == 0
    config = history_of(tmp_path / "runs" / f"{loss}-numpy")["config"]
    assert (config["loss"], config["lr"]) == (loss, lr)


@pytest.mark.usefixtures("no_pictures")
def test_auto_is_numba_where_no_gpu_works(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    probe = backends._probe
    monkeypatch.setattr(backends, "_probe", lambda name: Availability(False) if name == "cupy" else probe(name))
    monkeypatch.chdir(tmp_path)
    assert train(data, backend="auto") == 0
    assert history_of(tmp_path / "runs" / "mse-numba")["config"]["backend"] == "numba"


def test_the_defaults_are_those_of_the_design() -> None:
    given = vars(cli.parser(["train"]).parse_args(["train"]))
    options = {name: value for name, value in given.items() if value is not None}
    assert options.pop("run") is train_command.run
    assert options == {
        "command": "train",
        "model": "dense",
        "backend": "auto",
        "loss": "mse",
        "epochs": 20,
        "batch_size": 16,
        "momentum": 0.0,
        "schedule": "cosine",
        "dtype": "float32",
        "seed": 0,
        "distributed": "auto",
        "patience": 30.0,
        "resume": False,
        "no_progress": False,
        "tf32": False,
        "transpose": False,
        "verbose": False,
    }


def test_help_names_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(["train", "--help"])
    assert stop.value.code == 0
    told = capsys.readouterr().out
    listed = set(re.findall(r"--[a-z-]+", told))
    pinned = "backend loss epochs batch-size lr momentum init dtype seed threads data limit out resume no-progress"
    assert listed >= {f"--{name}" for name in [*pinned.split(), "model", "sizes", "channels", "code", "activation"]}
    told = " ".join(told.split())
    assert "(default: dense)" in told
    assert "sigmoid for dense, tanh for conv" in told


def test_a_network_that_knows_only_the_mean_image_is_called_a_blob(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(data, "--out", tmp_path) == 0
    stdout = capsys.readouterr().out
    assert "Too few updates: batch 16 makes 4 updates in 1 epoch" in stdout
    assert history_of(tmp_path)["diagnosis"]["cause"] == "too few updates"
    lines = stdout.splitlines()
    assert lines[0].startswith("learning rate 0.25: from the data (mean ||x||^2 84.8, ")
    assert lines[1].startswith("squared error, 1 epoch of 64 images, batch size 16, numpy: test error 0.")
    assert lines[-1] == f"see {tmp_path}/reconstructions.png, loss.png, history.json and model.npz"
    assert "parameters" not in stdout  # which are told of other networks than the handout's


def test_a_network_that_learns_is_not_called_a_blob(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(data, "--out", tmp_path, "--loss", "bce", "--batch-size", 1, "--epochs", 8) == 0
    stdout = capsys.readouterr().out
    assert "cross-entropy, 8 epochs" in stdout
    assert "To fix it" not in stdout
    assert history_of(tmp_path)["diagnosis"] is None


# A terminal.


def on_a_terminal(*options: Any, **environment: str) -> tuple[int, str]:
    """Run the script on a pseudo-terminal; return its exit status and what a screen would have been sent."""
    import fcntl
    import pty
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    clean = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "LINES")}
    process = start(
        *options, stdout=theirs, stderr=theirs, env=clean | {"PYTHONIOENCODING": "utf-8", "TERM": "xterm"} | environment
    )
    os.close(theirs)

    def read() -> Iterator[bytes]:
        try:
            while piece := os.read(ours, 65536):
                yield piece
        except OSError:  # Linux says so when the other end is closed
            pass

    try:
        screen = b"".join(read()).decode("utf-8")
        return process.wait(60), screen
    finally:
        process.kill()
        process.wait()
        os.close(ours)


@posix
def test_a_terminal_is_shown_progress_and_digits(data: Path, tmp_path: Path) -> None:
    status, screen = on_a_terminal(
        "--backend", "numpy", "--data", data, "--limit", 64, "--epochs", 2, "--out", tmp_path
    )
    assert status == 0
    bars = [line for line in re.split(r"[\r\n]+", screen) if line.startswith("epoch ")]
    assert any(line.startswith("epoch 1/2") for line in bars)
    assert any(line.startswith("epoch 2/2") and "100%" in line for line in bars)
    losses = re.findall(r"loss ([\d.]+)", bars[-1])
    assert float(losses[-1]) == pytest.approx(history_of(tmp_path)["epochs"][-1]["train_loss"], abs=1e-4)
    pictures = screen[screen.index("original") : screen.index("squared error, 2 epochs")]
    assert "reconstruction" in pictures
    assert len(INKED & set(pictures)) > 5
    assert not INKED & set(screen[screen.index("squared error, 2 epochs") :])


@posix
def test_a_terminal_that_cannot_show_blocks_is_shown_ascii_and_no_bar_if_none_is_wanted(
    data: Path, tmp_path: Path
) -> None:
    status, screen = on_a_terminal(
        "--backend", "numpy", "--data", data, "--limit", 64, "--epochs", 1, "--out", tmp_path, "--no-progress",
        PYTHONIOENCODING="ascii",
    )  # fmt: skip
    assert status == 0
    assert screen.isascii()
    assert "epoch 1/1" not in screen
    assert screen.startswith("learning rate 0.25: from the data")
    assert screen.splitlines()[1].startswith("original")
    assert set(terminal.SHADES) <= set(screen)
