"""The layers of a network: their shapes, fans and mirrors, what is refused, and what they compute."""

import itertools
import math
from typing import Any

import numpy as np
import pytest
from networks import ENCODER, NETWORKS, pixels_of

import fastae
from fastae import Autoencoder, Conv2d, Dense
from fastae.errors import InputError
from fastae.layers import autoencoder, image_of


def one_at_a_time(model: Autoencoder, image: np.ndarray) -> list[np.ndarray]:
    """What each layer gives for one image in float64, by the definition of a convolution, a number at a time."""
    a, outputs = image.astype(np.float64) / 255, []
    slopes = {"sigmoid": lambda t: 1 / (1 + np.exp(-t)), "tanh": np.tanh, "relu": lambda t: np.maximum(t, 0)}
    for number, layer in enumerate(model.layers):
        W, b, g = model.weights[number].astype(np.float64), model.biases[number].astype(np.float64), layer.geometry
        if layer.kind == "dense":
            z = a @ W + b
        else:
            taps = W.reshape(g.kernel, g.kernel, -1, W.shape[1])
            small, large = (g.rows, g.columns, taps.shape[3]), (g.height, g.width, taps.shape[2])
            x = a.reshape(large if layer.kind == "conv" else small)
            y = np.zeros(small if layer.kind == "conv" else large)
            for p, q, i, j in itertools.product(*map(range, (g.rows, g.columns, g.kernel, g.kernel))):
                r, s = p * g.stride + i - g.padding, q * g.stride + j - g.padding
                if not (0 <= r < g.height and 0 <= s < g.width):
                    continue
                if layer.kind == "conv":
                    y[p, q] += x[r, s] @ taps[i, j]
                else:
                    y[r, s] += taps[i, j] @ x[p, q]
            z = (y + b).ravel()
        a = slopes["sigmoid" if number == len(model.layers) - 1 else model.activation](z)
        outputs.append(a)
    return outputs


# Shapes, fans, mirrors.


def test_shapes_and_counts_of_the_convolutional_network() -> None:
    model = Autoencoder(layers=[Conv2d(16, stride=2), Conv2d(32, stride=2), Dense(128)], activation="tanh")
    assert model.image_shape == (28, 28)
    assert model.sizes == (784, 14 * 14 * 16, 7 * 7 * 32, 128)
    assert model.shapes() == [(9, 16), (144, 32), (1568, 128), (128, 1568), (144, 32), (9, 16)]
    assert [b.shape for b in model.biases] == [(16,), (32,), (128,), (1568,), (16,), (1,)]
    assert [layer.kind for layer in model.layers] == ["conv", "conv", "dense", "dense", "transposed", "transposed"]
    assert [layer.channels for layer in model.layers] == [16, 32, 128, 1568, 16, 1]
    assert [layer.pixels for layer in model.layers] == [784, 196, 1, 1, 49, 196]
    products = [9 * 16 * 196, 144 * 32 * 49, 1568 * 128]
    assert [layer.multiplications for layer in model.layers] == products + products[::-1]
    assert [layer.fans for layer in model.layers] == [
        (9, 16 * 9 / 4), (144, 32 * 9 / 4), (1568, 128), (128, 1568), (32 * 9 / 4, 144), (16 * 9 / 4, 9),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("spec", "shape", "after"),
    [
        (Conv2d(5), (7, 6), (7, 6, 5)),
        (Conv2d(5, stride=2), (7, 6), (4, 3, 5)),
        (Conv2d(5, kernel=2), (7, 6), (8, 7, 5)),  # half a kernel of padding on both sides is more than it needs
        (Conv2d(5, kernel=5, stride=3, padding=0), (7, 6, 3), (1, 1, 5)),
        (Conv2d(1, kernel=1, stride=4), (9, 8), (3, 2, 1)),
        (Conv2d(2, kernel=7, padding=0), (7, 8), (1, 2, 2)),
        (Dense(3), (7, 6, 2), (1, 1, 3)),
        (Dense((2, 3, 4)), (7, 6), (2, 3, 4)),
    ],
    ids=str,
)
def test_what_a_layer_makes_of_a_shape(spec: Any, shape: tuple[int, ...], after: tuple[int, ...]) -> None:
    before = image_of(shape)
    layer, found = spec.layer(before)
    assert found == after
    assert (layer.inputs, layer.outputs) == (math.prod(before), math.prod(after))
    inputs = spec.kernel**2 * before.channels if isinstance(spec, Conv2d) else before.size
    assert layer.shape == (inputs, layer.channels)
    assert layer.channels == (spec.channels if isinstance(spec, Conv2d) else math.prod(after))


