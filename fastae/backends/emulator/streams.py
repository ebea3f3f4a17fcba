"""CuPy's streams, events and graphs on the CPU, with CUDA's rules for what may happen while a stream is captured.

Outside of a capture a launch runs at once. While a stream is captured, launches are recorded with the arguments that
they have at that moment; streams that wait for an event of the capture take part in it as branches. A graph runs its
launches in an order that its branches allow. (CUDA C++ programming guide, on graphs and stream capture.)
"""

import random
import threading
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from fastae.errors import FastaeError

MULTIPROCESSORS = 4  # of the emulated device
_here = threading.local()


class CaptureError(FastaeError):
    """Something that CUDA does not allow while a stream is captured, or a graph that cannot be run."""


@dataclass
class Node:
    """One recorded launch.

    Attributes
    ----------
    name : str
        Of the kernel.
    run : callable
    after : frozenset of int
        The nodes that must have run before.
    arrays : list of weakref
        To its memory, which a graph does not keep alive.
    """

    name: str
    run: Callable[[], None]
    after: frozenset[int]
    arrays: list[Any]


@dataclass
class Capture:
    """A capture: the nodes recorded so far, and those after which each stream's next launch comes."""

    origin: "Stream"
    nodes: list[Node] = field(default_factory=list)
    last: dict["Stream", frozenset[int]] = field(default_factory=dict)


def capture() -> Capture | None:
    """Return the capture of this thread, or None."""
    return getattr(_here, "capture", None)


def forbid(what: str) -> None:
    """Raise `CaptureError` if a stream is captured."""
    if capture() is not None:
        raise CaptureError(f"{what} while a stream is captured: a graph can only launch kernels again")


def submit(name: str, run: Callable[[], None], arrays: Sequence[Any]) -> None:
    """Run a launch, or record it."""
    stream, now = get_current_stream(), capture()
    if now is None:
        run()
        return
    if stream not in now.last:
        raise CaptureError(f"{name} is launched on a stream that is not captured while another is")
    now.nodes.append(Node(name, run, now.last[stream], [weakref.ref(_owner(x)) for x in arrays]))
    now.last[stream] = frozenset([len(now.nodes) - 1])


def _owner(array: Any) -> Any:
    while array.base is not None:
        array = array.base
    return array


class Stream:
    """A queue of work; ``with stream:`` makes it the current one."""

    done = True  # launches run at once

    @property
    def ptr(self) -> int:
        """The handle."""
        return id(self)

    def __init__(self, non_blocking: bool = False) -> None:
        self.is_non_blocking = non_blocking

    def __enter__(self) -> "Stream":
        _stack().append(self)
        return self

    def __exit__(self, *exception: object) -> None:
        _stack().pop()

    def begin_capture(self) -> None:
        """Begin to record the launches on this stream instead of running them."""
        forbid("a second capture is begun")
        if not self.is_non_blocking:
            raise CaptureError("only a non-blocking stream should be captured: others wait for the default stream")
        _here.capture = Capture(self, last={self: frozenset()})

    def end_capture(self) -> "Graph":
        """Return the recorded graph; raises `CaptureError` if a branch has not been joined."""
        now, _here.capture = capture(), None
        if now is None or now.origin is not self:
            raise CaptureError("this stream is not captured")
        joined = ancestors(now.nodes, now.last[self])
        loose = [node.name for i, node in enumerate(now.nodes) if i not in joined]
        if loose:
            raise CaptureError(f"the captured stream never waits for {', '.join(loose)} on another stream")
        return Graph(now.nodes)

    def wait_event(self, event: "Event") -> None:
        """Let later launches on this stream come after those before the event."""
        now = capture()
        if now is not None and event.capture is now:
            now.last[self] = now.last.get(self, frozenset()) | event.nodes
        elif now is not None and self in now.last:
            raise CaptureError("a captured stream waits for an event that was not recorded in this capture")

    def synchronize(self) -> None:
        """Return at once: all launches have run."""
        forbid("the host waits for the device")


class Event:
    """A moment of a stream."""

    def __init__(self, disable_timing: bool = False) -> None:
        self.capture: Capture | None = None
        self.nodes: frozenset[int] = frozenset()

    def record(self, stream: Stream | None = None) -> None:
        """Mark the launches so far on a stream, by default the current one."""
        now, stream = capture(), stream or get_current_stream()
        self.capture = now if now is not None and stream in now.last else None
        self.nodes = now.last[stream] if now is not None and self.capture is now else frozenset()


class Graph:
    """Recorded launches, to be run again and again.

    Attributes
    ----------
    nodes : list of Node
    shuffle : random.Random or None
        Where given, the branches' launches run in a random order, as a GPU may run them.
    """

    shuffle: random.Random | None = None

    def __init__(self, nodes: list[Node]) -> None:
        self.nodes = nodes

    def launch(self, stream: Stream | None = None) -> None:
        """Run all launches; raises `CaptureError` if memory that they use has been freed."""
        forbid("a graph is launched")
        waiting, done = list(range(len(self.nodes))), set[int]()
        while waiting:
            ready = [i for i in waiting if self.nodes[i].after <= done]
            i = ready[0] if self.shuffle is None else self.shuffle.choice(ready)
            if any(reference() is None for reference in self.nodes[i].arrays):
                raise CaptureError(f"an array that the captured {self.nodes[i].name} uses is gone: keep it alive")
            self.nodes[i].run()
            done.add(i)
            waiting.remove(i)


class Device:
    """The one emulated GPU, small so that barriers across it are quick."""

    attributes = {"MultiProcessorCount": MULTIPROCESSORS}  # noqa: RUF012  as CuPy has it
    compute_capability = "90"
    id = 0


runtime = SimpleNamespace(getDeviceCount=lambda: 1, deviceSynchronize=lambda: forbid("the device is waited for"))


def ancestors(nodes: list[Node], of: frozenset[int]) -> set[int]:
    """Return these nodes and all that must have run before them."""
    found, new = set[int](), set(of)
    while new:
        found |= new
        new = {before for i in new for before in nodes[i].after} - found
    return found


def get_current_stream() -> Stream:
    """Return the stream on which launches go."""
    return _stack()[-1]


def _stack() -> list[Stream]:
    if not hasattr(_here, "streams"):
        _here.streams = [Stream()]
    return _here.streams
