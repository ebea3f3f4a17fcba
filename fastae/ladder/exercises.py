"""Exercises: write a rung without its idea, and check whether a learner's file has it again."""

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
WORTH = 1.3  # least gain of a rung for which speed is required; a smaller one cannot be distinguished from noise
BATCH, ROUNDS = 128, 5


def find(name: str) -> Rung:
    """Return the rung whose idea an exercise removes; raises `InputError` if there is no such exercise."""
    for key in KERNELS:
        for language in LANGUAGES:
            for rung in ladder(key, language)[:-1]:
                if rung.exercise == name:
                    return rung
    raise InputError(f"there is no exercise {name!r}; fastae exercise list names them")


def starter(rung: Rung) -> str:
    """Return the file that a learner starts with: the rung without its idea."""
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
    """Return the rung's file without the lines that mark the idea."""
    return MARK.sub("", rung.source)


def default_path(rung: Rung) -> Path:
    """Return the path of the learner's file if no other is given."""
    return Path(f"{rung.exercise}{_suffix(rung)}")


def start(rung: Rung, path: Path | None = None, solved: bool = False) -> Path:
    """Write the starter file, or the solution, and return its path.

    Raises
    ------
    InputError
        The file's suffix is not that of the rung's language.
    OutputError
        The file exists already, or cannot be written.
    """
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
    """Determine whether a correct kernel contains the rung's idea: by its speed, in CUDA by its modelled cycles.

    Parameters
    ----------
    rung : Rung
    learner : Remote
        The learner's file, which defines the rung's kernel.

    Returns
    -------
    reached : bool
    told : str
        The measured and the required gain in words.
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
    """Determine it by the modelled cycles, which are exact, so that small gains count too."""
    from fastae.ladder.counts import count

    ground, top = (count(r.load("emulator"), r.kernel) for r in (below, rung))
    yours = count(learner, rung.kernel)
    gain, found = ground.cycles / top.cycles, ground.cycles / yours.cycles
    told = f"yours takes {yours.cycles:,.0f} modelled cycles ({yours.bound}), rung {below.number} ({below.name}) "
    told += f"{ground.cycles:,.0f}, rung {rung.number} {top.cycles:,.0f}"
    return _judge(gain, found, 1.02, told)


def _judge(gain: float, found: float, worth: float, told: str) -> tuple[bool, str]:
    """Require the square root of the rung's gain, if that gain is at least ``worth``."""
    if gain < worth:
        return True, f"{told}: too small a gain to be asked for"
    wanted = gain**0.5
    return found >= wanted, f"{told}; {wanted:.3g} times the speed of the rung below is asked for"


def _suffix(rung: Rung) -> str:
    return ".cu" if rung.language == "cuda" else ".py"
