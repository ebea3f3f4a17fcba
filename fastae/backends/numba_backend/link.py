"""Functions that are compiled separately and called by name from other compiled code.

Numba copies each function into its callers and optimises the result again, at every level of calls. A step that calls
the same matrix product in ten places would compile it ten times and store it ten times in every cached step. The large
kernels are therefore linked as a C compiler does it: each is compiled and cached separately, once for each float type,
and its callers contain only its name. A name must be registered before cached code that uses it is loaded, so
`register_linked` is called for a float type before anything else is compiled or loaded for it.
"""

import inspect
from collections.abc import Callable
from typing import Any

from fastae.backends.numba_backend.internals import call_published, global_compiler_lock, intrinsic, publish, types

_functions: list[tuple[Any, str, str]] = []  # in the order of definition: a function comes after those it calls
_registered: set[tuple[str, Any]] = set()
_kept: list[Any] = []  # keeps the compiled functions alive


def type_of(letter: str, real: Any) -> Any:
    """Return the Numba type that a letter stands for: an input matrix, an output, a list of integers, a number."""
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
    """Decorate a function so that it is compiled separately and linked by name.

    Parameters
    ----------
    letters : str
        The types of its arguments, one letter each, as in `type_of`; all float arrays have one dtype.

    Returns
    -------
    callable
        To be called from compiled code or from Python; ``py_func`` is the function itself.
    """

    def decorate(function: Any) -> Any:
        from fastae.backends.numba_backend.jit import jit

        name = f"{function.__module__.rpartition('.')[2]}_{function.__qualname__}"
        _functions.append((function, name, letters))

        def definition(typing_context: Any, *arguments: Any) -> Any:
            real = next(a.dtype for a, letter in zip(arguments, letters) if letter in "mMV")
            signature = types.void(*(type_of(letter, real) for letter in letters))
            register_linked(real)

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
    """Return the linker's name of a function that is compiled for a float type."""
    return f"fastae_{name}_{real}"


def register_linked(real: Any) -> None:
    """Compile all linked functions for a float type, or load them from the cache, and register their names.

    Numba's lock is held, so that no other thread loads code that uses a name before the name is registered. A function
    is marked as registered before it is compiled, because compiling it calls this function again.
    """
    from fastae.backends.numba_backend.jit import jit

    with global_compiler_lock:
        for function, name, letters in _functions:
            if (name, real) not in _registered:
                _registered.add((name, real))
                signature = types.void(*(type_of(letter, real) for letter in letters))
                compiled = jit(function, signatures=[signature], cached=True)
                publish(symbol(name, real), compiled)
                _kept.append(compiled)
