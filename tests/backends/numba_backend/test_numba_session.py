"""The Numba backend's session: its arrays, and what each worker receives; the compiled step is tested elsewhere."""

import threading
import time
from typing import Any

import numpy as np
import pytest
import step_by_hand
from numba import typeof
from numba.core.registry import cpu_target

from fastae.backends.numba_backend import session
from fastae.backends.numba_backend.session import aligned


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("momentum", [0.0, 0.5])
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_each_worker_is_given_what_the_step_was_compiled_for(
    threads: int, momentum: float, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All workers at once, each on a thread of its own, the first on the caller's; none has arrived anywhere yet."""
    meeting, calls = threading.Barrier(threads), []

    def compiled(part: str, loss: str, layers: int, dtype: str, activation: str, of_layers: tuple[str, ...],
                 floats: bool) -> Any:  # fmt: skip
        assert (activation, of_layers, floats) == ("sigmoid", ("dense", "dense"), False)
        kinds = session.signature(layers, np.dtype(dtype)).args

        def entry(*arguments: Any) -> None:
            assert len(arguments) == len(kinds)
            for argument, kind in zip(arguments, kinds):
                assert cpu_target.typing_context.can_convert(typeof(argument), kind) is not None, kind
            own = arguments[-2]
            arrivals, waiters, passed = own[1:4]
            assert not arrivals.any()
            assert not passed.any()
            assert waiters.shape[0] == threads
            meeting.wait(20)
            arrivals[0] = passed[0] = 7
            calls.append((part, loss, threading.current_thread(), own, arguments[-1]))

        return entry

    monkeypatch.setattr(session, "compiled", compiled)
    parameters, images = step_by_hand.start((20, 17, 9), dtype, bool(momentum)), step_by_hand.images(20, 8)
    images.flags.writeable = False  # as those of a file that is mapped
    s: Any = step_by_hand.session(
        "numba", parameters, images, test_images=images, batch_size=4, momentum=momentum, threads=threads
    )
    assert s.workers == threads
    s.start(np.arange(8))
    s.run(2)
    s.test_error()
    for part, loss, batches in (("step", "mse", 2), ("evaluation", "mse", 1)):
        mine = sorted((call for call in calls if call[0] == part), key=lambda call: call[3][0][0])
        assert [(call[1], call[4]) for call in mine] == [(loss, batches)] * threads
        assert [list(call[3][0]) for call in mine] == [[worker, threads] for worker in range(threads)]
        assert mine[0][2] is threading.current_thread()
        assert len({call[2] for call in mine}) == threads
        assert all(call[2].daemon for call in mine[1:])
        owns = [call[3] for call in mine]
        for shared in (1, 2, 4):  # arrivals, waiters and partial
            assert all(own[shared] is owns[0][shared] for own in owns)


@pytest.mark.parametrize("threads", [1, 2, 3, 9])
def test_workers_share_the_units_of_a_layer(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "compiled", lambda *arguments: None)
    s: Any = step_by_hand.session("numba", step_by_hand.start((70, 17)), step_by_hand.images(70, 8), threads=threads)
    for width in (1, 17, 70, 784):
        parts = s.owned(width)
        assert len(parts) == threads
        assert [unit for part in parts for unit in range(width)[part]] == list(range(width))


def test_a_worker_that_waits_for_an_interrupted_one_stops_waiting() -> None:
    s: Any = step_by_hand.session(
        "numba", step_by_hand.start((20, 17, 9)), step_by_hand.images(20, 8), batch_size=4, threads=2
    )
    step, before = s.entry_points["step"], set(threading.enumerate())

    def interrupted(*arguments: Any) -> None:
        if arguments[-2][0][0] == 0:  # the place of the first worker
            raise KeyboardInterrupt
        step(*arguments)

    s.entry_points["step"] = interrupted
    s.start(np.arange(8))
    with pytest.raises(KeyboardInterrupt):
        s.run(2)
    end = time.monotonic() + 20
    while not set(threading.enumerate()) <= before:
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(5,), (64,), (3, 1), (3, 16), (3, 17), (2, 3, 4, 40)], ids=str)
def test_rows_begin_at_cache_lines_an_odd_number_of_them_apart(shape: tuple[int, ...], dtype: str) -> None:
    for _ in range(5):  # wherever the memory is
        array = aligned(shape, dtype)
        assert array.shape == shape
        assert array.ctypes.data % 64 == 0
        assert not array.any()
        last = array.ctypes.data + sum((n - 1) * stride for n, stride in zip(shape, array.strides)) + array.itemsize
        base: Any = array
        while base.base is not None:
            base = base.base
        assert base.ctypes.data <= array.ctypes.data < last <= base.ctypes.data + base.nbytes
        if len(shape) > 1:
            lines, rest = divmod(array.strides[-2], 64)
            assert (lines % 2, rest) == (1, 0)
            assert array.strides[-2] >= shape[-1] * array.itemsize
            assert array.strides[:-2] == tuple(
                array.strides[-2] * int(np.prod(shape[i:-1])) for i in range(1, len(shape) - 1)
            )
