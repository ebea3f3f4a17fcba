"""Kernels at the ends of the number range: NaN, infinities, very large and very small numbers."""

import numpy as np
import pytest
from kernel_formulas import backends, dtypes, right, run

import fastae
from fastae.backends.contract import KERNELS
from fastae.check.calls.cases import make

RANGES = {"bias_sigmoid": (0.0, 1.0), "bias_tanh": (-1.0, 1.0), "bias_relu": (0.0, np.inf)}


@backends
@dtypes
@pytest.mark.parametrize("name", RANGES)
def test_an_activation_is_right_for_every_number(backend: str, dtype: str, name: str) -> None:
    """Within its range, and accurate where it is small too; infinite and huge sums warn of nothing."""
    far, huge = {"float32": 120, "float64": 750}[dtype], float(np.finfo(dtype).max)
    special = [0.0, -0.0, 1e-30, -1e-30, huge, -huge, huge / 2, -huge / 2, np.inf, -np.inf]
    count = 300 if backend == "pure-python" else 20_000
    small = 2.0 ** np.linspace(-100, 0, count // 2)
    t = np.concatenate([special, np.linspace(-far, far, count), np.linspace(-25, 25, count), small, -small])
    arguments = {"z": t[:, None].astype(dtype), "bias": np.zeros(1, dtype), "out": np.full((len(t), 1), np.nan, dtype)}
    found = run(backend, name, arguments)
    low, high = RANGES[name]
    assert np.all((found >= low) & (found <= high))
    finite = (t != np.inf) | np.isfinite(high)
    assert right(name, arguments | {key: arguments[key][finite] for key in ("z", "out")}, found[finite], dtype)


@backends
def test_sigmoid_of_a_sum_that_overflows_is_0_1_or_a_half(backend: str) -> None:
    huge = np.float32(3e38)
    z, bias = np.array([[huge, -huge, huge]], np.float32), np.array([huge, -huge, -huge], np.float32)
    found = run(backend, "bias_sigmoid", {"z": z, "bias": bias, "out": np.full_like(z, np.nan)})
    assert found[0, 0] == 1
    assert 0 <= found[0, 1] <= 2 * np.finfo(np.float32).tiny
    assert found[0, 2] == 0.5


@backends
@dtypes
def test_a_unit_that_is_off_passes_no_delta_and_one_that_is_on_all_of_it(backend: str, dtype: str) -> None:
    """To the last bit, at outputs of exactly 0 and −0 and of the smallest normal number."""
    tiny = np.finfo(dtype).tiny
    y = np.tile(np.array([0.0, -0.0, tiny, 1.0, 3e38], dtype), (3, 7))
    delta = np.random.default_rng(5).normal(size=y.shape).astype(dtype)
    found = run(backend, "relu_gradient", {"delta": delta, "y": y, "out": np.full_like(y, np.nan)}, block=True)
    assert np.array_equal(found, np.where(y > 0, delta, 0))


@backends
@dtypes
def test_nan_passes_through_a_unit_that_is_on(backend: str, dtype: str) -> None:
    """A kernel that multiplies by the derivative also passes it through a unit that is off; none may lose it."""
    arguments = make("relu_gradient", dtype, m=4, n=37)
    places = [0, 2, 3], [36, 5, 20]
    arguments["delta"][places], arguments["y"][places] = np.nan, 1
    found = run(backend, "relu_gradient", arguments)
    assert np.array_equal(np.isnan(found), np.isnan(arguments["delta"]))


@backends
@dtypes
@pytest.mark.parametrize(
    "name",
    [*RANGES, "sigmoid_gradient", "tanh_gradient", "mse_gradient", "bce_gradient"],
)
def test_nan_stays_where_it_is(backend: str, dtype: str, name: str) -> None:
    """In whole vectors and in the masked rest, from each of the inputs."""
    for key in [key for key, letters in KERNELS[name].shapes.items() if letters == ("m", "n") and key != "out"]:
        arguments = make(name, dtype, m=4, n=37)
        arguments[key][[0, 2, 3], [36, 5, 20]] = np.nan
        found = run(backend, name, arguments)
        assert np.array_equal(np.isnan(found), np.isnan(arguments[key])), key


@backends
@dtypes
@pytest.mark.parametrize("name", ["mse_loss", "bce_loss"])
@pytest.mark.parametrize("key", ["z", "x"])
def test_nan_in_an_image_is_nan_in_its_loss_alone(backend: str, dtype: str, name: str, key: str) -> None:
    arguments = make(name, dtype, m=5, n=37)
    arguments[key][[0, 3], [36, 7]] = np.nan
    assert np.isnan(run(backend, name, arguments)).tolist() == [True, False, False, True, False]


@backends
@dtypes
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("trans_b", [False, True], ids=["b", "bT"])
@pytest.mark.parametrize("trans_a", [False, True], ids=["a", "aT"])
@pytest.mark.filterwarnings("ignore:.*encountered:RuntimeWarning")  # np.matmul's
def test_nan_and_infinity_reach_exactly_their_row(
    backend: str, dtype: str, bad: float, trans_a: bool, trans_b: bool
) -> None:
    """A tile must not spill into its neighbours, nor a mask swallow a NaN."""
    for row, column in [(0, 0), (8, 18), (10, 7)]:
        arguments = make("matmul", dtype, m=11, k=19, n=37, trans_a=trans_a, trans_b=trans_b)
        for key in ("a", "b"):
            arguments[key] = abs(arguments[key]) + 1  # so that infinity stays infinity
        (arguments["a"].T if trans_a else arguments["a"])[row, column] = bad
        found = run(backend, "matmul", arguments)
        assert np.array_equal(found[row], np.full(37, bad), equal_nan=True)
        others = np.arange(11) != row
        rows = {"a": arguments["a"][:, others] if trans_a else arguments["a"][others], "out": arguments["out"][others]}
        assert right("matmul", arguments | rows, found[others], dtype)


@backends
@dtypes
def test_nan_in_b_reaches_exactly_its_column(backend: str, dtype: str) -> None:
    for column in (0, 15, 36):
        arguments = make("matmul", dtype, m=9, k=5, n=37)
        arguments["b"][4, column] = np.nan
        found = run(backend, "matmul", arguments)
        assert np.isnan(found).tolist() == [[j == column for j in range(37)]] * 9


@backends
@dtypes
def test_nan_reaches_exactly_its_column_sum(backend: str, dtype: str) -> None:
    arguments = make("column_sum", dtype, m=9, n=37)
    arguments["delta"][8, [0, 36]] = np.nan
    assert np.flatnonzero(np.isnan(run(backend, "column_sum", arguments))).tolist() == [0, 36]


@pytest.mark.thorough
@pytest.mark.parametrize("backend", ["numpy", "numba", "emulator"])
def test_logarithms_are_floored_at_minus_100(backend: str) -> None:
    """Numba's of −0 was +73: −0 is not negative, but has a sign bit."""
    k = fastae.backends.get(backend)
    z = np.array([[0.0], [-0.0], [np.exp(-100.5)], [np.exp(-99.5)]])
    z, x, out = (k.asarray(array) for array in (z, np.ones_like(z), np.zeros(len(z))))
    k.bce_loss(z, x, out)
    np.testing.assert_allclose(k.to_host(out), [100, 100, 100, 99.5], rtol=1e-14)
