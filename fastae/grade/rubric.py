"""The rubric: a TOML file with the wanted kernels and their points, of which every key is checked."""

import math
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastae.backends.contract import KERNELS
from fastae.errors import InputError

EXAMPLE = """\
# A rubric of fastae grade. A key that is left out has the value given here, except for kernels, which must be named.

title = "Assignment"      # at the head of each student's page
seed = "fresh"            # of the data: "fresh" draws one and stores it in the results' folder; or a whole number
seconds = 600             # the time limit of a file
backend = "auto"          # for .cu files: "emulator", "cupy", or "auto" (cupy where a GPU works)
imprecise = 0.5           # the fraction of its points that an imprecise kernel keeps
start = []                # the files that were handed out, such as ["mine.py"], relative to this file

[copies]                  # the fraction of its points that a copy keeps (1: it is only reported); the same source as
student = 1.0             # another student's
library = 1.0             # a rung of a ladder, an example, a kernel of the gallery or a backend's
start = 1.0               # one of the files that were handed out

[kernels.bce_gradient]    # a table for each kernel that is wanted
points = 3                # if it is right

[kernels.bias_sigmoid]
points = 4
language = "any"          # or "numpy", "numba" or "cuda": in another language it has no points

[[kernels.bias_sigmoid.speed]]  # any number of these; each that is reached adds its points
shape = "128 x 784"       # as fastae check prints it
share = 0.05              # of the machine's limit
points = 1

[[kernels.bias_sigmoid.ladder]]
rung = 2                  # of the ladder in the kernel's language, as fastae check prints it
points = 1
"""

LANGUAGES = ("any", "numpy", "numba", "cuda")
BACKENDS = ("auto", "emulator", "cupy")
Test = Callable[[Any], bool]


@dataclass(frozen=True)
class Threshold:
    """A condition that adds points to a right kernel.

    Attributes
    ----------
    points : float
    shape : str
        The shape on which a share is asked for; empty if a rung is.
    share : float
        The least fraction of the machine's limit.
    rung : int
        The least rung of the kernel's ladder; 0 if a share is asked for.
    """

    points: float
    shape: str = ""
    share: float = 0.0
    rung: int = 0

    def describe(self) -> str:
        """Return it in words."""
        return f"rung {self.rung} of the ladder" if self.rung else f"{self.share:.0%} of the limit on {self.shape}"


@dataclass(frozen=True)
class Wanted:
    """A kernel that is wanted.

    Attributes
    ----------
    points : float
        If the kernel is right.
    language : str
        One of `LANGUAGES`.
    imprecise : float
        The fraction of its points that an imprecise kernel keeps.
    thresholds : tuple of Threshold
    """

    points: float
    language: str = "any"
    imprecise: float = 0.5
    thresholds: tuple[Threshold, ...] = ()


@dataclass(frozen=True)
class Rubric:
    """What is graded, and how.

    Attributes
    ----------
    kernels : dict of str to Wanted
    title : str
    seed : int or None
        Of the data; None for a fresh one.
    seconds : float
        The time limit of a file.
    backend : str
        Of ``.cu`` files.
    start : tuple of Path
        The files that were handed out.
    copies : dict of str to float
        The fraction of its points that a copy keeps, by its kind: ``"student"``, ``"library"`` or ``"start"``.
    """

    kernels: dict[str, Wanted]
    title: str = "Assignment"
    seed: int | None = None
    seconds: float = 600.0
    backend: str = "auto"
    start: tuple[Path, ...] = ()
    copies: dict[str, float] = field(default_factory=lambda: {"student": 1.0, "library": 1.0, "start": 1.0})

    @property
    def timed(self) -> bool:
        """Whether it gives points for speed."""
        return any(wanted.thresholds for wanted in self.kernels.values())


