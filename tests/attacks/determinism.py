"""Train again and again, each time in a fresh process, and compare the bits.

``python tests/attacks/determinism.py --runs 20``: exit status 0 if every run of a backend, with a number of workers, a
loss and a momentum, gave the bits of the first one, 1 if not.
"""

import argparse
import subprocess
import sys
from collections import Counter

# backend, workers, loss, momentum, images, epochs
CASES = [
    ("numpy", 0, "mse", 0.9, 500, 2),
    ("numpy", 0, "bce", 0.0, 500, 2),
    ("numba", 1, "mse", 0.9, 500, 2),
    ("numba", 2, "mse", 0.0, 500, 2),
    ("numba", 2, "bce", 0.9, 500, 2),
    ("numba", 3, "bce", 0.9, 500, 2),
    ("emulator", 0, "mse", 0.9, 20, 1),
    ("emulator", 0, "bce", 0.0, 20, 1),
]

CHILD = """
import hashlib, sys
import fastae

backend, threads, loss, momentum, n, epochs = sys.argv[1:]
images, _ = fastae.load_dataset(split="test")
optimizer = fastae.SGD(0.05, float(momentum))
trainer = fastae.Trainer(fastae.Autoencoder(), loss, optimizer, backend, threads=int(threads) or None)
trainer.fit(images[: int(n)], int(epochs), images[-int(n) :], progress=False)
sha = hashlib.sha256()
for group in (trainer.model.weights, trainer.model.biases, trainer._V, trainer._c):
    for array in group:
        sha.update(array)
for epoch in trainer.history.epochs:
    sha.update(f"{epoch.train_loss!r} {epoch.test_mse!r}".encode())
print(sha.hexdigest())
"""


def bits(backend: str, threads: int, loss: str, momentum: float, images: int, epochs: int) -> str:
    """Train in a process of its own; return the digest of parameters, velocities and history."""
    command = [sys.executable, "-c", CHILD, *map(str, (backend, threads, loss, momentum, images, epochs))]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=600).stdout.strip()


def main() -> int:
    """Attack as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--backend", help="this one alone")
    options = parser.parse_args()
    status = 0
    for case in CASES:
        if options.backend in (None, case[0]):
            found = Counter(bits(*case) for _ in range(options.runs))
            name = "{}, {} workers, {}, momentum {}, {} images, {} epochs".format(*case)
            print(f"{name}: {options.runs} runs, {len(found)} different: {dict(found)}", flush=True)
            status |= len(found) > 1
    return status


if __name__ == "__main__":
    sys.exit(main())
