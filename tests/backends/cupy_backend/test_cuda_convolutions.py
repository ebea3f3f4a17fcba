"""Convolutions, tanh and relu by CUDA's kernels, and by a learner's: against NumPy."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from convolutional_sessions import BATCH, NUMPY, epochs, session
from cuda_sessions import dtypes
from sampling import sample

from fastae.backends.contract import KERNELS
from fastae.backends.cupy_backend import CupyBackend, launcher
from fastae.backends.emulator import EmulatorBackend, checking, counting
from fastae.check import bounds, learner
from fastae.errors import InputError
from fastae.layers import Geometry

# Geometry, channels of the images and of what comes of them, and how many images.
GEOMETRIES = [
    (Geometry(28, 28, 3, 2, 1), 1, 16, 3),
    (Geometry(7, 5, 3, 1, 1), 3, 4, 2),
    (Geometry(9, 11, 5, 3, 2), 16, 5, 2),
    (Geometry(6, 6, 7, 2, 6), 3, 8, 1),  # more padding than image
    (Geometry(5, 5, 1, 1, 0), 16, 3, 4),
    (Geometry(8, 4, 2, 3, 1), 1, 1, 5),  # pixels that no patch has
    (Geometry(10, 9, 7, 1, 3), 16, 33, 1),
    (Geometry(3, 3, 3, 3, 0), 4, 4, 9),  # one patch, all of the image
    (Geometry(4, 4, 1, 2, 0), 3, 3, 3),
]


def framed(k: Any, array: np.ndarray, gap: int) -> Any:
    """Put an array on the device, as a block of columns of a wider one full of NaN if there is a gap."""
    wide = np.full((len(array), array.shape[1] + gap), np.nan, array.dtype)
    wide[:, gap // 2 : gap // 2 + array.shape[1]] = array
    return k.asarray(wide)[:, gap // 2 : gap // 2 + array.shape[1]]


def called(k: Any, name: str, gap: int, g: Geometry, out: tuple[int, int], *arrays: np.ndarray) -> np.ndarray:
    """Call a kernel with an output full of NaN and return what it wrote."""
    written = framed(k, np.full(out, np.nan, arrays[0].dtype), gap)
    getattr(k, name)(*(framed(k, array, gap) for array in arrays), *g, written)
    return k.to_host(written)


@dtypes
@pytest.mark.parametrize("gap", [0, 3, 4], ids="gap {}".format)
def test_unfold_and_fold_are_numpys_to_the_bit_and_convolve_within_its_bound(
    cupy: CupyBackend, dtype: str, gap: int
) -> None:
    rng = np.random.default_rng(0)
    for g, channels, others, m in GEOMETRIES:
        image, patch = (m, g.height * g.width * channels), (m * g.rows * g.columns, g.kernel**2 * channels)
        x, patches, W = (rng.standard_normal(s).astype(dtype) for s in (image, patch, (patch[1], others)))
        unfolded, folded = (called(NUMPY, *how) for how in (("unfold", 0, g, patch, x), ("fold", 0, g, image, patches)))
        assert called(cupy, "unfold", gap, g, patch, x).tobytes() == unfolded.tobytes(), g
        assert called(cupy, "fold", gap, g, image, patches).tobytes() == folded.tobytes(), g
        found = called(cupy, "convolve", gap, g, (patch[0], others), x, W)
        exact = unfolded.astype(float) @ W.astype(float)
        bound = bounds.gamma(patch[1] + 1, dtype) * (abs(unfolded.astype(float)) @ abs(W.astype(float)))
        assert found.dtype == dtype
        assert np.all(np.abs(found - exact) <= bound), g


@pytest.mark.parametrize("order", sample(["forward", "reverse", "random"], 3))
def test_the_kernels_of_patches_have_no_fault(order: str) -> None:
    """Nothing is read outside of the images, where the padding lies; no two threads write one element."""
    k, rng = EmulatorBackend(), np.random.default_rng(0)
    for g, channels, others, m in (GEOMETRIES[1], GEOMETRIES[3], GEOMETRIES[7]):
        image, patch = (m, g.height * g.width * channels), (m * g.rows * g.columns, g.kernel**2 * channels)
        x, patches, W = (rng.standard_normal(s).astype("f4") for s in (image, patch, (patch[1], others)))
        with checking(order):
            for gap in (0, 3):
                called(k, "unfold", gap, g, patch, x)
                called(k, "fold", gap, g, image, patches)
                called(k, "convolve", gap, g, (patch[0], others), x, W)


@pytest.mark.parametrize("name", ["unfold", "fold", "convolve"])
def test_patches_of_many_channels_are_read_and_written_whole(name: str) -> None:
    """No sector of memory is moved for a part of it alone where the channels of a pixel fill one."""
    k, g, channels, others = EmulatorBackend(), Geometry(7, 6, 3, 2, 1), 16, 32
    image, patch = (1, g.height * g.width * channels), (g.rows * g.columns, g.kernel**2 * channels)
    x, patches, W = (np.ones(shape, np.float32) for shape in (image, patch, (patch[1], others)))
    with counting() as counts:
        if name == "convolve":
            called(k, name, 0, g, (patch[0], others), x, W)
        else:
            called(k, name, 0, g, *((patch, x) if name == "unfold" else (image, patches)))
    moved = [entry for entry in counts if entry.memory == "global"]
    assert {entry.action for entry in moved} == {"read", "write"}
    assert [entry for entry in moved if entry.transactions > entry.best] == []


def test_grids_of_few_blocks_do_all_of_it(cupy: CupyBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    rng, (g, channels, others, m) = np.random.default_rng(0), GEOMETRIES[2]
    image, patch = (m, g.height * g.width * channels), (m * g.rows * g.columns, g.kernel**2 * channels)
    x, patches, W = (rng.standard_normal(s).astype("f4") for s in (image, patch, (patch[1], others)))
    found = []
    for most in (launcher.MOST_BLOCKS, 1, 3):
        monkeypatch.setattr(launcher, "MOST_BLOCKS", most)
        calls = [("unfold", patch, x), ("fold", image, patches), ("convolve", (patch[0], others), x, W)]
        found.append([called(cupy, name, 0, g, out, *arrays).tobytes() for name, out, *arrays in calls])
    assert found[0] == found[1] == found[2]


def test_another_geometry_than_the_arrays_is_refused(cupy: CupyBackend) -> None:
    x, out = (cupy.asarray(np.zeros(shape, np.float32)) for shape in ((2, 20), (2 * 20, 9)))
    cupy.unfold(x, 5, 4, 3, 1, 1, out)
    for geometry in ((5, 4, 3, 1, 0), (5, 5, 3, 1, 1), (5, 4, 3, 2, 1), (5, 4, 0, 1, 1), (5, 4, 3, 1, 3)):
        with pytest.raises(InputError, match=r"^unfold: ") as caught:
            cupy.unfold(x, *geometry, out)
        assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("name", ["unfold", "fold", "convolve"])
def test_arrays_that_the_contract_does_not_allow_are_refused(cupy: CupyBackend, name: str) -> None:
    """Before anything is launched: the kernels see neither dtypes nor gaps."""
    g, image, patch = Geometry(5, 4, 3, 2, 1), (2, 40), (12, 18)
    x, out = {"unfold": (image, patch), "fold": (patch, image), "convolve": (image, (12, 3))}[name]
    arrays = {"x": np.zeros(x), "weights": np.zeros((18, 3)), "out": np.zeros(out)}
    if name != "convolve":
        del arrays["weights"]
    right = {key: cupy.asarray(array) for key, array in arrays.items()}
    getattr(cupy, name)(**right, **g._asdict())
    for key, array in arrays.items():
        others = [cupy.asarray(array.astype(dtype)) for dtype in (np.float32, np.float16, np.int32)]
        others += [cupy.asarray(array[0]), cupy.asarray(np.repeat(array, 2, axis=1)), cupy.asarray(array[:-1])]
        others += [cupy.asarray(np.repeat(array, 2, axis=1))[:, ::2]]
        for other in others:
            with pytest.raises(InputError, match=f"^{name}: ") as caught:
                getattr(cupy, name)(**right | {key: other}, **g._asdict())
            assert len(str(caught.value).splitlines()) == 1


def elementwise(k: CupyBackend, name: str, *arrays: np.ndarray) -> np.ndarray:
    out = k.asarray(np.full_like(arrays[0], np.nan))
    getattr(k, name)(*map(k.asarray, arrays), out)
    return k.to_host(out)


@dtypes
def test_tanh_is_right_relatively_also_near_0(cupy: CupyBackend, dtype: str) -> None:
    t = np.concatenate([np.logspace(-30, 2, 2000), np.linspace(0, 20, 2001)[1:]])
    t = np.concatenate([t, -t]).astype(dtype)[:, None]
    found, exact = elementwise(cupy, "bias_tanh", t, np.zeros(1, dtype)), np.tanh(t.astype(float))
    limit = 2e-6 if dtype == "float32" else 1e-15
    assert np.max(np.abs(found / exact - 1)) < limit
    special = np.array([[np.inf, -np.inf, np.nan, 0]], dtype)
    found = elementwise(cupy, "bias_tanh", special, np.zeros(4, dtype))
    assert np.array_equal(found, [[1, -1, np.nan, 0]], equal_nan=True)


@dtypes
def test_relu_keeps_nan_on_the_way_forward_and_stops_it_where_nothing_came_through(
    cupy: CupyBackend, dtype: str
) -> None:
    z = np.array([[1, -1, np.nan, np.inf, -np.inf, 0, -0.0, 2]], dtype)
    bias = np.array([0, 2, 0, 0, 0, 0, 0, -3], dtype)
    found = elementwise(cupy, "bias_relu", z, bias)
    assert np.array_equal(found, [[1, 1, np.nan, np.inf, 0, 0, 0, 0]], equal_nan=True)
    delta = np.array([[3, np.nan, np.nan, 4, 5]], dtype)
    y = np.array([[1, 0, 2, 0, np.nan]], dtype)
    assert np.array_equal(elementwise(cupy, "relu_gradient", delta, y), [[3, 0, np.nan, 0, 0]], equal_nan=True)


@dtypes
@pytest.mark.parametrize("name", ["bias_tanh", "tanh_gradient", "bias_relu", "relu_gradient"])
def test_the_activations_are_numpys(cupy: CupyBackend, name: str, dtype: str) -> None:
    rng = np.random.default_rng(0)
    for m, n, gap in itertools.product([0, 1, 17], [1, 5, 64], [0, 3]):
        one = rng.normal(0, 2, (m, n)).astype(dtype)
        two = rng.normal(0, 1, n if name.startswith("bias") else (m, n)).astype(dtype)
        exact = np.full((m, n), np.nan)
        getattr(NUMPY, name)(one.astype(float), two.astype(float), exact)
        out = framed(cupy, np.full((m, n), np.nan, dtype), gap)
        second = cupy.asarray(two) if two.ndim == 1 else framed(cupy, two, gap)
        getattr(cupy, name)(framed(cupy, one, gap), second, out)
        rtol, atol = (2e-6, 1e-6) if dtype == "float32" else (4e-15, 1e-15)  # where z + bias is nearly 0
        np.testing.assert_allclose(cupy.to_host(out), exact, rtol=rtol, atol=atol)
        for alias in KERNELS[name].alias:
            again = framed(cupy, one, gap)
            getattr(cupy, name)(again, second, again)
            assert cupy.to_host(again).tobytes() == cupy.to_host(out).tobytes(), alias


# Kernels of a learner's own.

OWN = """
#define INDEX (blockIdx.x * blockDim.x + threadIdx.x)

