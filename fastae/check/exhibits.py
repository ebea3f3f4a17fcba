"""The gallery: known ways to be wrong, each a learner's file of which `fastae check` names the cause.

It calls them wrong, but for two that are right on paper and lose digits: those are imprecise.
"""

from dataclasses import dataclass
from pathlib import Path

from fastae.errors import InputError
from fastae.ladder.rungs import split

FOLDER = Path(__file__).parent / "gallery"


@dataclass(frozen=True)
class Exhibit:
    """One way to be wrong.

    Attributes
    ----------
    name : str
    path : Path
    title : str
        What is wrong, in a line.
    cause : str
        A regular expression that the diagnosis must contain.
    verdict : {"wrong", "imprecise"}
    """

    name: str
    path: Path
    title: str
    cause: str
    verdict: str = "wrong"


def exhibits() -> list[Exhibit]:
    """Return the gallery, by name."""
    return [_read(path) for path in sorted(FOLDER.glob("[a-z]*.*")) if path.suffix in (".py", ".cu")]


def find(name: str) -> Exhibit:
    """Return one, by its name with or without ``.py`` or ``.cu``; raises `InputError`."""
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
