"""The step's own operations, which a backend has until it replaces them."""

from typing import Any

import numpy as np
import pytest
from step_by_hand import close, images, start, train

from fastae.backends.base import Backend, Session
from fastae.backends.numpy_backend import NumpyBackend


class Composed(NumpyBackend):
    """NumPy's kernels with the step's own operations."""

    operations = Backend.operations
    workspace = Backend.workspace


def composed(loss: str, momentum: float) -> Session:
    """Return a session of batches of 3 images, of which 7 make an epoch, in a network with three hidden layers."""
    p = start((20, 17, 9), momentum=bool(momentum))
    return Session(Composed(), p, images(20, 7), images(20, 5), loss, batch_size=3, lr=0.5, momentum=momentum)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("loss", ["mse", "bce"])
def test_the_composed_operations_train_over_several_batches(loss: str, momentum: float) -> None:
    """With one batch every buffer is zero before, so that adding to it and writing to it would be the same."""
    s, data, p = composed(loss, momentum), images(20, 7), start((20, 17, 9), momentum=bool(momentum))
    order = np.array([4, 0, 6, 1, 5, 3, 2])
    for _ in range(2):
        s.start(order)
        s.run(2)
        s.finish()
        p = train(p, [data[order[i : i + 3]] / 255 for i in (0, 3, 6)], loss, 0.5, momentum)
    assert close(s.read(), p, 1e-12)


def test_every_operation_is_handed_what_the_worker_owns() -> None:
    """NumPy's barrier and forward need nothing of it; Numba's do."""
    mine, seen = object(), []

    class Watching(Composed):
        def workspace(self, size: int, dtype: Any) -> Any:
            return mine

        def operations(self, loss: str) -> dict[str, Any]:
            def watched(name: str, operation: Any) -> Any:
                def call(*arguments: Any) -> None:
                    seen.append((name, arguments[-1] is mine))
                    operation(*arguments)

                return call

            return {name: watched(name, operation) for name, operation in super().operations(loss).items()}

    s = Session(Watching(), start((20, 17, 9)), images(20, 3), images(20, 3), batch_size=3)
    s.start(np.arange(3))
    s.run(1)
    assert {name for name, _ in seen} == {"barrier", "forward", "output", "loss_gradient", "backward", "update"}
    s.test_error()
    assert all(handed for _, handed in seen)
