"""``fastae grade``: points, submissions that cannot be judged, and what is kept from one run to the next."""

import csv
import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import posix
from grading import BODY, RUBRIC, STAND_IN, Class, names
from processes import LINUX, runs, until

from fastae import storage


def test_points_of_every_verdict(group: Class, capsys: pytest.CaptureFixture[str]) -> None:
    for verdict in ("right", "imprecise", "wrong", "refused"):
        group.hand_in(f"{verdict}.py", f"{verdict} bce_gradient")
    group.hand_in("other.py", "right matmul", "")
    (group.folder / "nothing").mkdir()
    assert group.grade() == 0
    points = {"right": 4, "imprecise": 2, "wrong": 0, "refused": 0}
    assert {name: group.mark(name) for name in points} == {name: (name, n) for name, n in points.items()}
    assert group.mark("other") == group.mark("nothing") == ("missing", 0)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["student", "points", "bce_gradient", "note"]
    rows = {line.split()[0]: line for line in lines[1:7]}
    assert rows["right"].split()[1:] == ["4/4", "right"]
    assert rows["refused"].endswith("bce_gradient: the clock is patched: time.perf_counter")
    assert rows["nothing"].endswith("no .py or .cu file was handed in")


def test_what_a_student_is_shown(group: Class) -> None:
    group.hand_in("ada.py", "wrong bce_gradient")
    group.hand_in("bert.py", "wrong bce_gradient")
    group.grade()
    assert group.page("ada") == (
        "# Assignment\n\n**0 of 4 points**\n\n"
        "| kernel | verdict | points | of |\n| --- | --- | ---: | ---: |\n| bce_gradient | wrong | 0 | 4 |\n\n"
        "## bce_gradient: wrong\n\n"
        "- 5 of 20 elements are wrong\n  - with m=5 in ada.py\n  - likely: scale is left out\n\n"
        "To see it again:\n\n    fastae check ada.py --seed 7\n"
    )


def test_a_student_is_shown_how_to_write_what_is_imprecise(group: Class) -> None:
    group.hand_in("ada.py", "imprecise bce_gradient")
    group.grade()
    section = group.page("ada").split("## ")[1].splitlines()
    assert section[2:8] == [
        "- it is imprecise, and keeps 50% of its points",
        "- 5 of 20 elements are wrong",
        "  - with m=5 in ada.py",
        "  - for example y = 0.5: 1 is written, 2 is right",
        "  - likely: scale is left out",
        "  - write z \\* (1 - z)",
    ]


def test_a_file_that_is_refused_as_a_whole(group: Class, capsys: pytest.CaptureFixture[str]) -> None:
    """Before its kernels are known, or with a source in which none can be seen."""
    group.rubric.write_text(RUBRIC + "[kernels.matmul]\npoints = 3\n")
    group.hand_in("ada.py", "refused ada.py")
    group.hand_in("bert.py", "refused bert.py", "globals()['bce_gradient'] = print\n")
    assert group.grade() == 0
    assert [group.mark(name)[0] for name in ("ada", "bert")] == ["refused", "refused"]
    assert [group.mark(name, "matmul")[0] for name in ("ada", "bert")] == ["missing", "refused"]
    rows = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line}
    assert rows["bert"].endswith("  bce_gradient, matmul: the clock is patched: time.perf_counter")


def test_a_teacher_is_told_what_was_used_and_what_was_not_denied(
    group: Class, capsys: pytest.CaptureFixture[str]
) -> None:
    group.hand_in("ada.py", "right bce_gradient lanes")
    group.grade()
    out = capsys.readouterr().out
    assert "ada.py uses what fastae hands out for exercises: lanes" in out
    assert "not denied to the submissions on this system: network" in out
    assert group.student("ada")["not_denied"] == ["network"]
    assert "lanes" not in group.page("ada")


def test_the_table_as_csv_is_nobodys_formula(group: Class) -> None:
    group.hand_in("=cmd('x').py", "right bce_gradient")
    group.hand_in("ada, b.py", "wrong bce_gradient")
    group.grade()
    text = (group.out / "grades.csv").read_text(encoding="utf-8")
    head, first, second = list(csv.reader(io.StringIO(text)))
    assert head[:4] == ["student", "points", "of", "judged"]
    assert first[:6] == ["'=cmd('x')", "4", "4", "yes", "right", "4"]
    assert second[:6] == ["ada, b", "0", "4", "yes", "wrong", "0"]


