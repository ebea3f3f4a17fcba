"""Convolutions, tanh and relu by CUDA's kernels: against NumPy, in every mode, with every tile.

As in test_cupy.py, what needs no stand-in runs on the CPU and, where there is one, on a GPU.
"""

import itertools
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import sample
from test_captures import longest_chain

import fastae
from fastae import backends
from fastae.backends.base import Parameters
from fastae.backends.contract import KERNELS
from fastae.backends.cupy_backend import CupyBackend, launcher
from fastae.backends.cupy_backend.session import STEPS_A_GRAPH, CupySession
from fastae.backends.emulator import EmulatorBackend, checking, counting, streams
from fastae.check import bounds, learner
from fastae.errors import InputError
from fastae.layers import Geometry, Layer
from fastae.layers.layer import Shape

dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])
activations = pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu"])
NUMPY = backends.get("numpy")

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
    """Nothing is read outside of the images, where the padding lies; nobody writes what another does."""
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


# A training.

LAYERS = [fastae.Conv2d(5, stride=2), fastae.Conv2d(8, kernel=2, padding=0), fastae.Dense(6)]
SHAPE = (9, 7, 3)
N, BATCH = 63, 8  # seven batches and a ragged one of 7


def pictures(n: int = N) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (n, int(np.prod(SHAPE))), dtype=np.uint8)


def network(activation: str = "tanh", dtype: str = "float32", layers: Any = None) -> fastae.Autoencoder:
    return fastae.Autoencoder(layers=layers or LAYERS, activation=activation, image_shape=SHAPE, dtype=dtype, seed=3)


def session(
    k: Any, activation: str = "tanh", momentum: float = 0.9, dtype: str = "float32", **more: Any
) -> CupySession:
    model, n = network(activation, dtype), more.pop("n", N)
    none = slice(None) if momentum else slice(0)
    velocities = [[np.zeros_like(p)[none] for p in group] for group in (model.weights, model.biases)]
    options = {"batch_size": BATCH, "lr": 0.01, "momentum": momentum, "layers": model.layers, "activation": activation}
    parameters = Parameters(model.weights, model.biases, *velocities)
    return k.session(parameters, pictures(n), test_images=pictures(11), **options | more)


