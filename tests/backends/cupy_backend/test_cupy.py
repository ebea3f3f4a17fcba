"""The cupy backend: its kernels and a training.

Each test of kernels and trainings runs twice: on the CPU with the stand-in of fake_cupy.py, which compiles the very
``.cu`` file that a GPU gets, and, where there is one, on a GPU. The reference is the numpy backend in float64, and
bounds.py says how far a correct kernel may be from it.
"""

import itertools
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cuda_sessions import dtypes, right, run
from sampling import sample

import fastae
from fastae.backends.contract import KERNELS, PATCHES
from fastae.backends.cupy_backend import CupyBackend, launcher
from fastae.backends.emulator import EmulatorBackend, checking
from fastae.check import bounds
from fastae.check.calls.cases import ALPHA_BETA, expected, make
from fastae.errors import InputError


def test_the_stand_in_has_its_compiler() -> None:
    """Without a compiler the tests here fail; none is skipped."""
    compiler = shutil.which("g++") or shutil.which("clang++") or shutil.which("c++")
    assert compiler, "install g++ or clang++"
    subprocess.run([compiler, "--version"], check=True, capture_output=True)


# The kernels.

on_device = pytest.mark.parametrize("on_device", [False, True], ids=["numbers", "numbers on the device"])


@dtypes
@on_device
@pytest.mark.parametrize("trans_b", [False, True], ids=["b", "bT"])
@pytest.mark.parametrize("trans_a", [False, True], ids=["a", "aT"])
def test_matmul_is_within_its_bound(
    cupy: CupyBackend, dtype: str, on_device: bool, trans_a: bool, trans_b: bool
) -> None:
    """Of all four transpositions; with beta = 0 an output full of NaN leaves no trace."""
    for i, (m, k, n) in enumerate(
        [(5, 7, 3), (1, 6, 4), (6, 1, 4), (6, 4, 1), (1, 1, 1), (33, 100, 65), (16, 784, 40)]
    ):
        for alpha, beta in ALPHA_BETA:
            lengths = {"m": m, "k": k, "n": n}
            arguments = make("matmul", dtype, i, trans_a=trans_a, trans_b=trans_b, alpha=alpha, beta=beta, **lengths)
            assert right(cupy, "matmul", arguments, dtype, on_device=on_device), (m, k, n, alpha, beta)


@dtypes
def test_matmul_keeps_its_whole_precision(cupy: CupyBackend, dtype: str) -> None:
    """1 + 2⁻¹² is 1 in TF32, which a GPU may take for float32; the errors of 784 products add up."""
    arguments = make("matmul", dtype, m=9, k=784, n=20)
    arguments["a"][:], arguments["b"][:] = 1 + 2**-12, 1 + 2**-12
    assert right(cupy, "matmul", arguments, dtype)


@dtypes
@on_device
@pytest.mark.parametrize("block", [True, False], ids=["block of columns", "whole"])
@pytest.mark.parametrize(
    "name", ["bias_sigmoid", "sigmoid_gradient", "mse_gradient", "bce_gradient", "mse_loss", "bce_loss"]
)
def test_elementwise_kernels_and_losses_are_within_their_bounds(
    cupy: CupyBackend, name: str, block: bool, on_device: bool, dtype: str
) -> None:
    for m, n in itertools.product([0, 1, 2, 17], [1, 5, 64, 784]):
        arguments = make(name, dtype, n, m=m, n=n)
        assert right(cupy, name, arguments, dtype, block=block, on_device=on_device), (m, n)


@dtypes
@on_device
@pytest.mark.parametrize("block", [True, False], ids=["block of columns", "whole"])
def test_column_sum_is_within_its_bound(cupy: CupyBackend, block: bool, on_device: bool, dtype: str) -> None:
    for m, n in itertools.product([0, 1, 2, 300], [1, 5, 64, 300]):
        for alpha, beta in ALPHA_BETA:
            arguments = make("column_sum", dtype, m=m, n=n, alpha=alpha, beta=beta)
            assert right(cupy, "column_sum", arguments, dtype, block=block, on_device=on_device), (m, n, alpha, beta)