def test_thresholds_add_points_where_they_are_reached(group: Class) -> None:
    group.rubric.write_text(
        """
        [kernels.bias_sigmoid]
        points = 1
        imprecise = 0.5
        [[kernels.bias_sigmoid.speed]]
        shape = "16 x 784"
        share = 0.25
        points = 2
        [[kernels.bias_sigmoid.speed]]
        shape = "128 x 784"
        share = 0.01
        points = 4
        [[kernels.bias_sigmoid.ladder]]
        rung = 2
        points = 8
        [[kernels.bias_sigmoid.ladder]]
        rung = 3
        points = 16
        """
    )
    group.hand_in("fast.py", "right bias_sigmoid 0.25")
    group.hand_in("slow.py", "right bias_sigmoid 0.24")
    group.hand_in("rough.py", "imprecise bias_sigmoid 0.5")
    assert group.grade() == 0
    found = [group.mark(name, "bias_sigmoid")[1] for name in ("fast", "slow", "rough")]
    assert found == [1 + 2 + 8, 1 + 8, (1 + 2 + 8) / 2]
    assert group.student("fast")["of"] == 31
    asked = [(t["asked"], t["found"], t["reached"]) for t in group.student("slow")["kernels"][0]["thresholds"]]
    assert asked == [
        ("25% of the limit on 16 x 784", "24.0%", False),
        ("1% of the limit on 128 x 784", "not measured", False),
        ("rung 2 of the ladder", "between rung 2 (rows, 3 GB/s) and rung 3 (whole, 9 GB/s)", True),
        ("rung 3 of the ladder", "between rung 2 (rows, 3 GB/s) and rung 3 (whole, 9 GB/s)", False),
    ]
    assert "25% of the limit on 16 x 784 for 2 points: not reached; found: 24.0%" in group.page("slow")


@pytest.mark.parametrize(("options", "timed"), [((), True), (("--no-speed",), False), (("--jobs", 2), False),
                                                (("--jobs", 2, "--speed"), True)])  # fmt: skip
def test_speed_is_measured_if_it_counts_and_one_is_judged_at_a_time(
    options: tuple[object, ...], timed: bool, group: Class
) -> None:
    threshold = '[[kernels.bce_gradient.speed]]\nshape = "16 x 784"\nshare = 0.1\npoints = 2\n'
    group.rubric.write_text(RUBRIC + threshold)
    group.hand_in("ada.py", "right bce_gradient 0.5")
    group.grade(*options)
    assert ("--no-speed" not in group.calls[0]) is timed
    student = group.student("ada")
    assert (student["points"], student["of"]) == ((6, 6) if timed else (4, 4))


def test_a_file_in_another_language_than_was_asked_for(group: Class) -> None:
    group.rubric.write_text(RUBRIC + 'language = "cuda"\n')
    group.hand_in("python.py", "right bce_gradient")
    group.hand_in("cuda.cu", "right bce_gradient")
    group.grade()
    assert (group.mark("python"), group.mark("cuda")) == (("right", 0), ("right", 4))
    assert "it is written for numpy; cuda was asked for, so it has no points" in group.page("python")
    (of_cuda,) = [call for call in group.calls if call[-1].endswith(".cu")]
    assert of_cuda[of_cuda.index("--backend") + 1] == "auto"


def test_of_several_files_the_best_counts(group: Class) -> None:
    group.hand_in("ada/first.py", "wrong bce_gradient")
    group.hand_in("ada/second.py", "right bce_gradient")
    group.hand_in("ada.py", "imprecise bce_gradient")
    assert group.grade() == 0
    assert group.mark("ada") == ("right", 4)
    assert "it is in 3 files; second.py counts" in group.page("ada")


def test_a_model_that_ends_the_check_counts_against_the_kernels_of_the_file(group: Class) -> None:
    group.hand_in("ada.py", "model bce_gradient")
    assert group.grade() == 0
    assert group.mark("ada") == ("wrong", 0)
    assert "5 of 20 elements are wrong" in group.page("ada")


def test_a_kernel_that_the_check_did_not_come_to_is_not_judged(
    group: Class, capsys: pytest.CaptureFixture[str]
) -> None:
    group.hand_in("ada.py", "wrong matmul", BODY)
    assert group.grade() == 1
    assert "not judged: 1; to try again, for instance" in capsys.readouterr().out
    assert group.mark("ada") == ("not judged", 0)
    assert "the check ended before it came to this kernel: see matmul" in group.page("ada")


# What cannot be judged


@pytest.mark.parametrize(
    ("first", "why"),
    [
        ("unusable", "ada.py was not judged: ada.py, line 3: SyntaxError: invalid syntax"),
        ("sleep 60 bce_gradient", "ada.py was not judged: it was not judged within 1 seconds"),
        ("print", "ada.py was not judged: it prints more than 16 MiB"),
        ("crash", "ada.py was not judged: the check failed"),
    ],
)
def test_a_file_that_cannot_be_judged_is_told_and_stops_nobody(first: str, why: str, group: Class) -> None:
    group.rubric.write_text("seconds = 1\n" + RUBRIC if first.startswith("sleep") else RUBRIC)
    group.hand_in("ada.py", first)
    group.hand_in("bert.py", "right bce_gradient")
    assert group.grade() == 1
    assert group.student("ada")["notes"] == [why]
    details = ["ada.py: exit status 3 without a verdict: NameError: judge"] if first == "crash" else []
    assert group.student("ada")["details"] == details
    assert (group.mark("ada"), group.mark("bert")) == (("not judged", 0), ("right", 4))
    assert not set(group.page("ada").split()) & {"Traceback", "NameError:"}


def test_only_where_the_judge_failed_a_file_is_tried_again(group: Class) -> None:
    group.hand_in("ada.py", "crash")
    group.hand_in("bert.py", "unusable")
    assert (group.grade(), group.grade()) == (1, 1)
    assert [Path(call[-1]).name for call in group.calls] == ["ada.py", "bert.py", "ada.py"]


