"""Which factors a product has, if several are left out, applied twice or divided by: their powers, fitted."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from fastae.check.calls.evidence import VISIBLE, Call

Factors = dict[str, tuple[int, Callable[[dict[str, Any]], Any]]]  # the power that each should have, and its numbers

OUTPUT: Factors = {"z": (1, lambda v: v["z"]), "(1 − z)": (1, lambda v: 1 - v["z"])}
GRADIENT: Factors = {"scale": (1, lambda v: v["scale"]), "(z − x)": (1, lambda v: v["z"] - v["x"])}
DELTA: Factors = {"delta": (1, lambda v: v["delta"]), "y": (1, lambda v: v["y"]), "(1 − y)": (1, lambda v: 1 - v["y"])}
PRODUCTS: dict[str, tuple[float, Factors]] = {  # of a constant and factors
    "mse_gradient": (2, GRADIENT | OUTPUT),
    "bce_gradient": (1, GRADIENT | {key: (0, of) for key, (_, of) in OUTPUT.items()}),
    "sigmoid_gradient": (1, DELTA),
    "tanh_gradient": (1, DELTA | {"y": (0, DELTA["y"][1]), "(1 + y)": (1, lambda v: 1 + v["y"])}),
}
LEAST = 50  # elements from which powers are fitted
NEAR = 1e-2  # how near to a whole number a power has to be
MOST = 3  # as large a power is looked for
ROUND = 1e-3  # relative error that a product may have: float32 and its rounding explain less


def describe(wrong: Sequence[Call]) -> Iterator[str]:
    """Yield the product that all wrong calls have written, if it is one of powers of the right product's factors.

    Parameters
    ----------
    wrong : sequence of Call
        Wrong calls of one kernel, without a fault.
    """
    name = wrong[0].name
    if name not in PRODUCTS:
        return
    constant, factors = PRODUCTS[name]
    right = [power for power, _ in factors.values()]
    with np.errstate(all="ignore"):
        found = np.concatenate([c.found.astype(np.float64).ravel() for c in wrong])
        numbers = np.stack([_of_all(of, wrong) for _, of in factors.values()])
        logs = np.log(np.abs(np.vstack([numbers, found])))
        known = np.isfinite(logs).all(axis=0)
        sides = np.column_stack([np.ones(known.sum()), logs[:-1, known].T])
        if known.sum() < LEAST or np.linalg.matrix_rank(sides) < sides.shape[1]:
            return
        _, *fitted = np.linalg.lstsq(sides, logs[-1, known], rcond=None)[0]
        powers = np.rint(fitted)
        if powers.tolist() == right:
            return  # what is wrong is no factor
        if np.abs(fitted - powers).max() > NEAR or np.abs(powers).max() > MOST:
            return
        product = np.prod(numbers ** powers[:, None], axis=0)
        factor = float(np.median(found[known] / product[known]))
        apart = np.abs(found - factor * product)
        bound = np.concatenate([c.bound.ravel() for c in wrong])
        if not (apart <= ROUND * np.abs(factor * product) + VISIBLE * bound)[np.isfinite(product)].all():
            return
    yield (
        f"it is {_written(factor, factors, powers.tolist())}, not {_written(constant, factors, right)}: "
        "several factors are wrong"
    )


def _of_all(of: Callable[[dict[str, Any]], Any], wrong: Sequence[Call]) -> np.ndarray:
    """Return a factor for the elements of all calls."""
    return np.concatenate([np.broadcast_to(of(c.values), c.exact.shape).ravel() for c in wrong])


def _written(constant: float, factors: Factors, powers: Sequence[float]) -> str:
    """Return a product as text."""
    parts = [f"{constant:.4g}".replace("-", "−")] if constant != 1 or not any(powers) else []
    for key, power in zip(factors, powers):
        if power:
            parts.append(key if power == 1 else f"{key}^{power:g}".replace("-", "−"))
    return " · ".join(parts)