@pytest.mark.parametrize("network", NETWORKS)
def test_the_decoder_is_the_encoder_the_other_way_round(network: str) -> None:
    model = Autoencoder(**NETWORKS[network])
    half = len(model.layers) // 2
    for layer, mirror in zip(model.layers[:half], model.layers[:half - 1:-1], strict=True):  # fmt: skip
        assert (mirror.inputs, mirror.outputs) == (layer.outputs, layer.inputs)
        assert mirror.geometry == layer.geometry
        assert mirror.multiplications == layer.multiplications
        assert mirror.mirrored() == layer
        if layer.kind == "dense":
            assert mirror.shape == layer.shape[::-1]
        else:
            assert (layer.kind, mirror.kind) == ("conv", "transposed")
            assert mirror.shape == layer.shape
        assert mirror.fans == layer.fans[::-1]
    for before, after in itertools.pairwise(model.layers):
        assert before.outputs == after.inputs


def test_layers_with_one_kernel_over_the_whole_image_are_dense_ones() -> None:
    """Its fans, shape and multiplications too."""
    (conv, back), (dense, _) = (
        autoencoder([Conv2d(4, kernel=6, padding=0)], image_of((6, 6, 2))),
        autoencoder([Dense(4)], image_of((6, 6, 2))),
    )
    assert (conv.shape, conv.multiplications) == (dense.shape, dense.multiplications) == ((72, 4), 288)
    assert back.shape == (72, 4)
    assert conv.fans[0] == dense.fans[0]


@pytest.mark.parametrize(("activation", "init"), [("sigmoid", "glorot-sigmoid"), ("tanh", "glorot"), ("relu", "he")])
def test_parameters_are_drawn_with_the_deviation_that_suits_the_activation(activation: str, init: str) -> None:
    model = Autoencoder(layers=ENCODER, image_shape=(7, 6), activation=activation, seed=3, dtype="float64")
    assert model.init == init
    rng = np.random.default_rng([0, 3])
    for layer, W, b in zip(model.layers, model.weights, model.biases):
        fan_in, fan_out = layer.fans
        glorot = math.sqrt(2 / (fan_in + fan_out))
        sigma = {"glorot-sigmoid": 4 * glorot, "glorot": glorot, "he": math.sqrt(2 / fan_in)}[init]
        assert W.tobytes() == rng.normal(0, sigma, layer.shape).tobytes()
        assert b.tobytes() == rng.normal(0, 0.1, layer.channels).tobytes()


# What is refused.

LAYERS: list[tuple[Any, str]] = [
    (lambda: Conv2d(0), "Conv2d's channels must be a positive whole number below 32768; got 0"),
    (lambda: Conv2d(-3), "Conv2d's channels must be .* got -3"),
    (lambda: Conv2d(2.0), "Conv2d's channels must be .* got 2.0"),
    (lambda: Conv2d(True), "Conv2d's channels must be .* got True"),
    (lambda: Conv2d("16"), "Conv2d's channels must be .* got '16'"),
    (lambda: Conv2d(2**15), "Conv2d's channels must be .* got 32768"),
    (lambda: Conv2d(4, kernel=0), "Conv2d's kernel must be .* got 0"),
    (lambda: Conv2d(4, stride=0), "Conv2d's stride must be .* got 0"),
    (lambda: Conv2d(4, padding=3), "Conv2d's padding must be a whole number from 0 to 2, less than its kernel; got 3"),
    (lambda: Conv2d(4, padding=-1), "Conv2d's padding must be .* got -1"),
    (lambda: Conv2d(4, padding=0.0), "Conv2d's padding must be .* got 0.0"),
    (lambda: Dense(0), r"Dense takes a positive whole number, or a shape such as \(7, 7, 32\); got 0"),
    (lambda: Dense(1.5), "Dense takes .* got 1.5"),
    (lambda: Dense("128"), "Dense takes .* got '128'"),
    (lambda: Dense((7, 7)), r"Dense takes .* got \(7, 7\)"),
    (lambda: Dense((7, 7, 0)), r"Dense takes .* got \(7, 7, 0\)"),
]


