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

from fastae import storage
from fastae.backends.contract import KERNELS
from fastae.check import exhibits, speed
from fastae.check import verdict as verdicts
from fastae.check.learner import load
from fastae.check.patterns import WHEN
from fastae.check.problem import quiet
from fastae.check.speed import BATCHES, Speed
from fastae.check.verdict import Problem, Verdict
from fastae.errors import FastaeError, InputError
from fastae.ladder.rungs import LADDERS

TIMED = ("numpy", "numba")  # the emulator's time means nothing
WIDTH, HEIGHT = 48, 12  # of a picture of errors, in characters


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
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
    option("--json", action="store_true", help="print the verdict as JSON")
    option("--watch", action="store_true", help="check again whenever the file is saved, until Ctrl-C")
    option("--out", type=Path, metavar="DIR", help="draw where a wrong kernel's errors are: DIR/KERNEL-errors.png")


def run(options: argparse.Namespace) -> int:
    """Check a file; return 0 if all is right, 1 if something is wrong."""
    if options.file is None and options.gallery is None:
        raise InputError("give a FILE to check, or --gallery for known ways to be wrong")
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
        print(f"\nwatching {options.file}; Ctrl-C ends", flush=True)
        while _stamp(options.file) == stamp:
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
        return _check(options, told_to)


def _check(options: argparse.Namespace, told_to: Any) -> int:
    shown = f"--gallery {options.gallery}" if options.gallery else str(options.file)
    if options.out:
        storage.make_folder(options.out)
    k: Any = load(options.file, options.backend)
    seed = secrets.randbelow(2**31) if options.seed is None else options.seed
    found, speeds, places = [], dict[str, list[Speed]](), dict[str, str]()
    machine = None
    for name in k.kernels:
        found.append(verdicts.examine(k, name, seed))
        if not options.no_speed and not found[-1].problems and k.name in TIMED:
            from fastae.backends.numba_backend.session import cores  # loads Numba, which measures the limits

            machine = machine or speed.limit(1 if k.name == "numba" else cores())  # a BLAS may use them all
            speeds[name] = speed.measure(k, name, machine)
            what = speed.too_fast(name, speeds[name])
            if what:
                found[-1].problems.append(Problem(what, "the same arguments again and again"))
        if options.out:
            _draw(options.out, found[-1])
        if name in LADDERS and not found[-1].problems and not options.no_speed and k.name in (*TIMED, "emulator"):
            places[name] = place(name, k, speeds.get(name, []))
        if not options.json:
            lines = [told(found[-1]), *(_timed(name, s, k.name) for s in speeds.get(name, ()))]
            if name in places:
                lines.append(f"  its place: {places[name]}: fastae ladder {LADDERS[name]} --backend {k.name}")
            print("\n".join(lines), flush=True)
    problem = None if any(v.problems for v in found) else verdicts.model_gradient(k, seed)
    wrong = problem is not None or any(v.problems for v in found)
    if options.json:
        entries = [{"kernel": v.kernel, "right": not v.problems, "calls": v.calls, "worst_error_of_bound": v.worst,
                    "problems": [_as_dict(p) for p in v.problems],
                    "speed": [s._asdict() for s in speeds.get(v.kernel, ())],
                    "place": places.get(v.kernel)} for v in found]  # fmt: skip
        model: dict[str, Any] | None = None if any(v.problems for v in found) else {"right": problem is None}
        if problem is not None and model is not None:
            model |= {"problems": [_as_dict(problem)]}
        print(json.dumps({"file": options.gallery or str(options.file), "backend": k.name, "seed": seed,
                          "right": not wrong, "kernels": entries, "model": model}, indent=1),
              file=told_to)  # fmt: skip
    elif problem is not None:
        print("\n".join(["the model: WRONG", *_lines(problem)]))
    elif not wrong:
        others = "" if len(k.kernels) == len(KERNELS) else f"; the other kernels are {k.name}'s"
        print(f"the model: right: its gradients through these kernels are the reference's{others}")
    else:
        print(f"to see it again: fastae check {shown} --seed {seed}")
    return int(wrong)


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
    rate = speeds[0].flops if name == "matmul" else speeds[0].bytes
    return climb.place(name, k.name, BATCHES[0], rate)


def _as_dict(problem: Problem) -> dict[str, Any]:
    return {"what": problem.what, "case": problem.case, "causes": problem.causes, "picture": problem.picture or None}


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
    return "\n".join([f"{verdict.kernel}: WRONG", *(line for p in verdict.problems for line in _lines(p))])


def _timed(name: str, s: Speed, backend: str) -> str:
    whose = "one core's" if backend == "numba" else "all cores'"
    rate = f"{s.flops / 1e9:.3g} GFLOP/s" if name == "matmul" else f"{s.bytes / 1e9:.3g} GB/s"
    return f"  {s.shape}: {s.seconds * 1e6:,.4g} µs, {rate}, {s.share:.0%} of {whose} limit"


def _lines(problem: Problem) -> list[str]:
    lines = [f"  {problem.what}", f"  with {problem.case}"]
    causes = [cause for cause in problem.causes if not cause.startswith(WHEN)]
    lines += [f"  {'likely' if i == 0 else '    or'}: {cause}" for i, cause in enumerate(causes[:3])]
    lines += [f"  {cause}" for cause in problem.causes if cause.startswith(WHEN)]
    if problem.wrong is not None and problem.wrong.size > 1:
        lines += ["  where (# wrong, . right):", *(f"    {row}" for row in picture(problem.wrong))]
    if problem.picture:
        lines.append(f"  see {problem.picture}")
    return lines


def picture(wrong: np.ndarray) -> list[str]:
    """Draw where the errors are, a character for one element or for a block in which there is one."""
    grid = np.atleast_2d(wrong)
    rows, cols = (np.array_split(np.arange(n), min(n, most)) for n, most in zip(grid.shape, (HEIGHT, WIDTH)))
    return ["".join("#" if grid[np.ix_(r, c)].any() else "." for c in cols) for r in rows]
