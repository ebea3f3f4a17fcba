"""Read submissions: FOLDER/STUDENT.py or .cu, or a folder FOLDER/STUDENT of such files. Nothing is run here."""

import hashlib
import os
import re
import stat
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path

from fastae.errors import InputError

SUFFIXES = (".py", ".cu")
MOST_BYTES = 256 << 10  # of a file; a kernel needs a hundredth
MOST_FILES = 20  # of a student
LONGEST = 80  # characters of the name of a result


@dataclass(frozen=True)
class File:
    """A file of kernels.

    Attributes
    ----------
    name : str
        That can be shown, and is a valid name on any system.
    content : bytes
    digest : str
        SHA-256 of the content.
    """

    name: str
    content: bytes
    digest: str

    @property
    def suffix(self) -> str:
        """``.py`` or ``.cu``."""
        return self.name[-3:]


@dataclass
class Student:
    """A student with the files that were handed in.

    Attributes
    ----------
    name : str
        Of the file or folder.
    stem : str
        The name of the student's results, different for each student.
    files : list of File
    refused : list of str
        The files that are not judged, with reasons.
    """

    name: str
    stem: str
    files: list[File] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


class _Refused(Exception):
    """The reason why a file is not read."""


def read(folder: Path) -> tuple[list[Student], list[str]]:
    """Read the submissions in a folder.

    Parameters
    ----------
    folder : Path

    Returns
    -------
    students : list of Student
        Sorted by name.
    left : list of str
        Other entries of the folder, with the reason why they are left out.

    Raises
    ------
    InputError
        The folder cannot be read, or has no submission.
    """
    students: dict[str, Student] = {}
    left: list[str] = []
    root = Path(os.path.realpath(folder))
    for path in _entries(folder):
        name, shown = path.name, printable(path.name)
        if name.startswith("."):
            left.append(f"{shown}: hidden")
        elif path.is_dir():
            student = students.setdefault(name, Student(name, _stem(name)))
            if not _inside(path, root):
                student.refused.append(f"{shown} is a link that leads out of the folder")
                continue
            try:
                entries = _entries(path)
            except InputError as error:
                student.refused.append(str(error))
                continue
            for inner in entries:
                if inner.name.startswith(".") or inner.is_dir() or inner.suffix not in SUFFIXES:
                    left.append(f"{shown}/{printable(inner.name)}: {_why_left(inner)}")
                else:
                    _take(student, inner, root)
        elif path.suffix in SUFFIXES:
            _take(students.setdefault(path.stem, Student(path.stem, _stem(path.stem))), path, root)
        else:
            left.append(f"{shown}: {_why_left(path)}")
    if not students:
        raise InputError(f"there is no submission in {folder}; expected STUDENT.py, STUDENT.cu, or a folder for each")
    return sorted(students.values(), key=lambda s: s.name), left


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        why = getattr(error, "strerror", None) or error
        raise InputError(f"cannot read the folder {printable(str(folder))}: {why}") from error


def _why_left(path: Path) -> str:
    return "hidden" if path.name.startswith(".") else "a folder" if path.is_dir() else "neither .py nor .cu"


def _take(student: Student, path: Path, root: Path) -> None:
    shown = printable(path.name)
    if len(student.files) == MOST_FILES:
        student.refused.append(f"{shown}: a student has at most {MOST_FILES} files")
        return
    try:
        content = _content(path, root)
    except _Refused as error:
        student.refused.append(f"{shown} {error}")
    except OSError as error:
        student.refused.append(f"{shown} cannot be read: {error.strerror or error}")
    else:
        name, taken = _stem(path.stem) + path.suffix, {file.name for file in student.files}
        if name in taken:  # STUDENT.py beside a folder STUDENT with a file of that name
            name = f"{_stem(path.stem)}-2{path.suffix}"
        student.files.append(File(name, content, hashlib.sha256(content).hexdigest()))


def _content(path: Path, root: Path) -> bytes:
    """Read a regular file in the folder; raises `_Refused` for others. Opening a pipe does not wait for its writer."""
    if not _inside(path, root):
        raise _Refused("is a link that leads out of the folder")
    handle = os.open(os.path.realpath(path), os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with open(handle, "rb") as file:
        state = os.fstat(handle)
        if not stat.S_ISREG(state.st_mode):
            raise _Refused("is not a regular file")
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise _Refused(f"is larger than {MOST_BYTES >> 10} KiB")
    return content


def _inside(path: Path, root: Path) -> bool:
    return Path(os.path.realpath(path)).is_relative_to(root)


def printable(text: str, most: int = 1000) -> str:
    """Return a text on one line, without control characters, marks of direction and invalid characters."""
    clean = "".join(" " if x in "\t\r\n" else "?" if unicodedata.category(x) in ("Cc", "Cf", "Cs", "Zl", "Zp") else x
                    for x in text[: most + 1])  # fmt: skip
    return clean if len(clean) <= most else f"{clean[: most - 3]}..."


def _stem(name: str) -> str:
    """Return a name that is valid on any system: the same, or with characters replaced and a checksum added."""
    plain = re.sub(r'[^\w .+=@,()~-]|[<>:"/\\|?*]', "_", printable(name))[:LONGEST].strip(" .") or "_"
    if plain == name and not name.startswith("-"):
        return name
    return f"{plain.lstrip('-')}-{hashlib.sha256(os.fsencode(name)).hexdigest()[:8]}"
