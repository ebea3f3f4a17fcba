"""What the tests of the command line share: a folder of a few images, a training into a folder, and what is in it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from idx_files import IMAGES, LABELS, TEST_IMAGES, TEST_LABELS, encode

import fastae
from fastae import cli, terminal

TRAIN_PY = Path(__file__).parents[2] / "examples" / "train.py"
RESULTS = {"checkpoint.npz", "history.json", "loss.png", "model.npz", "reconstructions.png"}
INKED = set(terminal.QUADRANTS) - {" "}
TIMINGS = ("seconds", "images_per_second")

posix = pytest.mark.skipif(os.name != "posix", reason="signals and terminals as POSIX has them")


def fill(folder: Path, train: int, test: int, first: int = 0) -> Path:
    """Write so many of MNIST's images as a folder of IDX files."""
    folder.mkdir(exist_ok=True)
    for split, names, count in (("train", (IMAGES, LABELS), train), ("test", (TEST_IMAGES, TEST_LABELS), test)):
        images, labels = fastae.load_dataset(split=split)
        (folder / names[0]).write_bytes(encode(images[first : first + count].reshape(-1, 28, 28)))
        (folder / names[1]).write_bytes(encode(labels[first : first + count]))
    return folder


def main(*arguments: Any) -> int:
    """Run a command; return its exit status, which argparse raises."""
    try:
        return cli.main([str(argument) for argument in arguments])
    except SystemExit as stop:
        return int(stop.code or 0)


def refused(capture: pytest.CaptureFixture[str], *arguments: Any) -> str:
    """Run a command that must be refused, and return the one line that says so."""
    capture.readouterr()
    status = main(*arguments)
    error = capture.readouterr().err
    assert status == 2, error
    assert is_one_line(error), error
    return error


def train(data: Path | None, *options: Any, backend: str = "numpy") -> int:
    """Run ``fastae train`` on 64 images for one epoch, unless the options say otherwise, and return its exit status.

    At a constant rate, so that one epoch and then another are the same as two.
    """
    given = [] if data is None else ["--data", data]
    usual = ["--limit", 64, "--epochs", 1, "--schedule", "constant"]
    return main("train", "--backend", backend, *given, *usual, *options)


def snapshot(folder: Path) -> dict[str, bytes]:
    """Every file below the folder, with what it holds."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def is_one_line(text: str) -> bool:
    return text.endswith("\n") and text.count("\n") == 1 and len(text) > 1 and "Traceback" not in text


def history_of(out: Path) -> dict[str, Any]:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads((out / "history.json").read_text(), parse_constant=refuse)


def untimed(out: Path) -> list[dict[str, Any]]:
    """The epochs of history.json without what depends on the clock."""
    return [{k: v for k, v in epoch.items() if k not in TIMINGS} for epoch in history_of(out)["epochs"]]


def arrays_of(path: Path) -> dict[str, bytes]:
    """The arrays of a model or checkpoint, without its configuration, whose epochs hold timings."""
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name].tobytes() for name in file.files if name not in ("config", "sha256")}


def assert_same_bits(one: Path, other: Path) -> None:
    """The same parameters and velocities bit for bit, and the same history."""
    assert arrays_of(one / "checkpoint.npz") == arrays_of(other / "checkpoint.npz")
    assert arrays_of(one / "model.npz") == arrays_of(other / "model.npz")
    assert untimed(one) == untimed(other)


def assert_same_training(one: Path, other: Path) -> None:
    """The same bits, of the same settings."""
    assert_same_bits(one, other)
    assert history_of(one)["config"] == history_of(other)["config"]


def start(*options: Any, script: list[str] | None = None, **more: Any) -> subprocess.Popen[str]:
    command = [sys.executable, *(script or [str(TRAIN_PY)]), *(str(option) for option in options)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | more
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, text=True, **pipes)


def refusal(capsys: pytest.CaptureFixture[str], out: Path, data: Path | None, *options: Any) -> str:
    """Run a training into ``out`` that must be refused, and return the line that it ends with."""
    before = snapshot(out)
    capsys.readouterr()
    status = train(data, "--out", out, *options)
    stdout, stderr = capsys.readouterr()
    assert status == 2
    assert is_one_line(stderr), stderr
    assert stderr.startswith("fastae")
    assert stdout == ""
    assert snapshot(out) == before
    return stderr


def shell(
    *arguments: object, cwd: Path, redirected: str = "", **environment: str
) -> "subprocess.CompletedProcess[bytes]":
    """Run a command as a shell does, with redirections behind it."""
    command = [sys.executable, "-m", "fastae", *map(str, arguments)]
    kept = {key: x for key, x in os.environ.items() if key != "PYTHONUNBUFFERED"}
    paths = os.pathsep.join([str(Path(cli.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    if redirected:
        command = ["bash", "-c", f'set -o pipefail; "$@" {redirected}', "bash", *command]
    return subprocess.run(
        command, capture_output=True, cwd=cwd, env=kept | {"PYTHONPATH": paths} | environment, timeout=300
    )
