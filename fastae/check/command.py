"""The command ``fastae check``: is a kernel right? If not, what may be wrong, and where."""

import argparse
import contextlib
import json
import secrets
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from fastae import storage, system
from fastae.backends.contract import KERNELS
from fastae.check import exhibits, speed, supervise
from fastae.check import verdict as verdicts
from fastae.check.learner import load
from fastae.check.patterns import WHEN
from fastae.check.problem import quiet
from fastae.check.speed import BATCHES, Speed
from fastae.check.verdict import MODEL, Problem, Verdict
from fastae.errors import FastaeError, InputError
from fastae.ladder.rungs import LADDERS

TIMED = ("numpy", "numba")  # the emulator's time means nothing
VERDICTS = ("right", "imprecise", "wrong")
WIDTH, HEIGHT = 48, 12  # of a picture of errors, in characters


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.description = (
        "Call the kernels of a file in every way that the contract allows. Exit status 0 if all are right, or "
        "imprecise, 1 if one is wrong, 2 if the file cannot be checked."
    )
    option = parser.add_argument
    option(
        "file",
        type=Path,
        nargs="?",
        metavar="FILE",
        help="a .py or .cu file that defines kernels of the contract by name",
    )
    option(
        "--gallery",
        nargs="?",
        const="",
        metavar="NAME",
        help="list known ways to be wrong; with a name, check that one as if it were the file",
    )
    option("--backend", default="auto", help="for a .cu file: emulator, cupy, or auto (cupy where a GPU works)")
    option("--seed", type=int, help="of the data; by default other data each time")
    option("--no-speed", action="store_true", help="do not measure how fast a right kernel is")
    option("--strict", action="store_true", help="exit status 1 too if one is imprecise: it loses digits")
    option("--json", action="store_true", help="print the verdict as JSON")
    option("--watch", action="store_true", help="check again whenever the file is saved, until Ctrl-C")
    option(
        "--patience",
        type=float,
        default=120.0,
        metavar="SECONDS",
        help="after which a kernel that has not come back is called endless (default: 120)",
    )
    option("--out", type=Path, metavar="DIR", help="draw where a wrong kernel's errors are: DIR/KERNEL-errors.png")


def run(options: argparse.Namespace) -> int:
    """Check a file; return 0 if all is right or, without ``--strict``, imprecise; 1 if something is not."""
    if options.file is None and options.gallery is None:
        raise InputError("give a FILE to check, or --gallery for known ways to be wrong")
    if not options.patience > 0:
        raise InputError(f"--patience must be a positive number of seconds; got {options.patience:g}")
    if supervise.wanted(options) and options.gallery != "":
        return supervised(options)
    if options.gallery is not None:
        return _gallery(options)
    if not options.watch:
        return check(options)
    while True:
        stamp = _stamp(options.file)
        try:
            check(options)
        except FastaeError as error:
            print(f"fastae: {error}", file=sys.stderr)
        _await_change(options.file, stamp)


def supervised(options: argparse.Namespace) -> int:
    """Run the process's command in a child; tell if a kernel ends it or never comes back. Returns the exit status."""
    while True:
        stamp = _stamp(options.file) if options.file else (0, 0)
        status, lost, causes, noted = supervise.run(sys.argv[1:], options.patience)
        if not lost:
            return status
        shown = options.gallery or str(options.file)
        if not noted.get("kernel"):
            raise InputError(f"{shown}: {lost}, {noted.get('case', 'before anything is tried')}")
        seed = int(noted["seed"])
        verdict = Verdict(noted["kernel"], [Problem(lost, noted["case"], causes)])
        if options.json:
            found, model = ([], verdict) if verdict.kernel == MODEL else ([verdict], None)
            print(json.dumps(_as_json(shown, noted["backend"], seed, found, {}, {}, model), indent=1))
        else:
            print("\n".join([told(verdict), _again(options, seed)]), flush=True)
        if not options.watch:
            return 1
        _await_change(options.file, stamp)


def _await_change(file: Path, stamp: tuple[int, int]) -> None:
    print(f"\nwatching {file}; Ctrl-C ends", flush=True)
    while _stamp(file) == stamp:
        time.sleep(0.2)
    print()


