"""What the other tests of the compiled kernels let pass: found by `tests/attacks/mutate_kernels.py`."""

import copy
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
import test_step
from test_cupy import run
from test_modes import bits, epochs, session

import fastae
from fastae.backends.contract import KERNELS
from fastae.backends.cupy_backend import CupyBackend, launcher
from fastae.backends.cupy_backend.branches import Branches
from fastae.backends.cupy_backend.operations import make_operations
from fastae.backends.emulator import EmulatorBackend, checking, streams
from fastae.backends.numba_backend import elementwise, operations, sparse
from fastae.backends.numba_backend.jit import jit
from fastae.backends.numba_backend.kernels import OUTER_ROWS, ROW_BLOCK
from fastae.check.cases import make


@cache
def alone(formula: Callable[..., Any]) -> Callable[[np.ndarray], np.ndarray]:
    """Compile a formula of one vector."""
    run = elementwise.sweep(lambda v, x, *same: (formula(v, x), None))

    @jit(name=f"only_{formula.__name__}")
    def sweep(x, out):
        run(out, x, x, x, x, 0.0)

    def call(x: np.ndarray) -> np.ndarray:
        out = np.full((1, x.size), np.nan, x.dtype)
        sweep(x[None], out)
        return out[0]

    return call


def roundings(found: np.ndarray, exact: np.ndarray) -> float:
    """Return the largest relative error, in units of half an ulp; what is exactly 0 must be found so."""
    assert not found[exact == 0].any()
    return float(np.max(np.abs(found - exact)[exact != 0] / np.abs(exact)[exact != 0]) / np.finfo(found.dtype).eps * 2)


@pytest.mark.parametrize(("dtype", "last"), [("float32", 87.3365), ("float64", 708.3964)])
def test_numbas_sigmoid_is_within_five_roundings_of_the_exact_one(dtype: str, last: float) -> None:
    """The bound of the other tests grows with t, for a sum z + bias is rounded; here is nothing to be rounded.

    The ends are where e⁻ᵗ is about to leave the normal numbers.
    """
    t = np.linspace(-last, last, 20_001).astype(dtype)
    found = np.empty((1, t.size), dtype)
    fastae.backends.get("numba").bias_sigmoid(t[None], np.zeros(t.size, dtype), found)
    assert roundings(found[0], 1 / (1 + np.exp(-t.astype(np.longdouble)))) < 5


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_numbas_exponential_is_within_four_roundings(dtype: str) -> None:
    exponential, info = alone(elementwise.exponential), np.finfo(dtype)
    limit = (info.maxexp - 2) * np.log(np.longdouble(2))
    t = np.concatenate([np.linspace(-limit, limit, 40_001), np.linspace(-2, 2, 20_001)]).astype(dtype)
    t = t[np.abs(t.astype(np.longdouble)) < limit * (1 - 2 * info.eps)]
    assert roundings(exponential(t), np.exp(t.astype(np.longdouble))) < 4
    ends = exponential(np.array([limit + 1, np.inf, -limit - 1, -np.inf, np.nan], dtype))
    np.testing.assert_allclose(ends, [np.inf, np.inf, info.tiny, info.tiny, np.nan], rtol=1e-4)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_numbas_logarithm_is_within_four_roundings(dtype: str) -> None:
    """Of all positive numbers, those below the normal ones too, and near 1 and √½, where its series begins and ends."""
    logarithm, info, rng = alone(elementwise.logarithm), np.finfo(dtype), np.random.default_rng(0)
    near = np.arange(-2000, 2000) * info.eps
    everywhere = np.exp2(rng.uniform(info.minexp - info.nmant, info.maxexp, 60_000))
    ends = [info.smallest_subnormal, info.tiny, info.max]
    x = np.concatenate([everywhere, 1 + near, np.sqrt(0.5) * (1 + near), np.linspace(0.25, 2.5, 20_000), ends])
    x = x.astype(dtype)
    x = x[(x > 0) & (x < np.inf)]
    assert roundings(logarithm(x), np.log(x.astype(np.longdouble))) < 4
    assert (logarithm(np.array([0.0, -0.0], dtype)) < -100).all()
    assert np.isnan(logarithm(np.array([-1, -info.tiny, -np.inf, np.inf, np.nan], dtype))).all()


@pytest.mark.parametrize("backend", ["numpy", "numba", "emulator"])
def test_logarithms_are_floored_at_minus_100(backend: str) -> None:
    """Numba's of −0 was +73: −0 is not negative, but has a sign bit."""
    k = fastae.backends.get(backend)
    z = np.array([[0.0], [-0.0], [np.exp(-100.5)], [np.exp(-99.5)]])
    z, x, out = (k.asarray(array) for array in (z, np.ones_like(z), np.zeros(len(z))))
    k.bce_loss(z, x, out)
    np.testing.assert_allclose(k.to_host(out), [100, 100, 100, 99.5], rtol=1e-14)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("loss", ["mse", "bce"])
def test_numbas_gradient_and_loss_in_one_pass_are_those_of_two(loss: str, dtype: str) -> None:
    k, rng = fastae.backends.get("numba"), np.random.default_rng(0)
    z, x = (1 / (1 + np.exp(-rng.normal(0, 3, (2, 5, 37))))).astype(dtype)
    d, right, losses, right_losses = (*np.full((2, 5, 37), np.nan, dtype), *np.full((2, 5), np.nan))
    getattr(operations, loss)(z, x, 1 / 7, d, losses[:, None], None)
    getattr(k, f"{loss}_gradient")(z, x, 1 / 7, right)
    getattr(k, f"{loss}_loss")(z, x, right_losses)
    assert d.tobytes() == right.tobytes()
    assert losses.tobytes() == right_losses.tobytes()


