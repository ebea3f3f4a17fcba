"""Right, imprecise or wrong: a kernel called in every way that the contract allows, with fresh data each time."""

import itertools
import time
from collections.abc import Collection, Iterator
from typing import Any

import numpy as np

from fastae.activations import ACTIVATIONS
from fastae.backends.base import Backend
from fastae.backends.contract import KERNELS, PATCHES
from fastae.backends.emulator import KernelFault
from fastae.check import cases, habits, launches, model, patterns, precision, probes, source
from fastae.check.causes import explain
from fastae.check.evidence import Call, judged
from fastae.check.failure import KernelFailed
from fastae.check.problem import Problem, Verdict, described, looking, quiet
from fastae.check.process import Refused, WorkerLost
from fastae.check.remote import Remote
from fastae.check.source import Facts
from fastae.check.special import CHECKS
from fastae.errors import FastaeError, gist
from fastae.layers import Geometry
from fastae.operations import kernels_of

__all__ = ["MODEL", "Problem", "Verdict", "examine", "model_gradient"]

SECONDS = 20.0  # for a kernel, after which only what is small is still tried
MODEL = "the model"  # what is told after the kernels
ALLOWED = 1e-11  # of weights of models after three steps: imprecise kernels lead them 3e-14 astray, float32 5e-9
DTYPES = ("float32", "float64")
PRODUCTS = (
    (1, 1, 1),
    (2, 3, 4),
    (5, 7, 3),
    (1, 6, 4),
    (6, 1, 4),
    (6, 4, 1),
    (8, 5, 3),  # of three lengths only one a multiple of 8, so that one can be told from another
    (3, 8, 5),
    (5, 3, 8),
    (8, 8, 8),
    (17, 33, 18),
    (33, 70, 65),
    (16, 784, 40),
)
MATRICES = ((1, 1), (1, 5), (5, 1), (3, 4), (8, 8), (67, 3), (3, 67), (17, 64), (33, 65), (16, 784))
IMAGES = (  # m, height, width, channels, kernel, stride, padding
    (1, 1, 1, 1, 1, 1, 0),
    (2, 1, 1, 2, 3, 1, 2),
    (2, 3, 4, 1, 2, 1, 0),
    (1, 4, 3, 2, 3, 1, 1),
    (3, 5, 3, 2, 1, 1, 0),
    (2, 4, 5, 3, 1, 2, 0),
    (2, 5, 7, 1, 3, 2, 1),
    (1, 6, 4, 3, 2, 3, 0),
    (1, 7, 5, 2, 4, 3, 2),
    (2, 6, 6, 1, 3, 2, 1),
    (1, 5, 6, 2, 5, 1, 3),
    (1, 9, 8, 1, 7, 3, 6),
    (1, 6, 9, 2, 6, 2, 5),
    (2, 8, 8, 3, 3, 1, 1),
    (9, 4, 3, 2, 3, 2, 1),  # more images than a tile has rows
    (3, 14, 13, 8, 3, 2, 1),
)
PRIMES = (67, 71, 73, 79, 83, 89, 97)  # lengths of which no tile is a divisor
FEW = 4  # channels of a convolution's output at most
SMALL = 8 * 8 * 8  # work that is always tried
EMULATED = 3  # of so many products one is tried on the emulator; no divisor of 16 ways, nor of 5 alphas
MOST_PROBLEMS = 24  # after which of so many calls one is tried, to see the other shapes too
LEAST_LARGE = 4  # calls beyond that, however slow the machine: what is small may be right by chance
MORE_SECONDS = 3.0  # for what is large, with a kernel that is known to be wrong
ARITHMETIC = ("ZeroDivisionError", "OverflowError", "FloatingPointError", "ArithmeticError")
FAILURES = 3  # after which a kernel that never came to an end is not called again
SCALES, ALPHAS = (1 / 7, 0.25, 3.0), (-0.25, 1.0, 0.75, 0.0, 2.0)  # so many that each way to call meets all


