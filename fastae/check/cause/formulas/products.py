"""Matrix products: transpositions and factors."""

from typing import Any

import numpy as np

from fastae.check.cause.formulas.inputs import misread
from fastae.check.cause.formulas.parts import Ways, beta_out, factors


def ways(name: str, v: dict[str, Any]) -> Ways:
    """Yield what a wrong matrix product writes."""
    if name != "matmul":
        return
    a, b, alpha, rest = v["a"], v["b"], v["alpha"], beta_out(v)
    A, B = factors(v)

    def product(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return alpha * (x @ y) + rest

    for key, flag, x, X in (("a", v["trans_a"], a, A), ("b", v["trans_b"], b, B)):
        if x.shape[0] == x.shape[1]:
            other = X.T
        elif flag:
            other = x.reshape(X.shape)  # as it lies in memory
        else:
            continue
        text = f"trans_{key} is ignored" if flag else f"{key} is transposed although trans_{key} is not set"
        yield text, product(other, B) if key == "a" else product(A, other)
        if flag and x.shape[0] != x.shape[1]:  # with its own row stride: what lies beyond its end is unknown
            own = _untransposed(x, X.shape)
            result = product(own, B) if key == "a" else product(A, own)
            if not np.isnan(result).all():
                yield text, np.ma.array(result, mask=np.isnan(result))
        unseen = f"trans_{key} is not looked at where {key} is square"
        for how, taken in (
            ("it is always transposed then", X if flag else other),
            ("it is never transposed then", other if flag else X),
        ):
            taken = taken if x.shape[0] == x.shape[1] else X
            yield f"{unseen}: {how}", product(taken, B) if key == "a" else product(A, taken)
        for text, wrong in misread(key, X) if flag else ():
            if not np.isnan(wrong).any():  # of the transposed factor; of the array itself, see `inputs`
                yield text, product(wrong, B) if key == "a" else product(A, wrong)
    if a.shape[0] == a.shape[1] and b.shape[0] == b.shape[1]:
        if v["trans_a"] and v["trans_b"]:
            yield "trans_a and trans_b are ignored", product(a, b)
        if v["trans_a"] != v["trans_b"]:
            exchanged = product(A.T, B.T)
            yield "trans_a and trans_b are exchanged", exchanged
    if A.shape == B.shape == A.T.shape:
        yield "the factors are exchanged", product(B, A)
        yield "the elements are multiplied one by one: there is no sum over k", product(A * B, np.eye(len(A)))
    yield "the magnitudes are summed: a sign is lost", product(np.abs(A), np.abs(B))
    yield "one factor is divided by the other", product(A, 1 / B)
    yield "one factor is divided by the other", product(1 / A, B)
    yield "the factors are added, not multiplied", alpha * (A.sum(axis=1)[:, None] + B.sum(axis=0)) + rest


def _untransposed(x: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return what is read with an array's own rows as if it had another shape; NaN beyond its end."""
    at = np.arange(shape[0])[:, None] * x.shape[1] + np.arange(shape[1])
    return np.where(at < x.size, x.ravel().take(at, mode="clip"), np.nan)
