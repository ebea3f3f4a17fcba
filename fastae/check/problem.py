"""`Problem` and `Verdict`: what `fastae.check.verdict.examine` returns."""

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

MOST_CAUSES = 3  # of a single call; where more fit, none is named


@dataclass
class Problem:
    """One way in which a kernel is wrong, or imprecise.

    Attributes
    ----------
    what : str
        What is wrong, such as how many elements by how much.
    case : str
        The arguments of the call in which it was found, in words.
    causes : list of str
        The likeliest first. The last may say in which calls the kernel is wrong.
    wrong : ndarray of bool or None
        Where the errors are, of the shape of the output.
    share : ndarray of float64 or None
        The errors as fractions of their bounds, of the same shape. NaN marks a NaN that should be a number.
    picture : str
        The path of the picture of the errors; empty if none was drawn.
    example, better : str
        Of an imprecise kernel: an element that loses digits, and a better formula. Empty for a wrong kernel.

    Examples
    --------
    >>> Problem("3 of 4 elements are wrong", "float32").causes
    []
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
    """What is known of one kernel after it was checked.

    Attributes
    ----------
    kernel : str
    problems : list of Problem
        Empty if the kernel is right; else one of each kind that was found.
    calls : int
        With how many sets of arguments it was called.
    worst : float
        The largest error as a fraction of its bound; at most 1 for a right kernel.
    imprecise : list of Call
        The calls whose results are within ``fastae.check.wide.bound`` and not within `fastae.check.bounds`.
    refused : bool
        Whether it does what no kernel does; `problems` says what.

    Examples
    --------
    >>> Verdict("matmul").verdict
    'right'
    """

    kernel: str
    problems: list[Problem] = field(default_factory=list)
    calls: int = 0
    worst: float = 0.0
    imprecise: list[Call] = field(default_factory=list, repr=False)
    refused: bool = False

    @property
    def verdict(self) -> str:
        """``"right"``, ``"wrong"``, ``"refused"``, or ``"imprecise"`` if it loses digits and has no other problem."""
        if self.refused:
            return "refused"
        if not self.problems:
            return "right"
        return "imprecise" if all(p.better for p in self.problems) else "wrong"

    def rejects(self, call: Call) -> bool:
        """Return whether a call is wrong, and keep it if it is imprecise."""
        if call.verdict == "imprecise":
            self.imprecise.append(call)
        return call.verdict == "wrong"


def of_call(call: Call, case: str, *causes: str) -> Problem:
    """Describe a single wrong call; if more than `MOST_CAUSES` causes fit, none is named."""
    found = list(causes) or explain([call])
    return Problem(described(call, False), case, found if len(found) <= MOST_CAUSES else [], call.wrong, call.share)


def described(call: Call, unwritten: bool = False) -> str:
    """Return in words how many elements of a call are wrong, and by how much."""
    wrong, error = call.wrong, np.abs(call.found - call.exact)
    if unwritten:
        return f"{wrong.sum()} of {wrong.size} elements are left unwritten"
    finite = error[wrong & np.isfinite(error)]
    size = f"by up to {finite.max():.3g}" if finite.size else "NaN or infinite"
    return f"{wrong.sum()} of {wrong.size} elements are wrong, {size}"


def access_checks(backend: Backend | Remote) -> contextlib.AbstractContextManager[None]:
    """Check every access to memory while kernels run on the emulator; elsewhere do nothing."""
    return checking() if backend.name == "emulator" else contextlib.nullcontext()


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence the warnings of NumPy and Numba: the verdict says what a kernel does wrong."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield
