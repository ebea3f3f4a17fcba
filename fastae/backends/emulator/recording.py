"""Recordings of launches for `fastae trace`: blocks of events as ``runtime/trace.h`` lays them out, and their names."""

import ctypes
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

MOST = 1 << 20  # numbers of 4 bytes in all launches of a page: with more it would take too long to open
HEADER = np.dtype(  # Recording in trace.h
    [
        ("magic", "S8"),
        ("version", "u4"),
        ("bytes_of_event", "u4"),
        ("grid", "3u4"),
        ("block", "3u4"),
        *((name, "u8") for name in ("events", "lost", "dynamic")),
        *((name, "u8") for name in ("library", "library_end", "shared", "shared_end", "room")),
        *((name, "u8") for name in ("where", "other_where", "address")),
        ("fault", "u4"),
        *((name, "3u4") for name in ("at_block", "at_thread", "other_block", "other_thread")),
        ("how", "u4"),
        ("other_how", "u4"),
    ],
    align=True,
)
EVENT = np.dtype(
    [
        ("block", "u4"),
        ("thread", "u2"),
        ("kind", "u1"),
        ("operation", "u1"),
        ("where", "u4"),
        ("size", "u4"),
        ("address", "u8"),
        ("value", "2u8"),
    ]
)


@dataclass(frozen=True)
class Array:
    """An array of a launch: the name of its parameter, the type of its elements, and its place in memory.

    Attributes
    ----------
    name, dtype : str
    address, rows, width, stride : int
        Rows of ``width`` bytes, ``stride`` bytes apart; a vector is one row.
    """

    name: str
    dtype: str
    address: int
    rows: int
    width: int
    stride: int


@dataclass(frozen=True)
class Recorded:
    """The recording of a launch.

    Attributes
    ----------
    kernel, file : str
        Its name, and that of its file in messages.
    code : str
        The file's text.
    block : bytes
        A header and events, as trace.h lays them out; a program can write it to a file.
    library : Path
        What ran: lines and names of variables are found in it.
    arrays : list of Array
    fault : str
        What ended it, in words; empty if nothing did.
    options : tuple of str
        Of the compiler.
    at : str
        File and line where a program launches it.
    files : tuple of Path
        Of a program: in which the lines are that count, where functions are inlined into others.
    """

    kernel: str
    file: str
    code: str
    block: bytes
    library: Path
    arrays: list[Array] = field(default_factory=list)
    fault: str = ""
    options: tuple[str, ...] = ()
    at: str = ""
    files: tuple[Path, ...] = ()

    @property
    def is_cut(self) -> bool:
        """Whether there was more than is written down."""
        return bool(np.frombuffer(self.block, HEADER, 1)[0]["lost"])

    @property
    def words(self) -> int:
        """How many numbers of 4 bytes it has, at most."""
        events = np.frombuffer(self.block, EVENT, offset=HEADER.itemsize)
        return int(np.sum((np.clip(events["size"], 4, 16) + 3) // 4))


class Trace(list[Recorded]):
    """The launches of a `tracing()` block, which `save` makes a page of.

    Attributes
    ----------
    most : int
        How many numbers of 4 bytes it may hold; what is beyond is left out, and the page says so.

    Examples
    --------
    >>> trace = Trace()
    >>> trace.room == trace.most
    True
    """

    most = MOST

    @property
    def room(self) -> int:
        """How many numbers more it may hold."""
        return max(0, self.most - sum(launch.words for launch in self))

    def save(self, path: str | Path) -> None:
        """Write one HTML page that shows the launches, and needs nothing else.

        Parameters
        ----------
        path : path-like
            Of the page.
        """
        from fastae.trace.page import write

        write(path, self)


def block_of(library: ctypes.CDLL) -> bytes:
    """Return what a library has written down of its last launch."""
    header, events = ctypes.c_void_p(), ctypes.c_void_p()
    library.emulator_recording.restype = ctypes.c_uint64
    count = library.emulator_recording(ctypes.byref(header), ctypes.byref(events))
    block = ctypes.string_at(header.value or 0, HEADER.itemsize)
    return block + (ctypes.string_at(events.value or 0, count * EVENT.itemsize) if count else b"")


def array_of(name: str, x: Any, span: tuple[int, int, int, int]) -> Array:
    """Return how messages speak of an array."""
    return Array(name, x.dtype.str, *span)
