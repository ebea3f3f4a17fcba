"""Handling of Ctrl-C and SIGTERM, so that they are neither lost nor interrupt an operation halfway.

Python raises `KeyboardInterrupt` at an arbitrary point. If that is in a callback from C code, for example while LLVM
loads code from Numba's cache, the exception cannot be caught: it is printed and lost, and the program continues. While
compiled code runs, for example an endless loop in a learner's kernel, Python cannot raise it at all.
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
UNRESPONSIVE_SECONDS = 5.0  # seconds after which compiled code must be the reason that Python has not handled a signal
_handled = threading.Event()  # set when Python has handled a signal


@contextmanager
def delay_interrupts() -> Iterator[None]:
    """Delay an interruption until the end of the block, even if the block raises; a second one is not delayed.

    Signals interrupt only Python's main thread: in other threads, and for signals that Python does not handle, this
    context manager does nothing.
    """
    came: list[tuple[int, FrameType | None]] = []

    def hold(number: int, frame: FrameType | None) -> None:
        _handled.set()
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
    """A context manager that ends a command properly at Ctrl-C and SIGTERM.

    Use it as ``with Stop(last_words) as stop:`` and call `check` from time to time. If compiled code keeps Python from
    handling signals, a second Ctrl-C ends the process at once, and SIGTERM ends it after some seconds.

    Parameters
    ----------
    last_words : callable
        Called on another thread before the process is ended in this way; returns the exit status.

    Attributes
    ----------
    number : int
        The signal that has arrived; 0 if none has.
    """

    def __init__(self, last_words: Callable[[], int]) -> None:
        self._last_words = last_words
        self.number = 0
        self._before: dict[int, Any] = {}
        self._pipe = -1

    def __enter__(self) -> "Stop":
        if threading.current_thread() is threading.main_thread():
            for number, usual in zip(SIGNALS, (signal.default_int_handler, signal.SIG_DFL)):
                if signal.getsignal(number) == usual:  # leave other handlers, for example those of nohup
                    self._before[number] = signal.signal(number, self._raise)
            if self._before and not system.WINDOWS:  # select does not support pipes on Windows
                self._listen()
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self._pipe != -1:
            signal.set_wakeup_fd(-1)
            _handled.set()
            os.close(self._pipe)  # this ends the thread

    def _raise(self, number: int, frame: FrameType | None) -> None:
        _handled.set()
        self.number = number
        raise KeyboardInterrupt

    def _listen(self) -> None:
        """Let each signal's number be written to a pipe, which works without the GIL, and start a thread to read it."""
        others = signal.set_wakeup_fd(-1)
        if others != -1:  # an event loop already uses it
            signal.set_wakeup_fd(others)
            return
        reading, writing = os.pipe()
        _handled.clear()
        try:
            threading.Thread(target=self._end_if_unresponsive, args=(reading,), daemon=True).start()
        except RuntimeError:  # the system cannot start another thread
            os.close(reading)
            os.close(writing)
            return
        os.set_blocking(writing, False)
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        self._pipe = writing

    def _end_if_unresponsive(self, reading: int) -> None:
        with open(reading, "rb", buffering=0) as pipe:
            while came := pipe.read(1):
                if came[0] not in self._before:
                    continue
                if not _handled.wait(UNRESPONSIVE_SECONDS):
                    if came[0] == signal.SIGINT:
                        words = "fastae: compiled code is running and does not come back; Ctrl-C once more ends it"
                        print(f"\n{words}", file=sys.stderr, flush=True)
                        while not (_handled.is_set() or select.select([pipe], [], [], 0.1)[0]):
                            pass
                    if not _handled.is_set():
                        self.number = came[0]
                        os._exit(self._last_words())
                while select.select([pipe], [], [], 0)[0] and pipe.read(64):  # discard signals from before it
                    pass
                _handled.clear()

    def check(self) -> None:
        """Raise `KeyboardInterrupt` if a signal has arrived whose exception was lost."""
        if self.number:
            raise KeyboardInterrupt
