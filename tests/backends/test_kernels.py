"""Every kernel of every backend that runs here, and of one in pure Python, against formulas in float64.

How far a kernel may be from the formula is derived in bounds.py from sizes and the unit roundoff; test_kernel_refusals
shows that those bounds reject what is wrong by a little.
"""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from kernel_formulas import HERE, backends, dtypes, right, run, small_enough
from sampling import some

from fastae.backends.contract import KERNELS
from fastae.check.calls.cases import make

ELEMENTWISE = [
    *["bias_sigmoid", "sigmoid_gradient", "bias_tanh", "tanh_gradient", "bias_relu", "relu_gradient"],
    *["mse_gradient", "bce_gradient", "mse_loss", "bce_loss"],
]


def test_the_backends_that_run_anywhere_run_here() -> None:
    """Without them the tests below would have no cases."""
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
def test_matmul_is_within_its_bound(backend: str, dtype: str, trans_a: bool, trans_b: bool) -> None:
    """Over all edges of tiles and pieces, alternately plain and accumulating, as matrices and as blocks of columns."""
    for i, (m, k, n) in some(enumerate(SMALL + LARGE)):
        if not small_enough(backend, m, k, n):
            continue
        alpha, beta = [(1.0, 0.0), (-0.25, 1.0), (0.7, -1.3)][i % 3]
        arguments = make("matmul", dtype, i, m=m, k=k, n=n, trans_a=trans_a, trans_b=trans_b, alpha=alpha, beta=beta)
        found = run(backend, "matmul", arguments, block=i % 5 > 0)
        assert right("matmul", arguments, found, dtype), (m, k, n, alpha, beta)


@backends
@dtypes
@pytest.mark.parametrize("alpha", [1.0, -1.0, 2.0, -0.3, 0.0])
@pytest.mark.parametrize("beta", [0.0, 1.0, 2.0, -1.3])
@pytest.mark.parametrize("name", ["matmul", "column_sum"])
def test_alpha_and_beta_scale_sum_and_output(backend: str, dtype: str, name: str, alpha: float, beta: float) -> None:
    """Both are obeyed; with beta = 0 an output full of NaN leaves no trace."""
    arguments = make(name, dtype, m=9, k=6, n=21, alpha=alpha, beta=beta)
    assert right(name, arguments, run(backend, name, arguments, block=True), dtype)


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
def test_elementwise_and_loss_kernels_are_within_their_bounds(backend: str, dtype: str, name: str) -> None:
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
def test_column_sum_is_within_its_bound(backend: str, dtype: str) -> None:
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
def test_axpy_is_within_its_bound_on_vectors_and_matrices(backend: str, dtype: str, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=(2, *shape)).astype(dtype)
    for alpha in (0.0, 1.0, -0.3):
        arguments = {"alpha": alpha, "x": x, "y": y}
        found = run(backend, "axpy", arguments, block=alpha != 1)
        assert right("axpy", arguments, found, dtype), alpha


@backends
@dtypes
@pytest.mark.parametrize("scalar", [np.float32, np.float64])
def test_numbers_may_be_numpys(backend: str, dtype: str, scalar: Callable[[float], Any]) -> None:
    for name in ("matmul", "column_sum", "axpy", "mse_gradient", "bce_gradient"):
        key, number = "scale" if "gradient" in name else "alpha", scalar(0.3)
        arguments = make(name, dtype, m=3, k=4, n=5, **{"...": 5, key: float(number)})  # 0.3 as the scalar has it
        assert right(name, arguments, run(backend, name, arguments | {key: number}), dtype), name


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
def test_advance_moves_the_cursor(backend: str) -> None:
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
