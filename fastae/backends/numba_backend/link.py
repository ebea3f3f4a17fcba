"""Functions that are compiled once, on their own, and called by name from everything else that is compiled.

Numba copies what a function calls into it and optimises the whole anew, at every level of calls. A step that calls the
same product of matrices in ten places compiles it ten times, and keeps it ten times in every cached step. The large
kernels are therefore linked as a C compiler would link them: each is compiled and cached for itself, once for each type
of floats, and what calls it holds only its name. A name must be known before cached code that uses it is loaded, so
`known` is called for all of them before anything is compiled or loaded for a type.
"""

import inspect
from collections.abc import Callable
from typing import Any

from fastae.backends.numba_backend.internals import call_published, global_compiler_lock, intrinsic, publish, types

_functions: list[tuple[Any, str, str]] = []  # in the order of their definition, which is that of who calls whom
_known: set[tuple[str, Any]] = set()
_kept: list[Any] = []  # what is compiled must not go away


def kind(letter: str, real: Any) -> Any:
    """Return the type that a letter stands for: a matrix read, matrix or vector written, a list, a number."""
    return {
        "m": types.Array(real, 2, "A", readonly=True),
        "M": types.Array(real, 2, "A"),
        "V": types.Array(real, 1, "C"),
        "l": types.Array(types.int64, 1, "C", readonly=True),
        "L": types.Array(types.int32, 1, "C"),
        "f": types.float64,
        "i": types.intp,
    }[letter]


def linked(letters: str) -> Callable[[Any], Any]:
    """Make a function one that is compiled on its own.

    Parameters
    ----------
    letters : str
        The types of its arguments, as `kind` has them; all floats are of one type.

    Returns
    -------
    callable
        Called from compiled code or from Python; ``py_func`` is the function itself.
    """

    def decorate(function: Any) -> Any:
        from fastae.backends.numba_backend.jit import jit

        name = f"{function.__module__.rpartition('.')[2]}_{function.__qualname__}"
        _functions.append((function, name, letters))

        def definition(typing_context: Any, *arguments: Any) -> Any:
            real = next(a.dtype for a, letter in zip(arguments, letters) if letter in "mMV")
            signature = types.void(*(kind(letter, real) for letter in letters))
            known(real)

            def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
                call_published(symbol(name, real), context, builder, signature, arguments)
                return context.get_dummy_value()

            return signature, generate

        own = inspect.signature(function)
        first = inspect.Parameter("typing_context", inspect.Parameter.POSITIONAL_OR_KEYWORD)
        unnamed: Any = definition
        unnamed.__signature__ = own.replace(parameters=[first, *own.parameters.values()])
        call = intrinsic(definition)

        def through(*arguments):
            call(*arguments)

        made = jit(through, name=f"linked_{name}")
        made.py_func = function
        return made

    return decorate


def symbol(name: str, real: Any) -> str:
    """Return what the linker calls a function that was compiled for a type of floats."""
    return f"fastae_{name}_{real}"


def known(real: Any) -> None:
    """Compile all linked functions for a type of floats, or find them cached, and make their names known.

    Numba's own lock lets no other thread load what uses a name that is promised and not there yet. A function is noted
    before it is compiled, since compiling it may ask for those that it calls.
    """
    from fastae.backends.numba_backend.jit import jit

    with global_compiler_lock:
        for function, name, letters in _functions:
            if (name, real) not in _known:
                _known.add((name, real))
                signature = types.void(*(kind(letter, real) for letter in letters))
                compiled = jit(function, signatures=[signature], cached=True)
                publish(symbol(name, real), compiled)
                _kept.append(compiled)