@dtypes
@on_device
@pytest.mark.parametrize("block", [True, False], ids=["block of columns", "whole"])
def test_axpy_is_within_its_bound(cupy: CupyBackend, block: bool, on_device: bool, dtype: str) -> None:
    """On vectors and matrices; the last is more than the grid has threads."""
    rng = np.random.default_rng(4)
    for shape in [(5,), (300,), (1, 1), (9, 31), (0, 3), (1050, 1001)]:
        x, y = rng.normal(size=(2, *shape)).astype(dtype)
        arguments = {"alpha": -0.25, "x": x, "y": y}
        assert right(cupy, "axpy", arguments, dtype, block=block, on_device=on_device), shape


@dtypes
def test_gather_divides_by_255_with_one_rounding(cupy: CupyBackend, dtype: str) -> None:
    """Every value of a pixel; repeated and unordered rows; from the cursor and the offset on."""
    images = np.random.default_rng(0).integers(0, 256, (9, 256), dtype=np.uint8)
    images[7] = np.arange(256)
    order = np.array([0, 5, 7, 7, 2, 8, 1, 3])
    for m, cursor, offset in [(3, 2, 0), (3, 0, 2), (5, 1, 1), (8, 0, 0), (1, 7, 0), (0, 8, 0)]:
        arguments = {"images": images, "order": order, "cursor": np.array([cursor]), "offset": offset}
        found = run(cupy, "gather", arguments | {"out": np.full((m, 256), np.nan, dtype)})
        chosen = images[order[cursor + offset : cursor + offset + m]]
        assert found.tobytes() == np.divide(chosen, 255, dtype=dtype).tobytes(), (m, cursor, offset)


def test_advance_moves_the_cursor(cupy: CupyBackend) -> None:
    for n in (0, 1, 16, 2**40):
        assert run(cupy, "advance", {"cursor": np.array([7]), "n": n}).tolist() == [7 + n]


@dtypes
@pytest.mark.parametrize("name", [name for name, kernel in KERNELS.items() if kernel.alias])
def test_an_output_may_be_the_input_that_the_contract_names(cupy: CupyBackend, name: str, dtype: str) -> None:
    arguments = make(name, dtype, m=9, n=300)
    separate = run(cupy, name, arguments)
    for alias in KERNELS[name].alias:
        assert run(cupy, name, arguments, alias=alias).tobytes() == separate.tobytes()


@dtypes
def test_sigmoid_is_right_over_the_whole_range(cupy: CupyBackend, dtype: str) -> None:
    huge = float(np.finfo(dtype).max)
    special = [0.0, -0.0, 1e-30, huge, -huge, np.inf, -np.inf]
    t = np.concatenate([special, np.linspace(-800, 800, 3001), np.linspace(-1, 1, 501)]).astype(dtype)
    arguments = {"z": t[:, None], "bias": np.zeros(1, dtype), "out": np.full((len(t), 1), np.nan, dtype)}
    found = run(cupy, "bias_sigmoid", arguments)
    assert np.all((found >= 0) & (found <= 1))
    assert bounds.accepts(found, *expected("bias_sigmoid", arguments, dtype))


@dtypes
@pytest.mark.parametrize("name", ["bias_sigmoid", "sigmoid_gradient", "mse_gradient", "bce_gradient"])
def test_nan_stays_where_it_is(cupy: CupyBackend, name: str, dtype: str) -> None:
    for key in [key for key, letters in KERNELS[name].shapes.items() if letters == ("m", "n") and key != "out"]:
        arguments = make(name, dtype, m=4, n=37)
        arguments[key][[0, 2, 3], [36, 5, 20]] = np.nan
        assert np.array_equal(np.isnan(run(cupy, name, arguments)), np.isnan(arguments[key])), key


