"""The inputs of any kernel: exchanged, rounded, or read from the wrong place."""

from typing import Any

import numpy as np

from fastae.check.calls.cases import WRITTEN
from fastae.check.cause.formulas.parts import FORMATS, ROUNDED, Ways, reference


def ways(name: str, v: dict[str, Any]) -> Ways:
    """Yield what a kernel writes that reads an input wrongly; masked where what it reads is unknown."""
    if name == "advance":
        return
    written = WRITTEN.get(name, "out")
    inputs = {key: x for key, x in v.items() if isinstance(x, np.ndarray) and x.dtype.kind == "f" and key != written}
    for text, (_, convert) in FORMATS.items() if inputs else ():
        rounds = f"{ROUNDED}: the inputs are rounded to {text} before anything is computed"
        yield rounds, reference(name, v, **{key: convert(x) for key, x in inputs.items()})
        if "bfloat16" in text or "TF32" in text:  # which many cut rather than round
            yield rounds, reference(name, v, **{key: _cut(x, FORMATS[text][0]) for key, x in inputs.items()})
        for key, x in inputs.items() if len(inputs) > 1 else ():
            yield (
                f"{ROUNDED}: {key} is rounded to {text} before anything is computed",
                reference(name, v, **{key: convert(x)}),
            )
    if len(inputs) > 1:
        cut = "the inputs are cut to whole numbers before anything is computed"
        yield cut, reference(name, v, **{key: np.trunc(x) for key, x in inputs.items()})
    pairs = [(p, q) for p in inputs for q in inputs if p < q and inputs[p].shape == inputs[q].shape]
    for p, q in pairs if name != "matmul" else ():
        yield f"{q} and {p} are exchanged", reference(name, v, **{p: inputs[q], q: inputs[p]})
        yield f"{q} is read in {p}'s place", reference(name, v, **{p: inputs[q]})
        yield f"{p} is read in {q}'s place", reference(name, v, **{q: inputs[p]})
    for key, x in inputs.items():
        for text, other in misread(key, x):
            changed = reference(name, v, **{key: other})
            yield text, np.ma.array(changed, mask=np.isnan(changed)) if np.isnan(other).any() else changed


def misread(key: str, x: np.ndarray) -> Ways:
    """Yield wrong readings of an input, NaN where what is read is unknown."""
    yield f"{key} is left out: taken as 0", np.zeros_like(x)
    yield f"{key} is left out: taken as 1", np.ones_like(x)
    yield f"the sign of {key} is wrong", -x
    yield f"the sign of {key} is lost", np.abs(x)
    yield f"{key} is cut to whole numbers", np.trunc(x)
    yield f"{key} is rounded to whole numbers", np.rint(x)
    yield f"{key} is squared", x * x
    if x.ndim == 2 and x.shape[0] == x.shape[1]:
        yield f"{key} is read transposed", x.T
    if x.ndim == 2 and 1 not in x.shape and x.shape[0] != x.shape[1]:
        yield f"{key} is read as if its rows were its columns", x.T.reshape(x.shape)
        yield f"{key} is read as if its rows were its columns", x.reshape(x.shape[::-1]).T
    for axis, line in ((0, "row"), (1, "column")) if x.ndim == 2 else ((0, "element"),):
        length = x.shape[axis]
        if length == 1:
            continue
        yield f"only the first {line} of {key} is read", np.broadcast_to(x.take([0], axis), x.shape).copy()
        yield f"only the last {line} of {key} is read", np.broadcast_to(x.take([-1], axis), x.shape).copy()
        yield f"the {line}s of {key} are read in reverse", np.flip(x, axis)
        for far, step in (("too far", 1), ("too early", -1)):
            text = f"{key} is read one {line} {far}: its index is off by one"
            at = np.arange(length) + step
            inside = (at >= 0) & (at < length)
            shape = (-1, 1) if axis == 0 and x.ndim == 2 else (-1,)
            for beyond in (np.nan, 0.0):  # what lies there
                yield text, np.where(inside.reshape(shape), x.take(at, axis, mode="clip"), beyond)
            yield text, x.take(at, axis, mode="wrap")
            yield text, x.take(at, axis, mode="clip")


def _cut(x: np.ndarray, bits: int) -> np.ndarray:
    """Cut a mantissa after so many bits."""
    mantissa, exponent = np.frexp(x)
    return np.ldexp(np.trunc(np.ldexp(mantissa, bits + 1)), exponent - bits - 1)
