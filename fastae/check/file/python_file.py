"""A learner's Python file, run as a module. None of fastae's kernels are imported here."""

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
    """The value that a kernel returned, which should return nothing.

    Attributes
    ----------
    kind : str
        The name of its type.
    is_out : bool
        Whether it is the output array, as NumPy's functions with ``out=`` return it.
    value : ndarray or None
        A copy, if it is another array of the output's shape.
    """

    kind: str
    is_out: bool
    value: np.ndarray | None


def describe_return(value: Any, out: Any) -> Returned | None:
    """Describe the value that a kernel returned.

    Parameters
    ----------
    value : object
    out : array
        The output of the call.

    Returns
    -------
    Returned or None
        None if the kernel returned nothing.
    """
    if value is None:
        return None
    is_out = value is out
    if isinstance(value, np.ndarray) and isinstance(out, np.ndarray):  # Numba makes another object of the same array
        is_out = is_out or value.__array_interface__ == out.__array_interface__
    like = isinstance(value, np.ndarray) and value.shape == np.shape(out) and value.dtype.kind in "fiub" and not is_out
    return Returned(type(value).__name__, is_out, value.copy() if like else None)


def load(path: Path, text: str, names: Sequence[str]) -> dict[str, Any]:
    """Run the text of a file as a module, and return its functions that have one of the names.

    The text is run and not the file, which may have changed since the text was checked.

    Parameters
    ----------
    path : Path
        Of the file, for messages and tracebacks.
    text : str
    names : sequence of str

    Returns
    -------
    dict of str to callable

    Raises
    ------
    InputError
        The file raises an exception.
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
    """Return the names of a function's parameters; None if they cannot be found."""
    try:
        plain = getattr(function, "py_func", function)  # what Numba compiles
        return list(inspect.signature(getattr(plain, "pyfunc", plain)).parameters)  # and what np.vectorize calls
    except (TypeError, ValueError):  # as of a function in C
        return None


def are_compiled(functions: dict[str, Any]) -> bool:
    """Return whether all functions are compiled by Numba."""
    return all(hasattr(function, "py_func") for function in functions.values())


def seldom_compiled(function: Any) -> Callable[..., Any]:
    """Return a function that Numba compiles for all contiguous matrices and for any, and for no mixture of the two.

    A block of columns with one row is contiguous by chance, and each compilation takes a second.
    """
    from fastae.backends.numba_backend.internals import entry_point, recompiled, typeof

    own = recompiled(function)  # the step compiles the original for other types
    if own is None:  # it has an explicit signature
        return function

    def call(*arguments: Any) -> Any:
        kinds = [typeof(x) for x in arguments]
        if not all(x.flags.c_contiguous for x in arguments if isinstance(x, np.ndarray)):
            kinds = [kind.copy(layout="A") if getattr(kind, "ndim", 0) == 2 else kind for kind in kinds]
        own.compile(tuple(kinds))
        return entry_point(own, tuple(kinds))(*arguments)

    return call
