"""Write tests/golden/*.npz and convolutions/*.npz, the trajectories of PyTorch's autograd that fastae has to follow.

Run it as `python tests/golden/make_golden.py`; it needs NumPy and PyTorch, and never fastae.
"""

import json
import math
from pathlib import Path
from typing import Any

import convolutional
import numpy as np
import torch
from convolutional import Conv, Dense
from reference import Settings, Trajectory, draw_parameters, make_images, read_mnist, train

FOLDER = Path(__file__).parent

BASE, ONE_HIDDEN, DEEP, MNIST = (20, 12, 6), (15, 9), (20, 12, 6, 3), (784, 256, 128)

# 67 images in batches of 8 are 9 steps an epoch, the last with 3 images; every case makes at least 100 steps.
SYNTHETIC = {
    "mse-plain": Settings(sizes=BASE, loss="mse", lr=0.25),
    "mse-momentum": Settings(sizes=BASE, loss="mse", lr=0.03, momentum=0.9),
    "bce-plain": Settings(sizes=BASE, loss="bce", lr=0.05),
    "bce-momentum": Settings(sizes=BASE, loss="bce", lr=0.005, momentum=0.9),
    "one-hidden": Settings(sizes=ONE_HIDDEN, loss="mse", lr=0.25),
    "deep": Settings(sizes=DEEP, loss="bce", lr=0.005, momentum=0.9),
    "batch-of-one": Settings(sizes=BASE, loss="mse", lr=0.05, momentum=0.5, batch_size=1, epochs=2),
    "batch-of-all": Settings(sizes=BASE, loss="bce", lr=0.05, momentum=0.5, batch_size=100, epochs=110),
}
SYNTHETIC_TRAIN, SYNTHETIC_TEST = 67, 13  # of the networks with convolutions too

# Networks of one activation, loss, number and kinds of layers are one compilation for Numba: the first two are.
CONVOLUTIONAL = {
    "convolutions/tanh-mse": convolutional.Settings(
        encoder=(Conv(5, 3, 2, 1), Conv(4, 2, 3, 1), Dense(6)),
        image=(9, 7, 3),
        activation="tanh",
        loss="mse",
        lr=0.05,
    ),
    "convolutions/tanh-mse-momentum": convolutional.Settings(
        encoder=(Conv(3, 5, 1, 2), Conv(5, 4, 3, 0), Dense(7)),
        image=(8, 11, 1),
        activation="tanh",
        loss="mse",
        lr=0.005,
        momentum=0.9,
    ),
    "convolutions/relu-bce-momentum": convolutional.Settings(
        encoder=(Dense((4, 3, 3)), Conv(5, 1, 2, 0)),
        image=(6, 5, 1),
        activation="relu",
        loss="bce",
        lr=0.002,
        momentum=0.9,
    ),
    "convolutions/sigmoid-mse": convolutional.Settings(
        encoder=(Conv(6, 3, 2, 0), Conv(3, 2, 2, 1)),
        image=(10, 6, 5),
        activation="sigmoid",
        loss="mse",
        lr=0.02,
    ),
}

# At rate 0.25 these 100 steps on MNIST enlarge a rounding error of float32 some hundredfold, so that its losses would
# say little; at 0.1 they do not.
REAL = {
    "mnist-mse": Settings(sizes=MNIST, loss="mse", lr=0.1, batch_size=16, epochs=1, seed=0, order_seed=0),
    "mnist-bce": Settings(sizes=MNIST, loss="bce", lr=0.05, batch_size=16, epochs=1, seed=0, order_seed=0),
}
REAL_TRAIN, REAL_TEST = 1600, 256


def main() -> None:
    """Train all cases and write a file for each."""
    # One thread and no choice among algorithms: the same machine writes the same bytes again.
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)

    for stale in FOLDER.rglob("*.npz"):
        stale.unlink()
    for name, settings in (SYNTHETIC | CONVOLUTIONAL).items():
        write_synthetic(name, settings)
    for name, settings in REAL.items():
        write_real(name, settings)
    print(f"{sum(file.stat().st_size for file in FOLDER.rglob('*.npz')):,} bytes in all")


