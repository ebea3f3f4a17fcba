"""The benchmark's network with convolutions on MNIST: NumPy and Numba learn alike in float32."""

import pytest

import fastae
from fastae.bench.contenders.job import network

TRAIN_LOSS = 1e-4  # relative; a float32 run drifts from the float64 one by some 1e-6


def test_numpy_and_numba_learn_alike_on_mnist() -> None:
    """Two epochs of 2000 images, the last batch of 8; no test images, for which Numba would compile the evaluation."""
    images, losses = fastae.load_dataset()[0][:2000], []
    for backend in ("numpy", "numba"):
        trainer = fastae.Trainer(network("conv"), "mse", fastae.SGD(0.01), backend=backend, batch_size=24, seed=6)
        losses.append([epoch.train_loss for epoch in trainer.fit(images, 2, progress=False).epochs])
    assert losses[0] == pytest.approx(losses[1], rel=TRAIN_LOSS)
    assert losses[0][1] < 0.8 * losses[0][0], "nothing has been learned"
