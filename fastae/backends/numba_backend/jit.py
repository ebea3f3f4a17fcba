"""Compilation with Numba, and a cache that is never stale.

Numba's cache checks the file of the function that it compiles, but not the functions that this one calls. Here all
compiled code goes to a folder named by a digest of every source involved, so any edit leads to a new folder.

Numba links cached code by name: the function's qualified name, the types of its arguments, and a number that starts
anew in every process. Two closures of one factory differ only in that number. If two of them were compiled in different
processes and then loaded into one, the first would silently replace the second. Therefore a closure is compiled only
under a unique name.
"""

import hashlib
import os
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import fastae.operations
import fastae.step
from fastae import system
from fastae.backends.numba_backend.internals import cache_folder, caching_in, compile_borrowing
from fastae.backends.numba_backend.machine import MACHINE


def cache_root() -> Path:
    """Return the folder for all compiled code: NUMBA_CACHE_DIR if it is set, else one in the user's cache."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(cache_folder() or os.path.join(home, "fastae"))


@cache
def folder() -> str:
    """Return the folder for code compiled from these sources, or a temporary one if that cannot be written."""
    whole = [Path(str(module.__file__)) for module in (fastae.step, fastae.operations)]
    sources = sorted(Path(__file__).parent.glob("*.py")) + whole
    digest = hashlib.sha256(repr(MACHINE).encode() + b"".join(source.read_bytes() for source in sources)).hexdigest()
    path = os.path.join(cache_root(), digest[:16])
    return system.temporary_folder() if system.writable(path) else path


def jit(
    function: Callable[..., Any] | None = None,
    *,
    name: str | None = None,
    signatures: Any = None,
    cached: bool = False,
) -> Any:
    """Compile a function that runs without the GIL; division by zero gives infinity or NaN, as in NumPy.

    References to arrays are not counted, so compiled code can neither allocate nor return an array.

    Parameters
    ----------
    function : callable
    name : str, optional
        A unique name; required for a function that is defined inside another one.
    signatures : list of Numba signatures, optional
        Compile for these types immediately, and for no others.
    cached : bool
        Store the machine code in the cache. It includes the functions that this one calls, which need no cache of
        their own, except for those that are linked by name (``link``) and must be registered first.

    Returns
    -------
    callable
        Numba's dispatcher.
    """
    if function is None:
        return lambda f: jit(f, name=name, signatures=signatures, cached=cached)
    if name is not None:
        function.__name__ = function.__qualname__ = name
    assert "<locals>" not in function.__qualname__, f"{function.__qualname__} needs a name of its own"
    try:
        with caching_in(folder()):
            return compile_borrowing(function, signatures, cached)
    except Exception:  # Numba's cache raises many types, for a full disk or a damaged file
        if not cached:
            raise
    for path in Path(folder()).rglob(f"*.{function.__qualname__}-*.nb?"):
        path.unlink(missing_ok=True)  # the next process writes it again
    return compile_borrowing(function, signatures, False)


def namespace(name: str, **functions: Any) -> Any:
    """Return a new module with these functions, for cached code to call.

    Numba's cache would never find a function whose closure contains compiled functions.
    """
    module = sys.modules[name] = ModuleType(name)
    module.__dict__.update(functions)
    return module
