"""Ctrl-C, and the signal that asks a process to end: neither lost nor in the middle of something.

Python raises `KeyboardInterrupt` wherever it happens to be. Where C code has called back into Python, as LLVM does when
code comes from Numba's cache, nobody can catch it there: it is printed, forgotten, and the program goes on.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def held() -> Iterator[None]:
    """Let an interruption wait until the block is done, whatever became of it; a second one in a row does not wait.

    Only Python's main thread is ever interrupted: in others, and for signals that Python does not handle, nothing
    changes.
    """
    came: list[tuple[int, FrameType | None]] = []

    def hold(number: int, frame: FrameType | None) -> None:
        came.append((number, frame))
        if len(came) > 1:
            handlers[number](number, frame)

    handlers: dict[int, Callable[[int, FrameType | None], Any]] = {}
    if threading.current_thread() is threading.main_thread():
        handlers = {number: handler for number in SIGNALS if callable(handler := signal.getsignal(number))}
    try:
        for number in handlers:
            signal.signal(number, hold)
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if came:
            handlers[came[0][0]](*came[0])


class Stop:
    """What makes Ctrl-C and SIGTERM end a command in order: ``with Stop() as stop:``, and `check` now and then.

    Attributes
    ----------
    number : int
        The signal that came; 0 so far.
    """

    def __init__(self) -> None:
        self.number = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Stop":
        if threading.current_thread() is threading.main_thread():
            for number, usual in zip(SIGNALS, (signal.default_int_handler, signal.SIG_DFL)):
                if signal.getsignal(number) == usual:  # else somebody has other plans, such as nohup
                    self._before[number] = signal.signal(number, self._raise)
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _raise(self, number: int, frame: FrameType | None) -> None:
        self.number = number
        raise KeyboardInterrupt

    def check(self) -> None:
        """Raise `KeyboardInterrupt` if one has been raised before, for it was lost."""
        if self.number:
            raise KeyboardInterrupt