@pytest.mark.parametrize("blocks", [1, 2])
def test_cuda_trains_on_a_device_of_one_multiprocessor(cupy: CupyBackend, blocks: int, monkeypatch: Any) -> None:
    """A persistent kernel of one block has no other to wait for, or to leave work to."""
    if cupy.launcher.cupy.cuda is streams:  # the stand-in's; a GPU has as many as it has
        monkeypatch.setattr(cupy.launcher, "multiprocessors", blocks)
    found = [session(cupy, mode) for mode in ("eager", "persistent")]
    assert epochs(found[0]) == epochs(found[1])
    assert bits(found[0]) == bits(found[1])
    assert found[1]._train[0].cursor[0] == found[0]._train[0].cursor[0]


def test_cudas_persistent_kernel_gathers_every_pixel(cupy: CupyBackend) -> None:
    """Of more than one block's worth of them, of which the last block has a single one."""
    assert 27 * 19 % 256 == 1
    found = []
    for mode in ("eager", "persistent"):
        s = cupy.session(test_step.start((19, 6), "float32"), test_step.images(19, 54), batch_size=27, mode=mode)
        s.start(np.arange(54))
        with checking():  # by the stand-in: nor does it write a pixel too many
            s.run(2)
        found.append(bits(s))
    assert found[0] == found[1]


@pytest.mark.parametrize("most", [1, 3])
def test_cuda_grids_of_few_blocks_do_all_the_work(cupy: CupyBackend, most: int, monkeypatch: Any) -> None:
    """Blocks go on where there is more to do than the grid has: more than 4,096 images, or elements by the million."""
    sizes = {"m": 40, "k": 70, "n": 90}
    calls = {name: make(name, "float32", **sizes) for name in KERNELS if name not in ("axpy", "advance")}
    x, y = np.random.default_rng(0).normal(size=(2, 40, 70)).astype("float32")
    calls["axpy"] = {"alpha": 0.5, "x": x, "y": y}
    found = []
    for blocks in (launcher.MOST_BLOCKS, most):
        monkeypatch.setattr(launcher, "MOST_BLOCKS", blocks)
        s = session(cupy, "eager")
        kernels = [run(cupy, name, copy.deepcopy(arguments)).tobytes() for name, arguments in calls.items()]
        found.append([*kernels, epochs(s, 1), bits(s)])
    assert found[0] == found[1]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_numbas_products_that_leave_out_zeros_are_the_whole_products(dtype: str) -> None:
    """Of whole numbers, which are exact in any order: dark pixels everywhere, alone, in columns and in all images."""
    assert not sparse.has_zeros(np.zeros((1, 9), dtype)[:0])  # nobody looks where no image is
    rng = np.random.default_rng(0)
    for m, inputs, outputs in ((1, 9, 5), (3, 4, 16), (4, 10, 33), (7, 13, 33), (ROW_BLOCK + 6, 22, 70)):
        for lit in (0.0, 0.1, 0.5, 1.0):
            a = (rng.integers(1, 4, (m, inputs)) * (rng.random((m, inputs)) < lit)).astype(dtype)
            W, d = (rng.integers(-3, 4, (rows, outputs)).astype(dtype) for rows in (inputs, m))
            assert sparse.has_zeros(a) == (a[0] == 0).any()
            seen, ks = np.full(inputs, np.nan, dtype), np.full(max(inputs, m), -1)
            count = sparse.list_columns(a, m // 3, m, seen, ks)
            assert list(ks[:count]) == list(np.flatnonzero(a[m // 3 :].any(axis=0)))
            count = sparse.list_rows(a, inputs - OUTER_ROWS, ks)
            assert list(ks[:count]) == list(np.flatnonzero(a[:, inputs - OUTER_ROWS :].any(axis=1)))
            y = np.full((m, outputs), np.nan, dtype)
            sparse.multiply(a, W, y, seen, ks)
            np.testing.assert_array_equal(y, a @ W)
            for beta in (0.0, 1.0, 2.0):
                out = np.full((inputs, outputs), np.nan, dtype) if beta == 0 else W.copy()
                sparse.multiply_transposed(a, d, out, -2.0, beta, ks)
                np.testing.assert_array_equal(out, -2 * a.T @ d + (beta * W if beta else 0))


@pytest.mark.parametrize("side", [16, 32, 64])
def test_cudas_tensor_cores_read_only_what_is_there(side: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A warp with no piece of a small tile left would read shared memory that nobody has written."""
    k = EmulatorBackend()
    tf32 = k.launcher_for(True, np.dtype(np.float32))
    monkeypatch.setattr(tf32, "tile", lambda *product: launcher.Tile(side))
    a, W, b, y = (k.asarray(np.ones(shape, np.float32)) for shape in ((33, 70), (70, 41), (41,), (33, 41)))
    with checking():
        make_operations(k, tf32, "mse", Branches(k.launcher.cupy.cuda))["forward"](a, W, b, y)
    assert np.all(k.to_host(y) == 1)  # σ(71)


@pytest.mark.parametrize("name", ["mse_loss", "bce_loss", "column_sum"])
@pytest.mark.parametrize("order", ["forward", "random"])
def test_cudas_sums_by_one_block_after_another_have_no_race(
    name: str, order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No thread may write its part of the next sum while another still reads those of this one."""
    monkeypatch.setattr(launcher, "MOST_BLOCKS", 1)
    with checking(order):
        run(EmulatorBackend(), name, make(name, "float32", m=5, n=90))
