"""Rubrics: what is wrong in one is named, with what was expected."""

from pathlib import Path

import pytest

from fastae import cli
from fastae.errors import InputError
from fastae.grade import rubric
from fastae.ladder.rungs import between, reached


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "kernels: none is wanted; expected a table such as [kernels.matmul] for each"),
        ("kernels = 3", "kernels: found 3; expected a table, [kernels]"),
        ("x = [", "cannot read the rubric"),
        ("[kernels.matmul]", "kernels.matmul.points is missing; expected a number of points from 0 on"),
        ("[kernels.matmull]\npoints = 1", "kernels.matmull: unknown, with the value {'points': 1}; expected one of: m"),
        ("[kernels.matmul]\npoints = true", "kernels.matmul.points: found True; expected a number of points"),
        ("[kernels.matmul]\npoints = nan", "kernels.matmul.points: found nan; expected a number of points"),
        ("[kernels.matmul]\npoints = -1", "kernels.matmul.points: found -1; expected a number of points"),
        ("[kernels.matmul]\npoint = 1", "kernels.matmul.points is missing"),
        (
            "[kernels.matmul]\npoints = 1\nspead = 2",
            "kernels.matmul.spead: unknown, with the value 2; expected one of: ",
        ),
        ("seed = -1\n", 'seed: found -1; expected "fresh", or a whole number from 0 on'),
        ("seed = 'old'\n", "seed: found 'old'; expected"),
        ("seconds = 0\n", "seconds: found 0; expected a positive number"),
        ("backend = 'numba'\n", "backend: found 'numba'; expected one of 'auto', 'emulator', 'cupy'"),
        ("imprecise = 2\n", "imprecise: found 2; expected a part from 0 to 1"),
        ("start = 'mine.py'\n", "start: found 'mine.py'; expected a list of files"),
        ("start = ['mine.py']\n", "start: there is no file"),
        ("[copies]\nstudents = 1\n", "copies.students: unknown, with the value 1; expected one of: student, lib"),
        ("[copies]\nstudent = '0'\n", "copies.student: found '0'; expected a part from 0 to 1"),
        ("titel = 'x'\n", "titel: unknown, with the value 'x'; expected one of: seed,"),
        (
            "[kernels.matmul]\npoints = 1\nlanguage = 'c'",
            "kernels.matmul.language: found 'c'; expected one of 'any', 'numpy', 'numba', 'cuda'",
        ),
        ("[kernels.matmul]\npoints = 1\nspeed = 2", "kernels.matmul.speed: found 2; expected an array of tables"),
        (
            "[kernels.matmul]\npoints = 1\n[[kernels.matmul.speed]]\nshape = '128 x 784'",
            "kernels.matmul.speed[0].shape: found '128 x 784'; expected one of: 'forward, batch 16'; ",
        ),
        (
            "[kernels.matmul]\npoints = 1\n[[kernels.matmul.ladder]]\nrung = 9",
            "kernels.matmul.ladder[0].rung: found 9; expected a whole number from 1 to 8",
        ),
        (
            "[kernels.axpy]\npoints = 1\n[[kernels.axpy.ladder]]\nrung = 1",
            "kernels.axpy.ladder: there is no ladder of axpy; there is one of: matmul, convolve",
        ),
    ],
)
def test_what_is_wrong_in_a_rubric_is_named(text: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "rubric.toml"
    rest = "" if "kernels" in text or not text or text == "x = [" else "[kernels.matmul]\npoints = 1\n"
    path.write_text(text + rest)
    with pytest.raises(InputError) as error:
        rubric.read(path)
    assert told in str(error.value)
    assert str(error.value).startswith((f"{path}: ", f"cannot read the rubric {path}: "))


def test_the_example_is_a_rubric_with_every_key_at_its_default(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["grade", "--example-rubric"]) == 0
    path, least = tmp_path / "example.toml", tmp_path / "least.toml"
    path.write_text(capsys.readouterr().out, encoding="utf-8")
    least.write_text("[kernels.bce_gradient]\npoints = 3\n")
    read, plain = rubric.read(path), rubric.read(least)
    assert read.kernels["bce_gradient"] == plain.kernels["bce_gradient"]
    assert [threshold.describe() for threshold in read.kernels["bias_sigmoid"].thresholds] == [
        "5% of the limit on 128 x 784",
        "rung 2 of the ladder",
    ]
    for key in ("title", "seed", "seconds", "backend", "start", "copies"):
        assert getattr(read, key) == getattr(plain, key)


def test_the_rung_is_read_from_what_the_ladder_says() -> None:
    told = [f"rung {i} (name {i}, 3 GB/s)" for i in range(1, 6)]
    for highest in range(6):
        assert reached(between(told, [i < highest for i in range(5)])) == highest
    assert reached(f"1,234 modelled cycles, {between(told, [True, True, False, False, False])}") == 2
    assert reached("") == 0