def read(path: Path) -> Rubric:
    """Read a rubric.

    Parameters
    ----------
    path : Path

    Returns
    -------
    Rubric

    Raises
    ------
    InputError
        The file cannot be read or is no TOML, or a key is unknown, is missing, or has a wrong value.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:  # ValueError: the errors of TOML and Unicode
        raise InputError(f"cannot read the rubric {path}: {getattr(error, 'strerror', None) or error}") from error
    top = _Table(path, "", content)
    seed = top.take("seed", lambda x: x == "fresh" or _whole(x), '"fresh", or a whole number from 0 on', "fresh")
    imprecise = top.part("imprecise", 0.5)
    start = top.take("start", _texts, 'a list of files, such as ["mine.py"]', [])
    title = top.take("title", lambda x: isinstance(x, str), "a text", "Assignment")
    seconds = top.take("seconds", lambda x: _number(x) and x > 0, "a positive number", 600)
    backend = top.choice("backend", BACKENDS, "auto")
    of_copies = top.table("copies")
    copies = {kind: of_copies.part(kind, 1.0) for kind in ("student", "library", "start")}
    of_copies.end()
    wanted = top.table("kernels")
    if not wanted.content:
        raise InputError(f"{path}: kernels: none is wanted; expected a table such as [kernels.matmul] for each")
    kernels = {name: _wanted(wanted.table(name), name, imprecise) for name in list(wanted.content) if name in KERNELS}
    wanted.end(KERNELS)
    top.end()
    files = tuple(path.parent / name for name in start)
    for file in files:
        if not file.is_file():
            raise InputError(f"{path}: start: there is no file {file}; expected paths as seen from the rubric")
    return Rubric(kernels, title, None if seed == "fresh" else seed, float(seconds), backend, files, copies)


def _wanted(table: "_Table", name: str, imprecise: float) -> Wanted:
    from fastae.ladder.rungs import LADDERS, ladder

    points = table.points()
    language = table.choice("language", LANGUAGES, "any")
    part = table.part("imprecise", imprecise)
    thresholds = []
    shapes = _shapes(name) if "speed" in table.content else []
    for entry in table.tables("speed"):
        shape = entry.take("shape", lambda x: x in shapes, f"one of: {'; '.join(map(repr, shapes)) or 'none'}")
        share = entry.take("share", lambda x: _number(x) and x > 0, "a positive part of the limit, such as 0.25")
        thresholds.append(Threshold(entry.points(), shape=shape, share=float(share)))
        entry.end()
    entries = table.tables("ladder")
    if entries and name not in LADDERS:
        raise InputError(f"{table.at('ladder')}: there is no ladder of {name}; there is one of: {', '.join(LADDERS)}")
    languages = LANGUAGES[1:] if language == "any" else (language,)
    most = max(len(ladder(name, x)) for x in languages) if entries else 0
    for entry in entries:
        rung = entry.take("rung", lambda x: _whole(x) and 1 <= x <= most, f"a whole number from 1 to {most}")
        thresholds.append(Threshold(entry.points(), rung=rung))
        entry.end()
    table.end()
    return Wanted(points, language, part, tuple(thresholds))


def _shapes(name: str) -> list[str]:
    """Return the shapes on which a kernel is timed."""
    from fastae.check.speed import BATCHES, works

    return list(dict.fromkeys(work.shape for m in BATCHES for work in works(name, m)))


def _number(x: Any) -> bool:
    return isinstance(x, int | float) and not isinstance(x, bool) and math.isfinite(x)


def _whole(x: Any) -> bool:
    return isinstance(x, int) and not isinstance(x, bool) and 0 <= x < 2**31


def _texts(x: Any) -> bool:
    return isinstance(x, list) and all(isinstance(entry, str) for entry in x)


class _Table:
    """A table of the file. Its keys are taken one after another, and a key that is left raises an error."""

    def __init__(self, path: Path, name: str, content: Any) -> None:
        self._path, self._name, self._known = path, name, dict[str, None]()
        if not isinstance(content, dict):
            raise InputError(f"{path}: {name}: found {_shown(content)}; expected a table, [{name}]")
        self.content = dict(content)

    def at(self, key: str) -> str:
        """Return the name of a key for a message."""
        return f"{self._path}: {self._name}{'.' * bool(self._name)}{key}"

    def take(self, key: str, fits: Test, expected: str, default: Any = None) -> Any:
        """Return the value of a key; without a default, the key must be there."""
        self._known[key] = None
        if key not in self.content:
            if default is None:
                raise InputError(f"{self.at(key)} is missing; expected {expected}")
            return default
        value = self.content.pop(key)
        if not fits(value):
            raise InputError(f"{self.at(key)}: found {_shown(value)}; expected {expected}")
        return value

    def points(self) -> float:
        """Return the value of the key ``points``."""
        return float(self.take("points", lambda x: _number(x) and x >= 0, "a number of points from 0 on"))

    def part(self, key: str, default: float) -> float:
        """Return a value from 0 to 1."""
        return float(self.take(key, lambda x: _number(x) and 0 <= x <= 1, "a part from 0 to 1", default))

    def choice(self, key: str, allowed: tuple[str, ...], default: str) -> str:
        """Return one of some words."""
        words = ", ".join(map(repr, allowed))
        return str(self.take(key, lambda x: isinstance(x, str) and x in allowed, f"one of {words}", default))

    def table(self, key: str) -> "_Table":
        """Return a table in this one; empty if it is not there."""
        self._known[key] = None
        return _Table(self._path, self.at(key).removeprefix(f"{self._path}: "), self.content.pop(key, {}))

    def tables(self, key: str) -> list["_Table"]:
        """Return an array of tables in this one."""
        self._known[key] = None
        found, name = self.content.pop(key, []), self.at(key).removeprefix(f"{self._path}: ")
        if not isinstance(found, list):
            raise InputError(f"{self.at(key)}: found {_shown(found)}; expected an array of tables, [[{name}]]")
        return [_Table(self._path, f"{name}[{i}]", entry) for i, entry in enumerate(found)]

    def end(self, known: Any = None) -> None:
        """Raise `InputError` for a key that is left."""
        for key, value in self.content.items():
            expected = ", ".join(known or self._known)
            raise InputError(f"{self.at(key)}: unknown, with the value {_shown(value)}; expected one of: {expected}")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
