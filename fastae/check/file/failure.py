"""An exception of a learner's kernel in one line: its type, the gist of its message, and where it was raised.

It consists of text and numbers, since it is sent from the process that ran the kernel to the judge.
"""

import ast
import linecache
import re
import traceback
from pathlib import Path
from types import FrameType
from typing import NamedTuple

from fastae.errors import FastaeError, gist

REJECTED = "Rejected as the implementation raised a specific error:"
NO_SUCH = re.compile(r"No implementation of function .*? found for signature:.*?>>> (.*?)\n", re.DOTALL)
NO_VERSION = re.compile(r"No matching definition for argument type\(s\) (.*)")
RAISED_FROM = re.compile(r"\.*\s*Raised from (?P<where>.*)$")
UNKNOWN_NAME = re.compile(r"name '(\w+)' is not defined")


class Failure(NamedTuple):
    """An exception in words.

    Attributes
    ----------
    type_name : str
        The name of its type, such as ``"ValueError"``.
    message : str
        The line of its message that says what is wrong.
    line : int
        The line of the learner's file, from 1 on; 0 if it is not known.
    place : str
        The expression whose index was outside of an array, with its values; empty for other exceptions.
    """

    type_name: str
    message: str
    line: int = 0
    place: str = ""

    def describe(self, kernel: str) -> str:
        """Return it in words, with the line."""
        return f"{kernel} failed: {self.type_name}: {self.message}{f' (line {self.line})' * bool(self.line)}"


class KernelFailed(FastaeError):
    """A learner's kernel raised an exception.

    Attributes
    ----------
    failure : Failure
    """

    def __init__(self, kernel: str, failure: Failure) -> None:
        super().__init__(failure._replace(line=0).describe(kernel))
        self.failure = failure


def describe_failure(error: BaseException, file: str = "") -> Failure:
    """Describe an exception that was raised while a kernel of a file was run or compiled.

    Parameters
    ----------
    error : BaseException
    file : str
        The path of the learner's file, as in the code objects of its functions.

    Returns
    -------
    Failure
    """
    try:
        text = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
    except Exception:  # from its own __str__
        text = ""
    frames = [
        (frame, line)
        for frame, line in traceback.walk_tb(error.__traceback__)
        if file and frame.f_code.co_filename == file
    ]
    line = frames[-1][1] if frames else _line(text, file)
    place = _place(*frames[-1], file) if frames and isinstance(error, IndexError) else ""
    return Failure(type(error).__name__, _decisive(text) or gist(error), line, place)


def _decisive(text: str) -> str:
    """Return the decisive part of a message from Numba; empty for other messages."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if match := NO_VERSION.match(text):
        return f"Numba has compiled it for other types than {match[1]}"
    if text.startswith("cannot cache function"):
        return "Numba can write into no folder to cache it: leave out cache=True, or set NUMBA_CACHE_DIR to one"
    if REJECTED in lines[:-1]:  # the last one fits best
        reasons = [lines[i + 1] for i, line in enumerate(lines[:-1]) if line == REJECTED]
        return re.sub(r"^\w*(Error|Exception): ", "", reasons[-1])
    if match := NO_SUCH.search(text):
        return f"Numba has no {' '.join(match[1].split())}"
    if lines and (match := RAISED_FROM.search(lines[0])):
        return lines[0][: match.start()]
    return ""


def _line(text: str, file: str) -> int:
    """Return the line of the file that a message from Numba names; 0 if it names none."""
    name = re.escape(Path(file).name)
    found = re.search(rf'(?:File "|Raised from )[^"\n]*{name}(?:", line | \()(\d+)', text)
    if name and found:
        return int(found[1])
    unknown = UNKNOWN_NAME.search(text)
    lines = linecache.getlines(file) if file and unknown else []
    return next((i for i, line in enumerate(lines, 1) if unknown and re.search(rf"\b{unknown[1]}\b", line)), 0)


def _place(frame: FrameType, line: int, file: str) -> str:
    """Return which subscript in a line is outside of its array, and with which indices."""
    linecache.checkcache(file)
    try:
        tree = ast.parse("".join(linecache.getlines(file)))
    except SyntaxError:  # the file has changed meanwhile
        return ""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Subscript) or not node.lineno <= line <= (node.end_lineno or node.lineno):
            continue
        if not isinstance(node.value, ast.Name) or any(isinstance(inner, ast.Call) for inner in ast.walk(node)):
            continue  # a call may have side effects
        text = ast.unparse(node)
        values = frame.f_globals | frame.f_locals
        try:
            eval(text, values)  # code of the learner's file, in the process that runs it
        except IndexError:
            shape = getattr(values[node.value.id], "shape", None)
            names = dict.fromkeys(inner.id for inner in ast.walk(node.slice) if isinstance(inner, ast.Name))
            indices = ", ".join(f"{name} = {values[name]}" for name in names if name in values)
            of = f", where {node.value.id} has the shape {shape}" if shape is not None else ""
            return f"{text}{f' with {indices}' * bool(indices)}{of}"
        except Exception:
            continue
    return ""
