"""Measure how much of its bound each kernel of each backend uses, on inputs that are meant to make it use most.

    python tests/attacks/bounds.py            # numpy, numba and emulator: minutes
    python tests/attacks/bounds.py 5 numpy    # rounds, backends

Prints the largest error as a fraction of the bound, and how many numbers were compared; then what TF32, bfloat16 and
half precision would use, which must be above 1. Ends with status 1 if a bound is exceeded, or does not reject those.
The exact results are computed in NumPy's long double: 64 bits of mantissa on x86, so that float64 is measured too.
"""

import itertools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import fastae
from fastae.backends.base import Backend, Parameters
from fastae.backends.contract import KERNELS, PATCHES
from fastae.check import bounds
from fastae.check.calls import cases, shapes

Array = np.ndarray
Arguments = dict[str, Any]
Long = np.longdouble

NAMES = [name for name in KERNELS if name != "advance"]  # which is exact or wrong
DTYPES = ("float32", "float64")
SHAPES = [(1, 1, 1), (3, 7, 5), (9, 33, 17), (16, 64, 16), (2, 784, 3)]  # m, k, n
SIZES = (20, 17, 9)  # of the network whose steps are measured


# Inputs. Each is a function of a generator, a shape and the dtype's numbers.


def powers(rng: np.random.Generator, shape: Any, low: float, high: float) -> Array:
    """Draw numbers of both signs that are spread evenly over the exponents."""
    return rng.choice([-1.0, 1.0], shape) * 2.0 ** rng.uniform(low, high, shape)


def cancelling(rng: np.random.Generator, shape: Any, info: np.finfo) -> Array:
    """Draw pairs along the last two axes that all but cancel in a sum."""
    x = np.abs(rng.normal(1, 0.1, shape))
    for axis in range(len(shape))[-2:]:
        signs = np.ones(shape[axis])
        signs[1::2] = -1
        x = x * np.expand_dims(signs, tuple(i for i in range(len(shape)) if i != axis))
    return x


ANY: dict[str, Callable[[np.random.Generator, Any, np.finfo], Array]] = {
    "random": lambda rng, shape, info: rng.normal(size=shape),
    "1 + 2⁻¹²": lambda rng, shape, info: np.full(shape, 1 + 2.0**-12),
    "cancelling": cancelling,
    "wide": lambda rng, shape, info: powers(rng, shape, -30, 30),
    "huge": lambda rng, shape, info: powers(rng, shape, info.maxexp / 2 - 24, info.maxexp / 2 - 8),
    "tiny": lambda rng, shape, info: powers(rng, shape, info.minexp / 2 - 8, info.minexp / 2 + 8),
    "denormal": lambda rng, shape, info: rng.integers(-9, 10, shape) * float(info.smallest_subnormal),
    "zero": lambda rng, shape, info: rng.choice([0.0, -0.0, 1.0], shape),
}
UNIT: dict[str, Callable[[np.random.Generator, Any, np.finfo], Array]] = {  # outputs of σ, and pixels
    "random": lambda rng, shape, info: 1 / (1 + np.exp(-rng.normal(0, 8, shape))),
    "½ + 2⁻¹³": lambda rng, shape, info: np.full(shape, 0.5 + 2.0**-13),
    "near 0": lambda rng, shape, info: 2.0 ** rng.uniform(info.minexp - 20, 0, shape),
    "near 1": lambda rng, shape, info: 1 - rng.integers(0, 9, shape) * float(info.epsneg),
    "edges": lambda rng, shape, info: rng.choice(
        [0, 1, float(info.tiny), float(info.smallest_subnormal), float(info.epsneg), 1 - float(info.epsneg)], shape
    ),
    "pixels": lambda rng, shape, info: rng.integers(0, 256, shape) / 255,
}
SUMS = ANY | {  # what σ is taken of
    "saturated": lambda rng, shape, info: rng.choice([-1, 1], shape) * rng.uniform(10, 1.1 * -np.log(info.tiny), shape),
    "largest": lambda rng, shape, info: rng.choice([-1, 1], shape) * float(info.max) / 4,
}


def made_of(
    families: dict[str, Callable[..., Array]], change: Callable[[np.random.Generator, Array], Array]
) -> dict[str, Callable[..., Array]]:
    """Return families of inputs of the same names, each changed in one way."""
    return {
        kind: lambda rng, shape, info, draw=draw: change(rng, np.asarray(draw(rng, shape, info)))
        for kind, draw in families.items()
    }


FAMILIES = {  # of inputs that are not like the others of their kernel
    ("bias_sigmoid", "z"): SUMS,
    ("bias_tanh", "z"): SUMS,
    ("bias_relu", "z"): SUMS,
    ("sigmoid_gradient", "y"): UNIT,
    ("tanh_gradient", "y"): made_of(UNIT, lambda rng, y: y * rng.choice([-1, 1], y.shape)),
    ("relu_gradient", "y"): made_of(ANY, lambda rng, y: np.maximum(y, 0)),
}


