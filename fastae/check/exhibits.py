"""The gallery: known ways to be wrong, each a learner's file whose cause ``fastae check`` names.

All are wrong but two, which are imprecise: right on paper, but they lose digits.
"""

from dataclasses import dataclass
from pathlib import Path

from fastae.errors import InputError
from fastae.ladder.rungs import split

FOLDER = Path(__file__).parent / "gallery"


@dataclass(frozen=True)
class Exhibit:
    """A file of the gallery.

    Attributes
    ----------
    name : str
        Of the file, without its suffix.
    path : Path
    title : str
        What is wrong, in one line.
    cause : str
        A regular expression that must be found in the causes of the verdict.
    verdict : {"wrong", "imprecise"}
    """

    name: str
    path: Path
    title: str
    cause: str
    verdict: str = "wrong"


def exhibits() -> list[Exhibit]:
    """Return all files of the gallery, sorted by name."""
    return [_read(path) for path in sorted(FOLDER.glob("[a-z]*.*")) if path.suffix in (".py", ".cu")]


def find(name: str) -> Exhibit:
    """Return a file of the gallery by its name, with or without suffix; raises `InputError` if there is none."""
    known = exhibits()
    for exhibit in known:
        if name in (exhibit.name, exhibit.path.name):
            return exhibit
    raise InputError(f"there is no {name!r} in the gallery; it has: {', '.join(exhibit.name for exhibit in known)}")


def _read(path: Path) -> Exhibit:
    paragraphs = split(path.read_text(encoding="utf-8"))[0].strip().split("\n\n")
    said = dict(text.split(": ", 1) for text in paragraphs if text.startswith(("Cause: ", "Verdict: ")))
    title = " ".join(paragraphs[0].split())
    return Exhibit(path.stem, path, title, said.get("Cause", ""), said.get("Verdict", "wrong"))
