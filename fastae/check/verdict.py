"""Right, imprecise or wrong: a kernel called in every way that the contract allows, with fresh data each time."""

import time
from collections.abc import Collection, Iterator
from typing import Any

import numpy as np

from fastae.activations import ACTIVATIONS
from fastae.backends.base import Backend
from fastae.backends.contract import PATCHES
from fastae.backends.emulator import KernelFault
from fastae.check.calls import cases, model, shapes
from fastae.check.calls.evidence import Call, judged
from fastae.check.calls.special import CHECKS
from fastae.check.cause import habits, precision
from fastae.check.cause.diagnosis import diagnosed
from fastae.check.file import text
from fastae.check.file.failure import KernelFailed
from fastae.check.problem import Problem, Verdict, access_checks, quiet
from fastae.check.sandbox.process import Refused, WorkerLost
from fastae.check.sandbox.remote import Remote
from fastae.errors import FastaeError, gist
from fastae.operations import kernels_of

__all__ = ["MODEL", "Problem", "Verdict", "examine", "model_gradient"]

SECONDS = 20.0  # for a kernel; afterwards only small calls are made
MODEL = "the model"  # the name under which the model is reported, after the kernels
ALLOWED = 1e-11  # error of a model's weights after three steps: imprecise kernels cause 3e-14, float32 causes 5e-9
SMALL = 8 * 8 * 8  # work of a call that is always made
EMULATED = 3  # on the emulator one of so many products is made; it divides neither the 16 ways to call nor 5 alphas
MOST_PROBLEMS = 24  # wrong calls; afterwards one of `EMULATED` calls is made, to see the other shapes too
LEAST_LARGE = 4  # large calls, however slow the machine is: a small one may be right by chance
MORE_SECONDS = 3.0  # for large calls of a kernel that is known to be wrong
ARITHMETIC = ("ZeroDivisionError", "OverflowError", "FloatingPointError", "ArithmeticError")
TOGETHER = (
    "each kernel is right alone, but not in a training step: other arguments matter, or something is kept between calls"
)
FAILURES = 3  # exceptions; a kernel of which no call has returned is then not called again


def examine(backend: Backend | Remote, name: str, seed: int) -> Verdict:
    """Call a kernel in every way that the contract allows, and name the likely causes of what is wrong.

    Parameters
    ----------
    backend : Backend or Remote
        The backend that has the kernel, such as `fastae.check.learner.load` returns.
    name : str
        A kernel of the contract.
    seed : int
        Of the data.

    Returns
    -------
    Verdict

    Raises
    ------
    InputError
        The kernel cannot be checked, as where a package that it needs is not installed.
    Refused
        It does what no kernel does; only where it runs in a process of its own.

    Examples
    --------
    >>> from fastae import backends
    >>> from fastae.check.verdict import examine
    >>> examine(backends.get("numpy"), "advance", seed=0).verdict
    'right'
    """
    verdict, facts = Verdict(name), text.facts(getattr(backend, "source", ""), name)
    with quiet():
        problem = _outside(backend, name, seed)
        if problem is None:
            calls = _called(backend, name, seed, verdict, facts)
            rejected = any([verdict.rejects(c) for c in calls])
            problem = diagnosed(backend, calls, facts) if rejected else habits.certain(facts)
        if problem is not None:
            verdict.problems.append(problem)
            return verdict
        for case, check in CHECKS:
            failure = None
            try:
                with access_checks(backend):
                    problem = check(backend, name, seed, verdict)
            except (KernelFault, KernelFailed) as error:
                failure = getattr(error, "failure", None)
                faults = [error.fault] if isinstance(error, KernelFault) else []
                problem = Problem(failure.describe(name) if failure else str(error), case, faults)
            except WorkerLost as lost:
                problem = Problem(str(lost), case, lost.causes)
            except (FastaeError, Refused):
                raise
            except Exception as error:  # from the device
                problem = Problem(f"the device fails: {type(error).__name__}: {gist(error)}", case)
            if problem:
                verdict.problems.append(habits.of_check(facts, problem, failure))
        if verdict.imprecise and not verdict.problems:
            verdict.problems.append(precision.problem(verdict.imprecise, verdict.calls))
    return verdict


def _called(backend: Backend | Remote, name: str, seed: int, verdict: Verdict, facts: text.Facts) -> list[Call]:
    """Make the ordinary calls of a kernel; of a wrong or slow one fewer."""
    calls: list[Call] = []
    began, large, seen, wrong, failed, astray = time.monotonic(), 0.0, 0, 0, 0, 0
    for number, (dtype, given, block) in enumerate(shapes.ordinary(name, seed)):
        work = cases.work(name, given)
        if work > SMALL:
            large = large or time.monotonic()  # by now all is compiled
            late = time.monotonic() - began > SECONDS or (wrong and time.monotonic() - large > MORE_SECONDS)
            if late and seen >= LEAST_LARGE:
                continue
        sparing = (backend.name == "emulator" and name in ("matmul", *PATCHES)) or wrong >= MOST_PROBLEMS
        if sparing and number % EMULATED:
            continue  # all shapes are still called
        if astray and work > astray:
            break  # a stray write may end the process, and is likelier to in a larger call
        call = _try(backend, name, dtype, given, block, [seed, number], facts)
        calls.append(call)
        verdict.calls += 1
        seen += work > SMALL
        wrong += call.verdict == "wrong"
        failed += call.fault_kind == "failed"
        if call.fault_kind == "astray" and backend.name != "emulator":
            astray = astray or max(1, work)
        if call.fault_kind == "lost" or (failed >= FAILURES and failed == len(calls)):
            break
        if call.verdict != "wrong":
            verdict.worst = max(verdict.worst, float(np.max(call.share, initial=0)))
    return calls


