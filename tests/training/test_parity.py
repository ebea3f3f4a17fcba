"""Whole trainings: the backends agree, a training in two parts is one training, and the images' order is pinned."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest

import fastae
from fastae.check import bounds

# A float32 run drifts from the float64 one by some 1e-6 in the loss. Squared errors at this learning rate amplify it,
# and the test error is that of the last weights alone, where the training loss is a mean over all of them.
TRAIN_LOSS = {"float32": 1e-5, "float64": 1e-12}  # relative
TEST_MSE = {"float32": 5e-5, "float64": 1e-12}
WEIGHTS = 1e-10  # float64, absolute

losses = pytest.mark.parametrize("loss", ["mse", "bce"])
momenta = pytest.mark.parametrize("momentum", [0.0, 0.9])
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
    ("sizes", "batch_size", "momentum"),
    [
        pytest.param((784, 256, 128), 16, 0.0, id="real", marks=pytest.mark.thorough),
        pytest.param((784, 256, 128), 16, 0.9, id="momentum"),
        pytest.param((784, 61, 17), 33, 0.9, id="odd widths and a ragged last batch"),
    ],
)
@dtypes
@losses
def test_numpy_and_numba_agree_on_mnist(
    sizes: tuple[int, ...], batch_size: int, momentum: float, dtype: str, loss: str
) -> None:
    """Losses of two epochs, 200 steps of the real architecture; in float64 every weight, too."""
    images, test_images = mnist()
    trainers = [trainer(sizes, dtype, loss, momentum, backend, batch_size) for backend in ("numpy", "numba")]
    one, other = (t.fit(images, 2, test_images, progress=False).epochs for t in trainers)
    for p, q in zip(one, other, strict=True):
        assert p.train_loss == pytest.approx(q.train_loss, rel=TRAIN_LOSS[dtype])
        assert p.test_mse == pytest.approx(q.test_mse, rel=TEST_MSE[dtype])
    assert one[1].train_loss < 0.9 * one[0].train_loss, "nothing has been learned"
    if dtype == "float64":
        one, other = ([*t.model.weights, *t.model.biases] for t in trainers)
        assert all(bounds.accepts(p, q, WEIGHTS) for p, q in zip(one, other, strict=True))


def everything(t: fastae.Trainer, folder: Path) -> dict[str, bytes]:
    """Return the bits of all that a checkpoint holds but its configuration, which has times in it."""
    t.save(folder / "checkpoint.npz")
    with np.load(folder / "checkpoint.npz", allow_pickle=False) as file:
        arrays = {name: file[name].tobytes() for name in file if name not in ("config", "sha256")}
    assert len(arrays) == 16
    return arrays


@backends
@dtypes
@losses
@momenta
def test_a_training_in_two_parts_is_one_training(
    backend: str, dtype: str, loss: str, momentum: float, tmp_path: Path
) -> None:
    """To the last bit of weights and velocities: in two calls of fit, and resumed from a file by another trainer."""
    images, test_images = mnist()
    images, settings = images[:90], ((784, 20, 9), dtype, loss, momentum, backend)
    whole, parts, resumed = trainer(*settings), trainer(*settings), trainer(*settings)
    whole.fit(images, 3, test_images, progress=False)
    parts.fit(images, 2, test_images, progress=False)
    parts.save(tmp_path / "half.npz")
    resumed.resume(tmp_path / "half.npz")
    for t in (parts, resumed):
        last = t.fit(images, 1, test_images, progress=False)
        assert everything(t, tmp_path) == everything(whole, tmp_path)
        losses = [(e.epoch, e.train_loss, e.test_mse) for e in whole.history.epochs]
        assert [(e.epoch, e.train_loss, e.test_mse) for e in t.history.epochs] == losses
        assert [e.epoch for e in last.epochs] == [3]


@backends
@losses
def test_every_epoch_has_the_pinned_order(backend: str, loss: str) -> None:
    """Trained one epoch at a time on images that already lie in that order, by a loop with no order of its own."""
    images = np.random.default_rng(0).integers(0, 256, (23, 20), dtype=np.uint8)
    t = trainer((20, 17, 9), "float64", loss, 0.0, backend, batch_size=4)
    W, b = ([p.copy() for p in group] for group in (t.model.weights, t.model.biases))
    history = t.fit(images, 3, progress=False)
    for epoch in range(3):
        order, total = np.random.default_rng([1, 6, epoch]).permutation(23), 0.0
        assert np.array_equal(t.order(epoch, 23), order)
        for i in range(0, 23, 4):
            total += descend(W, b, images[order[i : i + 4]] / 255, loss, t.optimizer.lr)
        assert history.epochs[epoch].train_loss == pytest.approx(total / 23, rel=1e-12)
    found = [*t.model.weights, *t.model.biases]
    assert all(bounds.accepts(p, q, 1e-13) for p, q in zip(found, [*W, *b], strict=True))


def descend(W: list[np.ndarray], b: list[np.ndarray], x: np.ndarray, loss: str, lr: float) -> float:
    """Take a step of plain gradient descent in place; return the sum of the images' losses before it."""
    a = [x]
    for W_l, b_l in zip(W, b):
        a.append(1 / (1 + np.exp(-(a[-1] @ W_l + b_l))))
    z = a[-1]
    d = (z - x) / len(x) * (1 if loss == "bce" else 2 * z * (1 - z))
    for l in reversed(range(len(W))):
        below = d @ W[l].T * a[l] * (1 - a[l])
        W[l] -= lr * a[l].T @ d
        b[l] -= lr * d.sum(axis=0)
        d = below
    return np.sum((z - x) ** 2 if loss == "mse" else -(x * np.log(z) + (1 - x) * np.log(1 - z)))


@backends
def test_a_batch_larger_than_the_data_is_cut_to_the_data(backend: str) -> None:
    images = mnist()[0][:9]
    models = []
    for batch_size in (9, 10, 1000):
        t = trainer((784, 20, 9), "float32", "mse", 0.0, backend, batch_size)
        t.fit(images, 2, progress=False)
        models.append(b"".join(p.tobytes() for p in (*t.model.weights, *t.model.biases)))
    assert models[0] == models[1] == models[2]


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
