"""Every kernel of every backend that runs here, and of one in pure Python, against formulas in float64.

How far a kernel may be from the formula is derived in bounds.py from sizes and the unit roundoff; test_kernel_refusals
shows that those bounds reject what is wrong by a little.
"""

import itertools
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from conftest import some
from pure_python import PurePython

import fastae
from fastae.backends.contract import KERNELS
from fastae.check import bounds
from fastae.check.calls import cases

Arguments = dict[str, Any]

HERE = [name for name, state in fastae.backends.availability().items() if state.ok]
ELEMENTWISE = [
    *["bias_sigmoid", "sigmoid_gradient", "bias_tanh", "tanh_gradient", "bias_relu", "relu_gradient"],
    *["mse_gradient", "bce_gradient", "mse_loss", "bce_loss"],
]
ROUNDED_SUMS = ("bias_sigmoid", "bias_tanh")  # which are taken of the rounded sum
WRITTEN = {"axpy": "y", "advance": "cursor"}  # by the others: out

backends = pytest.mark.parametrize("backend", [*HERE, "pure-python"])
dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])


# What the kernels should write, in float64.


def matmul(a, b, out, trans_a, trans_b, alpha, beta):
    product = alpha * ((a.T if trans_a else a) @ (b.T if trans_b else b))
    return product if beta == 0 else product + beta * out


def bias_sigmoid(z, bias, out, dtype):
    with np.errstate(over="ignore"):
        t = (z + bias).astype(dtype).astype(np.float64)  # σ is taken of the rounded sum
        return 1 / (1 + np.exp(-t))


def bias_tanh(z, bias, out, dtype):
    with np.errstate(over="ignore"):
        return np.tanh((z + bias).astype(dtype).astype(np.float64))


def bce_loss(z, x, out):
    log_z, log_1z = bounds.floored_logs(z)
    return -np.sum(x * log_z + (1 - x) * log_1z, axis=1)


def column_sum(delta, out, alpha, beta):
    return alpha * delta.sum(axis=0) + (0 if beta == 0 else beta * out)


EXACT: dict[str, Callable[..., Any]] = {
    "matmul": matmul,
    "bias_sigmoid": bias_sigmoid,
    "sigmoid_gradient": lambda delta, y, out: delta * y * (1 - y),
    "bias_tanh": bias_tanh,
    "tanh_gradient": lambda delta, y, out: delta * (1 - y * y),
    "bias_relu": lambda z, bias, out: np.maximum(z + bias, 0),
    "relu_gradient": lambda delta, y, out: np.where(y > 0, delta, 0),
    "mse_gradient": lambda z, x, scale, out: 2 * scale * (z - x) * z * (1 - z),
    "bce_gradient": lambda z, x, scale, out: scale * (z - x),
    "mse_loss": lambda z, x, out: np.sum((z - x) ** 2, axis=1),
    "bce_loss": bce_loss,
    "column_sum": column_sum,
    "axpy": lambda alpha, x, y: y + alpha * x,
}  # those of images are in test_image_kernels
BOUND: dict[str, Callable[..., Any]] = {
    "matmul": lambda a, b, out, trans_a, trans_b, alpha, beta, dtype: bounds.matmul(
        a.T if trans_a else a, b.T if trans_b else b, out, alpha, beta, dtype
    ),
    "bias_sigmoid": lambda dtype, **arguments: bounds.sigmoid(bias_sigmoid(**arguments, dtype=dtype), dtype),
    "sigmoid_gradient": lambda delta, y, out, dtype: bounds.sigmoid_gradient(delta, y, dtype),
    "bias_tanh": lambda dtype, **arguments: bounds.tanh(bias_tanh(**arguments, dtype=dtype), dtype),
    "tanh_gradient": lambda delta, y, out, dtype: bounds.tanh_gradient(delta, y, dtype),
    "bias_relu": lambda z, bias, out, dtype: bounds.bias_relu(z, bias, dtype),
    "relu_gradient": lambda delta, y, out, dtype: bounds.relu_gradient(delta, y, dtype),
    "mse_gradient": lambda z, x, scale, out, dtype: bounds.mse_gradient(z, x, scale, dtype),
    "bce_gradient": lambda z, x, scale, out, dtype: bounds.bce_gradient(z, x, scale, dtype),
    "mse_loss": lambda z, x, out, dtype: bounds.mse_loss(z, x, dtype),
    "bce_loss": lambda z, x, out, dtype: bounds.bce_loss(z, x, dtype),
    "column_sum": bounds.column_sum,
    "axpy": bounds.axpy,
    "unfold": lambda out, **arguments: bounds.unfold(**arguments),
    "fold": lambda out, **arguments: bounds.fold(**arguments),
    "convolve": lambda out, **arguments: bounds.convolve(**arguments),
}


