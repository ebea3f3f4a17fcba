"""Everything that only a GPU can show, in one command of at most 8 minutes: ``python benchmarks/gpu.py --out DIR``.

It checks (kernels against float64, the modes against each other, a training against the CPU's, memory by
compute-sanitizer), then measures (a step beside the peers, in turn and at the same precision; each product; the
limits), and writes ``gpu.json``, ``gpu.md`` and ``gpu.png``. What it has found is written after each part, so that a
run which is cut off loses little. It needs CuPy; PyTorch and JAX take part where they are installed.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]  # runs from a checkout, installed or not

from gpu_parts import checks, limits, products, rehearsal, report  # noqa: E402
from gpu_parts.contenders import CONTENDERS  # noqa: E402

from fastae import backends  # noqa: E402
from fastae.backends.cupy_backend.session import MODES  # noqa: E402
from fastae.errors import FastaeError  # noqa: E402

SIZES, PRODUCT_SIZES, ROUNDS = [1, 16, 32, 64, 128, 256, 512, 1024], [16, 128, 1024], 5
SANITIZED = "import fastae; from gpu_parts import checks; checks.train('cupy', 16, 1, 40, mode={mode!r})"


class Worker:
    """The process of one contender, which prepares in the background; see `gpu_parts.worker`."""

    def __init__(self, name: str, rehearsal: bool, sizes: list[int]) -> None:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        command = [sys.executable, "-m", "gpu_parts.worker", name, str(int(rehearsal)), json.dumps(sizes)]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        )
        self.ready: dict[str, Any] | None = None
        self._waiter = threading.Thread(target=self._wait, daemon=True)
        self._waiter.start()

    def _wait(self) -> None:
        line = self._process.stdout.readline() if self._process.stdout else ""
        self.ready = json.loads(line) if line else {"failed": "it died without a word"}

    def prepared(self, until: float) -> dict[str, Any]:
        """Return its first losses by batch size, or why there are none."""
        self._waiter.join(max(0.0, until - time.monotonic()))
        return self.ready or {"failed": "not prepared in time"}

    def segment(self, m: int) -> float:
        """Let it train a segment; return microseconds a step."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{m}\n")
        self._process.stdin.flush()
        return float(json.loads(self._process.stdout.readline())["us"])

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for the report")
    parser.add_argument("--minutes", type=float, default=8.0, help="after which nothing new is begun")
    parser.add_argument("--rehearse", action="store_true", help="on the CPU with the emulator, small: does it work?")
    options = parser.parse_args()
    end = time.monotonic() + 60 * options.minutes
    try:
        backend: Any = backends.get("emulator" if options.rehearse else "cupy")
        options.out.mkdir(parents=True, exist_ok=True)
    except (FastaeError, OSError) as error:
        print(f"gpu.py: {error}", file=sys.stderr)
        return 2
    found = begin(backend, options.rehearse)

    def write() -> None:
        (options.out / "gpu.json").write_text(json.dumps(found, indent=1))
        (options.out / "gpu.md").write_text(report.markdown(found))

    workers = {name: Worker(name, options.rehearse, found["sizes"]) for name in CONTENDERS}
    try:
        check(found, backend, options.rehearse)
        write()
        ready = wait_for(found, workers, min(end - 150, time.monotonic() + 180) if not options.rehearse else end)
        write()
        cupy = rehearsal.cupy() if options.rehearse else backend.launcher.cupy
        found["limits"] = limits.measure(cupy, options.rehearse)
        sizes = [16] if options.rehearse else PRODUCT_SIZES
        found["products"] = products.measure(backend, cupy, sizes, options.rehearse)
        train(found, backend.name, options.rehearse)
        write()
        race(found, ready, end - 60)
    finally:
        for worker in workers.values():
            worker.close()
    write()
    sanitize(found, end)
    write()
    report.figure(found, options.out / "gpu.png")
    print((options.out / "gpu.md").read_text())
    return 0 if all(c["ok"] for c in found["checks"]) else 1


def begin(backend: Any, rehearsal: bool) -> dict[str, Any]:
    """Return the report with nothing in it but the machine."""
    versions = []
    for package in ("cupy-cuda13x", "cupy-cuda12x", "torch", "jax", "numpy"):
        try:
            versions.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    device = "the emulator"
    if not rehearsal:
        runtime = backend.launcher.cupy.cuda.runtime
        name = runtime.getDeviceProperties(0)["name"].decode()
        device = f"{name}, driver for CUDA {runtime.driverGetVersion() / 1000:g}"
    return {
        "device": device,
        "versions": f"Python {sys.version.split()[0]}, {', '.join(versions)}",
        "when": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "rehearsal": rehearsal,
        "sizes": [16] if rehearsal else SIZES,
        "checks": [],
        "limits": {},
        "products": [],
        "training": [],
        "times": {},
        "failed": {},
        "notes": [],
    }


