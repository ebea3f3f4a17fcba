"""``fastae grade`` with the check itself: a few files, and the ten submissions of ``tests/grade/submissions``."""

import json
import shutil
from pathlib import Path

import pytest
from grading import BODY, RUBRIC, Class

from fastae import cli
from fastae.grade.rubric import EXAMPLE

SUBMISSIONS = Path(__file__).parent / "submissions"
HONEST, HOSTILE = ("ada", "bert", "carl", "dora"), ("gita", "hugo", "ines", "jana")


def graded(group: Class, *options: object) -> int:
    """Grade with ``fastae check``."""
    given = ["grade", group.folder, "--rubric", group.rubric, "--out", group.out, *options]
    return cli.main([str(word) for word in given])


def test_a_right_a_wrong_and_an_unreadable_one(group: Class, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a folder with a file that would be imported in place of NumPy, if the current one were searched."""
    group.hand_in("right.py", "")
    group.hand_in("wrong.py", "", BODY.replace("scale * ", ""))
    group.hand_in("latin.py", "").write_bytes(b"# \xe9\n" + BODY.encode())
    (group.folder / "numpy.py").write_text(BODY + "raise SystemExit('this is not NumPy')\n")
    monkeypatch.chdir(group.folder)
    assert graded(group) == 1
    assert {name: group.mark(name) for name in ("right", "wrong", "latin", "numpy")} == {
        "right": ("right", 4),
        "wrong": ("wrong", 0),
        "latin": ("not judged", 0),
        "numpy": ("not judged", 0),
    }
    page = group.page("wrong")
    assert "likely: scale is left out" in page
    assert "    fastae check wrong.py --seed 7\n" in page
    assert "numpy.py, line 4: SystemExit: this is not NumPy" in group.page("numpy")
    for name in ("right", "wrong", "latin", "numpy"):
        assert str(group.folder) not in group.page(name)
        assert "fastae-grade-" not in group.page(name)
        assert "Traceback" not in group.page(name)


@pytest.fixture(scope="module")
def ten(tmp_path_factory: pytest.TempPathFactory) -> tuple[Class, int]:
    """Give the ten submissions, and the exit status of their grading."""
    group = Class(tmp_path_factory.mktemp("ten"))
    shutil.copytree(SUBMISSIONS, group.folder, dirs_exist_ok=True)
    group.rubric = group.folder / "rubric.toml"
    before = {path: path.read_bytes() for path in group.folder.rglob("*") if path.is_file()}
    status = graded(group, "--jobs", 2)
    assert {path: path.read_bytes() for path in group.folder.rglob("*") if path.is_file()} == before
    return group, status


@pytest.mark.thorough
def test_the_honest_of_ten_get_the_points_that_they_earned(ten: tuple[Class, int]) -> None:
    group, status = ten
    assert status == 1
    assert [group.mark(name, "matmul") for name in HONEST] == [
        ("right", 2.5),
        ("right", 2.5),
        ("right", 5),
        ("right", 5),
    ]
    assert [group.mark(name)[1] for name in ("ada", "bert", "carl")] == [3, 3, 0]
    assert group.mark("fred", "matmul") == ("wrong", 0)
    assert "it does not return" in group.page("fred")
    assert "emil.py, line 1: ModuleNotFoundError: No module named 'numpi'" in group.page("emil")


@pytest.mark.thorough
@pytest.mark.parametrize("name", HOSTILE)
def test_the_hostile_of_ten_get_no_points(name: str, ten: tuple[Class, int]) -> None:
    group, _ = ten
    student = group.student(name)
    assert student["points"] == 0
    assert {kernel["verdict"] for kernel in student["kernels"]} <= {"wrong", "refused", "not judged"}


@pytest.mark.thorough
def test_no_page_of_ten_names_another_student(ten: tuple[Class, int]) -> None:
    group, _ = ten
    names = {student["student"] for student in json.loads((group.out / "grades.json").read_text("utf-8"))["students"]}
    assert len(names) == 10
    for name in names:
        page = group.page(name)
        assert not [other for other in names - {name} if other in page]
        assert "Traceback" not in page


@pytest.mark.thorough
def test_the_example_rubric_with_speed(group: Class) -> None:
    text = EXAMPLE.replace("rung = 2", "rung = 1")  # with arrays rather than loops; the next are as near as noise
    group.rubric.write_text(text, encoding="utf-8")
    sigmoid = "import numpy as np\n\n\ndef bias_sigmoid(z, bias, out):\n    out[:] = 1 / (1 + np.exp(-(z + bias)))\n"
    group.hand_in("ada.py", "", BODY + sigmoid)
    assert graded(group) == 0
    (kernel,) = [k for k in group.student("ada")["kernels"] if k["kernel"] == "bias_sigmoid"]
    share, rung = kernel["thresholds"]
    assert share["found"].endswith("%")
    assert (rung["asked"], rung["reached"]) == ("rung 1 of the ladder", True)
    assert kernel["points"] == 4 + share["reached"] + 1


@pytest.mark.thorough
def test_cuda_on_the_emulator_has_a_place_on_the_ladder(group: Class) -> None:
    rungs = "".join(f"[[kernels.bias_sigmoid.ladder]]\nrung = {rung}\npoints = 1\n" for rung in (1, 2))
    wanted = RUBRIC.replace("bce_gradient", "bias_sigmoid") + 'language = "cuda"\n'
    group.rubric.write_text(f'backend = "emulator"\n{wanted}{rungs}')
    source = Path(__file__).parents[2] / "fastae" / "ladder" / "sigmoid" / "cuda" / "1_rows.cu"
    shutil.copy(source, group.folder / "ada.cu")
    assert graded(group) == 0
    assert group.mark("ada", "bias_sigmoid") == ("right", 5)
    assert group.student("ada")["kernels"][0]["same_as"]["of"] == ["rung 1 of the ladder sigmoid in cuda"]
