"""The sum of all ranks' gradients where they are on GPUs, and the update by it: the same bits whichever way.

A rank alone has nothing to add. By NCCL (`fastae.ranks.nccl`) GPUs send to each other. Or the gradient goes through the
host's memory, where `fastae.ranks.sums` adds it up. The update is one kernel, which adds up what NCCL has brought.
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
    """Gradients, parameters and the update of a single rank, on its GPU.

    Parameters
    ----------
    world : Alone
    session : CupySession
        On whose stream everything is launched; it must be the current one.
    size, depth : int
        How long a gradient is, and for how many of them there must be room.
    momentum : float

    Attributes
    ----------
    slots : list of device arrays, (size or more,)
        Room for gradients of this rank's parts; the first is what is summed.
    parameters : device array, as long
    parts : device array, (parts, length)
        By the sum of whose rows this rank updates its chunk of the parameters.
    """

    whole_steps = True  # is all of a step launched without the host having to wait?

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
        """Go on with another learning rate and momentum."""
        self._rate[:] = self._session.array(np.array([-lr, momentum], self._session.dtype))

    def all_reduce(self) -> Any:
        """Bring the parts here, and return them."""
        return self.parts

    def descend(self, parts: Any) -> None:
        """Update all parameters by the sum of the parts."""
        self.update(parts)

    def update(self, parts: Any) -> None:
        """Update this rank's chunk of the parameters by the sum of the parts."""
        chunk = self.parameters[self._mine]
        arguments = {"parts": parts, "parameters": chunk, "velocities": self._velocities, "rate": self._rate}
        launcher, real, blocks = self._session.launcher, self._session.dtype, -(-chunk.size // THREADS)
        launcher.launch("ranks.cu", "descend_by_tree", DESCEND, parts.shape, blocks, arguments, real)

    def show_velocities(self) -> None:
        """Write the velocities of all ranks into the first slot."""
        if len(self._velocities):
            self.slots[0][self._mine] = self._velocities

    def keep_velocities(self) -> None:
        """Take this rank's velocities from the first slot."""
        if len(self._velocities):
            self._velocities[:] = self.slots[0][self._mine]

    def wait(self) -> None:
        """Wait until the device has done what it was given."""
        self._session.stream.synchronize()


class Staged(Single):
    """The sum through the hosts' memory. Every rank makes the whole update, which costs less than to send a part."""

    whole_steps = False

    def __init__(self, world: Alone, session: CupySession, size: int, depth: int, momentum: float) -> None:
        super().__init__(world, session, size, depth, momentum)
        self._host = sum_over(world, size, 1, session.dtype)

    def all_reduce(self) -> Any:
        """Bring the sum of the ranks' first slots here, which is one part, and return it."""
        gradient = self.slots[0]
        self._session.launcher.cupy.asnumpy(gradient, out=self._host.slots[0])
        # No rank writes the next sum before all have copied their next gradients, hence before this copy is over.
        gradient.set(self._host.all_reduce(lambda total: None))
        return self.parts
