"""What an error looks like: the likely cause, from a wrong kernel's result.

Each known way to be wrong is a formula: what a kernel writes that is wrong in that way. The one whose result is found
is named; where none is, the places of the errors tell something.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from fastae.check.cases import REFERENCE, WRITTEN, in_float64

Formula = Callable[..., np.ndarray]


def likely(name: str, arguments: dict[str, Any], found: np.ndarray, exact: np.ndarray, bound: np.ndarray) -> list[str]:
    """Name what may be wrong, the likeliest first.

    Parameters
    ----------
    name : str
        A kernel of the contract.
    arguments : dict
        With which it was called.
    found, exact, bound : ndarray
        What it wrote, what it should have, and how far from that it might have been.

    Returns
    -------
    list of str
        Empty if nothing is known.
    """
    named = []
    with np.errstate(all="ignore"):
        for text, wrong in hypotheses(name, in_float64(arguments)):
            fits = wrong.shape == exact.shape and np.allclose(
                found, wrong, rtol=1e-4, atol=_scale(exact) * 1e-5, equal_nan=True
            )
            differs = wrong.shape == exact.shape and not np.all(np.abs(wrong - exact) <= 8 * bound)
            if fits and differs:
                named.append(text)
        return named or list(_patterns(found, exact, bound))


def _scale(exact: np.ndarray) -> float:
    finite = np.abs(exact[np.isfinite(exact)])
    return float(finite.mean()) if finite.size else 1.0


def hypotheses(name: str, v: dict[str, Any]) -> Iterator[tuple[str, np.ndarray]]:
    """Yield each known way to be wrong, and what it would have written, for these arguments in float64."""

    def reference(**changed: Any) -> np.ndarray:
        """What the right kernel writes for other arguments."""
        values = {k: x.copy() if isinstance(x, np.ndarray) else x for k, x in (v | changed).items()}
        out = values[WRITTEN.get(name, "out")]
        getattr(REFERENCE, name)(**values)
        return out

    right, old = reference(), v[WRITTEN.get(name, "out")]
    yield "the sign is wrong", -right
    yield "nothing is written", old.copy()
    if name in ("matmul", "column_sum"):
        alpha, beta = v["alpha"], v["beta"]
        yield "alpha is left out", reference(alpha=1.0)
        yield "alpha is applied twice", reference(alpha=alpha * alpha)
        if beta:
            yield "beta · out is left out", reference(beta=0.0)
            yield "the old out is added whole: beta is left out", reference(beta=1.0)
            yield "alpha is applied to the old out too", reference(beta=alpha * beta)
            yield "beta · out is subtracted", reference(beta=-beta)
        else:
            yield "the old out is read although beta is 0", np.full_like(right, np.nan)
    if name == "matmul":
        yield from _products(v, right)
    elif name == "column_sum":
        delta = v["delta"]
        rest = 0 if v["beta"] == 0 else v["beta"] * old
        yield "it takes the mean of the rows, not the sum", v["alpha"] * delta.mean(axis=0) + rest
        yield "the last row is left out", v["alpha"] * delta[:-1].sum(axis=0) + rest
        yield "the first row is left out", v["alpha"] * delta[1:].sum(axis=0) + rest
        if delta.shape[0] == delta.shape[1]:
            yield "it sums along the rows, not down the columns", v["alpha"] * delta.sum(axis=1) + rest
    else:
        for text, formula in FORMULAS.get(name, ()):
            yield text, np.asarray(formula(*(v[key] for key in _needed(name, v))), dtype=right.dtype)


def _needed(name: str, v: dict[str, Any]) -> list[str]:
    return [key for key in v if key != WRITTEN.get(name, "out") or name in ("axpy", "advance")]


def _products(v: dict[str, Any], right: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    a, b = v["a"], v["b"]
    A, B = a.T if v["trans_a"] else a, b.T if v["trans_b"] else b
    rest = 0 if v["beta"] == 0 else v["beta"] * v["out"]
    k = A.shape[1]

    def product(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return v["alpha"] * (x @ y) + rest

    if k > 1:
        yield "the last term of the sum over k is left out", product(A[:, :-1], B[:-1])
        yield "the first term of the sum over k is left out", product(A[:, 1:], B[1:])
        yield "only the last term of the sum over k is kept", product(A[:, -1:], B[-1:])
        for tile in (4, 8, 16, 32, 64, 128):
            whole = k // tile * tile
            if 0 < whole < k:
                yield f"the sum over k stops at the last whole slice of {tile}", product(A[:, :whole], B[:whole])
    if a.shape[0] == a.shape[1]:
        yield "trans_a is ignored, or taken for its opposite", product(A.T, B)
    if b.shape[0] == b.shape[1]:
        yield "trans_b is ignored, or taken for its opposite", product(A, B.T)
    if A.shape == B.shape == A.T.shape:
        yield "the factors are exchanged", product(B, A)
        yield "the result is transposed", v["alpha"] * (A @ B).T + rest
    yield "the magnitudes are summed: a sign is lost", product(np.abs(A), np.abs(B))


def _sigmoid(t: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-t))


def _rows(images: np.ndarray, order: np.ndarray, first: int, like: int) -> np.ndarray:
    return images[order[first : first + like]] / 255


FORMULAS: dict[str, list[tuple[str, Formula]]] = {
    "bias_sigmoid": [
        ("the bias is left out", lambda z, bias: _sigmoid(z)),
        ("the bias is subtracted", lambda z, bias: _sigmoid(z - bias)),
        ("σ is left out: the sum is written", lambda z, bias: z + bias),
        ("it is 1 / (1 + e^t): the exponent's sign is wrong", lambda z, bias: _sigmoid(-(z + bias))),
        ("it is tanh, not the sigmoid", lambda z, bias: np.tanh(z + bias)),
        ("the bias is added after σ", lambda z, bias: _sigmoid(z) + bias),
        ("only the first bias is used for all columns", lambda z, bias: _sigmoid(z + bias[0])),
        ("it is e^t: the division is left out", lambda z, bias: np.exp(z + bias)),
    ],
    "sigmoid_gradient": [
        ("1 − y is left out", lambda delta, y: delta * y),
        ("y is left out", lambda delta, y: delta * (1 - y)),
        ("delta is left out", lambda delta, y: y * (1 - y)),
        ("it is y (1 + y)", lambda delta, y: delta * y * (1 + y)),
        ("it is 1 − y², the derivative of tanh", lambda delta, y: delta * (1 - y * y)),
        ("σ is applied to y, which is a σ already", lambda delta, y: delta * _sigmoid(y) * (1 - _sigmoid(y))),
        ("the product is added to delta", lambda delta, y: delta + y * (1 - y)),
    ],
    "mse_gradient": [
        ("the factor 2 is left out", lambda z, x, s: s * (z - x) * z * (1 - z)),
        ("scale is left out", lambda z, x, s: 2 * (z - x) * z * (1 - z)),
        ("σ′ = z (1 − z) is left out", lambda z, x, s: 2 * s * (z - x)),
        ("z of σ′ = z (1 − z) is left out", lambda z, x, s: 2 * s * (z - x) * (1 - z)),
        ("1 − z of σ′ = z (1 − z) is left out", lambda z, x, s: 2 * s * (z - x) * z),
        ("it divides by scale", lambda z, x, s: 2 / s * (z - x) * z * (1 - z)),
        ("σ′ is taken of x, not of z", lambda z, x, s: 2 * s * (z - x) * x * (1 - x)),
        ("it is the cross-entropy's gradient", lambda z, x, s: s * (z - x)),
    ],
    "bce_gradient": [
        ("scale is left out", lambda z, x, s: z - x),
        ("it divides by scale", lambda z, x, s: (z - x) / s),
        ("σ′ is not cancelled: it is multiplied by z (1 − z)", lambda z, x, s: s * (z - x) * z * (1 - z)),
        ("there is a factor 2, as the squared error has it", lambda z, x, s: 2 * s * (z - x)),
        ("z and x are added", lambda z, x, s: s * (z + x)),
    ],
    "mse_loss": [
        ("it takes the mean over pixels, not the sum", lambda z, x: ((z - x) ** 2).mean(axis=1)),
        ("the square is left out", lambda z, x: (z - x).sum(axis=1)),
        ("it takes magnitudes, not squares", lambda z, x: np.abs(z - x).sum(axis=1)),
        ("there is a factor ½", lambda z, x: ((z - x) ** 2).sum(axis=1) / 2),
        ("it takes the root of the sum", lambda z, x: np.sqrt(((z - x) ** 2).sum(axis=1))),
        ("the last pixel is left out", lambda z, x: ((z - x)[:, :-1] ** 2).sum(axis=1)),
        ("the first pixel is left out", lambda z, x: ((z - x)[:, 1:] ** 2).sum(axis=1)),
    ],
    "bce_loss": [
        ("the term (1 − x) log(1 − z) is left out", lambda z, x: -(x * _log(z)).sum(axis=1)),
        ("the term x log z is left out", lambda z, x: -((1 - x) * _log(1 - z)).sum(axis=1)),
        ("it takes the mean over pixels, not the sum",
         lambda z, x: -(x * _log(z) + (1 - x) * _log(1 - z)).mean(axis=1)),
        ("z and x are exchanged", lambda z, x: -(z * _log(x) + (1 - z) * _log(1 - x)).sum(axis=1)),
        ("the logarithms are to base 2", lambda z, x: -(x * _log(z) + (1 - x) * _log(1 - z)).sum(axis=1) / np.log(2)),
        ("the logarithms are not floored at −100: log 0 is −∞",
         lambda z, x: -(x * np.log(z) + (1 - x) * np.log(1 - z)).sum(axis=1)),
        ("the last pixel is left out",
         lambda z, x: -(x * _log(z) + (1 - x) * _log(1 - z))[:, :-1].sum(axis=1)),
    ],
    "axpy": [
        ("alpha is left out", lambda alpha, x, y: y + x),
        ("y is overwritten, not added to", lambda alpha, x, y: alpha * x),
        ("alpha · x is subtracted", lambda alpha, x, y: y - alpha * x),
        ("alpha is applied to y", lambda alpha, x, y: alpha * y + x),
        ("alpha is applied to both", lambda alpha, x, y: alpha * (x + y)),
    ],
    "gather": [
        ("it does not divide by 255", lambda i, o, c, f: 255 * _rows(i, o, c[0] + f, len(o) - c[0] - f - 1)),
        ("it divides by 256", lambda i, o, c, f: 255 / 256 * _rows(i, o, c[0] + f, len(o) - c[0] - f - 1)),
        ("offset is left out", lambda i, o, c, f: _rows(i, o, c[0], len(o) - c[0] - f - 1)),
        ("the cursor is left out", lambda i, o, c, f: _rows(i, o, f, len(o) - c[0] - f - 1)),
        ("the order is left out: rows are taken as they lie",
         lambda i, o, c, f: _rows(i, np.arange(len(i)), c[0] + f, len(o) - c[0] - f - 1)),
    ],
    "advance": [
        ("the cursor is set to n, not advanced by it", lambda cursor, n: np.array([n])),
        ("it advances by 1, not by n", lambda cursor, n: cursor + 1),
        ("it goes back by n", lambda cursor, n: cursor - n),
    ],
}  # fmt: skip


def _log(t: np.ndarray) -> np.ndarray:
    return np.maximum(np.log(t), -100)


def _patterns(found: np.ndarray, exact: np.ndarray, bound: np.ndarray) -> Iterator[str]:
    """Tell something from where the errors lie, and from how large they are."""
    bad = ~(np.abs(found - exact) <= bound)
    ratio = found[bad] / exact[bad]
    if np.isfinite(ratio).all() and np.ptp(ratio) <= 1e-4 * abs(ratio.mean()) and abs(ratio.mean() - 1) > 1e-3:
        yield f"every wrong element is {ratio.mean():.5g} times what it should be: a factor is missing or wrong"
    elif np.isfinite(found[bad]).all() and np.max(np.abs(found - exact)) < 2e-2 * max(_scale(exact), 1e-300):
        yield "the errors are small everywhere: sums or inputs are kept in too low a precision"
    if bad.ndim == 2 and not bad.all():
        rows, cols = np.flatnonzero(bad.any(axis=1)), np.flatnonzero(bad.any(axis=0))
        for what, lines, length in (("rows", rows, bad.shape[0]), ("columns", cols, bad.shape[1])):
            if len(lines) == length:
                continue
            if np.array_equal(lines, np.arange(lines[0], length)):
                yield f"only the last {what} are wrong, from {lines[0]} on: the guard at the edge of a tile"
            elif np.array_equal(lines, np.arange(lines[-1] + 1)):
                yield f"only the first {what} are wrong, up to {lines[-1]}"
            elif len(set(np.diff(lines))) == 1 and len(lines) > 1:
                yield f"only every {lines[1] - lines[0]}th of the {what} is wrong, from {lines[0]} on"
    elif bad.ndim == 1 and not bad.all():
        where = np.flatnonzero(bad)
        if np.array_equal(where, np.arange(where[0], len(bad))):
            yield f"only the last elements are wrong, from {where[0]} on: the guard at the edge of a block"
    if np.isnan(found).any() and not np.isnan(exact).any():
        yield "there are NaN: something was read that nobody had written, or 0 · ∞ or ∞ − ∞ was computed"
