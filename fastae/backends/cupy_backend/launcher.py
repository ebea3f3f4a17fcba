"""The one place through which all launches go: what a raw kernel would take silently and wrongly is refused here.

A raw kernel sees neither strides nor dtypes, reads a transposed matrix as if it were not, and takes a Python float for
8 bytes whatever it expects.
"""

import contextlib
import itertools
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from fastae.backends.contract import Kernel, check_arguments
from fastae.cuda import source
from fastae.errors import InputError

THREADS, WARP = 256, 32  # of a block, and of what it consists of: as common.cuh has them
MOST_BLOCKS = 4096  # the kernels loop, so a grid may have fewer threads than there is work
NUMBERS = ("alpha", "beta", "scale")  # values, or 0-d arrays on the device
NULL = np.uint64(0)


class Tile(NamedTuple):
    """How a product is cut: the side of a tile, which a block computes, and of a thread's piece of it."""

    side: int
    piece: int = 4

    @property
    def code(self) -> np.int32:
        """Both in one number, as tile.cuh takes them."""
        return np.int32(self.side | self.piece << 8)

    def __str__(self) -> str:
        return f"{self.side}" if self.piece == 4 else f"{self.side}, {self.piece} a thread"


TILES = (Tile(64), Tile(32), Tile(16), Tile(8), Tile(64, 8), Tile(32, 8))
# What `Launcher.cycles` reckons with, of one multiprocessor; docs/cuda.md says why.
RATES = {4: 64, 8: 100, "TF32": 256}  # multiply-adds a cycle: pieces of 4 wait for shared memory
AROUND = {4: 1000, 8: 2600}  # cycles before the first slice, and for the sums after the last: of 8 x 8 four rounds
SLICE_LATENCY = 250
SLICE_BYTES = 8192  # of each operand, as tile.cuh has it
BYTES = 64  # a cycle, to and from the second-level cache
LEAST_DEPTH = 128  # of a part of a sum that is shared out
CYCLES_OF_PART = 40  # to add it to the others: eight are on their way at once


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
        self._tiles: dict[Any, Tile] = {}
        self._shared: dict[Any, tuple[Tile, int]] = {}
        self._modules: dict[Any, Any] = {}
        self._functions: dict[Any, Any] = {}

    def tile(self, rows: int, cols: int, depth: int, real: np.dtype[Any]) -> Tile:
        """Return the tile with which a product should take the least time; see `cycles`."""
        key = rows, cols, depth, real
        if key not in self._tiles:
            self._tiles[key] = min(self.tiles(real), key=lambda tile: self.cycles(tile, *key))
        return self._tiles[key]

    def shared(self, rows: int, cols: int, depth: int, real: np.dtype[Any]) -> tuple[Tile, int]:
        """Return the tile, and in how many parts to take the sum, for a product with few tiles and a long sum.

        Both by the least time that it should take; the parts are added up by another kernel.
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
        """Return the tiles that there are: tensor cores want 16 rows, and 64 sums of float64 are too many a thread."""
        if self.tf32:
            return [tile for tile in TILES if tile.piece == 4 and tile.side >= 16]
        return [tile for tile in TILES if tile.piece == 4 or real == np.float32]

    def cycles(self, tile: Tile, rows: int, cols: int, depth: int, real: np.dtype[Any]) -> float:
        """Predict how long a product takes: as many tiles as the busiest multiprocessor has, one after another."""
        return -(-tiles(rows, cols, tile) // self.multiprocessors) * self.cycles_of_tile(tile, depth, real)

    def cycles_of_tile(self, tile: Tile, depth: int, real: np.dtype[Any]) -> float:
        """Predict how long a multiprocessor takes for one tile of a product that sums over ``depth``."""
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
        """Launch a kernel, its arguments checked.

        Parameters
        ----------
        file, kernel : str
            Where the kernel is, and its name there.
        contract : Kernel
            What its arguments must be.
        sizes : tuple of int
            Its first parameters; that of a product has the tile before them.
        blocks : int
            How many have something to do; nothing is launched for none.
        arguments : dict
            Its other arguments by name, in the order of its parameters.
        real : dtype
            For which it is compiled.
        tile : Tile, optional
            Of a product; likewise.
        **defined
            As `function` takes it.

        Raises
        ------
        InputError
            An argument of another shape, dtype or kind than the contract's, or rows with gaps.
        """
        check_arguments(kernel, arguments, contract, on_device=True)
        values: list[Any] = [tile.code] if tile else []
        values += [np.int32(size) for size in sizes]
        for name, x in arguments.items():
            values += self._c_values(kernel, name, x, real)
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
            The side of a thread's piece of a tile. With 0 it can have any; the largest takes so many registers that one
            block fills a multiprocessor.
        cooperative : bool
            Let the blocks of a launch wait for each other.
        **defined
            What else the file asks to be defined.
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


def definitions(loss: str, activation: str) -> dict[str, int]:
    """Return what the files with the step's operations ask to be defined; raises NotImplementedError for no activation.

    ``ACTIVATION`` is a number of the enumeration in ``activations.cuh``.
    """
    written = re.search(r"enum Activation \{(.*?)\}", source("activations.cuh"))
    known = [name.strip().lower() for name in written.group(1).split(",")] if written else []
    if activation not in known:
        raise NotImplementedError(f"fastae/cuda/activations.cuh lacks the activation {activation!r}")
    return {"BCE": int(loss == "bce"), "ACTIVATION": known.index(activation)}


def tiles(rows: int, cols: int, tile: Tile) -> int:
    """Return the number of tiles of a product of that size."""
    return -(-rows // tile.side) * -(-cols // tile.side)
