"""The one place through which all launches go: what a raw kernel would take silently and wrongly is refused here.

A raw kernel sees neither strides nor dtypes, reads a transposed matrix as if it were not, and takes a Python float for
8 bytes whatever it expects.
"""

import contextlib
from collections.abc import Callable
from typing import Any

import numpy as np

from fastae.backends.contract import Kernel, check_arguments
from fastae.cuda import source
from fastae.errors import InputError

THREADS, WARP = 256, 32  # of a block, and of what it consists of: as common.cuh has them
MOST_BLOCKS = 4096  # the kernels loop, so a grid may have fewer threads than there is work
TILES = (64, 32, 16, 8)  # sides of a tile of a product, as tile.cuh can have them
BUSY = 0.75  # of the multiprocessors that should have a tile before tiles are made smaller
NUMBERS = ("alpha", "beta", "scale")  # values, or 0-d arrays on the device
NULL = np.uint64(0)


class Launcher:
    """Compiles the kernels of `fastae.cuda` when they are first needed, and launches them on the current stream.

    Parameters
    ----------
    cupy : module
        CuPy, or what stands for it.
    tf32 : bool
        Let products be taken of inputs rounded to TF32, by the tensor cores.
    """

    def __init__(self, cupy: Any, tf32: bool = False) -> None:
        self.cupy, self.tf32 = cupy, tf32
        self.multiprocessors = int(cupy.cuda.Device().attributes["MultiProcessorCount"])
        self._modules: dict[Any, Any] = {}
        self._functions: dict[Any, Any] = {}

    def tile(self, rows: int, cols: int) -> int:
        """Return the side of the largest tile of which a product has enough to keep the device busy."""
        allowed = [tile for tile in TILES if tile >= 16] if self.tf32 else TILES  # tensor cores want 16 rows
        enough = BUSY * self.multiprocessors
        return next((tile for tile in allowed if tiles(rows, cols, tile) >= enough), allowed[-1])

    def launch(
        self,
        file: str,
        kernel: str,
        contract: Kernel,
        sizes: tuple[int, ...],
        blocks: int,
        arguments: dict[str, Any],
        real: np.dtype[Any],
    ) -> None:
        """Launch a kernel, its arguments checked.

        Parameters
        ----------
        file, kernel : str
            Where the kernel is, and its name there.
        contract : Kernel
            What its arguments must be.
        sizes : tuple of int
            Its first parameters.
        blocks : int
            How many have something to do; nothing is launched for none.
        arguments : dict
            Its other arguments by name, in the order of its parameters.
        real : dtype
            For which it is compiled.

        Raises
        ------
        InputError
            An argument of another shape, dtype or kind than the contract's, or rows with gaps.
        """
        check_arguments(kernel, arguments, contract, on_device=True)
        values: list[Any] = [np.int32(size) for size in sizes]
        for name, x in arguments.items():
            values += self._c_values(kernel, name, x, real)
        if blocks:
            self.function(file, kernel, real)((min(blocks, MOST_BLOCKS),), (THREADS,), tuple(values))

    def function(self, file: str, kernel: str, real: np.dtype[Any], cooperative: bool = False) -> Any:
        """Return a kernel compiled for float32 or float64, called as (grid, block, arguments)."""
        if (file, real) not in self._modules:
            options = (f"-Dreal={'float' if real == np.float32 else 'double'}", *(["-DTF32"] if self.tf32 else []))
            self._modules[file, real] = self.cupy.RawModule(
                code=source(file), options=options, enable_cooperative_groups=cooperative
            )
        if (kernel, real) not in self._functions:
            self._functions[kernel, real] = self._modules[file, real].get_function(kernel)
        return self._functions[kernel, real]

    def number(self, kernel: str, argument: str, x: Any, real: np.dtype[Any]) -> list[Any]:
        """Turn a number into two arguments: its value, and where on the device it lies instead, or null."""
        on_device = isinstance(x, self.cupy.ndarray)
        if on_device and (x.ndim or x.dtype != real):
            raise InputError(f"{kernel}: {argument} must be a number or a 0-d array of {real}, not {x.dtype}")
        return [real.type(0 if on_device else x), x if on_device else NULL]

    def _c_values(self, kernel: str, argument: str, x: Any, real: np.dtype[Any]) -> list[Any]:
        """Turn an argument into C's: a matrix and its row stride, a vector, a number and where it lies, or a length."""
        if argument in NUMBERS:
            return self.number(kernel, argument, x, real)
        if not isinstance(x, self.cupy.ndarray):
            return [np.int32(x) if isinstance(x, bool) else np.int64(x)]
        pointer = x if x.size else NULL
        return [pointer, np.int64(x.strides[0] // x.itemsize)] if x.ndim == 2 else [pointer]


def record(stream: Any, launches: Callable[[], object]) -> Any:
    """Return a graph of what is launched on a stream that is the current one; nothing is run."""
    stream.begin_capture()
    try:
        launches()
    except BaseException:
        with contextlib.suppress(Exception):  # an unfinished capture cannot end well, but must end
            stream.end_capture()
        raise
    return stream.end_capture()


def tiles(rows: int, cols: int, tile: int) -> int:
    """Return the number of tiles of a product of that size."""
    return -(-rows // tile) * -(-cols // tile)
