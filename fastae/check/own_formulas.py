"""The ways in which one kernel can be wrong: for each its name, and what it would write, from the kernel's inputs."""

from collections.abc import Callable

import numpy as np

Formula = Callable[..., np.ndarray]


def sigmoid(t: np.ndarray) -> np.ndarray:
    """Return 1 / (1 + e^−t)."""
    return 1 / (1 + np.exp(-t))


def log(z: np.ndarray, floor: float = -100) -> np.ndarray:
    """Return log z, floored."""
    return np.maximum(np.log(z), floor)


def log1(z: np.ndarray, floor: float = -100) -> np.ndarray:
    """Return log(1 − z), floored."""
    return np.maximum(np.log1p(-z), floor)


def _entropy(z: np.ndarray, x: np.ndarray, floor: float = -100) -> np.ndarray:
    return -(x * log(z, floor) + (1 - x) * log1(z, floor)).sum(axis=1)


def _sparse(z: np.ndarray, x: np.ndarray, little: float) -> np.ndarray:
    """Return the cross-entropy with a little number added to what logarithms are taken of."""
    return -(x * np.log(z + little) + (1 - x) * np.log(1 - z + little)).sum(axis=1)


def _kept_within(z: np.ndarray, x: np.ndarray, little: float, kind: type[np.floating]) -> np.ndarray:
    """Return the cross-entropy of what is cut off near 0 and 1; 1 minus little may be 1 in a format."""
    p = np.clip(z, float(kind(little)), float(kind(1 - little)))
    return -(x * np.log(p) + (1 - x) * np.log1p(-p)).sum(axis=1)


def _rows(images: np.ndarray, order: np.ndarray, cursor: np.ndarray, f: int, first: int | None = None) -> np.ndarray:
    """Return the rows from ``order[first]`` on; as `cases.make` has it, the order ends one behind the last."""
    first = int(cursor[0]) + f if first is None else first
    return images[order[first : first + len(order) - int(cursor[0]) - f - 1]] / 255


def _sorted(order: np.ndarray, cursor: np.ndarray, f: int) -> np.ndarray:
    """Return the order with those rows sorted that are meant."""
    first = int(cursor[0]) + f
    return np.concatenate([order[:first], np.sort(order[first:-1]), order[-1:]])


def _shifted(images: np.ndarray, order: np.ndarray, cursor: np.ndarray, f: int, step: int) -> np.ndarray:
    """Return the images before or behind those that were meant; outside of the images nobody knows."""
    first = int(cursor[0]) + f
    at = order[first:-1] + step
    beyond = (at < 0) | (at >= len(images))
    return np.ma.array(
        images.take(at, axis=0, mode="clip") / 255, mask=np.broadcast_to(beyond[:, None], (len(at), images.shape[1]))
    )


def _finite(t: np.ndarray) -> np.ndarray:
    """Return what is finite, and 0 elsewhere."""
    return np.where(np.isfinite(t), t, 0)


def _softmax(t: np.ndarray, axis: int) -> np.ndarray:
    """Return e^t, divided by the sum along an axis."""
    powers = np.exp(t - t.max(axis=axis, keepdims=True))
    total: np.ndarray = powers.sum(axis=axis, keepdims=True)
    return powers / total


def _per_output(z: np.ndarray, x: np.ndarray, little: float) -> np.ndarray:
    """Return the cross-entropy's derivative with respect to the output, as it is written with a little number."""
    return (1 - x) / (1 - z + little) - x / (z + little)


