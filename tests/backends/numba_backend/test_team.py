"""The Numba backend's team of workers under forks, threads, pauses and crowded cores."""

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import fastae

SIZES = (60, 40, 20)

pytestmark = pytest.mark.alone

CHILD = """
import hashlib, os, sys
import numpy as np
import fastae

def train(threads):
    images = np.random.default_rng(0).integers(0, 256, (400, 60), dtype=np.uint8)
    model = fastae.Autoencoder((60, 40, 20))
    fastae.Trainer(model, backend="numba", batch_size=8, threads=threads).fit(images, int(sys.argv[2]), progress=False)
    return hashlib.sha256(b"".join(W.tobytes() for W in model.weights)).hexdigest()

how, threads = sys.argv[1], 3
if how == "fork":
    print(train(threads), flush=True)
    child = os.fork()
    if child == 0:
        print(train(threads), flush=True)
        os._exit(0)
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
print("ready", flush=True)
print(train(threads), flush=True)
"""


def weights(threads: int, epochs: int = 2, batch_size: int = 8) -> list[bytes]:
    images = np.random.default_rng(0).integers(0, 256, (400, 60), dtype=np.uint8)
    model = fastae.Autoencoder(SIZES)
    trainer = fastae.Trainer(model, backend="numba", batch_size=batch_size, threads=threads)
    trainer.fit(images, epochs, progress=False)
    return [W.tobytes() for W in model.weights]


def start(how: str, epochs: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "ignore", "-c", CHILD, how, str(epochs)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_a_forked_process_trains_as_its_parent_does() -> None:
    out, _ = start("fork", 2).communicate(timeout=120)
    mine, childs = out.split()
    assert mine == childs


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_in_a_thread_and_beside_another_training_it_ends_in_the_same_bits(threads: int) -> None:
    expected = weights(threads)
    found: list[list[bytes]] = []
    trainings = [threading.Thread(target=lambda: found.append(weights(threads))) for _ in range(3)]
    for training in trainings:
        training.start()
    for training in trainings:
        training.join(timeout=120)
        assert not training.is_alive()
    assert found == [expected] * 3


def test_many_more_workers_than_cores_come_to_an_end() -> None:
    """Each barrier then waits for workers that have no core: without sleeping, a time slice for each."""
    crowd = 4 * (os.cpu_count() or 1) + 1
    weights(crowd, epochs=1)  # compiled
    began = time.perf_counter()
    weights(crowd, epochs=1)  # 50 steps of 7 barriers
    assert time.perf_counter() - began < 20


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system binds no thread to a core")
@pytest.mark.parametrize("threads", [2, 8])
def test_a_team_on_one_core_ends_soon_in_the_same_bits(threads: int) -> None:
    expected, found = weights(threads, epochs=1), []

    def bound() -> None:
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # this thread, and those that it starts
        began = time.perf_counter()
        found.append((weights(threads, epochs=1), time.perf_counter() - began))

    thread = threading.Thread(target=bound)
    thread.start()
    thread.join(60)
    ((bits, seconds),) = found
    assert bits == expected
    assert seconds < 10  # 50 steps of 7 barriers; a time slice for each would be more


def test_beside_a_busy_program_a_team_is_not_far_behind_one_worker_and_ends_in_the_same_bits() -> None:
    """A worker that only spun, or always yielded its core, took 15 times as long as one alone."""
    images = fastae.load_dataset()[0][:2000]

    def trained(threads: int) -> tuple[float, list[bytes]]:
        trainer = fastae.Trainer(fastae.Autoencoder(), backend="numba", threads=threads)
        (epoch,) = trainer.fit(images, 1, progress=False).epochs
        return epoch.seconds, [W.tobytes() for W in trainer.model.weights]

    alone = trained(2)
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count() or 2)]
    try:
        time.sleep(0.5)  # until they are
        runs = {threads: [trained(threads) for _ in range(3)] for threads in (1, 2)}
    finally:
        for process in busy:
            process.kill()
            process.wait()
    assert all(bits == alone[1] for _, bits in runs[2])
    one, two = (min(seconds for seconds, _ in runs[threads]) for threads in (1, 2))
    assert two < 4 * one + 0.2, (one, two)


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="this system cannot stop a process")
@pytest.mark.thorough
def test_a_pause_as_a_debugger_makes_it_changes_nothing() -> None:
    epochs = 300
    undisturbed, _ = start("run", epochs).communicate(timeout=120)
    process = start("run", epochs)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    pauses = 0
    while process.poll() is None and pauses < 20:
        time.sleep(0.05)
        process.send_signal(signal.SIGSTOP)
        time.sleep(0.02)
        process.send_signal(signal.SIGCONT)
        pauses += 1
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    assert pauses > 5
    assert out.split() == undisturbed.split()[1:]
