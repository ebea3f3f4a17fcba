"""Programs of many cases, compiled once: an argument chooses the case, and comments mark the lines of the messages."""

import shutil
from pathlib import Path

import pytest

FAULTY = Path(__file__).parent / "faulty"


def copied(name: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy a program to where it is run."""
    return Path(shutil.copy(FAULTY / name, tmp_path_factory.mktemp("cases")))


def line_of(program: Path, mark: str) -> str:
    """Return the number of the line that has this mark in its comment."""
    lines = enumerate(program.read_text(encoding="utf-8").splitlines(), 1)
    (number,) = [i for i, line in lines if mark in line.partition("// ")[2].split(", ")]
    return str(number)


def with_lines(program: Path, words: str) -> str:
    """Put in lines for marks in braces; a message that begins with one begins with the file."""
    parts = words.replace("}", "{").split("{")
    text = "".join(line_of(program, part) if i % 2 else part for i, part in enumerate(parts))
    return f"fastae: {program.name}:{text}" if words.startswith("{") else text
