"""A session on a team of threads, and the step that is compiled for it."""

import math
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from itertools import count
from typing import Any

import numpy as np

import fastae.operations
import fastae.step
from fastae import system
from fastae.activations import ACTIVATIONS
from fastae.backends.base import Session
from fastae.backends.numba_backend import kernels, operations, sparse
from fastae.backends.numba_backend.aligned import aligned
from fastae.backends.numba_backend.internals import entry_point, from_dtype, types
from fastae.backends.numba_backend.jit import cache_root, jit, namespace
from fastae.backends.numba_backend.link import register_linked
from fastae.backends.numba_backend.machine import MACHINE
from fastae.backends.numba_backend.operations import Workspace
from fastae.backends.numba_backend.waiting import make_waiters
from fastae.backends.numba_backend.workers import choose
from fastae.operations import by_kind
from fastae.step import Buffers


def make_entry(ops: Any) -> Any:
    """Make the function that Python calls: it takes plain tuples and arrays, and runs a number of steps."""

    def entry(
        images, order, cursor, rate, scale, W, b, V, c, a, y, d, x, loss, losses, total, local, workspace, batches
    ):
        place, arrivals, waiters, passed, partial, nonzeros = workspace
        workspace = ops.Workspace(place, arrivals, waiters, passed, partial, nonzeros)
        w = ops.Buffers(
            images, order, cursor, rate, scale, W, b, V, c, a, y, d, x, loss, losses, total, local, workspace
        )
        for _ in range(batches):
            ops.step(w)

    return entry


def operations_of(kind: str, activation: str) -> dict[str, Any]:
    """Return the operations forward, backward and update of one kind of layer."""
    activate, slope = (getattr(kernels, name) for name in ACTIVATIONS[activation][:2])
    return KINDS[kind]()(activate, slope, activation)


def _convolutions() -> Any:
    from fastae.backends.numba_backend import convolutions  # imported only when needed: it takes a while to compile

    return convolutions


KINDS: dict[str, Callable[[], Any]] = {
    "dense": lambda: operations.make_dense,
    "conv": lambda: _convolutions().make_convolution,
    "transposed": lambda: _convolutions().make_transposed,
}


def _numbered(name: str, counter: Iterator[int], function: Any) -> Any:
    return jit(function, name=f"{name}_{next(counter)}")


@cache
def compiled(
    part: str, loss: str, layers: int, dtype: str, activation: str, kinds: tuple[str, ...], floats: bool = False
) -> Any:
    """Compile a loop over the step or the evaluation of `fastae.step`, or load it from the cache.

    Parameters
    ----------
    part : {"step", "evaluation"}
    loss : {"mse", "bce"}
    layers : int
    dtype : {"float32", "float64"}
        Of the model.
    activation : {"sigmoid", "tanh", "relu"}
        Of the hidden layers.
    kinds : tuple of str
        The kinds of the network's layers, each once, followed by the kind of the last layer.
    floats : bool
        Whether the images are floats; otherwise they are bytes.

    Returns
    -------
    callable
    """
    variant = "_".join([loss, activation, *kinds, *(["floats"] if floats else [])])
    *several, last = kinds
    ops = namespace(
        f"fastae_numba_{part}_{variant}",
        **{name: getattr(kernels, name) for name in ("column_sum", "advance", "mse_loss")},
        gather=kernels.take if floats else kernels.gather,
        **{
            "barrier": operations.barrier,
            "Buffers": Buffers,
            "Workspace": Workspace,
            "loss_gradient": getattr(operations, loss),
        },
    )
    of_kinds = {kind: operations_of(kind, activation) for kind in several}
    for name in ("forward", "backward", "update"):
        made = [(kind, of_kind[name]) for kind, of_kind in of_kinds.items()]
        counter = count()
        named = f"{name}_{variant}"
        ops.__dict__[name] = by_kind(made, partial(_numbered, named, counter))
    sigmoid = of_kinds[last] if activation == "sigmoid" else operations_of(last, "sigmoid")
    ops.output = sigmoid["forward"]
    ops.forward_loss = jit(fastae.operations.make_forward_loss(ops), name=f"forward_loss_{variant}")
    ops.step = jit(getattr(fastae.step, f"make_{part}")(ops), name=f"{part}_{variant}")
    register_linked(from_dtype(np.dtype(dtype)))
    types_ = [signature(layers, np.dtype(dtype), set(kinds) == {"dense"}, floats)]
    entry = jit(make_entry(ops), name=f"run_{part}_{variant}", signatures=types_, cached=True)
    call = entry_point(entry)

    def run(*arguments: Any, compiled: Any = entry) -> None:
        """Call the entry point: Numba's dispatcher would inspect all types, and refuse contiguous arrays in a Local."""
        call(*arguments)

    return run


