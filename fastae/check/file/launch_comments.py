"""The comments of a ``.cu`` file that say how its kernels are launched.

    // launch matmul: grid (ceil(n / 32), ceil(m / 32)), block (16, 16), shared (16 * k)

Grid, block and shared may come in any order, and the parentheses and the commas between them may be left out. A comment
that is meant as a launch and cannot be parsed raises an error: if it were ignored, the kernel would run with other
blocks than its author has asked for.
"""

import ast
import difflib
import math
import operator
import re
from collections.abc import Iterator
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from fastae.backends.contract import KERNELS
from fastae.backends.cupy_backend.launcher import MOST_BLOCKS, THREADS
from fastae.backends.emulator.source import kernels_of
from fastae.cuda.includes import COMMENT, place_of, shown_name
from fastae.errors import InputError
from fastae.layers import Geometry

SHARED, MOST_SHARED = 48 << 10, 227 << 10  # bytes of a block's dynamic shared memory: without an opt-in, and at most
LINE = re.compile(r"^(?://+|[ \t]*/?\*+)?[ \t]*launch\b[ \t]*(.*?)[ \t]*(?:\*/)?$", re.MULTILINE | re.IGNORECASE)
NAMED = re.compile(r"(\w*)[ \t]*(:(?!:)[ \t]*|(?=(?:grid|block)\b|<<<))(.*)")  # behind the word launch
PARTS = re.compile(r"\b((?:grid|block|thread|shared)\w*)\s*[:=]?", re.IGNORECASE)
MEANT = re.compile(r"\b(?:grid|blocks?|threads?)\b\s*[(\[=:\d]|<<<")  # a launch, of whatever kernel
EXAMPLE = "// launch {}: grid (ceil(n / 16), ceil(m / 16)), block (16, 16)"


class Launch(NamedTuple):
    """The expressions of a launch comment, and its file and line in words."""

    grid: str
    block: str
    shared: str
    place: str


