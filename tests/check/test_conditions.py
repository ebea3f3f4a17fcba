"""What is said of the calls in which a kernel is wrong: it must hold, and be no more than these calls show."""

import numpy as np
import pytest

from fastae.check.calls import shapes
from fastae.check.calls.evidence import WHEN, Call
from fastae.check.cause import conditions


@pytest.mark.parametrize("block", [2, 4, 8])
@pytest.mark.parametrize(("name", "letter"), [("matmul", x) for x in "mkn"] + [("mse_loss", x) for x in "mn"])
def test_a_kernel_that_works_in_whole_blocks_is_wrong_where_there_is_a_rest(name: str, letter: str, block: int) -> None:
    exact, wrong, bound = (np.full(1, x) for x in (1.0, 2.0, 0.5))
    calls = [
        Call(name, dtype, given, gaps, {}, wrong if given[letter] % block else exact, exact, bound)
        for dtype, given, gaps in shapes.ordinary(name, 1)
    ]
    assert conditions.when(calls)[0] == f"{WHEN} always and only where {letter} is no multiple of {block}"


def test_block_sizes_that_the_calls_do_not_distinguish_are_all_named() -> None:
    exact, wrong, bound = (np.full(1, x) for x in (1.0, 2.0, 0.5))
    calls = [
        Call("mse_loss", "float32", {"m": m, "n": 3}, False, {}, wrong if m % 4 else exact, exact, bound)
        for m in (2, 3, 5, 6, 7, 9, 10, 11, 8, 24, 40, 56, 72, 88, 104, 120)
    ]
    text, _ = conditions.when(calls)
    assert text == f"{WHEN} always and only where m is no multiple of 4 or 8 (these calls do not tell which)"
