"""Compilation: one way to call Numba, and a cache that is never stale and never mistaken.

Numba's cache looks at the file of the function that it compiles, not at the functions which that one calls. Here
everything goes to a folder named by the digest of every source that takes part, so an edit anywhere is a new folder.

And code from the cache is linked by name: a function's qualified name, the types of its arguments and a number that is
counted anew in every process. Two closures of one factory differ in nothing but that number, so of two that were
compiled in different processes and loaded into one, the second would silently be replaced by the first. Therefore a
closure is compiled only under a name that nothing else has.
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


def wanted() -> Path:
    """Return where compiled code is to be kept: below NUMBA_CACHE_DIR if that is set, else in the user's cache."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(cache_folder() or os.path.join(home, "fastae"))


@cache
def folder() -> str:
    """Return the folder for the code that these sources become, or one of this process's own if it cannot be kept."""
    whole = [Path(str(module.__file__)) for module in (fastae.step, fastae.operations)]
    sources = sorted(Path(__file__).parent.glob("*.py")) + whole
    digest = hashlib.sha256(repr(MACHINE).encode() + b"".join(source.read_bytes() for source in sources)).hexdigest()
    path = os.path.join(wanted(), digest[:16])
    return system.passing_folder() if system.writable(path) else path


def jit(
    function: Callable[..., Any] | None = None,
    *,
    name: str | None = None,
    signatures: Any = None,
    cached: bool = False,
) -> Any:
    """Compile a function without the interpreter's lock; division by zero gives infinity or NaN, as in NumPy.

    Arrays are borrowed, not counted: compiled code can neither allocate nor return one.

    Parameters
    ----------
    function : callable
    name : str, optional
        Required of a function that was made inside another: what tells it from its siblings.
    signatures : list of Numba signatures, optional
        Compile for these types at once, and for no others.
    cached : bool
        Keep the machine code. What is called from cached code is in it, and needs no cache of its own; only what is
        linked by name (``link``) is not, and must be known before.
    """
    if function is None:
        return lambda f: jit(f, name=name, signatures=signatures, cached=cached)
    if name is not None:
        function.__name__ = function.__qualname__ = name
    assert "<locals>" not in function.__qualname__, f"{function.__qualname__} needs a name of its own"
    try:
        with caching_in(folder()):
            return compile_borrowing(function, signatures, cached)
    except Exception:  # what a full disk, or a file that a power cut left behind, makes Numba's cache raise
        if not cached:
            raise
    for path in Path(folder()).rglob(f"*.{function.__qualname__}-*.nb?"):
        path.unlink(missing_ok=True)  # the next process keeps it anew
    return compile_borrowing(function, signatures, False)


def namespace(name: str, **functions: Any) -> Any:
    """Return a module of functions for kept code to call: Numba's cache never finds what holds compiled ones itself."""
    module = sys.modules[name] = ModuleType(name)
    module.__dict__.update(functions)
    return module
