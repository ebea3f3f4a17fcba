"""The command ``fastae grade``."""

import argparse
import contextlib
import json
import re
import secrets
import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fastae import storage, system
from fastae.errors import InputError
from fastae.grade import copies, judge, points, report, rubric, submissions
from fastae.grade.fingerprint import Print, kernels

FOLDER = Path("runs/grade")
KEPT = "judged"  # the folder with the outcome of each file
STATE = "run.json"
NAMED = 8  # students in a line at most
LEFTOVER = re.compile(r"\..+\.(json|csv|md)\.[a-z0-9_]{8}")  # temporary files of an interrupted write


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.description = (
        "Judge a folder of submissions by a rubric. The outcome of each file is stored at once: after an interruption "
        "the same command continues, and judges only files that have changed. Exit status 0 if all files were judged, "
        "1 if some could not be, 2 for wrong input."
    )
    option = parser.add_argument
    option(
        "folder",
        type=Path,
        nargs="?",
        metavar="FOLDER",
        help="the submissions: STUDENT.py or STUDENT.cu, or a folder for each student",
    )
    option("--rubric", type=Path, metavar="FILE", help="a TOML file: the kernels to grade, and their points")
    option("--example-rubric", action="store_true", help="print a rubric to start from")
    option(
        "--out",
        type=Path,
        metavar="DIR",
        help="folder for the grades and the students' pages (default: runs/grade/FOLDER)",
    )
    option(
        "--jobs",
        type=int,
        default=1,
        metavar="N",
        help="number of files judged at the same time; with more than 1, speed is not measured (default: 1)",
    )
    option(
        "--speed",
        action=argparse.BooleanOptionalAction,
        help="measure speed or not (default: if the rubric gives points for it and one file is judged at a time)",
    )
    option(
        "--again",
        nargs="*",
        metavar="STUDENT",
        help='judge these students again; without names, all of them, with a new seed if the rubric\'s is "fresh"',
    )
    option(
        "--check",
        metavar="COMMAND",
        help="run this command instead of fastae check, for instance in a container; {folder} stands for the file's "
        "folder",
    )


def run(options: argparse.Namespace) -> int:
    """Judge a folder; return 0 if all files were judged, else 1."""
    if options.example_rubric:
        print(rubric.EXAMPLE, end="")
        return 0
    if options.folder is None or options.rubric is None:
        raise InputError("give a FOLDER of submissions and a --rubric; fastae grade --example-rubric prints one")
    if options.jobs < 1:
        raise InputError(f"--jobs must be a positive whole number; got {options.jobs}")
    wanted = rubric.read(options.rubric)
    students, left = submissions.read(options.folder)
    again = _again(options.again, students)
    folder = options.folder.resolve()
    out = (options.out or FOLDER / (folder.name or "all")).absolute()
    if out.resolve().is_relative_to(folder):
        raise InputError(f"the results may not lie among the submissions: choose an --out outside of {options.folder}")
    storage.make_folder(out / KEPT)
    with storage.owned(out, "grading"):
        for path in [*out.iterdir(), *(out / KEPT).iterdir()]:
            if LEFTOVER.fullmatch(path.name) and path.is_file():
                path.unlink(missing_ok=True)
        speed = options.speed if options.speed is not None else wanted.timed and options.jobs == 1
        seed = _seed(out, folder, wanted, options.again == [])
        settings = judge.Settings(seed, wanted.seconds, wanted.backend, speed, _command(options.check))
        grades = _grade(students, wanted, settings, again, options.jobs, out)
        used = {"folder": str(options.folder), "rubric": str(options.rubric), "seed": seed, "speed": speed,
                "backend": settings.backend, "seconds": settings.seconds, "fastae": settings.version}  # fmt: skip
        report.write(out, grades, wanted, left, used)
    _tell(grades, wanted, left, speed)
    print(f"seed {seed}; see {out / 'grades.json'}, grades.csv, and a page for each student, such as "
          f"{grades[0].student.stem}.md")  # fmt: skip
    return int(not all(grade.judged for grade in grades))


