"""The result of any kernel: its sign, its rounding, or the place to which it is written."""

from typing import Any

import numpy as np

from fastae.check.cause.formulas.parts import Ways, beta_out, reference, sigmoid


def ways(name: str, v: dict[str, Any]) -> Ways:
    """Yield results that are changed before they are written, or written elsewhere; masked at the edges."""
    if name == "advance":
        return
    rest = beta_out(v) if name != "axpy" else v["y"]
    core = reference(name, v, **({"beta": 0.0} if "beta" in v else {})) - (rest if name == "axpy" else 0)
    for text, other in _miswritten(core):
        if other.shape == core.shape:
            yield text, other + rest
    alpha = v.get("alpha", 1.0)
    for text, other in _miswritten(core / alpha) if alpha not in (0, 1) else ():
        if other.shape == core.shape:
            yield text, alpha * other + rest  # before alpha is applied


def _miswritten(y: np.ndarray) -> Ways:
    yield "the sign is wrong", -y
    yield "a sign is lost: the magnitude is written", np.abs(y)
    yield "zeros are written", np.zeros_like(y)
    yield "what is negative is cut off at 0", np.maximum(y, 0)
    yield "what is outside of 0 and 1 is cut off", np.clip(y, 0, 1)
    yield "the result is cut to a whole number, as by integer division", np.trunc(y)
    yield "the result is cut to a whole number, as by integer division", np.floor(y)
    yield "the result is rounded to a whole number", np.rint(y)
    yield "the result is squared", y * y
    yield "the root of the result is written", np.sqrt(y)
    yield "it is 1 minus what it should be", 1 - y
    yield "it is 1 over what it should be", 1 / y
    yield "σ is applied to the result once more", sigmoid(y)
    if y.ndim == 2:
        yield "the result is transposed", y.T if y.shape[0] == y.shape[1] else y.T.reshape(y.shape)
        if y.shape[0] != y.shape[1]:
            yield "the result is transposed", y.reshape(y.shape[::-1]).T
        if min(y.shape) > 1:
            diagonal = np.eye(*y.shape) > 0
            yield "only the diagonal is computed", np.where(diagonal, y, 0)
            yield "only the lower triangle is computed", np.tril(y)
            yield "only the upper triangle is computed", np.triu(y)
    for axis, line in ((0, "row"), (1, "column")) if y.ndim == 2 else ((0, "element"),):
        if y.shape[axis] == 1:
            continue
        yield f"every {line} is as the first should be", np.broadcast_to(y.take([0], axis), y.shape).copy()
        yield f"every {line} is as the last should be", np.broadcast_to(y.take([-1], axis), y.shape).copy()
        yield f"the {line}s are written in reverse", np.flip(y, axis)
        for what, of in (("sum", np.sum), ("mean", np.mean)) if y.ndim == 2 else ():
            yield f"every {line} is the {what} of all {line}s", np.broadcast_to(of(y, axis, keepdims=True), y.shape)
        for where, step in (("next", 1), ("previous", -1)):
            wrong, edge = np.roll(y, -step, axis), np.zeros(y.shape, bool)
            np.moveaxis(edge, axis, 0)[-1 if step == 1 else 0] = True
            yield f"each {line} is as the {where} should be: its index is off by one", np.ma.array(wrong, mask=edge)
