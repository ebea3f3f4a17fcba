"""The ways in which an activation or its derivative can be wrong."""

import numpy as np

from fastae.check.cause.formulas.parts import Formula, sigmoid


def _softmax(t: np.ndarray, axis: int) -> np.ndarray:
    """Return e^t, divided by the sum along an axis."""
    powers = np.exp(t - t.max(axis=axis, keepdims=True))
    total: np.ndarray = powers.sum(axis=axis, keepdims=True)
    return powers / total


SOFTMAX = {  # divided by one number for each row or column
    "it is softmax along the rows": lambda t: _softmax(t, 1),
    "it is softmax down the columns": lambda t: _softmax(t, 0),
}
NORMALISED: dict[str, Formula] = {  # what may be done to a sum before its activation
    f"the sums are normalised first: {what}": change
    for what, change in {
        "the mean of each column is subtracted": lambda t: t - t.mean(axis=0),
        "the mean of each row is subtracted": lambda t: t - t.mean(axis=1, keepdims=True),
        "each column to mean 0 and deviation 1": lambda t: (t - t.mean(axis=0)) / t.std(axis=0),
        "each row to mean 0 and deviation 1": lambda t: (t - t.mean(1, keepdims=True)) / t.std(1, keepdims=True),
        "each row is divided by its largest magnitude": lambda t: t / np.abs(t).max(axis=1, keepdims=True),
        "each row is divided by its norm": lambda t: t / np.linalg.norm(t, axis=1, keepdims=True),
    }.items()
}
BIASES: dict[str, Formula] = {  # what may be used in place of the bias
    "only the first bias is used for all columns": lambda bias: bias[0],
    "only the last bias is used for all columns": lambda bias: bias[-1],
    "the sum of all biases is added to each column": np.sum,
    "the mean of all biases is added to each column": np.mean,
}
ACTIVATED = {  # functions that may be used in place of an activation
    "it is tanh": np.tanh,
    "it is the sigmoid": sigmoid,
    "it is tanh(t / 2)": lambda t: np.tanh(t / 2),
    "it is tanh(2 t)": lambda t: np.tanh(2 * t),
    "it is max(t, 0), relu": lambda t: np.maximum(t, 0),
    "it is t / (1 + |t|), which only resembles tanh": lambda t: t / (1 + np.abs(t)),
    "it is arctan": np.arctan,
    "it is t cut off at −1 and 1": lambda t: np.clip(t, -1, 1),
    "it is the derivative 1 − tanh²": lambda t: 1 - np.tanh(t) ** 2,
    "it is the derivative: 1 where t > 0, else 0": lambda t: np.where(t > 0, 1.0, 0.0),
    "it is log(1 + e^t), which is smooth": lambda t: np.logaddexp(0, t),
    "it is t · σ(t)": lambda t: t * sigmoid(t),
    "it is e^t − 1 where t < 0": lambda t: np.where(t > 0, t, np.expm1(np.minimum(t, 0))),
    "it is |t|": np.abs,
    "it is min(t, 0): the comparison is the wrong way round": lambda t: np.minimum(t, 0),
    "it is cut off at 1": lambda t: np.clip(t, 0, 1),
    "it is max(t, 1): the floor is 1, not 0": lambda t: np.maximum(t, 1),
    "it is sinh": np.sinh,
    "it is cosh": np.cosh,
    "it is 1 / tanh": lambda t: 1 / np.tanh(t),
    "it is tan": np.tan,
    "it is e^t": np.exp,
    "it is sin": np.sin,
    "it is cut off at 6": lambda t: np.clip(t, 0, 6),
    **SOFTMAX,
}
LEAKS = (0.001, 0.01, 0.05, 0.1, 0.2, 0.25, 0.3)  # slopes below 0, where relu has none


def _activations(right: Formula, what: str) -> list[tuple[str, Formula]]:
    """Return the ways to be wrong of an activation of a biased sum."""
    return [
        ("the bias is left out", lambda z, bias: right(z)),
        ("the bias is subtracted", lambda z, bias: right(z - bias)),
        (f"{what} is left out: the sum is written", lambda z, bias: z + bias),
        ("the sign of the sum is wrong", lambda z, bias: right(-(z + bias))),
        (f"the bias is added after {what}", lambda z, bias: right(z) + bias),
        (f"the bias is subtracted after {what}", lambda z, bias: right(z) - bias),
        ("the bias is added twice", lambda z, bias: right(z + 2 * bias)),
        ("the bias is multiplied with, not added", lambda z, bias: right(z * bias)),
        *((text, lambda z, bias, f=f: right(z + f(bias))) for text, f in BIASES.items()),
        *((text, lambda z, bias, f=f: right(f(z + bias))) for text, f in NORMALISED.items()),
        ("the bias is taken by row, not by column",
         lambda z, bias: right(z + bias[: len(z), None]) if len(z) <= len(bias) else np.empty(0)),
        *((text, lambda z, bias, f=f: f(z + bias)) for text, f in ACTIVATED.items()),
    ]  # fmt: skip