def _gallery(options: argparse.Namespace) -> int:
    """List the gallery, or check one of its files where everything is seen."""
    if options.file is not None:
        raise InputError(f"give either a FILE or --gallery, not both; got {options.file} too")
    if options.watch:
        raise InputError("nothing in the gallery changes: leave out --watch")
    if options.gallery:
        exhibit = exhibits.find(options.gallery)
        backend = "emulator" if exhibit.path.suffix == ".cu" and options.backend == "auto" else options.backend
        return check(argparse.Namespace(**vars(options) | {"file": exhibit.path, "backend": backend}))
    known = exhibits.exhibits()
    if options.json:
        print(json.dumps([{"name": exhibit.name, "title": exhibit.title} for exhibit in known], indent=1))
    else:
        width = max(len(exhibit.name) for exhibit in known)
        print("\n".join(f"{exhibit.name:{width}}  {exhibit.title}" for exhibit in known))
        print("\nfastae check --gallery NAME checks one")
    return 0


def _stamp(path: Path) -> tuple[int, int]:
    try:
        state = path.stat()
    except OSError:  # an editor may replace it
        return 0, 0
    return state.st_mtime_ns, state.st_size


def check(options: argparse.Namespace) -> int:
    """Examine every kernel of the file and report."""
    if options.seed is not None and options.seed < 0:
        raise InputError(f"--seed must not be negative; got {options.seed}")
    told_to = sys.stdout
    with contextlib.ExitStack() as stack:
        stack.enter_context(quiet())
        if options.json:  # what a learner's kernel prints is no part of it
            stack.enter_context(contextlib.redirect_stdout(sys.stderr))
        stack.callback(supervise.note)  # whatever became of it, it came back
        return _check(options, told_to)


def _check(options: argparse.Namespace, told_to: Any) -> int:
    if options.out:
        storage.make_folder(options.out)
    supervise.note(kernel="", case="while it is read")
    k: Any = load(options.file, options.backend)
    seed = secrets.randbelow(2**31) if options.seed is None else options.seed
    supervise.note(backend=k.name, seed=seed)
    found, speeds, places = [], dict[str, list[Speed]](), dict[str, str]()
    machine = None
    for name in k.kernels:
        found.append(verdicts.examine(k, name, seed))
        if not options.no_speed and found[-1].verdict != "wrong" and k.name in TIMED:
            from fastae.backends.numba_backend.workers import cores

            machine = machine or speed.limit(1 if k.name == "numba" else cores())  # a BLAS may use them all
            supervise.note(case="calls that are timed")
            speeds[name] = speed.measure(k, name, machine)
            what = speed.too_fast(name, speeds[name])
            if what:
                found[-1].problems.append(Problem(what, "the same arguments again and again"))
        if options.out:
            _draw(options.out, found[-1])
        if name in LADDERS and found[-1].verdict != "wrong" and not options.no_speed and k.name in (*TIMED, "emulator"):
            places[name] = place(name, k, speeds.get(name, []))
        if not options.json:
            lines = [told(found[-1]), *(_timed(name, s, k.name) for s in speeds.get(name, ()))]
            if name in places:
                lines.append(f"  its place: {places[name]}: fastae ladder {LADDERS[name]} --backend {k.name}")
            print("\n".join(lines), flush=True)
    judged = not any(v.verdict == "wrong" for v in found)
    problem = verdicts.model_gradient(k, seed) if judged else None
    if options.json:
        model = Verdict(MODEL, [problem] if problem else []) if judged else None
        shown = options.gallery or str(options.file)
        print(json.dumps(_as_json(shown, k.name, seed, found, speeds, places, model), indent=1), file=told_to)
    elif problem is not None:
        print("\n".join([f"{MODEL}: WRONG", *_lines(problem)]))
    elif judged:
        others = "" if len(k.kernels) == len(KERNELS) else f"; the other kernels are {k.name}'s"
        print(f"{MODEL}: right: its gradients through these kernels are the reference's{others}")
    else:
        print(_again(options, seed))
    imprecise = options.strict and any(v.verdict == "imprecise" for v in found)
    return int(not judged or problem is not None or imprecise)


def _again(options: argparse.Namespace, seed: int) -> str:
    shown = ["--gallery", options.gallery] if options.gallery else [str(options.file)]
    return f"to see it again: {system.command_line(['fastae', 'check', *shown, '--seed', str(seed)])}"


