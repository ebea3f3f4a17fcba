"""Calls for what ordinary calls do not show, a function for each; `CHECKS`, at the end, lists them.

Each takes the backend, the kernel's name, the seed of the data and the verdict, whose calls it counts. It returns a
`Problem`, or None if nothing is wrong. To add a check, write such a function and add it to `CHECKS`.
"""

import re
import time
from collections.abc import Collection
from typing import Any

import numpy as np

from fastae.backends.base import Backend
from fastae.backends.contract import KERNELS, PATCHES
from fastae.backends.cupy_backend.launcher import NUMBERS
from fastae.check.calls import cases
from fastae.check.calls.cases import made
from fastae.check.calls.evidence import judged
from fastae.check.cause.experiments import RACE
from fastae.check.file.failure import KernelFailed
from fastae.check.problem import Problem, Verdict, of_call
from fastae.check.sandbox.remote import Remote

NAN_FROM = {"relu_gradient": ["delta"]}  # the inputs that get a NaN; by default each
HUGE = {  # activations, and the likely cause if one is wrong for huge numbers
    "bias_sigmoid": "e^−t overflows or ∞ / ∞ is computed: write it so that no finite t gives NaN",
    "bias_tanh": "e^t overflows and ∞ / ∞ is computed, or digits cancel where t is small: write it so that neither is",
    "bias_relu": "0 · ∞ is NaN: choose between t and 0, do not multiply",
}
COARSE: dict[str, dict[str, Any]] = {  # long sums; their results are no numbers of 10 bits
    "matmul": {"m": 3, "k": 520, "n": 4, "alpha": 1.0, "beta": 0.0},
    "column_sum": {"m": 520, "n": 4, "alpha": 1.0, "beta": 0.0},
    "mse_loss": {"m": 3, "n": 520},
    "convolve": {"m": 1, "height": 9, "width": 9, "kernel": 7, "stride": 1, "padding": 0, "channels": 11, "c": 2},
}
REPEATED, REPEAT_SECONDS = 20, 0.25  # repetitions of a call, and for how long
ORDERS = 6  # in which threads and blocks take turns
LOST = (
    "what comes out depends on which thread comes first: between two atomic operations of one, another's may come and "
    "be lost; make them one (atomicAdd, or a loop around atomicCAS)"
)


def _given(name: str, m: int, n: int, k: int = 0, side: int = 5) -> dict[str, Any]:
    """Return lengths and numbers for a kernel; a kernel for images gets two images, ``convolve`` no padding."""
    if name == "axpy":
        return {"...": (m, n), "alpha": -0.25}
    if name in PATCHES:  # whether NaN in a weight shows in the padding is left open
        padding = 0 if name == "convolve" else 1
        geometry = {"height": side, "width": side + 1, "kernel": 3, "stride": 2, "padding": padding}
        return {"m": 2, **geometry, "channels": 2} | ({"c": 3} if name == "convolve" else {})
    return {"m": m, "n": n} | ({"k": k, "alpha": 1.0, "beta": 0.0} if name == "matmul" else {})


def _aliases(backend: Backend | Remote, name: str, seed: int, verdict: Verdict) -> Problem | None:
    """Pass one array as output and input, where the contract allows it."""
    for alias in KERNELS[name].alias:
        verdict.calls += 1
        given = {"m": 9, "n": 70}
        arguments = made(name, "float64", given, [seed, 1000])
        call = judged(name, "float64", given, True, arguments, cases.call(backend, name, arguments, alias=alias).found)
        if verdict.rejects(call):
            apart = judged(name, "float64", given, True, arguments, cases.call(backend, name, arguments).found)
            if apart.verdict == "wrong":
                return of_call(apart, apart.case)
            cause = f"an element of the input is read after it has been overwritten: {alias} may be one array"
            return of_call(call, f"{alias} is one array", cause)
    return None