def arguments(name: str, dtype: str, rng: np.random.Generator, kinds: Callable[[list[str]], str]) -> Arguments:
    """Make a kernel's arguments; `kinds` chooses among the names of inputs."""
    info, (m, k, n) = np.finfo(dtype), SHAPES[rng.integers(len(SHAPES))]
    parameters = KERNELS[name].parameters.parameters
    given: Arguments = {"m": m, "k": k, "n": n, "...": n}
    given |= {key: bool(rng.integers(2)) for key in ("trans_a", "trans_b") if key in parameters}
    if "alpha" in parameters:
        given["alpha"] = float(rng.choice([1, -1, 0.3, -0.25, 0]))
    if "beta" in parameters:
        given["beta"] = float(rng.choice([0, 0, 1, -1.3, 0.5]))
    if name in PATCHES:
        given |= dict(zip(("m", "height", "width", "channels", "kernel", "stride", "padding"),
                          shapes.IMAGES[rng.integers(len(shapes.IMAGES))]))  # fmt: skip
        given["c"] = int(rng.integers(1, 5))
    if "scale" in parameters:
        given["scale"] = 1 / float(rng.integers(1, 130))
    made = cases.make(name, dtype, int(rng.integers(2**30)), **given)
    if name == "gather":
        return made
    unit = name.endswith("loss") or name in ("mse_gradient", "bce_gradient")
    for key, array in made.items():
        if isinstance(array, np.ndarray) and not (key == "out" and given.get("beta", 0) == 0):
            families = FAMILIES.get((name, key), UNIT if unit else ANY)
            with np.errstate(over="ignore"):
                array[...] = families[kinds(list(families))](rng, array.shape, info)
    if unit and rng.integers(4) == 0:  # all but equal: the difference is a rounding, or nothing
        made["z"][...] = made["x"] * (1 - rng.integers(0, 3, made["x"].shape) * float(info.epsneg))
    return made


def every_kind(name: str, dtype: str, rounds: int, seed: int) -> Iterator[Arguments]:
    """Make arguments all of one kind, for each kind, and then as many of mixed kinds."""
    rng = np.random.default_rng([seed, len(name), len(dtype)])
    for kind in [*SUMS, *UNIT] * rounds:
        yield arguments(name, dtype, rng, lambda names, kind=kind: kind if kind in names else names[0])
        yield arguments(name, dtype, rng, lambda names: names[rng.integers(len(names))])


# Exact results.


def exact(name: str, given: Arguments, dtype: str) -> Array:
    """Return what the kernel should write, in long double."""
    x = {key: value.astype(Long) if cases._is_float(value) else value for key, value in given.items()}
    if name == "matmul":
        a, b = (x[key].T if x[f"trans_{key}"] else x[key] for key in "ab")
        product = Long(x["alpha"]) * (a @ b)
        return product if x["beta"] == 0 else product + Long(x["beta"]) * x["out"]
    if name == "column_sum":
        total = Long(x["alpha"]) * x["delta"].sum(axis=0)
        return total if x["beta"] == 0 else total + Long(x["beta"]) * x["out"]
    if name == "axpy":
        return x["y"] + Long(x["alpha"]) * x["x"]
    if name == "bias_sigmoid":
        with np.errstate(over="ignore"):
            return 1 / (1 + np.exp(-(given["z"] + given["bias"]).astype(Long)))  # σ is taken of the rounded sum
    if name == "bias_tanh":
        with np.errstate(over="ignore"):
            return np.tanh((given["z"] + given["bias"]).astype(Long))
    if name == "tanh_gradient":
        return x["delta"] * (1 - x["y"] * x["y"])
    if name == "bias_relu":
        return np.maximum(x["z"] + x["bias"], 0)
    if name == "relu_gradient":
        return np.where(x["y"] > 0, x["delta"], 0)
    if name in PATCHES:
        result = np.zeros(x["out"].shape, Long)
        getattr(cases.REFERENCE, name)(**x | {"out": result})  # of sums in NumPy's long double too
        return result
    if name == "gather":
        first = int(x["cursor"][0]) + x["offset"]
        return x["images"][x["order"][first : first + len(x["out"])]].astype(Long) / 255
    if name == "sigmoid_gradient":
        return x["delta"] * x["y"] * (1 - x["y"])
    z, pixels = x["z"], x["x"]
    if name == "mse_loss":
        return np.sum((z - pixels) ** 2, axis=1)
    if name == "bce_loss":
        with np.errstate(divide="ignore"):
            log_z, log_1z = np.maximum(np.log(z), -100), np.maximum(np.log1p(-z), -100)
        return -np.sum(pixels * log_z + (1 - pixels) * log_1z, axis=1)
    slope = 2 * z * (1 - z) if name == "mse_gradient" else 1
    return Long(x["scale"]) * (z - pixels) * slope


