"""Dense layers: every output depends on every input."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fastae.errors import InputError
from fastae.layers.layer import RULES, Layer, Rules, Shape, is_whole

RULES["dense"] = Rules(
    mirror="dense",
    shared=False,
    pixels=lambda layer: 1,
    channels=lambda layer: layer.outputs,
    shape=lambda layer: (layer.inputs, layer.outputs),
    fans=lambda layer: (layer.inputs, layer.outputs),
)


@dataclass(frozen=True)
class Dense:
    """A dense layer: each of its units depends on the whole input.

    Parameters
    ----------
    units : int or (height, width, channels)
        The number of units, or their shape as an image if a convolution follows.

    Raises
    ------
    InputError
        Units are neither a positive whole number nor a shape.

    Examples
    --------
    >>> print(Dense(128), Dense((7, 7, 32)))
    Dense(128) Dense((7, 7, 32))
    """

    units: int | tuple[int, int, int]

    def __post_init__(self) -> None:
        units = self.units if isinstance(self.units, Sequence) else (self.units,)
        if len(units) not in (1, 3) or not all(is_whole(n) and 0 < n < 2**31 for n in units):
            raise InputError(f"Dense takes a positive whole number, or a shape such as (7, 7, 32); got {self.units!r}")
        # A shape from JSON is a list, and JSON does not support integers of NumPy.
        object.__setattr__(self, "units", int(units[0]) if len(units) == 1 else tuple(int(n) for n in units))

    def layer(self, before: Shape) -> tuple[Layer, Shape]:
        """Return the layer for an input of shape ``before``, and the shape of its output."""
        after = Shape(1, 1, self.units) if isinstance(self.units, int) else Shape(*self.units)
        return Layer("dense", before.size, after.size), after

    def as_json(self) -> dict[str, Any]:
        """Return a description of the layer for JSON, which `fastae.layers.from_json` reads."""
        return {"Dense": [self.units if isinstance(self.units, int) else list(self.units)]}

    def __str__(self) -> str:
        return f"Dense({self.units})"
