"""Why a kernel is imprecise (`fastae.check.wide`): for which inputs it loses digits, how many, and by which formula.

The inputs are described by a quantity, such as t or y, of which the elements that lose digits have a range of their
own. A formula is named if it gives the same errors.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from fastae.check import bounds, wide
from fastae.check.calls.evidence import Call
from fastae.check.problem import Problem

Values = dict[str, Any]

OVERLAP = 0.05  # share of elements without loss by which the range of a quantity may be worse than another's
SELECTIVE = 0.5  # largest share of elements without loss in a range that is named
LOOKED = 8  # calls whose errors are compared with known formulas
ALIKE, MOSTLY = 0.1, 0.75  # errors agree within a tenth, in this share of the elements

BETTER = {
    "matmul": "sum the products of the elements of a and b themselves, in any order",
    "bias_sigmoid": "1 / (1 + exp(−t)), in which nothing cancels and e^∞ gives 0; or exp(t) / (1 + exp(t)) for t < 0",
    "sigmoid_gradient": "delta · y · (1 − y): 1 − y is exact where y is near 1",
    "bias_tanh": "tanh(t), or E / (E + 2) with E = expm1(2 t)",
    "tanh_gradient": "delta · (1 − y) · (1 + y), or delta · (1 − y · y)",
    "bias_relu": "max(0, z + bias)",
    "relu_gradient": "delta where y > 0, else 0: nothing is computed",
    "mse_gradient": "2 · scale · (z − x) · z · (1 − z): z − x and 1 − z are exact where they are small",
    "bce_gradient": "scale · (z − x): z − x is exact where it is small",
    "mse_loss": "the sum of (z − x)²: the difference first, then the square",
    "bce_loss": "the sum of x · log z and (1 − x) · log1p(−z), each logarithm for itself",
    "column_sum": "alpha times the sum, plus beta · out",
    "axpy": "y + alpha · x",
    "gather": "pixel / 255",
    "unfold": "a copy: nothing is computed",
    "fold": "the sum of what the patches have for a pixel, in any order",
    "convolve": "the sum of the products of a patch and a kernel; Fourier transforms add what is far away too",
}


def _t(v: Values) -> np.ndarray:
    return np.asarray(v["z"] + v["bias"])


def _alike(v: Values) -> np.ndarray:
    return np.asarray(np.abs(v["z"] - v["x"]) / (np.abs(v["z"]) + np.abs(v["x"])))


QUANTITIES: dict[str, list[tuple[str, Callable[[Values], np.ndarray]]]] = {
    "bias_sigmoid": [("t = z + bias", _t)],
    "bias_tanh": [("|t|, t = z + bias,", lambda v: np.abs(_t(v)))],
    "bias_relu": [("|z + bias| / (|z| + |bias|)", lambda v: np.abs(_t(v)) / (np.abs(v["z"]) + np.abs(v["bias"])))],
    "sigmoid_gradient": [("y", lambda v: v["y"]), ("y (1 − y)", lambda v: v["y"] * (1 - v["y"]))],
    "tanh_gradient": [("|y|", lambda v: np.abs(v["y"]))],
    "mse_gradient": [("z", lambda v: v["z"]), ("|z − x| / (z + x)", _alike)],
    "bce_gradient": [("|z − x| / (z + x)", _alike)],
    "mse_loss": [
        ("Σ (z − x)² / Σ (z² + x²)",
         lambda v: np.sum((v["z"] - v["x"]) ** 2, axis=1) / np.sum(v["z"] ** 2 + v["x"] ** 2, axis=1)),
    ],
    "gather": [("the pixel", lambda v: 255 * v["exact"])],
}  # fmt: skip


def _sigmoid(t: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-t))


KNOWN: dict[str, list[tuple[str, Callable[..., np.ndarray]]]] = {  # of arrays in the dtype of the computation
    "bias_sigmoid": [
        ("(1 + tanh(t / 2)) / 2: tanh is near −1 there, and 1 + tanh cancels",
         lambda z, bias: (1 + np.tanh((z + bias) / 2)) / 2),
        ("1 − σ(−t): σ(−t) is near 1 there, and the difference cancels", lambda z, bias: 1 - _sigmoid(-(z + bias))),
    ],
    "bias_tanh": [
        ("2 σ(2 t) − 1: 2 σ is near 1 there, and the difference cancels",
         lambda z, bias: 2 / (1 + np.exp(-2 * (z + bias))) - 1),
        ("1 − 2 σ(−2 t): 2 σ is near 1 there, and the difference cancels",
         lambda z, bias: 1 - 2 / (1 + np.exp(2 * (z + bias)))),
        ("a quotient of exponentials: both are near 1 there, and their difference cancels",
         lambda z, bias: (np.exp(z + bias) - np.exp(-(z + bias))) / (np.exp(z + bias) + np.exp(-(z + bias)))),
        ("a quotient of exponentials: e^2t is near 1 there, and e^2t − 1 cancels",
         lambda z, bias: (np.exp(2 * (z + bias)) - 1) / (np.exp(2 * (z + bias)) + 1)),
    ],
    "sigmoid_gradient": [
        ("y − y²: y² is rounded, and the difference cancels where y is near 1", lambda delta, y: delta * (y - y * y)),
        ("delta · y − delta · y²: products are rounded, and the difference cancels where y is near 1",
         lambda delta, y: delta * y - delta * y * y),
        ("¼ − (y − ½)²: the difference cancels where y is near 0 or 1",
         lambda delta, y: delta * (0.25 - (y - 0.5) ** 2)),
    ],
    "mse_gradient": [
        ("z − z²: z² is rounded, and the difference cancels where z is near 1",
         lambda z, x, scale: 2 * scale * (z - x) * (z - z * z)),
        ("z² − z³ − x z + x z²: the products are rounded, and what they have in common cancels",
         lambda z, x, scale: 2 * scale * (z**2 - z**3 - x * z + x * z**2)),
    ],
    "bce_gradient": [
        ("scale · z − scale · x: both products are rounded, and the difference cancels where z is near x",
         lambda z, x, scale: scale * z - scale * x),
        ("(1 − x) z − x (1 − z): both products are rounded, and the difference cancels where z is near x",
         lambda z, x, scale: scale * ((1 - x) * z - x * (1 - z))),
    ],
    "mse_loss": [
        ("Σ z² − 2 Σ z x + Σ x²: the squares are rounded, and the sums cancel where z is near x",
         lambda z, x: np.sum(z * z, axis=1) - 2 * np.sum(z * x, axis=1) + np.sum(x * x, axis=1)),
    ],
}  # fmt: skip


class Loss(NamedTuple):
    """The element of a call that loses most digits.

    Attributes
    ----------
    call : Call
    place : tuple of int
        Its index in the output.
    digits, of : float
        How many decimal digits are lost, and how many the best formula has there.
    """

    call: Call
    place: tuple[int, ...]
    digits: float
    of: float


def problem(calls: Sequence[Call], tried: int) -> Problem:
    """Describe the loss of digits of an imprecise kernel.

    Parameters
    ----------
    calls : sequence of Call
        The imprecise calls of the kernel.
    tried : int
        The number of all calls.

    Returns
    -------
    Problem
        With ``example`` and ``better``.
    """
    with np.errstate(all="ignore"):
        worst = max((_loss(call) for call in calls), key=lambda loss: loss.digits)
        call = worst.call
        what = f"{_digits(worst)} {_where(calls)}, in {len(calls)} of {tried} calls"
        shown = int(np.clip(worst.of - worst.digits + 2, 3, 17))
        found, exact = (f"{float(x[worst.place]):.{shown}g}" for x in (call.found, call.exact))
        example = f"{_place(worst)}: {found} is written, {exact} is right"
        causes = _named(calls)
    return Problem(what, call.case, causes, call.wrong, call.share, example=example, better=BETTER[call.name])


def _loss(call: Call) -> Loss:
    """Find where a call loses most digits: the decimal logarithm of its error over the best formula's."""
    error, size = np.abs(call.found - call.exact), np.abs(call.exact)
    u = bounds.unit_roundoff(call.dtype)
    best = np.maximum(call.bound, u * size)
    of = np.where(size == 0, -np.log10(u), np.clip(np.log10(size / best), 0, -np.log10(u)))
    lost = np.minimum(np.log10(error / best), of)
    lost = np.where(call.wrong, np.nan_to_num(lost, nan=0.0), -1)
    place = np.unravel_index(int(np.argmax(lost)), lost.shape)
    return Loss(call, tuple(int(i) for i in place), float(lost[place]), float(of[place]))