def in_float64(arguments: Arguments) -> Arguments:
    arrays = {key: value.astype(np.float64) for key, value in arguments.items() if isinstance(value, np.ndarray)}
    return arguments | arrays


def exact(name: str, arguments: Arguments, dtype: str) -> np.ndarray:
    more = {"dtype": dtype} if name in ROUNDED_SUMS else {}
    return EXACT[name](**in_float64(arguments), **more)


def right(name: str, arguments: Arguments, found: np.ndarray, dtype: str) -> bool:
    """Whether the kernel may write this."""
    bound = BOUND[name](**in_float64(arguments), dtype=dtype)
    return bounds.accepts(found, exact(name, arguments, dtype), bound)


# Arguments for a kernel, and a call that watches everything around them.


def make(name: str, dtype: str, seed: int = 0, **given: Any) -> Arguments:
    """Make arguments of the lengths given by the contract's letters; ``out`` is full of NaN unless beta reads it.

    The kernels for images take m, their geometry and ``channels``, and ``convolve`` takes c.
    """
    given = cases.lengths(name, given)
    rng = np.random.default_rng([len(name), seed])
    parameters = KERNELS[name].parameters.parameters
    arguments: Arguments = {key: p.default for key, p in parameters.items() if p.default is not p.empty}
    arguments |= {"scale": 1 / 7} if "scale" in parameters else {}
    arguments |= {key: given[key] for key in parameters if key in given}
    for key, letters in KERNELS[name].shapes.items():
        shape = tuple(given[letter] for letter in letters)
        if key == "out" and arguments.get("beta", 0) == 0:
            values = np.full(shape, np.nan)
        elif (name, key) == ("tanh_gradient", "y"):
            values = np.tanh(rng.normal(0, 2, shape))
            values.flat[:3] = [0, 1, -1][: values.size]
        elif (name, key) == ("relu_gradient", "y"):
            values = np.maximum(rng.normal(0, 2, shape), 0)
        elif key == "x" and name.startswith(("mse", "bce")):
            values = rng.integers(0, 256, shape) / 255
        elif (key == "z" and not name.startswith("bias")) or (key == "y" and name != "axpy"):
            values = 1 / (1 + np.exp(-rng.normal(0, 8, shape)))  # outputs of σ
            values.flat[:2] = [0, 1][: values.size]
        else:
            values = rng.normal(0, (3 if name == "bias_tanh" else 30) if key == "z" else 1, shape)
        values = values.astype("float64" if key == "out" and name.endswith("loss") else dtype)
        arguments[key] = np.ascontiguousarray(values.T) if arguments.get(f"trans_{key}") else values
    return {key: arguments[key] for key in parameters}


def kernels_of(backend: str) -> Any:
    return PurePython() if backend == "pure-python" else fastae.backends.get(backend)


def frame(array: np.ndarray, block: bool) -> tuple[np.ndarray, tuple[slice, ...]]:
    """Lay the array in a larger one of NaN or 99: among other rows and, as a block of columns, among other columns."""
    margins = [(1, 1)] * array.ndim
    if array.ndim == 2 and not block:
        margins[1] = (0, 0)
    inner = tuple(slice(before, before + n) for (before, _), n in zip(margins, array.shape))
    around = np.full(
        [n + sum(margin) for n, margin in zip(array.shape, margins)],
        np.nan if array.dtype.kind == "f" else 99,
        array.dtype,
    )
    around[inner] = array
    return around, inner


def run(
    backend: str, name: str, arguments: Arguments, block: bool = False, alias: str = "", warnings_are: str = "error"
) -> np.ndarray:
    """Call a kernel and return what it wrote.

    With ``block``, the matrices are blocks of columns of wider ones. Fails if the kernel warns, returns something,
    or touches anything but its output. ``alias`` is an entry of the contract, such as ``"out=z"``.
    """
    k = kernels_of(backend)
    written = WRITTEN.get(name, "out")
    frames = {key: frame(value, block) for key, value in arguments.items() if isinstance(value, np.ndarray)}
    device = {key: k.asarray(around) for key, (around, _) in frames.items()}
    call = arguments | {key: device[key][inner] for key, (_, inner) in frames.items()}
    if alias:
        out, same = alias.split("=")
        call[out], written = call[same], same
    with warnings.catch_warnings():
        warnings.simplefilter(warnings_are)
        result = getattr(k, name)(**call)
    assert result is None
    for key, (before, inner) in frames.items():
        after = k.to_host(device[key])
        if key == written:
            found = after[inner].copy()
            after[inner] = before[inner]
        assert after.tobytes() == before.tobytes(), f"{name} has written into or around {key}"
    return found


