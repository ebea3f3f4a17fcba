"""Worker processes from the side of the judge: messages, shared memory, the clock, and how a process ended."""

import codecs
import contextlib
import json
import mmap
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from multiprocessing import connection
from pathlib import Path
from statistics import median
from types import MappingProxyType
from typing import Any, Self

import numpy as np

from fastae import storage, system
from fastae.backends.emulator import compiler, toolchain
from fastae.backends.emulator.source import CompileError

BYTES = 96 << 20  # of shared memory; pages that are never written take none
LINE = 64  # bytes of the cache, at the beginning of which each array lies
MOST_OUTPUT = 64 << 10  # bytes that a worker may print
LONGEST = 1 << 22  # bytes of an answer
ROUND_TRIPS = 50  # messages whose median time is subtracted from what is timed
OPTION = re.compile(
    r"-D\w+(=\w*)?"
)  # compiler options that a worker may ask for; others could load code into the compiler
MOST_QUESTIONS = 2000  # that a worker may ask before it answers
MOST_TEXT = 500  # characters of what a worker says
PATIENCE = 120.0  # seconds that an answer may take
PASSED = re.compile(  # environment variables that a worker gets; others may be secret
    r"(PATH|HOME|LANG|LC_\w+|TZ|CXX|LD_LIBRARY_PATH|DYLD_\w+|XDG_CACHE_HOME|SYSTEMROOT|USERPROFILE|(LOCAL)?APPDATA|"
    r"(PYTHON|NUMBA_|OMP_|GOMP_|KMP_|OPENBLAS_|MKL_|BLIS_|VECLIB_|CUDA_|CUPY_|NVIDIA_|FASTAE_)\w*)$",
    re.IGNORECASE,
)
BOOT = """
import sys
sys.path[:] = {path!r}
from fastae.check.sandbox.worker import main
main()
"""

ENDLESS = ["a loop that never ends: its condition, or what should change it"]
OUTSIDE = ["out of bounds: an index leads beyond an array, where compiled code does not look; or endless recursion"]
BEYOND = ["out of bounds: something was written beyond an array, where others keep what they need"]
DIVIDED = ["a whole number is divided by 0"]
DENIED = ["a system call that a kernel has no use for, or too much memory"]
SIGNALS = {"SIGSEGV": OUTSIDE, "SIGBUS": OUTSIDE, "SIGABRT": BEYOND, "SIGFPE": DIVIDED, "SIGSYS": DENIED}
CAUSES = {int(getattr(signal, name)): causes for name, causes in SIGNALS.items() if hasattr(signal, name)}
EXCEPTIONS = {0xC0000005: OUTSIDE, 0xC00000FD: OUTSIDE, 0xC0000374: BEYOND, 0xC0000094: DIVIDED}  # of Windows


class WorkerLost(Exception):
    """The worker ended, or did not answer in time.

    Attributes
    ----------
    causes : list of str
        The likely causes.
    """

    def __init__(self, text: str, causes: list[str]) -> None:
        super().__init__(text)
        self.causes = causes


class Refused(Exception):
    """A learner's code does what no kernel does, and is not checked any further.

    Attributes
    ----------
    reasons : list of str
    kernels : list of str
        The kernels that the file seems to define.
    """

    def __init__(self, reasons: list[str], kernels: list[str]) -> None:
        super().__init__("; ".join(reasons))
        self.reasons, self.kernels = reasons, kernels


