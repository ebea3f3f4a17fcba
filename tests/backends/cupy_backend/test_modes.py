"""Eager, captured and persistent steps: the same bits; `test_captures.py` has the ways to capture wrongly.

What needs no stand-in runs twice, as in test_cupy.py: on the CPU, and, where there is one, on a GPU.
"""

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import step_by_hand
from cuda_sessions import BATCH, IMAGES, LOSSES, bits, epochs, images, parameters, session
from kernel_formulas import run
from sampling import sample

import fastae
from fastae import cli
from fastae.backends.base import Parameters
from fastae.backends.contract import KERNELS, PATCHES
from fastae.backends.cupy_backend import CupyBackend, launcher, operations
from fastae.backends.cupy_backend.branches import Branches
from fastae.backends.cupy_backend.operations import make_operations
from fastae.backends.cupy_backend.session import MODES, STEPS_A_GRAPH
from fastae.backends.emulator import EmulatorBackend, checking, streams
from fastae.check.calls.cases import make
from fastae.errors import InputError

# The same bits.


@LOSSES
@pytest.mark.parametrize("momentum", sample([0.9, 0.0], 2))
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_all_modes_end_in_the_same_bits(cupy: CupyBackend, loss: str, momentum: float, dtype: str) -> None:
    found = []
    for mode in MODES:
        s = session(cupy, mode, loss=loss, momentum=momentum, dtype=dtype)
        found.append((epochs(s), bits(s)))
    assert found[0] == found[1] == found[2]
    assert np.isfinite(found[0][0]).all()
    assert found[0][0][4] < found[0][0][1]  # it learns


@pytest.mark.parametrize("mode", sample(MODES, 3))
def test_tf32_gives_the_same_bits_in_all_modes_and_others_than_float32(cupy: CupyBackend, mode: str) -> None:
    eager, other, float32 = (session(cupy, m, tf32=t) for m, t in (("eager", True), (mode, True), (mode, False)))
    assert epochs(eager) == epochs(other)
    numbers = epochs(float32)
    assert bits(eager) == bits(other) != bits(float32)
    np.testing.assert_allclose(epochs(session(cupy, mode, tf32=True)), numbers, rtol=1e-2)


@pytest.mark.parametrize("mode", ["captured", "persistent"])
def test_the_learning_rate_changes_without_another_capture(cupy: CupyBackend, mode: str) -> None:
    found = []
    for m in ("eager", mode):
        s = session(cupy, m, momentum=0.9)
        epochs(s, 1)
        graphs = dict(s.graphs)
        s.set_rate(0.01, 0.5)
        epochs(s, 1)
        assert s.graphs == graphs  # the very same
        found.append(bits(s))
    assert found[0] == found[1]
    unchanged = session(cupy, mode, momentum=0.9)
    epochs(unchanged)
    assert bits(unchanged) != found[0]


def test_velocities_cannot_be_had_later(cupy: CupyBackend) -> None:
    s = session(cupy, None)
    s.set_rate(0.01)
    with pytest.raises(InputError, match="began without momentum keeps no velocities"):
        s.set_rate(0.01, 0.9)


def test_captured_is_the_default_and_captures_each_batch_size_once(cupy: CupyBackend) -> None:
    s = session(cupy, None)
    assert s.mode == "captured"
    epochs(s, 3)
    tail, test = (IMAGES + 3) % BATCH, 41
    assert tail == 3
    assert set(s.graphs) == {
        ("step", BATCH, 1),
        ("step", BATCH, STEPS_A_GRAPH),
        ("step", tail, 1),
        ("evaluation", test, 1),
    }


def test_numpy_has_no_modes_and_no_tf32(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["train", "--backend", "numpy", "--limit", "20", "--epochs", "1", "--out", str(tmp_path)]
    for extra, words in (
        (["--mode", "captured"], "the backend 'numpy' has no modes; cupy and emulator do"),
        (["--tf32"], "the backend 'numpy' has no TF32; cupy and emulator do"),
    ):
        assert cli.main([*options, *extra]) == 2
        assert words in capsys.readouterr().err


def test_bad_modes_and_tf32_of_another_dtype_are_refused(cupy: CupyBackend) -> None:
    with pytest.raises(InputError, match="unknown mode 'quick'; the modes are: captured, eager, persistent"):
        session(cupy, "quick")
    with pytest.raises(InputError, match="TF32 is a way to multiply float32; the model is float64"):
        session(cupy, None, tf32=True, dtype="float64")


def test_tf32_needs_tensor_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams.Device, "compute_capability", "75")
    with pytest.raises(InputError, match=r"TF32 needs compute capability 8\.0; this GPU has 7\.5"):
        session(EmulatorBackend(), None, tf32=True)


