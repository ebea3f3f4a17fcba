"""Compiled code in the cache: it is found again, and never taken for other code."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fastae.backends.numba_backend.jit import jit

TRAIN = """
import json, sys
import numpy as np
import fastae

images = np.random.default_rng(0).integers(0, 256, (40, 33), dtype=np.uint8)
images[:, ::3] = 0
epochs = []
for loss, backend in (job.split() for job in sys.argv[1:]):
    trainer = fastae.Trainer(fastae.Autoencoder((33, 20, 5), dtype="float64"), loss, backend=backend, batch_size=8)
    (epoch,) = trainer.fit(images, epochs=1, test_images=images, progress=False).epochs
    epochs.append([epoch.train_loss, epoch.test_mse])
print(json.dumps(epochs))
"""


def train(cache: Path, *jobs: str) -> list[list[float]]:
    """Train in a process of its own and return each job's losses."""
    done = subprocess.run(
        [sys.executable, "-c", TRAIN, *jobs],
        env={**os.environ, "NUMBA_CACHE_DIR": str(cache)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.thorough
def test_what_two_processes_compiled_is_found_and_not_confused_by_a_third(tmp_path: Path) -> None:
    """Numba links what it kept by names that two processes may both have given: bce was once trained as mse."""
    train(tmp_path, "mse numba")
    train(tmp_path, "bce numba")
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.nb*")}
    found = train(tmp_path, "mse numba", "bce numba")
    assert found == [pytest.approx(epoch, rel=1e-10) for epoch in train(tmp_path, "mse numpy", "bce numpy")]
    assert kept
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.nb*")} == kept


def test_a_closure_without_a_name_of_its_own_is_refused() -> None:
    def make(n: int):
        def function(x):
            return x + n

        return function

    with pytest.raises(AssertionError, match="needs a name of its own"):
        jit(make(1))
    assert jit(make(1), name="plus_one")(1) == 2
