"""A race of contenders on one machine: each in a process of its own, one at a time, in turn, for several rounds.

Taking turns spreads whatever else the machine does, and its changes of clock rate, over all of them alike; while one
trains, the others wait for their input and use no core. What a ratio of two contenders is read from is each round on
its own, whose segments lie seconds apart.
"""

import contextlib
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from fastae import system
from fastae.bench.contenders import CONTENDERS, require_agreement
from fastae.errors import FastaeError

IDLE_BOUND = 0.02  # of a core; more would be taken from the one that trains


class WorkerFailed(FastaeError):
    """A contender's process that ended before its time; it has said why, or on standard error above."""


class Worker:
    """The process of one contender, from its start to `close`.

    Parameters
    ----------
    name : str
        A key of `CONTENDERS`.
    batch_size : int
    loss : {"mse", "bce"}
    seconds : float
        About how long a segment should take.
    threads : int, optional
        By default as many as the contender's library chooses.
    model : {"dense", "conv"}
    launcher : sequence of str
        The command that starts a contender of several ranks, such as ``mpiexec -n``.
    ranks : int

    Attributes
    ----------
    ready : dict
        ``first_loss``, ``threads`` and ``steps``, those of a segment.

    Raises
    ------
    WorkerFailed
    """

    def __init__(
        self,
        name: str,
        batch_size: int,
        loss: str,
        seconds: float,
        threads: int | None = None,
        model: str = "dense",
        launcher: Sequence[str] = (),
        ranks: int = 1,
    ) -> None:
        self.name = name
        options = ["--batch-size", str(batch_size), "--loss", loss, "--seconds", str(seconds), "--model", model]
        if threads is not None:
            options += ["--threads", str(threads)]
        command = [sys.executable, "-m", "fastae.bench.worker", name, *options, "--ranks", str(ranks)]
        if launcher:
            command = [*launcher, str(ranks), *command]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            bufsize=1,
            **system.apart(),  # Ctrl-C is for us, who end it then
        )
        try:
            self.ready: dict[str, Any] = self._answer()["ready"]
        except BaseException:
            self.close()
            raise

    def segment(self) -> dict[str, float]:
        """Let it train a segment: ``seconds``, ``cpu_seconds``, ``loss``, and ``idle_cores`` since the last one."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # of a process that died; reading its answer tells
            self._process.stdin.write("go\n")
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        answer = json.loads(line) if line else {"error": f"{self.name} ended without an answer; see its messages above"}
        if "error" in answer:
            raise WorkerFailed(answer["error"])
        return answer

    def close(self) -> None:
        """End the process: its input ends, and if that is not enough, it is killed."""
        try:
            self._process.communicate(timeout=2)
        except subprocess.TimeoutExpired:  # it is still compiling
            self._process.kill()
            self._process.communicate()


@dataclass
class Race:
    """What a race at one batch size gave.

    Attributes
    ----------
    batch_size : int
    ready : dict
        What each contender said when it was ready; see `Worker`.
    segments : dict
        Of each contender, its segments in the order of the rounds; see `Worker.segment`.
    model : {"dense", "conv"}
    limits : list of float
        Operations a second that the cores could do in each round, measured before its first segment.
    """

    batch_size: int
    ready: dict[str, dict[str, Any]] = field(default_factory=dict)
    segments: dict[str, list[dict[str, float]]] = field(default_factory=dict)
    model: str = "dense"
    limits: list[float] = field(default_factory=list)

    def times(self, name: str) -> list[float]:
        """Return a contender's microseconds a step, of each round."""
        return [segment["seconds"] / self.ready[name]["steps"] * 1e6 for segment in self.segments[name]]

    def time(self, name: str) -> float:
        """Return the median of `times`."""
        return median(self.times(name))

    def fastest_peer(self) -> str:
        """Return the peer with the smallest median."""
        return min((name for name in self.segments if CONTENDERS[name].peer), key=self.time)

    def ratio(self, name: str, other: str) -> float:
        """Return the median over the rounds of the time of one contender over that of another in the same round."""
        return median(a / b for a, b in zip(self.times(name), self.times(other)))

    def of_perfect(self, name: str) -> float:
        """Return the median over the rounds of a contender's time over that of a step at the machine's limit.

        Such a step does every multiply-add of the definition, and nothing else. What leaves out dark pixels can be
        faster.
        """
        from fastae.bench.roofline import multiplications

        operations = 2 * multiplications(self.batch_size, self.model)
        return median(time / 1e6 * limit / operations for time, limit in zip(self.times(name), self.limits))

    def busiest_idler(self) -> tuple[float, str]:
        """Return the most that a waiting contender used, in cores, and its name."""
        return max((max(segment["idle_cores"] for segment in self.segments[name]), name) for name in self.segments)


def race(
    names: Sequence[str],
    batch_size: int,
    loss: str,
    rounds: int,
    seconds: float,
    threads: int | None = None,
    tell: Callable[[str], None] = lambda message: None,
    model: str = "dense",
) -> Race:
    """Let contenders train in turn.

    Parameters
    ----------
    names : sequence of str
        Keys of `CONTENDERS`.
    batch_size, loss, seconds, threads, model
        As for `Worker`.
    rounds : int
    tell : callable
        Called with a few words on what happens now.

    Raises
    ------
    WorkerFailed
        One could not be started, or died.
    Disagreement
        They do not train alike.
    """
    from fastae.backends.numba_backend.workers import choose
    from fastae.bench.limits import measure

    result = Race(batch_size, model=model)
    cores = choose(threads).workers
    workers: list[Worker] = []
    try:
        for name in names:  # one after another: what compiles may use all cores
            tell(f"batch size {batch_size}: starting {name}")
            workers.append(Worker(name, batch_size, loss, seconds, threads, model))
            result.ready[name] = workers[-1].ready
        require_agreement({name: ready["first_loss"] for name, ready in result.ready.items()})
        for number in range(1, rounds + 1):
            result.limits.append(measure(cores, 1).flops)
            for worker in workers:
                tell(f"batch size {batch_size}: round {number} of {rounds}, {worker.name}")
                result.segments.setdefault(worker.name, []).append(worker.segment())
    finally:
        for worker in workers:
            worker.close()
    return result
