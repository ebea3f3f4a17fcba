"""Identical kernels: of two students, of a student and the library, of a student and a handed-out file."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fastae.grade.fingerprint import Print, kernels

SHORT = 150  # words; shorter kernels can be identical by chance
PACKAGE = Path(__file__).parents[1]


@dataclass(frozen=True)
class Copy:
    """What has the same source as a kernel.

    Attributes
    ----------
    kind : {"start", "library", "student"}
        A handed-out file, the library, or other students.
    of : tuple of str
        The file, the place in the library, or the students' names.
    short : bool
        Whether the kernel is so short that it may be identical by chance; it then costs no points.
    """

    kind: str
    of: tuple[str, ...]
    short: bool


@cache
def library() -> dict[tuple[str, str], str]:
    """Return the kernels of the library: name and fingerprint to the place in words."""
    found: dict[tuple[str, str], str] = {}
    for what, text, suffix in _sources():
        for name, taken in kernels(text, suffix).items():
            found.setdefault((name, taken.digest), what)
    return found


def _sources() -> Iterator[tuple[str, str, str]]:
    """Yield each file of the library, those for learners first: what it is in words, its text and its suffix."""
    from fastae.check.exhibits import exhibits
    from fastae.ladder.exercises import starter
    from fastae.ladder.rungs import KERNELS as LADDERS
    from fastae.ladder.rungs import LANGUAGES, ladder

    rungs = [rung for name in LADDERS for language in LANGUAGES for rung in ladder(name, language) if rung.path]
    for rung in rungs:
        assert rung.path is not None
        yield f"rung {rung.number} of the ladder {rung.ladder} in {rung.language}", rung.source, rung.path.suffix
    for rung in rungs:
        assert rung.path is not None
        yield f"the beginning of the exercise {rung.exercise}", starter(rung), rung.path.suffix
    for path in sorted((PACKAGE.parent / "examples" / "kernels").glob("*.*")):  # not in an installed package
        if path.suffix in (".py", ".cu"):
            yield f"examples/kernels/{path.name}", path.read_text(encoding="utf-8"), path.suffix
    for exhibit in exhibits():
        yield f"{exhibit.name} of the gallery", exhibit.path.read_text(encoding="utf-8"), exhibit.path.suffix
    for path in (PACKAGE / "backends" / "numba_backend" / "kernels.py", *sorted((PACKAGE / "cuda").glob("*.cu"))):
        yield f"fastae/{path.relative_to(PACKAGE).as_posix()}", path.read_text(encoding="utf-8"), path.suffix


def handed_out(files: Sequence[Path]) -> dict[tuple[str, str], str]:
    """Return the kernels of the handed-out files: name and fingerprint to the file's name."""
    found: dict[tuple[str, str], str] = {}
    for path in files:
        for name, taken in kernels(path.read_text(encoding="utf-8", errors="replace"), path.suffix).items():
            found.setdefault((name, taken.digest), path.name)
    return found


def find(
    handed: Mapping[str, Mapping[str, Sequence[Print]]], start: Sequence[Path] = ()
) -> dict[tuple[str, str], Copy]:
    """Find identical kernels.

    Parameters
    ----------
    handed : mapping
        Maps a student and a kernel to its fingerprints, one for each file that defines it.
    start : sequence of Path
        The files that were handed out.

    Returns
    -------
    dict of (student, kernel) to Copy
    """
    given = handed_out(start)
    students: dict[tuple[str, str], list[str]] = {}
    for student, prints in handed.items():
        for name, several in prints.items():
            for digest in {taken.digest for taken in several}:
                students.setdefault((name, digest), []).append(student)
    found: dict[tuple[str, str], Copy] = {}
    for student, prints in handed.items():
        for name, several in prints.items():
            for taken in several:
                key, short = (name, taken.digest), taken.words < SHORT
                if key in given:
                    found.setdefault((student, name), Copy("start", (given[key],), short))
                elif key in library():
                    found.setdefault((student, name), Copy("library", (library()[key],), short))
                elif others := tuple(other for other in students[key] if other != student):
                    found[student, name] = Copy("student", others, short)
    return found
