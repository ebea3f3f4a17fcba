"""A failure of one rank ends all ranks within seconds, with one line that names it; no file is lost."""

import os
import random
import shlex
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from command_line import assert_same_bits, posix
from rank_commands import HOST, PATIENCE, Run, ranks, words

from fastae import cli, storage

pytestmark = posix
LONG = ["--epochs", 100000]
KEPT = "the results of the last complete epoch are kept"
MESSAGES = "\nfrom fastae.ranks import sums\nsums.Window = sums.Messages\n"
thorough = pytest.mark.thorough


def epochs_of(out: Path) -> int:
    """How many epochs the checkpoint holds; it must always be whole."""
    return len(storage.read(out / "checkpoint.npz", "checkpoint")[0]["epochs"])


@pytest.mark.parametrize(
    ("size", "rank", "number"),
    [
        (2, 1, signal.SIGKILL),
        pytest.param(2, 0, signal.SIGKILL, marks=thorough),
        pytest.param(4, 2, signal.SIGSEGV, marks=thorough),
    ],
)
def test_a_rank_that_is_killed_is_named(size: int, rank: int, number: int, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with Run(tmp_path, [words(data, out, *LONG)] * size) as run:
        run.begun(out / "checkpoint.npz")
        before = epochs_of(out)
        os.kill(run.pids[rank][0], number)
        status, _, wrong = run.ended(30)
        name = signal.Signals(number).name
        killed = f"fastae: rank {rank} ({HOST}) was killed by signal {number:d} ({name}); the run is ended; {KEPT}"
        assert wrong == [killed]
        assert status in (128 + number, signal.SIGKILL)  # mpiexec's may be that of those whom it has ended
        run.gone()
    assert epochs_of(out) >= before


@thorough
def test_no_rank_outlives_the_process_that_waits_for_it(data: Path, tmp_path: Path) -> None:
    with Run(tmp_path, [words(data, tmp_path / "out", *LONG)] * 2) as run:
        run.begun(tmp_path / "out" / "checkpoint.npz")
        os.kill(run.pids[1][1], signal.SIGKILL)
        assert run.ended(30)[2] == []  # no process is left that could print it
        run.gone()


@pytest.mark.parametrize(
    ("number", "whom"),
    [
        (signal.SIGINT, "mpiexec"),
        pytest.param(signal.SIGINT, 1, marks=thorough),
        pytest.param(signal.SIGTERM, 0, marks=thorough),
        pytest.param(signal.SIGTERM, 1, marks=thorough),
    ],
)
def test_an_interruption_ends_all_and_says_once_how_to_go_on(
    number: int, whom: Any, data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    line = words(data, out, *LONG)
    with Run(tmp_path, [line] * 2) as run:
        run.begun(out / "checkpoint.npz")
        os.kill(run.process.pid if whom == "mpiexec" else run.pids[whom][1], number)
        status, _, wrong = run.ended(30)
        again = shlex.join(["mpirun", "-n", "2", "fastae", *line, "--resume"])
        assert wrong == [f"fastae: interrupted; {KEPT}. To continue: {again}"]
        assert status == 128 + number
        run.gone()
    epochs_of(out)


@pytest.mark.parametrize(
    ("size", "rank", "more"),
    [
        (2, 1, ""),
        pytest.param(2, 0, MESSAGES, marks=thorough),
        pytest.param(4, 2, "", marks=thorough),
        pytest.param(4, 0, MESSAGES, marks=thorough),
    ],
    ids=["window", "messages-first", "window-of-4", "messages-of-4"],
)
def test_a_rank_that_hangs_is_named(size: int, rank: int, more: str, data: Path, tmp_path: Path) -> None:
    with Run(tmp_path, [words(data, tmp_path / "out", *LONG, "--patience", 2)] * size, more) as run:
        run.begun(tmp_path / "out" / "checkpoint.npz")
        os.kill(run.pids[rank][0], signal.SIGSTOP)
        status, _, wrong = run.ended(60)
        assert wrong == [f"fastae: no answer for 2 s from rank {rank} ({HOST}); the run is ended"]
        assert status == 2
        run.gone()


FAULTS = {
    "full": (
        "fastae.storage",
        "write",
        "raise OutputError('cannot write it: No space left on device')",
        f"fastae: rank 0 ({HOST}): cannot write it: No space left on device",
        0,
    ),
    "memory": (
        "fastae.trainer",
        "Trainer.order",
        "raise MemoryError",
        f"fastae: rank 1 ({HOST}): not enough memory; try a smaller network, --batch-size or --limit",
        1,
    ),
}


@pytest.mark.parametrize("fault", ["full", pytest.param("memory", marks=thorough)])
def test_what_fails_on_one_rank_alone_ends_all(fault: str, data: Path, tmp_path: Path) -> None:
    """In the middle of the training, where the others wait for it."""
    module, name, statement, line, rank = FAULTS[fault]
    more = f"""
from fastae.errors import OutputError

def fail(*arguments):
    {statement}

def replace(stop, usual=enter):
    import importlib
    module = importlib.import_module("{module}")
    *within, name = "{name}".split(".")
    if launch.place().rank == {rank}:
        setattr(getattr(module, within[0]) if within else module, name, fail)
    return usual(stop)

cli.Stop.__enter__ = replace
"""
    status, _, wrong = ranks(tmp_path, [words(data, tmp_path / "out", *LONG)] * 2, more)
    assert (status, wrong) == (2, [line])


def strike(lines: list[list[str]], chance: random.Random, tmp_path: Path) -> bool:
    """Start a training, and kill one rank, or the process that waits for it; return False if it had ended before."""
    with Run(tmp_path, lines) as run:
        run.begun()
        time.sleep(chance.uniform(0, 1))
        victim = chance.choice(run.pids)[chance.random() < 0.2]
        try:
            os.kill(victim, signal.SIGKILL)
        except ProcessLookupError:
            run.ended()
            return False
        status = run.ended(PATIENCE)[0]
        run.gone()
        return status != 0


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize(
    ("backend", "kills"),
    [("numpy", 3), pytest.param("numpy", 20, marks=thorough), pytest.param("numba", 20, marks=thorough)],
)
def test_killed_and_resumed_by_other_ranks_it_ends_in_the_same_bits(
    backend: str, kills: int, data: Path, tmp_path: Path
) -> None:
    options = ["--backend", backend, "--shards", 4, "--epochs", 30, "--batch-size", 12, "--momentum", 0.5]
    whole = tmp_path / "whole"
    assert cli.main(words(data, whole, *options)) == 0
    chance, killed, number = random.Random(kills), 0, 0
    while killed < kills:
        parts = tmp_path / f"parts-{number}"
        number += 1
        ended, size = False, 0
        while not ended:
            size = (2, 4, 1)[(killed + number) % 3]
            lines = [words(data, parts, *options, "--resume")] * size
            if killed < kills:
                hit = strike(lines, chance, tmp_path)
                killed, ended = killed + hit, not hit
            else:
                status, told, wrong = ranks(tmp_path, lines)
                assert (status, wrong) == (0, []), told
                ended = True
        assert_same_bits(parts, whole)


STOPPED = """
import signal
launch.IMPORTED = 4.0
def stop(usual=launch.begins):
    if {begun}:
        usual()
    if launch.place().rank == {rank}:
        os.kill(os.getpid(), signal.SIGSTOP)
    usual()
launch.begins = stop
"""
NOT_BEGUN = "rank {rank} ({host}): after 4 s it has not begun MPI; the run is ended"
NOT_OVER = "rank 0 ({host}): after 4 s MPI's start is not over; the run is ended"


@pytest.mark.parametrize(
    ("rank", "begun", "line"),
    [
        (1, False, NOT_BEGUN),
        pytest.param(0, False, NOT_BEGUN, marks=thorough),
        pytest.param(1, True, NOT_OVER, marks=thorough),
    ],
)
def test_a_rank_that_hangs_before_the_ranks_have_met_ends_all(
    rank: int, begun: bool, line: str, data: Path, tmp_path: Path
) -> None:
    lines = [words(data, tmp_path / "out", "--patience", 2)] * 2
    status, _, wrong = ranks(tmp_path, lines, STOPPED.format(rank=rank, begun=begun))
    assert status != 0
    assert wrong == [f"fastae: {line.format(rank=rank, host=HOST)}"]
