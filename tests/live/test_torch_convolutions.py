"""Networks with convolutions against PyTorch's autograd, run side by side: every weight, after at least 100 steps.

NumPy takes every combination; Numba, which compiles for each loss, activation and set of kinds, takes three of them, on
several geometries each.
"""

import numpy as np
import pytest
import torch
from comparison import compare
from convolutional import Conv, Dense, Layer, Settings, apply, draw_parameters, train
from reference import make_images, read_mnist

import fastae

torch.set_num_threads(1)  # these networks are small, and more threads only wait for each other

# Image, and the encoder behind it: what each is there for.
NETWORKS = {
    "3 x 3, stride 2, a dense code": ((9, 7, 1), (Conv(5, 3, 2, 1), Dense(6))),
    "3 channels, 5 x 5": ((9, 7, 3), (Conv(4, 5, 1, 2), Dense(5))),
    "rows and columns that no patch reaches": ((11, 8, 3), (Conv(5, 4, 3, 0), Dense(7))),
    "1 x 1, stride 3": ((8, 10, 5), (Conv(3, 1, 3, 0), Dense(4))),
    "2 x 2, padded by 1": ((6, 9, 1), (Conv(3, 2, 2, 1), Dense(4))),
    "as large as its image": ((4, 5, 2), (Conv(7, 4, 1, 0), Dense(3))),
}
MORE = {  # other kinds or numbers of layers
    "one convolution": ((9, 7, 3), (Conv(5, 3, 2, 1),)),
    "only convolutions": ((9, 7, 3), (Conv(5, 3, 2, 1), Conv(3, 5, 1, 2), Conv(2, 2, 2, 0))),
    "dense, then convolutions": ((5, 4, 1), (Dense((6, 7, 3)), Conv(5, 3, 2, 1), Dense(6))),
    "dense, the last a convolution": ((5, 4, 1), (Dense((6, 7, 3)), Conv(5, 3, 3, 2))),
}
# At rates three times as high, some of these runs enlarge a rounding error of float64 beyond any bound.
RATES = {"mse": {"sigmoid": 0.03, "tanh": 0.015, "relu": 0.003}, "bce": {"sigmoid": 0.006, "tanh": 0.003, "relu": 6e-4}}

losses = pytest.mark.parametrize("loss", ["mse", "bce"])
momenta = pytest.mark.parametrize("momentum", [0.0, 0.9])
activations = pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu"])
batches = pytest.mark.parametrize(
    ("batch_size", "epochs"), [(8, 12), (1, 2), (67, 100)], ids=["ragged", "one-by-one", "all-at-once"]
)


def made(network: str, activation: str, loss: str, momentum: float, batch_size: int, epochs: int) -> Settings:
    image, encoder = (NETWORKS | MORE)[network]
    return Settings(
        encoder=encoder,
        image=image,
        activation=activation,
        loss=loss,
        lr=RATES[loss][activation] * (1 - momentum),  # momentum 0.9 makes the steps ten times as long in the end
        momentum=momentum,
        batch_size=batch_size,
        epochs=epochs,
    )


def new_model(settings: Settings) -> fastae.Autoencoder:
    layers = [fastae.Conv2d(*spec) if isinstance(spec, Conv) else fastae.Dense(*spec) for spec in settings.encoder]
    return fastae.Autoencoder(
        layers=layers, image_shape=settings.image, activation=settings.activation, seed=settings.seed, dtype="float64"
    )


def images_of(settings: Settings) -> np.ndarray:
    return make_images(67, int(np.prod(settings.image)), seed=11)


@activations
@losses
@momenta
@batches
@pytest.mark.parametrize("network", [*NETWORKS, *MORE])
def test_numpy(network: str, activation: str, loss: str, momentum: float, batch_size: int, epochs: int) -> None:
    settings = made(network, activation, loss, momentum, batch_size, epochs)
    compare(new_model(settings), train, settings, images_of(settings), None, "numpy")


@pytest.mark.parametrize(("activation", "loss"), [("tanh", "mse"), ("relu", "bce"), ("sigmoid", "mse")])
@momenta
@batches
@pytest.mark.parametrize("network", NETWORKS)
def test_numba(network: str, activation: str, loss: str, momentum: float, batch_size: int, epochs: int) -> None:
    settings = made(network, activation, loss, momentum, batch_size, epochs)
    compare(new_model(settings), train, settings, images_of(settings), None, "numba")


@pytest.mark.parametrize("backend", ["numpy", "numba"])
@momenta
def test_the_network_of_the_benchmark_on_mnist(momentum: float, backend: str) -> None:
    settings = Settings(
        encoder=(Conv(16, 3, 2, 1), Conv(32, 3, 2, 1), Dense(128)),
        image=(28, 28, 1),
        activation="tanh",
        loss="mse",
        lr=0.01 * (1 - momentum),
        momentum=momentum,
        batch_size=16,
        epochs=1,
    )
    # 100 full batches and a ragged one of 7
    compare(new_model(settings), train, settings, read_mnist("train", 1607), None, backend)


@activations
@pytest.mark.parametrize("network", [*NETWORKS, *MORE])
def test_fastae_draws_the_initial_parameters_as_the_reference_does(network: str, activation: str) -> None:
    settings = made(network, activation, "mse", 0.0, 8, 12)
    model, (weights, biases) = new_model(settings), draw_parameters(settings)
    for found, expected in zip([*model.weights, *model.biases], [*weights, *biases], strict=True):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("network", [*NETWORKS, *MORE])
def test_the_references_transposed_convolution_is_a_convolutions_gradient(network: str) -> None:
    """The two ways of PyTorch to compute it agree, so that output_padding is what we think."""
    image, encoder = (NETWORKS | MORE)[network]
    settings = Settings(encoder=encoder, image=image, activation="tanh", loss="mse", lr=0.1)
    generator = torch.Generator().manual_seed(0)
    for spec, layer in zip(encoder, new_model(settings).layers, strict=False):
        if not isinstance(spec, Conv):
            continue
        g = layer.geometry
        before = (g.rows, g.columns, spec.channels)
        after = (g.height, g.width, layer.inputs // (g.height * g.width))
        x = torch.randn(3, layer.outputs, generator=generator, dtype=torch.float64)
        W = torch.randn(*layer.shape, generator=generator, dtype=torch.float64)
        found = apply(Layer("transposed", before, after, spec), x, W, torch.zeros(after[2], dtype=torch.float64))
        taps = W.reshape(spec.kernel, spec.kernel, after[2], spec.channels).permute(3, 2, 0, 1)
        expected = torch.nn.grad.conv2d_input(
            (3, after[2], *after[:2]), taps, x.reshape(3, *before).permute(0, 3, 1, 2), spec.stride, spec.padding
        )
        torch.testing.assert_close(found, expected.permute(0, 2, 3, 1).reshape(3, -1), rtol=0, atol=1e-12)
