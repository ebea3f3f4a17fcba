"""The pictures of a wrong kernel's errors, of whatever size they are."""

from pathlib import Path

import numpy as np
import pytest
from learner_files import Write, loaded

from fastae.check import pictures, verdict
from fastae.check.calls import shapes
from fastae.check.problem import Problem


@pytest.mark.parametrize(
    "share",
    [
        np.array([[0.5, 1e300], [2.0, 1.7e308]]),
        np.array([[1e308]]),
        np.array([1.0000001, 0.0]),
        np.full((3, 4), np.inf),
        np.full((2, 2), np.nan),
        np.array([[np.nan, np.inf, 5e-324, 1e21, 1.5]]),
        np.zeros((2, 3)),
    ],
    ids=["huge", "one huge", "just wrong", "infinite", "NaN only", "everything", "all right"],
)
def test_errors_of_any_size_are_drawn(share: np.ndarray, tmp_path: Path) -> None:
    problem = Problem("some elements are wrong", "m=2, n=2", ["a cause"], share > 1, share)
    pictures.draw(tmp_path / "errors.png", "axpy", problem)
    assert (tmp_path / "errors.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.usefixtures("patient")
def test_an_error_beside_a_tiny_bound_is_not_infinite(
    monkeypatch: pytest.MonkeyPatch, write: Write, tmp_path: Path
) -> None:
    """σ of a σ where the slope is next to 0: the error is 10^300 bounds and more, and drawn as an error."""
    text = """import numpy as np
def sigmoid(t): return 1 / (1 + np.exp(-t))
def sigmoid_gradient(delta, y, out): out[:] = 1e3 * delta * sigmoid(y) * (1 - sigmoid(y))
"""
    monkeypatch.setattr(shapes, "DTYPES", ("float64",))
    problems = verdict.examine(loaded(write(text)), "sigmoid_gradient", 1).problems
    problem = max((p for p in problems if p.share is not None), key=lambda p: p.share.max())
    assert problem.share is not None
    assert np.isfinite(problem.share).all()
    assert problem.share.max() > 1e300
    pictures.draw(tmp_path / "errors.png", "sigmoid_gradient", problem)
