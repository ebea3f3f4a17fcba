"""Causes in how a kernel is written, as beginners make them: what a call did, compared with the text of the file.

The facts about the text are from `fastae.check.file.text`.
"""

import re
from collections.abc import Sequence
from dataclasses import replace

from fastae.check.calls.evidence import MAYBE, Call
from fastae.check.cause.experiments import RACE
from fastae.check.file.failure import Failure
from fastae.check.file.statements import Place
from fastae.check.file.text import VIEWS, Facts, facts
from fastae.check.problem import Problem
from fastae.errors import InputError

ALIASES = {  # names of dtypes in a signature for Numba
    "float32": "float32|f4",
    "float64": "float64|f8|double",
    "int64": "int64|i8|intp",
    "uint8": "uint8|u1",
}
NO_VERSION = ("Numba has compiled it for other types", "not supported for the input types")
DOT_OUT = "output array is not acceptable"
FASTMATH = (
    "fastmath=True lets the compiler assume that there is no NaN and no infinity: leave it out, or name its parts"
)
FROZEN = (
    "the global {} is a constant in compiled code, as it was when Numba compiled, whatever changes it later: "
    "pass it as an argument"
)
RENAMED = "{0} = ... only gives the name {0} to something else: nothing is written; write {0}[...] = ..."
COPIED = "{} is a copy: what is written there does not come into the output; write into the output itself"
GAPS = "{} is a copy where rows have gaps between them: what is written there does not come into the output"
QUOTIENT = f"{MAYBE}{{}} is a quotient of whole numbers in C, whose fraction is lost: write it with a decimal point"
OVERFLOW = "math.exp raises an exception where np.exp gives ∞: take an exponent that is never large"
NUMBERS = re.compile(r"\b(alpha|beta|trans_[ab]|shape|len|range)\b")  # comparing these hides no NaN
HIDES = (  # calls that turn NaN into a number, by how they begin, and why
    ("nan_to_num", "nan_to_num replaces it"),
    ("fmax", "fmax returns the other number"),
    ("fmin", "fmin returns the other number"),
    ("nansum", "nansum leaves it out"),
    ("nanmax", "nanmax leaves it out"),
    ("nanmin", "nanmin leaves it out"),
    ("max(", "max compares, and any comparison with NaN is false"),
    ("min(", "min compares, and any comparison with NaN is false"),
    ("where(", "a comparison with NaN is false, so the other value is taken"),
    ("clip", "clip may compare, and any comparison with NaN is false"),
    ("isnan", "NaN is looked for, and replaced"),
    ("isfinite", "NaN is looked for, and replaced"),
    ("if ", "a comparison with NaN is false, so the other branch is taken"),
)


def require(failure: Failure) -> None:
    """Raise `InputError` if a kernel failed because a package is not installed."""
    if failure.type_name == "ImportError" and "scipy" in failure.message:
        raise InputError("Numba's np.dot and @ need SciPy, which is not installed here: pip install scipy")


def of_calls(
    facts: Facts, wrong: Sequence[Call], shown: Call, unwritten: bool, probed: Sequence[str], explained: bool = False
) -> list[str]:
    """Name the causes in the text of a file that explain wrong ordinary calls, the likeliest first.

    Parameters
    ----------
    facts : Facts
        About the kernel.
    wrong : sequence of Call
        The wrong calls.
    shown : Call
        The call that is reported.
    unwritten : bool
        Whether its wrong elements are as they were before.
    probed : sequence of str
        The causes that experiments have found.
    explained : bool
        Whether a formula also explains the wrong calls.

    Returns
    -------
    list of str
    """
    found = _failed(facts, wrong)
    if unwritten:
        found += (
            _returned(facts, shown)
            or [_at(place, RENAMED.format(place.text)) for place in facts.rebound[-1:]]
            or _copied(facts, wrong)
        )
    elif not explained and not any(c.fault for c in wrong):
        found += [_at(place, QUOTIENT.format(place.text)) for place in facts.quotients[:1]]
    if facts.option("parallel") or RACE in probed:
        found += [_race(place) for place in facts.races[:1] if facts.option("parallel")]
    if facts.frozen and facts.decorators:
        place = facts.frozen[0]
        found.append(MAYBE * explained + _at(place, FROZEN.format(place.text)))
    return found


def certain(facts: Facts) -> Problem | None:
    """Return a race that the text shows for certain, although no call was wrong; None if there is none."""
    if not facts.option("parallel") or not facts.lost_updates:
        return None
    place = facts.lost_updates[0]
    return Problem("threads race, although no call has shown it", "parallel=True", [_race(place)])


def _race(place: Place) -> str:
    return _at(place, f"a race: {place.text}")


def of_model(text: str, kernels: Sequence[str]) -> list[str]:
    """Name why right kernels may not be compiled into the step.

    Parameters
    ----------
    text : str
        Of the file.
    kernels : sequence of str
        The kernels that the file defines.
    """
    if any(facts(text, name).signatures for name in kernels):
        return [f"{MAYBE}an explicit signature lacks the step's own types, whose inputs are read-only: leave it out"]
    return []


