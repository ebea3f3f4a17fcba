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
from kernel_formulas import dtypes, run, valid
from sampling import sample

import fastae
from fastae.backends.contract import KERNELS, PATCHES
from fastae.backends.cupy_backend import CupyBackend, launcher
from fastae.backends.emulator import EmulatorBackend, checking
from fastae.check import bounds
from fastae.check.calls.cases import ALPHA_BETA, expected, made, make
from fastae.errors import InputError


def test_the_stand_in_has_its_compiler() -> None:
    """Without a compiler the tests here fail; none is skipped."""
    compiler = shutil.which("g++") or shutil.which("clang++") or shutil.which("c++")
    assert compiler, "install g++ or clang++"
    subprocess.run([compiler, "--version"], check=True, capture_output=True)


# The kernels. `test_kernels.py` and `test_kernel_edges.py` have more of the same code as the emulator's.

NAMES = [name for name in KERNELS if name not in ("advance", *PATCHES)]  # for patches see test_cuda_convolutions.py


def calls(name: str) -> Iterator[dict[str, Any]]:
    """Yield lengths and numbers, of all four transpositions; with beta = 0 the output is full of NaN."""
    scaled = [{"alpha": alpha, "beta": beta} for alpha, beta in ALPHA_BETA]
    if name == "matmul":
        shapes = [(5, 7, 3), (1, 6, 4), (6, 1, 4), (6, 4, 1), (1, 1, 1), (33, 100, 65), (16, 784, 40)]
        for (m, k, n), a, b, numbers in itertools.product(shapes, (False, True), (False, True), scaled):
            yield {"m": m, "k": k, "n": n, "trans_a": a, "trans_b": b, **numbers}
    elif name == "column_sum":
        for m, n, numbers in itertools.product([0, 1, 2, 300], [1, 5, 64, 300], scaled):
            yield {"m": m, "n": n, **numbers}
    elif name == "axpy":  # the last is more than the grid has threads
        yield from ({"...": shape, "alpha": -0.25} for shape in [(5,), (300,), (1, 1), (9, 31), (0, 3), (1050, 1001)])
    else:
        yield from ({"m": m, "n": n} for m, n in itertools.product([0, 1, 2, 17], [1, 5, 64, 784]))


@dtypes
@pytest.mark.parametrize("on_device", [False, True], ids=["numbers", "numbers on the device"])
@pytest.mark.parametrize("name", NAMES)
def test_a_kernel_is_within_its_bound(cupy: CupyBackend, name: str, on_device: bool, dtype: str) -> None:
    """Of whole matrices, and of blocks of columns."""
    for number, given in enumerate(calls(name)):
        arguments = made(name, dtype, given, [number])
        found = run(cupy, name, arguments, block=number % 3 > 0, on_device=on_device)
        assert bounds.accepts(found, *expected(name, arguments, dtype)), given


@dtypes
def test_matmul_keeps_its_whole_precision(cupy: CupyBackend, dtype: str) -> None:
    """1 + 2⁻¹² is 1 in TF32, which a GPU may take for float32; the errors of 784 products add up."""
    arguments = make("matmul", dtype, m=9, k=784, n=20)
    arguments["a"][:], arguments["b"][:] = 1 + 2**-12, 1 + 2**-12
    assert bounds.accepts(run(cupy, "matmul", arguments), *expected("matmul", arguments, dtype))


def test_advance_moves_the_cursor(cupy: CupyBackend) -> None:
    for n in (0, 1, 16, 2**40):
        assert run(cupy, "advance", {"cursor": np.array([7]), "n": n}).tolist() == [7 + n]


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


@pytest.mark.parametrize("name", KERNELS)
def test_what_the_contract_does_not_allow_is_refused(cupy: CupyBackend, name: str) -> None:
    """By the checks of which `test_kernel_refusals.py` has every case; here of arrays on the device."""
    host = valid(name)
    right = {key: cupy.asarray(x) if isinstance(x, np.ndarray) else x for key, x in host.items()}
    getattr(cupy, name)(**right)
    for key in KERNELS[name].shapes:
        wide = cupy.asarray(np.repeat(host[key], 2, axis=-1))
        wrong = [cupy.asarray(np.zeros(host[key].shape, dtype)) for dtype in (np.int32, np.float16)]
        wrong += [right[key][0], *([wide] if key not in ("order", "cursor") else [])]
        wrong += [wide[..., ::2]] if host[key].shape[-1] > 1 else []  # with gaps in its rows
        for array in wrong:
            with pytest.raises(InputError, match=f"^{name}: ") as caught:
                getattr(cupy, name)(**right | {key: array})
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
