"""What a verdict consists of."""

import contextlib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from fastae.backends.base import Backend
from fastae.backends.emulator import checking
from fastae.check.calls.evidence import Call
from fastae.check.cause.explain import explain
from fastae.check.sandbox.remote import Remote

MOST_CAUSES = 3  # that a single call may name


@dataclass
class Problem:
    """One way in which a kernel is wrong, or imprecise.

    Attributes
    ----------
    what : str
    case : str
        With which arguments.
    causes : list of str
        The likeliest first; and last, in which calls it is wrong, if that can be told.
    wrong : ndarray of bool or None
        Where the errors are.
    share : ndarray or None
        The errors as fractions of their bounds, NaN where there is NaN and should be none.
    picture : str
        The path of the picture of them, if one was drawn.
    example, better : str
        Of an imprecise kernel an element that loses digits, and how to write it; a wrong one has neither.
    """

    what: str
    case: str
    causes: list[str] = field(default_factory=list)
    wrong: np.ndarray | None = None
    share: np.ndarray | None = None
    picture: str = ""
    example: str = ""
    better: str = ""


@dataclass
class Verdict:
    """What was found out about one kernel.

    Attributes
    ----------
    kernel : str
    problems : list of Problem
        Empty if it is right; else the first that were found, of each kind one.
    calls : int
        With how many sets of arguments it was called.
    worst : float
        The largest error, as a fraction of its bound; of right kernels below 1.
    imprecise : list of Call
        The calls whose results are not within the best bound, but as near as a formula that is right on paper has them.
    refused : bool
        It does what no kernel does, and the problems say what.
    """

    kernel: str
    problems: list[Problem] = field(default_factory=list)
    calls: int = 0
    worst: float = 0.0
    imprecise: list[Call] = field(default_factory=list, repr=False)
    refused: bool = False

    @property
    def verdict(self) -> str:
        """Right; refused; wrong; or imprecise, if it loses digits and nothing else is the matter."""
        if self.refused:
            return "refused"
        if not self.problems:
            return "right"
        return "imprecise" if all(p.better for p in self.problems) else "wrong"

    def rejects(self, call: Call) -> bool:
        """Whether a call is wrong; one that is imprecise is kept."""
        if call.verdict == "imprecise":
            self.imprecise.append(call)
        return call.verdict == "wrong"


def of_call(call: Call, case: str, *causes: str) -> Problem:
    """Make a problem of a single call; where many causes fit, as where its numbers are alike, none is told."""
    found = list(causes) or explain([call])
    return Problem(described(call, False), case, found if len(found) <= MOST_CAUSES else [], call.wrong, call.share)


def described(call: Call, unwritten: bool = False) -> str:
    """Say how much is wrong, and by how much."""
    wrong, error = call.wrong, np.abs(call.found - call.exact)
    if unwritten:
        return f"{wrong.sum()} of {wrong.size} elements are left unwritten"
    finite = error[wrong & np.isfinite(error)]
    size = f"by up to {finite.max():.3g}" if finite.size else "NaN or infinite"
    return f"{wrong.sum()} of {wrong.size} elements are wrong, {size}"


def looking(k: Backend | Remote) -> contextlib.AbstractContextManager[None]:
    """Let every access to memory be looked at where that can be; a stray one could end the process else."""
    return checking() if k.name == "emulator" else contextlib.nullcontext()


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Let neither NumPy nor Numba warn of what a learner's kernel does: the verdict will tell."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield
