"""The ladder of the convolution: what its rungs compute, their numbers, and an exercise from start to goal."""

import inspect
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kernel_formulas import windows
from sampling import sample

from fastae import cli
from fastae.backends.numpy_backend import patches
from fastae.check import learner, speed, verdict
from fastae.ladder import climb, exercises
from fastae.ladder.rungs import KERNELS, Rung, ladder
from fastae.layers import Geometry

GEOMETRIES = [  # images, geometry, channels, kernels
    (1, Geometry(1, 1, 1, 1, 0), 1, 1),
    (2, Geometry(3, 4, 2, 1, 0), 1, 2),
    (1, Geometry(4, 3, 3, 1, 1), 2, 1),
    (2, Geometry(6, 7, 2, 3, 1), 3, 2),  # with pixels in no patch
    (1, Geometry(2, 3, 4, 2, 3), 2, 5),  # and patches in which there is hardly a pixel
    (9, Geometry(3, 3, 3, 1, 2), 1, 4),
    (5, Geometry(7, 6, 3, 2, 1), 4, 9),
    (3, Geometry(5, 5, 5, 1, 2), 21, 33),  # a patch of more than 512 numbers
    (4, Geometry(14, 14, 3, 2, 1), 16, 32),
]
RUNGS = [rung for language in ("numpy", "numba", "cuda") for rung in ladder("conv", language)[:-1]]
LAYER = Geometry(14, 14, kernel=3, stride=2, padding=1)  # which is timed
IMAGES = 128


def definition(x: np.ndarray, weights: np.ndarray, g: Geometry) -> np.ndarray:
    """Compute a convolution in float64 by windows into padded images, which nothing in the library does."""
    return windows(x.astype(float), g) @ weights.astype(float)


@pytest.mark.parametrize("rung", sample(RUNGS, len(RUNGS), lambda rung: rung.exercise))
def test_every_rung_is_the_definition_for_many_geometries(rung: Rung) -> None:
    k = rung.load("emulator") if rung.language == "cuda" else rung.load()
    convolve = k.convolve if rung.language == "cuda" else rung.function()
    rng = np.random.default_rng(3)
    for m, g, channels, kernels in GEOMETRIES[: None if rung.exercise != "conv-numpy-1" else -2]:
        x = rng.normal(size=(m, g.height * g.width * channels)).astype("f4")
        weights = rng.normal(size=(g.kernel**2 * channels, kernels)).astype("f4")
        around = np.full((m * g.rows * g.columns + 2, kernels), np.nan, "f4")
        out = around[1:-1]
        arrays = [k.asarray(array) for array in (x, weights, out)]
        convolve(*arrays[:2], *g, arrays[2])
        np.testing.assert_allclose(k.to_host(arrays[2]), definition(x, weights, g), atol=2e-4, err_msg=str(g))
        if rung.language != "cuda":  # there the array is a copy
            convolve(x, weights, *g, out)
            assert np.isnan(around[[0, -1]]).all()
            assert not np.isnan(out).any()


# What the texts count.


def test_what_is_timed_is_what_the_texts_tell_of() -> None:
    work = climb.work_of("convolve", IMAGES)
    x, weights, *whole, out = work.arguments()
    assert tuple(whole) == LAYER
    assert (x.shape, weights.shape, out.shape) == ((IMAGES, 14 * 14 * 16), (144, 32), (6272, 32))
    assert work.flops == 2 * 6272 * 144 * 32 == climb.amount(work)
    assert work.bytes == x.nbytes + weights.nbytes + out.nbytes
    assert climb.amount(climb.work_of("bias_sigmoid", 16)) == climb.work_of("bias_sigmoid", 16).bytes
    assert speed.CHANNELS == 32


def test_how_much_lies_in_the_padding_and_how_large_patches_are() -> None:
    ones = np.ones((1, 14 * 14 * 16), "f4")
    unfolded = np.empty((49, 144), "f4")
    patches.unfold(ones, LAYER, unfolded)
    assert 1 - unfolded.mean() == pytest.approx(0.09, abs=0.005)
    assert unfolded.size == 7056 == 2.25 * ones.size
    assert 27 < unfolded.nbytes / 1024 < 28
    assert LAYER._replace(stride=1).rows ** 2 * 144 == 9 * ones.size
    vectors = unfolded.size * 32 / 8
    assert vectors == pytest.approx(28e3, rel=0.01)
    assert vectors * 3 / 2 == pytest.approx(42e3, rel=0.01)
    assert vectors * 3 / 2 * unfolded.mean() == pytest.approx(38e3, rel=0.02)
    assert vectors * 1.5 / 2 == pytest.approx(21e3, rel=0.01)


