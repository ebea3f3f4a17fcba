"""The Numba backend: kernels and the whole training loop compiled for the CPU, run by a team of threads.

- ``internals``: everything that is imported from Numba and llvmlite
- ``machine``: the vector unit that Numba compiles for
- ``simd``: vectors for Numba intrinsics
- ``tiles``, ``elementwise``, ``activations``: the innermost loops, and the kernels of activations
- ``kernels``: the contract's kernels, as loops over tiles and sweeps
- ``operations``, ``sparse``: the step's operations for dense layers, also for inputs with many zeros
- ``convolutions``, ``windows``, ``tables``, ``locals``: the step's operations for convolutions, without patches
- ``jit``, ``link``, ``session``: compilation, caching, linking, threads
- ``composed``: the step composed from a learner's own kernels
- ``workers``, ``waiting``: the number of workers, and the barrier at which they wait for each other
"""

import importlib
import os
import re
import warnings
from functools import cache
from typing import Any

import numpy as np

from fastae.backends.base import Availability, Backend, Parameters, Session
from fastae.backends.contract import FIXED_DTYPES, KERNELS, SUMS, check_arguments
from fastae.backends.numba_backend.workers import refused
from fastae.errors import gist
from fastae.layers import Geometry

WRITTEN = ("out", "y", "cursor")
RELEASES = "0.61", "0.69"  # of Numba: the oldest and the first untested one, as in pyproject.toml


class NumbaBackend(Backend):
    """The backend that compiles its kernels with Numba and uses the cores of this machine."""

    name = "numba"
    takes_threads = True

    @classmethod
    def availability(cls) -> Availability:
        """Check that Numba can be imported, and that its release has been tested.

        Numba itself refuses a NumPy that is too new for it. A warning from Numba does not make the backend unavailable.
        Releases outside of `RELEASES` are refused unless FASTAE_ANY_NUMBA is set: with another release of LLVM, the
        intrinsics might crash the process or compute wrong results.
        """
        if wrong := refused():  # importing Numba would raise, with a traceback
            return Availability(False, wrong, "unset it, or set it to a number of workers")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("default")
                release = str(importlib.import_module("numba").__version__)
        except Exception as error:  # Numba is missing, or its parts have incompatible versions
            remedy = "pip install --upgrade numba, or take --backend numpy"
            return Availability(False, f"Numba does not import: {type(error).__name__}: {gist(error)}", remedy)
        oldest, untested = RELEASES
        if os.environ.get("FASTAE_ANY_NUMBA") or _minor(oldest) <= _minor(release) < _minor(untested):
            return Availability(True)
        remedy = f"pip install 'numba>={oldest},<{untested}', or take --backend numpy"
        if _minor(release) < _minor(oldest):
            return Availability(False, f"Numba {release} is too old: fastae needs {oldest} or newer", remedy)
        reason = f"Numba {release} is too new: fastae has been tested with those before {untested}"
        return Availability(False, reason, f"{remedy}; FASTAE_ANY_NUMBA=1 tries it as it is")

    def __init__(self) -> None:
        for name in KERNELS:
            setattr(self, name, checked(name))

    def session(self, parameters: Parameters, images: np.ndarray, **options: Any) -> Session:
        """Create a session that trains a model with a team of threads.

        If a layer's kind has no operations for a team, the step is composed from the contract's kernels and runs on one
        thread.
        """
        from fastae.backends.numba_backend.session import KINDS, NumbaSession

        if all(layer.kind in KINDS for layer in options.get("layers") or ()):
            return NumbaSession(self, parameters, images, **options)
        from fastae.backends.numba_backend.composed import ComposedSession

        return ComposedSession(self, parameters, images, **options)


def _minor(release: str) -> tuple[int, ...]:
    """Return the first two numbers of a version string."""
    return tuple(int(number) for number in re.findall(r"\d+", release)[:2])


def checked(name: str) -> Any:
    """Return a kernel that checks its arguments and then calls the compiled code, which does not check them."""
    signature = KERNELS[name].parameters

    def kernel(*args: Any, **options: Any) -> None:
        bound = signature.bind(*args, **options)
        bound.apply_defaults()
        arguments = bound.arguments
        check_arguments(name, arguments)
        if name == "axpy" and arguments["x"].ndim == 1:
            arguments |= {"x": arguments["x"][None], "y": arguments["y"][None]}
        dtype = next((arguments[x].dtype for x in ("a", "z", "delta", "x", "out") if x in arguments), np.dtype("f4"))
        compiled(name, dtype)(*arguments.values())

    kernel.__name__, kernel.__doc__ = name, f"Write {KERNELS[name].writes}."
    return kernel


@cache
def compiled(name: str, dtype: np.dtype[Any]) -> Any:
    """Compile a kernel for one float type and any row stride, or load it from the cache."""
    from fastae.backends.numba_backend import kernels
    from fastae.backends.numba_backend.internals import from_dtype, types
    from fastae.backends.numba_backend.jit import jit
    from fastae.backends.numba_backend.link import register_linked

    def kind(argument: str) -> Any:
        letters = KERNELS[name].shapes.get(argument)
        if letters is None:
            scalars: dict[str, Any] = dict.fromkeys(["trans_a", "trans_b"], types.boolean)
            scalars |= dict.fromkeys(["offset", "n", *Geometry._fields], types.int64)
            return scalars.get(argument, types.float64)
        element: Any = np.dtype(np.float64 if (name, argument) in SUMS else FIXED_DTYPES.get(argument, dtype))
        axes = 2 if letters == ("...",) else len(letters)
        return types.Array(as_type(element), axes, "A", readonly=argument not in WRITTEN)

    as_type: Any = from_dtype
    register_linked(as_type(dtype))
    arguments = [kind(argument) for argument in KERNELS[name].arguments]
    return jit(getattr(kernels, name).py_func, signatures=[types.void(*arguments)], cached=True)
