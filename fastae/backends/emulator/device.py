"""The slice of CuPy that the cupy backend uses, on the CPU: arrays, and kernels compiled from a ``.cu`` file."""

import contextlib
import ctypes
import itertools
import math
import re
import sys
import threading
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from fastae.backends.emulator import streams as cuda  # as cupy.cuda
from fastae.backends.emulator.compiler import MOST_SHARED, MOST_STATIC, build, kernels_of, line_of, places_of
from fastae.backends.emulator.declared import lacking_kernel, misdeclared
from fastae.backends.emulator.faults import KernelFault, Report
from fastae.backends.emulator.recording import Array, Recorded, Trace, array_of, block_of
from fastae.backends.emulator.source import CompileError, constants_of
from fastae.cuda.includes import included, shown_name

MEMORIES = ("global", "shared", "constant")  # of counts.h
THREADS_A_MULTIPROCESSOR = 2048
ALIGNMENT = 256  # bytes, at which CUDA allocates memory
LEAST_GAP, MOST_GAP = 1 << 12, 1 << 20  # bytes behind an array, so that an index a row too far is in no other one
AWAKE = 8  # libraries that keep stacks for their threads
_one_at_a_time = threading.Lock()  # the emulator has one GPU
_awake: dict[Path, ctypes.CDLL] = {}  # the one that ran last is last
_memory: "weakref.WeakValueDictionary[int, np.ndarray]" = weakref.WeakValueDictionary()  # all that was made here


class Type(ctypes.Structure):
    """What device.h tells of a parameter: a pointer or a value; and of what it points to or is, kind and bytes.

    The kind of numbers is NumPy's letter, and ``element`` the bytes of one, of which a vector has several; ``c`` is
    char, ``h`` bfloat16, ``v`` void, and 0 anything else.
    """

    _fields_ = (
        ("pointer", ctypes.c_bool),
        ("kind", ctypes.c_char),
        ("element", ctypes.c_uint16),
        ("size", ctypes.c_uint32),
    )

    @property
    def dtypes(self) -> list[np.dtype[Any]]:
        """What an argument may be of, the first being meant; empty if anything of its size."""
        if self.kind == b"c":
            return [np.dtype("i1"), np.dtype("u1")]
        if self.kind == b"h":  # as bits: NumPy has no such numbers
            return [np.dtype("u2")]
        return [np.dtype(f"{self.kind.decode()}{self.element}")] if self.kind in b"iufb" and self.element else []

    def is_bfloat16(self, dtype: np.dtype[Any]) -> bool:
        """Tell whether an argument's dtype is that of bfloat16 in the package ml_dtypes, where it is meant."""
        return bool(self.kind == b"h" and dtype.name == "bfloat16")


class Entry(ctypes.Structure):
    """What counts.h tells of one instruction."""

    _fields_ = tuple(
        (name, ctypes.c_uint64)
        for name in ("where", "is_write", "kind", "requests", "accesses", "transactions", "best")
    )


class ndarray(np.ndarray):  # noqa: N801  it stands for cupy.ndarray
    """An array on the "device": an integer index gives a 0-d view, as CuPy's does."""

    def __getitem__(self, key: Any) -> Any:
        """Index, without ever leaving the device."""
        if isinstance(key, int) and self.ndim == 1:
            return super().__getitem__(slice(key, key + 1)).reshape(())
        return super().__getitem__(key)

    def __setitem__(self, key: Any, value: Any) -> None:
        """Copy into it."""
        cuda.forbid("an array is assigned to")
        super().__setitem__(key, value)

    def set(self, host: np.ndarray) -> None:
        """Copy an array of the same shape and type from the host."""
        cuda.forbid("an array is copied from the host")
        if self.shape != host.shape or self.dtype != host.dtype:
            raise ValueError(f"{host.dtype} {host.shape} is copied into {self.dtype} {self.shape}")
        super().__setitem__(..., host)

    @property
    def data(self) -> Any:
        """The address, as ``data.ptr``."""
        return SimpleNamespace(ptr=self.ctypes.data)


class MemoryPointer(ndarray):
    """The memory of a variable, which ``ndarray(shape, dtype, pointer)`` makes an array of, as CuPy's does."""

    @property
    def ptr(self) -> int:
        """The address."""
        return self.ctypes.data


