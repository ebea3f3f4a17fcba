"""Apply a rubric to the reports on a student's files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fastae.backends.contract import KERNELS
from fastae.grade.copies import Copy
from fastae.grade.judge import Outcome
from fastae.grade.rubric import Rubric, Threshold, Wanted
from fastae.grade.submissions import File, Student, printable
from fastae.ladder.rungs import BACKENDS, reached

RANK = ("right", "imprecise", "wrong", "refused", "not judged", "missing")  # of several files the best counts
MOST_PROBLEMS = 5  # of a kernel that are reported
COPIED = {
    "student": "the same source as another student's",
    "library": "the same source as fastae's {}",
    "start": "the same source as in {}, which was handed out",
}


@dataclass
class Problem:
    """One way in which a kernel is wrong, or imprecise with an example and a better formula, in words."""

    what: str
    case: str
    causes: list[str]
    example: str = ""
    better: str = ""


@dataclass
class Mark:
    """The points of a kernel, and why.

    Attributes
    ----------
    kernel, verdict : str
        The verdict is one of `RANK`.
    points, most : float
        The points that it has, and that it could have.
    file : str
        The file that defines the kernel; empty if none does.
    problems : list of Problem
    notes : list of str
        Other statements, for the student too.
    reached : list of tuple of (Threshold, str, bool)
        Each threshold, what was found, and whether it is reached.
    speed : list of dict
        As ``fastae check --json`` has it.
    place : str
    copy : Copy or None
    """

    kernel: str
    verdict: str
    points: float
    most: float
    file: str = ""
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    reached: list[tuple[Threshold, str, bool]] = field(default_factory=list)
    speed: list[dict[str, Any]] = field(default_factory=list)
    place: str = ""
    copy: Copy | None = None


@dataclass
class Grade:
    """The grade of a student.

    Attributes
    ----------
    student : Student
    marks : list of Mark
        In the rubric's order.
    notes, details : list of str
        About files: for the student too, and for the teacher only.
    judged : bool
        Whether all files could be judged.
    not_denied : list of str
        What the system could not deny to the student's files, a word each.
    """

    student: Student
    marks: list[Mark]
    notes: list[str]
    details: list[str]
    judged: bool
    not_denied: list[str] = field(default_factory=list)

    @property
    def points(self) -> float:
        """The sum of the points of all kernels."""
        return sum(mark.points for mark in self.marks)

    @property
    def most(self) -> float:
        """The sum of the points that all kernels could have."""
        return sum(mark.most for mark in self.marks)


def grade(
    student: Student,
    outcomes: Sequence[tuple[File, Outcome]],
    defined: Mapping[str, Sequence[str]],
    copies: Mapping[tuple[str, str], Copy],
    rubric: Rubric,
    speed: bool,
) -> Grade:
    """Give points to a student.

    Parameters
    ----------
    student : Student
    outcomes : sequence of (File, Outcome)
        The outcome of each of the student's files.
    defined : mapping
        Maps a file to the kernels that its source defines.
    copies : mapping
        Maps a student and a kernel to what it is a copy of.
    rubric : Rubric
    speed : bool
        Whether speed was measured; if not, its points are not counted in ``most``.

    Returns
    -------
    Grade
    """
    notes = [f"{reason}; it was not judged" for reason in student.refused]
    details = []
    judged = not student.refused
    if not student.files and not student.refused:
        notes.append("no .py or .cu file was handed in")
    for file, outcome in outcomes:
        if outcome.report is None:
            judged = False
            notes.append(f"{file.name} was not judged: {'the check failed' if outcome.lost else outcome.why_not}")
            details += [f"{file.name}: {outcome.why_not}"] * outcome.lost
        elif used := _used(outcome.report):
            details.append(f"{file.name} uses what fastae hands out for exercises: {used}")
    marks = []
    for name, wanted in rubric.kernels.items():
        found = [mark for file, outcome in outcomes if (mark := _of_file(file, outcome, name, wanted, defined, speed))]
        mark = min(found, key=lambda m: (-m.points, RANK.index(m.verdict)), default=None)
        if mark is None:
            verdict = "missing" if judged else "not judged"
            mark = Mark(name, verdict, 0.0, 0.0)
            if verdict == "missing" and outcomes:
                mark.notes.append("no file that was handed in defines it")
        elif len(found) > 1:
            mark.notes.append(f"it is in {len(found)} files; {mark.file} counts")
        mark.most = wanted.points + sum(t.points for t in wanted.thresholds) * speed
        _deduct(mark, copies.get((student.name, name)), rubric)
        judged = judged and mark.verdict != "not judged"
        marks.append(mark)
    reports = [outcome.report for _, outcome in outcomes if outcome.report]
    not_denied = list(dict.fromkeys(str(what) for report in reports for what in report.get("not_denied") or []))
    return Grade(student, marks, notes, details, judged, not_denied)


def _of_file(
    file: File, outcome: Outcome, name: str, wanted: Wanted, defined: Mapping[str, Sequence[str]], speed: bool
) -> Mark | None:
    """Return the mark of a kernel by the report on one file; None if the file does not define it."""
    report = outcome.report
    if report is None:
        return Mark(name, "not judged", 0.0, 0.0, file.name) if name in defined[file.name] else None
    model = _dict(report.get("model"))
    entries = [_dict(e) for e in report["kernels"]]
    entry = next((e for e in entries if e.get("kernel") == name), None)
    if entry is None and (name in defined[file.name] or not defined[file.name]):
        # A file that is refused before its kernels are known has one entry, which is not a kernel's.
        entry = next((e for e in entries if e.get("verdict") == "refused" and e.get("kernel") not in KERNELS), None)
    if entry is None:
        if name not in defined[file.name]:
            return None
        if model.get("problems"):  # the check ended before it reached the kernels
            return Mark(name, "wrong", 0.0, 0.0, file.name, _problems(model))
        others = ", ".join(str(e.get("kernel")) for e in entries)
        note = f"the check ended before it came to this kernel: see {others}" if others else "the check did not see it"
        return Mark(name, "not judged", 0.0, 0.0, file.name, notes=[printable(note)])
    verdict = str(entry.get("verdict") or ("right" if entry.get("right") else "wrong"))
    verdict = verdict if verdict in RANK else "wrong"
    mark = Mark(name, verdict, 0.0, 0.0, file.name, _problems(entry))
    mark.speed, mark.place = [_dict(s) for s in entry.get("speed") or []], printable(str(entry.get("place") or ""))
    if verdict not in ("right", "imprecise"):
        return mark
    if model.get("right") is False and model.get("problems"):
        mark.verdict, mark.problems = "wrong", _problems(model)
        return mark
    language = BACKENDS.get(str(report.get("backend")), "")
    if wanted.language not in ("any", language):
        mark.notes.append(f"it is written for {language}; {wanted.language} was asked for, so it has no points")
        return mark
    mark.points = wanted.points
    if speed:
        mark.reached = [(threshold, *_reached(threshold, mark)) for threshold in wanted.thresholds]
        mark.points += sum(threshold.points for threshold, _, is_reached in mark.reached if is_reached)
    if verdict == "imprecise":
        mark.points *= wanted.imprecise
        mark.notes.append(f"it is imprecise, and keeps {wanted.imprecise:.0%} of its points")
    return mark


def _reached(threshold: Threshold, mark: Mark) -> tuple[str, bool]:
    """Return what was measured for a threshold, in words, and whether it is reached."""
    if threshold.rung:
        return (mark.place, reached(mark.place) >= threshold.rung) if mark.place else ("not measured", False)
    for entry in mark.speed:
        share = entry.get("share")
        if entry.get("shape") == threshold.shape and isinstance(share, int | float):
            return f"{share:.1%}", share >= threshold.share
    return "not measured", False


def _deduct(mark: Mark, copy: Copy | None, rubric: Rubric) -> None:
    """Deduct the points that the rubric takes for a copy, with a note if it takes any."""
    mark.copy = copy
    if copy is None or copy.short or rubric.copies[copy.kind] == 1 or not mark.points:
        return
    part = rubric.copies[copy.kind]
    mark.points *= part
    mark.notes.append(f"{COPIED[copy.kind].format(*copy.of)}: it keeps {part:.0%} of its points")


def _problems(entry: dict[str, Any]) -> list[Problem]:
    found = entry.get("problems")
    return [
        Problem(
            printable(str(problem.get("what", "")), 500),
            printable(str(problem.get("case") or ""), 300),
            [printable(str(cause), 500) for cause in problem.get("causes") or []][:4],
            printable(str(problem.get("example") or ""), 500),
            printable(str(problem.get("better") or ""), 500),
        )
        for problem in map(_dict, found if isinstance(found, list) else [])
    ][:MOST_PROBLEMS]


def _used(report: dict[str, Any]) -> str:
    """Name the compiled functions of fastae's that a file imports."""
    names = [name for several in _dict(report.get("uses")).values() if isinstance(several, list) for name in several]
    return printable(", ".join(map(str, names)), 200)


def _dict(x: Any) -> dict[str, Any]:
    return x if isinstance(x, dict) else {}
