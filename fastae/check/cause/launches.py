"""Elements for which the launch of a ``.cu`` kernel has no thread: its blocks compared with what is unwritten."""

import re
from collections.abc import Sequence

import numpy as np

from fastae.backends.emulator.source import without_comments
from fastae.check.calls.evidence import Call
from fastae.check.file.launch_comments import divided, launch_of

X, Y = 0, 1  # axes of a launch
EXCHANGED = (
    "rows and columns of threads are exchanged: the launch has blocks in x for one of them, and the kernel takes x "
    "for the other"
)
SAME_BLOCKS = "blockIdx is not used: every block of the launch computes the same elements"


def shows(call: Call) -> bool:
    """Whether an element that is not written would be wrong in this call."""
    return bool(call.given.get("alpha", 1)) and call.given.get("beta") != 1 and call.found.ndim > 0


def untouched(call: Call) -> bool:
    """Whether all of the output is as it was before the call."""
    return np.array_equal(call.found, call.arguments[call.written], equal_nan=True)


def repeated(source: str, calls: Sequence[Call]) -> list[str]:
    """Return a cause if no code asks for its block, and calls are wrong whose launch has several.

    Parameters
    ----------
    source : str
        The text of the file.
    calls : sequence of Call
        Right and wrong calls of one kernel.

    Returns
    -------
    list of str
        Empty if the file is no CUDA, a block is asked for, or other calls are wrong than those of several blocks.
    """
    code = without_comments(source)
    if "__global__" not in code or re.search(r"blockIdx|ctaid|cooperative_groups|#\s*include", code):
        return []
    told = all((max(_blocks(source, c)) > 1) == c.is_wrong for c in calls if shows(c))
    return [SAME_BLOCKS] if told else []


def unreached(source: str, calls: Sequence[Call]) -> list[str]:
    """Return the likely cause if in all calls exactly the elements beyond the launch's blocks are unwritten.

    Parameters
    ----------
    source : str
        The text of the file.
    calls : sequence of Call
        Right and wrong calls of one kernel.

    Returns
    -------
    list of str
        Empty if something else is unwritten, or the file is no CUDA.
    """
    seen = [c for c in calls if not c.fault and shows(c)]
    if "__global__" not in source or not all(_unwritten(c) for c in seen if c.is_wrong):
        return []
    blocks = [_blocks(source, c) for c in seen]
    if missed := divided_away(source, seen):
        return missed
    if any(c.found.ndim == 2 for c in seen):  # a vector among matrices is one row
        wrong = [np.atleast_2d(c.wrong) for c in seen]
        if all(map(_is_corner, wrong)):
            written = [tuple(_reach(~x, axis) for axis in (0, 1)) for x in wrong]
            return _of_matrices(written, [x.shape for x in wrong], blocks, [_threads(source, c) for c in seen])
    flat = [_reach(~c.wrong.reshape(-1), 0) for c in seen]
    if any(c.wrong.reshape(-1)[:n].any() for c, n in zip(seen, flat)):
        return []
    sizes, in_x = [c.found.size for c in seen], [n[X] for n in blocks]
    few = "one block" if max(in_x, default=0) == 1 else "too few blocks"
    return [f"the launch has {few}: no thread for the last elements"] if _step(flat, sizes, in_x) else []


def divided_away(source: str, seen: Sequence[Call]) -> list[str]:
    """Return a cause for each quotient of a launch that has a remainder in every wrong call and in no right one."""
    found = [set(divided(source, c.name, c.arguments)) for c in seen]
    rests = [rest for rest, c in zip(found, seen) if c.is_wrong]
    if not rests or not all(rests) or any(rest for rest, c in zip(found, seen) if not c.is_wrong):
        return []
    return [
        f"the launch's {quotient} is whole-number division, which misses the last block: it starts no block where "
        f"{length} is below {divisor}; write ceil({quotient})"
        for quotient, length, divisor in sorted(set().union(*rests))
    ]


def _of_matrices(
    written: list[tuple[int, ...]],
    lengths: list[tuple[int, ...]],
    blocks: list[tuple[int, int]],
    threads: list[tuple[int, int]],
) -> list[str]:
    few, exchanged = list[str](), False
    for axis, what, usual in ((0, "rows", Y), (1, "columns", X)):
        reach, length = ([x[axis] for x in pairs] for pairs in (written, lengths))
        if reach == length:
            continue
        counts = {of: [n[of] for n in blocks] for of in (usual, 1 - usual)}
        steps = {of: step for of in counts if (step := _step(reach, length, counts[of]))}
        if not steps:
            return []
        of = next((of for of in steps if max(counts[of]) == 1), next(iter(steps)))
        if max(counts[of]) == 1:
            few.append(f"the launch has one {'column' if of == X else 'row'} of blocks: no thread for the other {what}")
        elif axis == 1 and of == Y and any(pair[0] > most[X] for pair, most in zip(written, threads)):
            return []  # more rows are written than there are threads in x, which an exchange would give them
        elif of != usual or all(n * steps[of] >= most for n, most in zip(counts[1 - of], length)):
            exchanged = True  # in the kernel, or in the launch
        else:
            few.append(f"the launch has too few blocks in {'xy'[of]}: no thread for the other {what}")
    return few or ([EXCHANGED] if exchanged else [])


def _step(reach: Sequence[int], lengths: Sequence[int], counts: Sequence[int]) -> int:
    """Return how many elements a block writes, if that explains what is written in each call; else 0."""
    steps = {r / n if n else r for r, length, n in zip(reach, lengths, counts) if r < length and (n or r)}
    step = int(steps.pop()) if len(steps) == 1 else 0
    return step if all(min(length, step * n) == r for r, length, n in zip(reach, lengths, counts)) else 0


def _blocks(source: str, call: Call) -> tuple[int, int]:
    """Return the numbers of blocks of a call's launch, in x and in y."""
    grid, *_ = launch_of(source, call.name, call.arguments)
    return grid[X], (*grid, 1)[Y]


def _threads(source: str, call: Call) -> tuple[int, int]:
    """Return the numbers of threads of a call's launch, in x and in y."""
    grid, block, _ = launch_of(source, call.name, call.arguments)
    return grid[X] * block[X], (*grid, 1)[Y] * (*block, 1)[Y]


def _unwritten(call: Call) -> bool:
    """Whether all wrong elements are as they were before the call."""
    old, found = (x[call.wrong] for x in (call.arguments[call.written], call.found))
    return bool(((found == old) | (np.isnan(found) & np.isnan(old))).all())


def _is_corner(wrong: np.ndarray) -> bool:
    """Whether the right elements are the first rows of the first columns."""
    right = ~wrong
    return bool(right.any() and right[: _reach(right, 0), : _reach(right, 1)].all())


def _reach(right: np.ndarray, axis: int) -> int:
    """Return the number of rows or columns up to the last one with a right element."""
    lines = right.any(axis=tuple(i for i in range(right.ndim) if i != axis))
    return int(np.flatnonzero(lines)[-1]) + 1 if lines.any() else 0
