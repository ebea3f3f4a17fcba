"""fastae against the committed trajectories of PyTorch's autograd on networks with convolutions.

tests/golden/README.md says what they hold. The networks have odd and non-square images, kernels of 1 to 5, strides of
1 to 3, paddings of 0 to 2, several channels, all three activations, both losses, and a last batch that is smaller.
Their beginning is in `test_golden.py`.
"""

import numpy as np
import pytest
from golden_files import (
    CONVOLUTIONAL,
    FLOAT32_LOSS_BOUND,
    LOSS_BOUND,
    WEIGHT_BOUND,
    assert_losses,
    assert_parameters,
    fit,
    load,
    new_model,
    parameters,
)

every_case = pytest.mark.parametrize("name", CONVOLUTIONAL)
# Numba compiles a step for each activation, loss and dtype, for half a minute; `make test` compares one with NumPy's.
backends = pytest.mark.parametrize("backend", ["numpy", pytest.param("numba", marks=pytest.mark.thorough)])


@backends
@every_case
def test_every_parameter_and_loss_after_the_last_step_is_pytorchs(name: str, backend: str) -> None:
    golden = load(name)
    model = new_model(golden)
    # Without test images Numba need not compile the evaluation; the last test error is the model's own to compute.
    history = fit(model, golden, backend, golden["images"], golden["epochs"].item())
    assert len(golden["step_loss"]) >= 100
    assert_parameters(model, golden, "final", atol=WEIGHT_BOUND)
    found = [epoch.train_loss for epoch in history.epochs]
    np.testing.assert_allclose(found, golden["train_loss"], rtol=LOSS_BOUND, atol=0)
    x = golden["test_images"] / 255
    assert np.mean((model.reconstruct(x) - x) ** 2) == pytest.approx(golden["test_mse"][-1], rel=LOSS_BOUND)


@every_case
def test_the_test_error_of_every_epoch_is_pytorchs(name: str) -> None:
    golden = load(name)
    history = fit(new_model(golden), golden, "numpy", golden["images"], golden["epochs"].item(), golden["test_images"])
    found = [epoch.test_mse for epoch in history.epochs]
    np.testing.assert_allclose(found, golden["test_mse"], rtol=LOSS_BOUND, atol=0)


@every_case
def test_losses_in_float32_are_near_pytorchs(name: str) -> None:
    golden = load(name)
    model = new_model(golden, dtype="float32")
    history = fit(model, golden, "numpy", golden["images"], golden["epochs"].item(), golden["test_images"])
    assert {array.dtype for array in parameters(model).values()} == {np.dtype(np.float32)}
    assert_losses(history, golden, rtol=FLOAT32_LOSS_BOUND)
