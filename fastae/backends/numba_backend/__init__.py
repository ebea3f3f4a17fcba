"""The CPU at its limit: kernels and the whole training loop compiled by Numba, on a team of threads.

- ``machine``: what it is compiled for
- ``simd``: vectors for Numba intrinsics
- ``tiles``, ``elementwise``: what runs in registers
- ``kernels``: the contract's kernels, loops over those
- ``operations``: the step's operations, by a team of workers
- ``jit``, ``session``: compilation, caching, threads
"""

from typing import Any

import numpy as np

from fastae.backends.base import Backend, Parameters, Session
from fastae.backends.contract import KERNELS, check_arguments


class NumbaBackend(Backend):
    """Numba on the cores of this machine."""

    name = "numba"

    def __init__(self) -> None:
        from fastae.backends.numba_backend import kernels

        for name in KERNELS:
            setattr(self, name, _checked(name, getattr(kernels, name)))

    def session(self, parameters: Parameters, images: np.ndarray, **options: Any) -> Session:
        """Put a model and its data where a team of threads can work on them."""
        from fastae.backends.numba_backend.session import NumbaSession

        return NumbaSession(self, parameters, images, **options)


def _checked(name: str, function: Any) -> Any:
    """Check the arguments as the contract has them before compiled code, which checks nothing, sees them."""
    signature = KERNELS[name].parameters

    def kernel(*args: Any, **options: Any) -> None:
        bound = signature.bind(*args, **options)
        bound.apply_defaults()
        check_arguments(name, bound.arguments)
        arguments = bound.arguments
        if name == "axpy" and arguments["x"].ndim == 1:
            arguments |= {"x": arguments["x"][None], "y": arguments["y"][None]}
        for number in {"alpha", "beta", "scale"} & set(arguments):
            arguments[number] = float(arguments[number])
        function(*arguments.values())

    kernel.__name__, kernel.__doc__ = name, KERNELS[name].writes
    return kernel
