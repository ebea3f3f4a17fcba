"""The same kernel handed in twice; told apart from copies of what the library has and of what was handed out."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fastae.grade.fingerprint import Print, kernels

SHORT = 150  # words; a kernel with fewer comes out alike without having been copied
PACKAGE = Path(__file__).parents[1]


@dataclass(frozen=True)
class Copy:
    """What a kernel's source is the same as.

    Attributes
    ----------
    kind : {"start", "library", "student"}
        A handed-out file's kernel, one of the library's, or other students'.
    of : tuple of str
        The file, what it is in the library, or the students' names.
    short : bool
        It is so short that it may be the same by chance: it costs nothing.
    """

    kind: str
    of: tuple[str, ...]
    short: bool


@cache
def library() -> dict[tuple[str, str], str]:
    """Return what the library has: kernel and fingerprint to what it is, in words."""
    found: dict[tuple[str, str], str] = {}
    for what, text, suffix in _sources():
        for name, taken in kernels(text, suffix).items():
            found.setdefault((name, taken.digest), what)
    return found


def _sources() -> Iterator[tuple[str, str, str]]:
    """Yield what each of the library's files is, its text and its suffix; what a learner is shown first."""
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
    for path in sorted((PACKAGE.parent / "examples" / "kernels").glob("*.*")):  # beside the sources only
        if path.suffix in (".py", ".cu"):
            yield f"examples/kernels/{path.name}", path.read_text(encoding="utf-8"), path.suffix
    for exhibit in exhibits():
        yield f"{exhibit.name} of the gallery", exhibit.path.read_text(encoding="utf-8"), exhibit.path.suffix
    for path in (PACKAGE / "backends" / "numba_backend" / "kernels.py", *sorted((PACKAGE / "cuda").glob("*.cu"))):
        yield f"fastae/{path.relative_to(PACKAGE).as_posix()}", path.read_text(encoding="utf-8"), path.suffix


def handed_out(files: Sequence[Path]) -> dict[tuple[str, str], str]:
    """Return the same of the files that were handed out."""
    found: dict[tuple[str, str], str] = {}
    for path in files:
        for name, taken in kernels(path.read_text(encoding="utf-8", errors="replace"), path.suffix).items():
            found.setdefault((name, taken.digest), path.name)
    return found


def find(
    handed: Mapping[str, Mapping[str, Sequence[Print]]], start: Sequence[Path] = ()
) -> dict[tuple[str, str], Copy]:
    """Find what is the same.

    Parameters
    ----------
    handed : mapping
        Student to kernel to its fingerprints, of each file in which it is.
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