def test_how_many_bytes_the_rungs_of_numpy_move() -> None:
    x, weights, *_, out = climb.work_of("convolve", IMAGES).arguments()
    padded, unfolded = IMAGES * 16**2 * 16 * 4, 2.25 * x.nbytes
    copies = x.nbytes + padded + 2 * unfolded
    assert copies == pytest.approx(11e6, rel=0.02)
    assert copies + unfolded + out.nbytes == pytest.approx(15e6, rel=0.03)
    tap = len(out) * 16 * 4  # of all patches, which is read and written and read again
    taps = x.nbytes + padded + out.nbytes + 9 * (3 * tap + 2 * out.nbytes + 2 * out.nbytes)
    assert taps == pytest.approx(44e6, rel=0.02)
    assert len(weights) == 9 * 16


@pytest.mark.thorough
def test_which_rungs_of_numpy_need_memory_for_patches() -> None:
    peaks = {}
    arguments = climb.work_of("convolve", IMAGES).arguments()
    for rung in ladder("conv", "numpy")[1:-1]:
        convolve = rung.function()
        tracemalloc.start()
        convolve(*arguments)
        peaks[rung.name] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    images, unfolded = arguments[0].nbytes, 2.25 * arguments[0].nbytes
    assert images < peaks["patch"] < 1.5 * images  # the padded images
    assert unfolded + images < peaks["unfold"] < unfolded + 1.5 * images
    assert peaks["taps"] < unfolded


@pytest.mark.thorough
def test_patches_are_worth_it_in_numpy() -> None:
    """A product for all patches is faster than one for each patch by far more than the noise of timing."""
    rungs = ladder("conv", "numpy")[1:3]
    kernels = [(rung.name, rung.function()) for rung in rungs]
    _, (patch, unfold) = climb.climb(kernels, "convolve", IMAGES, climb.Cpu(1), rounds=3)
    assert unfold.rate > 1.5 * patch.rate
    assert unfold.rate == pytest.approx(climb.work_of("convolve", IMAGES).flops / unfold.seconds)


# The commands.


@pytest.mark.thorough
def test_an_exercise_from_start_to_goal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A rung of CUDA, whose goal is a count."""
    monkeypatch.chdir(tmp_path)
    name = "conv-cuda-2"
    assert cli.main(["exercise", "start", name]) == 0
    capsys.readouterr()
    path = Path(f"{name}.cu")
    assert cli.main(["exercise", "check", name]) == 1
    out = capsys.readouterr().out
    assert "convolve: WRONG" in out
    assert "nothing is written" in out

    path.write_text(exercises.solution(exercises.find("conv-cuda-1")))
    assert cli.main(["exercise", "check", name]) == 1  # right, but not coalesced
    out = capsys.readouterr().out
    assert "convolve: right" in out
    assert "the goal: NOT REACHED: yours takes" in out

    path.write_text(exercises.solution(exercises.find(name)))
    assert cli.main(["exercise", "check", name]) == 0
    assert "the goal: reached" in capsys.readouterr().out


def test_what_an_exercise_of_numba_asks_for_is_in_its_starter(tmp_path: Path) -> None:
    for rung in ladder("conv", "numba")[:-1]:
        text = exercises.start(rung, tmp_path / f"{rung.number}.py").read_text()
        namespace: dict[str, Any] = {}
        exec(compile(text, rung.exercise, "exec"), namespace)
        names = list(inspect.signature(namespace["convolve"].py_func).parameters)
        assert names == ["x", "weights", "height", "width", "kernel", "stride", "padding", "out"]
        assert rung.hint.split()[0] in text


def test_a_file_with_convolve_alone_is_checked_without_a_step_of_convolutions() -> None:
    """No step calls it, and Numba would compile a step for half a minute."""
    for name, convolutions in (("convolve", [False]), ("unfold", [False, True]), ("fold", [False, True])):
        assert [found for _, found in verdict._models((name,))] == convolutions


def test_a_starter_promises_training_only_with_a_kernel_that_the_step_calls() -> None:
    for name in KERNELS:
        trains = "fastae train" in exercises.starter(ladder(name, "numpy")[0])
        assert trains == (name != "conv")


@pytest.mark.parametrize("whole", ["int", "long long"])
def test_a_kernel_in_cuda_may_declare_the_geometry_in_either_size(whole: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.cu"
    source = ladder("conv", "cuda")[1].source
    path.write_text(
        source.replace("int height, int width, int kernel", f"{whole} height, {whole} width, {whole} kernel")
    )
    k = learner.load(path, "emulator")
    g, rng = Geometry(5, 4, kernel=3, stride=2, padding=1), np.random.default_rng(0)
    x, weights = rng.normal(size=(2, 40)), rng.normal(size=(18, 3))
    out = k.asarray(np.empty((2 * g.rows * g.columns, 3)))
    k.convolve(k.asarray(x), k.asarray(weights), *g, out)
    np.testing.assert_allclose(k.to_host(out), definition(x, weights, g), atol=1e-12)