ACTIVATIONS: dict[str, list[tuple[str, Formula]]] = {
    "bias_sigmoid": [
        ("the bias is left out", lambda z, bias: sigmoid(z)),
        ("the bias is subtracted", lambda z, bias: sigmoid(z - bias)),
        ("σ is left out: the sum is written", lambda z, bias: z + bias),
        ("it is 1 / (1 + e^t): the exponent's sign is wrong", lambda z, bias: sigmoid(-(z + bias))),
        ("it is 1 / (1 − e^−t): a sign is wrong", lambda z, bias: 1 / (1 - np.exp(-(z + bias)))),
        ("it is tanh, not the sigmoid", lambda z, bias: np.tanh(z + bias)),
        ("it is tanh(t / 2), which goes from −1 to 1", lambda z, bias: np.tanh((z + bias) / 2)),
        ("it is tanh(t / 2) / 2: the ½ that is added is left out", lambda z, bias: np.tanh((z + bias) / 2) / 2),
        ("it is (1 + tanh t) / 2: t is not halved", lambda z, bias: (1 + np.tanh(z + bias)) / 2),
        ("the bias is added after σ", lambda z, bias: sigmoid(z) + bias),
        ("the bias is added twice", lambda z, bias: sigmoid(z + 2 * bias)),
        ("the bias is multiplied with, not added", lambda z, bias: sigmoid(z * bias)),
        *((text, lambda z, bias, f=f: sigmoid(z + f(bias))) for text, f in BIASES.items()),
        *((text, lambda z, bias, f=f: sigmoid(f(z + bias))) for text, f in NORMALISED.items()),
        ("the bias is taken by row, not by column",
         lambda z, bias: sigmoid(z + bias[: len(z), None]) if len(z) <= len(bias) else np.empty(0)),
        ("it is e^t: the division is left out", lambda z, bias: np.exp(z + bias)),
        ("it is e^−t: the division is left out", lambda z, bias: np.exp(-(z + bias))),
        ("σ is applied twice", lambda z, bias: sigmoid(sigmoid(z + bias))),
        ("it is the derivative σ (1 − σ)", lambda z, bias: sigmoid(z + bias) * (1 - sigmoid(z + bias))),
        ("it is max(t, 0), not the sigmoid", lambda z, bias: np.maximum(z + bias, 0)),
        ("it is 1 / (1 + 2^−t): the base is 2, not e", lambda z, bias: 1 / (1 + np.exp2(-(z + bias)))),
        *(("it is a straight line that is cut off at 0 and 1, which only resembles σ",
           lambda z, bias, a=a: np.clip(a * (z + bias) + 0.5, 0, 1)) for a in (0.2, 1 / 6, 0.25, 0.5)),
        ("it is t / (1 + |t|), which only resembles σ", lambda z, bias: 0.5 + 0.5 * (z + bias) / (1 + abs(z + bias))),
        *((text, lambda z, bias, f=f: f(z + bias)) for text, f in SOFTMAX.items()),
        *((f"the sum is cut off at ±{c}, where σ still changes", lambda z, bias, c=c: sigmoid(np.clip(z + bias, -c, c)))
          for c in (5, 6, 8, 10, 15, 16, 20, 25, 30)),
    ],
    "sigmoid_gradient": [
        ("1 − y is left out", lambda delta, y: delta * y),
        ("y is left out", lambda delta, y: delta * (1 - y)),
        ("delta is left out", lambda delta, y: y * (1 - y)),
        ("σ′ = y (1 − y) is left out", lambda delta, y: delta),
        ("it is y (1 + y)", lambda delta, y: delta * y * (1 + y)),
        ("it is 1 − y², the derivative of tanh", lambda delta, y: delta * (1 - y * y)),
        ("σ is applied to y, which is a σ already", lambda delta, y: delta * sigmoid(y) * (1 - sigmoid(y))),
        ("the product is added to delta", lambda delta, y: delta + y * (1 - y)),
        ("σ is applied to y in 1 − y alone: it is y (1 − σ(y))", lambda delta, y: delta * y * (1 - sigmoid(y))),
        ("it is tanh's derivative of the sum: tanh is applied to y", lambda delta, y: delta * (1 - np.tanh(y) ** 2)),
        ("it is delta · σ(y): the derivative is left out", lambda delta, y: delta * sigmoid(y)),
        ("σ′ = y (1 − y) is applied twice", lambda delta, y: delta * (y * (1 - y)) ** 2),
        ("1 − y is applied twice", lambda delta, y: delta * (1 - y) ** 2),
        ("it divides by σ′ = y (1 − y)", lambda delta, y: delta / (y * (1 - y))),
        ("1 − delta is taken, not 1 − y", lambda delta, y: delta * y * (1 - delta)),
        ("parentheses are missing: it is delta · y · 1 − y", lambda delta, y: delta * y - y),
    ],
    "bias_tanh": [
        *_activations(np.tanh, "tanh"),
        *((f"the sum is cut off at ±{c}, where tanh still changes",
           lambda z, bias, c=c: np.tanh(np.clip(z + bias, -c, c))) for c in (1, 2, 3, 4, 5, 8, 10)),
    ],
    "bias_relu": [
        *_activations(lambda t: np.maximum(t, 0), "max(0, ·)"),
        *((f"it leaks: it is {c} · t where t < 0, not 0",
           lambda z, bias, c=c: np.where(z + bias > 0, z + bias, c * (z + bias))) for c in LEAKS),
    ],
    "tanh_gradient": [
        ("it is y (1 − y), the derivative of the sigmoid", lambda delta, y: delta * y * (1 - y)),
        ("1 − y² is left out", lambda delta, y: delta),
        ("delta is left out", lambda delta, y: 1 - y * y),
        ("it is 1 − y: the square is left out", lambda delta, y: delta * (1 - y)),
        ("it is 1 + y²", lambda delta, y: delta * (1 + y * y)),
        ("it is y²: 1 − y² is cut short", lambda delta, y: delta * y * y),
        ("tanh is applied to y, which is a tanh already", lambda delta, y: delta * (1 - np.tanh(y) ** 2)),
        ("it is (1 − y)²", lambda delta, y: delta * (1 - y) ** 2),
        ("1 − y² is applied twice", lambda delta, y: delta * (1 - y * y) ** 2),
        ("it divides by 1 − y²", lambda delta, y: delta / (1 - y * y)),
        ("it is relu's: delta where y > 0, else 0", lambda delta, y: np.where(y > 0, delta, 0)),
        ("the product is added to delta", lambda delta, y: delta + 1 - y * y),
        ("parentheses are missing: it is delta · 1 − y²", lambda delta, y: delta - y * y),
        ("it is y² − 1: the sign is wrong", lambda delta, y: delta * (y * y - 1)),
    ],
    "relu_gradient": [
        ("it is delta where y is 0 too (>= for >): y is the output, which is 0 where the unit is off",
         lambda delta, y: np.where(y >= 0, delta, 0)),
        ("the derivative is left out: delta is written", lambda delta, y: delta),
        ("delta is left out: the derivative is written", lambda delta, y: np.where(y > 0, 1.0, 0.0)),
        ("it multiplies by y, not by the derivative, which is 1 or 0", lambda delta, y: delta * y),
        ("delta is asked whether it is positive, not y", lambda delta, y: np.where(delta > 0, delta, 0)),
        ("delta is asked whether it is positive too", lambda delta, y: np.where((y > 0) & (delta > 0), delta, 0)),
        ("y is written where it is positive, not delta", lambda delta, y: np.where(y > 0, y, 0)),
        ("the comparison is the wrong way round: it is delta where y is 0",
         lambda delta, y: np.where(y > 0, 0, delta)),
        ("it is y (1 − y), the derivative of the sigmoid", lambda delta, y: delta * y * (1 - y)),
        ("it is 1 − y², the derivative of tanh", lambda delta, y: delta * (1 - y * y)),
        ("it is 1 where the unit is off, not 0", lambda delta, y: np.where(y > 0, delta, 1)),
        ("it is delta where y > 1, else 0", lambda delta, y: np.where(y > 1, delta, 0)),
        *((f"it leaks: it is {c} · delta where the unit is off, not 0",
           lambda delta, y, c=c: np.where(y > 0, delta, c * delta)) for c in LEAKS),
    ],
}  # fmt: skip
