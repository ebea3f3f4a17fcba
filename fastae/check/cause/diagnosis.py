"""Why a kernel is wrong: all ways to find a cause, and the order in which their findings are named."""

from collections.abc import Sequence

import numpy as np

from fastae.backends.base import Backend
from fastae.check.calls.evidence import MAYBE, WHEN, WHERE, Call
from fastae.check.cause import conditions, experiments, habits, launches, patterns
from fastae.check.cause.explain import explain
from fastae.check.file.text import Facts
from fastae.check.problem import Problem, access_checks, described
from fastae.check.sandbox.remote import Remote

NOTHING = "nothing is written"
PASSED_OVER = (
    f"{MAYBE}a return, a loop or a guard that passes over these calls: nothing is written in them, but in others"
)
UNSYNCED = f"{MAYBE}a __syncthreads() that is missing between the writes of other threads and the read"
UNKNOWN = (
    f"{MAYBE}several mistakes at once, or one that is not known here: no formula of one mistake gives these numbers"
)


def diagnosed(backend: Backend | Remote, calls: Sequence[Call], facts: Facts) -> Problem:
    """Choose the call of a wrong kernel that shows most, and name the likely causes.

    Parameters
    ----------
    backend : Backend or Remote
        The kernel is called again for experiments.
    calls : sequence of Call
        All ordinary calls of the kernel, of which some are wrong.
    facts : Facts
        What the text of the file says of the kernel.

    Returns
    -------
    Problem
        Its causes are in the order of `fastae.check.cause`.
    """
    if any(c.verdict == "imprecise" for c in calls):  # a formula that loses digits, and a mistake besides
        calls = [c.widened() for c in calls]
    wrong = [c for c in calls if c.verdict == "wrong"]
    compared = [c for c in wrong if not c.fault]
    faulty = next((c for c in wrong if c.fault and (c.fault_kind != "returned" or not compared)), None)
    faults = list(faulty.fault_causes) if faulty else []

    formulas = explain(calls)
    shown = faulty or _shown(compared, formulas)
    is_kept = bool(formulas) and formulas[0].startswith("an answer is kept")
    if is_kept or any(c.fault_kind == "lost" for c in calls):
        experimental, unwritten = list[str](), False
    else:
        experimental, unwritten = _experiments(backend, wrong, shown)
    if any("stride" in cause or cause == experiments.RACE for cause in experimental):
        formulas = []  # the numbers that are written have no meaning
    if unwritten:
        experimental, formulas = _unwritten(getattr(backend, "source", ""), calls, experimental, formulas)
        partly = [c for c in compared if not launches.untouched(c)]
        shown = max(partly, key=lambda c: c.found.size) if partly and not faulty else shown

    is_explained = not unwritten and any(not cause.startswith((MAYBE, WHERE)) for cause in formulas)
    textual = habits.of_calls(facts, wrong, shown, unwritten, experimental, is_explained)
    if textual and not textual[0].startswith(MAYBE):  # certain: it is why an experiment shows something
        experimental = []
        formulas = _without(formulas, NOTHING)

    textual += launches.repeated(getattr(backend, "source", ""), calls)
    when, _ = conditions.when(calls)
    is_symptom = any(cause.startswith(("out of bounds", "an index leaves")) for cause in faults)
    before, behind = ([], faults) if is_symptom else (faults, [])
    behind += [UNSYNCED] if any(cause.startswith("shared memory is read before") for cause in faults) else []
    causes = list(dict.fromkeys([*textual, *experimental, *before, *formulas, *behind, *([when] if when else [])]))
    if faulty:
        return Problem(faulty.fault, faulty.case, causes)
    if all(cause.startswith((WHERE, WHEN)) for cause in causes):
        causes.append(UNKNOWN)
    return Problem(described(shown, unwritten), shown.case, causes, shown.wrong, shown.share)


def _experiments(backend: Backend | Remote, wrong: Sequence[Call], shown: Call) -> tuple[list[str], bool]:
    """Experiment with the call that is shown, or with a larger one of its kind.

    In a small call an ignored stride and a transposition look alike.
    """
    compared = [c for c in wrong if not c.fault]
    chosen = shown
    if shown.fault:
        chosen = max((c for c in wrong if c.fault_kind == shown.fault_kind), key=lambda c: (c.block, c.found.size))
    with access_checks(backend):
        found, unwritten = experiments.tried(backend, chosen)
        poisoned = [c for c in compared if c.unread and np.isnan(c.found).any()]
        if not found and not unwritten and poisoned and not np.isnan(shown.found).any():
            found, _ = experiments.tried(backend, _shown(poisoned, []))
    return found, unwritten


def _unwritten(
    source: str, calls: Sequence[Call], experimental: list[str], formulas: list[str]
) -> tuple[list[str], list[str]]:
    """Return the causes by experiment and by formula of a kernel that leaves elements as they were."""
    compared = [c for c in calls if c.verdict == "wrong" and not c.fault]
    certain = [cause for cause in formulas if not cause.startswith((MAYBE, WHERE))]
    is_nothing = all(launches.untouched(c) for c in compared)  # an element may be right by chance
    missing = launches.divided_away(source, compared) if is_nothing else launches.unreached(source, calls)
    if missing:  # which also explains why nothing is written in some calls
        return _without(experimental, NOTHING), _without([*missing, *certain], NOTHING)
    if is_nothing and not any(launches.shows(c) and not launches.untouched(c) for c in calls if not c.is_wrong):
        return experimental, [NOTHING]
    experimental, certain = _without(experimental, NOTHING), _without(certain, NOTHING)  # it is of this one call
    return experimental, certain or ([PASSED_OVER] if is_nothing else patterns.describe(compared, unwritten=True))


def _without(causes: Sequence[str], one: str) -> list[str]:
    return [cause for cause in causes if cause != one]


def _shown(wrong: Sequence[Call], causes: Sequence[str]) -> Call:
    """Return the largest of the calls that the likeliest cause explains; a small one fits many causes."""
    plain = {"alpha": 0, "beta": 1}  # with these many faults cannot be seen
    ordered = sorted(
        wrong, key=lambda c: (all(c.given.get(key) != x for key, x in plain.items()), c.found.size), reverse=True
    )
    return next((c for c in ordered if causes and causes[0] in explain([c])), ordered[0])
