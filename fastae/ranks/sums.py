"""The sum of all parts' gradients, in an order that does not depend on the number of ranks or their places.

The parts of a batch are added in pairs, the pairs in pairs, and so on: a fixed tree. A rank has 2^k parts in a row,
which are a subtree, so however many ranks there are the same numbers are added to each other: the bits are the same.

The sum over ranks is a reduce-scatter and an all-gather: each rank adds up one chunk of the gradient, makes the
update of that chunk, and all ranks take all updates. MPI's own all-reduce would be one call, but
may add in any order.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fastae.ranks.world import Alone, World

LINE = 64  # bytes of a cache line
Update = Callable[[np.ndarray], None]  # turns a chunk of the gradient into that of the update, in place


def add_tree(parts: Sequence[np.ndarray], out: np.ndarray) -> None:
    """Write the sum of the parts: of neighbours, then of neighbouring sums; ``out`` may be none of the parts."""
    if len(parts) == 1:
        out[:] = parts[0]
    elif len(parts) == 2:
        np.add(parts[0], parts[1], out=out)
    else:
        half = 1 << (len(parts) - 1).bit_length() - 1  # the largest power of two below
        rest = np.empty_like(out)
        add_tree(parts[:half], out)
        add_tree(parts[half:], rest)
        out += rest


class Sum:
    """The sum of a single rank.

    Parameters
    ----------
    world : Alone
    size, depth : int
        How long a gradient is, and for how many of them there must be room.
    dtype : dtype

    Attributes
    ----------
    slots : list of ndarray, (size,)
        Room for gradients of this rank's parts; the first is what is summed.
    chunk : slice
        What this rank makes the update of.
    """

    def __init__(self, world: Alone, size: int, depth: int, dtype: Any) -> None:
        self.world, self.dtype = world, np.dtype(dtype)
        self.size = size
        self.chunk = slice(size * world.rank // world.size, size * (world.rank + 1) // world.size)
        self.slots = self._allocate(depth)

    def _allocate(self, depth: int) -> list[np.ndarray]:
        return [aligned(np.zeros(self.size * self.dtype.itemsize + LINE, np.uint8), self.size, self.dtype)
                for _ in range(depth)]  # fmt: skip

    def all_reduce(self, update: Update) -> np.ndarray:
        """Return the update of everything, (size,), from the sum of the ranks' first slots; valid until the next."""
        update(self.slots[0])
        return self.slots[0]

    def all_gather(self, chunk: np.ndarray) -> np.ndarray:
        """Return the chunks of all ranks one after another, (size,)."""
        return chunk


class Messages(Sum):
    """The sum over ranks that may be on any machine, by MPI's collective operations."""

    def __init__(self, world: World, size: int, depth: int, dtype: Any) -> None:
        super().__init__(world, size, depth, dtype)
        self.comm, self.wait = world.comm, world.wait
        cuts = [size * rank // world.size for rank in range(world.size + 1)]
        self._counts, self._starts = [b - a for a, b in zip(cuts, cuts[1:])], cuts[:-1]
        mine = self._counts[world.rank]
        self.parts = np.zeros((world.size, mine), self.dtype)
        self._mine = np.zeros(mine, self.dtype)
        self._all = np.zeros(size, self.dtype)
        self._to = ([mine] * world.size, [mine * rank for rank in range(world.size)])

    def all_reduce(self, update: Update) -> np.ndarray:
        """Return the update of everything, (size,), from the sum of the ranks' first slots; valid until the next."""
        sent, received = [self.slots[0], (self._counts, self._starts)], [self.parts, self._to]
        self.wait(self.comm.Ialltoallv(sent, received))
        add_tree(list(self.parts), self._mine)
        update(self._mine)
        return self.all_gather(self._mine)

    def all_gather(self, chunk: np.ndarray) -> np.ndarray:
        """Return the chunks of all ranks one after another, (size,)."""
        self.wait(self.comm.Iallgatherv(chunk, [self._all, (self._counts, self._starts)]))
        return self._all


class Window(Sum):
    """The sum over ranks of one machine, in memory that all of them can read: no rank sends anything."""

    def __init__(self, world: World, size: int, depth: int, dtype: Any) -> None:
        self._window: Any = None
        super().__init__(world, size, depth, dtype)

    def _allocate(self, depth: int) -> list[np.ndarray]:
        """Make this rank's slots, and one of the results, where all can see them."""
        length = (self.size * self.dtype.itemsize // LINE + 2) * LINE  # a line more, to begin at one
        world: Any = self.world
        # A piece for each rank, whose memory is then near the core that uses it most.
        self._window = world.mpi.Win.Allocate_shared((depth + 1) * length, 1, comm=world.machine)
        self._window.Lock_all()  # from here on: Sync orders what ranks write and read
        seen = []
        for rank in range(world.size):
            memory = np.frombuffer(self._window.Shared_query(rank)[0], np.uint8)
            seen.append([aligned(memory[i * length :], self.size, self.dtype) for i in range(depth + 1)])
        mine = seen[world.rank]
        for slot in mine:
            slot[:] = 0
        self.parts = [slots[0][self.chunk] for slots in seen]
        self._all = seen[0][depth]
        return mine[:depth]

    def all_reduce(self, update: Update) -> np.ndarray:
        """Return the update of everything, (size,), from the sum of the ranks' first slots; valid until the next."""
        self._barrier()  # all gradients are there, and no rank needs the last update any more
        mine = self._all[self.chunk]
        add_tree(self.parts, mine)
        update(mine)
        self._barrier()  # all chunks are updated, and no rank needs the gradients any more
        return self._all

    def all_gather(self, chunk: np.ndarray) -> np.ndarray:
        """Return the chunks of all ranks one after another, (size,)."""
        self._barrier()
        self._all[self.chunk] = chunk
        self._barrier()
        return self._all

    def _barrier(self) -> None:
        self._window.Sync()
        self.world.barrier()
        self._window.Sync()


def aligned(memory: np.ndarray, size: int, dtype: np.dtype[Any]) -> np.ndarray:
    """Return an array in the memory that begins at a cache line."""
    first = -memory.ctypes.data % LINE
    return memory[first : first + size * dtype.itemsize].view(dtype)


def sum_over(world: Alone, size: int, depth: int, dtype: Any) -> Sum:
    """Make the sum that suits the places of the ranks; the bits are the same."""
    if isinstance(world, World) and world.size > 1:
        return (Window if world.here == world.size else Messages)(world, size, depth, dtype)
    return Sum(world, size, depth, dtype)