def _tell(grades: Sequence[points.Grade], wanted: rubric.Rubric, left: Sequence[str], speed: bool) -> None:
    """Print the table, and notes for the teacher."""
    print(report.table(grades, wanted))
    print()
    for entry in left:
        print(f"left: {entry}")
    short = sum(bool(mark.copy and mark.copy.short) for grade in grades for mark in grade.marks)
    if short:
        print(f"kernels with the same source as another but too short to tell: {short}; see same_as in grades.json")
    unjudged = [grade.student.name for grade in grades if not grade.judged and grade.student.files]
    if unjudged:
        whom = system.command_line(unjudged) if len(unjudged) <= NAMED else "STUDENT ..."
        text = f"not judged: {len(unjudged)}; to try again, for instance when the machine is less busy: --again {whom}"
        print(submissions.printable(text))
    if lacking := sorted({str(what) for grade in grades for what in grade.not_denied}):
        print(
            f"not denied to the submissions on this system: {', '.join(lacking)}; see the teachers' page on containers"
        )
    if wanted.timed and not speed:
        print("speed was not measured: the rubric's points for it are left out")


def _again(names: Sequence[str] | None, students: Sequence[submissions.Student]) -> set[str]:
    """Return the names of the students who are judged again."""
    known = {student.name for student in students}
    for name in names or ():
        if name not in known:
            raise InputError(f"--again: there is no student {name!r}; there are: {', '.join(sorted(known))}")
    return set(names) if names else known if names == [] else set()


def _command(text: str | None) -> tuple[str, ...]:
    if text is None:
        return ()
    try:
        words = shlex.split(text, posix=not system.WINDOWS)
    except ValueError as error:
        raise InputError(f"--check: {error} in {text!r}") from error
    if not words:
        raise InputError("--check is empty; expected a command, such as 'docker run ... fastae check'")
    if not shutil.which(words[0]):
        raise InputError(f"--check: there is no program {words[0]}; expected a command that can be run here")
    return tuple(words)


def _seed(out: Path, folder: Path, wanted: rubric.Rubric, anew: bool) -> int:
    """Return the seed for all students: the rubric's, or the one drawn and stored for this folder of results."""
    path = out / STATE
    state: dict[str, Any] = {}
    with contextlib.suppress(OSError, ValueError):
        found = json.loads(path.read_text(encoding="utf-8"))
        state = found if isinstance(found, dict) else {}
    if state.get("folder", str(folder)) != str(folder):
        raise InputError(f"{out} has the grades of {state['folder']}; choose another --out")
    drawn = state.get("seed")
    if anew or not isinstance(drawn, int) or not 0 <= drawn < 2**31:
        drawn = secrets.randbelow(2**31)
    seed = drawn if wanted.seed is None else wanted.seed
    with storage.replacing(path) as file:
        file.write((json.dumps({"folder": str(folder), "seed": drawn}) + "\n").encode())
    return seed


def _grade(
    students: Sequence[submissions.Student],
    wanted: rubric.Rubric,
    settings: judge.Settings,
    again: set[str],
    workers: int,
    out: Path,
) -> list[points.Grade]:
    """Judge the files without a stored outcome, and return the grades of all students."""
    outcomes: dict[Path, judge.Outcome] = {}
    jobs = {
        student.name: [
            judge.Job(student, file, out / KEPT / f"{student.stem}-{settings.key(file)[:16]}.json")
            for file in student.files
        ]
        for student in students
    }
    waiting = []
    for job in (job for several in jobs.values() for job in several):
        kept = None if job.student.name in again else job.kept(settings.key(job.file))
        if kept is None:
            waiting.append(job)
        else:
            outcomes[job.path] = kept
    count = sum(map(len, jobs.values()))

    def tell(done: int) -> None:
        system.progress(f"{len(outcomes)} of {count} files judged")

    try:
        with contextlib.closing(judge.judge(waiting, settings, workers, tell)) as judged:
            for job, outcome in judged:
                outcomes[job.path] = outcome
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f" {len(outcomes)} of {count} files are judged.") from None
    finally:
        system.progress("")
    prints = {
        job.path: kernels(job.file.content.decode("utf-8", "replace"), job.file.suffix)
        for several in jobs.values()
        for job in several
    }
    same = copies.find({name: _by_kernel([prints[job.path] for job in several]) for name, several in jobs.items()},
                       wanted.start)  # fmt: skip
    return [
        points.grade(
            student,
            [(job.file, outcomes[job.path]) for job in jobs[student.name]],
            {job.file.name: list(prints[job.path]) for job in jobs[student.name]},
            same,
            wanted,
            settings.speed,
        )
        for student in students
    ]


def _by_kernel(several: Sequence[dict[str, Print]]) -> dict[str, list[Print]]:
    names = dict.fromkeys(name for prints in several for name in prints)
    return {name: [prints[name] for prints in several if name in prints] for name in names}
