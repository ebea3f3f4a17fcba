"""The command line: what it refuses and how, and that existing files stay as they were."""

import os
import shlex
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import INKED, RESULTS, is_one_line, posix, refusal, snapshot, start, train
from idx_files import IMAGES, LABELS, TEST_IMAGES, TEST_LABELS, encode
from registry import forget_backends

from fastae import cli
from fastae.backends import Availability
from fastae.backends.numpy_backend import NumpyBackend

OPTIONS = [  # for each what the library refuses, once: its own tests have every wrong value; and what argparse does
    ("--backend nope", ["'nope'", "auto, numpy, numba, cupy"]),
    ("--loss l1", ["'l1'", "mse, bce"]),
    ("--batch-size 0", ["batch size", "positive whole number", "got 0"]),
    ("--batch-size x", ["--batch-size", "'x'"]),
    ("--epochs 0", ["--epochs", "positive whole number", "got 0"]),
    ("--epochs x", ["--epochs", "'x'"]),
    ("--lr 0", ["learning rate", "positive", "got 0.0"]),
    ("--lr x", ["--lr", "'x'"]),
    ("--lr 1e39", ["learning rate", "float32", "1e+39"]),
    ("--momentum 1", ["momentum", "below 1", "got 1.0"]),
    ("--momentum x", ["--momentum", "'x'"]),
    ("--init -1", ["init", "glorot-sigmoid", "-1.0"]),
    ("--init foo", ["init", "glorot-sigmoid", "'foo'"]),
    ("--init 1e38", ["init", "float32", "1e+38"]),
    ("--dtype x", ["dtype", "float32 or float64", "'x'"]),
    ("--seed -1", ["seed", "at least 0", "got -1"]),
    ("--seed 0.5", ["--seed", "'0.5'"]),
    ("--limit 0", ["--limit", "positive whole number", "got 0"]),
    ("--limit -5", ["--limit", "positive whole number", "got -5"]),
    ("--limit x", ["--limit", "'x'"]),
    ("--threads 0", ["threads", "positive whole number", "got 0"]),
    ("--threads 2", ["threads", "'numpy'", "numba"]),  # only the backends with a team of workers
    ("--threads x", ["--threads", "'x'"]),
    ("--foo 1", ["--foo", "--help"]),
    ("--epoch 3", ["--epoch", "--help"]),  # no abbreviations: they change meaning with every new option
    ("--epochs", ["--epochs", "--help"]),
    ("'--foo\nbar'", ["--foo bar"]),
]


