"""The command line: what it refuses and how, what it writes, and that a training broken off can be gone on with."""

import gzip
import json
import os
import re
import shlex
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastae
from fastae import backends, cli, storage, terminal
from fastae.backends import Availability
from fastae.backends.numpy_backend import NumpyBackend

TRAIN_PY = Path(__file__).parents[1] / "examples" / "train.py"
RESULTS = {"checkpoint.npz", "history.json", "loss.png", "model.npz", "reconstructions.png"}
IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
TEST_IMAGES, TEST_LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"
BLOB = "hardly more than the mean image"
INKED = set(terminal.QUADRANTS) - {" "}
TIMINGS = ("seconds", "images_per_second")

posix = pytest.mark.skipif(os.name != "posix", reason="signals and terminals as POSIX has them")


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">{1 + array.ndim}I", 0x0800 + array.ndim, *array.shape) + array.tobytes()


def fill(folder: Path, train: int, test: int, first: int = 0) -> Path:
    """Write so many of MNIST's images as a folder of IDX files."""
    folder.mkdir(exist_ok=True)
    for split, names, count in (("train", (IMAGES, LABELS), train), ("test", (TEST_IMAGES, TEST_LABELS), test)):
        images, labels = fastae.load_dataset(split=split)
        (folder / names[0]).write_bytes(idx(images[first : first + count].reshape(-1, 28, 28)))
        (folder / names[1]).write_bytes(idx(labels[first : first + count]))
    return folder


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first 320 training and 100 test images of MNIST."""
    return fill(tmp_path_factory.mktemp("data"), 320, 100)


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare the time for drawing where pictures are not the point."""
    monkeypatch.setattr(cli, "_show", lambda *arguments: None)


def train(data: Path | None, *options: Any, backend: str = "numpy") -> int:
    """Run ``fastae train`` on 64 images for one epoch, unless the options say otherwise, and return its exit status."""
    given = [] if data is None else ["--data", data]
    argv = ["train", "--backend", backend, *given, "--limit", 64, "--epochs", 1, *options]
    try:
        return cli.main([str(argument) for argument in argv])
    except SystemExit as stop:  # argparse's
        return int(stop.code or 0)


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


def assert_same_training(one: Path, other: Path) -> None:
    """The same parameters and velocities bit for bit, and the same history."""
    assert arrays_of(one / "checkpoint.npz") == arrays_of(other / "checkpoint.npz")
    assert arrays_of(one / "model.npz") == arrays_of(other / "model.npz")
    assert untimed(one) == untimed(other)
    assert history_of(one)["config"] == history_of(other)["config"]


# Refusals: one line, exit status 2, and what was there before is as it was.


