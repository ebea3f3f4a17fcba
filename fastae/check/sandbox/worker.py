"""The process that runs a learner's code. It holds no expected result, no bound and no clock.

The judge (`fastae.check.sandbox.remote`) shares memory with the worker: arguments and results lie there. Requests and
answers are JSON. A bare worker, for a Python file, has none of fastae's kernels. A whole worker also has a backend, for
a ``.cu`` file or for the steps of a model.
"""

import importlib
import json
import mmap
import os
import sys
from collections.abc import Callable, Sequence
from multiprocessing import connection
from pathlib import Path
from typing import Any

from fastae.check.sandbox import confine
from fastae.errors import gist

Layout = Sequence[Any]  # offset in bytes, dtype, shape, and of each axis the begin and end of what is passed
GO, DONE = b"go", b"done"
MOST_TEXT = 500  # characters of a message
LARGE = 31 << 20  # bytes; the C library returns larger blocks to the system at once
_kept: list[Any] = []


def main() -> None:
    """Read the settings from standard input, confine this process, and answer the judge's requests until it ends."""
    settings = json.loads(sys.stdin.readline())
    kind = getattr(connection, "PipeConnection" if sys.platform == "win32" else "Connection")
    pipe = kind(settings["pipe"])
    memory = _mapped(settings["memory"], settings["bytes"])
    scratch = Path(settings["scratch"])
    if settings["preload"]:
        _preload(scratch, settings["preload"] == "linked")
    lacking = confine.confine(scratch) if settings["confined"] else list(confine.ENFORCED)
    os.chdir(scratch)
    pipe.send_bytes(json.dumps({"lacking": lacking}).encode())
    worker = Worker(pipe, memory, scratch)
    while True:
        try:
            message = pipe.recv_bytes()
        except EOFError:
            return
        if message == GO:
            try:
                for function, arguments in worker.prepared:
                    function(*arguments)
            except BaseException as error:  # whatever a learner's code may raise
                pipe.send_bytes(f"{type(error).__name__}: {gist(error)}"[:MOST_TEXT].encode())
            else:
                pipe.send_bytes(DONE)
        else:
            pipe.send_bytes(json.dumps(worker.answer(json.loads(message))).encode())


def _preload(scratch: Path, linked: bool) -> None:
    """Import Numba, and load the compiled code of the numba backend, while its cache can still be written."""
    from fastae.backends.numba_backend.internals import caching_in, launch_threads, types

    launch_threads()
    if linked:
        import fastae.backends.numba_backend.composed  # noqa: F401
        from fastae.backends.numba_backend.link import register_linked

        register_linked(types.float64)
    _kept.append(caching_in(str(scratch)))  # never closed
    _kept[0].__enter__()


def _mapped(memory: int | str, size: int) -> mmap.mmap:
    if isinstance(memory, int):
        return mmap.mmap(memory, size)
    with open(memory, "r+b") as file:
        return mmap.mmap(file.fileno(), size)