@pytest.mark.parametrize(("options", "fragments"), OPTIONS, ids=[repr(options)[1:-1] for options, _ in OPTIONS])
def test_a_bad_option_is_refused(
    options: str, fragments: list[str], earlier: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    message = refusal(capsys, earlier, data, *shlex.split(options))
    for fragment in fragments:
        assert fragment in message


@pytest.mark.parametrize("argv", [[], ["trian"], ["--frobnicate"], ["--threads", "2"]], ids=str)
def test_without_a_command_it_says_where_to_look(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(argv)
    assert stop.value.code == 2
    stdout, stderr = capsys.readouterr()
    assert stdout == ""
    assert is_one_line(stderr)
    assert stderr.startswith("fastae: ")
    assert "see fastae --help" in stderr


def test_cupy_that_is_not_installed_is_refused_with_what_to_install(
    earlier: Path, data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cupy", None)  # as if it were not
    forget_backends()
    message = refusal(capsys, earlier, data, "--backend", "cupy")
    forget_backends()
    assert "CuPy is not installed" in message
    assert "pip install 'fastae[cuda13]'" in message
    assert "'fastae[cuda12]'" in message


class Elsewhere(NumpyBackend):
    name = "elsewhere"

    @classmethod
    def availability(cls) -> Availability:
        return Availability(False, "the coprocessor is asleep", "wake it up")


class Mine(NumpyBackend):
    name = "mine"


def not_there() -> None:
    raise ImportError("libfoo.so.7: cannot open\nshared object file")


def test_a_registered_backend_that_cannot_run_here_says_why_and_what_to_do(
    earlier: Path, data: Path, capsys: pytest.CaptureFixture[str], register: Callable[..., None]
) -> None:
    register("elsewhere", lambda: Elsewhere)
    message = refusal(capsys, earlier, data, "--backend", "elsewhere")
    assert "'elsewhere'" in message
    assert "the coprocessor is asleep" in message
    assert "wake it up" in message


def test_a_registered_backend_that_does_not_load_says_why(
    earlier: Path, data: Path, capsys: pytest.CaptureFixture[str], register: Callable[..., None]
) -> None:
    register("broken", not_there)
    message = refusal(capsys, earlier, data, "--backend", "broken")
    assert "'broken'" in message
    assert "ImportError: libfoo.so.7: cannot open" in message
    assert "shared object file" not in message  # the first line is the gist
    assert "uninstall the package" in message


def test_a_registered_backend_trains(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    register: Callable[..., None],
) -> None:  # fmt: skip
    register("mine", lambda: Mine)
    monkeypatch.chdir(tmp_path)
    assert train(data, backend="mine") == 0
    assert set(snapshot(tmp_path)) == {f"runs/mse-mine/{name}" for name in RESULTS}
    with pytest.raises(SystemExit):
        cli.main(["train", "--help"])
    assert "numpy, numba, cupy, emulator, mine" in " ".join(capsys.readouterr().out.split())


def cut(name: str, size: int) -> Callable[[Path], Any]:
    return lambda folder: os.truncate(folder / name, size)


def rewrite(name: str, content: Callable[[bytes], bytes]) -> Callable[[Path], Any]:
    return lambda folder: (folder / name).write_bytes(content((folder / name).read_bytes()))


DATA = {  # of which the tests of datasets have every fault: here each way by which one comes to the command
    "folder missing": (lambda folder: shutil.rmtree(folder), ["cannot be listed"]),
    "test labels missing": (lambda folder: (folder / TEST_LABELS).unlink(), ["lacks a file of t10k-labels"]),
    "truncated": (cut(IMAGES, 5000), [IMAGES, "4,984 bytes"]),
    "test images truncated": (cut(TEST_IMAGES, 5000), [TEST_IMAGES, "4,984 bytes"]),
    "fewer labels": (rewrite(LABELS, lambda old: encode(np.zeros(319, np.uint8))), ["320 images", "319 labels"]),
    "test images of another size": (
        rewrite(TEST_IMAGES, lambda old: encode(np.zeros((100, 14, 14), np.uint8))),
        ["784 pixels", "196"],
    ),
}


@pytest.mark.parametrize("fault", DATA)
def test_bad_data_is_refused(
    fault: str, earlier: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "data"
    shutil.copytree(data, folder)
    spoil, fragments = DATA[fault]
    spoil(folder)
    message = refusal(capsys, earlier, folder)
    for fragment in fragments:
        assert fragment in message


def test_data_in_a_file_of_no_format_is_refused(
    earlier: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "digits.bin").write_bytes(b"\1\2\3\4")
    assert "is of no format that is read; expected a folder of IDX files" in refusal(
        capsys, earlier, tmp_path / "digits.bin"
    )


def test_a_line_break_in_a_name_does_not_break_the_line(
    tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a\nb").write_text("a file")
    assert train(data, "--out", tmp_path / "a\nb" / "c") == 2
    assert is_one_line(capsys.readouterr().err)


@pytest.mark.parametrize("below", ["", "results/of/today"])
def test_results_cannot_go_below_a_file(
    below: str, tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("not a folder")
    assert train(data, "--out", tmp_path / "file" / below) == 2
    stdout, stderr = capsys.readouterr()
    assert stdout == ""
    assert is_one_line(stderr)
    assert str(tmp_path / "file") in stderr
    assert "choose another with --out" in stderr
    assert snapshot(tmp_path) == {"file": b"not a folder"}


@pytest.mark.parametrize(
    ("place", "words"),
    [("datasets.load_images", "memory"), ("model.Autoencoder", "not enough memory; try a smaller network")],
)
def test_no_memory_is_one_line_too(
    place: str, words: str, earlier: Path, data: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    def fail(*arguments: Any, **options: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(f"fastae.{place}", fail)
    assert words in refusal(capsys, earlier, data)


# The program itself: exit status and output as the shell sees them.


@pytest.mark.parametrize(
    "options",
    ["--backend nope", "--batch-size x", "--data /dev/null/nowhere", "--lr 1e38 --momentum 0.9 --epochs 20"],
    ids=["backend", "batch size", "data", "diverges"],
)
def test_the_script_ends_with_one_line_and_status_2(options: str, tmp_path: Path, data: Path) -> None:
    """The last of them diverges, with infinities on the way, which must not cause a warning."""
    base = ["--backend", "numpy", "--data", data, "--limit", 64, "--out", tmp_path / "out"]
    process = start(*base, *options.split())
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 2
    assert is_one_line(stderr), stderr
    assert stdout == ""


def test_python_m_fastae_without_a_command() -> None:
    process = start(script=["-m", "fastae"])
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 2
    assert is_one_line(stderr)
    assert stdout == ""


def test_the_script_is_quiet_and_knows_mnist(tmp_path: Path) -> None:
    """Into pipes: no progress bar, no pictures in characters; MNIST as shipped; results below the current folder."""
    process = start("--backend", "numpy", "--limit", 64, "--epochs", 2, cwd=tmp_path)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 0
    assert stderr == ""
    assert "\r" not in stdout
    assert "\x1b" not in stdout
    assert not INKED & set(stdout)
    assert "2 epochs of 64 images" in stdout
    assert set(snapshot(tmp_path)) == {f"runs/mse-numpy/{name}" for name in RESULTS}


LIMITED = """
import resource, sys
from fastae.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
sys.exit(main(sys.argv[1:]))
"""


@posix
def test_a_full_disk_leaves_earlier_results(earlier: Path, data: Path) -> None:
    """Files are limited to 100 kB, where the checkpoint needs 1.9 MB."""
    before = snapshot(earlier)
    process = start(
        *["train", "--backend", "numpy", "--data", data, "--limit", 64, "--epochs", 1, "--out", earlier],
        script=["-c", LIMITED],
    )
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 2
    assert is_one_line(stderr), stderr
    assert "checkpoint.npz" in stderr
    assert "File too large" in stderr
    assert snapshot(earlier) == before
