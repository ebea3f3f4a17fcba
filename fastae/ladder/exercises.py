"""Exercises: a rung with its idea taken out, and the check whether it is back."""

import re
import textwrap
from pathlib import Path

from fastae.check.sandbox.process import Rungs
from fastae.check.sandbox.remote import Remote
from fastae.errors import InputError, OutputError
from fastae.ladder.climb import rates
from fastae.ladder.rungs import KERNELS, LANGUAGES, Rung, ladder, split
from fastae.operations import kernels_of

IDEA = re.compile(r"^([ \t]*)(#|//) idea\n.*?^[ \t]*\2 end\n", re.MULTILINE | re.DOTALL)
MARK = re.compile(r"^[ \t]*(#|//) (idea|end)\n", re.MULTILINE)
WIDTH = 110
WORTH = 1.3  # the gain of a rung above which its speed is asked for; less cannot be told from noise
BATCH, ROUNDS = 128, 5


def names() -> list[str]:
    """Return the names of all exercises."""
    return [rung.exercise for key in KERNELS for language in LANGUAGES for rung in ladder(key, language)[:-1]]


def find(name: str) -> Rung:
    """Return the rung whose idea an exercise takes out; raises `InputError`."""
    for key in KERNELS:
        for language in LANGUAGES:
            for rung in ladder(key, language)[:-1]:
                if rung.exercise == name:
                    return rung
    raise InputError(f"there is no exercise {name!r}; fastae exercise list names them")


def starter(rung: Rung) -> str:
    """Return what a learner begins with: the rung's file without its idea."""
    _, code = split(rung.source)
    words = [f"Exercise {rung.exercise}: {rung.title}", rung.idea and f"Idea: {rung.idea}", f"Your turn: {rung.hint}"]
    file = default_path(rung)
    trains = f"; fastae train --kernels {file} trains with it" * (rung.kernel in kernels_of("sigmoid", ["dense"]))
    words += [f"fastae check {file} --watch tells what is right and wrong; fastae exercise check {rung.exercise} also "
              f"whether the idea is there{trains}."]  # fmt: skip
    said = "\n\n".join(textwrap.fill(text, WIDTH) for text in words if text)

    def gap(match: re.Match[str]) -> str:
        indent, slashes = match[1], match[2]
        text = textwrap.fill(f"Your turn: {rung.hint}", WIDTH, initial_indent=f"{indent}{slashes} ",
                             subsequent_indent=f"{indent}{slashes} ")  # fmt: skip
        return f"{text}\n" + (f"{indent}pass\n" if slashes == "#" else "")

    code = IDEA.sub(gap, code)
    if _suffix(rung) == ".cu":
        return textwrap.indent(said, "// ", lambda line: True).replace("// \n", "//\n") + f"\n\n{code}"
    return f'"""{said}\n"""\n\n{code}'


def solution(rung: Rung) -> str:
    """Return the rung's code without the marks."""
    return MARK.sub("", rung.source)


def default_path(rung: Rung) -> Path:
    """Return where a learner's file is unless another is named."""
    return Path(f"{rung.exercise}{_suffix(rung)}")


def start(rung: Rung, path: Path | None = None, solved: bool = False) -> Path:
    """Write the starter file, or the solution; raises `OutputError` rather than overwrite a file."""
    path = path or default_path(rung)
    if path.suffix != _suffix(rung):
        raise InputError(f"the file of {rung.exercise} must end in {_suffix(rung)}; got {path}")
    try:
        with open(path, "x", encoding="utf-8") as file:
            file.write(solution(rung) if solved else starter(rung))
    except FileExistsError as error:
        raise OutputError(f"{path} exists already; remove it, or name another file") from error
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
    return path


def goal(rung: Rung, learner: Remote) -> tuple[bool, str]:
    """Tell whether a right kernel has the rung's idea in it, by what the idea is for.

    Parameters
    ----------
    rung : Rung
    learner : Remote
        The learner's file, with the kernel in it.

    Returns
    -------
    reached : bool
    told : str
        In words.
    """
    if rung.number == 1:
        return True, "the first rung has no other goal than to be right"
    below = ladder(rung.ladder, rung.language)[rung.number - 2]
    if rung.language == "cuda":
        return _counted(rung, below, learner)
    with Rungs(rung.ladder, rung.language) as rungs:
        kernels = [(rungs, str(below.number)), (rungs, str(rung.number)), (learner, rung.kernel)]
        ground, top, yours = rates(kernels, rung.kernel, BATCH, ROUNDS)
    gain, found = top / ground, yours / ground
    told = f"yours is {found:.3g} times as fast as rung {below.number} ({below.name}); rung {rung.number} is {gain:.3g}"
    return _judge(gain, found, WORTH, told)


def _counted(rung: Rung, below: Rung, learner: Remote) -> tuple[bool, str]:
    """Let the model of what can be counted decide; it is exact, so small gains count too."""
    from fastae.ladder.counts import count

    ground, top = (count(r.load("emulator"), r.kernel) for r in (below, rung))
    yours = count(learner, rung.kernel)
    gain, found = ground.cycles / top.cycles, ground.cycles / yours.cycles
    told = f"yours takes {yours.cycles:,.0f} modelled cycles ({yours.bound}), rung {below.number} ({below.name}) "
    told += f"{ground.cycles:,.0f}, rung {rung.number} {top.cycles:,.0f}"
    return _judge(gain, found, 1.02, told)


def _judge(gain: float, found: float, worth: float, told: str) -> tuple[bool, str]:
    """Ask for half of a gain, on a scale of factors, if it is worth that."""
    if gain < worth:
        return True, f"{told}: too small a gain to be asked for"
    wanted = gain**0.5
    return found >= wanted, f"{told}; {wanted:.3g} times the speed of the rung below is asked for"


def _suffix(rung: Rung) -> str:
    return ".cu" if rung.language == "cuda" else ".py"
