"""The C++ compiler and binutils of this machine, and what they say."""

import os
import re
import shutil
import signal
import struct
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

from fastae.backends.emulator.source import HERE, CompileError

COPIES = ("memcpy", "memmove", "memset")  # whose accesses the compiler has no hooks for
SECONDS = 120  # that the compiler may take
DECODED: Any = {"encoding": "utf-8", "errors": "replace"}  # whatever the locale: messages quote the source


def find_compiler() -> str | None:
    """Return the path of a C++ compiler, or None."""
    wanted = [os.environ["CXX"]] if os.environ.get("CXX") else []
    return next(filter(None, map(shutil.which, (*wanted, "g++", "clang++", "c++"))), None)


def compiler_path() -> str:
    """Return the path of a C++ compiler; raises `CompileError` if there is none."""
    command = find_compiler()
    if command is None:
        raise CompileError("the emulator needs a C++ compiler: install g++ or clang++")
    return command


@cache
def is_clang(command: str) -> bool:
    """Tell clang++ from g++, whatever its name."""
    return "clang" in subprocess.run([command, "--version"], capture_output=True, **DECODED).stdout


def run(*command: object) -> str:
    """Run a tool and return what it prints; raises `CompileError` with its first error, or after `SECONDS`."""
    environment = {**os.environ, "LC_ALL": "C"}  # messages in one language, plain quotes
    process = subprocess.Popen(
        [str(part) for part in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
        env=environment,
        process_group=0,
    )
    try:
        out, errors = process.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        raise CompileError(f"the C++ compiler does not come to an end within {SECONDS} seconds") from None
    finally:
        if process.returncode is None:  # with the programs that it has started
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    if process.returncode:
        refused = CompileError(f"the C++ compiler refuses the kernel: {_decisive(errors.splitlines())}")
        refused.words = errors
        raise refused
    return out


def _decisive(lines: list[str]) -> str:
    """Return the compiler's first error, at the kernel's line also where a header of the emulator has the error."""
    for i, line in enumerate(lines):
        if ": error: " not in line:
            continue
        place, _, what = line.partition(": error: ")
        if not place.startswith(str(HERE)):
            return line
        calls = [*lines[:i][::-1], *lines[i + 1 :]]  # g++ names the calls before the error, clang++ behind it
        call = next((c for c in calls if re.search("required from here|requested here", c)), line)
        return f"{re.split(': +(?:required|note|error)', call)[0]}: {what.removeprefix('static assertion failed: ')}"
    return lines[0] if lines else "it printed no error"


def show_copies(path: Path) -> None:
    """Let an object file call the emulator's memcpy, memmove and memset, whose accesses are checked."""
    if tool := shutil.which("objcopy"):
        run(tool, *(f"--redefine-sym={name}=emulator_{name}" for name in COPIES), path)


def sections(path: Path) -> dict[str, int]:
    """Return the names and bytes of all sections of a 64-bit object file."""
    data = path.read_bytes()
    table, size, count, names = struct.unpack_from("<Q", data, 40)[0], *struct.unpack_from("<3H", data, 58)
    count = count or struct.unpack_from("<Q", data, table + 32)[0]  # where there are more than 65,279
    begin = struct.unpack_from("<Q", data, table + names * size + 24)[0]
    found = dict[str, int]()
    for at in range(table, table + count * size, size):
        name = begin + struct.unpack_from("<I", data, at)[0]
        word = data[name : data.index(b"\0", name)].decode(errors="replace")
        found[word] = found.get(word, 0) + int(struct.unpack_from("<Q", data, at + 32)[0])
    return found


def line_of(path: Path, offset: int) -> str:
    """Return the file and line of a place in a library, an offset into it."""
    tool = shutil.which("addr2line")
    if tool is None:
        return "an unknown line (addr2line, of binutils, is not installed)"
    command = [tool, "-e", str(path), hex(max(0, offset - 1))]  # before the address to which the call returns
    found = subprocess.run(command, capture_output=True, **DECODED).stdout.split()
    return os.path.basename(found[0]) if found and not found[0].startswith("??") else "an unknown line"


@cache
def places_of(path: Path, names: frozenset[str]) -> list[tuple[int, int]]:
    """Return the offset and bytes of a library's variables of these names, in any namespace; none without binutils."""
    tool = shutil.which("nm")
    if tool is None:
        return []
    lines = subprocess.run([tool, "-C", "-P", "-t", "x", str(path)], capture_output=True, **DECODED).stdout.splitlines()
    found = (re.fullmatch(r"(?:.*::)?(\w+) [bBdDrRV] (\w+) (\w+)", line) for line in lines)
    return [(int(m[2], 16), int(m[3], 16)) for m in found if m and m[1] in names]
