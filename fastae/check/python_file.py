"""A learner's Python file: imported, and its functions called. It needs none of fastae's kernels."""

import importlib.util
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fastae.errors import FastaeError, InputError, gist


class KernelFailed(FastaeError):
    """A learner's kernel that raised an exception.

    Attributes
    ----------
    kind : str
        The name of the exception's type.
    line : int or None
        The last line of the learner's file on the way to it.
    """

    def __init__(self, text: str, kind: str = "", line: int | None = None) -> None:
        super().__init__(text)
        self.kind, self.line = kind, line


def load(path: Path, names: Sequence[str]) -> dict[str, Any]:
    """Import a file, and return those of its functions that have one of the names.

    Raises
    ------
    InputError
        The file fails.
    """
    specification = importlib.util.spec_from_file_location(f"kernels_{path.stem}", path)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module  # as an import does, and dataclasses want
    try:
        specification.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # whatever a learner's file may raise
        line = getattr(error, "lineno", None) or line_of(error, path) or "?"
        raise InputError(f"{path}, line {line}: {type(error).__name__}: {gist(error)}") from error
    return {name: getattr(module, name) for name in names if callable(getattr(module, name, None))}


def line_of(error: BaseException, path: Path) -> int | None:
    """Return the last line of a file on the way to an exception."""
    frames = traceback.StackSummary.extract(traceback.walk_tb(error.__traceback__), lookup_lines=False)
    return next((frame.lineno for frame in reversed(frames) if Path(frame.filename).name == path.name), None)


def failed(name: str, error: BaseException, path: Path) -> KernelFailed:
    """Say which exception a kernel raised."""
    kind = type(error).__name__
    return KernelFailed(f"{name} failed: {kind}: {gist(error)}", kind, line_of(error, path))


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
        return function  # type: ignore[no-any-return]

    def call(*arguments: Any) -> Any:
        kinds = [typeof(x) for x in arguments]
        if not all(x.flags.c_contiguous for x in arguments if isinstance(x, np.ndarray)):
            kinds = [kind.copy(layout="A") if getattr(kind, "ndim", 0) == 2 else kind for kind in kinds]
        own.compile(tuple(kinds))
        return entry_point(own, tuple(kinds))(*arguments)

    return call
