"""All that this package takes from Numba and llvmlite, in one place; no other module of it imports either.

Numba promises ``jit``, ``njit``, ``types``, ``typeof``, ``from_dtype`` and ``intrinsic``. The rest is its inside, which
may change with any release, so `fastae.backends.numba_backend.RELEASES` are those with which the tests have passed.
What is relied upon:

- ``ir``, llvmlite's builder of LLVM's language: typed pointers (``as_pointer``), atomics, metadata, and the names of
  LLVM's own functions (``llvm.masked.load.v8f32.p0``, ``llvm.fmuladd``), which change with LLVM.
- ``cgutils``: ``get_or_insert_function`` declares a function once in a module, ``unpack_tuple`` takes a value apart.
- What an intrinsic is handed: ``context.make_array``, whose result has ``data``, ``shape`` and ``strides``;
  ``context.get_dummy_value``; and that ``arguments`` are plain LLVM values, a double for a float64.
- ``global_compiler_lock``: it is held while anything is compiled or loaded from the cache, and may be taken twice by
  one thread.
- `compile_borrowing`, `caching_in`, `entry_point`, `publish` and `call_published` below: each says what it needs.

Learners' files import Numba itself, and of it only what it promises.
"""

# ruff: noqa: E402
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from fastae.backends.numba_backend import NumbaBackend
from fastae.errors import BackendUnavailable

_ok, _reason, _remedy = NumbaBackend.availability()
if not _ok:  # learners' files come here by themselves, without asking for the backend
    raise BackendUnavailable(f"{_reason} ({_remedy})")

import llvmlite.binding as llvm
from llvmlite import ir
from numba import from_dtype, jit, njit, typeof, types
from numba.core import cgutils
from numba.core import config as numba_config
from numba.core.compiler_lock import global_compiler_lock
from numba.core.errors import NumbaError
from numba.extending import intrinsic

__all__ = [
    "NumbaError", "cache_folder", "caching_in", "call_published", "cgutils", "compile_borrowing", "entry_point",
    "features", "from_dtype", "global_compiler_lock", "intrinsic", "ir", "jit", "launch_threads", "name_address",
    "njit", "publish", "recompiled", "typeof", "types",
]  # fmt: skip

config: Any = numba_config  # its settings are made at run time


def features() -> set[str]:
    """Return what the processor that Numba compiles for can do, as LLVM names it: this one, or what NUMBA_CPU_* say.

    Relies on ``config.CPU_FEATURES`` and ``config.ENABLE_AVX``, which Numba reads from the environment.
    """
    if config.CPU_FEATURES is not None:
        named = {name[1:] for name in config.CPU_FEATURES.split(",") if name.startswith("+")}
    else:
        named = {name for name, present in llvm.get_host_cpu_features().items() if present}
    return named if config.ENABLE_AVX else {name for name in named if not name.startswith("avx")}


def cache_folder() -> str:
    """Return the folder that NUMBA_CACHE_DIR names, or nothing."""
    return config.CACHE_DIR or ""


@contextmanager
def caching_in(folder: str) -> Iterator[None]:
    """Keep what is compiled meanwhile in that folder.

    Relies on Numba's looking at ``config.CACHE_DIR`` when a function is decorated, not later.
    """
    before, config.CACHE_DIR = config.CACHE_DIR, folder
    try:
        yield
    finally:
        config.CACHE_DIR = before


def compile_borrowing(function: Callable[..., Any], signatures: Any, cached: bool) -> Any:
    """Compile a function whose arrays are borrowed, for types given or when it is called.

    Relies on the target option ``_nrt``: without Numba's run-time, references to arrays are not counted.
    """
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "cache": cached, "_nrt": False}
    return njit(signatures, **options)(function) if signatures else njit(**options)(function)


def launch_threads() -> None:
    """Start the threads of ``prange``, and load the library that has them.

    Relies on ``numba.np.ufunc.parallel._launch_threads``, which Numba calls when a first parallel function is compiled.
    """
    from numba.np.ufunc.parallel import _launch_threads

    _launch_threads()


def recompiled(function: Any) -> Any:
    """Return a compiled function made anew, not compiled for any types yet, or None if its types were fixed.

    Relies on a dispatcher's ``_can_compile``, ``targetoptions`` and ``py_func``.
    """
    return jit(**function.targetoptions)(function.py_func) if function._can_compile else None


def entry_point(dispatcher: Any, kinds: tuple[Any, ...] | None = None) -> Callable[..., Any]:
    """Return what Python calls when types are known: for those types, or for the only ones that there are.

    Relies on a dispatcher's ``overloads``, and on ``entry_point``, which checks no types.
    """
    return _overload(dispatcher, kinds).entry_point


def _overload(dispatcher: Any, kinds: tuple[Any, ...] | None = None) -> Any:
    if kinds is not None:
        return dispatcher.overloads[kinds]
    (only,) = dispatcher.overloads.values()
    return only


def publish(name: str, dispatcher: Any) -> None:
    """Give LLVM's linker a name for what is compiled for one signature. It must be kept as long as it may be called.

    Relies on ``library.get_pointer_to_function`` and ``fndesc.llvm_func_name``, in Numba's own way of calling.
    """
    only = _overload(dispatcher)
    name_address(name, only.library.get_pointer_to_function(only.fndesc.llvm_func_name))


def name_address(name: str, address: int) -> None:
    """Give LLVM's linker a name for a function that is somewhere in this process: compiled code finds it by its name.

    Relies on ``add_symbol``.
    """
    llvm.add_symbol(name, address)


def call_published(name: str, context: Any, builder: Any, signature: Any, arguments: Any) -> None:
    """Emit a call of what `publish` has named, or will have when this code is loaded.

    Relies on ``context.call_conv``, Numba's own way of calling.
    """
    form = context.call_conv.get_function_type(signature.return_type, signature.args)
    called = cgutils.get_or_insert_function(builder.module, form, name)
    context.call_conv.call_function(builder, called, signature.return_type, signature.args, arguments)
