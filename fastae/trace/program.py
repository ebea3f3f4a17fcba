"""The launches of a whole program, recorded while it runs."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fastae.backends.emulator.recording import EVENT, HEADER, MOST, Array, Recorded, Trace
from fastae.backends.emulator.source import kernels_of
from fastae.cuda.includes import read
from fastae.run.process import Running

LAUNCHES = 8  # that are recorded


class Launched(NamedTuple):
    """A launch, and what is known of it without its recording.

    Attributes
    ----------
    kernel : str
        As the program writes it, with template arguments.
    at : str
        File and line of the launch.
    number : str
        The name of its recording; empty if there is none.
    fault : str
        What ended it, in words.
    """

    kernel: str
    at: str
    number: str
    fault: str


class Recording(Running):
    """A running program whose first launches, and one that a fault ends, are recorded.

    Parameters
    ----------
    executable, files, arguments
        As `Running` takes them.
    folder : Path
        For the recordings.
    kernel : str
        Record launches of this kernel alone; of all if it is empty.
    """

    def __init__(
        self, executable: Path, files: Sequence[Path], arguments: Sequence[str], folder: Path, kernel: str = ""
    ) -> None:
        self.launches = list[Launched]()
        self._fault_of_launch = ""
        wanted = {"FASTAE_TRACE": f"{MOST}\n{LAUNCHES}\n{kernel}\n{folder}"}
        super().__init__(executable, files, arguments, False, wanted)

    def _hear(self, message: str) -> None:
        if message[0] != "t":
            super()._hear(message)
            return
        kernel, at, number, *endless = message[1:].split("\x1f")
        fault = f"kernel {kernel} has not come to an end (launched at {at})" if endless else self._fault_of_launch
        self.launches.append(Launched(kernel, at, number, fault))
        self._fault_of_launch = ""

    def _fault(self, *words: str) -> str:
        self._fault_of_launch = super()._fault(*words)
        return self._fault_of_launch

    @property
    def faults(self) -> int:
        """How many faults were reported."""
        return self._faults


def trace_of(launches: Sequence[Launched], folder: Path, executable: Path, files: Sequence[Path]) -> Trace:
    """Return the recordings of launches, as much of each as a page holds.

    Parameters
    ----------
    launches : sequence of Launched
        Those that were recorded.
    folder : Path
        Of their recordings.
    executable : Path
    files : sequence of Path
        What it is made of.
    """
    texts = [read(file) for file in files]
    code = "\n".join(f'#line 1 "{file.name}"\n{text}' for file, text in zip(files, texts))
    parameters = {
        name: [p.name for p in found]
        for name, found in kernels_of(re.sub(r"(?m)^#line.*", "", code), templates=True).items()
    }
    trace = Trace()
    for launch in launches:
        block = (folder / launch.number).read_bytes()
        names = (folder / f"{launch.number}.names").read_text(encoding="utf-8").splitlines()
        arrays = arrays_of(names, _parameters_of(launch.kernel, parameters), files[0].name)
        recorded = Recorded(
            launch.kernel,
            files[0].name,
            code,
            block,
            executable,
            arrays,
            launch.fault,
            at=launch.at,
            files=tuple(files),
        )
        trace.append(recorded)
    parts = shares([launch.words for launch in trace], [bool(launch.fault) for launch in trace], trace.most)
    trace[:] = [_cut(recorded, part) if part < recorded.words else recorded for recorded, part in zip(trace, parts)]
    return trace


def shares(words: Sequence[int], faults: Sequence[bool], most: int) -> list[int]:
    """Return how much of each launch is shown: all of one that a fault has ended, and of others equally much."""
    parts, left = [0] * len(words), len(words)
    for i in sorted(range(len(words)), key=lambda i: (not faults[i], words[i])):
        parts[i] = min(words[i], most if faults[i] else most // left)
        most, left = most - parts[i], left - 1
    return parts


def _cut(launch: Recorded, most: int) -> Recorded:
    """Return the beginning of a launch, of so many numbers of 4 bytes."""
    header = np.frombuffer(launch.block, HEADER, 1).copy()
    events = np.frombuffer(launch.block, EVENT, offset=HEADER.itemsize)
    kept = int(np.searchsorted(np.cumsum((np.clip(events["size"], 4, 16) + 3) // 4), most, "right"))
    header["lost"] += len(events) - kept
    header["events"] = kept
    return replace(launch, block=header.tobytes() + events[:kept].tobytes())


def _parameters_of(kernel: str, parameters: dict[str, list[str]]) -> list[str]:
    """Return the names of a kernel's parameters, as far as it is known by its name."""
    plain = re.sub(r"<.*>", "", kernel, flags=re.DOTALL).strip()
    last = plain.rpartition("::")[2]
    return parameters.get(plain) or next((parameters[n] for n in parameters if n.rpartition("::")[2] == last), [])


def arrays_of(names: Sequence[str], parameters: Sequence[str], file: str) -> list[Array]:
    """Return the device's memory in pieces with names: a parameter's that points there, or that of its allocation.

    Parameters
    ----------
    names : sequence of str
        Lines, as recordings.h writes them.
    parameters : sequence of str
        The names of the kernel's parameters.
    file : str
        Of the program; an allocation in another file has its name with it.
    """
    pointers, allocations = dict[int, tuple[str, str, int, int]](), list[tuple[int, int, str]]()
    for line in names:
        if line.startswith("memory"):
            _, begin, size, place = line.split(" ", 3)
            allocations.append((int(begin), int(size), place))
            continue
        _, number, address, letter, element, size = line.split(" ")
        if int(number) <= len(parameters):
            pointers.setdefault(int(address), (parameters[int(number) - 1], letter, int(element), int(size)))
    found = list[Array]()
    for base, length, place in allocations:
        inside = sorted(address for address in pointers if base <= address < base + length)
        if not inside or inside[0] > base:
            name = f"allocation of line {place.rpartition(':')[2]}"
            name = name if place.rpartition(":")[0] == file else f"allocation of {place}"
            end = inside[0] if inside else base + length
            found.append(Array(name, "V4", base, 1, end - base, end - base))
        for start, end in zip(inside, [*inside[1:], base + length]):
            found.append(_piece(start, end, *pointers[start]))
    return found


def _piece(begin: int, end: int, name: str, letter: str, element: int, item: int) -> Array:
    """Return a piece of memory as an array of what a parameter points to, of so many bytes, or of words."""
    known = letter in "iufbc" and element > 0
    dtype = f"{'i' if letter == 'c' else letter}{element}" if known else "u2" if letter == "h" else "V4"
    if known and element < item <= end - begin:  # vectors
        return Array(name, dtype, begin, (end - begin) // item, item, item)
    return Array(name, dtype, begin, 1, end - begin, end - begin)