@dtypes
def test_nan_reaches_its_loss_its_column_and_its_row_and_nothing_else(cupy: CupyBackend, dtype: str) -> None:
    for name, key in itertools.product(["mse_loss", "bce_loss"], ["z", "x"]):
        arguments = make(name, dtype, m=5, n=37)
        arguments[key][[0, 3], [36, 7]] = np.nan
        assert np.isnan(run(cupy, name, arguments)).tolist() == [True, False, False, True, False]
    arguments = make("column_sum", dtype, m=9, n=37)
    arguments["delta"][8, [0, 36]] = np.nan
    assert np.flatnonzero(np.isnan(run(cupy, "column_sum", arguments))).tolist() == [0, 36]
    arguments = make("axpy", dtype, alpha=0.5, **{"...": 5})
    arguments["x"][3] = np.nan
    assert np.flatnonzero(np.isnan(run(cupy, "axpy", arguments))).tolist() == [3]
    arguments = make("matmul", dtype, m=5, k=6, n=7)
    arguments["a"][2, 3] = np.nan
    assert np.isnan(run(cupy, "matmul", arguments)).tolist() == [[row == 2] * 7 for row in range(5)]


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["mse_loss", "bce_loss", "column_sum"])
@pytest.mark.parametrize("order", ["forward", "random"])
def test_cudas_sums_by_one_block_after_another_have_no_race(
    name: str, order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No thread may write its part of the next sum while another still reads those of this one."""
    monkeypatch.setattr(launcher, "MOST_BLOCKS", 1)
    with checking(order):
        run(EmulatorBackend(), name, make(name, "float32", m=5, n=90))


# What it refuses, before anything is launched.


def valid(name: str) -> dict[str, Any]:
    if name == "advance":
        return {"cursor": np.array([2]), "n": 3}
    return make(name, "float64", m=4, k=5, n=6, **{"...": 6}, alpha=0.5)


def refusals() -> Iterator[tuple[str, str, str, np.ndarray]]:
    for name, kernel in KERNELS.items():
        if name in PATCHES:  # for these see test_cuda_convolutions.py
            continue
        arguments = valid(name)
        for key in kernel.shapes:
            array = arguments[key]
            yield name, key, "int32", np.zeros(array.shape, np.int32)
            if (name, key) != ("gather", "out"):  # the only float there
                yield name, key, "float32", np.zeros(array.shape, np.float32)
            yield name, key, "float16", np.zeros(array.shape, np.float16)
            yield name, key, "too few dimensions", array[0]
            if array.shape[-1] > 1:
                yield name, key, "gaps in its rows", np.repeat(array, 2, axis=-1)[..., ::2]
            if key not in ("order", "cursor"):
                yield name, key, "too wide", np.repeat(array, 2, axis=-1)


REFUSALS = list(refusals())


@pytest.mark.parametrize(
    ("name", "key", "array"),
    [(name, key, array) for name, key, _, array in REFUSALS],
    ids=[f"{name}: {key}: {what}" for name, key, what, _ in REFUSALS],
)
def test_what_the_contract_does_not_allow_is_refused(cupy: CupyBackend, name: str, key: str, array: np.ndarray) -> None:
    def to_device(x: Any) -> Any:
        if not isinstance(x, np.ndarray):
            return x
        gaps = x.ndim > 0 and x.shape[-1] > 1 and x.strides[-1] != x.itemsize
        return cupy.asarray(np.repeat(x, 2, axis=-1))[..., ::2] if gaps else cupy.asarray(x)

    arguments = {other: to_device(x) for other, x in valid(name).items()}
    getattr(cupy, name)(**arguments)
    with pytest.raises(InputError, match=f"^{name}: ") as caught:
        getattr(cupy, name)(**(arguments | {key: to_device(array)}))
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("name", ["column_sum", "axpy", "mse_gradient"])
def test_a_number_on_the_device_must_have_the_dtype_of_the_arrays(cupy: CupyBackend, name: str) -> None:
    """The kernel would read eight bytes as a float."""
    arguments = make(name, "float32", m=4, n=6, **{"...": 6}, alpha=0.5)
    call = {key: cupy.asarray(x) if isinstance(x, np.ndarray) else x for key, x in arguments.items()}
    number = "scale" if "gradient" in name else "alpha"
    with pytest.raises(InputError, match=f"^{name}: {number} "):
        getattr(cupy, name)(**(call | {number: cupy.asarray(np.array(0.5))}))


# A training.


def train(backend: str, dtype: str, loss: str, momentum: float, epochs: int = 2) -> fastae.Trainer:
    images, _ = fastae.load_dataset(split="test")
    model = fastae.Autoencoder((784, 33, 20), dtype=dtype)
    trainer = fastae.Trainer(model, loss, fastae.SGD(0.02, momentum), backend)
    trainer.fit(images[:167], epochs, images[5000:5300], progress=False)  # neither is a multiple of its batches
    return trainer


@dtypes
@pytest.mark.parametrize("momentum", sample([0.9, 0.0], 2))
@pytest.mark.parametrize("loss", ["mse", "bce"])
@pytest.mark.usefixtures("cupy")
def test_a_training_is_numpys(dtype: str, loss: str, momentum: float) -> None:
    ours, numpys = (train(backend, dtype, loss, momentum) for backend in ("cupy", "numpy"))
    for one, other in zip(ours.history.epochs, numpys.history.epochs, strict=True):
        rtol = 1e-11 if dtype == "float64" else 2e-5
        assert one.train_loss == pytest.approx(other.train_loss, rel=rtol)
        assert one.test_mse == pytest.approx(other.test_mse, rel=rtol)
    for found, array in zip(ours.model.weights + ours.model.biases, numpys.model.weights + numpys.model.biases):
        assert type(found) is np.ndarray
        assert found.dtype == dtype
        np.testing.assert_allclose(found, array, rtol=0, atol=1e-11 if dtype == "float64" else 1e-4)
    digits, _ = fastae.load_dataset(split="test")
    assert (ours.model.backend, numpys.model.backend) == ("cupy", "numpy")
    numpys.model.weights, numpys.model.biases = ours.model.weights, ours.model.biases
    for what in ("encode", "reconstruct"):
        found, array = (getattr(trainer.model, what)(digits[:20]) for trainer in (ours, numpys))
        assert type(found) is np.ndarray
        np.testing.assert_allclose(found, array, rtol=1e-12 if dtype == "float64" else 2e-5, atol=1e-7)


@pytest.mark.usefixtures("cupy")
def test_a_resumed_training_ends_in_the_same_bits(tmp_path: Path) -> None:
    whole, half = train("cupy", "float32", "bce", 0.9, epochs=2), train("cupy", "float32", "bce", 0.9, epochs=1)
    half.save(tmp_path / "checkpoint.npz")
    resumed = fastae.Trainer(fastae.Autoencoder((784, 33, 20)), "bce", fastae.SGD(0.02, 0.9), "cupy")
    resumed.resume(tmp_path / "checkpoint.npz")
    resumed.fit(fastae.load_dataset(split="test")[0][:167], 1, progress=False)
    for found, array in zip(resumed.model.weights + resumed.model.biases, whole.model.weights + whole.model.biases):
        assert found.tobytes() == array.tobytes()
    assert resumed.history.epochs[-1].train_loss == whole.history.epochs[-1].train_loss


def test_threads_are_refused(cupy: CupyBackend) -> None:
    trainer = fastae.Trainer(fastae.Autoencoder((4, 3, 2)), backend="cupy", threads=2)
    with pytest.raises(InputError, match="'cupy' does not take a number of threads; numba does"):
        trainer.fit(np.zeros((3, 4), np.uint8), progress=False)
