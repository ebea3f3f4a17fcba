"""The ways in which a kernel can be wrong, each as a formula for what such a kernel would write.

`fastae.check.cause.explain` compares what a kernel has written with every formula. To add a way to be wrong of

- one kernel: add a line to the table of that kernel, in `kernels` or `activations`;
- several kernels: write a function ``ways`` in a new file of this folder, and add it to `NAMED` below.

Then add a kernel with that fault to ``fastae/check/gallery``, whose tests check that its cause is found.

A function of the tables below takes the name of a kernel and its arguments, whose floats are float64. It yields pairs:
the fault in words, and an array of the shape of the output, masked where a formula cannot know what is written. It
yields nothing for a kernel that it does not apply to.
"""

from collections.abc import Callable
from typing import Any

from fastae.check.calls.cases import WRITTEN
from fastae.check.cause.formulas import edits, inputs, kernels, numbers, patch_edits, patches, products, results, sums
from fastae.check.cause.formulas.parts import Ways


def _nothing(name: str, v: dict[str, Any]) -> Ways:
    yield "nothing is written", v[WRITTEN.get(name, "out")].copy()


Source = Callable[[str, dict[str, Any]], Ways]
NAMED: tuple[Source, ...] = (  # the likelier first: of formulas that explain a result equally well the first is named
    patches.ways,  # unfold, fold and convolve: where patches lie, in which order
    sums.ways,  # terms of a sum left out, added twice or not begun anew
    products.ways,  # transpositions and factors of a matrix product
    kernels.ways,  # one kernel: its mathematics
    numbers.ways,  # alpha, beta and scale
    results.ways,  # any kernel: the sign, the rounding or the place of its result
    inputs.ways,  # any kernel: an input exchanged, rounded, or read from the wrong place
    _nothing,
)
EDITED: tuple[Source, ...] = (  # compared where no formula above explains the result
    patch_edits.ways,  # one edit of the index arithmetic of unfold, fold and convolve
    edits.ways,  # one edit of a kernel's formula
)


def named(name: str, v: dict[str, Any]) -> Ways:
    """Yield the known ways to be wrong, and what each would write.

    Parameters
    ----------
    name : str
        A kernel of the contract.
    v : dict
        Its arguments by name; floats in float64.
    """
    for ways in NAMED:
        yield from ways(name, v)


def edited(name: str, v: dict[str, Any]) -> Ways:
    """Yield the edits of a kernel's formula, as `named` does the known ways."""
    for ways in EDITED:
        yield from ways(name, v)
