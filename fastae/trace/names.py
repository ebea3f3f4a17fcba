"""Names of addresses: lines of the source, parameters of the kernel, shared arrays and other variables."""

import ast
import math
import operator
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fastae.backends.emulator.recording import Recorded
from fastae.backends.emulator.shared_memory import DYNAMIC
from fastae.backends.emulator.source import constants_of, without_comments
from fastae.backends.emulator.toolchain import DECODED, line_of, places_of
from fastae.run import program

TYPES = {
    "float": "f4", "double": "f8", "int": "i4", "unsigned": "u4", "unsigned int": "u4", "long long": "i8",
    "unsigned long long": "u8", "short": "i2", "char": "i1", "unsigned char": "u1", "bool": "u1", "size_t": "u8",
    "int32_t": "i4", "uint32_t": "u4", "int64_t": "i8", "uint64_t": "u8", "uint8_t": "u1", "uint": "u4",
    **{f"float{n}": "f4" for n in range(1, 5)}, **{f"double{n}": "f8" for n in range(1, 5)},
    **{f"int{n}": "i4" for n in range(1, 5)}, **{f"uint{n}": "u4" for n in range(1, 5)},
}  # fmt: skip
OPERATORS: dict[type[ast.operator], Any] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.floordiv,
}


class Region(NamedTuple):
    """A piece of memory with a name.

    Attributes
    ----------
    name : str
    type : str
        Of its elements: NumPy's letter and their bytes, ``"f4"``; empty if it is not known.
    begin, bytes : int
        Where it lies.
    strides : tuple of int
        Bytes from one index to the next, for each index of an element.
    memory : {"global", "shared", "constant"}
    """

    name: str
    type: str
    begin: int
    bytes: int
    strides: tuple[int, ...]
    memory: str


def lines_of(library: Path, places: Sequence[int], files: Sequence[Path] = ()) -> list[str]:
    """Return file and line of places in the code, as `line_of` does; of a program, the innermost in its files."""
    if files:
        return program.lines_of(library, [int(place) for place in places], files)
    tool = shutil.which("addr2line")
    if tool is None or not len(places):
        return [line_of(library, int(place)) for place in places]
    asked = "\n".join(hex(max(0, int(place) - 1)) for place in places)
    found = subprocess.run([tool, "-e", str(library)], input=asked, capture_output=True, **DECODED).stdout.splitlines()
    names = [os.path.basename(line.split()[0]) if line.split() else "??" for line in found]
    return ["an unknown line" if name.startswith("??") else name for name in names]


def regions(recorded: Recorded, header: Any, touched: Sequence[int]) -> list[Region]:
    """Return regions of memory with names: arrays, dynamic shared memory, variables.

    Parameters
    ----------
    recorded : Recorded
    header : record
        Of its block.
    touched : sequence of int
        Addresses, sorted.
    """
    found = list[Region]()
    for array in recorded.arrays:
        size, letter = np.dtype(array.dtype).itemsize, np.dtype(array.dtype).kind
        kind = f"{'u' if letter == 'b' else letter}{size}" if letter in "iufb" else ""
        strides = (array.stride, size) if array.rows > 1 else (size,)
        whole = (array.rows - 1) * array.stride + array.width
        found.append(Region(array.name, kind, array.address, whole, strides, "global"))
    code = without_comments(recorded.code)
    if header["dynamic"]:
        match = next((m for m in DYNAMIC.finditer(code) if m["name"]), None)
        name = match["name"] if match else "dynamic shared memory"
        kind = _type(match["kind"].split()[-1] if match else "", recorded)
        room, size = int(header["room"]), int(header["dynamic"])
        found.append(Region(name, kind, room, size, (int(kind[1:] or 1),) if kind else (4,), "shared"))
    found += _variables(recorded, code, header, touched)
    return found