def array(host: Any, order: str = "K") -> ndarray:
    """Copy to the "device"; with ``order="K"`` what is in Fortran's order stays so, as in CuPy."""
    cuda.forbid("memory is allocated")
    host = np.asarray(host)
    if order == "K" and host.flags.f_contiguous and not host.flags.c_contiguous:
        return array(host.T, order="C").T
    gap = min(max(host.nbytes, LEAST_GAP), MOST_GAP)
    memory = np.empty(host.nbytes + ALIGNMENT + gap, np.uint8)
    begin = -memory.ctypes.data % ALIGNMENT
    _memory[id(memory)] = memory
    device = memory[begin : begin + host.nbytes].view(host.dtype).reshape(host.shape).view(ndarray)
    device[...] = host
    return device


def asnumpy(device: ndarray, *, out: np.ndarray | None = None) -> np.ndarray:
    """Copy to the host, by default to a new array."""
    cuda.forbid("an array is copied to the host")
    if out is None:
        return np.array(device, order="C", subok=False)
    if device.shape != out.shape or device.dtype != out.dtype:
        raise ValueError(f"{device.dtype} {device.shape} is copied into {out.dtype} {out.shape}")
    out[...] = device
    return out


@dataclass(frozen=True)
class Traffic:
    """What the accesses of one instruction of a kernel cost, summed over a launch.

    Attributes
    ----------
    kernel, line : str
        File and line of the access.
    memory : {"global", "shared", "constant"}
    action : {"read", "write"}
    requests : int
        How many times a warp came to it.
    accesses : int
        How many times a thread did.
    transactions : int
        Sectors of 32 bytes of global memory that had to be moved; or rounds in which the 32 banks of shared memory
        could answer, more than one a request where lanes want different words of one bank; or places of constant
        memory, which answers one at a time.
    best : int
        As many as the bytes asked for would have needed, had they lain side by side; one a request of constant memory.

    Examples
    --------
    >>> traffic = Traffic("twice", "kernel.cu:3", "global", "read", requests=1, accesses=32, transactions=4, best=4)
    >>> traffic.transactions / traffic.best
    1.0
    """

    kernel: str
    line: str
    memory: str
    action: str
    requests: int
    accesses: int
    transactions: int
    best: int


class Counted(list[Traffic]):
    """What was counted: of each launch, its instructions that touch global or shared memory.

    Attributes
    ----------
    threads : int
        How many were launched, in all blocks.
    barriers : int
        How many times a thread passed a ``__syncthreads()``.
    """

    threads = 0
    barriers = 0


class Settings:
    """How kernels are run: whether accesses are checked, counted and written down, and in which order threads do."""

    checks = False
    order = 0
    seed = 1
    counts: Counted | None = None
    trace: Trace | None = None


settings = Settings()


@contextlib.contextmanager
def checking(order: str = "forward", seed: int = 1) -> Iterator[None]:
    """Look at every access to memory in the kernels that run in this block; some 13 times slower.

    Parameters
    ----------
    order : {"forward", "reverse", "random"}
        In which order the threads of a block take turns between barriers.
    seed : int
        Of the random order.

    Examples
    --------
    >>> import numpy as np
    >>> from fastae.backends.emulator import device
    >>> code = '''extern "C" __global__ void twice(const float* x, float* out, int n) {
    ...   int i = blockIdx.x * blockDim.x + threadIdx.x;
    ...   if (i < n) out[i] = 2 * x[i];
    ... }'''
    >>> x, out = device.array(np.arange(4, dtype=np.float32)), device.array(np.zeros(4, np.float32))
    >>> with checking():
    ...     try:
    ...         RawKernel(code, "twice")((1,), (32,), (x, out, np.int32(5)))
    ...     except KernelFault as fault:
    ...         print(fault.line, fault.thread, fault.fault)
    kernel.cu:3 (4, 0, 0) out of bounds
    """
    before = settings.checks, settings.order, settings.seed
    settings.checks, settings.order, settings.seed = True, ("forward", "reverse", "random").index(order), seed
    try:
        yield
    finally:
        settings.checks, settings.order, settings.seed = before


