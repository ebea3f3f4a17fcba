"""CuPy's modules and kernels on the CPU: compiled, launched, and what a launch leaves behind."""

import ctypes
import itertools
import math
import re
import sys
import threading
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from fastae.backends.emulator import streams
from fastae.backends.emulator.arguments import Type, as_c
from fastae.backends.emulator.arrays import MemoryPointer, array, memory, ndarray, span_of
from fastae.backends.emulator.compiler import build
from fastae.backends.emulator.declared import lacking_kernel, misdeclared
from fastae.backends.emulator.faults import KernelFault, Report
from fastae.backends.emulator.recording import Array, Recorded, array_of, block_of
from fastae.backends.emulator.settings import Counted, Traffic, settings
from fastae.backends.emulator.shared_memory import MOST_SHARED, MOST_STATIC
from fastae.backends.emulator.source import CompileError, constants_of, kernels_of
from fastae.backends.emulator.toolchain import line_of, places_of
from fastae.cuda.includes import included, shown_name

MEMORIES = ("global", "shared", "constant")  # of runtime/counts.h
THREADS_A_MULTIPROCESSOR = 2048
MAX_RESIDENT = 8  # libraries whose threads keep their stacks
_device_lock = threading.Lock()  # the emulator has one GPU
_resident: dict[Path, ctypes.CDLL] = {}  # in the order in which they ran last


class Entry(ctypes.Structure):
    """What ``runtime/counts.h`` has counted of one instruction."""

    _fields_ = tuple(
        (name, ctypes.c_uint64)
        for name in ("where", "is_write", "kind", "requests", "accesses", "transactions", "best")
    )