@pytest.fixture(scope="module")
def earlier(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of a training, which no refusal may touch."""
    out = tmp_path_factory.mktemp("earlier")
    assert train(data, "--out", out) == 0
    assert set(snapshot(out)) == RESULTS
    return out


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


OPTIONS = [
    ("--backend nope", ["'nope'", "auto, numpy, numba, cupy"]),
    ("--loss l1", ["'l1'", "mse, bce"]),
    ("--batch-size 0", ["batch size", "positive whole number", "got 0"]),
    ("--batch-size -1", ["batch size", "positive whole number", "got -1"]),
    ("--batch-size 1.5", ["--batch-size", "'1.5'"]),
    ("--batch-size x", ["--batch-size", "'x'"]),
    ("--epochs 0", ["--epochs", "positive whole number", "got 0"]),
    ("--epochs -3", ["--epochs", "positive whole number", "got -3"]),
    ("--epochs x", ["--epochs", "'x'"]),
    ("--lr 0", ["learning rate", "positive", "got 0.0"]),
    ("--lr -1", ["learning rate", "positive", "got -1.0"]),
    ("--lr nan", ["learning rate", "finite", "got nan"]),
    ("--lr inf", ["learning rate", "finite", "got inf"]),
    ("--lr x", ["--lr", "'x'"]),
    ("--lr 1e39", ["learning rate", "float32", "1e+39"]),
    ("--lr 1e-60", ["learning rate", "float32", "1e-60"]),
    ("--momentum -0.1", ["momentum", "at least 0", "got -0.1"]),
    ("--momentum 1", ["momentum", "below 1", "got 1.0"]),
    ("--momentum nan", ["momentum", "got nan"]),
    ("--momentum x", ["--momentum", "'x'"]),
    ("--init -1", ["init", "glorot-sigmoid", "-1.0"]),
    ("--init nan", ["init", "glorot-sigmoid", "nan"]),
    ("--init inf", ["init", "glorot-sigmoid", "inf"]),
    ("--init foo", ["init", "glorot-sigmoid", "'foo'"]),
    ("--init 1e38", ["init", "float32", "1e+38"]),
    ("--dtype float16", ["dtype", "float32 or float64", "'float16'"]),
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
    forget()
    message = refusal(capsys, earlier, data, "--backend", "cupy")
    forget()
    assert "CuPy is not installed" in message
    assert "pip install 'fastae[cuda13]'" in message
    assert "'fastae[cuda12]'" in message


def forget() -> None:
    from fastae.backends.cupy_backend import diagnose

    for cached in (backends._class_of, backends._probe, backends._instance, diagnose):
        cached.cache_clear()


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


def zip_and_cut(name: str) -> Callable[[Path], Any]:
    def spoil(folder: Path) -> None:
        zipped = gzip.compress((folder / name).read_bytes())
        (folder / name).unlink()
        (folder / f"{name}.gz").write_bytes(zipped[: len(zipped) // 2])

    return spoil


DATA = {
    "folder missing": (lambda folder: shutil.rmtree(folder), ["cannot be listed"]),
    "training images missing": (lambda folder: (folder / IMAGES).unlink(), ["lacks a file of train-images"]),
    "test images missing": (lambda folder: (folder / TEST_IMAGES).unlink(), ["lacks a file of t10k-images"]),
    "test labels missing": (lambda folder: (folder / TEST_LABELS).unlink(), ["lacks a file of t10k-labels"]),
    "empty": (cut(IMAGES, 0), [IMAGES, "is empty"]),
    "a header cut short": (cut(IMAGES, 9), [IMAGES, "ends after 9 bytes"]),
    "truncated": (cut(IMAGES, 5000), [IMAGES, "4,984 bytes"]),
    "test images truncated": (cut(TEST_IMAGES, 5000), [TEST_IMAGES, "4,984 bytes"]),
    "another magic number": (rewrite(IMAGES, lambda old: b"\x89PNG" + old[4:]), [IMAGES, "magic", "0x89504e47"]),
    "labels as images": (rewrite(IMAGES, lambda old: idx(np.zeros(320, np.uint8))), [IMAGES, "magic", "labels"]),
    "a header that promises more": (
        rewrite(IMAGES, lambda old: old[:4] + struct.pack(">I", 2**31) + old[8:]),
        [IMAGES, "2147483648 x 28 x 28"],
    ),
    "more than the header says": (rewrite(IMAGES, lambda old: old + b"\0"), [IMAGES, "250,881 bytes"]),
    "gzip cut short": (zip_and_cut(IMAGES), [f"{IMAGES}.gz", "cut short"]),
    "fewer labels": (rewrite(LABELS, lambda old: idx(np.zeros(319, np.uint8))), ["320 images", "319 labels"]),
    "no image": (rewrite(IMAGES, lambda old: idx(np.zeros((0, 28, 28), np.uint8))), [IMAGES, "no data"]),
    "test images of another size": (
        rewrite(TEST_IMAGES, lambda old: idx(np.zeros((100, 14, 14), np.uint8))),
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


def test_data_in_a_file_is_refused(earlier: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "Not a directory" in refusal(capsys, earlier, data / IMAGES)


def test_a_line_break_in_a_name_does_not_break_the_line(
    tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a\nb").write_text("a file")
    assert train(data, "--out", tmp_path / "a\nb" / "c") == 2
    assert is_one_line(capsys.readouterr().err)


@pytest.mark.parametrize("below", ["", "results", "results/of/today"])
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


def test_no_memory_is_one_line_too(
    earlier: Path, data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: Any) -> None:
        raise MemoryError

    monkeypatch.setattr("fastae.datasets.load_dataset", fail)
    assert "memory" in refusal(capsys, earlier, data)


# The program itself: exit status and output as the shell sees them.


def start(*options: Any, script: list[str] | None = None, **more: Any) -> subprocess.Popen[str]:
    command = [sys.executable, *(script or [str(TRAIN_PY)]), *(str(option) for option in options)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | more
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, text=True, **pipes)


@pytest.mark.parametrize(
    "options",
    ["--backend nope", "--batch-size x", "--data /dev/null/nowhere", "--lr 1e38 --momentum 0.9 --epochs 20"],
    ids=["backend", "batch size", "data", "diverges"],
)
def test_the_script_ends_with_one_line_and_status_2(options: str, tmp_path: Path, data: Path) -> None:
    """The last of them diverges, with infinities on the way of which nobody may warn."""
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
    found = re.search(r"NaN or infinite in epoch (\d+), batch (\d+); .*learning rate below 1e\+38", stderr)
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


def test_the_results(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "a" / "new" / "folder"
    assert train(data, "--out", out, "--epochs", 2, "--seed", 5, "--batch-size", 10) == 0
    stdout, stderr = capsys.readouterr()
    assert stderr == ""
    assert set(snapshot(out)) == RESULTS
    assert not [path for path in out.iterdir() if path.name.startswith(".")]
    for name in ("loss.png", "reconstructions.png"):
        assert (out / name).read_bytes().startswith(b"\x89PNG\r\n\x1a\n")

    history = history_of(out)
    assert list(history) == ["config", "epochs"]
    for images in ("images", "test_images"):
        assert re.fullmatch(r"64 with checksum [0-9a-f]{8}", history["config"].pop(images))
    assert history["config"] == {
        "sizes": [784, 256, 128],
        "init": "glorot-sigmoid",
        "model_seed": 5,
        "dtype": "float32",
        "loss": "mse",
        "lr": 0.25,
        "momentum": 0.0,
        "batch_size": 10,
        "seed": 5,
        "backend": "numpy",
        "tf32": False,
        "kernels": None,
        "epochs": 2,
        "data": str(data),
        "limit": 64,
        "threads": 1,
        "version": fastae.__version__,
    }
    assert [epoch["epoch"] for epoch in history["epochs"]] == [1, 2]
    for epoch in history["epochs"]:
        assert list(epoch) == ["epoch", "train_loss", "test_mse", "seconds", "images_per_second"]
        assert all(type(epoch[key]) is float and epoch[key] > 0 for key in list(epoch)[1:])
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
    options = vars(cli.parser().parse_args(["train"]))
    assert options.pop("run") is cli.run_train
    assert options == {
        "command": "train",
        "backend": "auto",
        "loss": "mse",
        "epochs": 20,
        "batch_size": 16,
        "momentum": 0.0,
        "init": "glorot-sigmoid",
        "dtype": "float32",
        "seed": 0,
        "resume": False,
        "no_progress": False,
        "tf32": False,
    }


def test_help_names_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(["train", "--help"])
    assert stop.value.code == 0
    listed = set(re.findall(r"--[a-z-]+", capsys.readouterr().out))
    pinned = "backend loss epochs batch-size lr momentum init dtype seed threads data limit out resume no-progress"
    assert listed >= {f"--{name}" for name in pinned.split()}


def test_a_network_that_knows_only_the_mean_image_is_called_a_blob(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(data, "--out", tmp_path) == 0
    assert BLOB in capsys.readouterr().out


def test_a_network_that_learns_is_not_called_a_blob(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(data, "--out", tmp_path, "--loss", "bce", "--batch-size", 1, "--epochs", 8) == 0
    stdout = capsys.readouterr().out
    assert "cross-entropy, 8 epochs" in stdout
    assert BLOB not in stdout


# Resuming.


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize("momentum", [0, 0.9])
@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_a_resumed_training_ends_in_the_same_bits(backend: str, momentum: float, data: Path, tmp_path: Path) -> None:
    """The batch size does not divide the number of images."""
    options = ["--momentum", momentum, "--lr", 0.05, "--limit", 70, "--seed", 2]
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
    ("--loss bce", {"loss", "lr"}),  # whose default differs
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


def flipped(content: bytes) -> bytes:
    """The content with one bit in the middle of it, which is a weight, the other way round."""
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def foreign(path: Path) -> None:
    np.savez(path, weights=np.zeros(3))


def pickled(path: Path) -> None:
    np.savez(path, config=np.array([{"kind": "checkpoint"}], dtype=object), sha256=np.zeros(32, np.uint8))


DAMAGE: dict[str, tuple[Callable[[Path], Any], str]] = {
    "empty": (lambda path: path.write_bytes(b""), "damaged or not a fastae checkpoint"),
    "text": (lambda path: path.write_text("epoch 1\n" * 1000), "damaged or not a fastae checkpoint"),
    "cut short": (lambda path: os.truncate(path, 900_000), "damaged or not a fastae checkpoint"),
    "without its last byte": (lambda path: os.truncate(path, path.stat().st_size - 1), "damaged"),
    "one bit flipped": (lambda path: path.write_bytes(flipped(path.read_bytes())), "damaged"),
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
    command = shlex.split(capsys.readouterr().err.split("To go on: ")[1])
    assert command == shlex.split(
        f"fastae train --backend numpy --data {data} --limit 64 --epochs 1 --out '{tmp_path}/a folder' --resume"
    )
    assert cli.main(command[1:]) == 130
    assert shlex.split(capsys.readouterr().err.split("To go on: ")[1]) == command  # --resume is there already


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
@pytest.mark.parametrize("backend", ["numpy", "numba"])
@pytest.mark.parametrize("how", ["SIGINT", "SIGKILL"])
def test_a_training_broken_off_goes_on_to_the_same_bits(how: str, backend: str, data: Path, tmp_path: Path) -> None:
    """Twice broken off, at whatever moment the signal comes, and then resumed for two epochs more."""
    out, whole = tmp_path / "out", tmp_path / "whole"
    options = ["train", "--backend", backend, "--data", data, "--limit", 70, "--momentum", 0.5, "--lr", 0.05]
    many = [*options, "--epochs", 10**6, "--out", out]
    for resume in ([], ["--resume"]):
        process = start(*many, *resume, script=["-c", INTERRUPTIBLE])
        stderr = stop_after_an_epoch(process, out / "checkpoint.npz", getattr(signal, how))
        if how == "SIGINT":
            assert process.returncode == 130
            assert "Traceback" not in stderr
            line = stderr.strip().splitlines()[-1]
            assert "interrupted" in line
            assert shlex.split(line.split("To go on: ")[1]) == ["fastae", *map(str, many), "--resume"]
        else:
            assert process.returncode == -signal.SIGKILL

    done = len(storage.read(out / "checkpoint.npz", "checkpoint")[0]["epochs"])
    assert done >= 2
    more = [str(option) for option in [*options, "--epochs", done + 2]]
    assert cli.main([*more, "--out", str(out), "--resume"]) == 0
    assert cli.main([*more, "--out", str(whole)]) == 0
    assert len(untimed(out)) == done + 2
    assert_same_training(out, whole)


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
    assert screen.startswith("original")
    assert set(terminal.SHADES) <= set(screen)
