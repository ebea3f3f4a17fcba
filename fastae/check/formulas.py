"""The known ways to be wrong, each as a formula: what a kernel would write that is wrong in that way.

Four kinds: those of one kernel (`fastae.check.own_formulas`), those of patches (`fastae.check.patch_formulas`), those
of a sum (`fastae.check.sums`: a term or a slice of it left out), and those that befall any kernel (an input read one
row too far, a result transposed, a number taken twice).
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from fastae.check.bounds import rounded
from fastae.check.cases import REFERENCE, WRITTEN
from fastae.check.own_formulas import FORMULAS, Formula, sigmoid
from fastae.check.patch_formulas import known as known_of_patches
from fastae.check.sums import TERMS, beta_out, factors, of_all, sums

Known = Iterator[tuple[str, np.ndarray]]

ROUNDED = "too low a precision"
FORMATS: dict[str, tuple[int, Formula]] = {  # what inputs are rounded to: bits of the mantissa, and how
    "float32": (23, lambda x: x.astype(np.float32).astype(np.float64)),
    "float16": (10, lambda x: x.astype(np.float16).astype(np.float64)),
    "TF32 (10 bits of mantissa)": (10, lambda x: rounded(x, 10)),
    "bfloat16": (7, lambda x: rounded(x, 7)),
}


def hypotheses(name: str, v: dict[str, Any]) -> Known:
    """Yield each known way to be wrong, and what it would have written, for these arguments in float64.

    The likelier come first. What a formula cannot know, such as what lies beyond an array, is masked.
    """
    right = reference(name, v)
    yield from known_of_patches(name, v)
    if name in TERMS:
        yield from sums(name, v)
    if name == "matmul":
        yield from _products(v)
    elif name == "column_sum":
        yield from of_all(v)
    for text, formula in FORMULAS.get(name, ()):
        keys = [key for key in v if key != WRITTEN.get(name, "out") or name in ("axpy", "advance")]
        yield text, np.asarray(formula(*(v[key] for key in keys)), dtype=right.dtype)
    yield from _numbers(name, v)
    if name != "advance":
        yield from _results(name, v)
        yield from _inputs(name, v)
    yield "nothing is written", v[WRITTEN.get(name, "out")].copy()


def reference(name: str, v: dict[str, Any], **changed: Any) -> np.ndarray:
    """Return what the right kernel writes, some arguments replaced by others."""
    values = {k: x.copy() if isinstance(x, np.ndarray) else x for k, x in (v | changed).items()}
    getattr(REFERENCE, name)(**values)
    return values[WRITTEN.get(name, "out")]


def _products(v: dict[str, Any]) -> Known:
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
        unseen = f"trans_{key} is not looked at where {key} is square"
        for how, taken in (
            ("it is always transposed then", X if flag else other),
            ("it is never transposed then", other if flag else X),
        ):
            taken = taken if x.shape[0] == x.shape[1] else X
            yield f"{unseen}: {how}", product(taken, B) if key == "a" else product(A, taken)
        for text, misread in _misread(key, X) if flag else ():
            if not np.isnan(misread).any():  # of the transposed factor; of the array itself, see `_inputs`
                yield text, product(misread, B) if key == "a" else product(A, misread)
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


# Numbers: alpha, beta and scale.


def _numbers(name: str, v: dict[str, Any]) -> Known:
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


def _each_time(name: str, v: dict[str, Any]) -> Known:
    """Yield what is written where every term of the sum multiplies all that was there before it by beta."""
    beta, old = v["beta"], v["out"]
    A, B = factors(v) if name == "matmul" else (np.ones((1, len(v["delta"]))), v["delta"])
    left = beta ** np.arange(len(B) - 1.0, -1, -1)
    terms = (A * left) @ B
    text = "beta is applied with every term of the sum, not once"
    yield text, v["alpha"] * terms.reshape(old.shape) + beta ** len(B) * old


def _reread(old: np.ndarray, core: np.ndarray, beta: float) -> Known:
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


# Inputs, of any kernel.


def _inputs(name: str, v: dict[str, Any]) -> Known:
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
    pairs = [(p, q) for p in inputs for q in inputs if p < q and inputs[p].shape == inputs[q].shape]
    for p, q in pairs if name != "matmul" else ():
        yield f"{q} and {p} are exchanged", reference(name, v, **{p: inputs[q], q: inputs[p]})
        yield f"{q} is read in {p}'s place", reference(name, v, **{p: inputs[q]})
        yield f"{p} is read in {q}'s place", reference(name, v, **{q: inputs[p]})
    for key, x in inputs.items():
        for text, other in _misread(key, x):
            changed = reference(name, v, **{key: other})
            yield text, np.ma.array(changed, mask=np.isnan(changed)) if np.isnan(other).any() else changed


def _misread(key: str, x: np.ndarray) -> Known:
    """Yield ways to read an input wrongly; NaN where nobody knows what is read."""
    yield f"{key} is left out: taken as 0", np.zeros_like(x)
    yield f"{key} is left out: taken as 1", np.ones_like(x)
    yield f"the sign of {key} is wrong", -x
    yield f"the sign of {key} is lost", np.abs(x)
    yield f"{key} is cut to whole numbers", np.trunc(x)
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


# Results, of any kernel.


def _results(name: str, v: dict[str, Any]) -> Known:
    rest = beta_out(v) if name != "axpy" else v["y"]
    core = reference(name, v, **({"beta": 0.0} if "beta" in v else {})) - (rest if name == "axpy" else 0)
    for text, other in _miswritten(core):
        if other.shape == core.shape:
            yield text, other + rest
    alpha = v.get("alpha", 1.0)
    for text, other in _miswritten(core / alpha) if alpha not in (0, 1) else ():
        if other.shape == core.shape:
            yield text, alpha * other + rest  # before alpha is applied


def _miswritten(y: np.ndarray) -> Known:
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


def _cut(x: np.ndarray, bits: int) -> np.ndarray:
    """Cut a mantissa after so many bits."""
    mantissa, exponent = np.frexp(x)
    return np.ldexp(np.trunc(np.ldexp(mantissa, bits + 1)), exponent - bits - 1)
