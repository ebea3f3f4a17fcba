"""A race between contenders on one machine: each has its own process, and they train in turn for several rounds.

By taking turns, disturbances by other programs and changes of the clock rate affect all contenders alike. While one
trains, the others wait for input and use no core. The ratio of two contenders is computed from each round by itself,
whose segments are only seconds apart.
"""

import contextlib
import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from statistics import median
from typing import Any

from fastae import system
from fastae.bench.contenders import CONTENDERS, require_agreement
from fastae.errors import FastaeError

IDLE_BOUND = 0.02  # of a core: a waiting contender that uses more slows down the one that trains


class WorkerFailed(FastaeError):
    """A contender's process ended early; the reason is in the message, or on standard error above it."""


class Worker:
    """The process of one contender; `close` ends it.

    Parameters
    ----------
    name : str
        A key of `CONTENDERS`.
    batch_size : int
    loss : {"mse", "bce"}
    seconds : float
        Approximate duration of a segment.
    threads : int, optional
        By default the number that the contender's library chooses.
    model : {"dense", "conv"}
    launcher : sequence of str
        The command that starts several ranks, such as ``mpiexec -n``, without their number.
    ranks : int
        How many ranks to start.

    Attributes
    ----------
    ready : dict
        ``first_loss``, the mean loss of the first batches; ``threads``; and ``steps``, the steps of a segment.

    Raises
    ------
    WorkerFailed
        The process could not build its contender, or ended.
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
            **system.new_process_group(),  # Ctrl-C goes to this process only, which then ends the contender
        )
        try:
            self.ready: dict[str, Any] = self._answer()["ready"]
        except BaseException:
            self.close()
            raise

    def segment(self) -> dict[str, float]:
        """Let the contender train for one segment.

        Returns
        -------
        dict
            ``seconds`` and ``cpu_seconds`` of the segment, the mean ``loss``, and ``idle_cores``, how many cores the
            process used while it waited for this segment.
        """
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # the process has died; `_answer` reports it
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
        """End the process by closing its input; kill it if it does not end within two seconds."""
        try:
            self._process.communicate(timeout=2)
        except subprocess.TimeoutExpired:  # for instance while it compiles
            self._process.kill()
            self._process.communicate()


@dataclass
class Race:
    """The results of a race at one batch size.

    Attributes
    ----------
    batch_size : int
    ready : dict
        `Worker.ready` of each contender.
    segments : dict
        The segments of each contender in the order of the rounds; see `Worker.segment`.
    model : {"dense", "conv"}
    limits : list of float
        Operations per second that the cores could do in each round, measured before its first segment.
    """

    batch_size: int
    ready: dict[str, dict[str, Any]] = field(default_factory=dict)
    segments: dict[str, list[dict[str, float]]] = field(default_factory=dict)
    model: str = "dense"
    limits: list[float] = field(default_factory=list)

    def times(self, name: str) -> list[float]:
        """Return a contender's microseconds per step in each round."""
        return [segment["seconds"] / self.ready[name]["steps"] * 1e6 for segment in self.segments[name]]

    def time(self, name: str) -> float:
        """Return the median of `times`."""
        return median(self.times(name))

    def fastest_peer(self) -> str:
        """Return the peer with the smallest median."""
        return min((name for name in self.segments if CONTENDERS[name].peer), key=self.time)

    def ratio(self, name: str, other: str) -> float:
        """Return the ratio of two contenders' times: the median over the rounds of the ratio within a round."""
        return median(a / b for a, b in zip(self.times(name), self.times(other)))

    def of_perfect(self, name: str) -> float:
        """Return a contender's time divided by that of a perfect dense step: the median over the rounds.

        A perfect dense step does every multiply-add of the definition at the machine's limit, and nothing else. A
        contender that skips dark pixels can be faster.
        """
        from fastae.bench.roofline import multiplications

        operations = 2 * multiplications(self.batch_size, self.model)
        return median(time / 1e6 * limit / operations for time, limit in zip(self.times(name), self.limits))

    def busiest_idler(self) -> tuple[float, str]:
        """Return how much of a core the busiest waiting contender used, and its name."""
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
        Number of segments of each contender.
    tell : callable
        Called with a short message about the progress.

    Returns
    -------
    Race

    Raises
    ------
    WorkerFailed
        A contender could not be started, or died.
    Disagreement
        The contenders do not train alike.
    """
    from fastae.backends.numba_backend.workers import choose
    from fastae.bench.limits import measure

    cores = choose(threads).workers
    starts = {name: partial(Worker, name, batch_size, loss, seconds, threads, model) for name in names}
    return take_turns(Race(batch_size, model=model), starts, rounds, tell, lambda: measure(cores, 1).flops)


def take_turns(
    result: Race,
    starts: Mapping[str, Callable[[], Worker]],
    rounds: int,
    tell: Callable[[str], None],
    limit: Callable[[], float] | None = None,
) -> Race:
    """Start the contenders, let them train in turn, and end them.

    Parameters
    ----------
    result : Race
        Without segments, which are added.
    starts : mapping of str to callable
        For each contender, a function that starts it.
    rounds, tell
        As for `race`.
    limit : callable, optional
        Called before each round: the operations per second that the cores can do.

    Returns
    -------
    Race
        ``result``.

    Raises
    ------
    WorkerFailed, Disagreement
        As for `race`.
    """
    workers: dict[str, Worker] = {}
    try:
        for name, start in starts.items():  # one after another, because compiling may use all cores
            tell(f"batch size {result.batch_size}: starting {name}")
            workers[name] = start()
            result.ready[name] = workers[name].ready
        require_agreement({name: ready["first_loss"] for name, ready in result.ready.items()})
        for number in range(1, rounds + 1):
            if limit is not None:
                result.limits.append(limit())
            for name, worker in workers.items():
                tell(f"batch size {result.batch_size}: round {number} of {rounds}, {name}")
                result.segments.setdefault(name, []).append(worker.segment())
    finally:
        for worker in workers.values():
            worker.close()
    tell("")
    return result
