"""How this folder's kernels are launched, and what NumPy says of their results."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

FOLDER = Path(__file__).parent
F, I, U = np.float32, np.int32, np.uint32


class Launch(NamedTuple):
    """A kernel of a file, and a function that gives its arguments, and what some of them are to be afterwards."""

    file: str
    name: str
    make: Callable[..., tuple[tuple[Any, ...], dict[int, Any]]]
    grid: Any
    block: Any
    of: tuple[Any, ...] = ()  # what ``make`` takes beside a random generator
    shared: int = 0
    cooperative: bool = False
    tolerance: float = 1e-4
    variables: dict[str, Any] = {}  # noqa: RUF012  `__constant__` variables, and their values
    racy: str = ""  # the race that is in it, which a GPU forgives

    @property
    def kernel(self) -> str:
        """The kernel's name, without the arguments of a template."""
        return self.name.partition("<")[0]

    @property
    def title(self) -> str:
        return f"{self.file}-{self.name}"


LAUNCHES: list[Launch] = []


def launch(file: str, grid: Any, block: Any, name: str = "", **options: Any) -> Callable[[Any], Any]:
    """Enter a kernel, whose name is the function's if none is given."""

    def enter(make: Any) -> Any:
        LAUNCHES.append(Launch(f"{file}.cu", name or make.__name__, make, grid, block, **options))
        return make

    return enter


def cells(n: int, by: int) -> int:
    return -(-n // by)


def by_value(x: np.ndarray) -> np.void:
    """Make of an array the struct of these bytes, which is no array on the device."""
    return np.frombuffer(x.tobytes(), f"V{x.nbytes}")[0]