def _special(backend: Backend | Remote, name: str, seed: int, verdict: Verdict) -> Problem | None:
    """Put NaN into each input, and huge and infinite numbers into activations."""
    for key in NAN_FROM.get(name) or [key for key in KERNELS[name].shapes if key != "out"]:
        if name in ("axpy", "gather", "advance"):
            break
        verdict.calls += 1
        given = _given(name, 4, 37, 6)
        arguments = made(name, "float64", given, [seed, 2000])
        places = [0, 20 % arguments[key].size]
        arguments[key].flat[places] = np.nan
        if name == "relu_gradient":
            arguments["y"].flat[places] = 1  # where y is 0, the contract leaves open whether NaN or 0 is written
        exact, _ = cases.expected(name, arguments, "float64")
        found = cases.call(backend, name, arguments).found
        wrong = np.isnan(found) != np.isnan(exact)
        if wrong.any():
            plain = made(name, "float64", given, [seed, 2000])
            apart = judged(name, "float64", given, True, plain, cases.call(backend, name, plain).found)
            if apart.verdict == "wrong":  # without NaN too
                return of_call(apart, apart.case)
            lost = np.isnan(exact)[wrong].any()
            cause = (
                "a comparison or a maximum hides NaN" if lost else "NaN spreads to elements that do not depend on it"
            )
            share = np.where(wrong, np.where(np.isnan(found), np.nan, np.inf), 0)
            return Problem(f"NaN in {key} is {'lost' if lost else 'spread'}", f"NaN in {key}", [cause], wrong, share)
    if name in HUGE:
        for dtype in ("float32", "float64"):
            verdict.calls += 1
            arguments = extremes(dtype)
            found = cases.call(backend, name, arguments, block=False).found
            call = judged(name, dtype, {"m": len(found), "n": 1}, False, arguments, found)
            if verdict.rejects(call):
                huge = np.finfo(dtype).max
                return of_call(call, f"t from {-huge:.0e} to {huge:.0e}, {dtype}", HUGE[name])
    return None


def extremes(dtype: str) -> dict[str, Any]:
    """Return arguments of an activation whose sums range to the largest number of `dtype` and to infinity."""
    huge = float(np.finfo(dtype).max)
    t = np.array([0, 1e-30, 89, -89, 800, -800, huge, -huge, np.inf, -np.inf], dtype)
    return {"z": t[:, None], "bias": np.zeros(1, dtype), "out": np.full((len(t), 1), np.nan, dtype)}


def _remembers(backend: Backend | Remote, name: str, seed: int, verdict: Verdict) -> Problem | None:
    """Call with the same arrays and other contents: a kernel that returns an earlier answer is wrong."""
    if name in ("advance", "axpy"):
        return None
    given = _given(name, 8, 8, 8)
    first, second = (made(name, "float64", given, [seed, number]) for number in (3000, 3001))
    if name == "gather":  # other rows, as many
        second |= {"images": 255 - first["images"], "order": first["order"], "offset": first["offset"]}
    verdict.calls += 2
    found = cases.call(backend, name, second, block=False, before=first).found
    call = judged(name, "float64", given, False, second, found)
    if verdict.rejects(call):
        cause = "an answer is kept from an earlier call, by the arrays' address or shape"
        return of_call(call, "the same arrays with other contents", cause)
    return None


def _on_device(backend: Backend | Remote, name: str, seed: int, verdict: Verdict) -> Problem | None:
    """Pass numbers in the memory of the device, one or all, as training passes the learning rate."""
    numbers = [key for key in NUMBERS if key in KERNELS[name].arguments]
    if backend.name not in ("cupy", "emulator"):
        return None
    trials = [({key}, 2.0) for key in numbers]
    if "beta" in numbers:
        trials += [({"beta"}, 0.0), (set(numbers), 2.0)]  # where beta is 0 the old out is NaN, and must not be read
    for keys, beta in trials:
        verdict.calls += 1
        given = {"m": 8, "n": 8, "k": 8, "...": (8, 8), "alpha": -0.25, "beta": beta}
        lengths = {letter for letters in KERNELS[name].shapes.values() for letter in letters}
        given = {x: y for x, y in given.items() if x in KERNELS[name].arguments or x in lengths}
        arguments = made(name, "float64", given, [seed, 4000])
        found = cases.call(backend, name, arguments, on_device=keys).found
        call = judged(name, "float64", given, True, arguments, found)
        if verdict.rejects(call):
            cause = _cause_on_device(name, keys, arguments, found)
            return of_call(call, f"{' and '.join(sorted(keys))} on the device", cause)
    return None


def _cause_on_device(name: str, keys: Collection[str], arguments: dict[str, Any], found: np.ndarray) -> str:
    """Return the likely cause if numbers on the device are used wrongly; their values as arguments are 0."""
    if arguments.get("beta") == 0:
        return "the old out is read where *beta_at is 0: ask whether beta is 0 after *beta_at has been taken for it"
    if len(keys) > 1:
        return "alpha_at and beta_at are not both read where neither is null"
    (key,) = keys
    if np.allclose(found, cases.expected(name, arguments | {key: 0.0}, "float64")[0], rtol=1e-6, equal_nan=True):
        return f"{key}_at is not read: the {key} is on the device there; where {key}_at is not null, take *{key}_at"
    return f"{key}_at is not read as it should be: where it is not null, *{key}_at counts, and {key} means nothing"