def epochs(s: Any, count: int = 1, n: int = N) -> list[float]:
    numbers = []
    for epoch in range(count):
        s.start(np.random.default_rng([1, 0, epoch]).permutation(n))
        s.run(n // BATCH)
        s.finish()
        numbers += [s.total(), s.test_error()]
    return numbers


def bits(s: Any) -> bytes:
    return b"".join(p.tobytes() for group in s.read() for p in group)


@pytest.mark.parametrize("dtype", sample(["float32", "float64"], 2))
@activations
@pytest.mark.parametrize(("loss", "momentum"), [("mse", 0.9), ("bce", 0.0)])
def test_a_training_with_convolutions_is_numpys_in_both_modes(
    cupy: CupyBackend, dtype: str, activation: str, loss: str, momentum: float
) -> None:
    how = {"activation": activation, "momentum": momentum, "dtype": dtype, "loss": loss}
    numpys = session(NUMPY, **how)
    expected = epochs(numpys, 2)
    found = []
    for mode in ("eager", "captured"):
        s = session(cupy, mode=mode, **how)
        found.append((epochs(s, 2), bits(s)))
    assert found[0] == found[1]
    np.testing.assert_allclose(found[0][0], expected, rtol=1e-6 if dtype == "float32" else 1e-13)
    for one, other in zip(s.read(), numpys.read()):
        for p, q in zip(one, other):
            np.testing.assert_allclose(p, q, rtol=0, atol=1e-5 if dtype == "float32" else 1e-13)


@pytest.mark.thorough
def test_a_training_on_mnist_is_numpys() -> None:
    images, _ = fastae.load_dataset(split="test")
    losses = []
    for backend in ("numpy", "emulator"):
        layers = [fastae.Conv2d(16, stride=2), fastae.Conv2d(32, stride=2), fastae.Dense(128)]
        model = fastae.Autoencoder(layers=layers, activation="tanh")
        trainer = fastae.Trainer(model, optimizer=fastae.SGD(0.002), backend=backend)
        losses.append(trainer.fit(images[:320], 1, images[320:340], progress=False).epochs[0])
    assert losses[1].train_loss == pytest.approx(losses[0].train_loss, rel=1e-6)
    assert losses[1].test_mse == pytest.approx(losses[0].test_mse, rel=1e-6)


@pytest.mark.usefixtures("cupy")
def test_encode_and_decode_are_numpys() -> None:
    found = []
    for backend in ("cupy", "numpy"):
        model = network("relu")
        model.backend = backend
        codes = model.encode(pictures(5))
        found.append((codes, model.decode(codes)))
    for one, other in zip(*found):
        np.testing.assert_allclose(one, other, rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize("tile", sample(launcher.TILES, 3))
@pytest.mark.parametrize("parts", [1, 3])
def test_a_step_is_numpys_with_tiles_of_any_size_and_sums_in_any_number_of_parts(
    cupy: CupyBackend, tile: launcher.Tile, parts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cupy.launcher, "tile", lambda *product: tile)
    monkeypatch.setattr(cupy.launcher, "shared", lambda *product: (tile, parts))
    found = []
    for k in (cupy, NUMPY):
        s = session(k, n=BATCH)
        s.start(np.arange(BATCH))
        s.run(1)
        found.append(s.read())
    for one, other in zip(*found):
        for p, q in zip(one, other):
            np.testing.assert_allclose(p, q, rtol=0, atol=4e-6)


@pytest.mark.parametrize("order", sample(["forward", "random"], 2))
def test_a_step_with_convolutions_has_no_fault(order: str) -> None:
    k, expected = EmulatorBackend(), session(EmulatorBackend(), mode="eager", n=BATCH + 3)
    s = session(k, mode="eager", n=BATCH + 3)
    for one in (s, expected):
        one.start(np.arange(BATCH + 3))
    with checking(order):
        s.run(1)
        s.finish()
    expected.run(1)
    expected.finish()
    assert bits(s) == bits(expected)


@pytest.mark.parametrize("seed", sample(range(2), 2))
def test_the_branches_of_a_step_with_convolutions_may_mix_in_any_order(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also of several steps in one graph, whose layers have the same room for products and for parts of gradients."""
    n = BATCH * (STEPS_A_GRAPH + 1)
    eager = session(EmulatorBackend(), mode="eager", n=n)
    expected = epochs(eager, 1, n)
    monkeypatch.setattr(streams.Graph, "shuffle", random.Random(seed))
    s = session(EmulatorBackend(), mode="captured", n=n)
    assert epochs(s, 1, n) == expected
    assert bits(s) == bits(eager)


def test_the_longest_chain_of_a_step_with_convolutions() -> None:
    """Two launches for each product that is folded and for the last update; the other updates are on branches."""
    s = session(EmulatorBackend(), mode="captured")
    epochs(s)
    assert longest_chain(s._graphs["step", BATCH, 1]) == [
        "gather",
        *("convolution_forward", "convolution_forward", "forward", "forward"),
        *("matmul", "fold_forward", "matmul", "fold_forward_loss"),
        *("transposed_backward", "transposed_backward", "backward", "backward", "matmul", "fold_backward"),
        *("gradients", "descend_by_parts"),
    ]
    assert len(s._graphs["step", BATCH, 1].nodes) == 28


@pytest.mark.parametrize("mode", sample(["captured", "eager"], 2))
def test_tf32_rounds_convolutions_too(cupy: CupyBackend, mode: str) -> None:
    """To the same bits in both modes, and others than float32's."""
    float32, eager, other = (session(cupy, mode=m, tf32=t) for m, t in ((mode, False), ("eager", True), (mode, True)))
    numbers, rounded = epochs(float32), epochs(eager)
    assert rounded == epochs(other) != numbers
    assert bits(eager) == bits(other) != bits(float32)
    np.testing.assert_allclose(rounded, numbers, rtol=1e-2)


def test_tf32_rounds_the_factors_of_each_product_with_patches(cupy: CupyBackend) -> None:
    """1 + 2⁻¹² is 1 in TF32, in the images as in the weights."""
    results = {}
    for tf32 in (False, True):
        s = session(cupy, "relu", mode="eager", tf32=tf32, n=BATCH, momentum=0)
        ops, local, w = s.operations(), s._train[0].local[0], s._train[0]
        with s.stream:
            a = cupy.asarray(np.full(w.a[0].shape, 1 + 2**-12, np.float32))
            W, b = (cupy.asarray(np.full(p.shape, 2.0**-6 * one, np.float32)) for p, one in ((w.W[0], 1), (w.b[0], 0)))
            ops["forward"](a, W, b, w.y[0], local, None)
            results[tf32] = cupy.to_host(w.y[0]).max()
    assert results[True] == 27 / 64
    assert results[False] == pytest.approx(27 / 64 * (1 + 2**-12), rel=1e-6)


def test_persistent_is_for_dense_networks(cupy: CupyBackend) -> None:
    with pytest.raises(InputError, match=r"'persistent' is for networks of dense layers; .* take 'captured'") as caught:
        session(cupy, mode="persistent")
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("loss", sample(["mse", "bce"], 2))
def test_dense_networks_of_any_activation_have_all_modes(cupy: CupyBackend, activation: str, loss: str) -> None:
    found = []
    for mode in ("eager", "captured", "persistent"):
        model = network(activation, layers=[fastae.Dense(20), fastae.Dense(7)])
        trainer = fastae.Trainer(model, loss, fastae.SGD(0.01, 0.5), "cupy", batch_size=BATCH, mode=mode)
        history = trainer.fit(pictures(), 1, pictures(11), progress=False)
        found.append((history.epochs[0].train_loss, history.epochs[0].test_mse, [W.tobytes() for W in model.weights]))
    assert found[0] == found[1] == found[2]
    numpys = network(activation, layers=[fastae.Dense(20), fastae.Dense(7)])
    history = fastae.Trainer(numpys, loss, fastae.SGD(0.01, 0.5), "numpy", batch_size=BATCH).fit(
        pictures(), 1, progress=False
    )
    assert found[0][0] == pytest.approx(history.epochs[0].train_loss, rel=1e-6)


def test_an_update_with_few_weights_is_shared_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the first layer on MNIST, 9 × 16 weights, on an H100's 132 multiprocessors: by the model of docs/cuda.md."""
    k, real = EmulatorBackend(), np.dtype(np.float32)
    monkeypatch.setattr(k.launcher, "multiprocessors", 132)
    layer, _ = fastae.Conv2d(16, stride=2).layer(Shape(28, 28, 1))
    assert isinstance(layer, Layer)
    for m in (16, 128, 1024):
        depth = m * layer.patches
        tile, parts = k.launcher.shared(*layer.shape, depth, real)
        assert 1 < launcher.tiles(*layer.shape, tile) * parts <= 132
        alone = min(k.launcher.cycles(t, *layer.shape, depth, real) for t in k.launcher.tiles(real))
        shared = k.launcher.cycles_of_tile(tile, -(-depth // parts), real) + launcher.CYCLES_OF_PART * parts
        assert shared < alone / 2
    assert k.launcher.shared(784, 256, 128, real)[1] == 1


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
