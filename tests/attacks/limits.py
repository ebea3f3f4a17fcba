"""A million images, little memory, a full disk, all sizes of batch and layer, a million steps, a crowd.

``python tests/attacks/limits.py [NAME ...]`` runs all of them, or those named (``million``, ``memory``, ``full``,
``sizes``, ``steps``, ``together``, ``crowded``), and says what was measured: exit status 0 if all is well, 1 if not.
Linux alone.
"""

import argparse
import os
import resource
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from statistics import median

import numpy as np

import fastae

MIB = 1 << 20
MILLION = 10**6
PIXELS = 784
SMALL = 300 * MIB  # what Python, NumPy, Numba, LLVM, matplotlib and the buffers of a training take beside the images

wrong: list[str] = []


def say(ok: bool, text: str) -> None:
    """Report one finding."""
    print(f"{'ok' if ok else 'WRONG'}: {text}", flush=True)
    if not ok:
        wrong.append(text)


def resident() -> int:
    """How many bytes of this process are in memory now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def write_idx(folder: Path, split: str, n: int) -> None:
    """Write n images of noise, in pieces, and their labels."""
    generator, left = np.random.default_rng(0), n
    with open(folder / f"{split}-images-idx3-ubyte", "wb") as file:
        file.write(struct.pack(">4I", 0x0803, n, 28, 28))
        while left:
            file.write(generator.integers(0, 256, (min(left, 10_000), PIXELS), np.uint8))
            left -= min(left, 10_000)
    labels = (np.arange(n) % 10).astype(np.uint8)
    (folder / f"{split}-labels-idx1-ubyte").write_bytes(struct.pack(">2I", 0x0801, n) + labels.tobytes())


TRAIN = """
import resource, sys
from fastae.cli import main
status = main(sys.argv[1:])
print("peak", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
sys.exit(status)
"""


def train(
    *options: object,
    limit: int | None = None,
    of: int = resource.RLIMIT_AS,
    timeout: float = 1800,
    environment: dict[str, str] | None = None,
) -> "subprocess.CompletedProcess[str]":
    """Run ``fastae train`` in a process that may have so many bytes of addresses, or in a file."""

    def bound() -> None:
        if limit is not None:
            resource.setrlimit(of, (limit, limit))

    environment = {**(environment or os.environ), "OPENBLAS_NUM_THREADS": "1"}  # each takes addresses from the start
    command = [sys.executable, "-c", TRAIN, "train", *map(str, options), "--no-progress"]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, preexec_fn=bound, env=environment)


def million(folder: Path, n: int = MILLION, backends: tuple[str, ...] = ("numpy", "numba")) -> None:
    """Training holds the bytes of the images once, and little beside them."""
    data = folder / "data"
    data.mkdir()
    write_idx(data, "train", n)
    write_idx(data, "t10k", 1000)
    for backend in backends:
        done = train(
            "--data", data, "--backend", backend, "--epochs", 1, "--batch-size", 256, "--out", folder / backend
        )
        peak = int(done.stdout.split("peak ")[1]) if "peak " in done.stdout else 0
        beside = peak - n * PIXELS
        say(
            done.returncode == 0 and beside < SMALL + 24 * n,  # the order of the images, twice, and the labels
            f"{backend}: {n:,} images, {n * PIXELS / MIB:.0f} MiB: peak {peak / MIB:.0f} MiB, "
            f"{beside / MIB:.0f} beside them {done.stderr[-300:]}",
        )


def memory(folder: Path, mebibytes: tuple[int, ...] = (*range(250, 1000, 50), *range(1000, 2600, 250))) -> None:
    """With too little memory: one line and status 2; else it trains."""
    for backend in ("numpy", "numba", "emulator"):
        ends = []
        for limit in mebibytes:
            out = folder / f"{backend}-{limit}"
            n, batch = (8, 16) if backend == "emulator" else (4096, 4096)
            done = train("--backend", backend, "--limit", n, "--batch-size", batch, "--epochs", 1, "--out", out,
                         limit=limit * MIB, timeout=300)  # fmt: skip
            tidy = done.returncode == 2 and done.stderr.count("\n") == 1 and "Traceback" not in done.stderr
            ends.append("trains" if done.returncode == 0 else "refused" if tidy else "untidy")
            if ends[-1] == "untidy":
                say(False, f"{backend} with {limit} MiB: status {done.returncode}: {done.stderr[-300:]}")
        counts = ", ".join(f"{limit} {end}" for limit, end in zip(mebibytes, ends))
        say("untidy" not in ends, f"{backend} with so many MiB of addresses: {counts}")


def full(folder: Path) -> None:
    """On a disk that fills up, while code is kept or later: one line and status 2, and no half of a file."""
    for backend in ("numpy", "numba", "emulator"):
        for kib in (10, 100, 1000):
            out, cache = folder / f"{backend}-{kib}", folder / f"cache-{backend}-{kib}"
            environment = os.environ | {"XDG_CACHE_HOME": str(cache), "NUMBA_CACHE_DIR": str(cache)}
            done = train("--backend", backend, "--limit", 8, "--epochs", 1, "--out", out, environment=environment,
                         limit=kib << 10, of=resource.RLIMIT_FSIZE)  # fmt: skip
            left = [path.name for path in out.iterdir()] if out.exists() else []
            say(
                done.returncode == 2 and done.stderr.count("\n") == 1 and not left,
                f"{backend}, files of at most {kib} KiB: status {done.returncode}, left {left}: {done.stderr[-300:]}",
            )


def sizes(folder: Path) -> None:
    """Batches from one image to all of them, layers from 1 to 4,096 units: numpy and numba agree."""

    def both(widths: tuple[int, ...], n: int, batch: int) -> None:
        images, losses = np.random.default_rng(0).integers(0, 256, (n, widths[0]), np.uint8), []
        for backend in ("numpy", "numba"):
            trainer = fastae.Trainer(
                fastae.Autoencoder(widths, init=0.05), "bce", fastae.SGD(1e-3 / widths[0]), backend, batch
            )
            epochs = trainer.fit(images, 2, images[: n // 2 + 1], progress=False).epochs
            losses.append([x for epoch in epochs for x in (epoch.train_loss, epoch.test_mse)])
        apart = float(np.max(np.abs(np.subtract(*losses)) / np.abs(losses[0])))
        say(apart < 1e-5, f"{widths}, {n} images, batch {batch}: apart by {apart:.1e}")

    for batch in (1, 2, 3, 15, 16, 17, 255, 256, 257, 1000, 1001):
        both((30, 20, 10), 1001, batch)
    both((PIXELS, 256, 128), 20_000, 20_000)
    for width in (1, 2, 3, 5, 15, 17, 31, 33, 127, 255, 1000, 4095, 4096):
        both((width, 9, 4), 40, 16)
        both((9, width, 4), 40, 16)
        both((9, 4, width), 40, 16)
    both((4096, 4096, 4096), 3, 2)
    both((1, 1), 5, 2)
    both((1, 1, 1, 1, 1, 1, 1), 5, 2)


def steps(folder: Path, count: int = MILLION, threads: int | None = None) -> None:
    """So many steps leak nothing: memory, files and threads are after them what they were after a tenth of them."""
    images = np.random.default_rng(0).integers(0, 256, (count // 100, 9), np.uint8)
    trainer = fastae.Trainer(fastae.Autoencoder((9, 4, 2)), backend="numba", batch_size=1, threads=threads)
    seen = []

    def look(trainer: fastae.Trainer) -> None:
        seen.append((resident(), len(os.listdir("/proc/self/fd")), threading.active_count()))

    trainer.fit(images, 100, images[:100], progress=False, on_epoch=look)
    (before, files, alive), (after, files_after, alive_after) = seen[len(seen) // 10], seen[-1]
    text = f"{count:,} steps: {before / MIB:.1f} then {after / MIB:.1f} MiB, {files} then {files_after} files, "
    text += f"{alive} then {alive_after} threads"
    say(after - before < 4 * MIB and files == files_after and alive == alive_after, text)


def weights(backend: str) -> list[bytes]:
    """Train a little, and return the bits."""
    images, n = np.random.default_rng(0).integers(0, 256, (600, 60), np.uint8), 20 if backend == "emulator" else 600
    trainer = fastae.Trainer(fastae.Autoencoder((60, 40, 20)), backend=backend, batch_size=8)
    trainer.fit(images[:n], 3, images[:50], progress=False)
    return [array.tobytes() for array in (*trainer.model.weights, *trainer.model.biases)]


def together(folder: Path, at_once: int = 4) -> None:
    """Several trainings at once give the bits of one alone: in threads, and in processes."""
    jobs = [name for name in ("numpy", "numba", "emulator") for _ in range(at_once)]
    alone = {name: weights(name) for name in set(jobs)}
    pools: list[tuple[str, Callable[[], ThreadPoolExecutor | ProcessPoolExecutor]]] = [
        ("threads", lambda: ThreadPoolExecutor(len(jobs))),
        ("processes", lambda: ProcessPoolExecutor(at_once, mp_context=get_context("spawn"))),
    ]
    for name, make in pools:
        with make() as pool:
            found = list(pool.map(weights, jobs))
        same = sum(bits == alone[job] for job, bits in zip(jobs, found))
        say(same == len(jobs), f"{same} of {len(jobs)} trainings in {name} at once gave the bits of one alone")


def crowded(folder: Path, n: int = 4000, rounds: int = 5, starts: int = 3) -> None:
    """Two workers on two cores, beside two busy processes: at most 3 times as long, and as long as one worker.

    With half of each core it takes twice as long, if the workers have their halves at the same time.
    """
    images, team = fastae.load_dataset()[0][:n], min(2, len(os.sched_getaffinity(0)))
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:team])  # and all that it starts: as on a small machine
    sessions = {
        threads: fastae.Trainer(fastae.Autoencoder(), backend="numba", threads=threads).session(images)
        for threads in (1, team)
    }

    def measure(busy: int) -> dict[int, float]:
        """Return the median seconds of a pass over the images by number of workers, which take turns."""
        took: dict[int, list[float]] = {threads: [] for threads in sessions}
        crowd = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(busy)]
        try:
            time.sleep(0.5)
            for _ in range(rounds):
                for threads, session in sessions.items():
                    session.start(np.arange(n))
                    began = time.perf_counter()
                    session.run(n // session.batch_size)
                    took[threads].append(time.perf_counter() - began)
        finally:
            for process in crowd:
                process.kill()
                process.wait()
        return {threads: median(seconds) for threads, seconds in took.items()}

    measure(0)
    every = [(measure(0), measure(team)) for _ in range(starts)]
    alone, beside = ({threads: median(of[i][threads] for of in every) for threads in sessions} for i in (0, 1))
    text = f"{n:,} images: {team} workers {alone[team]:.3f} s, beside {team} busy processes {beside[team]:.3f}; "
    text += f"1 worker {alone[1]:.3f} and {beside[1]:.3f} s"
    say(beside[team] <= 3 * alone[team] and beside[team] <= 1.25 * beside[1], text)


ATTACKS = {attack.__name__: attack for attack in (million, memory, full, sizes, steps, together, crowded)}


def main() -> int:
    """Attack as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    names = parser.parse_args().names
    if unknown := set(names) - set(ATTACKS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; the attacks are: {', '.join(ATTACKS)}")
    for name in names or ATTACKS:
        with tempfile.TemporaryDirectory(prefix="fastae-limits-") as folder:
            ATTACKS[name](Path(folder))
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
