"""The sum of all ranks' gradients on GPUs, and the update of the parameters.

There are three ways, which give the same bits. A single rank has nothing to sum (`Single`). With NCCL, the GPUs send
their gradients to each other (`fastae.ranks.nccl`). Otherwise the gradients are copied to the hosts, which sum them
(`Staged`). The update is one kernel; with NCCL it also adds up the gradients that have arrived.
"""

from typing import Any

import numpy as np

from fastae.backends.contract import Kernel
from fastae.backends.cupy_backend.launcher import THREADS
from fastae.backends.cupy_backend.session import CupySession
from fastae.ranks.sums import sum_over
from fastae.ranks.world import Alone

DESCEND = Kernel(
    "descend_by_tree(parts, parameters, velocities, rate)",
    {"parts": ("p", "n"), "parameters": ("n",), "velocities": ("v",), "rate": ("r",)},
    "parameters + rate[0] · Σ parts, added as sums.add_tree does; with velocities, v = rate[1] · v + Σ parts first",
)


class Single:
    """The gradients and parameters of a single rank on its GPU, and their update.

    Parameters
    ----------
    world : Alone
    session : CupySession
        Everything is launched on its stream, which must be the current one.
    size, depth : int
        The length of a gradient, and the number of gradients to allocate.
    momentum : float

    Attributes
    ----------
    slots : list of device array, (size or more,)
        The gradients of this rank's parts. They are added up in the first slot, which is then summed over the ranks.
    parameters : device array, as long as a slot
    parts : device array, (parts, length)
        Its rows are the terms of the gradient by which this rank updates its chunk of the parameters.
    """

    whole_steps = True  # whether a whole step can be launched without waiting for it on the host

    def __init__(self, world: Alone, session: CupySession, size: int, depth: int, momentum: float) -> None:
        self.world, self._session = world, session
        self.slots = [self._zeros(size) for _ in range(depth)]
        self.parameters = self._zeros(size)
        self._take(slice(0, size), self.slots[0][None], momentum)

    def _take(self, mine: slice, parts: Any, momentum: float) -> None:
        self._mine, self.parts = mine, parts
        self._velocities = self._zeros(parts.shape[1] if momentum else 0)
        self._rate = self._zeros(2)

    def _zeros(self, *shape: int) -> Any:
        return self._session.array(np.zeros(shape, self._session.dtype))

    def set_rate(self, lr: float, momentum: float) -> None:
        """Set the learning rate and the momentum."""
        self._rate[:] = self._session.array(np.array([-lr, momentum], self._session.dtype))

    def all_reduce(self) -> Any:
        """Return the terms of the gradient, (parts, length), after they have arrived on this GPU."""
        return self.parts

    def descend(self, parts: Any) -> None:
        """Update all parameters by the sum of the terms."""
        self.update(parts)

    def update(self, parts: Any) -> None:
        """Update this rank's chunk of the parameters by the sum of the terms."""
        chunk = self.parameters[self._mine]
        arguments = {"parts": parts, "parameters": chunk, "velocities": self._velocities, "rate": self._rate}
        launcher, real, blocks = self._session.launcher, self._session.dtype, -(-chunk.size // THREADS)
        launcher.launch("ranks.cu", "descend_by_tree", DESCEND, parts.shape, blocks, arguments, real)

    def show_velocities(self) -> None:
        """Write the velocities of all ranks into the first slot."""
        if len(self._velocities):
            self.slots[0][self._mine] = self._velocities

    def keep_velocities(self) -> None:
        """Copy this rank's velocities from the first slot."""
        if len(self._velocities):
            self._velocities[:] = self.slots[0][self._mine]

    def wait(self) -> None:
        """Wait until the GPU has finished everything that was launched."""
        self._session.stream.synchronize()


class Staged(Single):
    """The sum through the memory of the hosts. Every rank updates all parameters: sending updates would take longer."""

    whole_steps = False

    def __init__(self, world: Alone, session: CupySession, size: int, depth: int, momentum: float) -> None:
        super().__init__(world, session, size, depth, momentum)
        self._host = sum_over(world, size, 1, session.dtype)

    def all_reduce(self) -> Any:
        """Return the sum of the ranks' first slots, (1, size), which the hosts have computed."""
        gradient = self.slots[0]
        self._session.launcher.cupy.asnumpy(gradient, out=self._host.slots[0])
        # The next sum is written after all ranks have copied their next gradients, so this copy is over by then.
        gradient.set(self._host.all_reduce(lambda total: None))
        return self.parts
