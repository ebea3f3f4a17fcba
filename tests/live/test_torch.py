"""fastae against PyTorch's autograd, run side by side here and now: every weight, after at least 100 steps.

The golden files hold a few trajectories; this comparison takes its cases freely, the real architecture with all its
weights too. It needs PyTorch, and fails where that is missing rather than pass by skipping.
"""

import numpy as np
import pytest
from comparison import compare
from reference import Settings, batch_order, draw_parameters, make_images, read_mnist, train

import fastae

backends = pytest.mark.parametrize("backend", ["numpy", "numba"])
losses = pytest.mark.parametrize("loss", ["mse", "bce"])
momenta = pytest.mark.parametrize("momentum", [0.0, 0.9])


def learning_rate(loss: str, momentum: float) -> float:
    # momentum 0.9 makes the steps ten times as long in the end
    return {"mse": 0.25, "bce": 0.05}[loss] * (1 - momentum)


def new_model(settings: Settings) -> fastae.Autoencoder:
    return fastae.Autoencoder(sizes=settings.sizes, seed=settings.seed, dtype="float64", init="glorot-sigmoid")


@backends
@losses
@momenta
@pytest.mark.parametrize("sizes", [(20, 12, 6), (15, 9), (33, 17, 8, 5)], ids=str)
@pytest.mark.parametrize(
    ("batch_size", "epochs"),
    [(8, 12), (1, 2), (67, 100), (100, 100)],
    ids=["ragged", "one-by-one", "all-at-once", "larger-than-all"],
)
def test_small_models(
    sizes: tuple[int, ...], batch_size: int, epochs: int, loss: str, momentum: float, backend: str
) -> None:
    lr = learning_rate(loss, momentum)
    settings = Settings(sizes=sizes, loss=loss, lr=lr, momentum=momentum, batch_size=batch_size, epochs=epochs)
    images, test_images = make_images(67, sizes[0], seed=11), make_images(13, sizes[0], seed=12)
    compare(new_model(settings), train, settings, images, test_images, backend)


@backends
@losses
@momenta
def test_the_real_architecture_on_mnist(loss: str, momentum: float, backend: str) -> None:
    lr = learning_rate(loss, momentum)
    settings = Settings(sizes=(784, 256, 128), loss=loss, lr=lr, momentum=momentum, batch_size=16, epochs=1)
    # 100 full batches and a ragged one of 7
    images, test_images = read_mnist("train", 1607), read_mnist("t10k", 200)
    compare(new_model(settings), train, settings, images, test_images, backend)


def test_fastae_draws_the_initial_weights_as_the_reference_does() -> None:
    model = fastae.Autoencoder(sizes=(784, 256, 128), seed=5, dtype="float64", init="glorot-sigmoid")
    weights, biases = draw_parameters((784, 256, 128), seed=5)
    for found, expected in zip([*model.weights, *model.biases], [*weights, *biases], strict=True):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-14)


def test_the_reference_order_visits_every_image_once_and_changes_with_the_epoch() -> None:
    first, second = batch_order(67, 7, 0), batch_order(67, 7, 1)
    assert sorted(first) == sorted(second) == list(range(67))
    assert list(first) != list(second)