class RawModule:
    """The kernels of a ``.cu`` file.

    Parameters
    ----------
    code : str
    options : tuple of str
        As NVRTC takes them.
    enable_cooperative_groups : bool
        Let all blocks of a launch be on the device at once, so that they may wait for each other.
    name_expressions : sequence of str
        Instances of kernels that are templates: ``"scale<float, 4>"``.
    file : str
        The name of the source in messages.

    Examples
    --------
    >>> import numpy as np
    >>> from fastae.backends.emulator import device
    >>> code = '''extern "C" __global__ void twice(const float* x, float* out, int n) {
    ...   int i = blockIdx.x * blockDim.x + threadIdx.x;
    ...   if (i < n) out[i] = 2 * x[i];
    ... }'''
    >>> x, out = device.array(np.arange(4, dtype=np.float32)), device.array(np.zeros(4, np.float32))
    >>> RawModule(code).get_function("twice")((1,), (32,), (x, out, np.int32(4)))
    >>> device.asnumpy(out)
    array([0., 2., 4., 6.], dtype=float32)
    """

    def __init__(
        self,
        code: str,
        options: tuple[str, ...] = (),
        *,
        enable_cooperative_groups: bool = False,
        name_expressions: Sequence[str] = (),
        file: str = "kernel.cu",
    ) -> None:
        folders = [Path(path) for path in re.findall(r"(?:^|\0)-I\0?([^\0]+)", "\0".join(options))]
        code = included(code, shown_name(file), None, folders)
        self._code, self._options, self._file = code, tuple(options), file
        self._cooperative = enable_cooperative_groups
        kernels = kernels_of(code)
        self._expressions = tuple(name for name in name_expressions if name not in kernels)
        self._names = [*kernels, *self._expressions]
        self._parameters = {name: [p.name for p in parameters] for name, parameters in kernels.items()}
        self._types: dict[str, list[Type]] = {}
        self._variables: dict[str, MemoryPointer] = {}  # that `get_global` has returned

    def get_function(self, name: str) -> Any:
        """Return a kernel as ``function(grid, block, arguments, *, shared_mem=0)``; raises `KeyError`.

        An argument is an array on the device, a NumPy scalar of the parameter's type, or a record. As in CuPy, a Python
        int may be given for a parameter of an integer type into which it fits, and a Python float for a double alone.

        ``shared_mem`` is the bytes of dynamic shared memory of a block. More than 48 KB must first be allowed by the
        function's attribute ``max_dynamic_shared_size_bytes``, as in CuPy.
        """
        if name not in self._names:
            if wrong := misdeclared(self._code, self._file):
                raise CompileError(wrong)
            raise KeyError(f"{self._file} has no kernel {name}: {lacking_kernel(name, self._code, self._names)}")

        def launch(
            grid: tuple[int, ...], block: tuple[int, ...], arguments: tuple[Any, ...], *, shared_mem: int = 0
        ) -> None:
            types = self._types_of(name)
            if len(arguments) != len(types):
                raise TypeError(f"{name} takes {len(types)} arguments, not {len(arguments)}")
            words = self._parameters.get(name) or [f"argument {i}" for i in range(1, len(types) + 1)]
            converted = [as_c(f"{name}: {word}", *pair) for word, *pair in zip(words, types, arguments)]
            most = min(kernel.max_dynamic_shared_size_bytes, MOST_SHARED)
            if not 0 <= shared_mem <= most:
                raise ValueError(
                    f"{name}: a block may have {most} bytes of dynamic shared memory, not {shared_mem}; "
                    f"max_dynamic_shared_size_bytes may allow it up to {MOST_SHARED}"
                )
            size = (ctypes.c_uint * 7)(*(*grid, 1, 1)[:3], *(*block, 1, 1)[:3], shared_mem)
            threads = size[3] * size[4] * size[5]
            if not 0 < threads <= 1024:
                raise ValueError(f"{name}: a block has 1 to 1024 threads, not {threads}")
            at_once = streams.MULTIPROCESSORS * (THREADS_A_MULTIPROCESSOR // max(1, threads))
            if self._cooperative and size[0] * size[1] * size[2] > at_once:
                raise ValueError(f"{name}: a cooperative launch of more than {at_once} blocks, more than fit")
            arrays = [x for x in arguments if isinstance(x, ndarray)]
            named = [(word, x) for word, x in zip(words, arguments) if isinstance(x, ndarray) and x.size]
            spans = [span_of(x) for _, x in named]  # a graph keeps them, and not the arrays
            known = [array_of(word, x, span) for (word, x), span in zip(named, spans)]

            def run() -> None:
                library, path = self._built()
                reachable = list(spans)
                if any(t.kind == b"\0" for t in types):  # a struct whose pointers may lead to any array
                    reachable += [span_of(x.view(ndarray)) for x in list(memory.values()) if x.size]
                with _device_lock:
                    self._run(name, library, path, size, converted, reachable, known)

            streams.submit(name, run, arrays)

        kernel: Any = launch
        kernel.max_dynamic_shared_size_bytes = MOST_STATIC
        return kernel

    def get_global(self, name: str) -> MemoryPointer:
        """Return the memory of a ``__device__`` or ``__constant__`` variable; raises `KeyError`.

        ``ndarray(shape, dtype, pointer)`` is an array in it, which later launches, checked or not, read and write.
        """
        if name not in self._variables:
            library, _ = self._built()
            self._variables[name] = array(_variable(library, name)).view(MemoryPointer)
        return self._variables[name]

    def _built(self) -> tuple[ctypes.CDLL, Path]:
        return build(self._code, self._file, self._options, settings.checks, *self._expressions)

    def _types_of(self, name: str) -> list[Type]:
        if name not in self._types:
            function = getattr(self._built()[0], f"types_{self._names.index(name)}")
            function.restype = ctypes.POINTER(Type)
            listed = function()
            self._types[name] = list(itertools.takewhile(lambda t: t.size, (listed[i] for i in itertools.count())))
        return self._types[name]

    def _run(
        self,
        name: str,
        library: ctypes.CDLL,
        path: Path,
        size: Any,
        converted: list[Any],
        spans: Any,
        known: list[Array],
    ) -> None:
        _resident.pop(path, None)
        _resident[path] = library
        if len(_resident) > MAX_RESIDENT:
            _resident.pop(next(iter(_resident))).emulator_rest()
        library.emulator_order(settings.order, ctypes.c_uint64(settings.seed))
        library.emulator_flush("-Dreal=double" not in self._options)
        library.emulator_forget()
        for span in spans:
            library.emulator_allow(*map(ctypes.c_uint64, span))
        if settings.checks:
            library.emulator_count(settings.counts is not None)
            room = settings.trace.room if settings.trace is not None else 0
            library.emulator_record(settings.trace is not None, ctypes.c_uint64(room))
        counts_or_traces = settings.counts is not None or settings.trace is not None
        if counts_or_traces and (names := constants_of(self._code)):
            for offset, length in places_of(path, names):
                library.emulator_constant(ctypes.c_uint64(offset), ctypes.c_uint64(length))
        for variable, kept in self._variables.items():
            np.frombuffer(_variable(library, variable), np.uint8)[:] = kept
        addresses = (ctypes.c_void_p * len(converted))(*map(ctypes.addressof, converted))
        failed = getattr(library, f"run_{self._names.index(name)}")(size, self._cooperative, addresses)
        for variable, kept in self._variables.items():
            kept[:] = np.frombuffer(_variable(library, variable), np.uint8)
        _show_output(library)
        if settings.counts is not None and not failed:
            settings.counts.threads += math.prod(size[:6])
            self._count(name, library, path, settings.counts)
        fault = self._fault(name, library, path, size[6]) if failed else None
        if settings.checks and settings.trace is not None:
            said, block = str(fault or ""), block_of(library)
            settings.trace.append(Recorded(name, self._file, self._code, block, path, known, said, self._options))
        if fault is not None:
            raise fault

    def _fault(self, name: str, library: ctypes.CDLL, path: Path, shared: int) -> KernelFault:
        library.emulator_report.restype = ctypes.POINTER(Report)
        report = library.emulator_report().contents
        return KernelFault(name, report, line_of(path, report.where), lambda at: line_of(path, at), shared)

    def _count(self, name: str, library: ctypes.CDLL, path: Path, counts: Counted) -> None:
        entries = ctypes.POINTER(Entry)()
        library.emulator_traffic.restype = library.emulator_barriers.restype = ctypes.c_uint64
        counts.barriers += library.emulator_barriers()
        for i in range(library.emulator_traffic(ctypes.byref(entries))):
            entry = entries[i]
            counts.append(
                Traffic(
                    kernel=name,
                    line=line_of(path, entry.where),
                    memory=MEMORIES[entry.kind],
                    action="write" if entry.is_write else "read",
                    requests=entry.requests,
                    accesses=entry.accesses,
                    transactions=entry.transactions,
                    best=entry.best,
                )
            )


class RawKernel:
    """One kernel of a source, as CuPy has it: ``RawModule(code=code, options=options).get_function(name)``.

    It is compiled when it is first called.

    Parameters
    ----------
    code : str
    name : str
        Of the kernel.
    options : tuple of str
        As NVRTC takes them.
    enable_cooperative_groups : bool
        As `RawModule` takes it.

    Attributes
    ----------
    max_dynamic_shared_size_bytes : int
        The most dynamic shared memory that a launch may ask for.

    Examples
    --------
    >>> import numpy as np
    >>> from fastae.backends.emulator import device
    >>> code = '''extern "C" __global__ void twice(const float* x, float* out, int n) {
    ...   int i = blockIdx.x * blockDim.x + threadIdx.x;
    ...   if (i < n) out[i] = 2 * x[i];
    ... }'''
    >>> x, out = device.array(np.arange(4, dtype=np.float32)), device.array(np.zeros(4, np.float32))
    >>> RawKernel(code, "twice")((1,), (32,), (x, out, np.int32(4)))
    >>> device.asnumpy(out)
    array([0., 2., 4., 6.], dtype=float32)
    """

    def __init__(
        self, code: str, name: str, options: tuple[str, ...] = (), *, enable_cooperative_groups: bool = False
    ) -> None:
        self.code, self.name, self.options = code, name, options
        self.enable_cooperative_groups = enable_cooperative_groups
        self.max_dynamic_shared_size_bytes = MOST_STATIC

    def __call__(
        self, grid: tuple[int, ...], block: tuple[int, ...], args: tuple[Any, ...], *, shared_mem: int = 0
    ) -> None:
        """Launch it, as a function of `RawModule` is launched; raises `KeyError` if the source has no such kernel."""
        self._function.max_dynamic_shared_size_bytes = self.max_dynamic_shared_size_bytes
        self._function(grid, block, args, shared_mem=shared_mem)

    @cached_property
    def _function(self) -> Any:
        module = RawModule(self.code, self.options, enable_cooperative_groups=self.enable_cooperative_groups)
        return module.get_function(self.name)


def _show_output(library: ctypes.CDLL) -> None:
    """Print the output of the kernel that ran last in a library."""
    text, more = ctypes.c_void_p(), ctypes.c_int()
    library.emulator_output.restype = ctypes.c_uint64
    length = library.emulator_output(ctypes.byref(text), ctypes.byref(more))
    if length:
        sys.stdout.write(ctypes.string_at(text.value or 0, length).decode(errors="replace"))
        if more.value:
            sys.stdout.write("\n(the kernel printed more than 1 MiB: some of it is not shown)\n")
        sys.stdout.flush()


def _variable(library: ctypes.CDLL, name: str) -> np.ndarray:
    """Return the memory of a variable of a library; raises `KeyError`."""
    try:
        address = ctypes.addressof(ctypes.c_ubyte.in_dll(library, name))
    except ValueError:
        raise KeyError(name) from None
    library.emulator_size_of.restype = ctypes.c_uint64
    size = library.emulator_size_of(ctypes.c_void_p(address))
    if not size:
        raise KeyError(name)
    return np.ctypeslib.as_array((ctypes.c_ubyte * size).from_address(address))
