"""The results as a table, JSON and CSV for the teacher, and as a page for each student, which names no other."""

import csv
import io
import json
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fastae import storage, system
from fastae.grade.copies import Copy
from fastae.grade.points import Grade, Mark
from fastae.grade.rubric import Rubric
from fastae.grade.submissions import printable

WIDEST = 28  # characters of a name in the table
NAMED = 3  # students with the same kernel that the table names; grades.json names all
FORMULA = ("=", "+", "-", "@")  # these begin a formula in a spreadsheet


def number(points: float) -> str:
    """Return points with at most two decimals."""
    return f"{points:.2f}".rstrip("0").rstrip(".")


def table(grades: Sequence[Grade], rubric: Rubric) -> str:
    """Return the grades in lines: student, points, a verdict for each kernel, a note."""
    rows = [["student", "points", *rubric.kernels, "note"]]
    for grade in grades:
        verdicts = [mark.verdict for mark in grade.marks]
        shown = printable(grade.student.name, WIDEST)
        rows.append([shown, f"{number(grade.points)}/{number(grade.most)}", *verdicts, "; ".join(notes(grade))])
    widths = [max(_width(row[i]) for row in rows) for i in range(len(rows[0]) - 1)]
    padded = [[text + " " * (width - _width(text)) for text, width in zip(row, widths)] for row in rows]
    return "\n".join("  ".join([*cells, row[-1]]).rstrip() for cells, row in zip(padded, rows))


def _width(text: str) -> int:
    """Return the width of a text in columns of a terminal."""
    return sum(0 if unicodedata.combining(x) else 1 + (unicodedata.east_asian_width(x) in "WF") for x in text)


def notes(grade: Grade) -> list[str]:
    """Return short notes for the teacher: copies, refused kernels, kernels that could not be judged."""
    found = [*grade.notes, *grade.details]
    refused: dict[str, list[str]] = {}
    for mark in grade.marks:
        if mark.verdict == "refused" and mark.problems:
            refused.setdefault(mark.problems[0].what, []).append(mark.kernel)
    found += [f"{', '.join(names)}: {what}" for what, names in refused.items()]
    for mark in grade.marks:
        found += [f"{mark.kernel}: {note}" for note in mark.notes if mark.verdict == "not judged"]
        if mark.copy and not mark.copy.short:
            found.append(f"{mark.kernel} is the same as {_of(mark.copy)}")
    return found


def _of(copy: Copy) -> str:
    """Return in words what a kernel is a copy of; of many students the first."""
    if copy.kind != "student":
        return ("fastae's " if copy.kind == "library" else "the handed-out ") + copy.of[0]
    names = [f"{printable(name, WIDEST)}'s" for name in copy.of[:NAMED]]
    more = len(copy.of) - NAMED
    return ", ".join(names) + (f" and {more} more" if more > 0 else "")


def as_json(grades: Sequence[Grade], left: Sequence[str], settings: dict[str, Any]) -> dict[str, Any]:
    """Return all results as JSON has them."""
    return {"settings": settings, "left": list(left), "students": [_student(grade) for grade in grades]}


def _student(grade: Grade) -> dict[str, Any]:
    files = [{"file": file.name, "sha256": file.digest} for file in grade.student.files]
    return {
        "student": grade.student.name,
        "points": grade.points,
        "of": grade.most,
        "judged": grade.judged,
        "files": files,
        "notes": grade.notes,
        "details": grade.details,
        "not_denied": grade.not_denied,
        "kernels": [_kernel(mark) for mark in grade.marks],
        "page": f"{grade.student.stem}.md",
    }


def _kernel(mark: Mark) -> dict[str, Any]:
    return {
        "kernel": mark.kernel,
        "verdict": mark.verdict,
        "points": mark.points,
        "of": mark.most,
        "file": mark.file or None,
        "problems": [asdict(problem) for problem in mark.problems],
        "thresholds": [
            {"asked": threshold.describe(), "points": threshold.points, "found": found, "reached": is_reached}
            for threshold, found, is_reached in mark.reached
        ],
        "speed": mark.speed,
        "place": mark.place or None,
        "same_as": mark.copy and asdict(mark.copy),
        "notes": mark.notes,
    }