def _at(place: Place, text: str) -> str:
    return f"{text} (line {place.line})"


def _failed(facts: Facts, wrong: Sequence[Call]) -> list[str]:
    """Name the causes of exceptions."""
    failed = [c for c in wrong if c.failure]
    messages = [c.failure.message for c in failed if c.failure]
    if facts.signatures and any(text in message for message in messages for text in NO_VERSION):
        return [_signature(facts, failed)]
    if any(DOT_OUT in message for message in messages):
        where = next((p for p in facts.calls if re.match(r"\w+\.dot\(.*out=", p.text)), None)
        text = (
            "np.dot(out=) wants an array without gaps between rows, of the product's own type: "
            "np.matmul(..., out=out) or out[:] = ... takes any"
        )
        return [_at(where, text) if where else text]
    if any("Cannot modify readonly array" in message for message in messages):
        return ["a global array is a constant in compiled code, and inputs may be read-only: neither can be written"]
    if any(c.failure.type_name == "OverflowError" for c in failed if c.failure):
        return [OVERFLOW]
    return []


def _signature(facts: Facts, failed: Sequence[Call]) -> str:
    """Return in words what an explicit signature lacks."""
    text, lacks = " ".join(facts.signatures), []
    for dtype, names in ALIASES.items():
        is_given = any(getattr(x, "dtype", None) == dtype for c in failed for x in c.arguments.values())
        if is_given and not re.search(rf"\b({names})\b", text):
            lacks.append(dtype)
    messages = " ".join(c.failure.message for c in failed if c.failure)
    if "::1" in text and ", A)" in messages:
        lacks.append("rows with gaps between them (::1 is for arrays without)")
    if ", 2d, " in messages and ":, :" not in text and ":,:" not in text:
        lacks.append("matrices, which have two dimensions")
    if "readonly" in messages and "readonly" not in text:
        lacks.append("read-only inputs")
    what = " and ".join(lacks) or "the types of these arguments"
    line = next(d.line for d in facts.decorators if d.signatures)
    return f"the explicit signature lacks {what}: leave it out, and Numba compiles for what comes (line {line})"


def _returned(facts: Facts, shown: Call) -> list[str]:
    """Name the cause if a kernel returns its result and writes nothing."""
    returned = shown.returned
    if returned is None or returned.is_out:
        return []
    if any(d.name == "vectorize" for d in facts.decorators):
        text = (
            "what @vectorize makes returns a new array, and writes into none of its arguments: "
            "call it in a kernel, with the output as out="
        )
    else:
        text = "the result is returned, not written: nobody uses what a kernel returns; write out[...] = ..."
    if returned.value is not None and replace(shown, found=returned.value).is_wrong:
        text += "; what is returned is wrong too"
    return [_at(facts.returned[-1], text) if facts.returned else text]


def _copied(facts: Facts, wrong: Sequence[Call]) -> list[str]:
    """Name the cause if a kernel writes into a copy of its output."""
    for place in facts.copied[-1:]:
        if not any(f".{method}(" in place.text for method in VIEWS):
            return [_at(place, COPIED.format(place.text))]
        if all(c.block for c in wrong):
            return [_at(place, GAPS.format(place.text))]
    return []


def of_check(facts: Facts, problem: Problem, failure: Failure | None = None) -> Problem:
    """Add the causes in the text of a file to a problem of a special call: NaN, huge numbers, races.

    Parameters
    ----------
    facts : Facts
        About the kernel.
    problem : Problem
        As a function of `fastae.check.calls.special` returns it.
    failure : Failure, optional
        The exception, if the problem is one.

    Returns
    -------
    Problem
    """
    causes = list(problem.causes)
    special = problem.case.startswith("NaN") or "huge" in problem.case or problem.case.startswith("t from")
    if special and facts.option("fastmath"):
        causes.insert(0, FASTMATH)
        if failure:
            return replace(problem, what=f"NaN does not come out: {problem.what}", causes=causes)
    if failure and failure.type_name == "OverflowError":
        causes.insert(0, OVERFLOW)
    if problem.what.endswith("is lost"):
        causes = _hiding(facts) + causes if facts.option("fastmath") is None else causes + _hiding(facts)
    if facts.option("parallel") and (RACE in causes or not causes):
        causes = [_race(place) for place in facts.races[:1]] + causes
    return replace(problem, causes=causes)


def _hiding(facts: Facts) -> list[str]:
    """Name what may turn NaN into a number."""
    for begins, why in HIDES:
        places = [p for p in facts.calls if _calls(p.text, begins) and not NUMBERS.search(p.text)]
        if places:
            text = _at(places[0], f"it hides NaN: {why}")
            return [MAYBE + text] if begins in ("clip", "if ") else [text]
    return []


def _calls(text: str, begins: str) -> bool:
    """Whether a call is of a function, of any module, or of C's with an f for float at its end."""
    if begins == "if ":
        return text.startswith(begins)
    name = re.split(r"\(", text)[0].rpartition(".")[2]
    return name.removesuffix("f") == begins.rstrip("(")
