"""A learner's Python file: imported, and its functions called. It needs none of fastae's kernels."""

import inspect
import linecache
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from fastae.check.file.failure import describe_failure
from fastae.errors import InputError


@dataclass(frozen=True)
class Returned:
    """What a kernel returned that should return nothing.

    Attributes
    ----------
    kind : str
        The name of its type.
    is_out : bool
        Whether it is the array that was to be written into, as NumPy's own functions return it.
    value : ndarray or None
        What it holds, if it is an array like the output.
    """

    kind: str
    is_out: bool
    value: np.ndarray | None


def describe_return(value: Any, out: Any) -> Returned | None:
    """Describe what a kernel returned; None if it returned nothing.

    Parameters
    ----------
    value : object
    out : array
        What it was to write into.
    """
    if value is None:
        return None
    is_out = value is out
    if isinstance(value, np.ndarray) and isinstance(out, np.ndarray):  # Numba makes another object of the same array
        is_out = is_out or value.__array_interface__ == out.__array_interface__
    like = isinstance(value, np.ndarray) and value.shape == np.shape(out) and value.dtype.kind in "fiub" and not is_out
    return Returned(type(value).__name__, is_out, value.copy() if like else None)


def load(path: Path, text: str, names: Sequence[str]) -> dict[str, Any]:
    """Run the text of a file as a module, and return those of its functions that have one of the names.

    What is run is that text, which was judged, not what a loader finds beside the path or there a moment later.

    Raises
    ------
    InputError
        The file fails.
    """
    module = ModuleType(f"kernels_{path.stem}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # as an import does, and dataclasses want
    linecache.cache[str(path)] = (len(text), None, text.splitlines(keepends=True), str(path))
    try:
        exec(compile(text, str(path), "exec"), module.__dict__)
    except (Exception, SystemExit) as error:  # whatever a learner's file may raise
        failure = describe_failure(error, str(path))
        line = getattr(error, "lineno", None) or failure.line or "?"
        raise InputError(f"{path}, line {line}: {failure.type_name}: {failure.message}") from error
    return {name: getattr(module, name) for name in names if callable(getattr(module, name, None))}


def parameters_of(function: Any) -> list[str] | None:
    """Return the names of a function's parameters, or None if nobody can tell."""
    try:
        plain = getattr(function, "py_func", function)  # what Numba compiles
        return list(inspect.signature(getattr(plain, "pyfunc", plain)).parameters)  # and what np.vectorize calls
    except (TypeError, ValueError):  # as of a function in C
        return None


def are_compiled(functions: dict[str, Any]) -> bool:
    """Tell whether all are Numba's."""
    return all(hasattr(function, "py_func") for function in functions.values())


def seldom_compiled(function: Any) -> Callable[..., Any]:
    """Make a function that is compiled for contiguous matrices and for any, not for each mixture of the two.

    A block of columns with but one row is contiguous by chance, and a compilation takes a second.
    """
    from fastae.backends.numba_backend.internals import entry_point, recompiled, typeof

    own = recompiled(function)  # the step compiles the learner's for other types
    if own is None:  # the learner has said for which types
        return function

    def call(*arguments: Any) -> Any:
        kinds = [typeof(x) for x in arguments]
        if not all(x.flags.c_contiguous for x in arguments if isinstance(x, np.ndarray)):
            kinds = [kind.copy(layout="A") if getattr(kind, "ndim", 0) == 2 else kind for kind in kinds]
        own.compile(tuple(kinds))
        return entry_point(own, tuple(kinds))(*arguments)

    return call