def fraction(found: Array, exact: Array, bound: Array) -> float:
    """Return the largest error as a fraction of its bound: infinite where a NaN or an infinity is not to be there."""
    error = abs(found.astype(Long) - exact)
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = np.where(error == 0, 0, error / bound)
    return float(np.max(np.where(np.isnan(shares), np.inf, shares), initial=0))


def written(k: Backend, name: str, given: Arguments) -> Array:
    """Return what the backend's kernel writes."""
    device = {key: k.asarray(value) if isinstance(value, np.ndarray) else value for key, value in given.items()}
    with np.errstate(all="ignore"):  # whether it warns is another test's question
        getattr(k, name)(**device)
    return k.to_host(device[cases.WRITTEN.get(name, "out")])


def seen(k: Backend, given: Arguments) -> Arguments:
    """Return the arguments as the backend takes them: CUDA's kernels in float32 have 0 for what is no normal number."""
    if k.name not in ("cupy", "emulator"):
        return given
    tiny = np.finfo(np.float32).tiny
    return {
        key: np.where(np.abs(x) < tiny, np.copysign(0, x), x).astype(x.dtype)
        if isinstance(x, np.ndarray) and x.dtype == np.float32
        else x
        for key, x in given.items()
    }


def bound_of(name: str, given: Arguments, dtype: str) -> Array:
    """Return the bound of bounds.py."""
    with np.errstate(all="ignore"):
        return cases.expected(name, given, dtype)[1]


# Measurements.


def kernel(k: Backend, name: str, dtype: str, rounds: int, seed: int = 0) -> tuple[float, int]:
    """Return the largest fraction of the bound, and how many numbers were compared."""
    largest, count = 0.0, 0
    for given in (seen(k, given) for given in every_kind(name, dtype, rounds, seed)):
        right, bound = exact(name, given, dtype), bound_of(name, given, dtype)
        assert np.isfinite(right).all(), "these inputs have finite results"
        assert np.isfinite(bound).all(), "and bounds"
        largest = max(largest, fraction(written(k, name, given), right, bound))
        count += right.size
    return largest, count


def not_finite(k: Backend, name: str, dtype: str, rounds: int, seed: int = 0) -> tuple[int, int]:
    """Return how many results that should be NaN, infinite or unaffected by those are not, and how many there were."""
    rng = np.random.default_rng([seed, 7])
    wrong = count = 0
    for given in itertools.islice(every_kind(name, dtype, rounds, seed), 0, None, 3):
        keys = [key for key, array in given.items() if cases._is_float(array) and not np.isnan(array).all()]
        if not keys:  # gather reads bytes
            return 0, 0
        unit = name.endswith("loss") or name in ("mse_gradient", "bce_gradient")
        keys = ["x"] if name in PATCHES else keys  # what a weight is multiplied with in the padding, if with anything
        array = given[keys[rng.integers(len(keys))]]
        array.flat[rng.integers(array.size)] = np.nan if unit else rng.choice([np.nan, np.inf, -np.inf])
        given = seen(k, given)
        with np.errstate(all="ignore"):
            right, bound = exact(name, given, dtype), bound_of(name, given, dtype)
        found = written(k, name, given)
        plain = np.isfinite(right)
        same = np.array_equal(found[~plain], right[~plain].astype(found.dtype), equal_nan=True)
        wrong += not (same and fraction(found[plain], right[plain], bound[plain]) <= 1)
        count += right.size
    return wrong, count


REDUCED: dict[str, Callable[[Array], Array]] = {
    "TF32": lambda x: bounds.rounded(x, 10),
    "bfloat16": lambda x: bounds.rounded(x, 7),
    "float16": lambda x: x.astype(np.float16).astype(np.float64),
}


def reduced(name: str, precision: str, rounds: int = 1) -> float:
    """Return the largest fraction of the float32 bound that exact arithmetic on rounded inputs uses.

    Of gather, whose inputs are whole numbers, it is the result that is rounded.
    """
    largest, low = 0.0, np.errstate(over="ignore")(REDUCED[precision])
    for given in every_kind(name, "float32", rounds, 1):
        inputs = {
            key: low(value.astype(np.float64)) if cases._is_float(value) else value for key, value in given.items()
        }
        with np.errstate(all="ignore"):
            found = exact(name, inputs, "float64") if name != "gather" else low(exact(name, given, "").astype(float))
        share = fraction(found, exact(name, given, "float32"), bound_of(name, given, "float32"))
        if np.isfinite(found).all():  # an overflow of half precision would be too easy
            largest = max(largest, share)
    return largest