def check(found: dict[str, Any], backend: Any, rehearsal: bool) -> None:
    """Fill in what is right and what is wrong."""
    cpu = "numba" if not rehearsal and backends.availability()["numba"].ok else "numpy"
    found["checks"] += checks.products(backend) + checks.elementwise(backend)
    found["checks"] += checks.modes(backend.name, 2 if rehearsal else 2000)
    found["checks"] += checks.histories(backend.name, cpu, 2 if rehearsal else 20, 256 if rehearsal else None)


def wait_for(found: dict[str, Any], workers: dict[str, Worker], until: float) -> dict[str, Worker]:
    """Return the workers that are prepared; all must have had the same loss in the first epoch."""
    losses, ready = {}, {}
    for name, worker in workers.items():
        answer = worker.prepared(until)
        if "failed" in answer:
            found["failed"][name] = answer["failed"]
            worker.close()
        else:
            ready[name], losses[name] = worker, answer["ready"]
    for m in map(str, found["sizes"]):
        values = {name: loss[m] for name, loss in losses.items()}
        apart = max(abs(v / median(values.values()) - 1) for v in values.values()) if values else 0.0
        detail = f"first epoch's loss within {apart:.1e} of the median"
        found["checks"].append(checks.outcome(f"all contenders do the same, batch {m}", apart < 2e-3, detail))
    return ready


def train(found: dict[str, Any], name: str, rehearsal: bool) -> None:
    """Time 20 epochs of all of MNIST, as a user trains them, the test after each epoch left out."""
    epochs, limit = (1, 64) if rehearsal else (20, None)
    for m in (128, 16):
        for mode in MODES:
            if mode == "eager" and m == 16:
                continue
            history, _ = checks.train(name, m, epochs, limit, mode=mode)
            seconds = sum(epoch.seconds for epoch in history)
            row = {"mode": mode, "batch_size": m, "epochs": epochs, "images": limit or 60_000, "seconds": seconds,
                   "test_mse": history[-1].test_mse}  # fmt: skip
            found["training"].append(row)


def race(found: dict[str, Any], workers: dict[str, Worker], until: float) -> None:
    """Let all train in turn, a segment each, for some rounds of every batch size."""
    rounds: dict[str, dict[str, list[float]]] = {name: {} for name in workers}
    for number in range(2 if found["rehearsal"] else ROUNDS):
        for m in found["sizes"]:
            if time.monotonic() > until:
                found["notes"].append(f"out of time in round {number + 1} of the race, at batch {m}")
                break
            for name, worker in workers.items():
                rounds[name].setdefault(str(m), []).append(worker.segment(m))
    for name, by_size in rounds.items():
        found["times"][name] = {m: {"us": median(times), "rounds": times} for m, times in by_size.items()}


def sanitize(found: dict[str, Any], until: float) -> None:
    """Run small trainings under compute-sanitizer, where it is installed and there is time."""
    tool = shutil.which("compute-sanitizer")
    if tool is None or found["rehearsal"]:
        found["notes"].append("compute-sanitizer is not installed" if tool is None else "no sanitizer in a rehearsal")
        return
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    for kind in ("memcheck", "racecheck", "initcheck", "synccheck"):
        for mode in ("eager", "persistent"):
            left = until - time.monotonic()
            if left < 20:
                found["notes"].append(f"no time left for compute-sanitizer's {kind}, {mode}")
                continue
            command = [tool, "--tool", kind, "--error-exitcode", "9", sys.executable, "-c", SANITIZED.format(mode=mode)]
            name = f"compute-sanitizer, {kind}, {mode}"
            try:
                done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=min(left, 60))
            except subprocess.TimeoutExpired:
                found["notes"].append(f"{name} did not end in time")
                continue
            words = [
                line for line in done.stdout.splitlines() if "ERROR SUMMARY" in line or "RACECHECK SUMMARY" in line
            ]
            text = (words or (done.stdout + done.stderr).splitlines() or ["not a word"])[-1].strip("= ")
            if done.returncode in (0, 9):
                found["checks"].append(checks.outcome(name, done.returncode == 0, text))
            else:
                found["notes"].append(f"{name} could not run: {text}")


if __name__ == "__main__":
    sys.exit(main())