def small_enough(backend: str, *lengths: int) -> bool:
    """Leave large shapes to those who take no seconds for them."""
    return backend != "pure-python" or np.prod(lengths) <= 500


def test_the_backends_that_run_anywhere_run_here() -> None:
    """Else the tests below would quietly test nothing."""
    assert {"numpy", "numba"} <= set(HERE)


# Values.

# Rows: tiles of 8 or 4. Columns: vectors of 16, 8, 4 or 2, up to three in a tile, and what is left over.
WIDTHS = [2, 3, 5, 8, 9, 12, 31, 33, 47, 48, 49, 63, 64, 65, 80, 81]
SMALL = [
    *itertools.product([1, 7, 8, 9], [1, 5, 16, 33], [1, 4, 15, 16, 17, 32]),
    *[(m, 7 + i % 3, n) for i, (m, n) in enumerate(itertools.product([3, 4, 5, 12], WIDTHS))],
]
# Sums and outputs in pieces of 512, rows in blocks of 128; tall, wide, and the two layers at MNIST's end.
LARGE = [
    *[(3, 511, 20), (9, 512, 17), (2, 513, 33), (4, 1025, 5)],
    *[(511, 3, 16), (512, 4, 17), (513, 9, 15), (1030, 2, 3)],
    *[(127, 8, 9), (128, 5, 17), (129, 16, 8), (300, 20, 50), (5, 7, 1000), (2, 2, 515)],
    *[(16, 784, 256), (16, 256, 784), (784, 16, 256), (0, 5, 20), (2000, 1, 3), (1, 2000, 1), (1, 1, 2000)],
]


@backends
@dtypes
@pytest.mark.parametrize("trans_b", [False, True], ids=["b", "bT"])
@pytest.mark.parametrize("trans_a", [False, True], ids=["a", "aT"])
@pytest.mark.larger
def test_matmul(backend: str, dtype: str, trans_a: bool, trans_b: bool) -> None:
    """Over all edges of tiles and pieces, alternately plain and accumulating, as matrices and as blocks of columns."""
    for i, (m, k, n) in some(enumerate(SMALL + LARGE)):
        if not small_enough(backend, m, k, n):
            continue
        alpha, beta = [(1.0, 0.0), (-0.25, 1.0), (0.7, -1.3)][i % 3]
        arguments = make("matmul", dtype, i, m=m, k=k, n=n, trans_a=trans_a, trans_b=trans_b, alpha=alpha, beta=beta)
        found = run(backend, "matmul", arguments, block=i % 5 > 0 and backend != "cupy")  # which refuses gaps
        assert right("matmul", arguments, found, dtype), (m, k, n, alpha, beta)


@backends
@dtypes
@pytest.mark.parametrize("alpha", [1.0, -0.3, 0.0])
@pytest.mark.parametrize("beta", [0.0, 1.0, -1.3])
@pytest.mark.parametrize("name", ["matmul", "column_sum"])
def test_alpha_and_beta(backend: str, dtype: str, name: str, alpha: float, beta: float) -> None:
    """Both are obeyed; with beta = 0 an output full of NaN leaves no trace."""
    arguments = make(name, dtype, m=9, k=6, n=21, alpha=alpha, beta=beta)
    gaps = (backend, name) != ("cupy", "matmul")
    assert right(name, arguments, run(backend, name, arguments, block=gaps), dtype)


@backends
@pytest.mark.parametrize("name", ["matmul", "column_sum"])
def test_left_out_alpha_and_beta_are_one_and_zero(backend: str, name: str) -> None:
    arguments = make(name, "float32", m=9, k=6, n=21)
    short = {key: value for key, value in arguments.items() if isinstance(value, np.ndarray)}
    assert run(backend, name, short).tobytes() == run(backend, name, arguments).tobytes()


