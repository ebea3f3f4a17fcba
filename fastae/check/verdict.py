"""Right or wrong: a kernel called in every way that the contract allows, with fresh data each time."""

import contextlib
import itertools
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fastae.backends.base import Backend, Parameters
from fastae.backends.contract import KERNELS
from fastae.backends.emulator import EmulatorBackend, KernelFault, checking
from fastae.check import cases
from fastae.check.causes import likely
from fastae.check.learner import KernelFailed
from fastae.errors import FastaeError

SECONDS = 20.0  # for a kernel, after which only what is small is still tried
DTYPES = ("float32", "float64")
PRODUCTS = (
    (1, 1, 1),
    (2, 3, 4),
    (5, 7, 3),
    (1, 6, 4),
    (6, 1, 4),
    (6, 4, 1),
    (8, 8, 8),
    (17, 33, 18),
    (33, 70, 65),
    (16, 784, 40),
)
MATRICES = ((1, 1), (1, 5), (5, 1), (3, 4), (8, 8), (17, 64), (33, 65), (16, 784))
SMALL = 8 * 8 * 8  # work that is always tried
EMULATED = 5  # of so many products one is tried on the emulator
MOST_PROBLEMS = 24  # after which enough is known


@dataclass
class Problem:
    """One way in which a kernel is wrong.

    Attributes
    ----------
    what : str
    case : str
        With which arguments.
    causes : list of str
        The likeliest first.
    wrong : ndarray of bool or None
        Where the errors are.
    """

    what: str
    case: str
    causes: list[str] = field(default_factory=list)
    wrong: np.ndarray | None = None


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
    """

    kernel: str
    problems: list[Problem] = field(default_factory=list)
    calls: int = 0
    worst: float = 0.0


def examine(k: Backend, name: str, seed: int) -> Verdict:
    """Call a kernel in every way, until so much is wrong that its likely cause can be told.

    Parameters
    ----------
    k : Backend
        As from `fastae.check.learner.load`.
    name : str
    seed : int
        Of the data.
    """
    verdict, wrong = Verdict(name), list[Problem]()
    began = time.monotonic()
    for number, (dtype, given, block) in enumerate(_cases(name)):
        work = int(np.prod([x for key, x in given.items() if key in "mnk"]))
        if work > SMALL and time.monotonic() - began > SECONDS:
            continue
        if isinstance(k, EmulatorBackend) and name == "matmul" and number % EMULATED:
            continue  # every access is looked at there, and the shapes all come up
        with _looking(k):
            problem = _try(k, name, dtype, given, block, [seed, number], verdict)
        if problem:
            wrong.append(problem)
        if wrong and (wrong[-1].wrong is None or len(wrong) == MOST_PROBLEMS):
            break
    if wrong:
        verdict.problems.append(_most_telling(wrong))
        return verdict
    for case, check in (
        ("the output and an input one array", _aliases),
        ("NaN, infinities or huge numbers", _special),
        ("the same arrays with other contents", _remembers),
    ):
        try:
            with _looking(k):
                problem = check(k, name, seed, verdict)
        except (KernelFault, KernelFailed) as error:
            problem = Problem(str(error), case)
        if problem:
            verdict.problems.append(problem)
    return verdict


def _looking(k: Backend) -> contextlib.AbstractContextManager[None]:
    """Let every access to memory be looked at where that can be; a stray one could end the process else."""
    return checking() if isinstance(k, EmulatorBackend) else contextlib.nullcontext()


def _most_telling(problems: list[Problem]) -> Problem:
    """Return the problem whose likeliest cause explains most of them; a small case can look like many things."""
    if problems[-1].wrong is None:
        return problems[-1]
    votes = Counter(cause for problem in problems for cause in problem.causes)
    for problem in problems:
        problem.causes.sort(key=lambda cause: -votes[cause])
    return max(
        problems, key=lambda p: (votes[p.causes[0]] if p.causes else 0, p.wrong.size if p.wrong is not None else 0)
    )


def _cases(name: str) -> Iterator[tuple[str, dict[str, Any], bool]]:
    """Yield dtype, lengths and numbers, and whether matrices are blocks of wider ones; the small ones first."""
    if name == "advance":
        for n in (0, 1, 16, 2**40):
            yield "float64", {"n": n}, False
        return
    numbers = itertools.cycle(cases.ALPHA_BETA)
    if name == "matmul":
        for m, k, n in PRODUCTS:
            for trans_a, trans_b, dtype in itertools.product((False, True), (False, True), DTYPES):
                for block in (False, True):
                    alpha, beta = next(numbers)
                    given = {"m": m, "k": k, "n": n, "trans_a": trans_a, "trans_b": trans_b}
                    yield dtype, given | {"alpha": alpha, "beta": beta}, block
            next(numbers)  # so that each shape meets other numbers
        return
    for (m, n), dtype, block in itertools.product(MATRICES, DTYPES, (False, True)):
        if name == "axpy":
            yield dtype, {"...": (m, n) if block else n, "alpha": -0.25}, block
        elif name == "column_sum":
            for alpha, beta in cases.ALPHA_BETA:
                yield dtype, {"m": m, "n": n, "alpha": alpha, "beta": beta}, block
        else:
            yield dtype, {"m": m, "n": n}, block


def _make(name: str, dtype: str, given: dict[str, Any], seed: list[int]) -> dict[str, Any]:
    if name == "advance":
        return {"cursor": np.array([seed[0] % 1000 + 7]), "n": given["n"]}
    if name == "axpy" and isinstance(given["..."], tuple):
        x, y = np.random.default_rng(seed).normal(size=(2, *given["..."])).astype(dtype)
        return {"alpha": given["alpha"], "x": x, "y": y}
    return cases.make(name, dtype, seed, **given)


def _judge(
    name: str, arguments: dict[str, Any], dtype: str, found: np.ndarray, verdict: Verdict
) -> tuple[str, list[str], np.ndarray | None]:
    """Compare with what should be there: what is wrong, its causes, and where."""
    if name == "advance":
        exact, bound = arguments["cursor"] + arguments["n"], np.zeros(1)
    else:
        exact, bound = cases.expected(name, arguments, dtype)
    with np.errstate(all="ignore"):
        error = np.abs(found - exact)
        right = (error <= bound) | (found == exact) | (np.isnan(found) & np.isnan(exact))
        if right.all():
            share = np.divide(
                error, bound, out=np.zeros_like(error, np.float64), where=(bound > 0) & np.isfinite(error)
            )
            verdict.worst = max(verdict.worst, float(share.max(initial=0)))
            return "", [], None
    poisoned = np.isnan(found) & ~np.isnan(exact)
    given = arguments.get(cases.WRITTEN.get(name, "out"))
    if poisoned.any() and not poisoned.all() and given is not None and np.isnan(given).all() and right[~poisoned].all():
        causes = likely(name, arguments, found, exact, bound)
        return f"{poisoned.sum()} of {poisoned.size} elements are left unwritten", causes, poisoned
    worst = float(np.nanmax(np.where(right, 0, error))) if np.isfinite(error[~right]).any() else np.nan
    what = f"{(~right).sum()} of {right.size} elements are wrong, by up to {worst:.3g}"
    return what, likely(name, arguments, found, exact, bound), ~right


def _try(
    k: Backend, name: str, dtype: str, given: dict[str, Any], block: bool, seed: list[int], verdict: Verdict
) -> Problem | None:
    verdict.calls += 1
    told = ", ".join(f"{key}={x}" for key, x in given.items()) + f", {dtype}" + ", blocks of columns" * block
    arguments = _make(name, dtype, given, seed)
    try:
        outcome = cases.call(k, name, arguments, block)
    except KernelFault as fault:
        return Problem(str(fault), told, [fault.fault])
    except KernelFailed as error:
        return Problem(str(error), told)
    if outcome.touched:
        what = ", ".join(outcome.touched)
        return Problem(f"it writes where it must not: {what}", told, _stray(outcome.touched))
    what, causes, wrong = _judge(name, arguments, dtype, outcome.found, verdict)
    if what:
        with contextlib.suppress(KernelFault, KernelFailed):
            whole = cases.call(k, name, arguments, False)
            if block and not _judge(name, arguments, dtype, whole.found, verdict)[0]:
                causes.insert(0, "a row stride is ignored: it is right where rows follow each other without gaps")
        return Problem(what, told, causes, wrong)
    if outcome.returned is not None:
        return Problem(
            f"it returns a {type(outcome.returned).__name__}; a kernel writes into out and returns nothing", told
        )
    return None


def _stray(touched: list[str]) -> list[str]:
    if any(name.startswith("around") for name in touched):
        return ["an index leaves the block of the output: a guard, or a row stride that is ignored"]
    return ["an input is used as scratch memory"]


def _aliases(k: Backend, name: str, seed: int, verdict: Verdict) -> Problem | None:
    """The output may be the input that the contract names."""
    for alias in KERNELS[name].alias:
        verdict.calls += 1
        arguments = _make(name, "float64", {"m": 9, "n": 70}, [seed, 1000])
        found = cases.call(k, name, arguments, alias=alias).found
        what, causes, wrong = _judge(name, arguments, "float64", found, verdict)
        if what:
            cause = f"an element of the input is read after it has been overwritten: {alias} may be one array"
            return Problem(what, f"{alias} is one array", [cause, *causes], wrong)
    return None


def _special(k: Backend, name: str, seed: int, verdict: Verdict) -> Problem | None:
    """NaN comes out where it went in, and nowhere else; σ stays within 0 and 1."""
    shapes = KERNELS[name].shapes
    sources = [key for key, letters in shapes.items() if key != "out" and "N" not in letters and letters[0] in "mkn"]
    for key in sources if name not in ("gather", "advance") else ():
        verdict.calls += 1
        arguments = _make(name, "float64", {"m": 4, "k": 6, "n": 37, "alpha": 1.0, "beta": 0.0}
                          if name == "matmul" else {"m": 4, "n": 37}, [seed, 2000])  # fmt: skip
        arguments[key].flat[[0, 20 % arguments[key].size]] = np.nan
        exact, _ = cases.expected(name, arguments, "float64")
        found = cases.call(k, name, arguments).found
        wrong = np.isnan(found) != np.isnan(exact)
        if wrong.any():
            lost = np.isnan(exact)[wrong].any()
            cause = (
                "a comparison or a maximum hides NaN" if lost else "NaN spreads to elements that do not depend on it"
            )
            return Problem(f"NaN in {key} is {'lost' if lost else 'spread'}", f"NaN in {key}", [cause], wrong)
    if name == "bias_sigmoid":
        for dtype in DTYPES:
            huge = float(np.finfo(dtype).max)
            t = np.array([0, 1e-30, 89, -89, 800, -800, huge, -huge, np.inf, -np.inf], dtype)
            arguments = {"z": t[:, None], "bias": np.zeros(1, dtype), "out": np.full((len(t), 1), np.nan, dtype)}
            verdict.calls += 1
            with np.errstate(all="ignore"):
                found = cases.call(k, name, arguments, block=False).found
            what, causes, wrong = _judge(name, arguments, dtype, found, verdict)
            if what:
                cause = "e^−t overflows or ∞ / ∞ is computed: write it so that no finite t gives NaN"
                return Problem(what, f"t from {-huge:.0e} to {huge:.0e}, {dtype}", [cause, *causes], wrong)
    return None


def _remembers(k: Backend, name: str, seed: int, verdict: Verdict) -> Problem | None:
    """The same arrays with other contents: an answer that was kept from before is wrong now."""
    if name in ("advance", "axpy"):
        return None
    given = {"m": 8, "n": 8} | ({"k": 8, "alpha": 1.0, "beta": 0.0} if name == "matmul" else {})
    first, second = (_make(name, "float64", given, [seed, number]) for number in (3000, 3001))
    if name == "gather":  # other rows, as many
        second |= {"images": 255 - first["images"], "order": first["order"], "offset": first["offset"]}
    device = {key: k.asarray(x) if isinstance(x, np.ndarray) else x for key, x in first.items()}
    getattr(k, name)(**device)
    for key, x in second.items():
        if isinstance(x, np.ndarray):
            device[key][...] = k.asarray(x)
    verdict.calls += 2
    getattr(k, name)(**device)
    what, causes, wrong = _judge(name, second, "float64", k.to_host(device["out"]), verdict)
    if what:
        causes = ["an answer is kept from an earlier call, by the arrays' address or shape", *causes]
        return Problem(what, "the same arrays with other contents", causes, wrong)
    return None


def model_gradient(k: Backend, seed: int) -> Problem | None:
    """Some steps of the whole model in float64 against the numpy backend's: its gradients with these kernels."""
    rng = np.random.default_rng(seed)
    sizes = (20, 9, 5, 9, 20)
    W = [rng.normal(0, 0.5, shape) for shape in itertools.pairwise(sizes)]
    b = [rng.normal(0, 0.1, n) for n in sizes[1:]]
    parameters = Parameters(W, b, [np.zeros_like(w) for w in W], [np.zeros_like(x) for x in b])
    images, order = rng.integers(0, 256, (14, sizes[0]), dtype=np.uint8), rng.permutation(14)
    for loss in ("mse", "bce"):
        results = []
        for backend in (k, cases.REFERENCE):
            try:
                session = backend.session(parameters, images, loss=loss, batch_size=5, lr=0.5, momentum=0.5)
                with _looking(backend):
                    session.start(order)
                    session.run(2)
                    session.finish()
                results.append(np.concatenate([p.ravel() for group in session.read() for p in group]))
            except FastaeError as error:
                return Problem(str(error), f"three steps of the model, {loss}")
        apart = float(np.max(np.abs(results[0] - results[1])))
        if not apart <= 1e-9:
            return Problem(
                f"after three steps of the model the weights are wrong by up to {apart:.3g}", f"{loss}, float64",
                ["right alone, wrong together: arguments as the step gives them, or something kept between calls"],
            )  # fmt: skip
    return None
