"""The faults of a kernel, and their messages."""

import ctypes
import operator
import re
from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import Any, NamedTuple

from fastae.backends.emulator.source import without_comments
from fastae.errors import FastaeError

RUNTIME = Path(__file__).parent / "runtime"


class Fault(NamedTuple):
    """A row of ``runtime/faults.h``.

    Attributes
    ----------
    reported : {"THREAD", "ACCESS", "RACE", "COPY", "APART"}
        What is reported beside the message: nothing; an access; two accesses that race; an access and a copy; where
        another thread waits.
    message : str
        With ``{words}`` and ``{shared}`` to be filled in.
    """

    reported: str
    message: str

    @property
    def is_access(self) -> bool:
        """Whether the thread's access is reported."""
        return self.reported in ("ACCESS", "RACE", "COPY")

    @property
    def has_other(self) -> bool:
        """Whether another thread is reported, with its line."""
        return self.reported in ("RACE", "COPY", "APART")


def _rows(header: str) -> dict[int, Fault]:
    """Return the rows of ``faults.h`` by number."""
    row = re.compile(r'^FAULT\(\w+, (\d+), (\w+), ((?:"[^"\n]*"\s*)+)\)$', re.MULTILINE)
    text = (RUNTIME / header).read_text(encoding="utf-8")
    return {int(n): Fault(reported, re.sub(r'"\s*"', "", words)[1:-1]) for n, reported, words in row.findall(text)}


FAULTS = _rows("faults.h")


def enumerators(header: str, name: str) -> dict[str, int]:
    """Return the values of an enumeration in a header of the emulator's runtime."""
    text = without_comments((RUNTIME / header).read_text(encoding="utf-8"))
    body = re.search(rf"\benum {name} {{(.*?)}}", text, re.DOTALL)
    assert body is not None, (header, name)
    found, last = dict[str, int](), -1
    for word, value in re.findall(r"(\w+)\s*(?:=\s*([\w |]+))?(?:,|$)", body[1].strip()):
        parts = [int(found.get(part, part)) for part in value.split(" | ")] if value else [last + 1]
        found[word] = last = reduce(operator.or_, parts)
    return found


HOW = enumerators("checks/shadow.h", "How")
READS, WRITES, ATOMIC, VOLATILE, COPIED = (HOW[x] for x in ("READS", "WRITES", "ATOMIC", "VOLATILE", "COPIED"))
LANES, WARPS, ALONE, UPDATES = (HOW[x] for x in ("LANES", "WARPS", "ALONE", "UPDATES"))


class KernelFault(FastaeError):
    """A kernel did what no CUDA program may do: its launch is ended.

    Attributes
    ----------
    kernel : str
    block, thread : tuple of int
        The thread, (x, y, z).
    line : str
        File and line.
    fault : str
        The message, without the place.

    Examples
    --------
    >>> import numpy as np
    >>> from fastae.backends.emulator import RawKernel, checking, device
    >>> code = '''extern "C" __global__ void twice(const float* x, float* out, int n) {
    ...   int i = blockIdx.x * blockDim.x + threadIdx.x;
    ...   if (i < n) out[i] = 2 * x[i];
    ... }'''
    >>> x, out = device.array(np.arange(4, dtype=np.float32)), device.array(np.zeros(4, np.float32))
    >>> with checking():
    ...     try:
    ...         RawKernel(code, "twice")((1,), (32,), (x, out, np.int32(5)))
    ...     except KernelFault as fault:
    ...         print(fault)
    kernel.cu:3, kernel twice, block (0, 0, 0), thread (4, 0, 0) reading: out of bounds
    """

    def __init__(self, kernel: str, report: Any, line: str, line_of: Callable[[int], str], shared: int = 0) -> None:
        self.kernel, self.line = kernel, line
        said = (report.words or b"").decode(errors="replace")
        row = FAULTS[report.fault]
        self.fault = words = row.message.replace("{shared}", str(shared)).replace("{words}", said)
        self.block, self.thread = tuple(report.block), tuple(report.thread)
        what = f" {_how(report.how)}" if row.is_access else ""
        other = ""
        other_line = line_of(report.other_where) if row.has_other else ""
        if row.reported == "RACE":
            other = f"; the other is block {tuple(report.other_block)}, thread {tuple(report.other_thread)}"
            other = f"{'; the other is' if report.other_how & COPIED else other} {_how(report.other_how)}, {other_line}"
            if report.other_how & LANES:
                other += f"; both are lanes of one warp, {_between_lanes(report.other_how)}"
            if report.how & report.other_how & WRITES and report.how & report.other_how & VOLATILE:
                other += "; volatile is not atomic: x += 1 reads and writes in two steps, atomicAdd in one"
            if report.fence:
                when = "is written behind that" if report.fence == 1 else "is read before this"
                which = "the two" if report.fence == 1 else "reading it and this"
                other += f"; a flag {when}, {line_of(report.flag_where)}, but no __threadfence() lies between {which}"
            if (report.how ^ report.other_how) & ATOMIC:
                self.fault += ": atomic operations are safe from each other alone, not from plain reads and writes"
        if row.reported == "APART":
            where = f"waits at {other_line}" if report.other_where else "has returned"
            other = f"; thread {tuple(report.other_thread)} {where}{' with another mask' * report.other_how}"
        if row.reported == "COPY":
            other = f"; thread {tuple(report.other_thread)} asked for it, {other_line}"
        place = f"{line}, kernel {kernel}, block {self.block}, thread {self.thread}{what}"
        super().__init__(f"{place}: {words}{other}")

    @classmethod
    def told(cls, text: str, fault: str) -> "KernelFault":
        """Return a fault of another process, of which only the text is known."""
        error = cls.__new__(cls)
        FastaeError.__init__(error, text)
        error.fault = fault
        return error


def _how(how: int) -> str:
    """Return an access in words."""
    if how & COPIED:
        return f"an asynchronous copy that {'writes' if how & WRITES else 'reads'}"
    return "in an atomic operation" if how & ATOMIC else "writing" if how & WRITES else "reading"


def _between_lanes(how: int) -> str:
    """Return what is missing between lanes of a warp."""
    more = ", or an atomic operation where both change one value" if how & UPDATES else ""
    if how & WARPS:
        return f"but between warps there is a race as well: a __syncthreads() is needed{more}"
    if how & ALONE:
        return f"which does not run in step: a __syncwarp() is needed, __syncthreads() if a block has more warps{more}"
    return f"which does not run in step: a __syncwarp() is needed{more}"


class Report(ctypes.Structure):
    """The runtime's report of a fault, as ``runtime/fibers.h`` lays it out."""

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
