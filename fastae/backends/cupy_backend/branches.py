"""Additional streams for work that later operations do not wait for; in a captured graph they become branches."""

from typing import Any


class Branch:
    """A stream that forks from the current stream and joins it again.

    Parameters
    ----------
    cuda : module
        ``cupy.cuda``, or a substitute for it.
    """

    def __init__(self, cuda: Any) -> None:
        self._cuda = cuda
        self.stream = cuda.Stream(non_blocking=True)
        self._began, self._end = cuda.Event(disable_timing=True), cuda.Event(disable_timing=True)

    def fork(self) -> Any:
        """Fork from the current stream: further work on this branch waits for its work so far; return the stream."""
        self._began.record(self._cuda.get_current_stream())
        self.stream.wait_event(self._began)
        return self.stream

    def join(self) -> None:
        """Let further work on the current stream wait for all work of this branch so far."""
        self._end.record(self.stream)
        self._cuda.get_current_stream().wait_event(self._end)


class Branches:
    """The branches of a session's steps.

    Parameters
    ----------
    cuda : module

    Attributes
    ----------
    ahead : Branch
        For the losses, the cursor and the next batch. It forks when a run of steps begins and stays forked between
        steps, so that a step's batch is gathered during the backward pass of the step before it.
    """

    def __init__(self, cuda: Any) -> None:
        self._cuda, self.ahead = cuda, Branch(cuda)
        self._others: list[Branch] = []
        self._forked = 0

    def fork(self) -> Any:
        """Fork one more branch from the current stream, until `join`; return its stream."""
        if self._forked == len(self._others):
            self._others.append(Branch(self._cuda))
        self._forked += 1
        return self._others[self._forked - 1].fork()

    def join(self) -> None:
        """Let the current stream wait for all branches."""
        for branch in (self.ahead, *self._others[: self._forked]):
            branch.join()
        self._forked = 0