@backends
@dtypes
@pytest.mark.parametrize("name", ELEMENTWISE)
@pytest.mark.larger
def test_elementwise_and_loss_kernels(backend: str, dtype: str, name: str) -> None:
    """Over all remainders of a vector, with outputs of σ that are exactly 0 and 1."""
    widths = [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 100, 784]
    for m, n in some(itertools.product([0, 1, 2, 9], widths)):
        if not small_enough(backend, m, n):
            continue
        arguments = make(name, dtype, n, m=m, n=n)
        found = run(backend, name, arguments, block=n % 2 == 1 or n > 16)
        assert right(name, arguments, found, dtype), (m, n)


@backends
@dtypes
@pytest.mark.larger
def test_column_sum(backend: str, dtype: str) -> None:
    """Over columns of one, four and no whole vectors."""
    for i, (m, n) in some(enumerate(itertools.product([0, 1, 2, 9, 300], [1, 3, 8, 15, 16, 17, 63, 64, 65, 150]))):
        if not small_enough(backend, m, n):
            continue
        alpha, beta = [(1.0, 0.0), (-0.25, 1.0), (0.7, -1.3)][i % 3]
        arguments = make("column_sum", dtype, i, m=m, n=n, alpha=alpha, beta=beta)
        found = run(backend, "column_sum", arguments, block=i % 4 > 0)
        assert right("column_sum", arguments, found, dtype), (m, n, alpha, beta)


@backends
@dtypes
@pytest.mark.parametrize("shape", [(5,), (33,), (1, 1), (9, 31), (4, 16), (0, 3)], ids=str)
def test_axpy_on_vectors_and_matrices(backend: str, dtype: str, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=(2, *shape)).astype(dtype)
    for alpha in (0.0, 1.0, -0.3):
        arguments = {"alpha": alpha, "x": x, "y": y}
        found = run(backend, "axpy", arguments, block=alpha != 1)
        assert right("axpy", arguments, found, dtype), alpha


@backends
@dtypes
@pytest.mark.parametrize("scalar", [np.float32, np.float64, np.array], ids=["float32", "float64", "0-d"])
def test_numbers_may_be_numpys(backend: str, dtype: str, scalar: Callable[[float], Any]) -> None:
    for name in ("matmul", "column_sum", "axpy", "mse_gradient", "bce_gradient"):
        numbers = {"scale": 0.3} if "gradient" in name else {"alpha": 0.3}
        arguments = make(name, dtype, m=3, k=4, n=5, **{"...": 5}, **numbers)
        found = run(backend, name, arguments | {key: scalar(value) for key, value in numbers.items()})
        if scalar is np.float32:  # 0.3 as float32 has it
            arguments |= {key: float(scalar(value)) for key, value in numbers.items()}
        assert right(name, arguments, found, dtype), name


@backends
@dtypes
def test_gather_divides_by_255_with_one_rounding(backend: str, dtype: str) -> None:
    """Every value of a pixel, any width, repeated and unordered rows, from the cursor and the offset on."""
    for n, block in [(1, True), (3, True), (16, True), (37, True), (256, False)]:
        images = np.random.default_rng(n).integers(0, 256, (9, n), dtype=np.uint8)
        images[7] = np.arange(256)[-n:]
        order = np.array([0, 5, 7, 7, 2, 8, 1, 3])
        for m, cursor, offset in [(3, 2, 0), (3, 0, 2), (5, 1, 1), (8, 0, 0), (1, 7, 0), (0, 8, 0)]:
            arguments = {
                "images": images,
                "order": order,
                "cursor": np.array([cursor]),
                "offset": offset,
                "out": np.full((m, n), np.nan, dtype),
            }
            found = run(backend, "gather", arguments, block=block)
            chosen = images[order[cursor + offset : cursor + offset + m]]
            real = np.dtype(dtype).type
            assert found.tobytes() == (chosen.astype(dtype) / real(255)).tobytes(), (m, n, cursor, offset)


@backends
def test_advance(backend: str) -> None:
    for n in (1, 16, 2**40):
        assert run(backend, "advance", {"cursor": np.array([7]), "n": n}).tolist() == [7 + n]


@backends
@pytest.mark.parametrize("name", [name for name, kernel in KERNELS.items() if kernel.alias])
def test_an_output_may_be_the_input_that_the_contract_names(backend: str, name: str) -> None:
    """To the same bits as with an output of its own, in every row and in the last, masked vector too."""
    arguments = make(name, "float32", m=9, n=37)
    expected = run(backend, name, arguments, block=True)
    for alias in KERNELS[name].alias:
        assert run(backend, name, arguments, block=True, alias=alias).tobytes() == expected.tobytes()
