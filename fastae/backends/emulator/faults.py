"""What a kernel may not do, and how it is told."""

import ctypes
import operator
import re
from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import Any

from fastae.backends.emulator.source import without_comments
from fastae.errors import FastaeError

FAULTS = {
    1: "not every thread of the block comes to this __syncthreads()",
    2: "a warp operation waits for lanes that never come",
    3: "out of bounds",
    4: "shared memory is read before it is written",
    5: "a race between two threads of a block: no __syncthreads() lies between their accesses, of which one writes",
    6: "a race between two blocks, which nothing orders",
    7: "there is no memory for so many threads: take smaller blocks",
    8: "it waits for ever for what no other thread will do",
    9: "the index is outside of a shared or local array",
    10: "global memory is read before anything is written there",
    20: "a lane of a warp names a mask in which it is not itself",
    21: "beyond the dynamic shared memory of the launch, {shared} bytes: it asks for too little, by shared_mem= or by "
    "shared (...) in the launch comment",
    22: "this_grid().sync() needs a launch that is cooperative: RawModule(..., enable_cooperative_groups=True)",
    23: "a misaligned address: it must be a multiple of the size of what is read or written there at once",
    24: "an assertion does not hold: {words}",
    40: "it is read before the asynchronous copy into it has been waited for",
    41: "it is written before the asynchronous copy into it has been waited for",
    42: "it is written before the asynchronous copy from it has been waited for",
    43: "too few threads arrive at this barrier: {words} that it was told to expect",
    44: "more arrive at this barrier than it was told to expect",
    45: "the barrier is used before it was initialised: init(&bar, n) by one thread, then __syncthreads()",
    60: "an operation of a whole warp in a warp of fewer threads: a block of it has a multiple of 32",
    61: "the matrix of a fragment {words}",
    80: "the thread has used up its stack: does a function call itself without end?",
    81: "a whole number is divided by zero",
    100: "an instruction for shared memory is given another address: __cvta_generic_to_shared(pointer) gives one",
    101: "an instruction for global memory is given an address of shared memory",
    102: "a barrier has a number from 0 to 15, and its threads come with one count, a multiple of 32",
}
ACCESS_FAULTS, RACES, APART, COPIES = (3, 4, 5, 6, 10, 21, 23, 40, 41, 42, 100, 101), (5, 6), (1, 2), (40, 41, 42)
TWO_PLACES = RACES + APART + COPIES  # another thread is told of, with its line


def enumerators(header: str, name: str) -> dict[str, int]:
    """Return the values that an enumeration of a header of the emulator has."""
    text = without_comments((Path(__file__).parent / header).read_text(encoding="utf-8"))
    body = re.search(rf"\benum {name} {{(.*?)}}", text, re.DOTALL)
    assert body is not None, (header, name)
    found, last = dict[str, int](), -1
    for word, value in re.findall(r"(\w+)\s*(?:=\s*([\w |]+))?(?:,|$)", body[1].strip()):
        parts = [int(found.get(part, part)) for part in value.split(" | ")] if value else [last + 1]
        found[word] = last = reduce(operator.or_, parts)
    return found


HOW = enumerators("checks.h", "How")
READS, WRITES, ATOMIC, VOLATILE, COPIED = (HOW[x] for x in ("READS", "WRITES", "ATOMIC", "VOLATILE", "COPIED"))
LANES, WARPS, ALONE, UPDATES = (HOW[x] for x in ("LANES", "WARPS", "ALONE", "UPDATES"))


class KernelFault(FastaeError):
    """A kernel did what no CUDA program may do.

    Attributes
    ----------
    kernel : str
    block, thread : tuple of int
        Which thread it was, (x, y, z).
    line : str
        File and line.
    fault : str
        What is wrong, in words.
    """

    def __init__(self, kernel: str, report: Any, line: str, line_of: Callable[[int], str], shared: int = 0) -> None:
        self.kernel, self.line = kernel, line
        said = (report.words or b"").decode(errors="replace")
        self.fault = words = FAULTS[report.fault].replace("{shared}", str(shared)).replace("{words}", said)
        self.block, self.thread = tuple(report.block), tuple(report.thread)
        what = f" {_how(report.how)}" if report.fault in ACCESS_FAULTS else ""
        other = ""
        other_line = line_of(report.other_where) if report.fault in TWO_PLACES else ""
        if report.fault in RACES:
            other = f"; the other is block {tuple(report.other_block)}, thread {tuple(report.other_thread)}"
            other = f"{'; the other is' if report.other_how & COPIED else other} {_how(report.other_how)}, {other_line}"
            if report.other_how & LANES:
                other += f"; both are lanes of one warp, {_between_lanes(report.other_how)}"
            if report.how & report.other_how & WRITES and report.how & report.other_how & VOLATILE:
                other += "; volatile is not atomic: x += 1 reads and writes in two steps, atomicAdd in one"
            if report.fence:
                told = "is written behind that" if report.fence == 1 else "is read before this"
                which = "the two" if report.fence == 1 else "reading it and this"
                other += f"; a flag {told}, {line_of(report.flag_where)}, but no __threadfence() lies between {which}"
            if (report.how ^ report.other_how) & ATOMIC:
                self.fault += ": atomic operations are safe from each other alone, not from plain reads and writes"
        if report.fault in APART:
            where = f"waits at {other_line}" if report.other_where else "has returned"
            other = f"; thread {tuple(report.other_thread)} {where}{' with another mask' * report.other_how}"
        if report.fault in COPIES:
            other = f"; thread {tuple(report.other_thread)} asked for it, {other_line}"
        place = f"{line}, kernel {kernel}, block {self.block}, thread {self.thread}{what}"
        super().__init__(f"{place}: {words}{other}")

    @classmethod
    def told(cls, text: str, fault: str) -> "KernelFault":
        """Return one that happened in another process, of which only words are known."""
        error = cls.__new__(cls)
        FastaeError.__init__(error, text)
        error.fault = fault
        return error


def _how(how: int) -> str:
    """Put an access into a word."""
    if how & COPIED:
        return f"an asynchronous copy that {'writes' if how & WRITES else 'reads'}"
    return "in an atomic operation" if how & ATOMIC else "writing" if how & WRITES else "reading"


def _between_lanes(how: int) -> str:
    """Say what is missing between lanes of a warp."""
    more = ", or an atomic operation where both change one value" if how & UPDATES else ""
    if how & WARPS:
        return f"but between warps there is a race as well: a __syncthreads() is needed{more}"
    if how & ALONE:
        return f"which does not run in step: a __syncwarp() is needed, __syncthreads() if a block has more warps{more}"
    return f"which does not run in step: a __syncwarp() is needed{more}"


class Report(ctypes.Structure):
    """The emulator's report of a fault, as runtime.cpp lays it out."""

    _fields_ = (
        ("fault", ctypes.c_int),
        ("block", ctypes.c_uint * 3),
        ("thread", ctypes.c_uint * 3),
        ("other_block", ctypes.c_uint * 3),
        ("other_thread", ctypes.c_uint * 3),
        ("how", ctypes.c_int),
        ("other_how", ctypes.c_int),
        ("where", ctypes.c_uint64),
        ("other_where", ctypes.c_uint64),
        ("address", ctypes.c_uint64),
        ("words", ctypes.c_char_p),
        ("flag_where", ctypes.c_uint64),
        ("fence", ctypes.c_int),
    )