@pytest.mark.parametrize(("make", "message"), LAYERS, ids=[message for _, message in LAYERS])
def test_what_is_no_layer_is_refused_in_one_line(make: Any, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        make()
    assert len(str(caught.value).splitlines()) == 1


ARGUMENTS: list[tuple[dict[str, Any], str]] = [
    ({"layers": []}, "layers must be one or more of Dense, Conv2d"),
    ({"layers": Dense(3)}, "layers must be one or more of"),
    ({"layers": [Dense(3), 128]}, "layers must be one or more of"),
    ({"layers": "Dense"}, "layers must be one or more of"),
    ({"layers": [Dense(10), Conv2d(3)]}, r"layer 2, Conv2d\(3, .*gives 10 without height and width; .*Dense\(\(7"),
    ({"layers": [Conv2d(1, stride=2)] * 6}, "layer 6, .*needs an image of more than one pixel.* take fewer strides"),
    (
        {"layers": [Conv2d(3, kernel=29, padding=0)]},
        "layer 1, .*its kernel of 29 x 29 is larger than its input of 28 x 28 x 1 with a padding of 0 on every side",
    ),
    (
        {"layers": [Conv2d(3), Conv2d(3, kernel=6, padding=0)], "image_shape": (5, 9)},
        "layer 2, .*larger than its input",
    ),
    ({"layers": [Conv2d(9)], "image_shape": (2**15, 2**15)}, "layer 1, .*its output of .* is too large"),
    ({"layers": [Dense(3)], "sizes": (784, 3)}, "give sizes or layers, not both"),
    ({"layers": [Dense(3)], "image_shape": (28,)}, r"image_shape must be \(height, width\) or .* got \(28,\)"),
    ({"layers": [Dense(3)], "image_shape": (28, 0)}, "image_shape must be"),
    ({"layers": [Dense(3)], "image_shape": (28, 28, 1, 1)}, "image_shape must be"),
    ({"layers": [Dense(3)], "image_shape": (28, 2.5)}, "image_shape must be"),
    ({"layers": [Dense(3)], "image_shape": 28}, "image_shape must be"),
    ({"sizes": (784, 3), "image_shape": (28, 27)}, "sizes begin with 784, but an image of 28 x 27 x 1 has 756 numbers"),
    ({"activation": "elu"}, "unknown activation 'elu'; the activations are: sigmoid, tanh, relu"),
    ({"activation": None}, "unknown activation None"),
    ({"activation": ["tanh"]}, "unknown activation"),
    ({"init": "xavier"}, "init must be glorot-sigmoid, glorot, he or a standard deviation"),
]


@pytest.mark.parametrize(("arguments", "message"), ARGUMENTS, ids=[message for _, message in ARGUMENTS])
def test_what_is_no_network_is_refused_in_one_line(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        Autoencoder(**arguments)
    assert len(str(caught.value).splitlines()) == 1


# What it computes.


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("network", NETWORKS)
def test_encode_decode_and_reconstruct_are_what_the_definition_gives(network: str, dtype: str) -> None:
    model = Autoencoder(**NETWORKS[network], dtype=dtype, seed=1)
    images, tolerance = pixels_of(model, 3), {"float32": 1e-5, "float64": 1e-13}[dtype]
    expected = [np.array(row) for row in zip(*(one_at_a_time(model, image) for image in images))]
    outputs = model.outputs(images)
    assert len(outputs) == len(model.layers)
    for found, wanted in zip(outputs, expected):
        assert found.dtype == dtype
        np.testing.assert_allclose(found, wanted, rtol=0, atol=tolerance)
    codes = model.encode(images)
    assert codes.tobytes() == outputs[len(outputs) // 2 - 1].tobytes()
    assert model.decode(codes).tobytes() == model.reconstruct(images).tobytes() == outputs[-1].tobytes()


@pytest.mark.parametrize("n", [0, 1, 255, 256, 257, 600])
def test_any_number_of_images_goes_through_in_lots(n: int) -> None:
    """The lots are of 256; each image is as it is alone, up to the order of sums."""
    model = Autoencoder(**NETWORKS["three channels"])
    images = pixels_of(model, n)
    codes, drawn = model.encode(images), model.reconstruct(images)
    assert (codes.shape, drawn.shape) == ((n, 5), (n, 120))
    assert model.decode(codes).tobytes() == drawn.tobytes()
    for i in {0, 255, 256, n - 1} & set(range(n)):
        np.testing.assert_allclose(model.reconstruct(images[i : i + 1])[0], drawn[i], rtol=0, atol=1e-6)
    assert model.reconstruct(images / 255).tobytes() == drawn.tobytes()


@pytest.mark.parametrize("network", ["convolutions", "three channels"])
def test_weights_may_be_written_to(network: str) -> None:
    model = Autoencoder(**NETWORKS[network])
    images = pixels_of(model, 2)
    before = model.reconstruct(images)
    for W, b in zip(model.weights, model.biases):
        W[:] = 0
        b[:] = 0
    assert not np.array_equal(model.reconstruct(images), before)
    assert (model.reconstruct(images) == 0.5).all()
    fastae.Trainer(model, "mse", fastae.SGD(0.1), "numpy", 2).fit(images, 1, progress=False)
    for W, b in zip(model.weights, model.biases):
        W *= 0.5  # those that a training left behind
        b += 1
    assert not (model.reconstruct(images) == 0.5).any()


@pytest.mark.parametrize("network", NETWORKS)
def test_a_training_lowers_the_loss(network: str) -> None:
    model = Autoencoder(**NETWORKS[network])
    images = pixels_of(model, 40)
    history = fastae.Trainer(model, "bce", fastae.SGD(0.02), "numpy", 8).fit(images, 6, images, progress=False)
    assert history.epochs[-1].train_loss < history.epochs[0].train_loss
    error = np.mean((model.reconstruct(images).astype(np.float64) - images / 255) ** 2)
    assert history.epochs[-1].test_mse == pytest.approx(error, rel=1e-5)
