"""The parts of ``fastae bench`` that need no peer; `benchmarks/test_bench.py` tests the others."""

import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest

import fastae
from fastae import cli
from fastae.bench import contenders, limits, roofline
from fastae.bench.contenders import CONTENDERS, of_model
from fastae.bench.harness import Race


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return fastae.load_dataset()[0]


def test_one_cores_limits_are_those_of_a_computer() -> None:
    found = limits.measure(1, 1)
    assert found.workers == 1
    assert 1e9 < found.flops < 1e12
    assert 1e9 < found.near < 1e12
    assert 1e9 < found.far < 2 * found.near  # the cache is the faster, by far unless the machine is busy


@pytest.mark.thorough
def test_every_kernel_is_measured_below_its_roof(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roofline, "MOMENT", 0.002)
    found, kernels = roofline.kernels(16, 1)
    assert found.workers == 1
    assert len({kernel.name for kernel in kernels}) == len(kernels) == 19
    for kernel in kernels:
        # A loop around nothing would exceed its roof a hundredfold. On a busy machine the limit itself may be measured
        # several times too low.
        assert 0.005 < kernel.share < 10, kernel
        assert kernel.rate == kernel.flops / kernel.seconds


def test_the_multiplications_of_a_dense_step() -> None:
    assert roofline.multiplications(1) == 1_200_128  # the design counts them by hand
    # Forward 909,440, as many for the weights' gradients, and 881,216 for the inputs'.
    assert roofline.multiplications(16, "conv") == 16 * 2_700_096


@pytest.mark.parametrize("m", [1, 3, 4, 16])
def test_multiplications_are_counted_as_the_tiles_do_them(m: int, images: np.ndarray) -> None:
    """Tile by tile, in loops."""
    lit = images[:m] != 0
    groups = [range(i, i + 2) for i in range(0, m - m % 2, 2)] + [range(i, i + 1) for i in range(m - m % 2, m)]
    forward = sum(len(rows) * 256 for rows in groups for pixel in range(784) if any(lit[i, pixel] for i in rows))
    size = 2 if m > 1 else 1
    update = sum(size * 256 for first in range(0, 784, size) for i in range(m) if lit[i, first : first + size].any())
    others = roofline.multiplications(m) - 2 * m * 784 * 256
    assert roofline.multiplications_done(images[:m]) == others + forward + update


@pytest.mark.thorough
def test_a_small_benchmark_from_the_command_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    few, all_cases = ("forward 784 to 256", "bce_gradient 784"), roofline.cases  # another test compiles them all
    monkeypatch.setattr(roofline, "cases", lambda m: [case for case in all_cases(m) if case[0] in few])
    options = ["--batches", "128", "--rounds", "2", "--seconds", "0.02", "--out", str(tmp_path)]
    assert cli.main(["bench", *options, "--contenders", "fastae-numba", "textbook-numpy"]) == 0
    out = capfd.readouterr().out
    assert out == (tmp_path / "bench.md").read_text()
    raw = json.loads((tmp_path / "bench.json").read_text())
    cores = min(raw["machine"]["cores"], 8)
    assert [race["batch_size"] for race in raw["races"]] == [128]
    assert "| fastae-numba / perfect dense step |" in out
    (raced,) = (Race(**race) for race in raw["races"])
    assert len(raced.limits) == 2
    assert 0.1 < raced.of_perfect("fastae-numba") < 100
    assert [limit["workers"] for limit in raw["limits"]] in ([1, 1], [1, cores])
    assert set(raw["kernels"]) == {"128", "16"}
    assert [step["batch_size"] for step in raw["steps"]] == [128]
    assert all(0 < step["done"] < step["dense"] for step in raw["steps"])
    for figure in ("speed.png", "roofline.png"):
        assert (tmp_path / figure).read_bytes().startswith(b"\x89PNG")


@pytest.mark.thorough
def test_all_layers_and_kernels_of_the_convolutional_network_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = list(roofline.all_runs(16, "conv"))
    assert len({name for name, *_ in runs}) == len(runs) == 6 + 6 + 5 + 2 * 3 + 4
    products = [flops for name, _, flops, _ in runs if name.startswith(("forward", "update", "backward"))]
    assert sum(products) == 2 * roofline.multiplications(16, "conv")  # that is all that the step multiplies
    monkeypatch.setattr(roofline, "all_runs", lambda m, model: runs)  # compiled once
    monkeypatch.setattr(roofline, "MOMENT", 0.002)
    found, kernels = roofline.kernels(16, 1, model="conv")
    assert found.workers == 1
    assert len(kernels) == len(runs)
    for kernel in kernels:
        assert 0.001 < kernel.share < 10, kernel  # as above


@pytest.mark.thorough
def test_a_small_benchmark_of_the_convolutional_network(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    options = ["--model", "conv", "--batches", "64", "--rounds", "2", "--seconds", "0.02", "--out", str(tmp_path)]
    assert cli.main(["bench", *options, "--only", "race", "--contenders", "fastae-numpy"]) == 0
    out = capfd.readouterr().out
    assert "Autoencoder Conv2d(16)-Conv2d(32)-Dense(128), strides of 2, mirrored, tanh, in float32" in out
    raw = json.loads((tmp_path / "bench.json").read_text())
    assert raw["model"] == raw["races"][0]["model"] == "conv"
    assert (tmp_path / "speed.png").read_bytes().startswith(b"\x89PNG")


def test_the_books_tables_are_replaced_between_their_marks() -> None:
    sys.path.insert(0, str(Path(__file__).parents[2]))
    try:
        tables = importlib.import_module("benchmarks.convolutional_tables")
    finally:
        sys.path.pop(0)
    page = (Path(__file__).parents[2] / "docs" / "performance.md").read_text()
    once = tables.placed(page, "| a table |\n")
    assert tables.placed(once, "| a table |\n") == once
    before, after = once.split("| a table |")
    assert page.startswith(before.rstrip())
    assert page.endswith(after.lstrip())


def test_contenders_whose_library_is_missing_are_left_out_and_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(contenders, "find_spec", lambda library: None if library in ("torch", "jax") else object())
    assert cli.main(["bench", "--check", "--batches", "512"]) == 0
    captured = capsys.readouterr()
    absent = [name for name in of_model("dense") if CONTENDERS[name].libraries[0] in ("torch", "jax")]
    assert "left out for want of jax, torch: " + ", ".join(absent) in captured.err
    assert captured.out.startswith("batch size 512: mean losses ")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--contenders", "nobody"], "unknown contender 'nobody'"),
        (["--model", "conv", "--contenders", "textbook-numpy"], "textbook-numpy does not train the model 'conv'"),
        (["--contenders", "torch-channels-last"], "torch-channels-last does not train the model 'dense'"),
        (["--model", "deep"], "--model"),
        (["--batches", "0"], "from 1 to 3000"),
        (["--rounds", "0"], "--rounds must be positive"),
        (["--contenders", "fastae-numpy", "--out", __file__], "cannot make the folder"),
        (["--loss", "mae"], "--loss"),
    ],
)
def test_bad_input_ends_with_one_line(options: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        status = cli.main(["bench", *options])
    except SystemExit as stop:
        status = int(stop.code or 0)
    err = capsys.readouterr().err
    assert (status, err.count("\n")) == (2, 1)
    assert words in err
