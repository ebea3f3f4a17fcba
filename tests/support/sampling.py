"""Which part of many cases `make test` runs; `make thorough` runs all of them."""

import os
from collections.abc import Callable, Iterable
from typing import Any

import pytest

SEEDS = int(os.environ.get("FASTAE_SEEDS", "3"))  # of data for right kernels, which `make thorough` makes 8
WHOLE = SEEDS > 3  # whether this is `make thorough`, in which a test that is marked `larger` is at its largest


def some(cases: Iterable[Any]) -> list[Any]:
    """Return every seventh case of a grid, whose axes are not seven long, for a test marked `larger`."""
    return list(cases)[:: 1 if WHOLE else 7]


def sample(cases: Iterable[Any], every: int, name: Callable[[Any], str] = str) -> list[Any]:
    """Make parameters of cases; all but the first of every so many are left to `make thorough`."""
    marks = [pytest.mark.thorough]
    return [pytest.param(case, marks=marks * (i % every > 0), id=name(case)) for i, case in enumerate(cases)]


def seconds(rungs: Iterable[Any]) -> list[Any]:
    """Make parameters of rungs; all but the second of the sigmoid's ladders are left to `make thorough`."""
    marks = [pytest.mark.thorough]
    return [
        pytest.param(rung, marks=marks * ((rung.ladder, rung.number) != ("sigmoid", 2)), id=rung.exercise)
        for rung in rungs
    ]
