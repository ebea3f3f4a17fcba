"""What an exception of a learner's kernel says, in one line: of what kind it is, its gist, and where it was raised.

The judge may be another process than the one in which the kernel ran, so all of it is text and numbers.
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
    """What is known of an exception.

    Attributes
    ----------
    type_name : str
        Of its type: ``"ValueError"``.
    message : str
        The line of its message that says what is wrong.
    line : int
        Of the learner's file, from 1 on; 0 if it is not known.
    place : str
        The expression that led outside of an array, and its index, if it did.
    """

    type_name: str
    message: str
    line: int = 0
    place: str = ""

    def told(self, kernel: str) -> str:
        """Put it in words, with the line."""
        return f"{kernel} failed: {self.type_name}: {self.message}{f' (line {self.line})' * bool(self.line)}"


class KernelFailed(FastaeError):
    """A learner's kernel that raised an exception.

    Attributes
    ----------
    failure : Failure
    """

    def __init__(self, kernel: str, failure: Failure) -> None:
        super().__init__(failure._replace(line=0).told(kernel))
        self.failure = failure


def describe_failure(error: BaseException, file: str = "") -> Failure:
    """Describe an exception that was raised while a kernel of a file was run or compiled.

    Parameters
    ----------
    error : BaseException
    file : str
        The path of the learner's file; that of its functions' code.
    """
    try:
        text = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
    except Exception:  # its own method fails
        text = ""
    frames = [(frame, line) for frame, line in traceback.walk_tb(error.__traceback__) if file and _is_in(frame, file)]
    line = frames[-1][1] if frames else _line(text, file)
    place = _place(*frames[-1], file) if frames and isinstance(error, IndexError) else ""
    return Failure(type(error).__name__, _decisive(text) or gist(error), line, place)


def _is_in(frame: FrameType, file: str) -> bool:
    return frame.f_code.co_filename == file


def _decisive(text: str) -> str:
    """Return what a message of Numba's says; nothing if it is none of those that hide it."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if match := NO_VERSION.match(text):
        return f"Numba has compiled it for other types than {match[1]}"
    if text.startswith("cannot cache function"):
        return "Numba can write into no folder to cache it: leave out cache=True, or set NUMBA_CACHE_DIR to one"
    if REJECTED in lines[:-1]:  # the first is the most general, the last the one that fits best
        reasons = [lines[i + 1] for i, line in enumerate(lines[:-1]) if line == REJECTED]
        return re.sub(r"^\w*(Error|Exception): ", "", reasons[-1])
    if match := NO_SUCH.search(text):
        return f"Numba has no {' '.join(match[1].split())}"
    if lines and (match := RAISED_FROM.search(lines[0])):
        return lines[0][: match.start()]
    return ""


def _line(text: str, file: str) -> int:
    """Return the line of the file that a message of Numba's names."""
    name = re.escape(Path(file).name)
    found = re.search(rf'(?:File "|Raised from )[^"\n]*{name}(?:", line | \()(\d+)', text)
    if name and found:
        return int(found[1])
    unknown = UNKNOWN_NAME.search(text)
    lines = linecache.getlines(file) if file and unknown else []
    return next((i for i, line in enumerate(lines, 1) if unknown and re.search(rf"\b{unknown[1]}\b", line)), 0)


def _place(frame: FrameType, line: int, file: str) -> str:
    """Return which of a line's subscripts leads outside of its array, and with which indices."""
    linecache.checkcache(file)
    try:
        tree = ast.parse("".join(linecache.getlines(file)))
    except SyntaxError:  # the file has changed meanwhile
        return ""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Subscript) or not node.lineno <= line <= (node.end_lineno or node.lineno):
            continue
        if not isinstance(node.value, ast.Name) or any(isinstance(inner, ast.Call) for inner in ast.walk(node)):
            continue  # what is called may change something
        text = ast.unparse(node)
        values = frame.f_globals | frame.f_locals
        try:
            eval(text, values)  # of the learner's file, in whose process this is run
        except IndexError:
            shape = getattr(values[node.value.id], "shape", None)
            names = dict.fromkeys(inner.id for inner in ast.walk(node.slice) if isinstance(inner, ast.Name))
            indices = ", ".join(f"{name} = {values[name]}" for name in names if name in values)
            of = f", where {node.value.id} has the shape {shape}" if shape is not None else ""
            return f"{text}{f' with {indices}' * bool(indices)}{of}"
        except Exception:
            continue
    return ""