def _variables(recorded: Recorded, code: str, header: Any, touched: Sequence[int]) -> Iterator[Region]:
    """Yield the variables of the library that are touched."""
    base, end = int(header["library"]), int(header["library_end"])
    inside = [int(a) for a in touched if base <= a < end]
    if not inside:
        return
    constants = places_of(recorded.library, constants_of(recorded.code))
    for name, offset, size in _symbols(recorded.library):
        begin = base + offset
        if not any(a < begin + size and begin < a + 256 for a in inside):
            continue
        shared = int(header["shared"]) <= begin < int(header["shared_end"])
        memory = "shared" if shared else "constant" if (offset, size) in constants else "global"
        kind, lengths = _declared(code, name, size, recorded)
        item = int(kind[1:] or 1) if kind else 4
        strides = tuple(item * math.prod(lengths[i + 1 :]) for i in range(len(lengths))) or (item,)
        yield Region(name, kind, begin, size, strides, memory)


def _symbols(library: Path) -> Iterator[tuple[str, int, int]]:
    """Yield names, offsets and sizes of a library's variables; nothing without binutils."""
    tool = shutil.which("nm")
    if tool is None:
        return
    command = [tool, "-S", "-C", "--defined-only", str(library)]
    for line in subprocess.run(command, capture_output=True, **DECODED).stdout.splitlines():
        match = re.fullmatch(r"([0-9a-f]+) ([0-9a-f]+) [bBdDrRuVvGgsS] (.*)", line)
        if match and "emulator::" not in match[3]:
            name = re.search(r"(\w+)(?:\s*\[[^\]]*\])*$", match[3])
            yield name[1] if name else match[3], int(match[1], 16), int(match[2], 16)


def _declared(code: str, name: str, size: int, recorded: Recorded) -> tuple[str, list[int]]:
    """Return the type of an array's elements, and its lengths, as far as they can be read in its declaration."""
    constants = dict(re.findall(r"^[ \t]*#[ \t]*define[ \t]+(\w+)[ \t]+(.+)$", code, re.MULTILINE))
    constants |= re.findall(r"\bconst(?:expr)?\s+(?:unsigned|int|size_t)\s+(\w+)\s*=\s*([^;,]+)", code)
    kind = ""
    for declaration in re.findall(r"\b__(?:shared|device|constant)__\b([^;{}()=]*)", code):
        first, *others = re.split(r",(?![^\[]*\])", declaration)
        match = re.match(r"(.*?)(\w+\s*(?:\[[^\]]*\]\s*)*)$", first.strip(), re.DOTALL)
        for declared in [match[2], *others] if match else []:
            if re.match(r"\s*(\w*)", declared)[1] != name:  # type: ignore[index]  # it may match nothing
                continue
            kind = _type(match[1], recorded) if match else ""
            try:
                lengths = [_number(text, constants) for text in re.findall(r"\[([^\]]*)\]", declared)]
            except (ValueError, SyntaxError, ZeroDivisionError, RecursionError):
                continue
            if kind and math.prod(lengths) * int(kind[1:]) == size:
                return kind, lengths
    return kind, []


def _type(words: str, recorded: Recorded) -> str:
    """Return the type that the last words of a declaration name."""
    defined = dict(re.findall(r"-D(\w+)=(\w+)", " ".join(recorded.options)))
    plain = re.sub(r"\b(?:__shared__|__device__|__constant__|static|const|volatile|extern|alignas)\b", " ", words)
    plain = " ".join(plain.split())
    return TYPES.get(plain) or TYPES.get(defined.get(plain, ""), "")


def _number(text: str, constants: dict[str, str]) -> int:
    """Return a whole number of literals, named constants and + - * /; raises `ValueError`."""

    def value(node: ast.expr) -> int:
        match node:
            case ast.Constant(value=int(number)):
                return number
            case ast.Name(id=name) if name in constants:
                return _number(constants[name], constants)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in OPERATORS:
                return int(OPERATORS[type(op)](value(left), value(right)))
        raise ValueError(text)

    return value(ast.parse(text.strip(), mode="eval").body)
