"""Read the rungs of a ladder from their files."""

import re
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from fastae.errors import InputError

FOLDER = Path(__file__).parent
KERNELS = {  # ladder to kernel
    "matmul": "matmul",
    "conv": "convolve",
    "sigmoid": "bias_sigmoid",
    "loss_gradient": "mse_gradient",
}
LADDERS = {kernel: name for name, kernel in KERNELS.items()}
LANGUAGES = ("numpy", "numba", "cuda")
BACKENDS = {"numpy": "numpy", "numba": "numba", "cupy": "cuda", "emulator": "cuda", "cuda": "cuda"}
TOPS = {  # the file of the last rung, by language and for some ladders another
    "numpy": "fastae/backends/numpy_backend/__init__.py",
    "numba": "fastae/backends/numba_backend/kernels.py",
    "cuda": "fastae/cuda",
    "sigmoid, numpy": "fastae/activations.py",
    "sigmoid, numba": "fastae/backends/numba_backend/activations.py",
}
FIELDS = re.compile(r"^(Idea|Predicted|Hint): ", re.MULTILINE)
GAIN = re.compile(r"([\d.]+) times\b")


@dataclass(frozen=True)
class Rung:
    """One version of a kernel.

    Attributes
    ----------
    ladder, language : str
        A key of `KERNELS`, and one of `LANGUAGES`.
    number : int
        Place on the ladder, from 1.
    name : str
        A word or two.
    path : Path or None
        The file; None for the last rung, which is the backend's own kernel.
    title, idea, predicted, hint : str
        The paragraphs at the head of the file.
    """

    ladder: str
    language: str
    number: int
    name: str
    path: Path | None
    title: str
    idea: str = ""
    predicted: str = ""
    hint: str = ""

    @property
    def kernel(self) -> str:
        """The name of the kernel in the contract."""
        return KERNELS[self.ladder]

    @property
    def exercise(self) -> str:
        """The name of the exercise that removes the rung's idea."""
        return f"{self.ladder}-{self.language}-{self.number}"

    @property
    def short_title(self) -> str:
        """The title up to its colon."""
        return self.title.split(":")[0].rstrip(".")

    @property
    def gain(self) -> float | None:
        """Predicted speed divided by that of the rung below; None if there is no prediction."""
        match = GAIN.match(self.predicted)
        return float(match[1]) if match else None

    @property
    def source(self) -> str:
        """The file's text."""
        assert self.path is not None
        return self.path.read_text(encoding="utf-8")

    def load(self, backend: str = "auto") -> Any:
        """Return a backend with this kernel; a CUDA kernel runs on ``backend``, ``"emulator"`` or ``"cupy"``."""
        from fastae import backends
        from fastae.check import learner

        if self.path is None:
            return backends.get(backend if self.language == "cuda" else self.language)
        return learner.load(self.path, backend if self.language == "cuda" else "auto")

    def function(self) -> Callable[..., None]:
        """Return the kernel as a function that is called without checks of its arguments; in CUDA, on a GPU."""
        if self.language == "cuda":
            return getattr(self.load("cupy"), self.kernel)
        if self.path is not None:
            return self.load().plain[self.kernel]
        if self.language == "numba":
            from fastae.backends.numba_backend import kernels

            return getattr(kernels, self.kernel)
        return getattr(self.load(), self.kernel)


@cache
def ladder(name: str, language: str) -> tuple[Rung, ...]:
    """Return the rungs of a ladder, slowest first; the last is the backend's own kernel.

    Parameters
    ----------
    name : str
        A key of `KERNELS`, or the kernel's name in the contract.
    language : str
        ``"numpy"``, ``"numba"`` or ``"cuda"``; or a backend's name.

    Returns
    -------
    tuple of Rung

    Raises
    ------
    InputError
        There is no such ladder.
    """
    name = LADDERS.get(name, name)
    if name not in KERNELS:
        raise InputError(f"there is no ladder {name!r}; the ladders are: {', '.join(KERNELS)}")
    if language not in BACKENDS:
        raise InputError(f"there is no ladder for {language!r}; there is one for: {', '.join(BACKENDS)}")
    language = BACKENDS[language]
    rungs = []
    for path in sorted((FOLDER / name / language).glob("[0-9]_*.*")):
        number, word = path.stem.split("_", 1)
        rungs.append(Rung(name, language, int(number), word.replace("_", " "), path, **said(path)))
    top = f"the backend's own kernel, in {TOPS.get(f'{name}, {language}', TOPS[language])}"
    return (*rungs, Rung(name, language, len(rungs) + 1, "backend", None, top))


def listing() -> str:
    """Return all rungs of all ladders in lines, each with the name of its exercise."""
    lines = []
    for name in KERNELS:
        for language in LANGUAGES:
            lines.append(f"{name}, {language}")
            rungs = ladder(name, language)
            lines += [f"  {rung.exercise if rung.path else '':24} {rung.short_title}" for rung in rungs]
    return "\n".join(lines)


def between(told: Sequence[str], passed: Sequence[bool]) -> str:
    """Return between which rungs a kernel is.

    Parameters
    ----------
    told : sequence of str
        A description of each rung, slowest first.
    passed : sequence of bool
        Whether the kernel is at least as fast as each rung.
    """
    reached = [i for i, is_passed in enumerate(passed) if is_passed]
    if not reached:
        return f"below {told[0]}"
    if reached[-1] == len(told) - 1:
        return f"above {told[-1]}, the top"
    return f"between {told[reached[-1]]} and {told[reached[-1] + 1]}"


def reached(place: str) -> int:
    """Return the highest rung's number that a kernel has reached, from the text of `between`; 0 if below the first."""
    match = re.search(r"\b(below|above|between) rung (\d+) ", place)
    return int(match[2]) if match and match[1] != "below" else 0


def said(path: Path) -> dict[str, str]:
    """Return the four paragraphs at the head of a rung's file, by the names of `Rung`'s attributes."""
    header, _ = split(path.read_text(encoding="utf-8"))
    title, *rest = FIELDS.split(header)
    fields = dict(zip((word.lower() for word in rest[::2]), rest[1::2]))
    return {"title": " ".join(title.split())} | {key: " ".join(text.split()) for key, text in fields.items()}


def split(text: str) -> tuple[str, str]:
    """Return the head of a rung's file, without quotes or slashes, and the code after it."""
    if text.startswith('"""'):
        header, code = text[3:].split('"""', 1)
        return header, code.lstrip("\n")
    lines = text.splitlines()
    end = next(i for i, line in enumerate(lines) if not line.startswith("//"))
    return textwrap.dedent("\n".join(line[2:] for line in lines[:end])), "\n".join(lines[end:]).lstrip("\n") + "\n"