class Process:
    """One worker: its process, its pipe and its memory.

    Parameters
    ----------
    memory : mmap
        Shared with the worker.
    token : int or str
        By which the worker finds the memory.
    patience : float
        Seconds that an answer may take.
    output : file, optional
        Where its output is shown; by default standard output.
    environment : mapping of str to str
        Environment variables in addition to those of the judge.
    preload : {"", "numba", "linked"}
        What the worker loads before it is confined: Numba, or also the compiled code of the numba backend.
    codes : container of str
        The texts for which the C++ compiler may be started.
    confined : bool
        Whether `fastae.check.sandbox.confine` applies.
    """

    def __init__(
        self,
        memory: mmap.mmap,
        token: int | str,
        patience: float = PATIENCE,
        output: Any = None,
        environment: Mapping[str, str] = MappingProxyType({}),
        preload: str = "",
        codes: Container[str] = (),
        confined: bool = False,
    ) -> None:
        self._patience, self._output, self._codes = patience, output or sys.stdout, codes
        self._folder = tempfile.TemporaryDirectory(prefix="fastae-check-", ignore_cleanup_errors=True)
        scratch = self._folder.name
        self._pipe, theirs = connection.Pipe()
        handles = [theirs.fileno(), *([token] if isinstance(token, int) else [])]
        own = dict.fromkeys(["TMPDIR", "TEMP", "TMP", *([] if preload else ["NUMBA_CACHE_DIR"])], scratch)
        own["PYTHONDONTWRITEBYTECODE"] = "1"
        self._child = subprocess.Popen(
            [sys.executable, "-u", "-c", BOOT.format(path=[*sys.path, str(Path(__file__).parents[3])])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={key: x for key, x in os.environ.items() if PASSED.match(key)} | own | dict(environment),
            **system.detached(),
            **system.inheriting(handles),
        )
        theirs.close()
        self._stopped = self._late = False
        self._shown = threading.Thread(target=self._show, daemon=True)
        self._shown.start()
        settings = {"pipe": handles[0], "memory": token, "bytes": len(memory), "scratch": scratch, "preload": preload}
        settings["confined"] = confined
        assert self._child.stdin is not None
        self._child.stdin.write(json.dumps(settings).encode() + b"\n")
        self._child.stdin.close()
        with self._deadline():
            self.lacking: list[str] = json.loads(self._bytes())["lacking"]

    def _show(self) -> None:
        """Show what the worker prints, up to a limit: as marked lines without control characters."""
        assert self._child.stdout is not None
        left, decode, line = MOST_OUTPUT, codecs.getincrementaldecoder("utf-8")("replace").decode, ""
        while part := os.read(self._child.stdout.fileno(), 1 << 16):
            if left > 0:
                *lines, line = (line + decode(part[:left])).split("\n")
                for text in lines:
                    self._output.write(f"| {printable(text)}\n")
                if left <= len(part):
                    line += f" (more than {MOST_OUTPUT} bytes are printed: what follows is not shown)"
                self._output.flush()
            left -= len(part)
        if line:
            self._output.write(f"| {printable(line)}\n")

    def ask(self, **request: Any) -> dict[str, Any]:
        """Send a request and return the answer.

        Parameters
        ----------
        **request
            ``do`` names the request, the others are its arguments, as JSON has them.

        Returns
        -------
        dict

        Raises
        ------
        WorkerLost
            The process ended, did not answer in time, or sent something else than an answer.
        Refused
            The code tried what no kernel does.
        """
        with self._deadline():
            self._send(json.dumps(request).encode())
            for _ in range(MOST_QUESTIONS):
                with validating():
                    answer = dict(json.loads(self._bytes()))
                    if "forbidden" in answer:
                        raise Refused([printable(answer["forbidden"])[:MOST_TEXT]], [])
                    if "line_of" not in answer and "compile" not in answer:
                        return answer
                    self._send(json.dumps(self._served(answer)).encode())
        raise WorkerLost("it disturbs the worker's answers", [])

    def _served(self, question: dict[str, Any]) -> dict[str, str]:
        """Start a program for the worker: the C++ compiler, or one that finds the line of an address."""
        if "line_of" in question:
            path = Path(question["line_of"])
            known = path.parent == compiler.folder()
            return {"done": toolchain.line_of(path, int(question["offset"])) if known else "an unknown line"}
        code, options = question["compile"], tuple(map(str, question["options"]))
        if code not in self._codes or not all(map(OPTION.fullmatch, options)):
            return {"error": "this is none of the files that are judged"}
        try:
            return {"done": str(compiler.compiled(code, "kernel.cu", options, bool(question["checks"])))}
        except CompileError as error:
            return {"error": str(error)}

    @contextlib.contextmanager
    def _deadline(self) -> Iterator[None]:
        """Kill the process if the block takes longer than the patience."""

        def end() -> None:
            self._late = True
            self._child.kill()

        timer = threading.Timer(self._patience, end)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def timed(self, fill: Callable[[], None]) -> float:
        """Fill the memory, have the prepared calls done, and return the seconds that they take by the judge's clock.

        Where the system has SIGSTOP, the worker is stopped while its memory is filled, and again afterwards.
        """
        self.stop()
        if self._pipe.poll(0):
            raise WorkerLost("it answers before it has been asked", [])
        fill()
        with self._deadline():
            began = time.perf_counter()
            self._send(b"go")
            message = self._bytes()
            took = time.perf_counter() - began
        self.stop()
        if message != b"done":
            text = printable(message[:200].decode(errors="replace"))
            raise WorkerLost(f"it fails where it is timed: {text}", [])
        return took

    def stop(self) -> None:
        """Stop the process until the next request, where the system has SIGSTOP."""
        if hasattr(signal, "SIGSTOP") and not self._stopped:
            os.kill(self._child.pid, signal.SIGSTOP)
            os.waitid(os.P_PID, self._child.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)  # or it has ended
            self._stopped = True

    def _send(self, message: bytes) -> None:
        try:
            self._pipe.send_bytes(message)
        except OSError:
            raise self._lost() from None
        if self._stopped:
            os.kill(self._child.pid, signal.SIGCONT)
            self._stopped = False

    def _bytes(self) -> bytes:
        try:
            return self._pipe.recv_bytes(LONGEST)
        except (EOFError, OSError):
            raise self._lost() from None

    def _lost(self) -> WorkerLost:
        """Return an exception that says how the process ended."""
        if self._late:
            return WorkerLost(f"it does not return within {self._patience:g} seconds", ENDLESS)
        try:
            status = self._child.wait(5)
        except subprocess.TimeoutExpired:
            return WorkerLost("it closes the worker's pipe", [])
        if status < 0:  # a signal; not on Windows
            what = f"it ends the process: {signal.strsignal(-status) or 'a signal'} (signal {-status})"
            return WorkerLost(what, CAUSES.get(-status, []))
        if status > 0xFF:  # an exception on Windows
            return WorkerLost(f"it ends the process: exception {status:#x}", EXCEPTIONS.get(status, []))
        return WorkerLost(f"it ends the process, with status {status}", [])

    def close(self) -> None:
        """Kill the process, and remove its scratch folder."""
        self._child.kill()
        self._child.wait()
        self._pipe.close()
        self._shown.join(1)  # it takes longer only if another process has its output open
        if self._child.stdout and not self._shown.is_alive():
            self._child.stdout.close()
        storage.clear(Path(self._folder.name))
        with contextlib.suppress(OSError):  # files made by root may be impossible to remove
            self._folder.cleanup()


@contextlib.contextmanager
def validating() -> Iterator[None]:
    """Raise `WorkerLost` for an answer of the wrong form: the learner's code may send anything."""
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError, MemoryError) as error:
        raise WorkerLost("it disturbs the worker's answers", []) from error