def as_csv(grades: Sequence[Grade], rubric: Rubric) -> str:
    """Return CSV with a line for each student: the sum of points, then verdict and points for each kernel."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    heads = [f"{name} {what}" for name in rubric.kernels for what in ("verdict", "points")]
    writer.writerow(["student", "points", "of", "judged", *heads, "note"])
    for grade in grades:
        cells = [cell for mark in grade.marks for cell in (mark.verdict, number(mark.points))]
        judged = "yes" if grade.judged else "no"
        row = [grade.student.name, number(grade.points), number(grade.most), judged, *cells, "; ".join(notes(grade))]
        writer.writerow([_cell(x) for x in row])
    return text.getvalue()


def _cell(text: str) -> str:
    """Return a text that a spreadsheet does not take for a formula."""
    text = printable(text, 10_000)
    return f"'{text}" if text.startswith(FORMULA) else text


def page(grade: Grade, rubric: Rubric, seed: int) -> str:
    """Return a student's page in Markdown; everything that was handed in is escaped."""
    lines = [f"# {_text(rubric.title)}", "", f"**{number(grade.points)} of {number(grade.most)} points**", ""]
    lines += ["| kernel | verdict | points | of |", "| --- | --- | ---: | ---: |"]
    lines += [f"| {m.kernel} | {m.verdict} | {number(m.points)} | {number(m.most)} |" for m in grade.marks]
    if grade.notes:
        lines += ["", *(f"- {_text(note)}" for note in grade.notes)]
    for mark in grade.marks:
        lines += _section(mark, seed)
    return "\n".join(lines) + "\n"


def _section(mark: Mark, seed: int) -> Iterable[str]:
    told = [f"- {_text(note)}" for note in mark.notes]
    for problem in mark.problems:
        told.append(f"- {_text(problem.what)}")
        told += [f"  - with {_text(problem.case)}"] * bool(problem.case)
        told += [f"  - for example {_text(problem.example)}"] * bool(problem.example)
        told += [f"  - {'likely' if i == 0 else 'or'}: {_text(cause)}" for i, cause in enumerate(problem.causes)]
        told += [f"  - write {_text(problem.better)}"] * bool(problem.better)
    for threshold, found, is_reached in mark.reached:
        asked = f"{threshold.describe()} for {_counted(threshold.points)}"
        told.append(f"- {_text(asked)}: {'reached' if is_reached else 'not reached'}; found: {_text(found)}")
    if not told:
        return []
    again = []
    if mark.problems:
        command = system.command_line(["fastae", "check", mark.file, "--seed", str(seed)])
        again = ["", "To see it again:", "", f"    {command}"]
    return ["", f"## {mark.kernel}: {mark.verdict}", "", *told, *again]


def _counted(points: float) -> str:
    return f"{number(points)} point{'s' * (points != 1)}"


def _text(text: str) -> str:
    """Return a text escaped for Markdown."""
    return re.sub(r"([\\`*_\[\]<>&|#~$])", r"\\\1", printable(text))


def write(folder: Path, grades: Sequence[Grade], rubric: Rubric, left: Sequence[str], settings: dict[str, Any]) -> None:
    """Write ``grades.json``, ``grades.csv`` and each student's page; raises `OutputError`."""
    pages = {f"{grade.student.stem}.md": page(grade, rubric, settings["seed"]) for grade in grades}
    content = json.dumps(as_json(grades, left, settings), indent=1) + "\n"
    for name, text in {**pages, "grades.csv": as_csv(grades, rubric), "grades.json": content}.items():
        with storage.replacing(folder / name) as file:
            file.write(text.encode("utf-8", "replace"))
