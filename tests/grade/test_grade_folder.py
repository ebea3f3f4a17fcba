"""The folder of submissions: files with any name, and wrong options."""

import csv
import io
import json
import os
import re
from pathlib import Path

import pytest
from command_line import posix
from grading import BODY, RUBRIC, Class, names

from fastae import cli
from fastae.grade import submissions


def shown(group: Class) -> dict[str, list[str]]:
    """Return the message about each student's files."""
    found = json.loads((group.out / "grades.json").read_text(encoding="utf-8"))
    return {student["student"]: student["notes"] for student in found["students"]}


def test_what_is_no_submission_is_named_and_left(group: Class, capsys: pytest.CaptureFixture[str]) -> None:
    group.hand_in("ada.py", "right bce_gradient")
    group.hand_in("bert/mine.cu", "right bce_gradient")
    for name in ("notes.txt", ".hidden.py", "bert/mine.o", "bert/.hidden.cu", "bert/more/deep.py"):
        (group.folder / name).parent.mkdir(exist_ok=True)
        (group.folder / name).write_text("x")
    assert group.grade() == 0
    left = [line for line in capsys.readouterr().out.splitlines() if line.startswith("left: ")]
    assert left == [
        "left: .hidden.py: hidden",
        "left: bert/.hidden.cu: hidden",
        "left: bert/mine.o: neither .py nor .cu",
        "left: bert/more: a folder",
        "left: notes.txt: neither .py nor .cu",
    ]
    assert names(group.calls) == ["ada.py", "mine.cu"]


ODD = ["a b", "Zoë Müller", "two\nlines", "\x1b[31mred", "-rf", "a" * 240, "x..", "a;$(b)`c`'\"", "名前"]
ODD += [os.fsdecode(b"latin\xe91"), "\u202eevil", "grades", "run", "x.tar"]


@posix
@pytest.mark.parametrize("name", ODD)
def test_files_with_odd_names_are_graded_and_shown_safely(
    name: str, group: Class, capsys: pytest.CaptureFixture[str]
) -> None:
    (group.folder / f"{name}.py").write_text(f"# wrong bce_gradient\n{BODY}")
    group.hand_in("z.py", "right bce_gradient")
    assert group.grade() == 0
    out = capsys.readouterr().out
    assert len(out.splitlines()) == 7
    assert not set(out) & {"\x1b", "\u202e"}
    assert group.mark(name) == ("wrong", 0)
    page = group.student(name)["page"]
    assert "to see it again" in group.page(name).lower()
    assert len(page) < 100
    assert page == f"{name}.md" or re.fullmatch(r"[\w ()'.;$~-]+-[0-9a-f]{8}\.md", page)
    assert not re.search(r'[\n\x1b`"]|^-', page)
    written = {path.name for path in group.out.iterdir()}
    assert written == {page, "z.md", "grades.json", "grades.csv", "run.json", "judged"}
    row = list(csv.reader(io.StringIO((group.out / "grades.csv").read_text("utf-8"), newline="")))[1:]
    assert sorted(cells[1] for cells in row) == ["0", "4"]


@posix
def test_links_that_lead_out_of_the_folder_are_refused(group: Class, tmp_path: Path) -> None:
    secret = tmp_path / "secret.py"
    secret.write_text(f"# right bce_gradient\n{BODY}")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "mine.py").write_text(f"# right bce_gradient\n{BODY}")
    (group.folder / "file.py").symlink_to(secret)
    (group.folder / "whole").symlink_to(tmp_path / "elsewhere")
    (group.folder / "inner").mkdir()
    (group.folder / "inner" / "mine.py").symlink_to("../../secret.py")
    (group.folder / "broken.py").symlink_to(group.folder / "nobody.py")
    (group.folder / "loop.py").symlink_to(group.folder / "loop.py")
    group.hand_in("ada.py", "right bce_gradient")
    assert group.grade() == 1
    assert names(group.calls) == ["ada.py"]
    notes = shown(group)
    out = "is a link that leads out of the folder; it was not judged"
    assert notes["file"] == [f"file.py {out}"]
    assert notes["whole"] == [f"whole {out}"]
    assert notes["inner"] == [f"mine.py {out}"]
    assert notes["broken"] == ["broken.py cannot be read: No such file or directory; it was not judged"]
    assert notes["loop"][0].startswith("loop.py cannot be read: ")


@posix
def test_what_is_no_file_or_too_large_is_refused_and_nobody_waits_for_it(group: Class) -> None:
    os.mkfifo(group.folder / "pipe.py")
    group.hand_in("huge.py", "right bce_gradient", "#" * submissions.MOST_BYTES)
    group.hand_in("large.py", "right bce_gradient", "#" * (submissions.MOST_BYTES - 100))
    for i in range(submissions.MOST_FILES + 1):
        group.hand_in(f"many/s{i:02}.py", "right bce_gradient")
    assert group.grade() == 1
    notes = shown(group)
    assert notes["pipe"] == ["pipe.py is not a regular file; it was not judged"]
    assert notes["huge"] == ["huge.py is larger than 256 KiB; it was not judged"]
    assert notes["large"] == []
    assert notes["many"] == ["s20.py: a student has at most 20 files; it was not judged"]


def test_a_submission_is_judged_as_a_copy_that_has_no_neighbours(group: Class) -> None:
    group.hand_in("ada.py", "right bce_gradient")
    group.grade()
    path = Path(group.calls[0][-1])
    assert group.folder not in path.parents
    assert not path.exists()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["grade"], "give a FOLDER of submissions and a --rubric"),
        (["grade", "nowhere", "--rubric", "r.toml"], "cannot read the folder nowhere: No such file or directory"),
        (["grade", "empty", "--rubric", "r.toml"], "there is no submission in empty; expected STUDENT.py"),
        (["grade", "class", "--rubric", "no.toml"], "cannot read the rubric no.toml: No such file or directory"),
        (["grade", "class", "--rubric", "r.toml", "--jobs", "0"], "--jobs must be a positive whole number; got 0"),
        (["grade", "class", "--rubric", "r.toml", "--out", "class/out"], "the results may not lie among"),
        (["grade", "class", "--rubric", "r.toml", "--again", "eve"], "there is no student 'eve'; there are: ada"),
        (["grade", "class", "--rubric", "r.toml", "--check", "'"], "--check: No closing quotation"),
        (["grade", "class", "--rubric", "r.toml", "--check", " "], "--check is empty"),
        (
            ["grade", "class", "--rubric", "r.toml", "--check", "no-such-program"],
            "--check: there is no program no-such",
        ),
    ],
)
def test_bad_input_is_told_in_a_line(
    options: list[str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("class", "empty"):
        Path(name).mkdir()
    Path("class/ada.py").write_text(BODY)
    Path("r.toml").write_text(RUBRIC)
    assert cli.main(options) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert told in err
    assert err.count("\n") == 1


def test_results_of_another_folder_are_not_mixed_in(
    group: Class, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    group.hand_in("ada.py", "right bce_gradient")
    group.grade()
    group.folder = tmp_path / "other"
    group.folder.mkdir()
    group.hand_in("bert.py", "right bce_gradient")
    assert group.grade() == 2
    assert "choose another --out" in capsys.readouterr().err