@pytest.mark.thorough
@pytest.mark.parametrize("mode", MODES)
def test_the_command_line_has_modes(mode: str, tmp_path: Path) -> None:
    histories = []
    for name, more in (("numpy", []), ("emulator", ["--mode", mode]), ("emulator", ["--mode", mode, "--tf32"])):
        options = ["--backend", name, "--limit", "48", "--epochs", "1", "--no-progress", "--out", str(tmp_path), *more]
        assert cli.main(["train", *options]) == 0
        histories.append(json.loads((tmp_path / "history.json").read_text()))
    numpys, float32, tf32 = (h["epochs"][0]["train_loss"] for h in histories)
    assert float32 == pytest.approx(numpys, rel=1e-5)
    assert tf32 == pytest.approx(numpys, rel=1e-2)
    assert tf32 != float32
    assert [h["config"]["tf32"] for h in histories] == [False, False, True]


def in_fortrans_order(p: Parameters) -> Parameters:
    return Parameters(*([np.asfortranarray(array) for array in group] for group in p))


@pytest.mark.parametrize("mode", MODES)
def test_parameters_may_come_in_fortrans_order(cupy: CupyBackend, mode: str, monkeypatch: Any) -> None:
    """As W.T has, and what zeros_like makes of it: CuPy would keep it, and the kernels want whole rows."""
    right = session(cupy, mode, momentum=0.9)
    monkeypatch.setattr("test_modes.parameters", lambda *a, made=parameters: in_fortrans_order(made(*a)))
    other = session(cupy, mode, momentum=0.9)
    assert epochs(other) == epochs(right)
    assert bits(other) == bits(right)
    other.write(in_fortrans_order(right.read()))
    assert bits(other) == bits(right)


@pytest.mark.usefixtures("cupy")
def test_a_model_may_be_in_fortrans_order() -> None:
    models = [fastae.Autoencoder((37, 20, 9), seed=1) for _ in range(2)]
    models[1].weights = [np.asfortranarray(W) for W in models[1].weights]
    found = []
    for model in models:
        model.backend = "cupy"
        fastae.Trainer(model, optimizer=fastae.SGD(0.05, 0.9), backend="cupy").fit(images(40), 1, progress=False)
        found.append([model.encode(images(5)).tobytes(), *(W.tobytes() for W in model.weights)])
        model.weights = [np.asfortranarray(W) for W in model.weights]
        assert model.encode(images(5)).tobytes() == found[-1][0]
    assert found[0] == found[1]


# The tiles.


@pytest.mark.parametrize(
    ("product", "tile"),
    [
        ((128, 256, 784), launcher.Tile(16)),  # 128 of them; twice as wide, a quarter would be busy
        ((128, 128, 256), launcher.Tile(16)),  # 64 in one round; 256 of 8 take two
        ((16, 128, 256), launcher.Tile(8)),
        ((1024, 256, 784), launcher.Tile(32, 8)),
        ((1024, 784, 256), launcher.Tile(64, 8)),
        ((128, 784, 256), launcher.Tile(32)),
    ],
)
def test_a_tile_is_the_one_that_should_take_the_least_time(
    product: tuple[int, int, int], tile: launcher.Tile, monkeypatch: Any
) -> None:
    """On an H100's 132 multiprocessors, by the model of docs/cuda.md."""
    k, real = EmulatorBackend(), np.dtype(np.float32)
    for one in (k.launcher, k.launcher_for(True, real)):
        monkeypatch.setattr(one, "multiprocessors", 132)
    assert k.launcher.tile(*product, real) == tile
    predicted = {t: k.launcher.cycles(t, *product, real) for t in launcher.TILES}
    assert predicted[tile] == min(predicted.values())
    assert k.launcher.tile(*product, np.dtype(float)).piece == 4
    assert k.launcher_for(True, real).tile(*product, real) in [launcher.Tile(side) for side in (16, 32, 64)]


@pytest.mark.parametrize("tile", sample(launcher.TILES, 3))
@pytest.mark.parametrize("momentum", sample([0.9, 0.0], 2))
@LOSSES
def test_a_step_is_numpys_with_tiles_of_any_size(
    cupy: CupyBackend, tile: launcher.Tile, momentum: float, loss: str, monkeypatch: Any
) -> None:
    monkeypatch.setattr(cupy.launcher, "tile", lambda *product: tile)
    data, model, rng = images(50), parameters(momentum), np.random.default_rng(3)
    for velocity in (*model.V, *model.c):
        velocity[:] = rng.normal(0, 0.1, velocity.shape)
    found = []
    for k in (cupy, fastae.backends.get("numpy")):
        s = k.session(model, data, loss=loss, batch_size=50, lr=0.1, momentum=momentum)
        s.start(np.arange(50))
        s.run(1)
        found.append(s.read())
    assert step_by_hand.close(*found, 2e-6)


