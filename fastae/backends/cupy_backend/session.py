"""A session on a GPU: the step as separate launches, as a captured graph, or as one persistent kernel."""

from collections.abc import Callable, Sequence
from functools import partial, wraps
from typing import Any, ParamSpec, TypeVar

import numpy as np

from fastae.backends.base import Parameters, Session
from fastae.backends.cupy_backend import convolutions
from fastae.backends.cupy_backend.branches import Branches
from fastae.backends.cupy_backend.launcher import record
from fastae.backends.cupy_backend.operations import make_operations
from fastae.backends.cupy_backend.persistent import Persistent
from fastae.errors import InputError
from fastae.step import Buffers

MODES = ("captured", "eager", "persistent")
STEPS_A_GRAPH = 16  # steps in a graph: between two graphs the device is idle for a moment

P = ParamSpec("P")
R = TypeVar("R")


def _on_our_stream(method: Callable[P, R]) -> Callable[P, R]:
    """Make a method use the session's stream; the default stream cannot be captured."""

    @wraps(method)
    def wrapped(*arguments: P.args, **options: P.kwargs) -> R:
        session: Any = arguments[0]
        with session.stream:
            return method(*arguments, **options)

    return wrapped


class CupySession(Session):
    """A session on a GPU, whose steps are launched in one of three modes; all of them give the same bits.

    - ``"captured"``, the default: the first batch is launched kernel by kernel, which also compiles and loads the
      kernels. Then the launches are captured into a CUDA graph, which is replayed for all other batches.
    - ``"eager"``: every batch is launched kernel by kernel.
    - ``"persistent"``: one kernel does all whole batches, with a barrier across the device where the other modes launch
      a new kernel. Only for networks of dense layers and uint8 images.

    For the other arguments see `fastae.backends.base.Session`.

    Parameters
    ----------
    backend : CupyBackend
    parameters : Parameters
    images : ndarray, (n, inputs)
    **options
        ``mode`` and ``tf32``, and the options of `fastae.backends.base.Session`.

    Attributes
    ----------
    stream : cupy.cuda.Stream
        On which everything is launched.
    branches : Branches
        The streams that fork from it within a step.
    graphs : dict
        The captured graphs, by the arguments ``part`` and ``which`` of `repeat` and the number of launches.
    persistent : Persistent or None
        The kernel of the persistent mode, once it has been launched.

    Raises
    ------
    InputError
        An unknown mode, a network or images that the mode does not support, or TF32 where it is not possible.
    """

    def __init__(self, backend: Any, parameters: Parameters, images: np.ndarray, **options: Any) -> None:
        mode, tf32 = options.pop("mode", None) or MODES[0], options.pop("tf32", False)
        if mode not in MODES:
            raise InputError(f"unknown mode {mode!r}; the modes are: {', '.join(MODES)}")
        if mode == "persistent" and any(layer.kind != "dense" for layer in options.get("layers") or ()):
            raise InputError("the mode 'persistent' is for networks of dense layers; with convolutions take 'captured'")
        if mode == "persistent" and images.dtype != np.uint8:
            raise InputError("the mode 'persistent' is for images of bytes; with floats take 'captured'")
        self.mode = mode
        self.launcher = backend.launcher_for(tf32, parameters.W[0].dtype)
        self.stream = self.launcher.cupy.cuda.Stream(non_blocking=True)
        self.branches = Branches(self.launcher.cupy.cuda)
        self.graphs: dict[tuple[str, Any, int], Any] = {}
        self.persistent: Persistent | None = None
        with self.stream:
            super().__init__(backend, parameters, images, **options)
        self.stream.synchronize()

    def operations(self) -> dict[str, Any]:
        """Return the fused operations."""
        return make_operations(self.backend, self.launcher, self.loss, self.branches, self.activation, self.kinds)

    def local(self, m: int, deltas: Sequence[Any]) -> list[tuple[Any, ...]]:
        """Make buffers for products and parts of gradients; patches need none, because they are not copied."""
        return [convolutions.make_local(self.launcher, self.layers, m, self.dtype)]

    def shrink_local(self, local: Any, m: int) -> Any:
        """Return a layer's buffers for batches of only m images."""
        return convolutions.shrink_local(local, m)

    def execute(self, part: str, team: list[Buffers], batches: int) -> None:
        """Run a part, the step or the evaluation, for the next batches in this session's mode."""
        if self.mode == "persistent" and part == "step" and team is self.team:
            if self.persistent is None:
                self.persistent = Persistent(self.launcher, team[0], team[1].a[0], self.loss, self.activation)
            self.persistent.run(batches)
        else:
            self.repeat(part, len(team[0].loss), partial(self._launch, part, team), batches)

    def _launch(self, part: str, team: list[Buffers], batches: int) -> None:
        """Launch the next batches, which use the two buffers in turn."""
        self.branches.ahead.fork()
        for i in range(batches):
            self.functions[part](team[i % 2])

    def _make_team(self, images: np.ndarray, m: int) -> list[Buffers]:
        """Make the buffers twice, each with its own batch."""
        (buffers,) = super()._make_team(images, m)
        batch = self._zeros(*buffers.a[0].shape)
        return [buffers, buffers._replace(a=(batch, *buffers.a[1:]), x=batch)]

    def repeat(self, part: str, which: Any, launch: Callable[[int], object], times: int) -> None:
        """Repeat a launch; unless the mode is eager, by graphs from the second time on.

        Parameters
        ----------
        part : str
        which : hashable
            Together with ``part``, the key of the graphs.
        launch : callable
            Called with a number of times to launch.
        times : int
        """
        if self.mode == "eager":
            launch(times)
            return
        if times and (part, which, 1) not in self.graphs:
            launch(1)
            times -= 1
            self.graphs[part, which, 1] = record(self.stream, lambda: launch(1))
        for steps in (STEPS_A_GRAPH, 1):
            count, times = divmod(times, steps)
            if count and (part, which, steps) not in self.graphs:
                self.graphs[part, which, steps] = record(self.stream, partial(launch, steps))
            for _ in range(count):
                self.graphs[part, which, steps].launch()

    set_rate = _on_our_stream(Session.set_rate)
    start = _on_our_stream(Session.start)
    run = _on_our_stream(Session.run)
    finish = _on_our_stream(Session.finish)
    total = _on_our_stream(Session.total)
    read = _on_our_stream(Session.read)
    write = _on_our_stream(Session.write)
    test_error = _on_our_stream(Session.test_error)
    test_sums = _on_our_stream(Session.test_sums)
