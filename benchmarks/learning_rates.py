"""How the learning rate that `fastae.rates` suggests trains, and how far it is from one at which training is chaotic.

``python benchmarks/learning_rates.py`` prints the table of docs/learning-rate.md for the dense network, with ``--model
conv`` that of the convolutional one, with another name of ``NETWORKS`` the rows of that network. A row is an
activation, a loss, a batch size and a data set. Each training is done twice in float64, the second time from weights
that differ by 1e-10 of themselves. In the cells are the test error, as a part of the mean image's, and *growth*: by how
much the relative difference between the two trainings' test errors exceeds 1e-10. Two backends differ in their 16th
digit; where growth is 1e10, they have nothing in common in the end.
"""

import argparse
import contextlib
import math
import time
from pathlib import Path

import numpy as np

import fastae
from fastae.rates import suggest

FASHION = Path(__file__).parents[1] / "tests" / "data" / "fashion-mnist"
FACTORS = (0.5, 1.0, 2.0)
DIFFERENCE = 1e-10
NETWORKS = {
    "dense": {"sizes": (784, 256, 128)},
    "conv": {"layers": [fastae.Conv2d(16, stride=2), fastae.Conv2d(32, stride=2), fastae.Dense(128)]},
    "512": {"sizes": (784, 512, 128)},
    "1024": {"sizes": (784, 1024, 256)},
    "2048": {"sizes": (784, 2048)},
    "deep": {"sizes": (784, 512, 256, 128)},
    "stride-1": {"layers": [fastae.Conv2d(8), fastae.Dense(32)]},
    "strides-1-2": {"layers": [fastae.Conv2d(8), fastae.Conv2d(16, stride=2), fastae.Dense(32)]},
}


def data_sets(limit: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return training and test images by name, first the three that are usual."""
    sets = {}
    for name, folder in (("MNIST", None), ("Fashion-MNIST", FASHION)):
        sets[name] = (
            fastae.load_dataset(folder, "train")[0][:limit],
            fastae.load_dataset(folder, "test")[0][: limit // 4],
        )
    changes = {
        "inverted": ("MNIST", lambda x: 255 - x),
        "Fashion-MNIST, inverted": ("Fashion-MNIST", lambda x: 255 - x),
        "Fashion-MNIST, dark": ("Fashion-MNIST", lambda x: x // 2),
        "inverted, dark": ("MNIST", lambda x: (255 - x) // 2),
        "on grey": ("MNIST", lambda x: 128 + x // 2),
    }
    return sets | {name: tuple(map(change, sets[source])) for name, (source, change) in changes.items()}


def network(model: str, activation: str) -> fastae.Autoencoder:
    return fastae.Autoencoder(dtype="float64", activation=activation, image_shape=(28, 28), **NETWORKS[model])


def errors(options: argparse.Namespace, images, tested, activation, loss, batch, lr, difference) -> np.ndarray:
    """Return the test error after each epoch, NaN from where training diverged."""
    model = network(options.model, activation)
    draw = np.random.default_rng(7).standard_normal
    model.weights = [W * (1 + difference * draw(W.shape)) for W in model.weights]
    optimizer = fastae.SGD(lr * (1 - options.momentum), options.momentum)
    trainer = fastae.Trainer(model, loss, optimizer, "numba", batch, threads=1)
    epochs = max(2, math.ceil(options.updates * batch / len(images)))
    with contextlib.suppress(fastae.errors.Diverged):
        trainer.fit(images, epochs, tested, progress=False)
    found = [epoch.test_mse for epoch in trainer.history.epochs]
    return np.array(found + [np.nan] * (epochs - len(found)))


def row(options: argparse.Namespace, images, tested, activation, loss, batch) -> str:
    """Train at each factor times the rate that is suggested; return cells of the table."""
    mean_image = np.mean((images.mean(axis=0) / 255 - tested / 255) ** 2)
    suggested = suggest(images, network(options.model, activation), loss, batch_size=batch).lr
    cells = [f"{suggested:g}"]
    for factor in options.factors:
        one, other = (
            errors(options, images, tested, activation, loss, batch, suggested * factor, d) for d in (0, DIFFERENCE)
        )
        growth = np.max(np.abs(other - one) / one) / DIFFERENCE
        power = math.ceil(math.log10(growth)) if 0 < growth < math.inf else None
        cells.append(f"{one[-1] / mean_image:.2f}, {'diverged' if power is None else f'1e{max(power, 0)}'}")
    return " | ".join(cells)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="dense", choices=NETWORKS)
    parser.add_argument("--activations", default="sigmoid,tanh,relu", type=lambda text: text.split(","))
    parser.add_argument("--losses", default="mse,bce", type=lambda text: text.split(","))
    parser.add_argument("--batches", default=[1, 16, 128, 512], type=lambda text: [int(n) for n in text.split(",")])
    parser.add_argument("--factors", default=FACTORS, type=lambda text: [float(x) for x in text.split(",")])
    parser.add_argument("--sets", default=3, type=int, help="how many of the data sets, of which there are seven")
    parser.add_argument("--images", default=2000, type=int, help="of each data set; a quarter as many are for the test")
    parser.add_argument("--updates", default=200, type=int, help="at least, and two epochs at least")
    parser.add_argument("--momentum", default=0.0, type=float, help="with the rate times 1 - momentum")
    options = parser.parse_args()
    sets = dict(list(data_sets(options.images).items())[: options.sets])
    began = time.time()
    print("| activation | loss | batch | data | rate |", " | ".join(f"x {factor:g}" for factor in options.factors), "|")
    print("| --- | --- | ---: | --- | ---: |" + " ---: |" * len(options.factors))
    for activation in options.activations:
        for loss in options.losses:
            for batch in options.batches:
                for name, (images, tested) in sets.items():
                    cells = row(options, images, tested, activation, loss, batch)
                    print(f"| {activation} | {loss} | {batch} | {name} | {cells} |", flush=True)
    print(f"\n{time.time() - began:.0f} s")


if __name__ == "__main__":
    main()
