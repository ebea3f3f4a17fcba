"""The judge's side of a learner's file: a backend whose kernels run in a worker (`fastae.check.worker`).

The judge never imports the file. It writes a call's arguments into memory that it shares with the worker, asks, and
reads what is there afterwards. What the worker says is at most text to be shown: exceptions and their lines.
"""

import json
import mmap
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from multiprocessing import connection
from pathlib import Path
from typing import Any

import numpy as np

from fastae import backends, system
from fastae.backends.contract import KERNELS
from fastae.backends.emulator import KernelFault, compiler
from fastae.check import learner, policy
from fastae.check.failure import Failure, KernelFailed
from fastae.check.python_file import Returned
from fastae.check.source import environment as environment_for
from fastae.check.source import is_parallel
from fastae.errors import InputError

BYTES = 96 << 20  # of the memory; what is never written takes none
LINE = 64  # bytes of the cache, at the beginning of which each array lies
MOST_OUTPUT = 64 << 10  # bytes that a worker may print
LONGEST = 1 << 22  # bytes of an answer
ROUND_TRIPS = 50
BOOT = """
import sys
sys.path[:] = {path!r}
from fastae.check.worker import main
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
        What is likely then.
    """

    def __init__(self, text: str, causes: list[str]) -> None:
        super().__init__(text)
        self.causes = causes