def _repeats(backend: Backend | Remote, name: str, seed: int, verdict: Verdict) -> Problem | None:
    """Repeat a call, since a race is not lost every time. The emulator finds races in one call."""
    if backend.name == "emulator" or name == "advance":
        return None
    given = _given(name, 48, 65, 33) if name == "matmul" else _given(name, 96, 784, side=14)
    arguments = made(name, "float32", given, [seed, 5000])
    began = time.monotonic()
    for _ in range(REPEATED):
        verdict.calls += 1
        call = judged(name, "float32", given, False, arguments, cases.call(backend, name, arguments, False).found)
        if verdict.rejects(call):
            again = cases.call(backend, name, arguments, False).found
            causes = [] if np.array_equal(again, call.found, equal_nan=True) else [RACE]
            return of_call(call, call.case, *causes)
        if time.monotonic() - began > REPEAT_SECONDS:
            break
    return None


def _interleaved(backend: Backend | Remote, name: str, seed: int, verdict: Verdict) -> Problem | None:
    """Let threads and blocks take turns between atomic operations: an update in two of them can be lost."""
    if backend.name != "emulator" or not re.search("atomic|volatile", getattr(backend, "source", "")):
        return None
    for turns in range(1, ORDERS + 1):
        verdict.calls += 1
        given = _given(name, 37, 70, 33, side=9)
        arguments = made(name, "float64", given, [seed, 8000])
        call = judged(name, "float64", given, False, arguments, cases.call(backend, name, arguments, turns=turns).found)
        if verdict.rejects(call):
            return of_call(call, f"{call.case}, blocks at once", LOST)
    return None


def _frozen(backend: Backend | Remote, name: str, seed: int, verdict: Verdict) -> Problem | None:
    """Pass read-only inputs: they must not change even for a moment, since others may read them."""
    if getattr(backend, "language", "") != "python" or name == "advance":
        return None
    verdict.calls += 1
    try:
        cases.call(backend, name, made(name, "float64", _given(name, 3, 4, 2), [seed, 6000]), frozen=True)
    except KernelFailed as error:
        if "read-only" in str(error):
            cause = "an input is used as scratch memory, though it is as before in the end"
            return Problem("it writes into an input", "inputs that cannot be written to", [cause])
    return None


def _coarse(backend: Backend | Remote, name: str, seed: int, verdict: Verdict) -> Problem | None:
    """Sum numbers that a format of fewer bits rounds to one side, so that the errors add up and do not cancel.

    1 + 2⁻¹² is 1 in TF32, float16 and bfloat16, and 1 + 2⁻²⁵ is 1 in float32.
    """
    for dtype, words in (("float32", "TF32, float16 or bfloat16"), ("float64", "float32")):
        if name not in COARSE:
            break
        verdict.calls += 1
        arguments, step = coarse(name, dtype, seed)
        call = judged(name, dtype, COARSE[name], True, arguments, cases.call(backend, name, arguments).found)
        if verdict.rejects(call):
            share = float(np.max(np.abs(call.found - call.exact) / np.abs(call.exact)))
            lost = step / 8 < share < 64 * step  # numbers rounded to 1, or a rounded accumulator
            causes = [f"too low a precision: in a long sum, numbers or sums are rounded to {words}"] if lost else []
            return of_call(call, f"every number 1 + {step:.3g}, {call.case}", *causes)
    return None


def coarse(name: str, dtype: str, seed: int) -> tuple[dict[str, Any], float]:
    """Return arguments whose numbers are all 1 + step, and step."""
    step = 2.0**-12 if dtype == "float32" else 2.0**-25
    arguments = made(name, dtype, COARSE[name], [seed, 7000])
    for key, x in arguments.items():
        if isinstance(x, np.ndarray) and key != "out":
            x[...] = 0 if key == "x" and name == "mse_loss" else 1 + step
    return arguments, step


CHECKS = (
    ("the output and an input one array", _aliases),
    ("NaN, infinities or huge numbers", _special),
    ("the same arrays with other contents", _remembers),
    ("alpha, beta and scale on the device", _on_device),
    ("the same arguments again and again", _repeats),
    ("threads and blocks that take turns", _interleaved),
    ("inputs that cannot be written to", _frozen),
    ("numbers that a format of fewer bits has not", _coarse),
)