# One step.


def network(dtype: str, init: float | str, seed: int) -> Parameters:
    """Draw a network's parameters: saturated for a large σ, and all but 0 for a small one."""
    model = fastae.Autoencoder(SIZES, seed, dtype, init)
    none = [[np.zeros((0, *p.shape[1:]), dtype) for p in group] for group in (model.weights, model.biases)]
    return Parameters(model.weights, model.biases, *none)


def exact_step(p: Parameters, x: Array, loss: str, lr: float) -> list[Array]:
    """Return the weights and biases after one step, in long double."""
    W, b, lr = [w.astype(Long) for w in p.W], [c.astype(Long) for c in p.b], Long(lr)
    a = [x.astype(Long)]
    for W_l, b_l in zip(W, b):
        a.append(1 / (1 + np.exp(-(a[-1] @ W_l + b_l))))
    d = (a[-1] - a[0]) / len(x) * (1 if loss == "bce" else 2 * a[-1] * (1 - a[-1]))
    for l in reversed(range(len(W))):
        below = d @ W[l].T * a[l] * (1 - a[l])
        W[l], b[l], d = W[l] - lr * (a[l].T @ d), b[l] - lr * d.sum(axis=0), below
    return [*W, *b]


def step(k: Backend, dtype: str, rounds: int, **options: Any) -> tuple[float, int]:
    """Return the largest fraction of the bound of one step, and how many weights and biases were compared."""
    shares, count = steps(k, dtype, rounds, **options)
    return max(shares), count


def steps(k: Backend, dtype: str, rounds: int, **options: Any) -> tuple[list[float], int]:
    """Return the largest fraction that each of many steps uses, and how many weights and biases were compared."""
    largest, count = [], 0
    inits: list[float | str] = ["glorot-sigmoid", 0.0, 1e-6, 1.0, 10.0, 100.0]
    for seed, (init, loss, m) in enumerate([*itertools.product(inits, ["mse", "bce"], [1, 5, 16])] * rounds):
        rng = np.random.default_rng(seed)
        p = network(dtype, init, seed)
        images = rng.choice([0, 255], (m, SIZES[0])) if seed % 3 == 0 else rng.integers(0, 256, (m, SIZES[0]))
        images, lr = images.astype(np.uint8), float(rng.choice([0.25, 1.0, 64.0]))
        session = k.session(p, images, loss=loss, lr=lr, batch_size=m, **options)
        session.start(np.arange(m))
        with np.errstate(over="ignore"):  # of e^−t, where σ is 0
            session.run(1)
            after, x = session.read(), images / 255
            limits = bounds.step(*([q.astype(np.float64) for q in g] for g in (p.W, p.b)), x, loss, lr, dtype)
            right = exact_step(p, images.astype(Long) / 255, loss, lr)
        compared = list(zip([*after.W, *after.b], right, [*limits[0], *limits[1]], strict=True))
        largest.append(max(fraction(found, q, limit) for found, q, limit in compared))
        count += sum(q.size for _, q, _ in compared)
    return largest, count


def main(rounds: int, names: list[str]) -> int:
    """Print both tables; return the exit status."""
    columns = [(name, dtype) for name in names for dtype in DTYPES]
    bad = False
    print("| kernel | numbers |", *(f"{name} {dtype} |" for name, dtype in columns))
    print("| --- | ---: |", *("---: |" for _ in columns))
    for name in [*NAMES, "step"]:
        row, counts, strays = [], 0, 0
        for backend, dtype in columns:
            k = fastae.backends.get(backend)
            largest, count = step(k, dtype, 1 + rounds // 5) if name == "step" else kernel(k, name, dtype, rounds)
            wrong, more = (0, 0) if name == "step" else not_finite(k, name, dtype, rounds)
            row.append(f"{largest:.3f}" + (f" ({wrong} wrong of NaN and ∞)" if wrong else ""))
            counts, strays, bad = counts + count + more, strays + wrong, bad or largest > 1 or wrong > 0
        print(f"| {name} | {counts:,} |", *(f"{cell} |" for cell in row), flush=True)
    print("\n| kernel |", *(f"{precision} |" for precision in REDUCED))
    print("| --- |", *("---: |" for _ in REDUCED))
    for name in NAMES:
        shares = [reduced(name, precision) for precision in REDUCED]
        bad = bad or min(shares) <= 1
        print(f"| {name} |", *(f"{share:,.1f} |" for share in shares))
    return int(bad)


if __name__ == "__main__":
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    sys.path.insert(0, str(Path(__file__).parent.parent))
    sys.exit(main(rounds, sys.argv[2:] or ["numpy", "numba", "emulator"]))
