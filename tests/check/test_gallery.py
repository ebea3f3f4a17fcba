"""The gallery: each file is wrong, and its cause is named at any shape; and ``fastae check --gallery``."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import refused
from learner_files import Write, loaded
from matplotlib import image
from sampling import SEEDS, sample

from fastae import cli
from fastae.check import exhibits, learner, verdict
from fastae.check.calls import shapes
from fastae.check.calls.evidence import WHEN

GALLERY = exhibits.exhibits()
PRODUCTS = (  # odd primes, and more than a tile of 8, 16, 32 or 64
    (1, 1, 1),
    (3, 5, 2),
    (7, 1, 13),
    (1, 11, 3),
    (11, 2, 1),
    (9, 9, 9),
    (13, 19, 23),
    (37, 41, 17),
    (70, 97, 67),
)
IMAGES = (  # m, height, width, channels, kernel, stride, padding
    (1, 1, 1, 1, 1, 1, 0),
    (1, 1, 2, 2, 3, 1, 1),
    (3, 4, 3, 1, 2, 2, 0),
    (2, 3, 5, 2, 3, 1, 2),
    (1, 7, 4, 3, 3, 2, 1),
    (2, 5, 9, 2, 4, 3, 1),
    (1, 9, 7, 5, 5, 2, 4),
)
MATRICES = ((1, 1), (1, 7), (7, 1), (3, 11), (9, 9), (13, 67), (37, 131))


def first_problem(exhibit: exhibits.Exhibit, seed: int, k: Any = None) -> verdict.Problem:
    k = k or loaded(exhibit.path)
    assert len(k.kernels) == 1
    found = verdict.examine(k, k.kernels[0], seed)
    assert found.verdict == exhibit.verdict, f"{exhibit.name} is called {found.verdict} with seed {seed}"
    return found.problems[0]


@pytest.mark.larger
@pytest.mark.parametrize("exhibit", sample(GALLERY[::-1], 20, lambda exhibit: exhibit.name))
def test_each_is_called_wrong_and_its_cause_comes_first(
    exhibit: exhibits.Exhibit, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Compiled once; those in NumPy anew each time, for one of them keeps answers.
    k = None if "njit" not in exhibit.path.read_text() else learner.load(exhibit.path)
    for seed in range(SEEDS):
        if seed == 1:
            monkeypatch.setattr(shapes, "PRODUCTS", PRODUCTS)
            monkeypatch.setattr(shapes, "MATRICES", MATRICES)
            monkeypatch.setattr(shapes, "IMAGES", IMAGES)
        problem = first_problem(exhibit, seed, k)
        assert re.search(exhibit.cause, " ".join([problem.what, *problem.causes[:1]])), (seed, problem)


def test_the_gallery_is_large_and_every_file_says_what_it_shows() -> None:
    assert len(GALLERY) >= 30
    assert {exhibit.path.suffix for exhibit in GALLERY} == {".py", ".cu"}
    assert sum("njit" in exhibit.path.read_text() for exhibit in GALLERY) >= 5
    assert [e.name for e in GALLERY if e.verdict != "wrong"] == ["bias_sigmoid_cancels", "bias_tanh_cancels"]
    for exhibit in GALLERY:
        assert exhibit.title.endswith("."), exhibit.name
        assert exhibit.cause, exhibit.name
        assert "\n" not in exhibit.cause, exhibit.name
    assert exhibits.find("matmul_race.cu") == exhibits.find("matmul_race")


# The command.


def test_the_list_has_a_line_for_each(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check", "--gallery"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for exhibit in GALLERY:
        assert any(line.split() == [exhibit.name, *exhibit.title.split()] for line in lines)
    assert cli.main(["check", "--gallery", "--json"]) == 0
    assert [entry["name"] for entry in json.loads(capsys.readouterr().out)] == [exhibit.name for exhibit in GALLERY]


def test_one_is_checked_as_if_it_were_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check", "--gallery", "matmul_ignores_transposition", "--seed", "5"]) == 1
    out = capsys.readouterr().out
    assert "  likely: trans_b is ignored\n" in out
    assert f"  {WHEN} only where trans_b is set\n" in out
    assert out.endswith("to see it again: fastae check --gallery matmul_ignores_transposition --seed 5\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "give a FILE to check, or --gallery"),
        (["mine.py", "--gallery"], "either a FILE or --gallery, not both"),
        (["mine.py", "--gallery", "matmul_race"], "either a FILE or --gallery, not both"),
        (["--gallery", "matmul_races"], "there is no 'matmul_races' in the gallery; it has: axpy_replaces,"),
        (["--gallery", "mse_loss_mean", "--watch"], "leave out --watch"),
        (["--gallery", "mse_loss_mean", "--backend", "cupy"], "belong to the backend 'numpy', not 'cupy'"),
        (["--gallery", "mse_loss_mean", "--seed", "-1"], "--seed must not be negative; got -1"),
        (["--gallery", "mse_loss_mean", "--out", __file__], "cannot make the folder"),
        (["a\0b.py"], "cannot read the kernels"),
        ([str(Path(__file__).parent)], "cannot read the kernels"),
    ],
)
def test_what_makes_no_sense_ends_in_one_line(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert words in refused(capsys, "check", *arguments)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("raise SystemExit(0)", "line 1: SystemExit"),
        ("from numpy import matmul", "matmul must be "),  # its signature, where NumPy tells it
        ("axpy = max", "axpy must be a function axpy(alpha, x, y) in Python"),
        ("axpy = 3", "defines no kernel of the contract"),
        ("import missing_module", "line 1: ModuleNotFoundError"),
        ("\ufffe\0", "line"),
    ],
)
def test_a_file_of_any_kind_ends_in_one_line(
    text: str, words: str, write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    assert words in refused(capsys, "check", write(text))


def test_nothing_is_printed_but_the_verdict(write: Write, capfd: pytest.CaptureFixture[str]) -> None:
    """No warning of NumPy's or Numba's, and in JSON nothing that the kernel prints."""
    path = write(
        "import warnings\n"
        "import numpy as np\n"
        "def bias_sigmoid(z, bias, out):\n"
        "    print('hello')\n"
        "    warnings.warn('careful')\n"
        "    out[:] = 1 / (1 + np.exp(-(z + bias)))\n"
    )
    assert cli.main(["check", str(path), "--no-speed", "--json"]) == 0
    captured = capfd.readouterr()
    assert json.loads(captured.out)["right"]
    assert set(captured.err.split()) == {"|", "hello"}
    assert cli.main(["check", "--gallery", "bias_sigmoid_overflows"]) == 1
    assert capfd.readouterr().err == ""


# The pictures.


@pytest.mark.parametrize(
    ("name", "kernel"),
    [
        ("mse_loss_mean", "mse_loss"),
        pytest.param("matmul_last_rows", "matmul", marks=pytest.mark.thorough),
        pytest.param("bias_sigmoid_overflows", "bias_sigmoid", marks=pytest.mark.thorough),
    ],
)
def test_a_picture_is_drawn_and_named(
    name: str, kernel: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "new" / f"{kernel}-errors.png"
    assert cli.main(["check", "--gallery", name, "--out", str(path.parent)]) == 1
    assert f"  see {path}\n" in capsys.readouterr().out
    path.unlink()
    assert cli.main(["check", "--gallery", name, "--out", str(path.parent), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["kernels"][0]["problems"][0]["picture"] == str(path)
    assert min(image.imread(path).shape[:2]) > 200
    assert [p.name for p in path.parent.iterdir()] == [path.name]


@pytest.mark.thorough
def test_every_element_of_a_picture_has_the_colour_of_what_it_is(tmp_path: Path) -> None:
    from fastae.check import pictures

    share = np.array([[0.2, 50.0, np.nan], [np.inf, 0.0, 1.0]])
    problem = verdict.Problem("some are wrong", "m=2, n=3", ["a cause"], share > 1, share)
    pictures.draw(tmp_path / "a.png", "matmul", problem)
    drawn = {
        tuple(colour) for colour in np.rint(image.imread(tmp_path / "a.png")[..., :3] * 255).astype(int).reshape(-1, 3)
    }
    for colour in (pictures.RIGHT, pictures.NAN, pictures.INFINITE):
        assert tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5)) in drawn
    for shape in ((1,), (784,), (1, 1), (1, 784), (784, 1), (784, 256)):  # none too thin or too large to be drawn
        share = np.full(shape, 3.0)
        pictures.draw(tmp_path / "b.png", "axpy", verdict.Problem("wrong", "so", [], share > 1, share))
        height, width = image.imread(tmp_path / "b.png").shape[:2]
        assert 200 < height < 1600
        assert 800 < width < 1800


def test_a_right_kernel_leaves_no_picture(write: Write, tmp_path: Path) -> None:
    path = write("def bce_gradient(z, x, scale, out): out[:] = scale * (z - x)")
    assert cli.main(["check", str(path), "--no-speed", "--out", str(tmp_path / "out")]) == 0
    assert not list((tmp_path / "out").iterdir())
