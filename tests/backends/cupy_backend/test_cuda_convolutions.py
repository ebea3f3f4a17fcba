"""Convolutions, tanh and relu by CUDA's kernels, and by a learner's: against NumPy."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from convolutional_sessions import BATCH, NUMPY, epochs, session
from kernel_formulas import dtypes
from sampling import sample

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


class Drawn:
    """Random images, patches and weights of a geometry, and the shapes of the results."""

    def __init__(self, case: tuple[Geometry, int, int, int], dtype: str = "f4", seed: int = 0) -> None:
        self.g, channels, kernels, m = case
        self.image = (m, self.g.height * self.g.width * channels)
        self.patch = (m * self.g.rows * self.g.columns, self.g.kernel**2 * channels)
        self.product = (self.patch[0], kernels)
        shapes, rng = (self.image, self.patch, (self.patch[1], kernels)), np.random.default_rng(seed)
        self.x, self.patches, self.weights = (rng.standard_normal(shape).astype(dtype) for shape in shapes)

    def unfold(self, k: Any, gap: int = 0) -> np.ndarray:
        return called(k, "unfold", gap, self.g, self.patch, self.x)

    def fold(self, k: Any, gap: int = 0) -> np.ndarray:
        return called(k, "fold", gap, self.g, self.image, self.patches)

    def convolve(self, k: Any, gap: int = 0) -> np.ndarray:
        return called(k, "convolve", gap, self.g, self.product, self.x, self.weights)

    def bits(self, k: Any, gap: int = 0) -> list[bytes]:
        return [call(k, gap).tobytes() for call in (self.unfold, self.fold, self.convolve)]


@dtypes
@pytest.mark.parametrize("gap", [0, 3, 4], ids="gap {}".format)
def test_unfold_and_fold_are_numpys_to_the_bit_and_convolve_within_its_bound(
    cupy: CupyBackend, dtype: str, gap: int
) -> None:
    for number, case in enumerate(GEOMETRIES):
        drawn = Drawn(case, dtype, number)
        unfolded = drawn.unfold(NUMPY)
        assert drawn.unfold(cupy, gap).tobytes() == unfolded.tobytes(), case
        assert drawn.fold(cupy, gap).tobytes() == drawn.fold(NUMPY).tobytes(), case
        found, patches, W = drawn.convolve(cupy, gap), unfolded.astype(float), drawn.weights.astype(float)
        bound = bounds.gamma(len(W) + 1, dtype) * (abs(patches) @ abs(W))
        assert found.dtype == dtype
        assert np.all(np.abs(found - patches @ W) <= bound), case


@pytest.mark.parametrize("order", sample(["forward", "reverse", "random"], 3))
def test_the_kernels_of_patches_have_no_fault(order: str) -> None:
    """Nothing is read outside of the images, where the padding lies; no two threads write one element."""
    for case in (GEOMETRIES[1], GEOMETRIES[3], GEOMETRIES[7]):
        with checking(order):
            for gap in (0, 3):
                Drawn(case).bits(EmulatorBackend(), gap)


@pytest.mark.parametrize("name", ["unfold", "fold", "convolve"])
def test_patches_of_many_channels_are_read_and_written_whole(name: str) -> None:
    """No sector of memory is moved for a part of it alone where the channels of a pixel fill one."""
    drawn = Drawn((Geometry(7, 6, 3, 2, 1), 16, 32, 1))
    with counting() as counts:
        getattr(drawn, name)(EmulatorBackend())
    moved = [entry for entry in counts if entry.memory == "global"]
    assert {entry.action for entry in moved} == {"read", "write"}
    assert [entry for entry in moved if entry.transactions > entry.best] == []


def test_grids_of_few_blocks_do_all_of_it(cupy: CupyBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn, found = Drawn(GEOMETRIES[2]), []
    for most in (launcher.MOST_BLOCKS, 1, 3):
        monkeypatch.setattr(launcher, "MOST_BLOCKS", most)
        found.append(drawn.bits(cupy))
    assert found[0] == found[1] == found[2]


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
    for case in (GEOMETRIES[1], GEOMETRIES[3], GEOMETRIES[5]):
        drawn = Drawn(case, "f8")
        unfolded = drawn.unfold(NUMPY)
        with checking():
            assert np.array_equal(drawn.unfold(k, 3), unfolded)
            found = drawn.convolve(k, 3)
        np.testing.assert_allclose(found, unfolded @ drawn.weights, rtol=0, atol=1e-12)


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
