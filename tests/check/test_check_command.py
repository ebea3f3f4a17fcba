"""``fastae check`` and ``train --kernels`` on the command line."""

import json
import re
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
from command_line import refused
from learner_files import CUDA, RIGHT, Write

import fastae
from fastae import cli
from fastae.check import learner, speed
from fastae.errors import InputError, gist


def test_the_verdict_in_words_and_as_json(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    right, wrong = (
        write("def sigmoid_gradient(delta, y, out): out[:] = delta * y * (1 - y)"),
        write("def bce_gradient(z, x, scale, out): out[:] = z - x", "w.py"),
    )
    assert cli.main(["check", str(right), "--seed", "3", "--no-speed"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^sigmoid_gradient: right in \d+ calls; largest error 0\.\d\d of what is allowed$", out, re.M)
    assert "the model: right" in out
    assert cli.main(["check", str(wrong), "--seed", "3"]) == 1
    out = capsys.readouterr().out
    assert "bce_gradient: WRONG" in out
    assert "  likely: scale is left out" in out
    assert f"to see it again: fastae check {wrong} --seed 3" in out
    assert cli.main(["check", str(wrong), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert not found["right"]
    assert found["kernels"][0]["problems"][0]["causes"][0] == "scale is left out"
    assert cli.main(["check", str(right), "--json", "--no-speed"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["right"]
    assert found["model"] == {"right": True}
    assert 0 < found["kernels"][0]["worst_error_of_bound"] < 1


def test_a_right_kernel_is_timed_and_no_other(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    right = textwrap.dedent(RIGHT["NumPy"])
    few = (right[right.index(f"def {name}(") :].partition("\ndef ")[0] for name in ("matmul", "mse_loss", "advance"))
    path = write("\n".join(["import numpy as np", *few]))
    assert cli.main(["check", str(path), "--json"]) == 0
    for entry in json.loads(capsys.readouterr().out)["kernels"]:
        assert bool(entry["speed"]) == (entry["kernel"] != "advance")
        for timed in entry["speed"]:
            assert 0 < timed["share"] < 5
            assert timed["seconds"] > 0
    emulated = CUDA[CUDA.rindex('extern "C"') :]
    assert cli.main(["check", str(write(emulated, "mine.cu")), "--backend", "emulator"]) == 0
    assert "limit" not in capsys.readouterr().out
    assert cli.main(["check", str(path), "--no-speed"]) == 0
    assert "limit" not in capsys.readouterr().out


def test_an_answer_that_is_kept_by_its_contents_gains_nothing(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    """Right whenever it is called with something new, as all that is timed is."""
    path = write("""
        kept = {}
        def matmul(a, b, out, trans_a, trans_b, alpha, beta):
            key = a.shape, b.shape, trans_a, trans_b, alpha, beta, a[0, 0], a[-1, -1], b[0, 0], b[-1, -1], out[0, 0]
            if key not in kept:
                ab = alpha * ((a.T if trans_a else a) @ (b.T if trans_b else b))
                kept[key] = ab if beta == 0 else ab + beta * out
            out[:] = kept[key]
        """)
    assert cli.main(["check", "--json", str(path)]) == 0
    (kernel,) = json.loads(capsys.readouterr().out)["kernels"]
    assert all(0 < speed["share"] < 1.25 for speed in kernel["speed"])


def test_what_is_faster_than_the_machine_is_told() -> None:
    """A kernel that takes less time than its work must take keeps an answer, or does not do the work."""
    share = {name: speed.TOO_FAST[name in speed.FLOPS] for name in ("matmul", "axpy")}
    for name, most in share.items():
        assert speed.too_fast(name, [speed.Speed("16 x 784", 1e-6, 1e12, 1e12, 0.99 * most)]) == ""
        told = speed.too_fast(name, [speed.Speed("16 x 784", 1e-6, 1e12, 1e12, 1.01 * most)])
        assert "times as fast as this machine can do that work: an answer is kept" in told


@pytest.mark.parametrize("name", ["mine.py", "mine.cu"])
def test_the_examples_are_right(name: str) -> None:
    path = Path(__file__).parents[2] / "examples" / "kernels" / name
    assert cli.main(["check", str(path), "--no-speed", *(["--backend", "emulator"] if name[-1] == "u" else [])]) == 0


def test_a_picture_shows_where_the_errors_are() -> None:
    from fastae.check.report import picture

    wrong = np.zeros((100, 7), bool)
    wrong[96:, 2] = True
    rows = picture(wrong)
    assert rows[-1] == "..#...."
    assert set(rows[:-1]) == {"......."}


@pytest.mark.parametrize(
    ("text", "name", "words"),
    [
        ("x = 1", "a.py", "defines no kernel of the contract; their names are: matmul, bias_sigmoid"),
        ("x = 1 / 0", "b.py", "line 1: ZeroDivisionError: division by zero"),
        ("def f(:", "c.py", "line 1: SyntaxError"),
        ("def matmul(a, b, out): pass", "d.py", "matmul must be matmul(a, b, out, trans_a=False"),
        ("hello", "e.txt", "kernels are in a .py or a .cu file"),
        (
            'extern "C" __global__ void axpy(int q, real* y) {}',
            "f.cu",
            "axpy has the parameter 'q'; it may have: alpha,",
        ),
        (
            '// launch axpy: grid (w), block (1)\nextern "C" __global__ void axpy(real* y) {}',
            "g.cu",
            "w is none of m, n",
        ),
        ('extern "C" __global__ void axpy(real* y) { oops }', "h.cu", "h.cu:1"),
    ],
)
def test_a_file_that_cannot_be_checked_is_refused_in_one_line(
    text: str, name: str, words: str, write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    backend = "emulator" if name.endswith("u") else "auto"
    assert words in refused(capsys, "check", write(text, name), "--backend", backend)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "No such file" in refused(capsys, "check", tmp_path / "none.py")


def test_watching_checks_again_when_the_file_is_saved(write: Write) -> None:
    path = write("def bce_gradient(z, x, scale, out): out[:] = z - x")
    command = [sys.executable, "-u", "-m", "fastae", "check", str(path), "--watch"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    try:
        lines = iter(process.stdout.readline, "")
        assert any("WRONG" in line for line in lines)
        assert any("watching" in line for line in lines)
        time.sleep(0.1)
        path.write_text("def bce_gradient(z, x, scale, out): out[:] = scale * (z - x)")
        assert "right" in next(line for line in lines if "bce_gradient" in line)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.parametrize(
    ("style", "loss", "momentum"),
    [
        *(("NumPy", "mse", "0.9"), ("NumPy", "bce", "0"), ("CUDA", "mse", "0.9"), ("CUDA", "bce", "0")),
        pytest.param("Numba", "bce", "0.9", marks=pytest.mark.thorough),  # whose step takes a while to compile
    ],
)
def test_training_with_a_kernel_of_ones_own(style: str, loss: str, momentum: str, write: Write, tmp_path: Path) -> None:
    path = write(CUDA, "mine.cu") if style == "CUDA" else write(RIGHT[style])
    losses = []
    for more in (["--kernels", str(path)], []):
        backend = ["--backend", "numpy"] if not more else ["--backend", "emulator"] if style == "CUDA" else []
        options = ["--loss", loss, "--momentum", momentum, "--lr", "0.01", "--limit", "20", "--epochs", "2"]
        assert cli.main(["train", *options, *backend, *more, "--out", str(tmp_path), "--no-progress"]) == 0
        losses.append(json.loads((tmp_path / "history.json").read_text())["epochs"][-1]["train_loss"])
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_training_is_done_by_the_learners_kernel(write: Write, tmp_path: Path) -> None:
    path = write("def bce_gradient(z, x, scale, out): out[:] = 0")
    options = ["--loss", "bce", "--limit", "50", "--epochs", "1", "--out", str(tmp_path), "--no-progress"]
    assert cli.main(["train", *options, "--kernels", str(path)]) == 0
    model, fresh = fastae.Autoencoder.load(tmp_path / "model.npz"), fastae.Autoencoder()
    for found, before in zip(model.weights, fresh.weights):
        np.testing.assert_array_equal(found, before)


def test_a_kernel_that_raises_ends_in_one_line(
    write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write("def bias_sigmoid(z, bias, out): out[:] = z + missing")
    told = refused(capsys, "train", "--kernels", path, "--limit", 20, "--out", tmp_path, "--no-progress")
    assert told == "fastae: bias_sigmoid failed: NameError: name 'missing' is not defined\n"


def test_what_numba_cannot_compile_is_told_in_one_line(
    write: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write("""
        from numba import njit
        @njit
        def bias_sigmoid(z, bias, out):
            out[:] = missing(z)
        """)
    assert cli.main(["check", str(path)]) == 1
    assert "bias_sigmoid failed: TypingError: NameError: name 'missing' is not defined" in capsys.readouterr().out
    told = refused(capsys, "train", "--kernels", path, "--limit", 20, "--out", tmp_path, "--no-progress")
    assert told == "fastae: Numba cannot compile the kernels into the step: NameError: name 'missing' is not defined\n"


def test_kernels_belong_to_a_backend(write: Write) -> None:
    with pytest.raises(InputError, match="belong to the backend 'numpy', not 'numba'"):
        learner.load(write(RIGHT["NumPy"]), "numba")
    with pytest.raises(InputError, match="run on cupy or emulator, not on 'numpy'"):
        learner.load(write(CUDA, "mine.cu"), "numpy")


def test_a_message_in_colours_is_told_without_them() -> None:
    assert gist(ValueError("Failed in nopython mode\n\x1b[1m\x1b[1mNameError: no\x1b[0m")) == "NameError: no"
