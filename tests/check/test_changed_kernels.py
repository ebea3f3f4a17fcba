"""Right kernels with one thing changed: whatever changes what is computed must be called wrong."""

from pathlib import Path

import image_loops
import pytest
from changed_kernels import CUDA, EMULATED, LOOPS, MUTANTS, NUMPY, SAME, Mutant
from learner_files import Write, loaded

from fastae.check import verdict
from fastae.check.calls import shapes
from fastae.check.cause import explain as causes

pytestmark = pytest.mark.thorough


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer and smaller shapes, still with a whole tile and more than one; and no more time than it takes."""
    monkeypatch.setattr(shapes, "PRODUCTS", ((1, 1, 1), (2, 3, 4), (6, 4, 1), (8, 5, 3), (8, 8, 8), (9, 17, 11)))
    monkeypatch.setattr(shapes, "MATRICES", ((1, 1), (1, 5), (3, 4), (8, 8), (9, 17)))
    monkeypatch.setattr(shapes, "IMAGES", image_loops.SMALL)
    monkeypatch.setattr(verdict, "MOST_PROBLEMS", 4)
    monkeypatch.setattr(causes, "MOST_CALLS", 2)  # what is the cause is tested elsewhere


def is_wrong(mutant: Mutant, path: Path) -> bool:
    return verdict.examine(loaded(path), mutant.kernel, 3).verdict == "wrong"


def test_the_originals_are_right(write: Write) -> None:
    for name, text in (("numpy.py", NUMPY), ("loops.py", LOOPS), ("tile.cu", CUDA)):
        k = loaded(write(text, name))
        assert [p for kernel in k.kernels for p in verdict.examine(k, kernel, 3).problems] == [], name


@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.change for mutant in MUTANTS])
def test_a_mutant_is_called_wrong(mutant: Mutant, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    if MUTANTS.index(mutant) % 10:  # of nine in ten the cause, which takes five times as long, is not looked for
        monkeypatch.setattr(verdict, "diagnosed", lambda *found: verdict.Problem("wrong", mutant.change, []))
    assert is_wrong(mutant, write(mutant.text)) == (mutant.change not in SAME), SAME.get(mutant.change)


@pytest.mark.parametrize("mutant", EMULATED, ids=[mutant.change for mutant in EMULATED])
def test_a_cuda_mutant_is_called_wrong(mutant: Mutant, write: Write) -> None:
    assert is_wrong(mutant, write(mutant.text, "mutant.cu")) == (mutant.change not in SAME), SAME.get(mutant.change)


def test_there_are_many_mutants_and_the_list_of_those_that_are_none_is_up_to_date() -> None:
    changes = [mutant.change for mutant in MUTANTS + EMULATED]
    assert len(changes) == len(set(changes))
    assert set(SAME) <= set(changes)
    assert len(changes) - len(SAME) > 200