def printable(text: object, also: str = "") -> str:
    """Return a text from a worker or a file without control characters, except those in `also`."""
    return "".join(c if c.isprintable() or c in also else "?" for c in str(text))


def _nothing() -> None:
    pass


class Workers:
    """Up to two workers and the memory that they share with the judge: a bare one, and a whole one with a backend."""

    round_trip = 0.0  # seconds that a message and its answer take

    def __init__(self) -> None:
        self._memory, self._token = system.shared_memory(BYTES)
        self._workers: dict[bool, Process] = {}  # by whether it is whole
        self._prepared: Any = None

    def _ask(self, whole: bool, **request: Any) -> dict[str, Any]:
        return self._workers[whole].ask(**request)

    def _start(self, whole: bool, **options: Any) -> Process:
        process = self._workers[whole] = Process(self._memory, self._token, **options)
        self._prepared = None
        if not whole:  # before the file is read
            self.round_trip = median(process.timed(_nothing) for _ in range(ROUND_TRIPS))
        return process

    def views(self, layouts: dict[str, list[Any]]) -> dict[str, np.ndarray]:
        """Return arrays in the shared memory, by name, from their offset in bytes, dtype and shape."""
        return {key: self._view(layout) for key, layout in layouts.items()}

    def _view(self, layout: Sequence[Any]) -> np.ndarray:
        offset, dtype, shape = layout[:3]
        return np.ndarray(tuple(shape), np.dtype(dtype), self._memory, offset)

    def prepare(self, name: str, calls: list[tuple[dict[str, Any], dict[str, list[Any]]]]) -> None:
        """Send the calls that `timed` will time: their numbers, and where their arrays are in the memory."""
        if self._prepared is not calls:
            self._ask(False, do="prepare", name=name, calls=calls)
            self._prepared = calls

    def timed(self, fill: Callable[[], None]) -> float:
        """Fill the arrays of the prepared calls, have these done, and return the seconds that they take."""
        try:
            return max(1e-9, self._workers[False].timed(fill) - self.round_trip)
        except WorkerLost:
            self._workers.pop(False).close()
            self._prepared = None
            raise

    def rest(self) -> None:
        """Stop the workers until the next request, so that they do not disturb other measurements."""
        for process in self._workers.values():
            process.stop()

    def close(self) -> None:
        """Kill the workers and release the memory."""
        while self._workers:
            self._workers.popitem()[1].close()
        system.release_memory(self._token)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the workers."""
        self.close()


class Rungs(Workers):
    """The rungs of a ladder in a worker, called by their numbers.

    Parameters
    ----------
    ladder, language : str
        As `fastae.ladder.rungs.ladder` takes them, for NumPy or Numba.
    """

    def __init__(self, ladder: str, language: str) -> None:
        super().__init__()
        self._start(False, preload="linked" if language == "numba" else "")
        self._ask(False, do="load_rungs", ladder=ladder, language=language)
