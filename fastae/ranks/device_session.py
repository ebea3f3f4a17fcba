"""A session of ranks that train on GPUs, where steps are launched one by one or captured into graphs."""

from functools import partial
from typing import Any

import numpy as np

from fastae.backends.base import Parameters
from fastae.backends.cupy_backend.session import MODES
from fastae.errors import InputError
from fastae.ranks.device import Single, Staged
from fastae.ranks.nccl import Nccl, why_not
from fastae.ranks.session import Part, SharedSession
from fastae.ranks.world import Alone, as_common
from fastae.step import make_shared_step

WAYS = {"alone": Single, "nccl": Nccl, "mpi": Staged}


class Slot:
    """An array on a GPU whose operator ``+=``, which `fastae.step.make_shared_step` uses, calls the kernel ``axpy``."""

    def __init__(self, backend: Any, array: Any) -> None:
        self._backend, self.array = backend, array

    def __iadd__(self, other: "Slot") -> "Slot":
        self._backend.axpy(1.0, other.array, self.array)
        return self


class DeviceSession(SharedSession):
    """A `SharedSession` on GPUs.

    Parameters
    ----------
    world, parts, backend, parameters, images, facts, **options
        As in `SharedSession`.
    mode : {"captured", "eager"}
        As in `fastae.backends.cupy_backend.session.CupySession`. With NCCL, and for a single rank, a graph contains
        whole steps; otherwise it contains the gradient of a part, which the hosts then sum.

    Raises
    ------
    InputError
        The mode is "persistent", or an argument is refused by `SharedSession`.
    """

    local_session: Any
    sum: Any

    def __init__(
        self,
        world: Alone,
        parts: int,
        backend: Any,
        parameters: Parameters,
        images: np.ndarray,
        *,
        mode: str | None = None,
        facts: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        if mode == "persistent":
            reason = "the mode 'persistent' is for one process without shards: its kernel cannot wait for other ranks"
            raise as_common(InputError(f"{reason}; take 'captured'"))
        if world.here > 1:
            backend.take_device(world.local)
        # NCCL waits forever if one rank captures an operation and another one runs it.
        facts = (facts or {}) | {"mode": mode or MODES[0], "TF32": options.get("tf32", False)}
        super().__init__(world, parts, backend, parameters, images, mode=mode, facts=facts, **options)

    def _lay_out(self, parameters: Parameters, mine: range) -> None:
        """Allocate the flat arrays, and make this rank's parts and the step."""
        self.way = self._choose()
        with self.local_session.stream:
            kind = WAYS[self.way]
            self.sum = kind(self.world, self.local_session, self.layout.size, len(mine).bit_length(), self._mu)
            self.sum.set_rate(self._rate, self._mu)
            self._parameters = self.sum.parameters
            self._slots = [Slot(self.backend, slot) for slot in self.sum.slots]
            self._no_rows = self.local_session.array(np.zeros((0, len(self.sum.slots[0])), self.dtype))
            self._step = make_shared_step(self.gradient, self.sum.all_reduce, self.sum.descend)
            self._take_parts(self.sum.slots, mine)
            with self.world.one_first():
                self._compile()
            self._set_velocity(parameters)
        self.local_session.stream.synchronize()

    def _choose(self) -> str:
        """Return how the gradients are summed; all ranks decide alike."""
        way = self.world.way
        if way != "nccl" and self.world.size == 1:
            return "alone"
        reason = "" if way == "mpi" else why_not(self.world, self.backend)
        if reason and way == "nccl":
            raise as_common(InputError(f"{reason}; --distributed mpi goes through the host's memory"))
        return "mpi" if reason or way == "mpi" else "nccl"

    def _compile(self) -> None:
        """Launch all kernels of a step once, without effect: compiling takes some ranks longer than others."""
        self.sum.update(self.sum.parts)  # by 0
        for part in self.own_parts:
            for ragged in (False, True):
                if part.teams[ragged]:
                    self._launch_part(part, ragged, 0, 1)

    # The step.

    def gradient(self, part: Part, ragged: bool, slot: int) -> None:
        """Compute the gradient of a part of the next batch; arguments as in `SharedSession.gradient`."""
        if not part.teams[ragged]:
            self.backend.column_sum(self._no_rows, self.sum.slots[slot])  # writes 0; an assignment cannot be captured
        elif self.sum.whole_steps:
            self._compute(part, ragged, slot)
        else:
            self.local_session.repeat("gradient", (id(part), ragged), partial(self._launch_part, part, ragged, slot), 1)

    def _begin(self) -> None:
        """Fork the stream on which batches are gathered; the first batch goes into the first buffer."""
        self.local_session.branches.ahead.fork()
        self._turn = 0

    def _compute(self, part: Part, ragged: bool, slot: int) -> None:
        """Launch the gradient of a part; parts use the two buffers for their images in turn."""
        ((V, c),) = self._gradients[slot]
        worker = part.teams[ragged][self._turn % 2]
        self._turn += 1
        self.local_session.functions["step"](worker._replace(V=V, c=c))

    def _launch_part(self, part: Part, ragged: bool, slot: int, times: int) -> None:
        self._begin()
        for _ in range(times):
            self._compute(part, ragged, slot)

    def launch_steps(self, ragged: bool, times: int) -> None:
        """Launch whole steps, whose gradients are summed on the device; ``ragged`` is that of `gradient`."""
        self._begin()
        for _ in range(times):
            self._step(self.own_parts, ragged, self._slots)
        self.local_session.branches.join()  # it has forked even if this rank's parts have no image

    def _train(self, ragged: bool, batches: int) -> None:
        with self.local_session.stream:
            if self.sum.whole_steps:
                self.local_session.repeat("shared step", ragged, partial(self.launch_steps, ragged), batches)
            else:
                for _ in range(batches):
                    self._step(self.own_parts, ragged, self._slots)

    # What a trainer calls.

    def start(self, order: np.ndarray) -> None:
        """Begin an epoch with the images in this order, int64 (N,)."""
        with self.local_session.stream:
            super().start(order)

    def run(self, batches: int) -> None:
        """Train on the next whole batches."""
        self._train(False, batches)

    def finish(self) -> None:
        """Train on the last, smaller batch, if the batch size does not divide the number of images."""
        if self._ragged:
            self._train(True, 1)

    def set_rate(self, lr: float, momentum: float = 0.0) -> None:
        """Set the learning rate and the momentum; raises ``InputError`` for a momentum if there are no velocities."""
        if momentum and not self._mu:
            raise InputError("a training that began without momentum keeps no velocities; begin a new one with it")
        with self.local_session.stream:
            self.sum.set_rate(lr, momentum)

    def total(self) -> float:
        """Return the sum of the training losses of the epoch's images so far, of all ranks."""
        self.world.barrier()  # which names a rank that is missing; a GPU would wait for it silently
        self.sum.wait()
        with self.local_session.stream:
            return super().total()

    def read(self) -> Parameters:
        """Copy the parameters to the host, on every rank."""
        with self.local_session.stream:
            return super().read()

    def write(self, parameters: Parameters) -> None:
        """Overwrite the parameters."""
        with self.local_session.stream:
            super().write(parameters)

    def test_error(self) -> float:
        """Return the squared error of the test images' reconstructions: the mean over images and pixels."""
        with self.local_session.stream:
            return super().test_error()

    def _show_velocities(self) -> None:
        """Write the velocities of all ranks into the first slot, where the local session reads its velocities."""
        self.sum.show_velocities()

    def _keep_velocities(self) -> None:
        """Copy this rank's velocities from the first slot, where the local session has written them."""
        self.sum.keep_velocities()