def examine(k: Backend | Remote, name: str, seed: int) -> Verdict:
    """Call a kernel in every way, until so much is wrong that its likely cause can be told.

    Parameters
    ----------
    k : Backend
        As from `fastae.check.learner.load`.
    name : str
    seed : int
        Of the data.
    """
    verdict, facts = Verdict(name), source.facts(getattr(k, "source", ""), name)
    with quiet():
        problem = _outside(k, name, seed)
        if problem is None:
            calls = _called(k, name, seed, verdict, facts)
            rejected = any([verdict.rejects(c) for c in calls])
            problem = _diagnosed(k, calls, facts) if rejected else habits.certain(facts)
        if problem is not None:
            verdict.problems.append(problem)
            return verdict
        for case, check in CHECKS:
            failure = None
            try:
                with looking(k):
                    problem = check(k, name, seed, verdict)
            except (KernelFault, KernelFailed) as error:
                failure = getattr(error, "failure", None)
                faults = [error.fault] if isinstance(error, KernelFault) else []
                problem = Problem(failure.told(name) if failure else str(error), case, faults)
            except WorkerLost as lost:
                problem = Problem(str(lost), case, lost.causes)
            except (FastaeError, Refused):
                raise
            except Exception as error:  # of the device
                problem = Problem(f"the device fails: {type(error).__name__}: {gist(error)}", case)
            if problem:
                verdict.problems.append(habits.of_check(facts, problem, failure))
        if verdict.imprecise and not verdict.problems:
            verdict.problems.append(precision.problem(verdict.imprecise, verdict.calls))
    return verdict


def _called(k: Backend | Remote, name: str, seed: int, verdict: Verdict, facts: Facts) -> list[Call]:
    """Call a kernel in every way that the contract allows."""
    calls: list[Call] = []
    began, large, seen, wrong, failed, astray = time.monotonic(), 0.0, 0, 0, 0, 0
    for number, (dtype, given, block) in enumerate(_cases(name, seed)):
        work = cases.work(name, given)
        if work > SMALL:
            large = large or time.monotonic()  # by now all is compiled
            late = time.monotonic() - began > SECONDS or (wrong and time.monotonic() - large > MORE_SECONDS)
            if late and seen >= LEAST_LARGE:
                continue
        sparing = (k.name == "emulator" and name in ("matmul", *PATCHES)) or wrong >= MOST_PROBLEMS
        if sparing and number % EMULATED:
            continue  # the shapes all come up; and on the emulator every access is looked at
        if astray and work > astray:
            break  # who writes anywhere may end the process, the sooner the larger the arrays are
        call = _try(k, name, dtype, given, block, [seed, number], facts)
        calls.append(call)
        verdict.calls += 1
        seen += work > SMALL
        wrong += call.verdict == "wrong"
        failed += call.fault_kind == "failed"
        if call.fault_kind == "astray" and k.name != "emulator":
            astray = astray or max(1, work)
        if call.fault_kind == "lost" or (failed >= FAILURES and failed == len(calls)):
            break
        if call.verdict != "wrong":
            verdict.worst = max(verdict.worst, float(np.max(call.share, initial=0)))
    return calls


def _diagnosed(k: Backend | Remote, calls: list[Call], facts: Facts) -> Problem:
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
            found, unwritten = probes.tried(k, probed)
            poisoned = [c for c in compared if c.unread and np.isnan(c.found).any()]
            if not found and not unwritten and poisoned and not np.isnan(shown.found).any():
                found, _ = probes.tried(k, _shown(poisoned, []))
    if any("stride" in cause or cause == probes.RACE for cause in found):
        causes = []  # what is written then has no meaning
    if unwritten:
        left = [cause for cause in causes if not cause.startswith((patterns.MAYBE, patterns.WHERE))]
        source = getattr(k, "source", "")
        nothing = all(c.wrong.all() for c in compared)
        few = launches.divided_away(source, compared) if nothing else launches.told(source, calls)
        causes = ["nothing is written"] if nothing else left or patterns.told(compared, unwritten=True)
        if few:  # what the text says is certain, and why nothing is written in some calls
            found, causes = ([cause for cause in of if cause != "nothing is written"] for of in (found, [*few, *left]))
    own = list(faulty.fault_causes) if faulty else []
    when, _ = patterns.when(calls)
    explained = any(not cause.startswith((patterns.MAYBE, patterns.WHERE)) for cause in causes) and not unwritten
    habitual = habits.of_calls(facts, wrong, shown, unwritten, found, explained)
    if habitual and not habitual[0].startswith(patterns.MAYBE):
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