def _digits(loss: Loss) -> str:
    if loss.digits < 1:
        return "up to one decimal digit is lost"
    return f"up to {loss.digits:.0f} of {loss.of:.0f} decimal digits are lost"


def _place(loss: Loss) -> str:
    """Name the element by the inputs that it depends on, or by its place."""
    call, v, at = loss.call, loss.call.values, loss.place
    if call.name in ("bias_sigmoid", "bias_tanh", "bias_relu"):
        return f"z + bias = {float(np.broadcast_to(_t(v), call.exact.shape)[at]):.6g}"
    keys = [key for key in ("delta", "z", "y", "x") if key in v and v[key].shape == call.exact.shape]
    if keys and call.name.endswith("gradient"):
        return ", ".join(f"{key} = {call.arguments[key][at]!s}" for key in keys)
    return f"at [{', '.join(str(i) for i in at)}]"


# For which inputs.


def _where(calls: Sequence[Call]) -> str:
    """Return in words the range of a quantity in which elements lose digits, if few others are in it."""
    lost = np.concatenate([call.wrong.ravel() for call in calls])
    quantities = [*((text, _of_values(f), True) for text, f in QUANTITIES.get(calls[0].name, ())), SMALL]
    for most, word in ((0.0, "where"), (0.05, "mostly where")):
        told: list[tuple[float, str]] = []
        for text, quantity, either in quantities:
            x = np.concatenate([np.broadcast_to(quantity(call), call.exact.shape).ravel() for call in calls])
            known = np.isfinite(x)
            if not (lost & known).any() or not (~lost & known).any():
                continue
            low, high = (float(q) for q in np.quantile(x[lost & known], (most, 1 - most)))
            rest = x[~lost & known]
            told.append((float(np.mean(rest <= high)), f"{word} {text} is below {_rounded(high, up=True)}"))
            if either:
                told.append((float(np.mean(rest >= low)), f"{word} {text} is above {_rounded(low, up=False)}"))
        told = [(share, text) for share, text in told if share <= SELECTIVE]
        if told:
            least = min(share for share, _ in told)
            return next(text for share, text in told if share <= least + OVERLAP)
    return "throughout"


