"""Ctrl-C, and the signal that asks a process to end: neither lost nor in the middle of something.

Python raises `KeyboardInterrupt` wherever it happens to be. Where C code has called back into Python, as LLVM does when
code comes from Numba's cache, nobody can catch it there: it is printed, forgotten, and the program goes on. And while
compiled code runs, such as a learner's loop that never ends, Python does not come to raise it.
"""

import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from fastae import system

SIGNALS = (signal.SIGINT, signal.SIGTERM)
DEAF = 5.0  # seconds, after which Python would long have come to see a signal
_heard = threading.Event()  # Python has come to see one


@contextmanager
def held() -> Iterator[None]:
    """Let an interruption wait until the block is done, whatever became of it; a second one in a row does not wait.

    Only Python's main thread is ever interrupted: in others, and for signals that Python does not handle, nothing
    changes.
    """
    came: list[tuple[int, FrameType | None]] = []

    def hold(number: int, frame: FrameType | None) -> None:
        _heard.set()
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
    """What ends a command in order at Ctrl-C and SIGTERM: ``with Stop(last_words) as stop:``, and `check` now and then.

    Where compiled code keeps Python from seeing them, a second Ctrl-C ends the process at once, and so does SIGTERM
    after some seconds.

    Parameters
    ----------
    last_words : callable
        Called before the process is ended so, on another thread; returns the exit status.

    Attributes
    ----------
    number : int
        The signal that came; 0 so far.
    """

    def __init__(self, last_words: Callable[[], int]) -> None:
        self._last_words = last_words
        self.number = 0
        self._before: dict[int, Any] = {}
        self._pipe = -1

    def __enter__(self) -> "Stop":
        if threading.current_thread() is threading.main_thread():
            for number, usual in zip(SIGNALS, (signal.default_int_handler, signal.SIG_DFL)):
                if signal.getsignal(number) == usual:  # else somebody has other plans, such as nohup
                    self._before[number] = signal.signal(number, self._raise)
            if self._before and not system.WINDOWS:  # whose select knows no pipes
                self._listen()
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self._pipe != -1:
            signal.set_wakeup_fd(-1)
            _heard.set()
            os.close(self._pipe)  # which ends the thread

    def _raise(self, number: int, frame: FrameType | None) -> None:
        _heard.set()
        self.number = number
        raise KeyboardInterrupt

    def _listen(self) -> None:
        """Have each signal's number written to a pipe, which needs no Python, and a thread that reads it."""
        others = signal.set_wakeup_fd(-1)
        if others != -1:  # an event loop listens already
            signal.set_wakeup_fd(others)
            return
        reading, writing = os.pipe()
        _heard.clear()
        try:
            threading.Thread(target=self._end_if_deaf, args=(reading,), daemon=True).start()
        except RuntimeError:  # the system starts no more threads
            os.close(reading)
            os.close(writing)
            return
        os.set_blocking(writing, False)
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        self._pipe = writing

    def _end_if_deaf(self, reading: int) -> None:
        with open(reading, "rb", buffering=0) as pipe:
            while came := pipe.read(1):
                if came[0] not in self._before:
                    continue
                if not _heard.wait(DEAF):
                    if came[0] == signal.SIGINT:
                        words = "fastae: compiled code is running and does not come back; Ctrl-C once more ends it"
                        print(f"\n{words}", file=sys.stderr, flush=True)
                        while not (_heard.is_set() or select.select([pipe], [], [], 0.1)[0]):
                            pass
                    if not _heard.is_set():
                        self.number = came[0]
                        os._exit(self._last_words())
                while select.select([pipe], [], [], 0)[0] and pipe.read(64):  # of those that came before it
                    pass
                _heard.clear()

    def check(self) -> None:
        """Raise `KeyboardInterrupt` if one has been raised before, for it was lost."""
        if self.number:
            raise KeyboardInterrupt
