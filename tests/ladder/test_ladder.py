"""The ladders for the CPU: every rung is right, few lines from the one before, and faster; exercises made of them."""

import difflib
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sampling import SEEDS, seconds

from fastae import backends, cli
from fastae.backends.contract import KERNELS as CONTRACT
from fastae.bench.limits import Limits
from fastae.check import learner, verdict
from fastae.check.calls import shapes
from fastae.check.speed import works
from fastae.errors import InputError
from fastae.ladder import climb, exercises, rungs
from fastae.ladder.rungs import KERNELS, LANGUAGES, Rung, ladder, split

CPU = [r for name in KERNELS for language in ("numpy", "numba") for r in ladder(name, language)[:-1]]
ALL = [r for name in KERNELS for language in LANGUAGES for r in ladder(name, language)[:-1]]
MOST_NEW_LINES = 24


def problems(k: Any, names: Any, seed: int) -> list[verdict.Problem]:
    return [problem for name in names for problem in verdict.examine(k, name, seed).problems]


@pytest.mark.parametrize("rung", seconds(CPU))
@pytest.mark.larger
def test_every_rung_is_right_over_the_seeds(rung: Rung, monkeypatch: pytest.MonkeyPatch) -> None:
    k = rung.load()
    assert (k.name, k.kernels) == (rung.language, (rung.kernel,))
    if rung.language == "numba" and SEEDS <= 3:
        monkeypatch.setattr(shapes, "DTYPES", ("float32",))  # compiled for one type
    assert problems(k, k.kernels, 0) == []
    if rung.language == "numpy":  # Numba's are compiled into a step, for half a minute: some, by test_cheats.py
        assert verdict.model_gradient(k, 0) is None
    monkeypatch.setattr(verdict, "SECONDS", 0.05)  # then only the small shapes are left
    for seed in range(1, SEEDS):
        assert problems(k, k.kernels, seed) == [], seed


