"""What ``fastae check`` prints: lines for each kernel as soon as it is checked, or JSON at the end."""

import argparse
import json
from typing import Any

import numpy as np

from fastae import system
from fastae.backends.contract import KERNELS
from fastae.check import speed
from fastae.check.calls.evidence import MAYBE, WHEN, WHERE
from fastae.check.problem import Problem, Verdict
from fastae.check.sandbox import python_policy
from fastae.check.sandbox.confine import ENFORCED
from fastae.check.sandbox.process import Refused
from fastae.check.sandbox.remote import Remote
from fastae.check.speed import Speed
from fastae.check.verdict import MODEL
from fastae.ladder.rungs import LADDERS

VERDICTS = ("right", "imprecise", "wrong", "refused")
WIDTH, HEIGHT = 48, 12  # of a picture of errors, in characters


class Report:
    """The report on one file.

    Parameters
    ----------
    options : Namespace
        The options of the command.
    seed : int
        Of the data, which is printed to repeat the check.

    Attributes
    ----------
    found : list of Verdict
        Of the kernels so far.
    """

    def __init__(self, options: argparse.Namespace, seed: int) -> None:
        self._options, self._seed = options, seed
        self.found: list[Verdict] = []
        self._speeds: dict[str, list[Speed]] = {}
        self._places: dict[str, str] = {}
        self._backend, self._given, self._kernels = "", dict[str, list[str]](), 0
        self._lacking, self._cores = list[str](), 1

    def begin(self, backend: Remote) -> None:
        """Take note of the file's backend, kernels and worker."""
        self._cores = speed.cores_of(backend)
        self._backend, self._kernels = backend.name, len(backend.kernels)
        self._given = python_policy.given(backend.source)
        self._lacking = backend.lacking

    def add(self, verdict: Verdict, speeds: list[Speed], place: str) -> None:
        """Print the verdict on a kernel, its speed, and its place on its ladder."""
        name = verdict.kernel
        self.found.append(verdict)
        self._speeds[name], self._places[name] = speeds, place
        if self._options.json:
            return
        lines = [in_words(verdict), *(_timed(name, s, self._cores) for s in speeds)]
        if place:
            lines.append(f"  its place: {place}: fastae ladder {LADDERS[name]} --backend {self._backend}")
        print("\n".join(lines), flush=True)

    def refuse(self, refused: Refused) -> int:
        """Print that the kernels without a verdict are refused, and return the exit status."""
        judged = {verdict.kernel for verdict in self.found}
        problems = [Problem(reason, "") for reason in refused.reasons]
        for name in [name for name in refused.kernels if name not in judged] or [self._shown]:
            verdict = Verdict(name, problems, refused=True)
            self.found.append(verdict)
            if not self._options.json:
                print("\n".join([f"{name}: REFUSED", *(f"  {reason}" for reason in refused.reasons)]))
        if self._options.json:
            self._print_json(None)
        return 1

    def end(self, problem: Problem | None) -> int:
        """Print the verdict on the model, if all kernels are right, and return the exit status."""
        judged = all(v.verdict in ("right", "imprecise") for v in self.found)
        if self._options.json:
            self._print_json(Verdict(MODEL, [problem] if problem else []) if judged else None)
        else:
            if problem is not None:
                print("\n".join([f"{MODEL}: WRONG", *_lines(problem)]))
            elif judged:
                others = "" if self._kernels == len(KERNELS) else f"; the other kernels are {self._backend}'s"
                print(f"{MODEL}: right: its gradients through these kernels are the reference's{others}")
            else:
                print(self._again())
            for line in self._notes():
                print(line)
        imprecise = self._options.strict and any(v.verdict == "imprecise" for v in self.found)
        return int(not judged or problem is not None or imprecise)

    @property
    def _shown(self) -> str:
        return self._options.gallery or str(self._options.file)

    def _again(self) -> str:
        shown = ["--gallery", self._options.gallery] if self._options.gallery else [str(self._options.file)]
        return f"to see it again: {system.command_line(['fastae', 'check', *shown, '--seed', str(self._seed)])}"

    def _notes(self) -> list[str]:
        """Return lines on compiled code of fastae that the file uses, and on what the system could not deny to it."""
        used = [name for names in self._given.values() for name in names]
        notes = [f"it uses what fastae hands out for exercises: {', '.join(used)}"] if used else []
        if self._lacking:
            notes.append(f"not denied on this system: {'; '.join(ENFORCED[key] for key in self._lacking)}")
        return notes

    def _print_json(self, model: Verdict | None) -> None:
        entries = [{"kernel": v.kernel, "verdict": v.verdict, "right": v.verdict == "right", "calls": v.calls,
                    "worst_error_of_bound": v.worst, "problems": [_as_dict(p) for p in v.problems],
                    "speed": [s._asdict() for s in self._speeds.get(v.kernel, ())],
                    "place": self._places.get(v.kernel) or None} for v in self.found]  # fmt: skip
        right = model is not None and not model.problems
        tried: dict[str, Any] | None = None if model is None else {"right": right}
        if model is not None and model.problems:
            tried = {"right": right, "problems": [_as_dict(p) for p in model.problems]}
        verdict = max((v.verdict for v in self.found), key=VERDICTS.index, default="right")
        if not right:
            verdict = max(verdict, "wrong", key=VERDICTS.index)
        content = {"file": self._shown, "backend": self._backend, "seed": self._seed, "verdict": verdict,
                   "right": verdict == "right", "kernels": entries, "model": tried, "uses": self._given,
                   "not_denied": self._lacking}  # fmt: skip
        print(json.dumps(content, indent=1))


