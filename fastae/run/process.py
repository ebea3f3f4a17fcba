"""The process of a program and its messages: its runtime knows what happened, and this side finds the lines."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from fastae.backends.emulator.faults import KernelFault, Report
from fastae.backends.emulator.modules import MEMORIES
from fastae.backends.emulator.source import constants_of
from fastae.backends.emulator.toolchain import places_of
from fastae.cuda.includes import read
from fastae.errors import InputError
from fastae.run.program import line_of

GRACE = 2.0  # seconds for a program that is ended to report where it is
LONGEST = 1 << 18  # bytes of a message
TERMS = {  # of launches from Python, and the words for a program's
    "it asks for too little, by shared_mem= or by shared (...) in the launch comment": "it asks for too little, by the "
    "third number in <<< >>>",
    "needs a launch that is cooperative: RawModule(..., enable_cooperative_groups=True)": "needs a launch by "
    "cudaLaunchCooperativeKernel",
}


class Running:
    """A running program, with this process's input and output: ``with Running(...) as running:``.

    Parameters
    ----------
    executable : Path
    files : sequence of Path
        Its sources.
    arguments : sequence of str
        Of the program.
    counts : bool
        Whether it counts what accesses cost.
    more : dict of str to str
        Further variables of its environment, for its runtime.
    """

    def __init__(
        self,
        executable: Path,
        files: Sequence[Path],
        arguments: Sequence[str],
        counts: bool,
        more: Mapping[str, str] | None = None,
    ) -> None:
        self._executable, self._files = executable, files
        self._faults = 0
        self._remarks = set[str]()  # instances of a template have one line
        self._lines: dict[int, str] = {}
        self._traffic: defaultdict[tuple[str, str, str, bool], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
        self._threads = self._barriers = 0
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            settings = f"{theirs.fileno()}{' count' if counts else ''}"
            if counts or more:
                names = constants_of("\n".join(map(read, files)))
                places = places_of(executable, names) if names else []
                settings += "".join(f" :{offset:x},{length:x}" for offset, length in places)
            environment = {**os.environ, "FASTAE_RUN": settings, **(more or {})}
            try:
                self._process = subprocess.Popen(
                    [f"./{files[0].stem}", *arguments],
                    executable=executable,
                    env=environment,
                    pass_fds=[theirs.fileno()],
                )
            except ValueError as error:  # as of a NUL in an argument
                ours.close()
                raise InputError(f"the program's arguments: {error}") from error
        self._socket = ours
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._listener.join(GRACE)  # it ends with the program, unless that has left children
        self._socket.close()

    def wait(self, patience: float | None) -> int:
        """Wait until it ends; return its exit status, 128 + n if signal n has ended it, or 1 for a fault.

        Parameters
        ----------
        patience : float or None
            Seconds, after which it is ended, which is a fault.
        """
        try:
            self._process.wait(patience)
        except subprocess.TimeoutExpired:
            self._faults += 1
            _say(f"the program has not come to an end within {patience:g} seconds, as --patience has it")
            self._process.send_signal(signal.SIGRTMAX)  # it reports where it is, and ends
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(GRACE)
            if self._process.poll() is None:
                self._process.kill()
                self._process.wait()
                return 1
        self._listener.join(GRACE)
        status = self._process.returncode
        if status < 0:
            return 128 - status
        return status or int(self._faults > 0)

    def table(self) -> str:
        """Return a table of what accesses cost, line by line."""
        rows = [("line", "kernel", "memory", "", "requests", "moved", "fewest")]
        for (line, kernel, memory, is_write), (requests, _, transactions, best) in self._traffic.items():
            action = "write" if is_write else "read"
            rows.append((line, kernel, memory, action, f"{requests}", f"{transactions}", f"{best}"))
        widths = [max(len(row[i]) for row in rows) for i in range(7)]
        lines = [
            "  ".join(f"{x:{'<' if i < 4 else '>'}{w}}" for i, (x, w) in enumerate(zip(row, widths))) for row in rows
        ]
        end = (
            f"{self._threads} threads, {self._barriers} times one passed a barrier. Requests are of a warp; moved are "
            "sectors of 32 bytes of global memory, rounds of the banks of shared memory, or places of constant memory"
        )
        return "\n".join([*(line.rstrip() for line in lines), end])

    def _listen(self) -> None:
        with contextlib.suppress(OSError):  # it is closed
            while message := self._socket.recv(LONGEST):
                self._hear(message.decode(errors="replace"))
                self._socket.send(b".")

    def _hear(self, message: str) -> None:
        kind, words = message[0], message[1:]
        if kind == "c":
            self._count(*words.split("\x1f"))
            return
        self._faults += kind != "r"
        if kind == "k":
            words = self._fault(*words.split("\x1f"))
        words = re.sub(r"@\{([0-9a-f,]*)\}", lambda match: self._first_line(match[1]), words)
        if kind != "r" or words not in self._remarks:
            _say(words)
        self._remarks.add(words)

    def _fault(self, kernel: str, launch: str, shared: str, more: str, crashed: str, said: str, data: str) -> str:
        report = Report.from_buffer_copy(bytes.fromhex(data))
        report.words = said.encode()
        text = str(KernelFault(kernel, report, crashed or self._line(report.where), self._line, int(shared)))
        for python, cuda in TERMS.items():
            text = text.replace(python, cuda)
        return f"{text}{more} (launched at {launch})"

    def _count(self, kernel: str, threads: str, barriers: str, *entries: str) -> None:
        self._threads += int(threads)
        self._barriers += int(barriers)
        for entry in entries:
            where, is_write, kind, *numbers = map(int, entry.split())
            total = self._traffic[self._line(where), kernel, MEMORIES[kind], bool(is_write)]
            total[:] = [x + y for x, y in zip(total, numbers)]

    def _first_line(self, chain: str) -> str:
        """Return the first line of a chain of calls that is the program's own."""
        lines = [self._line(int(offset, 16)) for offset in chain.split(",") if offset]
        own = tuple(f"{file.name}:" for file in self._files)
        return next((line for line in lines if line.startswith(own)), lines[0] if lines else "an unknown line")

    def _line(self, offset: int) -> str:
        if offset not in self._lines:
            self._lines[offset] = line_of(self._executable, offset, self._files)
        return self._lines[offset]


def _say(words: Any) -> None:
    print(f"fastae: {words}", file=sys.stderr, flush=True)
