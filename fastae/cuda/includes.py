"""Make one text of a ``.cu`` file and the files that it includes, with the file and number of each line."""

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from fastae.errors import InputError

COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
INCLUDE = re.compile(r'^([ \t]*#[ \t]*include[ \t]*)(?:"([^"\n]+)"|<([^>\n]+)>)[^\n]*$', re.MULTILINE)
ONCE = re.compile(r"^[ \t]*#[ \t]*pragma[ \t]+once[ \t]*$", re.MULTILINE)
MARKER = re.compile(r'^#(?:line)? (\d+) "([^"\n]*)"[^\n]*\n', re.MULTILINE)
MOST = 4 << 20  # characters in all


def included(text: str, name: str, beside: Path | None, folders: Sequence[Path] = ()) -> str:
    """Replace the includes of a file by the files' texts.

    Parameters
    ----------
    text : str
        Of the file.
    name : str
        The file's name in a compiler's messages.
    beside : Path or None
        Its folder, where ``#include "..."`` looks first. Headers outside of it and of the other folders stay includes.
    folders : sequence of Path
        In which all includes are looked for, as with ``-I``.

    Returns
    -------
    str
        With ``#line`` where a file begins or continues.

    Raises
    ------
    InputError
        A file cannot be read, or the text is too long.
    """
    roots = [folder.resolve() for folder in (*([beside] if beside else []), *folders)]
    seen: set[Path] = set()

    def found(quoted: str | None, angled: str | None, at: Path | None) -> Path | None:
        places = [*([at] if quoted and at else []), *folders]
        paths = (path.resolve() for path in files_of(quoted or angled or "", places))
        return next((path for path in paths if any(path.is_relative_to(root) for root in roots)), None)

    def expanded(text: str, name: str, at: Path | None, within: tuple[Path, ...]) -> str:
        visible = COMMENT.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), text)
        parts, end = list[str](), 0
        for match in INCLUDE.finditer(visible):
            path = found(match[2], match[3], at)
            if path is None:
                continue
            parts.append(text[end : match.start()])
            end = match.end()
            if path in seen or path in within:  # in the latter case a guard in it would leave nothing
                continue
            inner = read(path)
            if ONCE.search(inner):
                seen.add(path)
                inner = ONCE.sub("", inner)
            inside = next(path.relative_to(root) for root in roots if path.is_relative_to(root))
            # Compilers write other characters in their own ways.
            shown = re.sub(r"[^ -~]", "_", shown_name(inside.as_posix()))
            line = text.count("\n", 0, end) + 2
            whole = expanded(inner, shown, path.parent, (*within, path))
            parts.append(f'#line 1 "{shown}"\n{whole}\n#line {line} "{name}"')
            if sum(map(len, parts)) > MOST:
                raise InputError(f"{name}: with what it includes it is longer than {MOST >> 20} MiB")
        return "".join([*parts, text[end:]])

    return expanded(text, name, beside, ())


def files_of(name: str, folders: Iterable[Path]) -> Iterator[Path]:
    """Yield the files that an include may name, in the order of the folders."""
    return (path for folder in folders if (path := folder / name).is_file())


def read(path: Path) -> str:
    """Return the text of a CUDA file, as `decoded` does; raises `InputError`."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    if b"\0" in content:
        raise InputError(f"{path} is no text: a CUDA program was expected, in UTF-8")
    return decoded(content)


def decoded(content: bytes) -> str:
    """Return the text of a CUDA file, without its byte order mark and with newlines between its lines.

    Bytes that are no UTF-8, as in a comment, are kept if the text is written with ``errors="surrogateescape"``.
    """
    text = content.decode("utf-8-sig", errors="surrogateescape")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def place_of(text: str, at: int, name: str = "") -> str:
    """Return the line of a place in a text of `included`, with its file if that has another name."""
    file, line, begin = name, 1, 0
    for marker in MARKER.finditer(text, 0, at):
        file, line, begin = marker[2], int(marker[1]), marker.end()
    line += text.count("\n", begin, at)
    return f"line {line}" if file == name else f"{file}, line {line}"


def names_of(text: str) -> set[str]:
    """Return the names of the files in a text of `included`."""
    return {marker[2] for marker in MARKER.finditer(text)}


def shown_name(name: str) -> str:
    """Return a file's name for a ``#line``."""
    return re.sub(r'["\\\n]', "_", name)
