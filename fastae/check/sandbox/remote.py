"""A learner's file as a backend whose kernels run in a worker (`fastae.check.sandbox.worker`).

The judge never imports the file. It writes the arguments of a call into the memory that it shares with the worker,
sends a request, and reads the results from that memory. The worker's answers are used for messages only.
"""

import os
import re
from pathlib import Path
from typing import Any

import numpy as np

from fastae.backends.contract import KERNELS
from fastae.backends.emulator import KernelFault, Recorded, compiler
from fastae.backends.emulator.recording import Array
from fastae.check import learner
from fastae.check.file.failure import Failure, KernelFailed
from fastae.check.file.python_file import Returned
from fastae.check.file.reading import read_source
from fastae.check.file.text import environment as environment_for
from fastae.check.file.text import is_parallel
from fastae.check.sandbox import cuda_policy, policy, python_policy
from fastae.check.sandbox.process import (
    LINE,
    MOST_TEXT,
    PATIENCE,
    Process,
    Refused,
    WorkerLost,
    Workers,
    printable,
    validating,
)
from fastae.cuda import FOLDER, source
from fastae.cuda.includes import names_of, shown_name
from fastae.errors import InputError

PLAIN = Path("kernel.cu")  # a name in ASCII
COMPILING = 5  # times the patience, for compiling a whole step