extern "C" __global__ void unfold(const real* x, long long x_stride, int height, int width, int kernel, int stride,
                                  long long padding, real* out, long long out_stride, int p, int q) {
  const int channels = q / (kernel * kernel), across = (width + 2 * (int)padding - kernel) / stride + 1;
  const int down = (height + 2 * (int)padding - kernel) / stride + 1;
  for (long long i = INDEX; i < (long long)p * q; i += gridDim.x * blockDim.x) {
    const int row = i / q, col = i % q, patch = row % (down * across), tap = col / channels;
    const int r = patch / across * stride + tap / kernel - padding;
    const int c = patch % across * stride + tap % kernel - padding;
    const bool inside = r >= 0 && r < height && c >= 0 && c < width;
    out[row * out_stride + col] =
        inside ? x[row / (down * across) * x_stride + (r * width + c) * channels + col % channels] : real(0);
  }
}

// launch convolve: grid (ceil(c / kernel), p), block (kernel)
extern "C" __global__ void convolve(const real* x, long long x_stride, const real* weights, long long weights_stride,
                                    int height, int width, int kernel, int stride, int padding, real* out,
                                    long long out_stride, int m, int n, int p, int q, int c) {
  const int col = INDEX, channels = n / (height * width), patches = p / m;
  const int across = (width + 2 * padding - kernel) / stride + 1, patch = blockIdx.y % patches;
  if (col >= c) return;
  real sum = 0;
  for (int t = 0; t < q; ++t) {
    const int tap = t / channels;
    const int y = patch / across * stride + tap / kernel - padding;
    const int z = patch % across * stride + tap % kernel - padding;
    if (y < 0 || y >= height || z < 0 || z >= width) continue;
    const real* image = x + blockIdx.y / patches * x_stride;
    sum += image[(y * width + z) * channels + t % channels] * weights[t * weights_stride + col];
  }
  out[blockIdx.y * out_stride + col] = sum;
}
"""


def test_a_learners_kernels_of_patches_are_given_the_geometry(tmp_path: Path) -> None:
    """As int or long long, and in the line that says how a kernel is launched."""
    path = tmp_path / "mine.cu"
    path.write_text(OWN)
    k: Any = learner.load(path, "emulator")
    rng = np.random.default_rng(0)
    for g, channels, others, m in (GEOMETRIES[1], GEOMETRIES[3], GEOMETRIES[5]):
        image, patch = (m, g.height * g.width * channels), (m * g.rows * g.columns, g.kernel**2 * channels)
        x, W = (rng.standard_normal(shape) for shape in (image, (patch[1], others)))
        unfolded = called(NUMPY, "unfold", 0, g, patch, x)
        with checking():
            assert np.array_equal(called(k, "unfold", 3, g, patch, x), unfolded)
            found = called(k, "convolve", 3, g, (patch[0], others), x, W)
        np.testing.assert_allclose(found, unfolded @ W, rtol=0, atol=1e-12)


def test_a_learners_kernel_of_patches_trains(tmp_path: Path) -> None:
    """In the composed step, beside the emulator's other kernels."""
    path = tmp_path / "mine.cu"
    path.write_text(OWN)
    found = []
    for k in (learner.load(path, "emulator"), NUMPY):
        s = session(k, n=BATCH + 2)
        found.append(epochs(s, 1, BATCH + 2))
    np.testing.assert_allclose(found[0], found[1], rtol=1e-6)


def test_a_parameter_that_no_kernel_of_patches_has_is_named(tmp_path: Path) -> None:
    path = tmp_path / "mine.cu"
    path.write_text(OWN.replace("int p, int q, int c)", "int p, int q, int dilation)"))
    with pytest.raises(
        InputError, match=r"convolve has the parameter 'dilation'; it may have: .*height.*kernel.*stride"
    ):
        learner.load(path, "emulator")