def _of_values(quantity: Callable[[Values], np.ndarray]) -> Callable[[Call], np.ndarray]:
    return lambda call: quantity(call.values | {"exact": call.exact})


def _size(call: Call) -> np.ndarray:
    """Return the results relative to the numbers that they are computed from."""
    return np.abs(call.exact) / wide.weighed(call.name, call.values, call.exact)[1]


SMALL = ("the result, beside the numbers that it is computed from,", _size, False)


def _rounded(x: float, up: bool) -> str:
    """Round to few digits, but keep the distance from 0 and from 1."""
    for digits in range(1, 17):
        step = 10.0 ** (np.floor(np.log10(abs(x))) + 1 - digits) if x else 1.0
        rounded = float((np.ceil if up else np.floor)(x / step) * step)
        if abs(rounded - x) <= 0.1 * min(abs(x), abs(1 - x)):
            return f"{rounded:.{max(digits, 5)}g}"
    return f"{x:.17g}"


# By which formula.


def _named(calls: Sequence[Call]) -> list[str]:
    """Name the formula that has these errors, computed in the dtype of the arrays or in float64."""
    name = calls[0].name
    some = [calls[i] for i in sorted(set(np.linspace(0, len(calls) - 1, LOOKED).astype(int)))]
    for text, formula in KNOWN.get(name, ()):
        for inner in (None, "float64"):
            if np.concatenate([_same(call, formula, inner) for call in some]).mean() >= MOSTLY:
                return [f"it is {text}"]
    cut = {float(x) for call in calls for x in call.found[call.wrong]}
    if name == "bias_sigmoid" and len(cut) == 1 and min(cut) > 0:
        return [f"t is cut off at {np.log(min(cut)):.4g}, where σ is not 0 yet"]
    return []


def _same(call: Call, formula: Callable[..., np.ndarray], inner: str | None) -> np.ndarray:
    """Return at which of the elements that lose digits a formula has the same errors."""
    arguments = {key: x for key, x in call.arguments.items() if key != call.written}
    if "bias" in arguments and inner:  # the sum is rounded before
        arguments |= {"z": arguments["z"] + arguments["bias"], "bias": np.zeros_like(arguments["bias"])}
    dtype = np.dtype(inner or call.dtype)
    given = {key: x.astype(dtype) if isinstance(x, np.ndarray) else dtype.type(x) for key, x in arguments.items()}
    predicted = formula(**given).astype(call.found.dtype)[call.wrong].astype(np.float64)
    found, exact = call.found[call.wrong], call.exact[call.wrong]
    same: np.ndarray = np.abs(found - predicted) <= ALIKE * np.abs(found - exact)
    return same