SCALED: dict[str, Formula] = {  # to what greys may be scaled
    "it divides by the largest number of all rows, not by 255": lambda t: t / t.max(),
    "it divides by the largest number of each row, not by 255": lambda t: t / t.max(axis=1, keepdims=True),
    "the rows' smallest number becomes 0 and their largest 1": lambda t: (t - t.min()) / (t.max() - t.min()),
    "it scales from −1 to 1, not from 0 to 1": lambda t: 2 * t - 1,
    "it scales to mean 0 and deviation 1": lambda t: (t - t.mean()) / t.std(),
    "it subtracts the mean of each column": lambda t: t - t.mean(axis=0),
}
OF_ALL = (  # of what is to be summed for each image
    ("the sum is over all images", lambda t: np.full(len(t), t.sum())),
    ("it is the mean over all images and pixels, not each image's sum", lambda t: np.full(len(t), t.mean())),
    ("it is the mean of the images' sums, not each image's own", lambda t: np.full(len(t), t.sum(axis=1).mean())),
    ("it is divided by the number of images too", lambda t: t.sum(axis=1) / len(t)),
)
SOFTMAX = {  # one number for a row or a column is divided by, not one for each element
    "it is softmax along the rows": lambda t: _softmax(t, 1),
    "it is softmax down the columns": lambda t: _softmax(t, 0),
}
NORMALISED: dict[str, Formula] = {  # what may be done to a sum before an activation is taken of it
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
BIASES: dict[str, Formula] = {  # what may be taken for the bias
    "only the first bias is used for all columns": lambda bias: bias[0],
    "only the last bias is used for all columns": lambda bias: bias[-1],
    "the sum of all biases is added to each column": np.sum,
    "the mean of all biases is added to each column": np.mean,
}
ACTIVATED = {  # what an activation may be by mistake
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
FLOORS = (  # of logarithms
    100, 0, -1, -10, -20, -50, -90, -99, -101, -1000, *(-2.302585093 * e for e in (6, 7, 8, 9, 10, 12, 15, 16))
)  # fmt: skip
LITTLE = (6, 7, 8, 9, 10, 12, 15, 16, 20, 30)  # of numbers that are added lest one divides by 0: 10 to minus these
LEAKS = (0.001, 0.01, 0.05, 0.1, 0.2, 0.25, 0.3)  # slopes where relu has none


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


FORMULAS: dict[str, list[tuple[str, Formula]]] = {
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
    "mse_gradient": [
        ("the factor 2 is left out", lambda z, x, s: s * (z - x) * z * (1 - z)),
        ("scale is left out", lambda z, x, s: 2 * (z - x) * z * (1 - z)),
        ("σ′ = z (1 − z) is left out", lambda z, x, s: 2 * s * (z - x)),
        ("z of σ′ = z (1 − z) is left out", lambda z, x, s: 2 * s * (z - x) * (1 - z)),
        ("1 − z of σ′ = z (1 − z) is left out", lambda z, x, s: 2 * s * (z - x) * z),
        ("it is 1 − z², the derivative of tanh", lambda z, x, s: 2 * s * (z - x) * (1 - z * z)),
        ("it divides by scale", lambda z, x, s: 2 / s * (z - x) * z * (1 - z)),
        ("σ′ is taken of x, not of z", lambda z, x, s: 2 * s * (z - x) * x * (1 - x)),
        ("it is the cross-entropy's gradient", lambda z, x, s: s * (z - x)),
        ("z + x is taken, not z − x", lambda z, x, s: 2 * s * (z + x) * z * (1 - z)),
        ("it is z (1 + z)", lambda z, x, s: 2 * s * (z - x) * z * (1 + z)),
        ("σ is applied to z, which is a σ already",
         lambda z, x, s: 2 * s * (z - x) * sigmoid(z) * (1 - sigmoid(z))),
        ("σ′ = z (1 − z) is applied twice", lambda z, x, s: 2 * s * (z - x) * (z * (1 - z)) ** 2),
        ("1 − z is applied twice", lambda z, x, s: 2 * s * (z - x) * z * (1 - z) ** 2),
        ("it is divided by the number of images too, which scale does",
         lambda z, x, s: 2 * s * (z - x) * z * (1 - z) / len(z)),
        ("it is divided by the number of pixels too", lambda z, x, s: 2 * s * (z - x) * z * (1 - z) / z.shape[1]),
        ("there is a factor 4, not 2", lambda z, x, s: 4 * s * (z - x) * z * (1 - z)),
        ("the difference is squared", lambda z, x, s: 2 * s * (z - x) ** 2 * z * (1 - z)),
        ("parentheses are missing: it is z − x · z (1 − z)", lambda z, x, s: 2 * s * (z - x * z * (1 - z))),
    ],
    "bce_gradient": [
        ("scale is left out", lambda z, x, s: z - x),
        ("it divides by scale", lambda z, x, s: (z - x) / s),
        ("σ′ is not cancelled: it is multiplied by z (1 − z)", lambda z, x, s: s * (z - x) * z * (1 - z)),
        ("σ′ is not cancelled: it is divided by z (1 − z)", lambda z, x, s: s * (z - x) / (z * (1 - z))),
        *((text, lambda z, x, s, e=10.0**-e, f=f: s * f(z, x, e)) for e in LITTLE for text, f in (
            ("σ′ is not cancelled: it is divided by z (1 − z)", lambda z, x, e: (z - x) / (z * (1 - z) + e)),
            ("σ′ is not cancelled: it is divided by z (1 − z)", lambda z, x, e: (z - x) / np.maximum(z * (1 - z), e)),
            ("it is the derivative with respect to z, the output: σ′ is left out", _per_output),
        )),
        ("it is the derivative with respect to z, the output: σ′ is left out",
         lambda z, x, s: s * _per_output(z, x, 0)),
        ("there is a factor 2, as the squared error has it", lambda z, x, s: 2 * s * (z - x)),
        ("z and x are added", lambda z, x, s: s * (z + x)),
        ("σ is applied to z, which is a σ already", lambda z, x, s: s * (sigmoid(z) - x)),
        ("it is divided by the number of images too, which scale does", lambda z, x, s: s * (z - x) / len(z)),
        ("it is divided by the number of pixels too", lambda z, x, s: s * (z - x) / z.shape[1]),
        ("parentheses are missing: scale is applied to z alone", lambda z, x, s: s * z - x),
        ("scale is applied to x alone", lambda z, x, s: z - s * x),
    ],
    "mse_loss": [
        ("it takes the mean over pixels, not the sum", lambda z, x: ((z - x) ** 2).mean(axis=1)),
        ("the square is left out", lambda z, x: (z - x).sum(axis=1)),
        ("it takes magnitudes, not squares", lambda z, x: np.abs(z - x).sum(axis=1)),
        ("there is a factor ½", lambda z, x: ((z - x) ** 2).sum(axis=1) / 2),
        ("it takes the root of the sum", lambda z, x: np.sqrt(((z - x) ** 2).sum(axis=1))),
        ("z + x is taken, not z − x", lambda z, x: ((z + x) ** 2).sum(axis=1)),
        ("the sum is squared, not each difference", lambda z, x: (z - x).sum(axis=1) ** 2),
        ("σ is applied to z, which is a σ already", lambda z, x: ((sigmoid(z) - x) ** 2).sum(axis=1)),
        ("z² − x² is summed", lambda z, x: (z * z - x * x).sum(axis=1)),
        *((text, lambda z, x, f=f: f((z - x) ** 2)) for text, f in OF_ALL),
        ("it is the cross-entropy", lambda z, x: _entropy(z, x)),
        ("it sums over images, not over pixels",
         lambda z, x: ((z - x) ** 2).sum(axis=0) if z.shape[0] == z.shape[1] else np.empty(0)),
    ],
    "bce_loss": [
        ("the term (1 − x) log(1 − z) is left out", lambda z, x: -(x * log(z)).sum(axis=1)),
        ("the term x log z is left out", lambda z, x: -((1 - x) * log1(z)).sum(axis=1)),
        ("it takes the mean over pixels, not the sum", lambda z, x: _entropy(z, x) / z.shape[1]),
        *((text, lambda z, x, f=f: f(-(x * log(z) + (1 - x) * log1(z)))) for text, f in OF_ALL),
        ("terms with log 0 are left out, not floored at −100",
         lambda z, x: -(x * _finite(np.log(z)) + (1 - x) * _finite(np.log1p(-z))).sum(axis=1)),
        ("pixels with log 0 are left out, not floored at −100",
         lambda z, x: -_finite(x * np.log(z) + (1 - x) * np.log1p(-z)).sum(axis=1)),
        ("z and x are exchanged", lambda z, x: -(z * log(x) + (1 - z) * log1(x)).sum(axis=1)),
        ("σ is applied to z, which is a σ already", lambda z, x: _entropy(sigmoid(z), x)),
        ("the logarithms are to base 2", lambda z, x: _entropy(z, x) / np.log(2)),
        ("the logarithms are to base 10", lambda z, x: _entropy(z, x) / np.log(10)),
        *((f"the logarithms are to base {b}", lambda z, x, b=b: _entropy(z, x, -100 * np.log(b)) / np.log(b))
          for b in (2, 10)),
        ("the logarithms are not floored at −100: log 0 is −∞",
         lambda z, x: -(x * np.log(z) + (1 - x) * np.log(1 - z)).sum(axis=1)),
        ("log z and log(1 − z) are exchanged", lambda z, x: -((1 - x) * log(z) + x * log1(z)).sum(axis=1)),
        ("the terms are subtracted, not added", lambda z, x: -(x * log(z) - (1 - x) * log1(z)).sum(axis=1)),
        ("1 + x is taken, not 1 − x", lambda z, x: -(x * log(z) + (1 + x) * log1(z)).sum(axis=1)),
        ("log(1 + z) is taken, not log(1 − z)", lambda z, x: -(x * log(z) + (1 - x) * np.log1p(z)).sum(axis=1)),
        ("1 − x is left out", lambda z, x: -(x * log(z) + log1(z)).sum(axis=1)),
        ("x is left out", lambda z, x: -(log(z) + (1 - x) * log1(z)).sum(axis=1)),
        ("log(1 + z) is taken, not log z", lambda z, x: -(x * np.log1p(z) + (1 - x) * log1(z)).sum(axis=1)),
        ("log z is cut off above −100, not below it: a minimum for a maximum",
         lambda z, x: -(x * np.minimum(np.log(z), -100) + (1 - x) * log1(z)).sum(axis=1)),
        ("log(1 − z) is cut off above −100, not below it: a minimum for a maximum",
         lambda z, x: -(x * log(z) + (1 - x) * np.minimum(np.log1p(-z), -100)).sum(axis=1)),
        ("the logarithms are cut off above −100, not below it: a minimum for a maximum",
         lambda z, x: -(x * np.minimum(np.log(z), -100) + (1 - x) * np.minimum(np.log1p(-z), -100)).sum(axis=1)),
        ("the sum is over all images", lambda z, x: np.full(len(z), _entropy(z, x).sum())),
        ("it sums over images, not over pixels",
         lambda z, x: -(x * log(z) + (1 - x) * log1(z)).sum(axis=0) if z.shape[0] == z.shape[1] else np.empty(0)),
        *((f"log z is floored at {floor:g}, not at −100",
           lambda z, x, f=floor: -(x * log(z, f) + (1 - x) * log1(z)).sum(axis=1)) for floor in FLOORS),
        *((f"log(1 − z) is floored at {floor:g}, not at −100",
           lambda z, x, f=floor: -(x * log(z) + (1 - x) * log1(z, f)).sum(axis=1)) for floor in FLOORS),
        *((f"z is kept within 1e−{e} and 1 − 1e−{e}: the logarithms are floored at log 1e−{e}, not at −100",
           lambda z, x, e=10.0**-e, kind=kind: _kept_within(z, x, e, kind))
          for e in LITTLE for kind in (np.float64, np.float32)),
        ("it is the squared error", lambda z, x: ((z - x) ** 2).sum(axis=1)),
        *((f"the logarithms are floored at {floor:g}, not at −100", lambda z, x, f=floor: _entropy(z, x, f))
          for floor in FLOORS),
        *((f"the logarithms are floored at log 1e−{e}, not at −100", lambda z, x, e=e: _sparse(z, x, 10.0**-e))
          for e in LITTLE),
    ],
    "axpy": [
        ("alpha is left out", lambda alpha, x, y: y + x),
        ("y is overwritten, not added to", lambda alpha, x, y: alpha * x),
        ("alpha · x is subtracted", lambda alpha, x, y: y - alpha * x),
        ("alpha is applied to y", lambda alpha, x, y: alpha * y + x),
        ("alpha is applied to both", lambda alpha, x, y: alpha * (x + y)),
        ("alpha is added, not multiplied by", lambda alpha, x, y: y + alpha + x),
        ("it is added twice", lambda alpha, x, y: y + 2 * alpha * x),
        ("it multiplies y, where it should add", lambda alpha, x, y: y * alpha * x),
    ],
    "gather": [
        ("it does not divide by 255", lambda i, o, c, f: 255 * _rows(i, o, c, f)),
        ("it divides by 256", lambda i, o, c, f: 255 / 256 * _rows(i, o, c, f)),
        ("it divides by 255 twice", lambda i, o, c, f: _rows(i, o, c, f) / 255),
        ("it divides whole numbers: the fraction is lost", lambda i, o, c, f: np.floor(_rows(i, o, c, f))),
        ("offset is left out", lambda i, o, c, f: _rows(i, o, c, f, int(c[0]))),
        ("offset is subtracted", lambda i, o, c, f: _rows(i, o, c, f, int(c[0]) - f)),
        ("the cursor is left out", lambda i, o, c, f: _rows(i, o, c, f, f)),
        ("cursor and offset are left out", lambda i, o, c, f: _rows(i, o, c, f, 0)),
        ("it begins one row too late: the index is off by one",
         lambda i, o, c, f: _rows(i, o, c, f, 1 + int(c[0]) + f)),
        ("it begins one row too early: the index is off by one",
         lambda i, o, c, f: _rows(i, o, c, f, int(c[0]) + f - 1)),
        ("it takes the image behind the one that is meant: the index is off by one",
         lambda i, o, c, f: _shifted(i, o, c, f, 1)),
        ("it takes the image before the one that is meant: the index is off by one",
         lambda i, o, c, f: _shifted(i, o, c, f, -1)),
        ("the order is left out: rows are taken as they lie",
         lambda i, o, c, f: _rows(i, np.arange(len(o)), c, f) if len(o) <= len(i) else np.empty(0)),
        ("the rows are taken backwards from the first: its index is subtracted",
         lambda i, o, c, f: i[o[int(c[0]) + f - np.arange(len(o) - int(c[0]) - f - 1)]] / 255),
        ("a byte is taken as a number with a sign: what is above 127 becomes negative",
         lambda i, o, c, f: _rows(i.astype(np.int8), o, c, f)),
        *((f"it multiplies by {k} in one byte, which overflows",
           lambda i, o, c, f, k=k: _rows(i * np.uint8(k) // k, o, c, f)) for k in (2, 3, 4, 8, 10, 16, 100)),
        ("it multiplies by 255 in one byte, which overflows", lambda i, o, c, f: -255 * _rows(i, o, c, f) % 256),
        ("it multiplies by 255", lambda i, o, c, f: _rows(i, o, c, f) * 255.0 * 255.0),
        *((text, lambda i, o, c, f, g=g: g(_rows(i, o, c, f))) for text, g in SCALED.items()),
        ("the rows are sorted: the order is lost", lambda i, o, c, f: _rows(i, _sorted(o, c, f), c, f)),
        ("black and white are exchanged", lambda i, o, c, f: 1 - _rows(i, o, c, f)),
    ],
    "advance": [
        ("the cursor is set to n, not advanced by it", lambda cursor, n: np.array([n])),
        ("it advances by 1, not by n", lambda cursor, n: cursor + 1),
        ("it goes back by n", lambda cursor, n: cursor - n),
        ("it advances by n + 1", lambda cursor, n: cursor + n + 1),
        ("it advances by n − 1", lambda cursor, n: cursor + n - 1),
        ("it advances twice", lambda cursor, n: cursor + 2 * n),
        ("the cursor is multiplied by n", lambda cursor, n: cursor * n),
    ],
}  # fmt: skip
