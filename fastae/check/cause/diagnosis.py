"""Why a kernel is wrong: all ways to find a cause, in their order."""

import numpy as np

from fastae.backends.base import Backend
from fastae.check.calls.evidence import MAYBE, WHERE, Call
from fastae.check.cause import conditions, experiments, habits, launches, patterns
from fastae.check.cause.explain import explain
from fastae.check.file.text import Facts
from fastae.check.problem import Problem, described, looking
from fastae.check.sandbox.remote import Remote


def diagnosed(k: Backend | Remote, calls: list[Call], facts: Facts) -> Problem:
    """Find the call that tells most, and what may be the cause."""
    if any(c.verdict == "imprecise" for c in calls):  # a formula that loses digits, and a mistake besides
        calls = [c.widened() for c in calls]
    wrong = [c for c in calls if c.verdict == "wrong"]
    compared = [c for c in wrong if not c.fault]
    causes = explain(calls)
    faulty = next((c for c in wrong if c.fault and (c.fault_kind != "returned" or not compared)), None)
    shown = faulty or _shown(compared, causes)
    probed = shown  # rather a large one: in a small one, a stride and a transposition are alike
    if faulty:
        probed = max((c for c in wrong if c.fault_kind == faulty.fault_kind), key=lambda c: (c.block, c.found.size))
    if (causes and causes[0].startswith("an answer is kept")) or any(c.fault_kind == "lost" for c in calls):
        found, unwritten = list[str](), False
    else:
        with looking(k):
            found, unwritten = experiments.tried(k, probed)
            poisoned = [c for c in compared if c.unread and np.isnan(c.found).any()]
            if not found and not unwritten and poisoned and not np.isnan(shown.found).any():
                found, _ = experiments.tried(k, _shown(poisoned, []))
    if any("stride" in cause or cause == experiments.RACE for cause in found):
        causes = []  # what is written then has no meaning
    if unwritten:
        left = [cause for cause in causes if not cause.startswith((MAYBE, WHERE))]
        source = getattr(k, "source", "")
        nothing = all(c.wrong.all() for c in compared)
        few = launches.divided_away(source, compared) if nothing else launches.told(source, calls)
        causes = ["nothing is written"] if nothing else left or patterns.told(compared, unwritten=True)
        if few:  # what the text says is certain, and why nothing is written in some calls
            found, causes = ([cause for cause in of if cause != "nothing is written"] for of in (found, [*few, *left]))
    own = list(faulty.fault_causes) if faulty else []
    when, _ = conditions.when(calls)
    explained = any(not cause.startswith((MAYBE, WHERE)) for cause in causes) and not unwritten
    habitual = habits.of_calls(facts, wrong, shown, unwritten, found, explained)
    if habitual and not habitual[0].startswith(MAYBE):
        found = []
        causes = [cause for cause in causes if cause != "nothing is written"]
    ordered = [
        *habitual,
        *found,
        *(own if not _vague(own) else []),
        *causes,
        *(own if _vague(own) else []),
        *([when] if when else []),
    ]
    if faulty:
        return Problem(faulty.fault, faulty.told(), list(dict.fromkeys(ordered)))
    return Problem(described(shown, unwritten), shown.told(), list(dict.fromkeys(ordered)), shown.wrong, shown.share)


def _vague(causes: list[str]) -> bool:
    """Whether what an emulated kernel did is rather a symptom than a cause."""
    return any(cause.startswith(("out of bounds", "an index leaves")) for cause in causes)


def _shown(wrong: list[Call], causes: list[str]) -> Call:
    """Return the largest of the calls that the likeliest cause explains; a small case can look like many things."""
    plain = {"alpha": 0, "beta": 1}  # where much that is wrong cannot be seen
    ordered = sorted(
        wrong, key=lambda c: (all(c.given.get(key) != x for key, x in plain.items()), c.found.size), reverse=True
    )
    return next((c for c in ordered if causes and causes[0] in explain([c])), ordered[0])
