"""Count how wrong kernels are named: rightly, vaguely, wrongly with confidence, or not at all.

``python tests/attacks/names.py [COLLECTION ...] [--every N] [--list]``, of the collections gallery, styles, students,
mutants and cuda; all by default, about twenty minutes on a core of one's own, or one of every N kernels. Prints a
table, with ``--list`` also what is not named rightly. Exit status 1 if 2% or more are named wrongly, or 85% or fewer
rightly.

A kernel is named

- rightly if what is expected is among the causes that are called likely, or is the exception that it raised;
- vaguely if no cause is called likely, but places, calls or guesses are told ("may be");
- wrongly if a cause is called likely, and none of them is expected;
- not at all if nothing is told but how much is wrong.

What is expected of the gallery, of the styles (``styles.txt``) and of the students' kernels (``students.txt``) is
written beside them. Of a mutant it follows from what was changed: `RULES`.
"""

import argparse
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

sys.path.extend(str(Path(__file__).parents[1] / folder) for folder in (".", "support"))
import changed_kernels
import image_loops

from fastae.check import exhibits, learner, verdict
from fastae.check.calls import shapes
from fastae.check.calls.evidence import MAYBE, WHEN, WHERE
from fastae.check.cause import explain as causes

KINDS = ("rightly", "vaguely", "wrongly", "not at all", "called right")
MOST_WRONG, LEAST_RIGHT = 0.02, 0.85
SEED = 3

# What a mutant's causes must say: the first rule whose left side fits the change.
OUTSIDE = "out of bounds|outside of a"
OFF = "off by one|one (row|column|element|pixel) too|reverse|previous|image (before|behind)"
RULES = [
    (r"out\[:\] = 0 -> pass$", "adds to the old out"),
    (r"-> pass$", "nothing is written|unwritten"),
    (r"^(?!.*(s|total|p) \+=).*-> out\[.*\] \+= ", "adds to the old out|the old out is (read|added)"),
    (r"astype\(np|np\.float(16|32)\(", "precision|float16|float32"),
    (r"-> range\(1, ", "first|rows and columns"),
    (r"-> range\(.* - 1\)", "last|rows and columns"),
    (r"\[(\w+), (\w+)\] -> \w+\[\2, \1\]", f"transposed|exchanged|trans_|down the columns|{OUTSIDE}"),
    (r"\[.*\] -> \w+\[\w+ [-+] 1, \w+\]", f"{OFF}|{OUTSIDE}"),
    (r"^cuda.*(syncthreads|block \()", f"race|before it is written|{OUTSIDE}"),
    (r"^cuda.*(A|B)\[8\]\[8\]", OUTSIDE),
    (r"^cuda.*(row|col) = ", "race|exchanged|rows and columns"),
    (r"^cuda.*ceil", "exchanged|only the last rows|grid"),
    (r"^cuda.*_at\)", "_at is not read"),
    (r"^cuda.*(row < m|col < n|k \?)", f"{OUTSIDE}|last"),
    (r"^cuda.*(\* (m|k|n) \+ |row \* n)", "row stride"),
    (r"^cuda.*\* b_stride \+ p", f"stride|{OUTSIDE}"),
    (r"^cuda.*out \+ col", f"{OUTSIDE}|transposed|exchanged"),
    (r"^cuda.*float sum", "float32"),
    (r"^cuda.*\(trans_|trans_a \?|a\[p \* a_stride \+ row\]", f"trans|{OUTSIDE}"),
    # Arithmetic: a formula has told every number of the calls, so any is right that is not about something else.
    (r"", r"^(?!.*(precision|race|stride of|kept from|times what|more than it)).*"),
]  # fmt: skip


class Case(NamedTuple):
    """One wrong kernel."""

    name: str
    suffix: str
    text: str
    expected: str


class Named(NamedTuple):
    """How it was named, and what was said."""

    case: Case
    kind: str
    said: str


def collections() -> dict[str, list[Case]]:
    """Return the collections by name."""
    return {
        "gallery": list(_gallery()),
        "styles": list(_styles("styles.txt")),
        "students": list(_styles("students.txt")),
        "mutants": list(_mutants(changed_kernels.MUTANTS, ".py")),
        "cuda": list(_mutants(changed_kernels.EMULATED, ".cu")),
    }


