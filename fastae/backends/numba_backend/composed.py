"""A session that trains with a learner's own Numba kernels.

The numba backend's own step consists of operations for a team of threads. This step consists of the operations that
`fastae.operations` composes from the contract's kernels; it is compiled as a whole and runs on one thread.
"""

import itertools
from types import ModuleType, SimpleNamespace
from typing import Any

from fastae.backends.base import Session
from fastae.backends.numba_backend import kernels
from fastae.backends.numba_backend.internals import NumbaError, njit
from fastae.errors import InputError, gist
from fastae.operations import kernels_of, make_forward_loss, make_operations
from fastae.step import Buffers, make_evaluation, make_step

_counter = itertools.count()  # Numba links compiled code by names; those of two sessions must differ


def vectors_too(axpy: Any) -> Any:
    """Return an axpy for vectors and matrices, made from one for matrices."""

    def either(alpha, x, y):
        if x.ndim == 1:
            axpy(alpha, x.reshape(1, x.size), y.reshape(1, y.size))
        else:
            axpy(alpha, x, y)

    return either


class ComposedSession(Session):
    """A session that trains with a learner's compiled kernels; missing ones are the numba backend's."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.execute("step", self.team, 0)  # compile before any time is measured
        if self.has_test:
            self.execute("evaluation", self.test_team, 0)

    def prepare(self) -> None:
        """Compose the step from the kernels; raises `InputError` if more than one thread is asked for."""
        if self.threads not in (None, 1):
            raise InputError("kernels of one's own are compiled into a step for one thread: leave out --threads")
        plain: dict[str, Any] = getattr(self.backend, "plain", {})  # a learner's kernels
        number = next(_counter)

        def compiled(function: Any, name: str) -> Any:
            function.__name__ = function.__qualname__ = f"composed_{number}_{name}"
            return njit(nogil=True, error_model="numpy")(function)

        needed = kernels_of(self.activation, self.kinds)
        named = {name: plain[name] if name in plain else getattr(kernels, name) for name in needed}
        if self.floats:
            named["gather"] = kernels.take
        if "axpy" not in plain:
            named["axpy"] = compiled(vectors_too(named["axpy"]), "axpy")

        def namespace() -> ModuleType:
            return ModuleType("kernels")  # Numba can look functions up in a module

        network, ops = (self.loss, self.activation, self.kinds), namespace()
        operations = make_operations(SimpleNamespace(**named), *network, compiled=compiled, namespace=namespace)
        ops.__dict__.update(named | operations)
        ops.__dict__["forward_loss"] = compiled(make_forward_loss(ops), "forward_loss")
        self.entry_points = {}
        for part, make in (("step", make_step), ("evaluation", make_evaluation)):
            self.entry_points[part] = compiled(_make_entry(compiled(make(ops), part), Buffers), f"run_{part}")

    def execute(self, part: str, team: list[Buffers], batches: int) -> None:
        """Run a number of batches in compiled code; raises `InputError` if Numba cannot compile a kernel."""
        try:
            self.entry_points[part](*team[0][:-1], batches)
        except NumbaError as error:
            raise InputError(f"Numba cannot compile the kernels into the step: {gist(error)}") from error


def _make_entry(step: Any, worker: Any) -> Any:
    def entry(images, order, cursor, rate, scale, W, b, V, c, a, y, d, x, loss, losses, total, local, batches):
        w = worker(images, order, cursor, rate, scale, W, b, V, c, a, y, d, x, loss, losses, total, local, None)
        for _ in range(batches):
            step(w)

    return entry
