"""Whether this process is one of several that mpiexec started, as its environment says before MPI is loaded."""

import os
from typing import NamedTuple


class Place(NamedTuple):
    """Which of the ranks a process is.

    Attributes
    ----------
    rank, size : int
    here : int
        How many of them are on this machine, as far as the launcher says; else 1.
    """

    rank: int
    size: int
    here: int


# What launchers tell a process: its rank, the number of ranks, and how many of them are on this machine.
LAUNCHERS = {
    "Open MPI": ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_SIZE"),
    "MVAPICH": ("MV2_COMM_WORLD_RANK", "MV2_COMM_WORLD_SIZE", "MV2_COMM_WORLD_LOCAL_SIZE"),
    "MPICH, Intel MPI and Slurm": ("PMI_RANK", "PMI_SIZE", "MPI_LOCALNRANKS"),
}


def place() -> Place | None:
    """Return this process's place among the ranks; None if no launcher says that there are several."""
    for names in LAUNCHERS.values():
        rank, size, here = (os.environ.get(name, "") for name in names)
        if rank.isdecimal() and size.isdecimal() and int(size) > 1:
            return Place(int(rank), int(size), int(here) if here.isdecimal() and int(here) else 1)
    return None


def limit_blas(threads: int) -> None:
    """Let NumPy's BLAS take no more threads than that; without threadpoolctl it stays as the environment has it."""
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:
        return
    threadpool_limits(threads, user_api="blas")