class Refused(Exception):
    """A learner's code does what no kernel does, and is not judged any further.

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
    patience : float
        Seconds that an answer may take.
    memory : mmap
    token : int or str
        By which a child finds the memory.
    output : file
        Where what it prints is shown.
    environment : dict
        Variables of its environment that are not the judge's.
    linked : bool
        Whether it is to load what the numba backend keeps compiled.
    confined : bool
        Whether it is to be denied what `fastae.check.confine` denies.
    """

    def __init__(
        self,
        patience: float,
        memory: mmap.mmap,
        token: int | str,
        output: Any,
        environment: Any,
        linked: bool,
        confined: bool,
    ) -> None:
        self._patience, self._output = patience, output
        self._folder = tempfile.TemporaryDirectory(prefix="fastae-check-", ignore_cleanup_errors=True)
        scratch = self._folder.name
        self._pipe, theirs = connection.Pipe()
        handles = [theirs.fileno(), *([token] if isinstance(token, int) else [])]
        own = dict.fromkeys(["TMPDIR", "TEMP", "TMP", *([] if linked else ["NUMBA_CACHE_DIR"])], scratch)
        own["PYTHONDONTWRITEBYTECODE"] = "1"
        self._child = subprocess.Popen(
            [sys.executable, "-c", BOOT.format(path=sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=os.environ | own | environment,
            **system.apart(),
            **system.inheriting(handles),
        )
        theirs.close()
        threading.Thread(target=self._show, daemon=True).start()
        told = {"pipe": handles[0], "memory": token, "bytes": len(memory), "scratch": scratch, "linked": linked}
        told["confined"] = confined
        assert self._child.stdin is not None
        self._child.stdin.write(json.dumps(told).encode() + b"\n")
        self._child.stdin.close()
        self.lacking: list[str] = self._receive()["lacking"]

    def _show(self) -> None:
        """Show what the worker prints, to a limit."""
        assert self._child.stdout is not None
        left = MOST_OUTPUT
        for line in self._child.stdout:
            if left > 0:
                self._output.write(line[:left].decode(errors="replace"))
                if left <= len(line):
                    self._output.write(f"\n(more than {MOST_OUTPUT} bytes are printed: what follows is not shown)\n")
                self._output.flush()
            left -= len(line)

    def ask(self, **request: Any) -> dict[str, Any]:
        """Ask, and wait for the answer.

        Raises
        ------
        WorkerLost, Refused
        """
        self._send(json.dumps(request).encode())
        forbidden = []
        while True:
            answer = self._receive()
            if "forbidden" in answer:
                forbidden.append(str(answer["forbidden"]))
            elif "line_of" in answer:
                self._send(json.dumps({"line": _line_of(Path(answer["line_of"]), int(answer["offset"]))}).encode())
            else:
                break
        if forbidden:
            raise Refused(list(dict.fromkeys(forbidden)), [])
        return answer

    def timed(self) -> float:
        """Return the seconds from now until what was prepared is done: the clock is the judge's."""
        began = time.perf_counter()
        self._send(b"go")
        message = self._bytes()
        took = time.perf_counter() - began
        if message != b"done":
            raise WorkerLost("it answers before it has been asked", [])
        return took

    def _send(self, message: bytes) -> None:
        try:
            self._pipe.send_bytes(message)
        except OSError:
            raise self._lost() from None

    def _receive(self) -> dict[str, Any]:
        try:
            answer = json.loads(self._bytes())
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise WorkerLost("it disturbs the worker's answers", [])
        return answer

    def _bytes(self) -> bytes:
        try:
            if not self._pipe.poll(self._patience):
                raise WorkerLost(f"it does not come back, not within {self._patience:g} seconds", ENDLESS)
            return self._pipe.recv_bytes(LONGEST)
        except (EOFError, OSError):
            raise self._lost() from None

    def _lost(self) -> WorkerLost:
        """Say how the process ended."""
        try:
            status = self._child.wait(5)
        except subprocess.TimeoutExpired:
            return WorkerLost("it closes the worker's pipe", [])
        if status < 0:  # a signal; Windows has none
            told = f"it ends the process: {signal.strsignal(-status) or 'a signal'} (signal {-status})"
            return WorkerLost(told, CAUSES.get(-status, []))
        if status > 0xFF:  # an exception, of Windows
            return WorkerLost(f"it ends the process: exception {status:#x}", EXCEPTIONS.get(status, []))
        return WorkerLost(f"it ends the process, with status {status}", [])

    def close(self) -> None:
        """End the process, whatever it does."""
        self._child.kill()
        self._child.wait()
        self._pipe.close()
        self._folder.cleanup()


def _line_of(path: Path, offset: int) -> str:
    return compiler.line_of(path, offset) if path.parent == compiler.folder() else "an unknown line"


class Remote(backends.Backend):
    """A file of kernels as a backend; its worker begins anew when it is lost.

    Parameters
    ----------
    path : path-like
        As `fastae.check.learner.load` takes it.
    backend : str
        Likewise.
    patience : float
        Seconds that a call may take.
    output : file, optional
        Where is shown what the learner's code prints; by default standard output.

    Attributes
    ----------
    kernels : tuple of str
        The names that the file defines.
    language : {"python", "numba", "cuda"}
    lacking : list of str
        What the worker cannot be denied on this system.

    Raises
    ------
    InputError
        There is no such file, it fails, or it defines no kernel of the contract.
    Refused
        It does what no kernel does, while it is read.
    WorkerLost
    """

    def __init__(self, path: str | Path, backend: str = "auto", patience: float = 120.0, output: Any = None) -> None:
        self.path, self._patience, self._output = Path(path), patience, output or sys.stdout
        self.source = learner.source(self.path)
        self.origin = learner.origin(self.path, self.source)
        if found := policy.reasons(self.path, self.source):
            raise Refused(found, policy.kernels_in(self.path, self.source))
        self._memory, self._token = system.shared_memory(BYTES)
        self._workers: dict[bool, Process] = {}  # a bare one, and a whole one
        self.round_trip = 0.0
        try:
            if self.path.suffix == ".cu":
                self.language, self.name = "cuda", learner.cuda_backend(self.path, backend)
                compiled = [learner.options_of(kind) for kind in ("f4", "f8")] if self.name == "emulator" else []
                for options in compiled:
                    self._compiled(options)
                self.kernels = tuple(self._process(True)[1]["kernels"])
            else:
                self._bare(backend)
        except BaseException:
            self.close()
            raise

    def _compiled(self, options: tuple[str, ...]) -> None:
        """Compile a ``.cu`` file, for which a worker may start no program; refuse what is of the host."""
        library = compiler.compiled(learner.named(self.path, self.source), "kernel.cu", options, True)
        if found := policy.of_library(library, compiler.runtime(True)):
            raise Refused(found, policy.kernels_in(self.path, self.source))

    def _bare(self, backend: str) -> None:
        loaded = self._process(False)[1]
        functions = loaded["functions"]
        learner.require(functions, self.path)
        for name, parameters in functions.items():
            learner.check_signature(self.path, name, parameters)
        self.language = "numba" if loaded["compiled"] else "python"
        self.name = "numba" if loaded["compiled"] else "numpy"
        if backend not in ("auto", self.name):
            raise InputError(f"the kernels in {self.path} belong to the backend {self.name!r}, not {backend!r}")
        self.kernels = tuple(name for name in KERNELS if name in functions)

    def _process(self, whole: bool) -> tuple[Process, dict[str, Any]]:
        """Return a worker that has read the file, and what it said of it; if there is none, start one."""
        if whole in self._workers:
            return self._workers[whole], {}
        numba, parallel = "numba" in self.source, is_parallel(self.source)
        environment = environment_for(self.source, os.environ)
        linked = whole and self.name == "numba"
        process = Process(
            self._patience, self._memory, self._token, self._output, environment, linked, self.name != "cupy"
        )
        self._workers[whole] = process
        self.lacking = process.lacking
        path = str(self.path.resolve())
        if whole:
            request: dict[str, Any] = {"do": "load_whole", "path": path, "backend": self.name}
            request["libraries"] = str(compiler.folder())
        else:
            self.round_trip = min(process.timed() for _ in range(ROUND_TRIPS))  # nothing of the learner's is there yet
            given = list(policy.given(self.source))
            request = {"do": "load", "path": path, "names": list(KERNELS), "numba": numba, "parallel": parallel}
            request["given"] = given
        return process, self._answer(whole, **request)

    def _answer(self, whole: bool, **request: Any) -> dict[str, Any]:
        """Ask a worker; raise what it raised."""
        process, _ = self._process(whole)
        try:
            answer = process.ask(**request)
        except (WorkerLost, Refused) as error:
            self._workers.pop(whole).close()
            if isinstance(error, Refused):
                error.kernels = policy.kernels_in(self.path, self.source)
            raise
        if "failed" in answer:
            kind, message, line, place = answer["failed"]
            raise KernelFailed(str(request.get("name")), Failure(str(kind), str(message), int(line), str(place)))
        if "astray" in answer:
            raise KernelFault.told(str(answer["astray"]), str(answer["fault"]))
        if "error" in answer:
            raise InputError(str(answer["error"]))
        if "lost" in answer:
            raise RuntimeError(str(answer["lost"]))
        return answer

    def run(
        self,
        name: str,
        hosts: dict[str, np.ndarray],
        inner: dict[str, tuple[slice, ...]],
        arguments: dict[str, Any],
        again: bool = False,
        **how: Any,
    ) -> Returned | None:
        """Call a kernel on arrays, as `fastae.check.cases.run` does.

        Parameters
        ----------
        name : str
        hosts : dict of str to ndarray
            Whole arrays, which hold afterwards what is in them then.
        inner : dict of str to tuple of slice
            What of each is passed.
        arguments : dict
            The numbers, and None for each array, in the contract's order.
        again : bool
            In the arrays of the last call, wherever they are.
        **how
            As `fastae.check.cases.run` takes it.
        """
        layouts = self._placed(hosts)
        for key, layout in layouts.items():
            layout.append([[s.start, s.stop] for s in inner[key]])
        plain = {key: x.item() if isinstance(x, np.generic) else x for key, x in arguments.items()}
        end = max(offset + hosts[key].nbytes for key, (offset, *_) in layouts.items())
        shape = [s.stop - s.start for s in inner[how["written"]]]
        beyond = [-(-end // LINE) * LINE, "<f8", shape]
        answer = self._answer(
            self.language == "cuda", do="call", name=name, arguments=plain, arrays=layouts, how=how, beyond=beyond,
            again=again,
        )  # fmt: skip
        for key, host in hosts.items():
            host[...] = self._view(layouts[key])
        if not answer["returned"]:
            return None
        kind, is_out = answer["returned"]
        return Returned(str(kind), bool(is_out), self._view(beyond).copy() if answer.get("like") else None)

    def _placed(self, hosts: dict[str, np.ndarray]) -> dict[str, list[Any]]:
        """Copy arrays into the memory, and say where each is."""
        layouts, offset = {}, 0
        for key, host in hosts.items():
            layouts[key] = [offset, host.dtype.str, list(host.shape)]
            offset += -(-host.nbytes // LINE) * LINE
            if offset > len(self._memory):
                raise InputError(f"the arrays of this call are larger than {len(self._memory) >> 20} MiB")
            self._view(layouts[key])[...] = host
        return layouts

    def _view(self, layout: Sequence[Any]) -> np.ndarray:
        offset, dtype, shape = layout[:3]
        return np.ndarray(tuple(shape), np.dtype(dtype), self._memory, offset)

    def prepare(self, name: str, calls: list[tuple[dict[str, Any], dict[str, list[Any]]]]) -> None:
        """Name the calls that `timed` will time: their numbers, and where their arrays are."""
        self._answer(False, do="prepare", name=name, calls=calls)

    def timed(self) -> float:
        """Have the prepared calls done, and return the seconds that they take."""
        try:
            return max(1e-9, self._process(False)[0].timed() - self.round_trip)
        except WorkerLost:
            self._workers.pop(False).close()
            raise

    def views(self, layouts: dict[str, list[Any]]) -> dict[str, np.ndarray]:
        """Return arrays of the memory that both see."""
        return {key: self._view(layout) for key, layout in layouts.items()}

    def steps(self, arrays: dict[str, np.ndarray], result: np.ndarray, **given: Any) -> None:
        """Train a model for some steps, as `fastae.check.model.trained` does, with the kernels of the file."""
        layouts = self._placed(arrays | {"result": result})
        self._answer(True, do="steps", arrays=layouts, **given)
        result[...] = self._view(layouts["result"])

    def count(self, kernel: str, lengths: dict[str, int]) -> dict[str, Any]:
        """Count what a launch asks of memory, as `fastae.ladder.counts.count` does."""
        return dict(self._answer(True, do="count", kernel=kernel, lengths=lengths)["counts"])

    def close(self) -> None:
        """End the workers, and give the memory back."""
        while self._workers:
            self._workers.popitem()[1].close()
        system.forget_memory(self._token)

    def __enter__(self) -> "Remote":
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the workers."""
        self.close()
