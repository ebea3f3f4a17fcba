"""The numbers alpha, beta and scale: left out, exchanged, applied twice or to the wrong part."""

from typing import Any

import numpy as np

from fastae.check.cause.formulas.parts import Ways, factors, reference


def ways(name: str, v: dict[str, Any]) -> Ways:
    """Yield what a kernel writes that uses a number wrongly."""
    for key in ("alpha", "beta", "scale"):
        if key not in v or (key == "beta" and v[key] == 0):
            continue
        x = v[key]
        if key == "beta":
            yield "beta · out is left out", reference(name, v, beta=0.0)
            yield "the old out is added whole: beta is left out", reference(name, v, beta=1.0)
        else:
            yield f"{key} is left out", reference(name, v, **{key: 1.0})
        yield f"{key} is applied twice", reference(name, v, **{key: x * x})
        yield f"the sign of {key} is wrong", reference(name, v, **{key: -x})
        yield f"the sign of {key} is lost", reference(name, v, **{key: abs(x)})
        yield f"it divides by {key}", reference(name, v, **{key: 1 / x if x else np.inf})
        yield f"{key} is taken as a whole number", reference(name, v, **{key: float(int(x))})
    if "beta" not in v:
        return
    alpha, beta, old = v["alpha"], v["beta"], v["out"]
    core = reference(name, v, beta=0.0)
    whole = reference(name, v, beta=0.0, alpha=1.0)
    yield "alpha and beta are exchanged", beta * whole + alpha * old
    if beta:
        yield "alpha is applied to the old out too", core + alpha * beta * old
        yield "alpha is applied to the old out, not to the sum", whole + alpha * beta * old
        yield "alpha is applied to the old out in beta's place", core + alpha * old
        yield "the result is multiplied by beta too", beta * (core + old)
        yield "only beta · out is written: the sum is left out", beta * old
        yield "only alpha is added, not multiplied by", whole + alpha + beta * old
        yield "beta is added, not multiplied by", core + beta + old
        yield from _each_time(name, v)
        yield from _reread(old, core, beta)
    yield "the sum is begun with the old out, not with 0", core + alpha * old + (beta * old if beta else 0)
    yield "the old out is added once more", core + old + (beta * old if beta else 0)


def _each_time(name: str, v: dict[str, Any]) -> Ways:
    """Yield what is written where every term of the sum multiplies all that was there before it by beta."""
    beta, old = v["beta"], v["out"]
    A, B = factors(v) if name == "matmul" else (np.ones((1, len(v["delta"]))), v["delta"])
    left = beta ** np.arange(len(B) - 1.0, -1, -1)
    terms = (A * left) @ B
    text = "beta is applied with every term of the sum, not once"
    yield text, v["alpha"] * terms.reshape(old.shape) + beta ** len(B) * old


def _reread(old: np.ndarray, core: np.ndarray, beta: float) -> Ways:
    """Yield what is written where another element of the old out is read, before or after it was overwritten."""
    if old.ndim == 2 and old.shape[0] == old.shape[1]:
        text = "the old out is read transposed"
        whole = core + beta * old.T
        yield text, whole
        yield text, np.triu(whole) + np.tril(core + beta * np.triu(whole).T, -1)
    for line, axis in (("row", 0), ("column", 1)) if old.ndim == 2 else (("element", 0),):
        text = f"the old out is read one {line} too early: its index is off by one"
        yield text, core + beta * np.roll(old, 1, axis)
        after, lines = old.copy(), range(old.shape[axis])  # the last is read as the one before the first
        for i in lines:
            at = (slice(None),) * axis + (i,)
            before = (slice(None),) * axis + (i - 1,)
            after[at] = core[at] + beta * after[before]
        yield text, after
