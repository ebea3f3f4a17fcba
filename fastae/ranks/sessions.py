"""The session of a rank: on the host, or on the rank's GPU."""

from typing import Any

import numpy as np

from fastae.backends.base import Backend, Parameters
from fastae.errors import InputError
from fastae.ranks.session import SharedSession
from fastae.ranks.world import Alone, as_common


def shared_session(
    world: Alone, parts: int, backend: Backend, parameters: Parameters, images: np.ndarray, **options: Any
) -> SharedSession:
    """Create the session of this rank, which trains on some parts of each batch.

    Parameters
    ----------
    world, parts, backend, parameters, images, **options
        As in `fastae.ranks.session.SharedSession`.

    Returns
    -------
    SharedSession
        For a backend whose arrays are on a GPU, a ``fastae.ranks.device_session.DeviceSession``.

    Raises
    ------
    InputError
        NCCL is asked for, and the backend has no GPU.
    """
    if backend.on_gpu:
        from fastae.ranks.device_session import DeviceSession  # loads the CuPy backend, which the others do not need

        return DeviceSession(world, parts, backend, parameters, images, **options)
    if world.way == "nccl":
        reason = f"NCCL connects GPUs, and the backend {backend.name!r} has none"
        raise as_common(InputError(f"{reason}; take --distributed mpi"))
    return SharedSession(world, parts, backend, parameters, images, **options)