def _as_json(
    shown: str,
    backend: str,
    seed: int,
    found: list[Verdict],
    speeds: dict[str, list[Speed]],
    places: dict[str, str],
    model: Verdict | None,
) -> dict[str, Any]:
    entries = [{"kernel": v.kernel, "verdict": v.verdict, "right": v.verdict == "right", "calls": v.calls,
                "worst_error_of_bound": v.worst, "problems": [_as_dict(p) for p in v.problems],
                "speed": [s._asdict() for s in speeds.get(v.kernel, ())],
                "place": places.get(v.kernel)} for v in found]  # fmt: skip
    right = model is not None and not model.problems
    tried: dict[str, Any] | None = None if model is None else {"right": right}
    if model is not None and model.problems:
        tried = {"right": right, "problems": [_as_dict(p) for p in model.problems]}
    verdict = max((v.verdict for v in found), key=VERDICTS.index, default="right") if right else "wrong"
    return {"file": shown, "backend": backend, "seed": seed, "verdict": verdict, "right": verdict == "right",
            "kernels": entries, "model": tried}  # fmt: skip


def settings(file: Path, **options: Any) -> argparse.Namespace:
    """Return the command's options for a file, all others as they are by default."""
    parser = argparse.ArgumentParser()
    add_options(parser)
    return argparse.Namespace(**vars(parser.parse_args([str(file)])) | options)


def place(name: str, k: Any, speeds: list[Speed]) -> str:
    """Say between which rungs of its ladder a kernel stands, by its first shape; on the emulator by what is counted."""
    from fastae.ladder import climb, counts  # which call for much that is not needed before

    if not speeds:
        return counts.place(name, k)
    rate = speeds[0].flops if name in speed.FLOPS else speeds[0].bytes
    return climb.place(name, k.name, BATCHES[0], rate)


def _as_dict(problem: Problem) -> dict[str, Any]:
    entry = {"what": problem.what, "case": problem.case, "causes": problem.causes, "picture": problem.picture or None}
    return entry | ({"example": problem.example, "better": problem.better} if problem.better else {})


def _draw(folder: Path, verdict: Verdict) -> None:
    """Draw each problem of which it is known where the errors are."""
    for problem in verdict.problems:
        if problem.share is None:
            continue
        from fastae.check import pictures  # which loads matplotlib

        number = sum(bool(p.picture) for p in verdict.problems)
        path = folder / f"{verdict.kernel}-errors{f'-{number + 1}' if number else ''}.png"
        pictures.draw(path, verdict.kernel, problem)
        problem.picture = str(path)


def told(verdict: Verdict) -> str:
    """Put a verdict in lines."""
    if not verdict.problems:
        return f"{verdict.kernel}: right in {verdict.calls} calls; largest error {verdict.worst:.2f} of what is allowed"
    heading = "imprecise: right on paper, but it loses digits" if verdict.verdict == "imprecise" else "WRONG"
    return "\n".join([f"{verdict.kernel}: {heading}", *(line for p in verdict.problems for line in _lines(p))])


def _timed(name: str, s: Speed, backend: str) -> str:
    whose = "one core's" if backend == "numba" else "all cores'"
    rate = f"{s.flops / 1e9:.3g} GFLOP/s" if name in speed.FLOPS else f"{s.bytes / 1e9:.3g} GB/s"
    return f"  {s.shape}: {s.seconds * 1e6:,.4g} µs, {rate}, {s.share:.0%} of {whose} limit"


def _lines(problem: Problem) -> list[str]:
    lines = [f"  {problem.what}", f"  with {problem.case}{':' * bool(problem.example)}"]
    lines += [f"    {problem.example}"] if problem.example else []
    causes = [cause for cause in problem.causes if not cause.startswith(WHEN)]
    lines += [f"  {'likely' if i == 0 else '    or'}: {cause}" for i, cause in enumerate(causes[:3])]
    lines += [f"  {cause}" for cause in problem.causes if cause.startswith(WHEN)]
    if problem.wrong is not None and problem.wrong.size > 1 and not problem.better:
        lines += ["  where (# wrong, . right):", *(f"    {row}" for row in picture(problem.wrong))]
    if problem.better:
        lines.append(f"  write {problem.better}")
    if problem.picture:
        lines.append(f"  see {problem.picture}")
    return lines


def picture(wrong: np.ndarray) -> list[str]:
    """Draw where the errors are, a character for one element or for a block in which there is one."""
    grid = np.atleast_2d(wrong)
    rows, cols = (np.array_split(np.arange(n), min(n, most)) for n, most in zip(grid.shape, (HEIGHT, WIDTH)))
    return ["".join("#" if grid[np.ix_(r, c)].any() else "." for c in cols) for r in rows]