def _try(
    backend: Backend | Remote,
    name: str,
    dtype: str,
    given: dict[str, Any],
    block: bool,
    seed: list[int],
    facts: text.Facts,
) -> Call:
    """Call a kernel once."""
    arguments = cases.made(name, dtype, given, seed)
    call = judged(name, dtype, given, block, arguments, np.empty(0))
    call.found = call.exact
    try:
        with access_checks(backend):
            outcome = cases.call(backend, name, arguments, block)
    except KernelFault as fault:
        call.fault, call.fault_causes, call.fault_kind = str(fault), (fault.fault,), "astray"
    except KernelFailed as error:
        habits.require(error.failure)
        call.fault, call.failure, call.fault_kind = error.failure.describe(name), error.failure, "failed"
        if error.failure.type_name == "IndexError" and "out of bounds" in error.failure.message:
            call.fault_causes = (f"out of bounds: {error.failure.place or 'an index leads beyond an array'}",)
    except WorkerLost as lost:
        call.fault, call.fault_causes, call.fault_kind = str(lost), tuple(lost.causes), "lost"
    except (FastaeError, Refused):
        raise  # the file cannot be checked
    except Exception as error:  # from the device, which cannot be used any more
        call.fault, call.fault_kind = f"after {name}, the device fails: {type(error).__name__}: {gist(error)}", "lost"
    else:
        call.found, call.returned = outcome.found, outcome.returned
        if outcome.touched:
            call.fault = f"it writes where it must not: {', '.join(outcome.touched)}"
            call.fault_causes, call.fault_kind = (_stray(outcome.touched),), "astray"
        elif call.verdict != "wrong" and call.returned and (not call.returned.is_out or facts.returns_out):
            call.fault = f"it returns a {call.returned.kind}; a kernel writes into out and returns nothing"
            call.fault_kind = "returned"
    return call


def _stray(touched: list[str]) -> str:
    if any(name.startswith("around") for name in touched):
        return "an index leaves the block of the output: a guard, or a row stride that is ignored"
    return "an input is used as scratch memory"


def _outside(backend: Any, name: str, seed: int) -> Problem | None:
    """Make small calls of a Numba kernel in the interpreter, which raises where an index is outside of an array."""
    if getattr(backend, "language", "") != "numba" or name == "advance":
        return None
    for number, (dtype, given, block) in enumerate(shapes.ordinary(name, seed)):
        if number % EMULATED or cases.work(name, given) > SMALL:
            continue
        arguments = cases.made(name, dtype, given, [seed, number])
        case = judged(name, dtype, given, block, arguments, np.empty(0)).case
        try:
            cases.call(backend, name, arguments, block, interpreted=True)
        except KernelFailed as error:
            failure = error.failure
            if failure.type_name == "IndexError":
                where = f"{backend.path.name}, line {failure.line}: " if failure.line else ""
                place = failure.place or "an index leads beyond an array"
                cause = f"out of bounds: {place}; Numba does not look, and reads or writes there"
                return Problem(f"{where}{failure.message}", case, [cause])
            if failure.type_name in ARITHMETIC:  # compiled code gives infinity or NaN
                continue
            return None  # only compiled code can do it
        except WorkerLost as lost:
            return Problem(str(lost), case, lost.causes)
        except (FastaeError, Refused):
            raise
        except Exception:
            return None
    return None


def model_gradient(backend: Backend | Remote, seed: int) -> Problem | None:
    """Train small models in float64 with these kernels, and compare their weights with the numpy backend's.

    A dense model with sigmoids is always trained, others where the file has kernels that only they need.

    Parameters
    ----------
    backend : Backend or Remote
    seed : int
        Of weights and images.

    Returns
    -------
    Problem or None
        None if the weights of all models agree.
    """
    for activation, convolutions in _models(getattr(backend, "kernels", ())):
        problem = _model_gradient(backend, seed, activation, convolutions)
        if problem:
            return problem
    return None


def _models(kernels: Collection[str]) -> Iterator[tuple[str, bool]]:
    """Yield the models that need some kernels: their activation, and whether they have convolutions."""
    yield "sigmoid", False
    called = kernels_of("sigmoid", ["conv"])  # without convolve, which no step calls
    convolutions = any(name in PATCHES and name in called for name in kernels)
    others = [a for a in ACTIVATIONS if a != "sigmoid" and any(name in kernels for name in ACTIVATIONS[a][:2])]
    for activation in others or (["sigmoid"] if convolutions else []):
        yield activation, convolutions


def _model_gradient(backend: Backend | Remote, seed: int, activation: str, convolutions: bool) -> Problem | None:
    plain = activation == "sigmoid" and not convolutions
    what = f"{'convolutions and ' * convolutions}{activation}, "
    for loss in ("mse", "bce"):
        shown = loss if plain else what + loss
        case = f"three steps of the model, {shown}"
        try:
            found, wanted = (model.steps(x, seed, loss, activation, convolutions) for x in (backend, cases.REFERENCE))
        except WorkerLost as lost:
            return Problem(str(lost), case, lost.causes)
        except FastaeError as error:
            causes = habits.of_model(getattr(backend, "source", ""), getattr(backend, "kernels", ()))
            return Problem(str(error), case, causes)
        apart = float(np.max(np.abs(found - wanted)))
        if not apart <= ALLOWED:
            what = f"after three steps of the model the weights are wrong by up to {apart:.3g}"
            return Problem(what, f"{shown}, float64", [TOGETHER])
    return None