def _as_dict(problem: Problem) -> dict[str, Any]:
    entry = {"what": problem.what, "case": problem.case, "causes": problem.causes, "picture": problem.picture or None}
    return entry | ({"example": problem.example, "better": problem.better} if problem.better else {})


def in_words(verdict: Verdict) -> str:
    """Return the lines of a verdict."""
    if not verdict.problems:
        return f"{verdict.kernel}: right in {verdict.calls} calls; largest error {verdict.worst:.2f} of what is allowed"
    heading = "imprecise: right on paper, but it loses digits" if verdict.verdict == "imprecise" else "WRONG"
    return "\n".join([f"{verdict.kernel}: {heading}", *(line for p in verdict.problems for line in _lines(p))])


def _timed(name: str, s: Speed, cores: int) -> str:
    whose = "one core's" if cores == 1 else "all cores'"
    rate = f"{s.flops / 1e9:.3g} GFLOP/s" if name in speed.FLOPS else f"{s.bytes / 1e9:.3g} GB/s"
    return f"  {s.shape}: {s.seconds * 1e6:,.4g} µs, {rate}, {s.share:.0%} of {whose} limit"


def _lines(problem: Problem) -> list[str]:
    lines = [f"  {problem.what}", f"  with {problem.case}{':' * bool(problem.example)}"]
    lines += [f"    {problem.example}"] if problem.example else []
    sure = [cause for cause in problem.causes if not cause.startswith((MAYBE, WHERE, WHEN))][:3]
    lines += [f"  {'likely' if i == 0 else '    or'}: {cause}" for i, cause in enumerate(sure)]
    lines += [f"  {cause}" for cause in problem.causes if cause.startswith(MAYBE)][: 3 - len(sure)]
    lines += [f"  {cause}" for cause in problem.causes if cause.startswith((WHERE, WHEN))]
    if problem.wrong is not None and problem.wrong.size > 1 and not problem.better:
        lines += ["  where (# wrong, . right):", *(f"    {row}" for row in picture(problem.wrong))]
    if problem.better:
        lines.append(f"  write {problem.better}")
    if problem.picture:
        lines.append(f"  see {problem.picture}")
    return lines


def picture(wrong: np.ndarray) -> list[str]:
    """Draw the places of errors, a character for an element or a block of elements."""
    grid = np.atleast_2d(wrong)
    rows, cols = (np.array_split(np.arange(n), min(n, most)) for n, most in zip(grid.shape, (HEIGHT, WIDTH)))
    return ["".join("#" if grid[np.ix_(r, c)].any() else "." for c in cols) for r in rows]