@pytest.mark.parametrize("name", ["numpy", "numba", "emulator"])
@pytest.mark.thorough
def test_every_backend_is_right_over_the_seeds(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    k = backends.get(name)
    for seed in range(SEEDS):
        monkeypatch.setattr(verdict, "SECONDS", 0.05 if seed else verdict.SECONDS)
        assert problems(k, CONTRACT, seed) == [], seed


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_ladder_says_what_it_should(name: str, language: str) -> None:
    found = ladder(name, language)
    assert [rung.number for rung in found] == list(range(1, len(found) + 1))
    assert len(found) >= 4
    assert found[-1].path is None
    for rung in found[:-1]:
        assert rung.title
        assert rung.idea
        assert rung.hint
        assert (rung.gain is None) == (rung.number == 1), rung.exercise
        assert rung.gain is None or rung.gain > 0, rung.exercise
        assert len(exercises.IDEA.findall(rung.source)) == 1, rung.exercise


def test_names_of_ladders_and_their_synonyms() -> None:
    assert ladder("bias_sigmoid", "numpy") is not None
    assert ladder("convolve", "numpy") == ladder("conv", "numpy")
    assert ladder("mse_gradient", "emulator")[0].language == "cuda"
    with pytest.raises(InputError, match="there is no ladder 'gather'; the ladders are: matmul, conv, sigmoid"):
        ladder("gather", "numpy")
    with pytest.raises(InputError, match="there is no ladder for 'jax'"):
        ladder("matmul", "jax")


@pytest.mark.parametrize("rung", [rung for rung in CPU if rung.number > 1], ids=lambda rung: rung.exercise)
def test_a_rung_is_a_few_lines_from_the_one_before(rung: Rung) -> None:
    below = ladder(rung.ladder, rung.language)[rung.number - 2]
    before, after = (split(exercises.solution(r))[1].splitlines() for r in (below, rung))
    new = [line for line in difflib.ndiff(before, after) if line.startswith("+ ") and line[2:].strip()]
    assert 0 < len(new) <= MOST_NEW_LINES


# Speed.


@pytest.mark.thorough
def test_a_ladder_is_climbed() -> None:
    """Naive loops in the interpreter are far below BLAS; a slow rung is timed on fewer images."""
    found = ladder("matmul", "numpy")
    chosen = [found[0], found[3]]
    kernels = [(rung.name, rung.function()) for rung in chosen]
    machine, (loops, whole) = climb.climb(kernels, "matmul", 128, climb.Cpu(1), rounds=3)
    assert loops.images < 128 == whole.images
    assert whole.gain is not None
    assert whole.gain > 100
    assert loops.gain is None
    assert whole.rate == pytest.approx(2 * 128 * 784 * 256 / whole.seconds)
    assert 0 < loops.share < 0.01 < whole.share
    assert machine.flops > whole.rate / 8


@pytest.mark.thorough
def test_a_ladder_for_a_gpu_is_timed_in_graphs(cupy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also on the stand-in, whose times are meaningless."""
    device = cupy.launcher.cupy.cuda.Device
    if not hasattr(cupy.launcher.cupy, "show_config"):  # the stand-in
        says = {"ClockRate": 1_755_000, "MemoryClockRate": 2_619_000, "GlobalMemoryBusWidth": 5120}
        monkeypatch.setattr(device, "attributes", device.attributes | says)
        monkeypatch.setattr(climb, "LAUNCHES", 2)
    found = ladder("loss_gradient", "cupy")
    kernels = [(rung.name, rung.function()) for rung in found]
    machine, heights = climb.climb(kernels, "mse_gradient", 2, climb.Gpu(cupy), rounds=1)
    assert [height.name for height in heights] == [rung.name for rung in found]
    assert all(height.seconds > 0 for height in heights)
    assert machine.far > 1e10
    assert machine.flops in (2 * machine.near, 4 * machine.near)  # 64 or 128 multiply-adds, and 64 bytes a cycle


@pytest.mark.parametrize("product", ["forward", "backward", "update"])
def test_the_three_products_are_timed_as_the_step_has_them(product: str) -> None:
    work = climb.work_of("matmul", 16, product)
    assert work.flops == 2 * 16 * 784 * 256
    a, b, out, trans_a, trans_b, *_ = work.arguments()
    assert (trans_a, trans_b) == {"forward": (0, 0), "backward": (0, 1), "update": (1, 0)}[product]
    shape = [(x.shape[::-1] if t else x.shape) for x, t in ((a, trans_a), (b, trans_b))]
    assert (shape[0][0], shape[1][1]) == out.shape
    assert all(x.ctypes.data % 64 == 0 and x.flags.c_contiguous for x in (a, b, out))
    with pytest.raises(InputError, match="unknown product"):
        climb.work_of("matmul", 16, "sideways")


def test_a_place_on_the_ladder(monkeypatch: pytest.MonkeyPatch) -> None:
    found = ladder("matmul", "numpy")
    standing = tuple((rung, 10.0**rung.number * 1e9) for rung in found)
    monkeypatch.setattr(climb, "standing", lambda *which: standing)
    assert climb.place("matmul", "numpy", 16, 5e9) == "below rung 1 (loops, 10 GFLOP/s)"
    assert climb.place("matmul", "numpy", 16, 5e11).startswith("between rung 2 (dot, 100 GFLOP/s) and rung 3 (row, ")
    assert climb.place("matmul", "numpy", 16, 1e20).endswith("(backend, 1e+06 GFLOP/s), the top")


def test_work_is_what_the_contract_counts() -> None:
    for name in CONTRACT:
        for work in works(name, 16):
            assert work.kernel == name
            assert work.bytes > 0
            assert len(work.arguments()) == len(CONTRACT[name].parameters.parameters)


# Exercises.


@pytest.mark.parametrize("rung", seconds(CPU))
def test_a_starter_compiles_and_is_wrong_and_its_solution_is_the_rung(
    rung: Rung, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = exercises.start(rung, tmp_path / "starter.py")
    monkeypatch.setattr(shapes, "DTYPES", ("float32",))  # compiled for one type
    text = " ".join(path.read_text().replace("#", " ").split())
    assert f"Your turn: {rung.hint}" in text
    assert not re.search(r"# (idea|end)$", path.read_text(), re.MULTILINE)
    found = problems(learner.load(path), [rung.kernel], 1)
    assert found
    assert "failed" not in found[0].what  # it is a kernel, only a wrong one
    solved = exercises.start(rung, tmp_path / "solved.py", solved=True)
    assert split(solved.read_text())[1] == split(exercises.solution(rung))[1]


def test_an_exercise_is_found_by_its_name() -> None:
    assert exercises.find("matmul-numba-2").name == "order"
    with pytest.raises(InputError, match="there is no exercise 'matmul-numba-99'"):
        exercises.find("matmul-numba-99")


@pytest.mark.alone  # it is timed: beside thirty other processes a slow kernel once reached the goal
@pytest.mark.thorough
def test_an_exercise_from_start_to_goal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    name = "loss_gradient-numpy-3"
    assert cli.main(["exercise", "start", name]) == 0
    assert cli.main(["exercise", "start", name]) == 2
    assert "exists already" in capsys.readouterr().err
    assert cli.main(["exercise", "check", name]) == 1
    assert "mse_gradient: WRONG" in capsys.readouterr().out
    path = Path(f"{name}.py")
    starter = path.read_text()

    slow = "for i in range(len(z)):\n        out[i] = 2 * scale * (z[i] - x[i]) * z[i] * (1 - z[i])"
    path.write_text(starter.replace("pass", slow))
    assert cli.main(["exercise", "check", name]) == 1  # right, but without the idea
    out = capsys.readouterr().out
    assert "mse_gradient: right" in out
    assert "the goal: NOT REACHED: yours is" in out

    path.write_text(starter.replace("pass", "out[:] = 2 * scale * (z - x) * z * (1 - z)"))
    assert cli.main(["exercise", "check", name]) == 0
    assert "the goal: reached" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["exercise", "start"], "needs a name"),
        (["exercise", "start", "no-such-1"], "there is no exercise 'no-such-1'"),
        (["exercise", "start", "matmul-numpy-1", "--file", "x.cu"], "must end in .py"),
        (["exercise", "start", "matmul-numpy-1", "--file", "none/x.py"], "No such file or directory"),
        (["exercise", "check", "matmul-numpy-1"], "fastae exercise start matmul-numpy-1 writes it"),
        (["exercise", "check", "matmul-numpy-1", "--file", "other.py"], "does not define matmul"),
        (["exercise", "check", "sigmoid-numba-1", "--file", "other.py"], "is for numpy; the exercise is for numba"),
        (["ladder", "gather"], "there is no ladder 'gather'"),
        (["ladder", "matmul", "--backend", "torch"], "there is no ladder for 'torch'"),
        (["ladder", "matmul", "--show", "77"], "the rungs 1 to"),
        (["ladder", "matmul", "--batch-size", "0"], "must be a positive whole number; got 0"),
        (["ladder", "matmul", "--product", "up"], "unknown product 'up'"),
        (["ladder", "matmul", "--rounds", "0"], "--rounds must be a positive whole number"),
    ],
)
def test_bad_input_ends_in_one_line(
    arguments: list[str],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("other.py").write_text("def bias_sigmoid(z, bias, out): pass\n")
    assert cli.main(arguments) == 2
    error = capsys.readouterr().err
    assert words in error
    assert len(error.splitlines()) == 1


# The commands.


@pytest.mark.parametrize(
    ("name", "title", "row"),
    [
        (
            "loss_gradient",
            r"loss_gradient in numpy, 8 x 784: limit of \d+ cores? 50 GB/s \(memory\)$",
            r"2 rows +[\d.]+ +[\d.]+% +[\d.]+ +100 ",
        ),
        pytest.param(
            "conv",
            r"conv in numpy, 8 x 14 x 14 x 16.* 100 GFLOP/s \(multiply-adds\)$",
            "3 unfold ",
            marks=pytest.mark.thorough,
        ),
    ],
    ids=["loss_gradient", "conv"],
)
def test_the_command_climbs_and_draws(
    name: str,
    title: str,
    row: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With given limits: on a busy machine any of those that are measured may be the lowest."""
    monkeypatch.setattr(climb.Cpu, "limits", lambda cpu: Limits(cpu.workers, 1e11, 5e10, 1e10))
    monkeypatch.setattr(climb, "ENOUGH", 0.02)
    command = ["ladder", name, "--backend", "numpy", "--rounds", "1", "--batch-size", "8"]
    assert cli.main([*command, "--out", str(tmp_path / "new")]) == 0
    out = capsys.readouterr().out
    assert re.match(title, out, re.M)
    assert re.search(f"^{row}", out, re.M)
    found = json.loads((tmp_path / "new" / f"{name}-numpy.json").read_text())
    assert [entry["rung"] for entry in found["rungs"]] == [r.name for r in ladder(name, "numpy")]
    assert (tmp_path / "new" / f"{name}-numpy.png").read_bytes().startswith(b"\x89PNG")


def test_rungs_are_listed_and_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["ladder"]) == 0
    out = capsys.readouterr().out
    assert all(rung.exercise in out for rung in ALL)
    assert cli.main(["exercise", "list"]) == 0
    out = capsys.readouterr().out
    assert all(rung.exercise in out for rung in ALL)
    assert cli.main(["ladder", "matmul", "--backend", "numpy", "--show", "2"]) == 0
    out = capsys.readouterr().out
    assert "+             total = A[i] @ B[:, j]" in out
    assert "              for k in" not in out
    assert "idea\n" not in out
    assert cli.main(["ladder", "matmul", "--show", str(len(ladder("matmul", "numba")))]) == 0
    assert "the backend's own kernel" in capsys.readouterr().out


def test_a_right_kernel_is_told_its_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mine.py"
    path.write_text("def mse_gradient(z, x, scale, out): out[:] = 2 * scale * (z - x) * z * (1 - z)\n")
    assert cli.main(["check", str(path)]) == 0
    assert re.search(r"its place: (between|above) rung \d .*: fastae ladder loss_gradient --backend numpy",
                     capsys.readouterr().out)  # fmt: skip


def test_what_is_read_from_a_header() -> None:
    python, cuda = '"""Title.\n\nIdea: one\ntwo.\n"""\n\ncode\n', "// Title.\n//\n// Idea: one\n// two.\n\ncode\n"
    for text in (python, cuda):
        header, code = rungs.split(text)
        assert header.split() == ["Title.", "Idea:", "one", "two."]
        assert code == "code\n"


@pytest.mark.thorough
def test_rungs_write_into_blocks_of_wider_arrays() -> None:
    """What the verdict does too; here for the widest tiles, on an odd shape."""
    rng = np.random.default_rng(0)
    for rung in ladder("matmul", "numba")[:-1]:
        a, b = rng.normal(size=(37, 600)).astype("f4"), rng.normal(size=(600, 91)).astype("f4")
        around = np.full((39, 97), np.nan, "f4")
        rung.function()(a, b, around[1:38, 3:94], False, False, 1.0, 0.0)
        np.testing.assert_allclose(around[1:38, 3:94], a.astype("f8") @ b, atol=1e-3)
        assert np.isnan(around).sum() == around.size - 37 * 91