def write_synthetic(name: str, settings: Settings | convolutional.Settings) -> None:
    """Train on made-up images and write everything, the images and all parameters too."""
    if isinstance(settings, convolutional.Settings):
        width, start, run = math.prod(settings.image), convolutional.draw_parameters(settings), convolutional.train
    else:
        width, start, run = settings.sizes[0], draw_parameters(settings.sizes, settings.seed), train
    images, test_images = make_images(SYNTHETIC_TRAIN, width, seed=1), make_images(SYNTHETIC_TEST, width, seed=2)
    trajectory = run(*start, images, test_images, settings)
    save(
        name,
        settings,
        trajectory,
        images=images,
        test_images=test_images,
        **numbered("initial", *start),
        **numbered("first", trajectory.first_weights, trajectory.first_biases),
        **numbered("final", trajectory.final_weights, trajectory.final_biases),
    )


def write_real(name: str, settings: Settings) -> None:
    """Train on MNIST and write, for 468,368 parameters are too many to commit, a summary of each array."""
    images, test_images = read_mnist("train", REAL_TRAIN), read_mnist("t10k", REAL_TEST)
    weights, biases = draw_parameters(settings.sizes, settings.seed)
    trajectory = train(weights, biases, images, test_images, settings)
    rng = np.random.default_rng(2)
    summary: dict[str, np.ndarray] = {}
    for key, array in numbered("final", trajectory.final_weights, trajectory.final_biases).items():
        indices = rng.choice(array.size, 64, replace=False)
        summary |= {
            f"{key}_sum": array.sum(),
            f"{key}_norm": np.sqrt((array * array).sum()),
            f"{key}_indices": indices,  # of the flattened array
            f"{key}_values": array.ravel()[indices],
        }
    save(name, settings, trajectory, train_count=np.array(REAL_TRAIN), test_count=np.array(REAL_TEST), **summary)


def numbered(stage: str, weights: list[np.ndarray], biases: list[np.ndarray]) -> dict[str, np.ndarray]:
    """Name the parameters of a stage of the training: final_W0, final_b0, final_W1 and so on."""
    named = {}
    for i, (W, b) in enumerate(zip(weights, biases, strict=True)):
        named |= {f"{stage}_W{i}": W, f"{stage}_b{i}": b}
    return named


def network_of(settings: Settings | convolutional.Settings) -> dict[str, Any]:
    """Return what a file says of the network."""
    if isinstance(settings, Settings):
        return {"sizes": settings.sizes, "init": "glorot-sigmoid"}
    encoder = [{"Conv2d" if isinstance(spec, Conv) else "Dense": list(spec)} for spec in settings.encoder]
    return {"encoder": json.dumps(encoder), "image": settings.image, "activation": settings.activation}


def save(name: str, settings: Settings | convolutional.Settings, trajectory: Trajectory, **arrays: np.ndarray) -> None:
    """Write a case, after making sure that it is worth following: long enough, finite and learning."""
    losses = np.array(trajectory.train_loss)
    steps = np.array(trajectory.step_loss)
    if len(steps) < 100 or not np.isfinite(steps).all():
        raise ArithmeticError(f"{name}: {len(steps)} steps, losses {losses}")
    if not steps[-10:].mean() < 0.9 * steps[:10].mean():
        raise ArithmeticError(f"{name} does not learn: step losses {steps}")

    file = FOLDER / f"{name}.npz"
    np.savez_compressed(
        file,
        torch_version=np.array(str(torch.__version__)),
        numpy_version=np.array(np.__version__),
        **{key: np.array(value) for key, value in network_of(settings).items()},
        seed=np.array(settings.seed),
        loss=np.array(settings.loss),
        lr=np.array(settings.lr),
        momentum=np.array(settings.momentum),
        batch_size=np.array(settings.batch_size),
        epochs=np.array(settings.epochs),
        order_seed=np.array(settings.order_seed),
        step_loss=steps,
        train_loss=losses,
        test_mse=np.array(trajectory.test_mse),
        **arrays,
    )
    print(
        f"{name:30} {file.stat().st_size:7,} bytes, {len(steps)} steps, "
        f"step loss {steps[:10].mean():.4g} -> {steps[-10:].mean():.4g}, test MSE {trajectory.test_mse[-1]:.4g}"
    )


if __name__ == "__main__":
    main()
