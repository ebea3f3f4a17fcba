"""The rungs of a ladder, read from their files."""

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
TOPS = {
    "numpy": "fastae/backends/numpy_backend/__init__.py",
    "numba": "fastae/backends/numba_backend/kernels.py",
    "cuda": "fastae/cuda",
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
        From 1.
    name : str
        In a word.
    path : Path or None
        Its file; None for the top, which is the backend's own kernel.
    title, idea, predicted, hint : str
        What the file says of itself.
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
        """The contract's name for what it computes."""
        return KERNELS[self.ladder]

    @property
    def exercise(self) -> str:
        """What the exercise is called that takes its idea out."""
        return f"{self.ladder}-{self.language}-{self.number}"

    @property
    def short_title(self) -> str:
        """The title up to its colon."""
        return self.title.split(":")[0].rstrip(".")

    @property
    def gain(self) -> float | None:
        """How many times faster than the rung below it should be."""
        match = GAIN.match(self.predicted)
        return float(match[1]) if match else None

    @property
    def source(self) -> str:
        """The file's text."""
        assert self.path is not None
        return self.path.read_text(encoding="utf-8")

    def load(self, backend: str = "auto") -> Any:
        """Return a backend with this kernel; for CUDA on ``"emulator"`` or ``"cupy"``."""
        from fastae import backends
        from fastae.check import learner

        if self.path is None:
            return backends.get(backend if self.language == "cuda" else self.language)
        return learner.load(self.path, backend if self.language == "cuda" else "auto")

    def function(self) -> Callable[..., None]:
        """Return the kernel as plainly as it can be called; in CUDA, on a GPU."""
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
    """Return the rungs from the ground up, the backend's own kernel last.

    Parameters
    ----------
    name : str
        A key of `KERNELS`, or the kernel's own name.
    language : str
        ``"numpy"``, ``"numba"`` or ``"cuda"``; or a backend's name.

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
    top = f"the backend's own kernel, in {TOPS[language]}"
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
    """Say where a kernel stands: what is told of each rung, and which of them it is at least as good as."""
    reached = [i for i, is_passed in enumerate(passed) if is_passed]
    if not reached:
        return f"below {told[0]}"
    if reached[-1] == len(told) - 1:
        return f"above {told[-1]}, the top"
    return f"between {told[reached[-1]]} and {told[reached[-1] + 1]}"


def reached(place: str) -> int:
    """Return the highest rung that a kernel has reached of which `between` says where it stands; 0: not the first."""
    match = re.search(r"\b(below|above|between) rung (\d+) ", place)
    return int(match[2]) if match and match[1] != "below" else 0


def said(path: Path) -> dict[str, str]:
    """Read the four paragraphs at the head of a rung's file."""
    header, _ = split(path.read_text(encoding="utf-8"))
    title, *rest = FIELDS.split(header)
    fields = dict(zip((word.lower() for word in rest[::2]), rest[1::2]))
    return {"title": " ".join(title.split())} | {key: " ".join(text.split()) for key, text in fields.items()}


def split(text: str) -> tuple[str, str]:
    """Return what a rung's file says of itself, without quotes or slashes, and the code below that."""
    if text.startswith('"""'):
        header, code = text[3:].split('"""', 1)
        return header, code.lstrip("\n")
    lines = text.splitlines()
    end = next(i for i, line in enumerate(lines) if not line.startswith("//"))
    return textwrap.dedent("\n".join(line[2:] for line in lines[:end])), "\n".join(lines[end:]).lstrip("\n") + "\n"