def _cases(name: str, seed: int) -> Iterator[tuple[str, dict[str, Any], bool]]:
    """Yield dtype, lengths and numbers, and whether matrices are blocks of wider ones; the small ones first.

    The last shapes are drawn: a kernel that is right only where it knows that it is tried is wrong there.
    """
    rng = np.random.default_rng([seed, len(name)])
    if name == "advance":
        for n in (0, 1, 16, 2**40):
            yield "float64", {"n": n}, False
        return
    numbers, scales, alphas = itertools.cycle(cases.ALPHA_BETA), itertools.cycle(SCALES), itertools.cycle(ALPHAS)
    if name == "matmul":
        for m, k, n in (*PRODUCTS, tuple(map(int, rng.integers(2, 48, 3)))):
            for trans_a, trans_b, dtype in itertools.product((False, True), (False, True), DTYPES):
                for block in (False, True):
                    alpha, beta = next(numbers)
                    given = {"m": m, "k": k, "n": n, "trans_a": trans_a, "trans_b": trans_b}
                    yield dtype, given | {"alpha": alpha, "beta": beta}, block
            next(numbers)  # so that each shape meets other numbers
        return
    if name in PATCHES:
        for number, (m, *geometry, channels) in enumerate(
            (m, h, w, *rest, c) for m, h, w, c, *rest in (*IMAGES, _image(rng))
        ):
            given = {"m": m, **dict(zip(Geometry._fields, geometry)), "channels": channels}
            given |= {"c": 1 + number % FEW} if name == "convolve" else {}
            yield from ((dtype, given, block) for dtype, block in itertools.product(DTYPES, (False, True)))
        return
    drawn = tuple(map(int, rng.choice(PRIMES, 2))), tuple(map(int, rng.integers(2, 48, 2)))
    for (m, n), dtype, block in itertools.product((*MATRICES, *drawn), DTYPES, (False, True)):
        if name == "axpy":
            shape = {"...": (m, n), "m": m, "n": n} if block else {"...": n, "m": 1, "n": n}
            yield dtype, shape | {"alpha": next(alphas)}, block
        elif name == "column_sum":
            for alpha, beta in cases.ALPHA_BETA:
                yield dtype, {"m": m, "n": n, "alpha": alpha, "beta": beta}, block
        else:
            scale = {"scale": next(scales)} if "scale" in KERNELS[name].arguments else {}
            yield dtype, {"m": m, "n": n, **scale}, block


def _image(rng: np.random.Generator) -> tuple[int, ...]:
    """Draw a geometry, as `IMAGES` has them."""
    kernel = int(rng.integers(1, 5))
    m, channels, stride = map(int, rng.integers(1, 4, 3))
    height, width = map(int, rng.integers(kernel, 9, 2))
    return m, height, width, channels, kernel, stride, int(rng.integers(kernel))