def signature(layers: int, dtype: np.dtype[Any], dense: bool = True, floats: bool = False) -> Any:
    """Return the types of an entry's arguments; matrices may have any row stride, so one compilation serves all."""
    real = from_dtype(dtype)
    bytes_, whole, sums = (types.Array(t, 1, "C") for t in (types.uint8, types.int64, types.float64))
    images = types.Array(real if floats else bytes_.dtype, 2, "C", readonly=True)
    vector, matrix = types.Array(real, 1, "A"), types.Array(real, 2, "A")
    vectors, matrices = types.UniTuple(vector, layers), types.UniTuple(matrix, layers)
    waiters, partial = types.Array(types.int64, 2, "A"), types.Array(real, 4, "A")
    workspace = types.Tuple((whole, whole, waiters, whole, partial, types.Array(types.int32, 1, "C")))
    return types.void(
        *(images, whole, whole, types.Array(real, 1, "C"), types.float64),
        *(matrices, vectors, matrices, vectors, matrices, matrices, matrices, matrix),
        *(sums, types.Array(types.float64, 2, "C"), sums, local_type(layers, real, dense), workspace, types.intp),
    )


def local_type(layers: int, real: Any, dense: bool) -> Any:
    """Return the Numba type of ``Buffers.local``."""
    if dense:
        return types.UniTuple(types.NamedUniTuple(types.intp, 1, operations.Local), layers)
    from fastae.backends.numba_backend.convolutions import Local

    whole, shared = types.Array(real, 2, "A"), types.Array(real, 2, "C")
    arrays = [whole, shared, types.Array(real, 1, "C"), types.Array(types.int64, 1, "C")]
    return types.UniTuple(types.NamedTuple([types.intp, types.intp, *arrays], Local), layers)


class NumbaSession(Session):
    """A session of one or several workers, each on its own thread."""

    def prepare(self) -> None:
        """Choose the number of workers, and compile the step."""
        choice = choose(self.threads)
        self.workers = choice.workers
        if choice.ignored:
            notify(f"{choice.ignored} is ignored: it is no positive whole number")
        kinds = (*dict.fromkeys(self.kinds), self.kinds[-1])
        network = len(self.layers), self.dtype.name, self.activation, kinds, self.floats
        kept = "the next start will find it"
        if reason := system.writable(cache_root()):
            kept = f"each start does, for {cache_root()} cannot be written ({reason}); see fastae doctor"
        notice = threading.Timer(1.0, notify, [f"compiling the step for this machine; {kept}"])
        notice.start()
        try:
            self.entry_points = {"step": compiled("step", self.loss, *network)}
            if self.has_test:
                self.entry_points["evaluation"] = compiled("evaluation", "mse", *network)
        finally:
            notice.cancel()

    def array(self, host: np.ndarray) -> np.ndarray:
        """Copy an array to whole cache lines, so that no two workers write to the same line."""
        copy = aligned(host.shape, host.dtype)
        copy[:] = host
        return copy

    def owned(self, width: int, channels: int = 1) -> list[slice]:
        """Divide a layer's units among the workers, in whole vectors and whole pixels."""
        granularity = math.lcm(MACHINE.vector_bytes // self.dtype.itemsize, channels)
        cuts = [operations.first_unit(width, w, self.workers, granularity) for w in range(self.workers + 1)]
        return [slice(*pair) for pair in zip(cuts, cuts[1:])]

    def local(self, m: int, deltas: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Make each worker's data of each layer; in a dense network only the first unit of the layer below."""
        cuts = self._cuts()
        if set(self.kinds) == {"dense"}:
            return [tuple(operations.Local(cut[w].start) for cut in cuts[:-1]) for w in range(self.workers)]
        from fastae.backends.numba_backend.locals import locals_of

        return locals_of(self.layers, cuts, deltas, self.dtype, self.workers)

    def shrink_local(self, local: Any, m: int) -> Any:
        """Return a worker's data of one layer for batches of only m images."""
        return local._replace(whole=local.whole[:m]) if hasattr(local, "whole") else local

    def workspaces(self, m: int) -> list[Workspace]:
        """Make each worker's workspace: the barrier and the shared buffers."""
        widest = max(self.widths)
        arrivals, waiters = aligned((8,), np.int64), aligned((self.workers, 8), np.int64)
        make_waiters(waiters)
        partial = aligned((2, self.workers, m, widest), self.dtype)
        return [
            Workspace(
                place=self.array(np.array([w, self.workers])),
                arrivals=arrivals,
                waiters=waiters,
                passed=aligned((8,), np.int64),
                partial=partial,
                nonzeros=aligned((sparse.buffer_size(widest),), np.int32),
            )
            for w in range(self.workers)
        ]

    def execute(self, part: str, team: list[Buffers], batches: int) -> None:
        """Run a number of batches on all threads, this one included."""
        arrivals = team[0].workspace.arrivals
        arrivals[:] = 0
        for w in team:
            w.workspace.passed[0] = 0

        def work(w: Buffers) -> None:
            self.entry_points[part](*w[:-1], tuple(w.workspace), batches)

        # Starting threads takes microseconds. New threads for each run also work after a fork, and none spins between.
        others = [threading.Thread(target=work, args=(w,), daemon=True) for w in team[1:]]
        try:
            for thread in others:
                thread.start()
            work(team[0])
            for thread in others:
                thread.join()
        except BaseException:
            arrivals[1] = 1  # end the wait of the workers that wait for the interrupted one
            raise


def notify(text: str) -> None:
    """Print a message to the error output if it is a terminal."""
    if sys.stderr.isatty():
        print(text, file=sys.stderr)