@pytest.mark.parametrize("side", [16, 32, 64])
def test_tf32_rounds_the_inputs_and_only_them(cupy: CupyBackend, side: int, monkeypatch: Any) -> None:
    """Inputs of few bits give float32's bits; 1 + 2⁻¹¹ is rounded up to 1 + 2⁻¹⁰, and 1 + 2⁻¹² down to 1."""
    tf32 = cupy.launcher_for(True, np.dtype(np.float32))
    monkeypatch.setattr(tf32, "tile", lambda *product: launcher.Tile(side))
    forward = operations.make_operations(cupy, tf32, "mse", Branches(cupy.launcher.cupy.cuda))["forward"]
    rng = np.random.default_rng(2)

    def product(a: np.ndarray, W: np.ndarray) -> np.ndarray:
        y = cupy.asarray(np.full((len(a), W.shape[1]), np.nan, np.float32))
        forward(cupy.asarray(a), cupy.asarray(W), cupy.asarray(np.zeros(W.shape[1], np.float32)), y)
        z = cupy.to_host(y).astype(np.float64)
        return np.log(z / (1 - z))

    a, W = (rng.integers(-3, 4, shape).astype(np.float32) / 16 for shape in ((33, 70), (70, 41)))
    np.testing.assert_allclose(product(a, W), a.astype(np.float64) @ W, atol=1e-5)
    ones, small = np.ones((17, 8), np.float32), np.full((8, 9), 2.0**-6, np.float32)
    for value, rounded in ((1 + 2**-11, 1 + 2**-10), (1 + 2**-12, 1.0), (-1 - 2**-11, -1 - 2**-10)):
        np.testing.assert_allclose(product(ones * np.float32(value), small), rounded / 8, atol=3e-7)


# Small devices, few blocks, and what is read and written.


@pytest.mark.thorough
@pytest.mark.parametrize("blocks", [1, 2])
def test_cuda_trains_on_a_device_of_one_multiprocessor(cupy: CupyBackend, blocks: int, monkeypatch: Any) -> None:
    """A persistent kernel of one block has no other to wait for, or to leave work to."""
    if cupy.launcher.cupy.cuda is streams:  # the stand-in's; a GPU has as many as it has
        monkeypatch.setattr(cupy.launcher, "multiprocessors", blocks)
    found = [session(cupy, mode) for mode in ("eager", "persistent")]
    assert epochs(found[0]) == epochs(found[1])
    assert bits(found[0]) == bits(found[1])
    assert found[1].team[0].cursor[0] == found[0].team[0].cursor[0]


@pytest.mark.thorough
def test_cudas_persistent_kernel_gathers_every_pixel(cupy: CupyBackend) -> None:
    """Of more than one block's worth of them, of which the last block has a single one."""
    assert 27 * 19 % 256 == 1
    found = []
    for mode in ("eager", "persistent"):
        s = cupy.session(step_by_hand.start((19, 6), "float32"), step_by_hand.images(19, 54), batch_size=27, mode=mode)
        s.start(np.arange(54))
        with checking():  # by the stand-in: nor does it write a pixel too many
            s.run(2)
        found.append(bits(s))
    assert found[0] == found[1]


@pytest.mark.thorough
@pytest.mark.parametrize("most", [1, 3])
def test_cuda_grids_of_few_blocks_do_all_the_work(cupy: CupyBackend, most: int, monkeypatch: Any) -> None:
    """Blocks go on where there is more to do than the grid has: more than 4,096 images, or elements by the million."""
    sizes = {"m": 40, "k": 70, "n": 90}
    calls = {name: make(name, "float32", **sizes) for name in KERNELS if name not in ("axpy", "advance", *PATCHES)}
    x, y = np.random.default_rng(0).normal(size=(2, 40, 70)).astype("float32")
    calls["axpy"] = {"alpha": 0.5, "x": x, "y": y}
    found = []
    for blocks in (launcher.MOST_BLOCKS, most):
        monkeypatch.setattr(launcher, "MOST_BLOCKS", blocks)
        s = session(cupy, "eager")
        kernels = [run(cupy, name, copy.deepcopy(arguments)).tobytes() for name, arguments in calls.items()]
        found.append([*kernels, epochs(s, 1), bits(s)])
    assert found[0] == found[1]


@pytest.mark.thorough
@pytest.mark.parametrize("side", [16, 32, 64])
def test_cudas_tensor_cores_read_only_what_is_there(side: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A warp without a piece of a small tile would read shared memory that was never written."""
    k = EmulatorBackend()
    tf32 = k.launcher_for(True, np.dtype(np.float32))
    monkeypatch.setattr(tf32, "tile", lambda *product: launcher.Tile(side))
    a, W, b, y = (k.asarray(np.ones(shape, np.float32)) for shape in ((33, 70), (70, 41), (41,), (33, 41)))
    with checking():
        make_operations(k, tf32, "mse", Branches(k.launcher.cupy.cuda))["forward"](a, W, b, y)
    assert np.all(k.to_host(y) == 1)  # σ(71)