def _try(
    k: Backend | Remote, name: str, dtype: str, given: dict[str, Any], block: bool, seed: list[int], facts: Facts
) -> Call:
    """Call a kernel once."""
    arguments = cases.made(name, dtype, given, seed)
    call = judged(name, dtype, given, block, arguments, np.empty(0))
    call.found = call.exact
    try:
        with looking(k):
            outcome = cases.call(k, name, arguments, block)
    except KernelFault as fault:
        call.fault, call.fault_causes, call.fault_kind = str(fault), (fault.fault,), "astray"
    except KernelFailed as error:
        habits.require(error.failure)
        call.fault, call.failure, call.fault_kind = error.failure.told(name), error.failure, "failed"
        if error.failure.type_name == "IndexError" and "out of bounds" in error.failure.message:
            call.fault_causes = (f"out of bounds: {error.failure.place or 'an index leads beyond an array'}",)
    except WorkerLost as lost:
        call.fault, call.fault_causes, call.fault_kind = str(lost), tuple(lost.causes), "lost"
    except (FastaeError, Refused):
        raise  # the file cannot be checked
    except Exception as error:  # of the device, which is in no state to go on
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


def _outside(k: Any, name: str, seed: int) -> Problem | None:
    """Let the interpreter run what Numba compiles, in small: an index outside of an array is an error there."""
    if getattr(k, "language", "") != "numba" or name == "advance":
        return None
    for number, (dtype, given, block) in enumerate(_cases(name, seed)):
        if number % EMULATED or cases.work(name, given) > SMALL:
            continue
        arguments = cases.made(name, dtype, given, [seed, number])
        told = judged(name, dtype, given, block, arguments, np.empty(0)).told()
        try:
            cases.call(k, name, arguments, block, interpreted=True)
        except KernelFailed as error:
            failure = error.failure
            if failure.type_name == "IndexError":
                where = f"{k.path.name}, line {failure.line}: " if failure.line else ""
                place = failure.place or "an index leads beyond an array"
                cause = f"out of bounds: {place}; Numba does not look, and reads or writes there"
                return Problem(f"{where}{failure.message}", told, [cause])
            if failure.type_name in ARITHMETIC:  # where compiled code has infinity or NaN
                continue
            return None  # what only compiled code can do; it will be compiled and judged
        except WorkerLost as lost:
            return Problem(str(lost), told, lost.causes)
        except (FastaeError, Refused):
            raise
        except Exception:
            return None
    return None


def model_gradient(k: Backend | Remote, seed: int) -> Problem | None:
    """Some steps of whole models in float64 against the numpy backend's: their gradients with these kernels.

    Of a dense one with sigmoids, and, where the file has kernels that it does not need, of those that do.
    """
    for activation, convolutions in _models(getattr(k, "kernels", ())):
        problem = _model_gradient(k, seed, activation, convolutions)
        if problem:
            return problem
    return None


def _models(kernels: Collection[str]) -> Iterator[tuple[str, bool]]:
    """Yield the activations of the models that need some kernels, and whether they have convolutions."""
    yield "sigmoid", False
    called = kernels_of("sigmoid", ["conv"])  # not convolve, for which a step would be compiled in vain
    convolutions = any(name in PATCHES and name in called for name in kernels)
    others = [a for a in ("tanh", "relu") if any(name in kernels for name in ACTIVATIONS[a][:2])]
    for activation in others or (["sigmoid"] if convolutions else []):
        yield activation, convolutions


def _model_gradient(k: Backend | Remote, seed: int, activation: str, convolutions: bool) -> Problem | None:
    plain = activation == "sigmoid" and not convolutions
    what = f"{'convolutions and ' * convolutions}{activation}, "
    for loss in ("mse", "bce"):
        shown = loss if plain else what + loss
        case = f"three steps of the model, {shown}"
        try:
            found, wanted = (model.steps(x, seed, loss, activation, convolutions) for x in (k, cases.REFERENCE))
        except WorkerLost as lost:
            return Problem(str(lost), case, lost.causes)
        except FastaeError as error:
            return Problem(str(error), case, habits.of_model(getattr(k, "source", ""), getattr(k, "kernels", ())))
        apart = float(np.max(np.abs(found - wanted)))
        if not apart <= ALLOWED:
            return Problem(
                f"after three steps of the model the weights are wrong by up to {apart:.3g}", f"{shown}, float64",
                ["right alone, wrong together: arguments as the step gives them, or something kept between calls"],
            )  # fmt: skip
    return None
