"""Whole processes in turn: the default training run, pictures included, by fastae and by PyTorch.

``python -m benchmarks.whole_job [--rounds 3] [--epochs 20] [--out DIR]``. Both train on all of MNIST from the
same weights, with the same batches in the same order.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from fastae.bench.report import processor

JOBS = {
    "fastae, numba": ["-m", "fastae", "train", "--backend", "numba", "--schedule", "constant", "--no-progress"],
    "PyTorch, eager": ["-m", "benchmarks.torch_job"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--out", type=Path, default=Path("runs/whole-job"))
    arguments = parser.parse_args()
    seconds: dict[str, list[float]] = {name: [] for name in JOBS}
    errors: dict[str, float] = {}
    for _ in range(arguments.rounds):
        for name, job in JOBS.items():
            out = arguments.out / name.split(",")[0]
            command = [sys.executable, *job, "--epochs", str(arguments.epochs), "--out", str(out)]
            began = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            seconds[name].append(time.perf_counter() - began)
            errors[name] = json.loads((out / "history.json").read_text())["epochs"][-1]["test_mse"]
            print(f"{name}: {seconds[name][-1]:.1f} s, test error {errors[name]:.4f}", flush=True)
    ours, theirs = (median(values) for values in seconds.values())
    ratio = median(a / b for a, b in zip(*seconds.values()))
    print(f"{processor()}: {ours:.1f} s against {theirs:.1f} s, {ratio:.3f} of PyTorch's time (median of the rounds')")


if __name__ == "__main__":
    main()