# What is kept


def test_a_file_is_judged_again_only_if_something_changed(group: Class) -> None:
    for name in ("ada", "bert"):
        group.hand_in(f"{name}.py", "right bce_gradient")
    group.grade()
    before = (group.out / "grades.json").read_bytes()
    group.grade()
    assert names(group.calls) == ["ada.py", "bert.py"]
    assert (group.out / "grades.json").read_bytes() == before
    group.hand_in("ada.py", "wrong bce_gradient")
    group.grade()
    assert names(group.calls[2:]) == ["ada.py"]
    assert group.mark("ada") == ("wrong", 0)
    group.rubric.write_text(RUBRIC.replace("4", "5"))  # which judges nothing again: only the points are others
    group.grade()
    assert len(group.calls) == 3
    assert group.mark("bert") == ("right", 5)
    for change in ("seed = 8", "seconds = 99"):
        group.rubric.write_text(f"{change}\n{RUBRIC.replace('seed = 7', '')}")
        count = len(group.calls)
        group.grade()
        assert len(group.calls) == count + 2
    group.grade("--again", "bert")
    assert names(group.calls[-1:]) == ["bert.py"]


def test_a_new_version_judges_again(group: Class, monkeypatch: pytest.MonkeyPatch) -> None:
    group.hand_in("ada.py", "right bce_gradient")
    group.grade()
    monkeypatch.setattr("fastae.__version__", "9.9")
    group.grade()
    assert len(group.calls) == 2


def test_a_fresh_seed_is_everybodys_and_stays_until_all_are_judged_again(group: Class) -> None:
    group.rubric.write_text(RUBRIC.replace("seed = 7", 'seed = "fresh"'))
    for name in ("ada", "bert"):
        group.hand_in(f"{name}.py", "right bce_gradient")
    group.grade()
    group.hand_in("late.py", "right bce_gradient")
    group.grade()
    group.grade("--again")
    seeds = [call[call.index("--seed") + 1] for call in group.calls]
    assert seeds == [seeds[0]] * 3 + [seeds[-1]] * 3
    assert seeds[0] != seeds[-1]  # but once in two thousand millions


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b"null", b'{"key": 1}', b"\xff\xfe"])
def test_what_was_kept_and_is_damaged_is_judged_again(damage: bytes, group: Class) -> None:
    group.hand_in("ada.py", "right bce_gradient")
    group.grade()
    (kept,) = (group.out / "judged").iterdir()
    kept.write_bytes(damage)
    assert group.grade() == 0
    assert len(group.calls) == 2
    assert group.mark("ada") == ("right", 4)


def started(group: Class, *options: object) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "fastae", *group.arguments(*options)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_it_is_stopped_and_goes_on(number: int, group: Class) -> None:
    group.hand_in("ada.py", "right bce_gradient")
    group.hand_in("bert.py", "sleep 300 bce_gradient")
    process = started(group)
    until(lambda: len(group.calls) == 2)
    os.kill(process.pid, number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == (-number if number == signal.SIGKILL else 128 + number)
    if number != signal.SIGKILL:
        assert (
            "fastae: interrupted; earlier verdicts are kept. 1 of 2 files are judged. To continue: fastae grade " in err
        )
        assert "Traceback" not in err
    assert not (group.out / "grades.json").exists()
    group.hand_in("bert.py", "wrong bce_gradient")
    assert group.grade() == 0
    assert names(group.calls) == ["ada.py", "bert.py", "bert.py"]
    assert (group.mark("ada"), group.mark("bert")) == (("right", 4), ("wrong", 0))


@posix
@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGKILL, marks=LINUX)])
def test_whoever_stops_it_leaves_no_check_behind(number: int, group: Class) -> None:
    group.check.write_text("import os\nopen(__file__ + '.pid', 'w').write(f'{os.getpid()} ')\n" + STAND_IN)
    group.hand_in("ada.py", "sleep 300 bce_gradient")
    process = started(group)
    pid = Path(f"{group.check}.pid")
    until(lambda: pid.exists() and pid.read_text().endswith(" "))
    process.send_signal(number)
    process.communicate(timeout=60)
    until(lambda: not runs(pid.read_text().strip()))


def test_two_at_once_do_not_share_their_results(group: Class, capsys: pytest.CaptureFixture[str],
                                                monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    group.hand_in("ada.py", "right bce_gradient")
    group.out.mkdir()
    monkeypatch.setattr(storage, "PATIENCE", 0.1)
    with storage.owned(group.out):
        assert group.grade() == 2
    assert "another grading writes in" in capsys.readouterr().err
    assert group.calls == []


def test_several_submissions_are_judged_at_once(group: Class) -> None:
    for i in range(5):
        group.hand_in(f"s{i}.py", "sleep 0.5 bce_gradient")
    assert group.grade("--jobs", 3) == 0
    assert sorted(names(group.calls)) == [f"s{i}.py" for i in range(5)]
    assert [group.mark(f"s{i}") for i in range(5)] == [("right", 4)] * 5
