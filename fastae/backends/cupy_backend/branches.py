"""Streams beside the session's: what nobody waits for yet runs on them, and captured they are a graph's branches."""

from typing import Any


class Branch:
    """A stream that leaves the current one and comes back to it.

    Parameters
    ----------
    cuda : module
        ``cupy.cuda``, or what stands for it.
    """

    def __init__(self, cuda: Any) -> None:
        self._cuda = cuda
        self.stream = cuda.Stream(non_blocking=True)
        self._left, self._end = cuda.Event(disable_timing=True), cuda.Event(disable_timing=True)

    def leave(self) -> Any:
        """Let what follows on this branch come after all that the current stream has; return the branch's stream."""
        self._left.record(self._cuda.get_current_stream())
        self.stream.wait_event(self._left)
        return self.stream

    def join(self) -> None:
        """Let what follows on the current stream come after all that this branch has."""
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
        For the losses, the cursor and the next batch. It leaves when steps begin and stays away between them, so that
        a step's batch is gathered while the step before it goes backward.
    """

    def __init__(self, cuda: Any) -> None:
        self._cuda, self.ahead = cuda, Branch(cuda)
        self._others: list[Branch] = []
        self._away = 0

    def another(self) -> Any:
        """Let one more branch leave the current stream, until `join`; return its stream."""
        if self._away == len(self._others):
            self._others.append(Branch(self._cuda))
        self._away += 1
        return self._others[self._away - 1].leave()

    def join(self) -> None:
        """Wait for all branches."""
        for branch in (self.ahead, *self._others[: self._away]):
            branch.join()
        self._away = 0