def launch_of(
    text: str, name: str, named: dict[str, Any], path: Path = Path("kernel.cu")
) -> tuple[tuple[int, ...], tuple[int, ...], int]:
    """Return grid, block and bytes of dynamic shared memory with which a kernel of a ``.cu`` file is launched.

    Parameters
    ----------
    text : str
        Of the file.
    name : str
        A kernel of the contract.
    named : dict
        The kernel's arguments by name.
    path : Path
        Of the file, for messages.

    Returns
    -------
    grid, block : tuple of int
        One to three numbers each. Without a comment, blocks of 256 threads, a thread for each element of the output.
    shared : int

    Raises
    ------
    InputError
        The comment cannot be evaluated, or asks for too much shared memory.
    """
    if launch := launches_of(text, path.name).get(name):
        numbers = _numbers(name, named)
        grid, block = (_evaluate(part, numbers, launch.place) for part in (launch.grid, launch.block))
        shared = _evaluate(launch.shared, numbers, launch.place)
        if len(shared) != 1 or shared[0] > MOST_SHARED:
            raise InputError(
                f"{launch.place}: the launch's shared {launch.shared}: not one number of bytes, at most {MOST_SHARED}"
            )
        return grid, block, shared[0]
    written = KERNELS[name].shapes.get("out") or KERNELS[name].shapes.get("y") or ("1",)
    shape = ("m", "n") if written == ("...",) else written
    lengths = lengths_of(name, named)
    work = math.prod(lengths.get(letter, 1) for letter in shape)
    return (min(-(-work // THREADS), MOST_BLOCKS),), (THREADS,), 0


@cache
def launches_of(text: str, file: str) -> dict[str, Launch]:
    """Return the launches that a file's comments describe, by kernel.

    Parameters
    ----------
    text : str
    file : str
        Its name, for messages.

    Raises
    ------
    InputError
        A comment is meant as a launch and cannot be parsed, names a kernel that is not there, or contradicts another.
    """
    found, own = dict[str, Launch](), list(kernels_of(text, templates=True))
    for name, colon, rest, place in _comments(text, file):
        if name not in own and (own or name not in KERNELS):
            near = next(iter(difflib.get_close_matches(name, own, 1)), "")
            if sum(map(bool, (near, colon, MEANT.search(rest)))) > 1:  # otherwise it is prose
                what = (
                    f"a launch of {name}, which the file does not define" if name else "a launch that names no kernel"
                )
                which = f"perhaps {near} is meant" if near else f"it defines {', '.join(own) or 'none'}"
                raise InputError(f"{place}: {what}; {which}; an example: {EXAMPLE.format(near or 'matmul')}")
        elif colon or MEANT.search(rest):
            launch = _parsed(name, rest, place)
            if name in found and found[name][:3] != launch[:3]:
                raise InputError(f"{place}: the launch of {name} is another one than in {found[name].place}")
            found.setdefault(name, launch)
    return found


def _comments(text: str, file: str) -> Iterator[tuple[str, bool, str, str]]:
    """Yield the comments that begin with the word launch: the name, whether a colon follows, the rest, the place."""
    for comment in COMMENT.finditer(text):
        for line in LINE.finditer(comment[0]):
            if match := NAMED.match(line[1]):
                at = place_of(text, comment.start() + line.start(1), shown_name(file))
                yield match[1], bool(match[2]), match[3], f"{file}, {at}" if at.startswith("line ") else at


def _parsed(name: str, rest: str, place: str) -> Launch:
    """Parse a launch comment; raises `InputError`."""
    heads = list(PARTS.finditer(rest))
    ends = [*(head.start() for head in heads[1:]), len(rest)]
    parts, wrong = dict[str, str](), (rest[: heads[0].start()] if heads else rest).strip()
    for head, end in zip(heads, ends):
        value = rest[head.end() : end].strip().rstrip(",.; \t")
        word = head[1].lower()
        if not wrong and (word in parts or word not in ("grid", "block", "shared") or not _is_expression(value)):
            wrong = rest[head.start() : end].strip()
        parts[word] = value
    missing = [word for word in ("grid", "block") if word not in parts]
    if wrong or missing:
        what = f"{wrong!r} is not understood" if wrong else f"it does not say the {missing[0]}"
        raise InputError(
            f"{place}: the launch of {name}: {what}; expected: grid, how many blocks there are, and block, of how many "
            f"threads each is, as in: {EXAMPLE.format(name)}"
        )
    return Launch(parts["grid"], parts["block"], parts.get("shared", "0"), place)


def _is_expression(text: str) -> bool:
    try:
        ast.parse(text, mode="eval")
    except (SyntaxError, ValueError):
        return False
    return True


def lengths_of(name: str, named: dict[str, Any]) -> dict[str, int]:
    """Return the lengths by letter of a kernel's arguments."""
    lengths: dict[str, int] = {}
    for key, letters in KERNELS[name].shapes.items():
        shape = named[key].shape[::-1] if named.get(f"trans_{key}") else named[key].shape
        names = (("n",) if len(shape) == 1 else ("m", "n")) if letters == ("...",) else letters
        lengths |= dict(zip(names, shape))
    return {"m": 1, **lengths} if name == "axpy" else lengths


def _numbers(name: str, named: dict[str, Any]) -> dict[str, int]:
    """Return the names that a launch may use: lengths and, for kernels of images, the geometry."""
    return lengths_of(name, named) | {key: int(named[key]) for key in Geometry._fields if key in named}


OPERATORS: dict[type[ast.operator], Any] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.floordiv,  # as C++ divides whole numbers
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
FUNCTIONS: dict[str, Any] = {"ceil": math.ceil, "floor": math.floor, "min": min, "max": max}
ROUNDING = ("ceil", "floor")  # within which a quotient keeps its fraction


def divided(text: str, name: str, named: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return the divisions in a kernel's grid that have a remainder: the quotient, the length and the divisor."""
    dropped = list[tuple[str, str, str]]()
    if launch := launches_of(text, "kernel.cu").get(name):
        _evaluate(launch.grid, _numbers(name, named), launch.place, dropped)
    return dropped


def _evaluate(
    text: str, lengths: dict[str, int], place: str, dropped: list[tuple[str, str, str]] | None = None
) -> tuple[int, ...]:
    """Return the numbers of a launch's tuple: whole numbers, lengths, + - * / %, ceil, floor, min and max."""

    def value(node: ast.expr, exact: bool = False) -> int | Fraction:
        match node:
            case ast.Constant(value=int(number)):
                return number
            case ast.Name(id=name) if name in lengths:
                return lengths[name]
            case ast.BinOp(left=left, op=op, right=right) if type(op) in OPERATORS:
                x, y = value(left, exact), value(right, exact)
                if isinstance(op, ast.Div) and exact:
                    return Fraction(x) / y
                if isinstance(op, ast.Div) and isinstance(left, ast.Name) and x % y and dropped is not None:
                    dropped.append((ast.unparse(node), left.id, ast.unparse(right)))
                return OPERATORS[type(op)](x, y)
            case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if name in FUNCTIONS:
                if len(arguments) == 1 if name in ROUNDING else len(arguments) > 1:
                    values = [value(argument, exact or name in ROUNDING) for argument in arguments]
                    return FUNCTIONS[name](*values)
        names = ", ".join(sorted(lengths))
        raise ValueError(
            f"{ast.unparse(node)} is none of {names}, a number, + - * / %, ceil(), floor(), min() or max()"
        )

    try:
        body = ast.parse(text, mode="eval").body
        numbers = [value(node) for node in (body.elts if isinstance(body, ast.Tuple) else [body])]
        if not all(number >= 0 for number in numbers) or not 1 <= len(numbers) <= 3:
            raise ValueError(f"gives {numbers}, not one to three whole numbers")
    except (ValueError, SyntaxError, ZeroDivisionError) as error:
        raise InputError(f"{place}: the launch's {text}: {error}") from error
    return tuple(int(number) for number in numbers)
