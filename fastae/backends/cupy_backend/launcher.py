"""All launches of kernels, with a check of their arguments.

A raw kernel of CuPy does not check its arguments: it ignores strides and dtypes, reads a transposed matrix as if it
were not transposed, and gets 8 bytes for a Python float, whatever it expects.
"""

import contextlib
import itertools
import re
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from fastae.backends.contract import Kernel, check_arguments
from fastae.cuda import source
from fastae.errors import InputError

THREADS, WARP = 256, 32  # threads of a block and of a warp, as in common.cuh
MOST_BLOCKS = 4096  # a grid may have fewer threads than elements, because the kernels loop
NUMBERS = ("alpha", "beta", "scale")  # arguments that are values, or 0-d arrays on the device
NULL = np.uint64(0)


class Tile(NamedTuple):
    """How a product is divided: the side of the tile of a block, and the side of the piece of a thread."""

    side: int
    piece: int = 4

    @property
    def code(self) -> np.int32:
        """Both sides in one integer, as tile.cuh expects them."""
        return np.int32(self.side | self.piece << 8)

    def __str__(self) -> str:
        return f"{self.side}" if self.piece == 4 else f"{self.side}, {self.piece} a thread"


TILES = (Tile(64), Tile(32), Tile(16), Tile(8), Tile(64, 8), Tile(32, 8))
# The model of one multiprocessor that `Launcher.cycles` uses; docs/cuda.md explains it.
RATES = {4: 64, 8: 100, "TF32": 256}  # multiply-adds per cycle: pieces of 4 are limited by shared memory
AROUND = {4: 1000, 8: 2600}  # cycles before the first slice and, for the sums, after the last: four rounds for 8 x 8
SLICE_LATENCY = 250  # cycles
SLICE_BYTES = 8192  # bytes of each operand in a slice, as in tile.cuh
BYTES = 64  # bytes per cycle, to and from the second-level cache
LEAST_DEPTH = 128  # the fewest terms in a part of a divided sum
CYCLES_OF_PART = 40  # cycles to add a part to the others: eight loads are in flight at once


