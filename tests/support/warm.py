"""Compile what many tests use, before they begin: ``python tests/support/warm.py``.

Else two processes that need the same kernel at the same moment would both compile it. What is not listed here is
compiled by the first test that needs it, and kept for the others.
"""

import subprocess
import sys

import numpy as np

import fastae
from fastae.backends.contract import KERNELS
from fastae.backends.numba_backend import compiled

DTYPES = ("float32", "float64")


def warm(dtype: str) -> None:
    """Compile the contract's kernels, and the steps of the handout's network."""
    for name in KERNELS:
        compiled(name, np.dtype(dtype))
    images = np.zeros((8, 12), np.uint8)
    for backend, loss in (("emulator", "mse"), ("numba", "mse"), ("numba", "bce")):
        trainer = fastae.Trainer(fastae.Autoencoder((12, 7, 4), dtype=dtype), loss, backend=backend, batch_size=4)
        trainer.fit(images, 1, images, progress=False)


if __name__ == "__main__":
    if sys.argv[1:]:
        warm(*sys.argv[1:])
    else:
        processes = [subprocess.Popen([sys.executable, __file__, dtype]) for dtype in DTYPES]
        sys.exit(max([process.wait() for process in processes]))