class Worker:
    """The functions that a worker has loaded, and the answers to requests.

    Parameters
    ----------
    pipe : Connection
        To the judge.
    memory : mmap
        Shared with the judge.
    scratch : Path
        The folder in which files may be written.

    Attributes
    ----------
    prepared : list of (callable, list)
        Functions and arguments of the calls that are timed next.
    """

    def __init__(self, pipe: Any, memory: mmap.mmap, scratch: Path) -> None:
        self._pipe, self._memory, self._scratch = pipe, memory, scratch
        self._path = Path()
        self._functions: dict[str, Callable[..., Any]] = {}  # the functions as they are called
        self._plain: dict[str, Any] = {}  # the functions as the file defines them
        self._backend: Any = None  # of a whole worker
        self._device: dict[str, Any] = {}  # its arrays of the last call
        self.prepared: list[tuple[Callable[..., Any], list[Any]]] = []

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Carry out a request and return its answer."""
        from fastae.check.file.failure import KernelFailed
        from fastae.errors import FastaeError

        try:
            return getattr(self, f"_{request.pop('do')}")(**request) or {}
        except KernelFailed as error:
            return {"failed": [x[:MOST_TEXT] if isinstance(x, str) else x for x in error.failure]}
        except FastaeError as error:
            if hasattr(error, "fault"):
                return {"astray": str(error), "fault": error.fault}
            return {"error": str(error)[:MOST_TEXT]}
        except Exception as error:  # from the device, which cannot be used any more
            return {"lost": f"{type(error).__name__}: {gist(error)}"[:MOST_TEXT]}

    def _tell(self, what: str) -> None:
        self._pipe.send_bytes(json.dumps({"forbidden": what}).encode())

    # A Python file, in a bare worker.

    def _load(
        self, path: str, code: str, names: list[str], numba: bool, parallel: bool, given: list[str]
    ) -> dict[str, Any]:
        import numpy as np  # before imports are forbidden

        from fastae.check.file import python_file

        np.empty(LARGE, np.uint8)  # after this the C library keeps the memory of temporary arrays
        _be_quiet()
        if numba:
            from fastae.backends.numba_backend import internals

            if parallel:
                internals.launch_threads()
        for module in given:
            importlib.import_module(module)
        self._path = Path(path)
        kept = () if given else confine.KEPT  # compiled code is read from files first
        confine.forbid(self._scratch, self._tell, self._path, [*confine.OPEN, *given], kept)
        self._plain = python_file.load(self._path, code, names)
        compiled = python_file.are_compiled(self._plain)
        self._functions = {
            name: python_file.seldom_compiled(function) if compiled else function
            for name, function in self._plain.items()
        }
        return {
            "functions": {name: python_file.parameters_of(f) for name, f in self._plain.items()},
            "compiled": compiled,
        }

    def _load_rungs(self, ladder: str, language: str) -> None:
        """Load the rungs of a ladder by their numbers, to time them in the same way as a learner's kernel."""
        import numpy as np

        from fastae.ladder import rungs

        np.empty(LARGE, np.uint8)
        self._plain = {str(rung.number): rung.function() for rung in rungs.ladder(ladder, language)}

    # A .cu file, or any file for the steps of a model, in a whole worker.

    def _load_whole(self, path: str, code: str, backend: str) -> dict[str, Any]:
        from fastae.backends.emulator import compiler, device, modules
        from fastae.check import learner

        _be_quiet()
        modules.line_of, compiler.compiled = (
            self._line_of,
            self._compiled,
        )  # these start programs, which only the judge may do
        if backend not in ("emulator", "cupy"):
            confine.forbid(self._scratch, self._tell, Path(path))
        self._backend = learner.load(path, backend, code)
        device.settings.checks = True
        return {"backend": self._backend.name, "kernels": list(self._backend.kernels)}

    def _line_of(self, path: Path, offset: int) -> str:
        return str(self._asked({"line_of": str(path), "offset": offset}))

    def _compiled(self, code: str, file: str, options: tuple[str, ...], checks: bool, *names: str) -> Path:
        assert not names  # names of templates, which no file of the contract needs
        return Path(self._asked({"compile": code, "file": file, "options": options, "checks": checks}))

    def _asked(self, question: dict[str, Any]) -> Any:
        """Ask the judge to do what a worker must not."""
        from fastae.backends.emulator.source import CompileError

        self._pipe.send_bytes(json.dumps(question).encode())
        answer = json.loads(self._pipe.recv_bytes())
        if "error" in answer:
            raise CompileError(answer["error"])
        return answer["done"]

    def _steps(self, arrays: dict[str, Any], **given: Any) -> None:
        from fastae.check.calls.model import trained

        trained(self._backend, {key: self._array(layout) for key, layout in arrays.items()}, **given)

    def _count(self, kernel: str, lengths: dict[str, int]) -> dict[str, Any]:
        from dataclasses import asdict

        from fastae.ladder import counts

        return {"counts": asdict(counts.count(self._backend, kernel, **lengths))}

    def _trace(self, kernel: str, lengths: dict[str, int], most: int) -> dict[str, Any]:
        from dataclasses import astuple

        from fastae.trace.launches import record

        launches, at = list[Any](), 0
        for launch in record(self._backend, kernel, lengths, most):
            self._memory[at : at + len(launch.block)] = launch.block
            arrays = [astuple(array) for array in launch.arrays]
            launches.append([launch.kernel, at, len(launch.block), arrays, launch.fault])
            at += len(launch.block)
        return {"launches": launches}

    # Calls.

    def _call(self, name: str, arguments: dict[str, Any], arrays: dict[str, Layout], how: dict[str, Any],
              beyond: Layout,
              again: bool = False) -> dict[str, Any]:  # fmt: skip
        hosts, inner = {}, {}
        for key, layout in arrays.items():
            hosts[key] = self._array(layout)
            inner[key] = tuple(slice(*ends) for ends in layout[3])
        if self._backend is not None:
            from fastae.check.calls import cases

            kept = self._device if again else {}
            returned = cases.run(self._backend, name, hosts, inner, arguments, kept=kept, **how)
            self._device = kept
            return {"returned": returned and [returned.kind, returned.is_out]}
        views = {key: hosts[key][inner[key]] for key in hosts}
        return self._called(name, views, arguments, beyond, **how)

    def _called(
        self,
        name: str,
        views: dict[str, Any],
        arguments: dict[str, Any],
        beyond: Layout,
        written: str,
        alias: str = "",
        frozen: bool = False,
        interpreted: bool = False,
        on_device: Any = (),
        turns: int = 0,
    ) -> dict[str, Any]:
        from fastae.check.file.failure import KernelFailed, describe_failure
        from fastae.check.file.python_file import describe_return

        for key in views if frozen else ():
            views[key].flags.writeable = key == written
        if alias:
            out, other = alias.split("=")
            views[out] = views[other]
        passed = [views.get(key, value) for key, value in arguments.items()]
        function = self._plain[name].py_func if interpreted else self._functions[name]
        try:
            value = function(*passed)
        except BaseException as error:  # whatever a learner's code may raise
            raise KernelFailed(name, describe_failure(error, str(self._path))) from error
        returned = describe_return(value, views[written])
        if returned is None:
            return {"returned": None}
        like = returned.value is not None
        if like:  # behind the arguments
            self._array(beyond)[...] = returned.value
        return {"returned": [returned.kind, returned.is_out], "like": like}

    def _prepare(self, name: str, calls: list[tuple[dict[str, Any], dict[str, Layout]]]) -> None:
        """Prepare the calls that are timed next, each with arrays of its own."""
        self.prepared = []
        for arguments, arrays in calls:
            views = {key: self._array(layout) for key, layout in arrays.items()}
            self.prepared.append((self._plain[name], [views.get(key, value) for key, value in arguments.items()]))

    def _array(self, layout: Layout) -> Any:
        import numpy as np

        offset, dtype, shape = layout[:3]
        return np.ndarray(tuple(shape), np.dtype(dtype), self._memory, offset)


def _be_quiet() -> None:
    """Silence the warnings of NumPy and Numba: the verdict says what a kernel does wrong."""
    import warnings

    import numpy as np

    np.seterr(all="ignore")
    warnings.simplefilter("ignore")
