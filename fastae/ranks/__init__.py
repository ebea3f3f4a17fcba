"""One training shared by several processes, on one machine or many: data parallelism over MPI.

Each rank has the whole network and a share of every batch. All ranks sum their gradients and make the same update, so
the run is that of one process except for rounding.

- ``launch``: whether mpiexec started this process, and the process that reports how this one ended
- ``world``: the ranks, how they wait for each other, compare their settings, and end together
- ``data``: one copy of the data for all ranks of a machine
- ``sums``: the sum of all gradients, in one fixed order: in memory that the ranks of a machine share, or by messages
- ``session``: a backend's session that trains on a share of each batch
- ``device``, ``nccl``, ``device_session``: the same on GPUs, where sums are through the host's memory or by NCCL
- ``sessions``: which of the two sessions a rank gets
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastae.ranks.world import Alone, World, join

__all__ = ["Alone", "World", "join"]


def __getattr__(name: str) -> Any:
    """Import the public names when they are first used: ``launch`` must be imported before what takes time."""
    if name not in __all__:
        raise AttributeError(f"module 'fastae.ranks' has no attribute {name!r}")
    from fastae.ranks import world

    return getattr(world, name)
