"""Write tests/golden/convolutions/*.npz, trajectories of PyTorch's autograd on networks with convolutions.

Run it as `python tests/golden/make_convolutions.py`; it needs NumPy and PyTorch, and never fastae.
"""

import json
from pathlib import Path

import numpy as np
import torch
from convolutional import Conv, Dense, Settings, draw_parameters, train
from make_golden import numbered
from reference import Trajectory, make_images

FOLDER = Path(__file__).parent / "convolutions"
TRAIN, TEST = 67, 13  # in batches of 8: 9 steps an epoch, the last with 3 images

# Networks of one activation, loss, number and kinds of layers are one compilation for Numba: the first two are.
CASES = {
    "tanh-mse": Settings(
        encoder=(Conv(5, 3, 2, 1), Conv(4, 2, 3, 1), Dense(6)),
        image=(9, 7, 3),
        activation="tanh",
        loss="mse",
        lr=0.05,
    ),
    "tanh-mse-momentum": Settings(
        encoder=(Conv(3, 5, 1, 2), Conv(5, 4, 3, 0), Dense(7)),
        image=(8, 11, 1),
        activation="tanh",
        loss="mse",
        lr=0.005,
        momentum=0.9,
    ),
    "relu-bce-momentum": Settings(
        encoder=(Dense((4, 3, 3)), Conv(5, 1, 2, 0)),
        image=(6, 5, 1),
        activation="relu",
        loss="bce",
        lr=0.002,
        momentum=0.9,
    ),
    "sigmoid-mse": Settings(
        encoder=(Conv(6, 3, 2, 0), Conv(3, 2, 2, 1)),
        image=(10, 6, 5),
        activation="sigmoid",
        loss="mse",
        lr=0.02,
    ),
}


def main() -> None:
    """Train all cases and write a file for each."""
    torch.set_num_threads(1)  # and no choice among algorithms: the same machine writes the same bytes again
    torch.use_deterministic_algorithms(True)
    FOLDER.mkdir(exist_ok=True)
    for stale in FOLDER.glob("*.npz"):
        stale.unlink()
    for name, settings in CASES.items():
        width = int(np.prod(settings.image))
        images, test_images = make_images(TRAIN, width, seed=1), make_images(TEST, width, seed=2)
        weights, biases = draw_parameters(settings)
        trajectory = train(weights, biases, images, test_images, settings)
        save(
            name,
            settings,
            trajectory,
            images=images,
            test_images=test_images,
            **numbered("initial", weights, biases),
            **numbered("first", trajectory.first_weights, trajectory.first_biases),
            **numbered("final", trajectory.final_weights, trajectory.final_biases),
        )


def save(name: str, settings: Settings, trajectory: Trajectory, **arrays: np.ndarray) -> None:
    """Write a case, after making sure that it is worth following: long enough, finite and learning."""
    steps = np.array(trajectory.step_loss)
    if len(steps) < 100 or not np.isfinite(steps).all():
        raise ArithmeticError(f"{name}: {len(steps)} steps, losses {steps}")
    if not steps[-10:].mean() < 0.9 * steps[:10].mean():
        raise ArithmeticError(f"{name} does not learn: step losses {steps}")
    encoder = [{"Conv2d" if isinstance(spec, Conv) else "Dense": list(spec)} for spec in settings.encoder]
    file = FOLDER / f"{name}.npz"
    np.savez_compressed(
        file,
        torch_version=np.array(str(torch.__version__)),
        numpy_version=np.array(np.__version__),
        encoder=np.array(json.dumps(encoder)),
        image=np.array(settings.image),
        activation=np.array(settings.activation),
        seed=np.array(settings.seed),
        loss=np.array(settings.loss),
        lr=np.array(settings.lr),
        momentum=np.array(settings.momentum),
        batch_size=np.array(settings.batch_size),
        epochs=np.array(settings.epochs),
        order_seed=np.array(settings.order_seed),
        step_loss=steps,
        train_loss=np.array(trajectory.train_loss),
        test_mse=np.array(trajectory.test_mse),
        **arrays,
    )
    print(
        f"{file.name:22} {file.stat().st_size:7,} bytes, {len(steps)} steps, "
        f"step loss {steps[:10].mean():.4g} -> {steps[-10:].mean():.4g}, test MSE {trajectory.test_mse[-1]:.4g}"
    )


if __name__ == "__main__":
    main()
