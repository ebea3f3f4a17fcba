"""The barrier of Numba's team: a worker that waits sleeps, the last to arrive wakes it, and no wait is endless."""

import gc
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest

from fastae.backends.numba_backend import waiting
from fastae.backends.numba_backend.operations import Workspace
from fastae.backends.numba_backend.session import aligned
from fastae.backends.numba_backend.waiting import POLL_MICROSECONDS, SHORT_AFTER, barrier, make_waiters

pytestmark = pytest.mark.alone


def team(workers: int) -> list[Workspace]:
    arrivals, waiters, nothing = np.zeros(8, np.int64), aligned((workers, 8), np.int64), np.zeros(1)
    make_waiters(waiters)
    return [
        Workspace(np.array([worker, workers]), arrivals, waiters, np.zeros(8, np.int64), nothing, nothing)
        for worker in range(workers)
    ]


def start(workspaces: list[Workspace], times: int = 1) -> list[threading.Thread]:
    def work(workspace: Workspace) -> None:
        for _ in range(times):
            barrier(workspace)

    threads = [threading.Thread(target=work, args=(workspace,), daemon=True) for workspace in workspaces]
    for thread in threads:
        thread.start()
    return threads


def until_asleep(workspaces: list[Workspace]) -> None:
    end = time.monotonic() + 20
    while not all(workspace.waiters[workspace.place[0], 0] for workspace in workspaces):
        assert time.monotonic() < end
        time.sleep(0.001)


def end(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()


@pytest.mark.parametrize("workers", [2, 3, 8])
def test_a_barrier_holds_all_until_the_last_has_come(workers: int) -> None:
    workspaces = team(workers)
    for passed in range(1, 4):
        early = start(workspaces[1:])
        until_asleep(workspaces[1:])
        time.sleep(2e-6 * POLL_MICROSECONDS)
        assert all(thread.is_alive() for thread in early)
        barrier(workspaces[0])
        end(early)
        assert workspaces[0].arrivals[0] == workers * passed
        assert [workspace.passed[0] for workspace in workspaces] == [passed] * workers
        assert not workspaces[0].waiters[:, 0].any()


def test_who_waits_uses_no_core() -> None:
    workspaces = team(3)
    early = start(workspaces[1:])
    until_asleep(workspaces[1:])
    before = time.process_time()
    time.sleep(0.3)
    assert time.process_time() - before < 0.1
    barrier(workspaces[0])
    end(early)


def test_who_sleeps_is_woken_and_does_not_oversleep() -> None:
    """To be woken takes some 50 µs; it would look for itself after a thousand times that."""
    workspaces, took = team(2), []
    for _ in range(10):
        early = start(workspaces[1:])
        until_asleep(workspaces[1:])
        began = time.perf_counter()
        barrier(workspaces[0])
        end(early)
        took.append(time.perf_counter() - began)
    assert min(took) < 1e-6 * POLL_MICROSECONDS / 5


def test_who_is_woken_for_nothing_sleeps_again() -> None:
    workspaces = team(2)
    early = start(workspaces[1:])
    for _ in range(5):
        until_asleep(workspaces[1:])
        workspaces[1].waiters[1, 0] = 0
        waiting._python.PyThread_release_lock(waiting.ctypes.c_void_p(int(workspaces[1].waiters[1, 1])))
    until_asleep(workspaces[1:])
    assert early[0].is_alive()
    barrier(workspaces[0])
    end(early)


@pytest.mark.parametrize("workers", [2, 3, 8])
@pytest.mark.parametrize("late", [0.0, 3e-4])
def test_many_barriers_in_a_row_are_passed_by_all(workers: int, late: float) -> None:
    workspaces, times = team(workers), 200
    others = start(workspaces[1:], times)
    for _ in range(times):
        if late:
            time.sleep(late)
        barrier(workspaces[0])
    end(others)
    assert workspaces[0].arrivals[0] == workers * times
    assert not workspaces[0].waiters[:, 0].any()


def test_sleeps_in_a_row_are_counted_until_it_need_not_sleep() -> None:
    workspaces = team(2)
    for slept in range(1, SHORT_AFTER + 2):
        early = start(workspaces[1:])
        until_asleep(workspaces[1:])
        barrier(workspaces[0])
        end(early)
        assert workspaces[1].passed[1] == slept
    workspaces[0].arrivals[0] += 100  # as if the others had come while it looked
    barrier(workspaces[1])
    assert workspaces[1].passed[1] == 0


def test_nobody_waits_alone_or_when_the_run_has_ended() -> None:
    (alone,) = team(1)
    barrier(alone)
    assert not alone.arrivals.any() | alone.passed.any()
    workspaces = team(3)
    early = start(workspaces[1:])
    until_asleep(workspaces[1:])
    workspaces[0].arrivals[1] = 1
    end(early)


def test_what_has_been_ended_is_over_soon() -> None:
    """Thousands of barriers lie before a worker when its run is ended; none of them holds it."""
    workspaces = team(2)
    others = start(workspaces[1:], 5000)
    until_asleep(workspaces[1:])
    workspaces[0].arrivals[1] = 1
    end(others)


def test_locks_are_freed_with_their_array(monkeypatch: pytest.MonkeyPatch) -> None:
    made = [1000, 2000, 3000]
    left, held, freed = made.copy(), [], []
    fake = SimpleNamespace(
        PyThread_allocate_lock=lambda: left.pop(0) if left else None,
        PyThread_acquire_lock=lambda lock, wait: held.append(lock),
        PyThread_free_lock=freed.append,
    )
    monkeypatch.setattr(waiting, "_python", fake)
    waiters = np.zeros((3, 8), np.int64)
    make_waiters(waiters)
    assert waiters[:, 1].tolist() == held == made
    assert not freed
    del waiters
    gc.collect()
    assert sorted(freed) == made
    with pytest.raises(MemoryError):
        make_waiters(np.zeros((1, 8), np.int64))
