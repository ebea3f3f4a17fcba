"""Everything that this package imports from Numba and llvmlite; no other module of it imports either.

Numba's public interface consists of ``jit``, ``njit``, ``types``, ``typeof``, ``from_dtype`` and ``intrinsic``. The
rest is internal and may change with any release; `fastae.backends.numba_backend.RELEASES` are the releases with which
the tests have passed. The package relies on:

- ``ir``, llvmlite's builder of LLVM's language: typed pointers (``as_pointer``), atomics, metadata, and the names of
  LLVM's intrinsics (``llvm.masked.load.v8f32.p0``, ``llvm.fmuladd``), which change with LLVM.
- ``cgutils``: ``get_or_insert_function`` declares a function once in a module, ``unpack_tuple`` splits a tuple into its
  values.
- The arguments of an intrinsic: ``context.make_array``, whose result has ``data``, ``shape`` and ``strides``;
  ``context.get_dummy_value``; and that ``arguments`` are plain LLVM values, a double for a float64.
- ``global_compiler_lock``: Numba holds it while it compiles or loads from the cache; a thread may take it twice.
- What the docstrings of `compile_borrowing`, `caching_in`, `entry_point`, `publish` and `call_published` list.

Learners' files import Numba itself, and only its public interface.
"""

# ruff: noqa: E402
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from fastae.backends.numba_backend import NumbaBackend
from fastae.errors import BackendUnavailable

_ok, _reason, _remedy = NumbaBackend.availability()
if not _ok:  # a learner's file may import this module without a check of the backend's availability
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

config: Any = numba_config  # typed as Any: its attributes are set at run time


def features() -> set[str]:
    """Return LLVM's names of the features of the processor that Numba compiles for: this one, or NUMBA_CPU_*'s.

    Relies on ``config.CPU_FEATURES`` and ``config.ENABLE_AVX``, which Numba reads from the environment.
    """
    if config.CPU_FEATURES is not None:
        named = {name[1:] for name in config.CPU_FEATURES.split(",") if name.startswith("+")}
    else:
        named = {name for name, present in llvm.get_host_cpu_features().items() if present}
    return named if config.ENABLE_AVX else {name for name in named if not name.startswith("avx")}


def cache_folder() -> str:
    """Return the folder that NUMBA_CACHE_DIR names, or an empty string."""
    return config.CACHE_DIR or ""


@contextmanager
def caching_in(folder: str) -> Iterator[None]:
    """Let Numba cache what is compiled in this context in a folder.

    Relies on Numba's reading ``config.CACHE_DIR`` when a function is decorated, not later.
    """
    before, config.CACHE_DIR = config.CACHE_DIR, folder
    try:
        yield
    finally:
        config.CACHE_DIR = before


def compile_borrowing(function: Callable[..., Any], signatures: Any, cached: bool) -> Any:
    """Compile a function without reference counts of its arrays, for given signatures or when it is first called.

    Relies on the target option ``_nrt``, which leaves out Numba's run-time and with it the reference counts.
    """
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "cache": cached, "_nrt": False}
    return njit(signatures, **options)(function) if signatures else njit(**options)(function)


def launch_threads() -> None:
    """Load the threading library of ``prange`` and start its threads.

    Relies on ``numba.np.ufunc.parallel._launch_threads``, which Numba calls when the first parallel function is
    compiled.
    """
    from numba.np.ufunc.parallel import _launch_threads

    _launch_threads()


def recompiled(function: Any) -> Any:
    """Return a new dispatcher of a jitted function, not compiled for any types yet; None if its types are fixed.

    Relies on a dispatcher's ``_can_compile``, ``targetoptions`` and ``py_func``.
    """
    return jit(**function.targetoptions)(function.py_func) if function._can_compile else None


def entry_point(dispatcher: Any, kinds: tuple[Any, ...] | None = None) -> Callable[..., Any]:
    """Return the function compiled for these types, or for its only types; calling it checks no types.

    Relies on a dispatcher's ``overloads`` and on their ``entry_point``.
    """
    return _overload(dispatcher, kinds).entry_point


def _overload(dispatcher: Any, kinds: tuple[Any, ...] | None = None) -> Any:
    if kinds is not None:
        return dispatcher.overloads[kinds]
    (only,) = dispatcher.overloads.values()
    return only


def publish(name: str, dispatcher: Any) -> None:
    """Register a function that is compiled for one signature under a name with LLVM's linker.

    The caller must keep the dispatcher as long as the function may be called. Relies on
    ``library.get_pointer_to_function`` and ``fndesc.llvm_func_name``; the function has Numba's calling convention.
    """
    only = _overload(dispatcher)
    name_address(name, only.library.get_pointer_to_function(only.fndesc.llvm_func_name))


def name_address(name: str, address: int) -> None:
    """Register the address of a function in this process under a name with LLVM's linker.

    Relies on ``llvmlite.binding.add_symbol``.
    """
    llvm.add_symbol(name, address)


def call_published(name: str, context: Any, builder: Any, signature: Any, arguments: Any) -> None:
    """Emit a call of a function that `publish` has registered, or will have registered when this code is loaded.

    Relies on ``context.call_conv``, Numba's calling convention.
    """
    form = context.call_conv.get_function_type(signature.return_type, signature.args)
    called = cgutils.get_or_insert_function(builder.module, form, name)
    context.call_conv.call_function(builder, called, signature.return_type, signature.args, arguments)
