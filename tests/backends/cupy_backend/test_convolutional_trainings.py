"""Trainings of networks with convolutions, tanh and relu by CUDA's kernels: NumPy's numbers in every mode and tile."""

import random

import numpy as np
import pytest
from convolutional_sessions import BATCH, NUMPY, activations, epochs, network, pictures, session
from cuda_sessions import bits, longest_chain
from sampling import sample

import fastae
from fastae.backends.cupy_backend import CupyBackend, launcher
from fastae.backends.cupy_backend.session import STEPS_A_GRAPH
from fastae.backends.emulator import EmulatorBackend, checking, streams
from fastae.errors import InputError
from fastae.layers import Layer
from fastae.layers.layer import Shape


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
    assert longest_chain(s.graphs["step", BATCH, 1]) == [
        "gather",
        *("convolution_forward", "convolution_forward", "forward", "forward"),
        *("matmul", "fold_forward", "matmul", "fold_forward_loss"),
        *("transposed_backward", "transposed_backward", "backward", "backward", "matmul", "fold_backward"),
        *("gradients", "descend_by_parts"),
    ]
    assert len(s.graphs["step", BATCH, 1].nodes) == 28


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
        ops, local, w = s.operations(), s.team[0].local[0], s.team[0]
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
