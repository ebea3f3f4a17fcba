"""Whole trainings on MNIST: NumPy and Numba agree. `test_trainer.py` has what a training computes."""

from functools import cache

import numpy as np
import pytest

import fastae
from fastae.bench.contenders.job import network
from fastae.check import bounds

# A float32 run drifts from the float64 one by some 1e-6 in the loss. Squared errors at this learning rate amplify it,
# and the test error is that of the last weights alone, where the training loss is a mean over all of them.
TRAIN_LOSS = {"float32": 1e-5, "float64": 1e-12}  # relative
TEST_MSE = {"float32": 5e-5, "float64": 1e-12}
WEIGHTS = 1e-10  # float64, absolute

losses = pytest.mark.parametrize("loss", ["mse", "bce"])
dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])
backends = pytest.mark.parametrize("backend", ["numpy", "numba"])


@cache
def mnist() -> tuple[np.ndarray, np.ndarray]:
    return fastae.load_dataset()[0][:1600], fastae.load_dataset(split="test")[0][:300]


def trainer(sizes: tuple[int, ...], dtype: str, loss: str, momentum: float, backend: str, batch_size: int = 16):
    lr = {"mse": 0.25, "bce": 0.05}[loss] * (1 - momentum)
    return fastae.Trainer(
        fastae.Autoencoder(sizes, seed=4, dtype=dtype),
        loss=loss,
        optimizer=fastae.SGD(lr, momentum),
        backend=backend,
        batch_size=batch_size,
        seed=6,
    )


@pytest.mark.parametrize(
    ("sizes", "batch_size"),
    [
        pytest.param((784, 256, 128), 16, id="real"),
        pytest.param((784, 61, 17), 33, id="odd widths and a ragged last batch"),
    ],
)
@dtypes
@losses
def test_numpy_and_numba_agree_on_mnist(sizes: tuple[int, ...], batch_size: int, dtype: str, loss: str) -> None:
    """Losses of two epochs with momentum, 200 steps of the real architecture; in float64 every weight, too."""
    images, test_images = mnist()
    trainers = [trainer(sizes, dtype, loss, 0.9, backend, batch_size) for backend in ("numpy", "numba")]
    one, other = (t.fit(images, 2, test_images, progress=False).epochs for t in trainers)
    for p, q in zip(one, other, strict=True):
        assert p.train_loss == pytest.approx(q.train_loss, rel=TRAIN_LOSS[dtype])
        assert p.test_mse == pytest.approx(q.test_mse, rel=TEST_MSE[dtype])
    assert one[1].train_loss < 0.9 * one[0].train_loss, "nothing has been learned"
    if dtype == "float64":
        one, other = ([*t.model.weights, *t.model.biases] for t in trainers)
        assert all(bounds.accepts(p, q, WEIGHTS) for p, q in zip(one, other, strict=True))


def test_numpy_and_numba_agree_on_the_benchmarks_network_with_convolutions() -> None:
    """Two epochs of 2000 images in float32, the last batch of 8; no test images: Numba would compile the evaluation."""
    images, losses = fastae.load_dataset()[0][:2000], []
    for backend in ("numpy", "numba"):
        t = fastae.Trainer(network("conv"), "mse", fastae.SGD(0.01), backend=backend, batch_size=24, seed=6)
        losses.append([epoch.train_loss for epoch in t.fit(images, 2, progress=False).epochs])
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)  # a run in float32 drifts from one in float64 by some 1e-6
    assert losses[0][1] < 0.8 * losses[0][0], "nothing has been learned"


@backends
def test_images_may_lie_in_memory_as_they_like(backend: str) -> None:
    """Columns first, every second row of more, read-only: the same bits."""
    images = mnist()[0][:40]
    frozen = images.copy()
    frozen.flags.writeable = False
    losses = []
    for data in (images, np.asfortranarray(images), np.repeat(images, 2, axis=0)[::2], frozen):
        history = trainer((784, 20, 9), "float32", "mse", 0.0, backend).fit(data, 2, data, progress=False)
        losses.append([(e.train_loss, e.test_mse) for e in history.epochs])
    assert losses[1:] == losses[:1] * 3