@contextlib.contextmanager
def counting() -> Iterator[Counted]:
    """Check every access and count what it costs, in the kernels that run in this block.

    Yields
    ------
    Counted
        A list of `Traffic`, to which each launch adds its instructions that touch memory.

    Examples
    --------
    >>> import numpy as np
    >>> from fastae.backends.emulator import device
    >>> code = '''extern "C" __global__ void twice(const float* x, float* out, int n) {
    ...   int i = blockIdx.x * blockDim.x + threadIdx.x;
    ...   if (i < n) out[i] = 2 * x[i];
    ... }'''
    >>> x, out = device.array(np.arange(4, dtype=np.float32)), device.array(np.zeros(4, np.float32))
    >>> with counting() as counts:
    ...     RawKernel(code, "twice")((1,), (32,), (x, out, np.int32(4)))
    >>> [(traffic.line, traffic.action, traffic.accesses) for traffic in counts]
    [('kernel.cu:3', 'read', 4), ('kernel.cu:3', 'write', 4)]
    """
    before = settings.counts
    counts = Counted()
    settings.counts = counts
    try:
        with checking():
            yield counts
    finally:
        settings.counts = before


@contextlib.contextmanager
def tracing() -> Iterator[Trace]:
    """Check every access and write it down, in the kernels that run in this block.

    Yields
    ------
    Trace
        The launches; ``save("page.html")`` makes a page of them, on which they can be followed step by step. A launch
        that a fault has ended is among them.

    Examples
    --------
    >>> import numpy as np
    >>> from fastae.backends.emulator import device
    >>> code = '''extern "C" __global__ void twice(const float* x, float* out, int n) {
    ...   int i = blockIdx.x * blockDim.x + threadIdx.x;
    ...   if (i < n) out[i] = 2 * x[i];
    ... }'''
    >>> x, out = device.array(np.arange(4, dtype=np.float32)), device.array(np.zeros(4, np.float32))
    >>> with tracing() as trace:
    ...     RawKernel(code, "twice")((1,), (32,), (x, out, np.int32(4)))
    >>> len(trace)
    1
    >>> trace.save("twice.html")
    """
    before = settings.trace
    trace = Trace()
    settings.trace = trace
    try:
        with checking():
            yield trace
    finally:
        settings.trace = before


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
        Kernels that are templates, as C++ calls them: ``"scale<float, 4>"``.
    file : str
        The name under which messages speak of it.

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
        self._variables: dict[str, MemoryPointer] = {}  # those that the host has asked for

    def get_function(self, name: str) -> Any:
        """Return a kernel as ``function(grid, block, arguments, *, shared_mem=0)``; raises `KeyError`.

        An argument is an array on the device, a NumPy scalar of the parameter's type, or a record. As in CuPy, a whole
        number of Python's is 8 bytes, of which a parameter takes as many as it has: it may be given for a whole number
        into which it fits. A float of Python's is a double, and may be given for no other.

        ``shared_mem`` is how many bytes of dynamic shared memory a block has. More than 48 KB are to be allowed first,
        by the function's attribute ``max_dynamic_shared_size_bytes``, as in CuPy.
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
            converted = [_convert(f"{name}: {word}", *pair) for word, *pair in zip(words, types, arguments)]
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
            at_once = cuda.MULTIPROCESSORS * (THREADS_A_MULTIPROCESSOR // max(1, threads))
            if self._cooperative and size[0] * size[1] * size[2] > at_once:
                raise ValueError(f"{name}: a cooperative launch of more than {at_once} blocks, more than fit")
            arrays = [x for x in arguments if isinstance(x, ndarray)]
            named = [(word, x) for word, x in zip(words, arguments) if isinstance(x, ndarray) and x.size]
            spans = [_span(x) for _, x in named]  # kept, where the arrays are not
            known = [array_of(word, x, span) for (word, x), span in zip(named, spans)]

            def run() -> None:
                library, path = self._built()
                reachable = list(spans)
                if any(t.kind == b"\0" for t in types):  # with pointers in it, which may lead anywhere
                    reachable += [_span(x.view(ndarray)) for x in list(_memory.values()) if x.size]
                with _one_at_a_time:
                    self._run(name, library, path, size, converted, reachable, known)

            cuda.submit(name, run, arrays)

        kernel: Any = launch
        kernel.max_dynamic_shared_size_bytes = MOST_STATIC
        return kernel

    def get_global(self, name: str) -> MemoryPointer:
        """Return the memory of a ``__device__`` or ``__constant__`` variable; raises `KeyError`.

        ``ndarray(shape, dtype, pointer)`` is an array in it. What is written there is the variable's value in launches
        that follow, checked or not, and what they write is seen there.
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
        _awake.pop(path, None)
        _awake[path] = library
        if len(_awake) > AWAKE:
            _awake.pop(next(iter(_awake))).emulator_rest()
        library.emulator_order(settings.order, ctypes.c_uint64(settings.seed))
        library.emulator_flush("-Dreal=double" not in self._options)
        library.emulator_forget()
        for span in spans:
            library.emulator_allow(*map(ctypes.c_uint64, span))
        if settings.checks:
            library.emulator_count(settings.counts is not None)
            room = settings.trace.room if settings.trace is not None else 0
            library.emulator_record(settings.trace is not None, ctypes.c_uint64(room))
        told = settings.counts is not None or settings.trace is not None
        if told and (names := constants_of(self._code)):
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
        How much dynamic shared memory a launch may ask for.

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