class Launcher:
    """Compiles the kernels of `fastae.cuda` when they are first needed, and launches them on the current stream.

    Parameters
    ----------
    cupy : module
        CuPy, or a substitute for it.
    tf32 : bool
        Round the inputs of products to TF32, and use the tensor cores.
    """

    def __init__(self, cupy: Any, tf32: bool = False) -> None:
        self.cupy, self.tf32 = cupy, tf32
        self.multiprocessors = int(cupy.cuda.Device().attributes["MultiProcessorCount"])
        self._tiles: dict[Any, Tile] = {}
        self._shared: dict[Any, tuple[Tile, int]] = {}
        self._modules: dict[Any, Any] = {}
        self._functions: dict[Any, Any] = {}

    def tile(self, rows: int, cols: int, depth: int, real: np.dtype[Any]) -> Tile:
        """Return the tile with which a product is predicted to take the least time; see `cycles`."""
        key = rows, cols, depth, real
        if key not in self._tiles:
            self._tiles[key] = min(self.tiles(real), key=lambda tile: self.cycles(tile, *key))
        return self._tiles[key]

    def shared(self, rows: int, cols: int, depth: int, real: np.dtype[Any]) -> tuple[Tile, int]:
        """Return the tile and the number of parts of the sum, for a product with few tiles and a long sum.

        They are chosen for the least predicted time; another kernel must add the parts.
        """
        key = rows, cols, depth, real

        def cycles(cut: tuple[Tile, int]) -> float:
            tile, parts = cut
            rounds = -(-tiles(rows, cols, tile) * parts // self.multiprocessors)
            return rounds * self.cycles_of_tile(tile, -(-depth // parts), real) + CYCLES_OF_PART * parts

        if key not in self._shared:
            most = min(self.multiprocessors, -(-depth // LEAST_DEPTH))
            parts = [2**i for i in range(max(1, most).bit_length())]
            self._shared[key] = min(itertools.product(self.tiles(real), parts), key=cycles)
        return self._shared[key]

    def tiles(self, real: np.dtype[Any]) -> list[Tile]:
        """Return the possible tiles: tensor cores need 16 rows; 64 sums per thread are too many in float64."""
        if self.tf32:
            return [tile for tile in TILES if tile.piece == 4 and tile.side >= 16]
        return [tile for tile in TILES if tile.piece == 4 or real == np.float32]

    def cycles(self, tile: Tile, rows: int, cols: int, depth: int, real: np.dtype[Any]) -> float:
        """Predict the cycles of a product: those of the tiles of the busiest multiprocessor, one after another."""
        return -(-tiles(rows, cols, tile) // self.multiprocessors) * self.cycles_of_tile(tile, depth, real)

    def cycles_of_tile(self, tile: Tile, depth: int, real: np.dtype[Any]) -> float:
        """Predict the cycles of a multiprocessor for one tile of a product that sums over ``depth``."""
        slices = -(-depth * tile.side * real.itemsize // SLICE_BYTES)
        arithmetic = tile.side**2 * depth / RATES["TF32" if self.tf32 else tile.piece]
        result = 2 * tile.side**2 * real.itemsize / BYTES  # read and written
        return AROUND[tile.piece] + SLICE_LATENCY * slices + arithmetic + result

    def launch(
        self,
        file: str,
        kernel: str,
        contract: Kernel,
        sizes: tuple[int, ...],
        blocks: int,
        arguments: dict[str, Any],
        real: np.dtype[Any],
        tile: Tile | None = None,
        **defined: int,
    ) -> None:
        """Check the arguments of a kernel and launch it.

        Parameters
        ----------
        file, kernel : str
            The file of the kernel, and its name.
        contract : Kernel
            Describes the arguments.
        sizes : tuple of int
            The kernel's first parameters; in a product the tile comes before them.
        blocks : int
            The number of blocks that have work; with 0, nothing is launched.
        arguments : dict
            The other arguments by name, in the order of the kernel's parameters.
        real : dtype
            The float type for which the kernel is compiled.
        tile : Tile, optional
            The tile of a product, for which the kernel is compiled.
        **defined
            See `function`.

        Raises
        ------
        InputError
            The shape, dtype or type of an argument does not match the contract, or rows are not contiguous.
        """
        check_arguments(contract.name, arguments, contract, on_device=True)
        values: list[Any] = [tile.code] if tile else []
        values += [np.int32(size) for size in sizes]
        for name, x in arguments.items():
            values += self._c_values(contract.name, name, x, real)
        if blocks:
            self.function(file, kernel, real, tile.piece if tile else 0, False, **defined)(
                (min(blocks, MOST_BLOCKS),), (THREADS,), tuple(values)
            )

    def function(
        self, file: str, kernel: str, real: np.dtype[Any], piece: int = 0, cooperative: bool = False, **defined: int
    ) -> Any:
        """Return a compiled kernel, called as (grid, block, arguments).

        Parameters
        ----------
        file, kernel : str
        real : dtype
            For which it is compiled: float32 or float64.
        piece : int
            The side of a thread's piece of a tile. With 0, all sides are possible at run time; the largest then takes
            so many registers that a multiprocessor can run only one block.
        cooperative : bool
            Allow a barrier across the blocks of a launch.
        **defined
            Further macros that the file needs.
        """
        options = {"real": "float" if real == np.float32 else "double", "PIECE": piece, **defined}
        module = file, *options.items()
        if (module, kernel) not in self._functions:
            if module not in self._modules:
                self._modules[module] = self.cupy.RawModule(
                    code=source(file),
                    options=(*(f"-D{name}={x}" for name, x in options.items()), *(["-DTF32"] if self.tf32 else [])),
                    enable_cooperative_groups=cooperative,
                )
            self._functions[module, kernel] = self._modules[module].get_function(kernel)
        return self._functions[module, kernel]

    def number(self, kernel: str, argument: str, x: Any, real: np.dtype[Any]) -> list[Any]:
        """Convert a number into two arguments: its value, and a pointer to it on the device or null."""
        on_device = isinstance(x, self.cupy.ndarray)
        if on_device and (x.ndim or x.dtype != real):
            raise InputError(f"{kernel}: {argument} must be a number or a 0-d array of {real}, not {x.dtype}")
        return [real.type(0 if on_device else x), x if on_device else NULL]

    def _c_values(self, kernel: str, argument: str, x: Any, real: np.dtype[Any]) -> list[Any]:
        """Convert an argument into C arguments: for a matrix, a pointer and the row stride; for a vector, a pointer."""
        if argument in NUMBERS:
            return self.number(kernel, argument, x, real)
        if not isinstance(x, self.cupy.ndarray):
            return [np.int32(x) if isinstance(x, bool) else np.int64(x)]
        pointer = x if x.size else NULL
        return [pointer, np.int64(x.strides[0] // x.itemsize)] if x.ndim == 2 else [pointer]


def record(stream: Any, launches: Callable[[], object]) -> Any:
    """Capture launches on the current stream, which is given, into a graph, without running them; return the graph."""
    stream.begin_capture()
    try:
        launches()
    except BaseException:
        with contextlib.suppress(Exception):  # the capture must be ended, although this raises an error
            stream.end_capture()
        raise
    return stream.end_capture()


def definitions(loss: str, activation: str) -> dict[str, int]:
    """Return the macros that the files of the step's operations need."""
    return {"BCE": int(loss == "bce"), "ACTIVATION": number_of(activation)}


@cache
def number_of(activation: str) -> int:
    """Return an activation's number in the enumeration of activations.cuh; NotImplementedError if it is not there."""
    written = re.search(r"enum Activation \{(.*?)\}", source("activations.cuh"))
    known = [name.strip().lower() for name in written.group(1).split(",")] if written else []
    if activation not in known:
        raise NotImplementedError(f"fastae/cuda/activations.cuh lacks the activation {activation!r}")
    return known.index(activation)


def tiles(rows: int, cols: int, tile: Tile) -> int:
    """Return the number of tiles of a product with so many rows and columns."""
    return -(-rows // tile.side) * -(-cols // tile.side)
