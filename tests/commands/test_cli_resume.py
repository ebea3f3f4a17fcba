"""The command line: an interrupted training resumes and ends in the same bits."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import (
    RESULTS,
    assert_same_training,
    fill,
    history_of,
    posix,
    refusal,
    snapshot,
    start,
    train,
    untimed,
)
from sampling import sample

import fastae
from fastae import cli, storage


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize("momentum", [0, 0.9])
@pytest.mark.parametrize(
    ("backend", "network"), [("numpy", ""), ("numba", ""), ("numpy", "--model conv --channels 2,3 --code 5")]
)
def test_a_resumed_training_ends_in_the_same_bits(
    backend: str, network: str, momentum: float, data: Path, tmp_path: Path
) -> None:
    """The batch size does not divide the number of images."""
    options = [*network.split(), "--momentum", momentum, "--lr", 0.01, "--limit", 70, "--seed", 2]
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert train(data, "--out", whole, "--epochs", 3, *options, backend=backend) == 0
    assert train(data, "--out", parts, "--epochs", 1, *options, backend=backend) == 0
    assert len(untimed(parts)) == 1
    assert train(data, "--out", parts, "--epochs", 3, "--resume", *options, backend=backend) == 0
    assert len(untimed(parts)) == 3
    assert_same_training(parts, whole)


@pytest.mark.usefixtures("no_pictures")
def test_resume_starts_where_there_is_no_checkpoint(data: Path, tmp_path: Path) -> None:
    assert train(data, "--out", tmp_path / "plain") == 0
    assert train(data, "--out", tmp_path / "resumed", "--resume") == 0
    assert_same_training(tmp_path / "resumed", tmp_path / "plain")


@pytest.mark.usefixtures("no_pictures")
def test_without_resume_a_checkpoint_is_ignored(data: Path, tmp_path: Path) -> None:
    assert train(data, "--out", tmp_path, "--seed", 1) == 0
    assert train(data, "--out", tmp_path) == 0
    assert history_of(tmp_path)["config"]["seed"] == 0
    assert len(untimed(tmp_path)) == 1


@pytest.mark.usefixtures("no_pictures")
def test_resume_without_a_checkpoint_says_so(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(data, "--out", tmp_path, "--resume") == 0
    assert f"there is no {tmp_path / 'checkpoint.npz'} to resume" in capsys.readouterr().out
    assert train(data, "--out", tmp_path, "--resume", "--epochs", 2) == 0
    assert "there is no" not in capsys.readouterr().out


@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_resume_with_nothing_left_to_do_draws_again(
    backend: str, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(data, "--out", tmp_path, "--epochs", 2, backend=backend) == 0
    before = snapshot(tmp_path)
    for name in RESULTS - {"checkpoint.npz"}:
        (tmp_path / name).unlink()
    capsys.readouterr()
    assert train(data, "--out", tmp_path, "--resume", "--epochs", 2, backend=backend) == 0
    assert "2 epochs already" in capsys.readouterr().out
    after = snapshot(tmp_path)
    assert set(after) == RESULTS
    for name in ("checkpoint.npz", "history.json"):
        assert after[name] == before[name]
    assert after["reconstructions.png"].startswith(b"\x89PNG")
    assert after["loss.png"].startswith(b"\x89PNG")


OTHER = [
    ("--loss bce", {"loss"}),
    ("--loss bce --lr 0.25", {"loss"}),
    ("--lr 0.2", {"lr"}),
    ("--momentum 0.5", {"momentum"}),
    ("--batch-size 15", {"batch_size"}),
    ("--seed 1", {"model_seed", "seed"}),
    ("--dtype float64", {"dtype"}),
    ("--init 0.1", {"init"}),
    ("--limit 63", {"images", "test_images"}),
    ("--backend numba", {"backend"}),
]


@pytest.mark.parametrize(("options", "names"), OTHER, ids=[options for options, _ in OTHER])
def test_a_checkpoint_of_other_settings_is_refused(
    options: str, names: set[str], earlier: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    message = refusal(capsys, earlier, data, "--resume", "--epochs", 3, *options.split())
    _, told = message.split("was made with other settings: ")
    assert {part.split()[0] for part in told.split("; ")} == names
    for part in told.strip().split("; "):
        assert re.fullmatch(r"\w+ .+, not .+", part)


def test_a_checkpoint_of_other_images_is_refused(
    earlier: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = fill(tmp_path / "other", 64, 64, first=1000)
    message = refusal(capsys, earlier, other, "--resume", "--epochs", 3)
    assert "other settings: images '64 with checksum" in message


def foreign(path: Path) -> None:
    np.savez(path, weights=np.zeros(3))


def pickled(path: Path) -> None:
    np.savez(path, config=np.array([{"kind": "checkpoint"}], dtype=object), sha256=np.zeros(32, np.uint8))


DAMAGE: dict[str, tuple[Callable[[Path], Any], str]] = {  # every other is in tests/training/test_checkpoints.py
    "cut short": (lambda path: os.truncate(path, 900_000), "damaged or not a fastae checkpoint"),
    "foreign": (foreign, "damaged or not a fastae checkpoint"),
    "pickled": (pickled, "damaged or not a fastae checkpoint"),
    "a model": (lambda path: shutil.copy(path.with_name("model.npz"), path), "holds a model, not a checkpoint"),
    "a folder": (lambda path: (path.unlink(), path.mkdir()), "is not a regular file"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_checkpoint_is_refused(
    damage: str, earlier: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    shutil.copytree(earlier, out)
    spoil, fragment = DAMAGE[damage]
    spoil(out / "checkpoint.npz")
    message = refusal(capsys, out, data, "--resume", "--epochs", 3)
    assert str(out / "checkpoint.npz") in message
    assert fragment in message


# Interruptions.


def test_ctrl_c_says_how_to_go_on(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*arguments: Any, **options: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(fastae.Trainer, "fit", interrupt)
    assert train(data, "--out", tmp_path / "a folder") == 130
    command = shlex.split(capsys.readouterr().err.split("To continue: ")[1])
    assert command == shlex.split(
        f"fastae train --backend numpy --data {data} --limit 64 --epochs 1 --schedule constant "
        f"--out '{tmp_path}/a folder' --resume"
    )
    assert cli.main(command[1:]) == 130
    assert shlex.split(capsys.readouterr().err.split("To continue: ")[1]) == command  # --resume is there already


INTERRUPTIBLE = """
import signal, sys
from fastae.cli import main
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have started us without it
sys.exit(main(sys.argv[1:]))
"""


def stop_after_an_epoch(process: subprocess.Popen[str], checkpoint: Path, how: signal.Signals) -> str:
    """Send the signal as soon as the checkpoint is new, and return what the process wrote to standard error."""
    before = checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0
    end = time.monotonic() + 120
    try:
        while not checkpoint.exists() or checkpoint.stat().st_mtime_ns == before:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < end, "no checkpoint appeared"
            time.sleep(0.01)
        process.send_signal(how)
        return process.communicate(timeout=60)[1]
    finally:
        process.kill()
        process.communicate()


@posix
@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize("backend", sample(["numpy", "numba"], 2))
@pytest.mark.parametrize("how", sample(["SIGINT", "SIGKILL"], 2))
def test_a_training_broken_off_goes_on_to_the_same_bits(how: str, backend: str, data: Path, tmp_path: Path) -> None:
    """Twice broken off, at whatever moment the signal comes, and then resumed for two epochs more."""
    out, whole = tmp_path / "out", tmp_path / "whole"
    options = ["train", "--backend", backend, "--data", data, "--limit", 70, "--momentum", 0.5, "--lr", 0.05]
    options += ["--schedule", "constant"]  # a cosine's rates depend on how many epochs are to come
    many = [*options, "--epochs", 10**6, "--out", out]
    for resume in ([], ["--resume"]):
        process = start(*many, *resume, script=["-c", INTERRUPTIBLE])
        stderr = stop_after_an_epoch(process, out / "checkpoint.npz", getattr(signal, how))
        if how == "SIGINT":
            assert process.returncode == 130
            assert "Traceback" not in stderr
            line = stderr.strip().splitlines()[-1]
            assert "interrupted" in line
            assert shlex.split(line.split("To continue: ")[1]) == ["fastae", *map(str, many), "--resume"]
        else:
            assert process.returncode == -signal.SIGKILL

    done = len(storage.read(out / "checkpoint.npz", "checkpoint")[0]["epochs"])
    assert done >= 2
    more = [str(option) for option in [*options, "--epochs", done + 2]]
    assert cli.main([*more, "--out", str(out), "--resume"]) == 0
    assert cli.main([*more, "--out", str(whole)]) == 0
    assert len(untimed(out)) == done + 2
    assert_same_training(out, whole)
