"""Measure the gap between what is imprecise and what is wrong: errors over the bound of `fastae.check.wide`.

    python tests/attacks/gap.py        # prints the table of docs/bounds.md: a minute

For each kernel, on the judge's own data, the largest error of any formula of `tests/support/honest.py`; and of all the
formats of fewer bits, and of all the known ways to be wrong, that one whose largest error is smallest.
"""

import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from fastae.backends.contract import KERNELS
from fastae.check.calls import cases, shapes, special
from fastae.check.calls.evidence import Call, judged
from fastae.check.cause import formulas
from fastae.check.cause.formulas import parts
from fastae.check.learner import load

NAMES = [name for name in KERNELS if name != "advance"]
SEED = 5
PRODUCTS = 7  # of so many products one is measured


def calls(name: str) -> Iterator[Call]:
    """Make the judge's calls, those of blocks left out; what is written is right."""
    plain = [(dtype, given) for dtype, given, block in shapes.ordinary(name, 1) if not block]
    for number, (dtype, given) in enumerate(plain):
        if name != "matmul" or number % PRODUCTS == 0:
            yield _call(name, dtype, given, cases.made(name, dtype, given, [SEED, number]))
    for dtype in ("float32", "float64"):
        if name in special.HUGE:
            yield _call(name, dtype, {}, special.extremes(dtype))
        if name in special.COARSE:
            yield _call(name, dtype, special.COARSE[name], special.coarse(name, dtype, SEED)[0])


def _call(name: str, dtype: str, given: dict[str, Any], arguments: dict[str, Any]) -> Call:
    call = judged(name, dtype, given, False, arguments, np.empty(0))
    call.found = call.exact
    return call


def share(call: Call, found: np.ndarray, of_right: bool = False) -> float:
    """Return the largest error as a fraction of the wide bound: infinite for NaN, 0 where the kernel would be right.

    With `of_right`, errors of a right kernel count too.
    """
    found, known = np.ma.getdata(found), ~np.ma.getmaskarray(found)
    with np.errstate(all="ignore"):
        error = np.abs(found - call.exact)
        shares = np.where(np.isnan(error), np.inf, error / call.widest)
    right = (error <= call.bound) & ~of_right | (found == call.exact) | (np.isnan(found) & np.isnan(call.exact))
    return float(np.max(np.where(right | ~known, 0, shares), initial=0))


def honest(name: str, files: dict[str, str]) -> dict[str, float]:
    """Return the largest share of each formula of a kernel."""
    shares: dict[str, float] = {}
    with TemporaryDirectory() as folder:
        for what, text in files.items():
            path = Path(folder) / "honest.py"
            path.write_text(f"import numpy as np\n{textwrap.dedent(text)}", encoding="utf-8")
            k: Any = load(path)
            if name in k.kernels:
                with np.errstate(all="ignore"):
                    shares[what] = max(share(c, cases.call(k, name, c.arguments).found, True) for c in calls(name))
    return shares


def lower(name: str) -> tuple[dict[str, float], dict[str, float]]:
    """Return the largest share of each format of fewer bits, for inputs and results, and of each way to be wrong."""
    formats: dict[str, float] = {}
    ways: dict[str, float] = {}
    with np.errstate(all="ignore"):
        for call in calls(name):
            for text, found in formulas.named(name, call.values):
                if found.shape != call.exact.shape:
                    continue
                rounds = text.startswith(parts.ROUNDED)
                if not (rounds and "float32" in text and call.dtype == "float32"):
                    kept = formats if rounds else ways
                    text = f"{text}, {call.dtype}" if rounds else text
                    kept[text] = max(kept.get(text, 0), share(call, found))
            for text, (_, convert) in parts.FORMATS.items():
                if text != call.dtype:
                    text = f"results are rounded to {text}, {call.dtype}"
                    formats[text] = max(formats.get(text, 0), share(call, convert(call.exact)))
    # What has no effect on these data is no way to be wrong: a sign that is lost of numbers that have none.
    return {text: x for text, x in formats.items() if x > 0}, {text: x for text, x in ways.items() if x > 0}


def main() -> None:
    """Print the table."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
    import honest as files

    print("| kernel | honest formulas, at most | fewer bits, at least | which | mistakes, at least | which |")
    print("| --- | ---: | ---: | --- | ---: | --- |")
    for name in NAMES:
        most = max(honest(name, files.NUMPY | files.SUMS).values(), default=np.nan)
        formats, ways = lower(name)
        least = [min(kept, key=lambda text, kept=kept: kept[text]) for kept in (formats, ways)]
        told = [f"{kept[text]:,.2g} | {text}" for kept, text in zip((formats, ways), least)]
        print(f"| `{name}` | {most:.2f} | {told[0]} | {told[1]} |", flush=True)


if __name__ == "__main__":
    main()
