"""A training by fastae beside the same one by PyTorch."""

from collections.abc import Callable
from typing import Any

import numpy as np

import fastae

WEIGHT_BOUND = 1e-10
LOSS_BOUND = 1e-12  # relative


def compare(
    model: fastae.Autoencoder,
    train: Callable[..., Any],
    settings: Any,
    images: np.ndarray,
    test_images: np.ndarray | None,
    backend: str,
) -> None:
    """Train both from the model's weights, PyTorch by ``train``, and require the same weights and losses in the end."""
    expected = train(model.weights, model.biases, images, test_images, settings)
    assert len(expected.step_loss) >= 100
    before = [W.copy() for W in model.weights]
    trainer = fastae.Trainer(
        model,
        loss=settings.loss,
        optimizer=fastae.SGD(lr=settings.lr, momentum=settings.momentum),
        backend=backend,
        batch_size=settings.batch_size,
        seed=settings.order_seed,
    )
    history = trainer.fit(images, epochs=settings.epochs, test_images=test_images, progress=False)

    assert all(np.abs(W - start).max() > 1e-3 for W, start in zip(model.weights, before, strict=True)), "no training"
    for layer, (W, W_expected) in enumerate(zip(model.weights, expected.final_weights, strict=True)):
        np.testing.assert_allclose(W, W_expected, rtol=0, atol=WEIGHT_BOUND, err_msg=f"weights of layer {layer}")
    for layer, (b, b_expected) in enumerate(zip(model.biases, expected.final_biases, strict=True)):
        np.testing.assert_allclose(b, b_expected, rtol=0, atol=WEIGHT_BOUND, err_msg=f"bias of layer {layer}")
    train_loss = [epoch.train_loss for epoch in history.epochs]
    np.testing.assert_allclose(train_loss, expected.train_loss, rtol=LOSS_BOUND, atol=0)
    if test_images is not None:
        test_mse = [epoch.test_mse for epoch in history.epochs]
        np.testing.assert_allclose(test_mse, expected.test_mse, rtol=LOSS_BOUND, atol=0)