def _gallery() -> Iterator[Case]:
    for exhibit in exhibits.exhibits():
        yield Case(exhibit.name, exhibit.path.suffix, exhibit.path.read_text(encoding="utf-8"), exhibit.cause)


def _styles(file: str) -> Iterator[Case]:
    text = (Path(__file__).parent / file).read_text(encoding="utf-8")
    for section in text.split("\n=== ")[1:]:
        name, expected, kernel = section.split("\n", 2)
        yield Case(name, ".cu" if name.startswith("CUDA") else ".py", kernel, expected.partition(" has: ")[2])


def _mutants(mutants: list[changed_kernels.Mutant], suffix: str) -> Iterator[Case]:
    for mutant in mutants:
        if mutant.change not in changed_kernels.SAME:
            words = next(words for change, words in RULES if re.search(change, mutant.change))
            yield Case(mutant.change, suffix, mutant.text, words)


def named(case: Case, folder: Path) -> Named:
    """Check a kernel, and tell how it was named."""
    path = folder / f"wrong{case.suffix}"
    path.write_text(case.text, encoding="utf-8")
    k: Any = learner.load(path, "emulator" if case.suffix == ".cu" else "auto")
    problems = verdict.examine(k, k.kernels[0], SEED).problems
    if not problems:
        return Named(case, "called right", "")
    problem = problems[0]
    sure = [cause for cause in problem.causes if not cause.startswith((MAYBE, WHERE, WHEN))][:3]
    said = f"{problem.what}; {'; '.join(problem.causes) or 'nothing'}"
    raised = " failed" in problem.what
    if any(re.search(case.expected, cause) for cause in sure) or (raised and not sure):
        return Named(case, "rightly", said)
    if any(re.search(case.expected, x) for x in (problem.what, *problem.causes)) and not sure:
        precise = "only the last" in case.expected or "unwritten" in case.expected  # a place is all that can be told
        return Named(case, "rightly" if precise else "vaguely", said)
    if sure:
        return Named(case, "wrongly", said)
    return Named(case, "vaguely" if problem.causes else "not at all", said)


def _all(cases: list[Case], folder: Path, listed: bool) -> Iterator[Named]:
    """Check kernels one after another; tell at once what is not named rightly, if that is wanted."""
    for case in cases:
        found = named(case, folder)
        if listed and found.kind != "rightly":
            print(f"{found.kind}: {case.name}\n  expected {case.expected}\n  {found.said}", flush=True)
        yield found


def smaller() -> None:
    """Let fewer and smaller shapes be called, and fewer calls compared, or it would take hours."""
    shapes.PRODUCTS = ((1, 1, 1), (2, 3, 4), (5, 7, 3), (6, 4, 1), (8, 5, 3), (8, 8, 8), (17, 33, 18))
    shapes.MATRICES = ((1, 1), (1, 5), (3, 4), (8, 8), (17, 33))
    shapes.IMAGES = image_loops.SMALL
    verdict.MOST_PROBLEMS, causes.MOST_CALLS = 12, 8


def main(chosen: list[str], every: int, listed: bool) -> int:
    """Print the table; return the exit status."""
    smaller()
    total = Counter[str]()
    print("| collection | kernels |", *(f"{kind} |" for kind in KINDS))
    print("| --- | ---: |", *("---: |" for _ in KINDS))
    known = collections()
    with tempfile.TemporaryDirectory(prefix="fastae-names-") as folder:
        for name in chosen or known:
            found = list(_all(known[name][::every], Path(folder), listed))
            counts = Counter(x.kind for x in found)
            total += counts
            print(f"| {name} | {len(found)} |", *(f"{counts[kind]} |" for kind in KINDS), flush=True)
    count = total.total()
    print(f"| all | {count} |", *(f"{total[kind]} ({total[kind] / count:.1%}) |" for kind in KINDS))
    return int(total["wrongly"] / count >= MOST_WRONG or total["rightly"] / count <= LEAST_RIGHT)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("collections", nargs="*", metavar="COLLECTION")
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    sys.exit(main(options.collections, options.every, options.list))
