"""The mathematics of one kernel: a table of wrong formulas for each, with those of `activations`."""

from typing import Any

import numpy as np

from fastae.check.calls.cases import WRITTEN
from fastae.check.cause.formulas.activations import ACTIVATIONS
from fastae.check.cause.formulas.parts import Formula, Ways, log, log1, sigmoid


def _entropy(z: np.ndarray, x: np.ndarray, floor: float = -100) -> np.ndarray:
    return -(x * log(z, floor) + (1 - x) * log1(z, floor)).sum(axis=1)


def _sparse(z: np.ndarray, x: np.ndarray, little: float) -> np.ndarray:
    """Return the cross-entropy with a small number added to the arguments of its logarithms."""
    return -(x * np.log(z + little) + (1 - x) * np.log(1 - z + little)).sum(axis=1)


def _kept_within(z: np.ndarray, x: np.ndarray, little: float, kind: type[np.floating]) -> np.ndarray:
    """Return the cross-entropy of z clipped near 0 and 1; 1 − little may be 1 in a format."""
    p = np.clip(z, float(kind(little)), float(kind(1 - little)))
    return -(x * np.log(p) + (1 - x) * np.log1p(-p)).sum(axis=1)


def _rows(images: np.ndarray, order: np.ndarray, cursor: np.ndarray, f: int, first: int | None = None) -> np.ndarray:
    """Return the rows from ``order[first]`` on; as `cases.make` has it, the order ends one behind the last."""
    first = int(cursor[0]) + f if first is None else first
    return images[order[first : first + len(order) - int(cursor[0]) - f - 1]] / 255


def _sorted(order: np.ndarray, cursor: np.ndarray, f: int) -> np.ndarray:
    """Return the order with the requested rows sorted."""
    first = int(cursor[0]) + f
    return np.concatenate([order[:first], np.sort(order[first:-1]), order[-1:]])


def _shifted(images: np.ndarray, order: np.ndarray, cursor: np.ndarray, f: int, step: int) -> np.ndarray:
    """Return the images before or behind the requested ones, masked outside of the images."""
    first = int(cursor[0]) + f
    at = order[first:-1] + step
    beyond = (at < 0) | (at >= len(images))
    return np.ma.array(
        images.take(at, axis=0, mode="clip") / 255, mask=np.broadcast_to(beyond[:, None], (len(at), images.shape[1]))
    )


def _finite(t: np.ndarray) -> np.ndarray:
    """Return what is finite, and 0 elsewhere."""
    return np.where(np.isfinite(t), t, 0)


def _per_output(z: np.ndarray, x: np.ndarray, little: float) -> np.ndarray:
    """Return the derivative of the cross-entropy with respect to the output, with a small number in the divisors."""
    return (1 - x) / (1 - z + little) - x / (z + little)


SCALED: dict[str, Formula] = {  # how pixels may be scaled by mistake
    "it divides by the largest number of all rows, not by 255": lambda t: t / t.max(),
    "it divides by the largest number of each row, not by 255": lambda t: t / t.max(axis=1, keepdims=True),
    "the rows' smallest number becomes 0 and their largest 1": lambda t: (t - t.min()) / (t.max() - t.min()),
    "it scales from −1 to 1, not from 0 to 1": lambda t: 2 * t - 1,
    "it scales to mean 0 and deviation 1": lambda t: (t - t.mean()) / t.std(),
    "it subtracts the mean of each column": lambda t: t - t.mean(axis=0),
}
OF_ALL = (  # of the terms to be summed for each image
    ("the sum is over all images", lambda t: np.full(len(t), t.sum())),
    ("it is the mean over all images and pixels, not each image's sum", lambda t: np.full(len(t), t.mean())),
    ("it is the mean of the images' sums, not each image's own", lambda t: np.full(len(t), t.sum(axis=1).mean())),
    ("it is divided by the number of images too", lambda t: t.sum(axis=1) / len(t)),
)
FLOORS = (  # of logarithms
    100, 0, -1, -10, -20, -50, -90, -99, -101, -1000, *(-2.302585093 * e for e in (6, 7, 8, 9, 10, 12, 15, 16))
)  # fmt: skip
LITTLE = (6, 7, 8, 9, 10, 12, 15, 16, 20, 30)  # numbers added to avoid a division by 0: 10 to minus these
FORMULAS: dict[str, list[tuple[str, Formula]]] = ACTIVATIONS | {
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
        ("the sign is wrong, as of x − z for z − x", lambda z, x, s: 2 * s * (x - z) * z * (1 - z)),
        ("z + x is taken, not z − x", lambda z, x, s: 2 * s * (z + x) * z * (1 - z)),
        ("it is z (1 + z)", lambda z, x, s: 2 * s * (z - x) * z * (1 + z)),
        ("σ is applied to z, which is a σ already",
         lambda z, x, s: 2 * s * (z - x) * sigmoid(z) * (1 - sigmoid(z))),
        ("σ is applied to z, which is a σ already",
         lambda z, x, s: 2 * s * (sigmoid(z) - x) * sigmoid(z) * (1 - sigmoid(z))),
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
        ("the sign is wrong, as of x − z for z − x", lambda z, x, s: s * (x - z)),
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


def ways(name: str, v: dict[str, Any]) -> Ways:
    """Yield what a kernel writes that computes something else; the formulas take its inputs in the contract's order."""
    written = WRITTEN.get(name, "out")
    inputs = [x for key, x in v.items() if key != written or name in ("axpy", "advance")]
    for text, formula in FORMULAS.get(name, ()):
        yield text, np.asarray(formula(*inputs), dtype=v[written].dtype)