def _convert(what: str, kind: Type, x: Any) -> Any:
    """Turn an argument into C's, refusing one of another type or size than the parameter."""
    dtypes = kind.dtypes
    if kind.pointer:
        if isinstance(x, np.uint64) and x == 0:
            return ctypes.c_void_p(None)
        if not isinstance(x, ndarray):
            raise TypeError(f"{what} must be an array on the device, not {type(x).__name__}")
        is_whole = x.itemsize == kind.size and not (dtypes and x.dtype.kind in "iufb")  # a record, a complex number
        is_same = is_whole or kind.is_bfloat16(x.dtype)
        if kind.kind != b"v" and x.dtype not in (dtypes or [np.dtype("u1")]) and not is_same:
            wanted = dtypes[0] if dtypes else f"uint8, or of a type of {kind.size} bytes"
            raise TypeError(f"{what} must be of {wanted}, not {x.dtype}")
        return ctypes.c_void_p(x.ctypes.data)
    if dtypes and kind.size == dtypes[0].itemsize:
        dtype = np.asarray(x).dtype
        if isinstance(x, int) and not isinstance(x, bool) and kind.kind in b"iuc":
            fitting = next((d for d in dtypes if np.iinfo(d).min <= x <= np.iinfo(d).max), None)
            if fitting is None:
                raise TypeError(f"{what} must be numpy.{dtypes[0]}, into which {x} does not fit")
            x, dtype = fitting.type(x), fitting
        elif type(x) is float and dtype in dtypes:  # which is a double
            x = np.float64(x)
        if not isinstance(x, np.generic | bool) or not (dtype in dtypes or kind.is_bfloat16(dtype)):
            pythons = {int: "int", float: "float"}.get(type(x))
            why = f", which CuPy passes as numpy.{np.asarray(x).dtype} whatever is expected" if pythons else ""
            raise TypeError(f"{what} must be numpy.{dtypes[0]}, not {type(x).__name__}{why}")
        return (ctypes.c_char * kind.size).from_buffer_copy(np.asarray(x).tobytes())
    if not isinstance(x, np.void | np.ndarray | np.complexfloating) or isinstance(x, ndarray) or x.nbytes != kind.size:
        raise TypeError(f"{what} must be a NumPy record or array of {kind.size} bytes, not {type(x).__name__}")
    return (ctypes.c_char * kind.size).from_buffer_copy(x.tobytes())


def _show_output(library: ctypes.CDLL) -> None:
    """Print what the kernel that ran last in a library has printed."""
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


def _span(x: ndarray) -> tuple[int, int, int, int]:
    """Return where an array lies: address, rows, their width and stride in bytes."""
    rows, width = (x.shape[0], x.shape[1]) if x.ndim == 2 else (1, x.size)
    stride = x.strides[0] if x.ndim == 2 and rows > 1 else width * x.itemsize
    return x.ctypes.data, rows, width * x.itemsize, stride