class Remote(Workers):
    """A file of kernels as a backend; a worker that ended is started again.

    Parameters
    ----------
    path : path-like
        As `fastae.check.learner.load` takes it.
    backend : str
        As `fastae.check.learner.load` takes it.
    patience : float
        Seconds that a call may take.
    output : file, optional
        Where the output of the learner's code is shown; by default standard output.

    Attributes
    ----------
    kernels : tuple of str
        The names that the file defines.
    language : {"python", "numba", "cuda"}
    lacking : list of str
        The keys of `fastae.check.sandbox.confine.ENFORCED` that this system cannot deny.

    Raises
    ------
    InputError
        There is no such file, it fails, or it defines no kernel of the contract.
    Refused
        It does what no kernel does.
    WorkerLost
        The worker ended, or did not answer in time, while it read the file.
    """

    name = ""

    def __init__(self, path: str | Path, backend: str = "auto", patience: float = PATIENCE, output: Any = None) -> None:
        self.path, self._patience, self._output = Path(path), patience, output
        self.source = read_source(self.path)
        self.origin = learner.origin(self.path, self.source)
        if found := policy.reasons(self.path, self.source):
            raise Refused(found, policy.kernels_in(self.path, self.source))
        super().__init__()
        try:
            if self.path.suffix == ".cu":
                self.language, self.name = "cuda", learner.cuda_backend(self.path, backend)
                compiled = [learner.options_of(kind) for kind in ("f4", "f8")] if self.name == "emulator" else []
                for options in compiled:
                    self._compiled(options)
                loaded = self._process(True)[1]
                with validating():
                    self.kernels = tuple(name for name in KERNELS if name in loaded["kernels"])
            else:
                self._bare(backend)
        except BaseException:
            self.close()
            raise

    def _compiled(self, options: tuple[str, ...]) -> None:
        """Compile a ``.cu`` file, which a worker must not do, and refuse functions of the host in it."""
        learner.cuda_kernels(self.path, self.source)  # raises for a file that is no CUDA
        code, shown = learner.compiled_text(self.path, self.source), re.escape(shown_name(self.path.name))
        plain = re.sub(rf'^(#line \d+) "{shown}"$', rf'\1 "{PLAIN.name}"', code, flags=re.MULTILINE)
        others = names_of(plain) - {PLAIN.name}
        found = cuda_policy.of_preprocessed(compiler.preprocessed(plain, options), PLAIN.name, others)
        if found := found or cuda_policy.of_library(
            compiler.compiled(code, "kernel.cu", options, True), compiler.runtime(True)
        ):
            raise Refused(found, policy.kernels_in(self.path, self.source))

    def _codes(self) -> set[str]:
        """Return the texts that may be compiled for a worker: the file, and this library's kernels for training."""
        if self.name != "emulator":
            return set()
        return {learner.compiled_text(self.path, self.source), *(source(path.name) for path in FOLDER.glob("*.cu"))}

    def _bare(self, backend: str) -> None:
        loaded = self._process(False)[1]
        with validating():
            functions = {name: loaded["functions"][name] for name in KERNELS if name in loaded["functions"]}
        learner.require(functions, self.path)
        for name, parameters in functions.items():
            learner.check_signature(self.path, name, _names(parameters))
        self.language, self.name = ("numba", "numba") if loaded.get("compiled") else ("python", "numpy")
        if backend not in ("auto", self.name):
            raise InputError(f"the kernels in {self.path} belong to the backend {self.name!r}, not {backend!r}")
        self.kernels = tuple(functions)

    def _process(self, whole: bool) -> tuple[Process, dict[str, Any]]:
        """Return a worker that has read the file, started if necessary, and its answer if it was."""
        if whole in self._workers:
            return self._workers[whole], {}
        preload = "" if not whole else "linked" if self.name == "numba" else "numba" * ("numba" in self.source)
        process = self._start(
            whole,
            patience=self._patience * (COMPILING if preload == "linked" else 1),
            output=self._output,
            environment=environment_for(self.source, os.environ),
            preload=preload,
            codes=self._codes(),
            confined=self.name != "cupy",
        )
        self.lacking = process.lacking
        path = str(self.path.resolve())
        if whole:
            request: dict[str, Any] = {"do": "load_whole", "path": path, "backend": self.name}
        else:
            request = {"do": "load", "path": path, "names": list(KERNELS), "numba": "numba" in self.source}
            request |= {"parallel": is_parallel(self.source), "given": list(python_policy.given(self.source))}
        return process, self._ask(whole, code=self.source, **request)

    def _ask(self, whole: bool, **request: Any) -> dict[str, Any]:
        """Send a request to a worker; raise the exception in its answer."""
        process, _ = self._process(whole)
        try:
            answer = process.ask(**request)
        except (WorkerLost, Refused) as error:
            self._workers.pop(whole).close()
            if isinstance(error, Refused):
                error.kernels = policy.kernels_in(self.path, self.source)
            raise
        with validating():
            if "failed" in answer:
                kind, message, line, place = answer["failed"]
                failure = Failure(
                    printable(kind), printable(message)[:MOST_TEXT], int(line), printable(place)[:MOST_TEXT]
                )
            if "astray" in answer:
                fault = KernelFault.told(
                    printable(answer["astray"])[:MOST_TEXT], printable(answer["fault"])[:MOST_TEXT]
                )
        if "failed" in answer:
            raise KernelFailed(str(request.get("name")), failure)
        if "astray" in answer:
            raise fault
        if "error" in answer:
            raise InputError(printable(answer["error"])[:MOST_TEXT])
        if "lost" in answer:
            lost = printable(answer["lost"])[:MOST_TEXT]
            raise RuntimeError(lost) if request["do"] == "call" else WorkerLost(lost, [])
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
        """Call a kernel on arrays, as `fastae.check.calls.cases.run` does.

        Parameters
        ----------
        name : str
            A kernel of the file.
        hosts : dict of str to ndarray
            The whole arrays; updated to their contents after the call.
        inner : dict of str to tuple of slice
            The part of each array that is passed.
        arguments : dict
            The numbers, and None for each array, in the contract's order.
        again : bool
            Whether the arrays of the last call on the device are used again.
        **how
            The other arguments of `fastae.check.calls.cases.run`.

        Returns
        -------
        Returned or None
            What the kernel returned, if not None.

        Raises
        ------
        KernelFailed, KernelFault
            The kernel raised an exception, or made an invalid access on the emulator.
        WorkerLost, Refused
            As `fastae.check.sandbox.process.Process.ask` raises them.
        """
        layouts = self._placed(hosts)
        for key, layout in layouts.items():
            layout.append([[s.start, s.stop] for s in inner[key]])
        plain = {key: x.item() if isinstance(x, np.generic) else x for key, x in arguments.items()}
        end = max(offset + hosts[key].nbytes for key, (offset, *_) in layouts.items())
        shape = [s.stop - s.start for s in inner[how["written"]]]
        beyond = [-(-end // LINE) * LINE, "<f8", shape]
        answer = self._ask(
            self.language == "cuda", do="call", name=name, arguments=plain, arrays=layouts, how=how, beyond=beyond,
            again=again,
        )  # fmt: skip
        for key, host in hosts.items():
            host[...] = self._view(layouts[key])
        with validating():
            if not answer["returned"]:
                return None
            kind, is_out = answer["returned"]
            like = self._view(beyond).copy() if answer.get("like") else None
            return Returned(printable(kind)[:MOST_TEXT], bool(is_out), like)

    def _placed(self, hosts: dict[str, np.ndarray]) -> dict[str, list[Any]]:
        """Copy arrays into the shared memory; return offset, dtype and shape of each."""
        layouts, offset = {}, 0
        for key, host in hosts.items():
            layouts[key] = [offset, host.dtype.str, list(host.shape)]
            offset += -(-host.nbytes // LINE) * LINE
            if offset > len(self._memory):
                raise InputError(f"the arrays of this call are larger than {len(self._memory) >> 20} MiB")
            self._view(layouts[key])[...] = host
        return layouts

    def steps(self, arrays: dict[str, np.ndarray], result: np.ndarray, **given: Any) -> None:
        """Train a model with the kernels of the file, as `fastae.check.calls.model.trained` does."""
        layouts = self._placed(arrays | {"result": result})
        self._ask(True, do="steps", arrays=layouts, **given)
        result[...] = self._view(layouts["result"])

    def count(self, kernel: str, lengths: dict[str, int]) -> dict[str, Any]:
        """Count the memory accesses of a launch, as `fastae.ladder.counts.count` does."""
        with validating():
            counts = dict(self._ask(True, do="count", kernel=kernel, lengths=lengths)["counts"])
            return {str(key): x if key in ("kernel", "shape") else x + 0 for key, x in counts.items()}

    def trace(self, kernel: str, lengths: dict[str, int], most: int) -> list[Recorded]:
        """Record a launch, as `fastae.trace.launches.record` does."""
        answer = self._ask(True, do="trace", kernel=kernel, lengths=lengths, most=most)
        options = learner.options_of("f4")
        library = compiler.compiled(learner.compiled_text(self.path, self.source), "kernel.cu", options, True)
        found, file = list[Recorded](), shown_name(self.path.name)
        with validating():
            for name, at, size, arrays, fault in answer["launches"]:
                known = [Array(printable(word), np.dtype(dtype).str, *map(int, span)) for word, dtype, *span in arrays]
                block, said = bytes(self._memory[at : at + size]), printable(fault)[: 4 * MOST_TEXT]
                found.append(Recorded(printable(name), file, self.source, block, library, known, said, options))
        return found


def _names(parameters: Any) -> list[str] | None:
    """Return the names of parameters without control characters; None if there is no list."""
    return [printable(name)[:MOST_TEXT] for name in parameters[:MOST_TEXT]] if isinstance(parameters, list) else None
