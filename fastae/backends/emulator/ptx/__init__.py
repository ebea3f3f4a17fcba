"""Inline PTX as C++: each asm statement becomes calls of ``language/ptx/``, whose accesses are checked like all others.

No text of an asm statement reaches the host's compiler: an unknown instruction becomes a refusal with its name. A new
instruction is a method ``_do_NAME`` in `arithmetic`, `memory` or `warps`, and a function in the header of that name.
"""

import re
from typing import NamedTuple

from fastae.backends.emulator.ptx.instructions import instructions
from fastae.backends.emulator.ptx.text import NOT_EMULATED, Refused

ASM = re.compile(
    r"""//(?:[^\n\\]|\\.)*|/\*.*?\*/|R"(?P<mark>[^()\s\\]*)\(.*?\)(?P=mark)"|"(?:\\.|[^"\\\n])*"|"""
    r"""(?<![0-9a-zA-Z_])'(?:\\.|[^'\\\n])+'|"""
    r"""(?P<asm>\b(?:asm|__asm__|__asm)\b(?:\s|\\\n)*(?:(?:volatile|__volatile__|__volatile)\b(?:\s|\\\n)*)?\()""",
    re.DOTALL,
)
PIECE = re.compile(
    r"""(?P<comment>//[^\n]*|/\*.*?\*/)|(?P<quoted>R"(?P<mark>\w*)\(.*?\)(?P=mark)"|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])+')|"""
    r"""[()\[\]{}:,]""",
    re.DOTALL,
)
TEXT = re.compile(r'R"(\w*)\((.*?)\)\1"|"((?:\\.|[^"\\\n])*)"', re.DOTALL)
OPERAND = re.compile(r'"([^"]*)"\s*\((.*)\)', re.DOTALL)
KINDS = {"h": "u16", "r": "u32", "l": "u64", "f": "f32", "d": "f64", "n": "number"}  # of registers, by constraint
TYPES = {"u16": "unsigned short", "u32": "unsigned", "u64": "unsigned long long", "f32": "float", "f64": "double"}
ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\n": ""}
REFUSAL = re.compile(rf'static_assert\(sizeof refused == 0, "([^"]*) {NOT_EMULATED}"\)')


class Operand(NamedTuple):
    """An operand of an asm statement: the kind of its register, its C++ expression, whether it is written and read."""

    kind: str
    expression: str
    written: bool
    read: bool


def translated(code: str) -> str:
    """Replace the asm statements of CUDA C++, keeping the lines.

    What is no statement, such as the assembler's name of a variable, is left, and does not compile.
    """
    parts, done, at = list[str](), 0, 0
    while "asm" in code and (match := ASM.search(code, at)):
        at = match.end()
        if match["asm"] is None or (sections := _sections(code, at)) is None:
            continue
        *given, end = sections
        breaks = "".join(re.findall(r"\\?\n", code[match.start() : end]))
        parts += [code[done : match.start()], _statement(given), breaks]
        done = at = end
    return "".join([*parts, code[done:]])


def refused_in(words: str) -> tuple[str, str, str] | None:
    """Return file, line and words of a refusal, if the compiler's first error is one."""
    error = re.search(r"^(.+?):(\d+):\d+: (?:fatal )?error: (.*)", words, re.MULTILINE)
    what = re.search(rf'[^":]+ {NOT_EMULATED}', error[3]) if error else None
    return (error[1], error[2], what[0].strip()) if error and what else None


def _sections(code: str, at: int) -> tuple[*tuple[list[str], ...], int] | None:
    """Return the sections of a statement between its colons, split at commas; and where the statement ends."""
    found, depth, begin = [[""]], 1, at
    for piece in PIECE.finditer(code, at):
        found[-1][-1] += code[begin : piece.start()]
        begin = piece.end()
        if piece["comment"]:
            continue
        depth += (piece[0] in "([{") - (piece[0] in ")]}")
        if depth == 0:
            return (*found, begin)
        if depth == 1 and piece[0] == ":":
            found.append([""])
        elif depth == 1 and piece[0] == "," and len(found) > 1:
            found[-1].append("")
        else:
            found[-1][-1] += piece[0]
    return None


def _statement(sections: list[list[str]]) -> str:
    try:
        text = _text(sections[0][0])
        operands = [_operand(o, True) for o in (sections[1] if len(sections) > 1 else []) if _flat(o)]
        operands += [_operand(o, False) for o in (sections[2] if len(sections) > 2 else []) if _flat(o)]
        declared, calls = instructions(text, [o.kind for o in operands])
    except Refused as refused:
        what = str(refused).replace("\\", "").replace('"', "'")
        return f'[](auto refused) {{ static_assert(sizeof refused == 0, "{what} {NOT_EMULATED}"); }}(0)'
    begin, end = "", ""
    for i, (kind, expression, written, read) in enumerate(operands):
        if kind == "number":
            begin += f"const long long ptx_{i} = ({expression}); "
            continue
        value = f"emulated_ptx::give<{TYPES[kind]}>({f'ptx_to_{i}' if written else expression})"
        begin += f"auto& ptx_to_{i} = ({expression}); " if written else ""
        begin += f"{TYPES[kind]} ptx_{i} = {value if read else f'emulated_ptx::unknown<{TYPES[kind]}>()'}; "
        end += f"emulated_ptx::take(ptx_to_{i}, ptx_{i}); " if written else ""
    return f"do {{ {declared}{begin}{calls}{end}}} while (0)"


def _flat(text: str) -> str:
    return " ".join(text.replace("\\\n", " ").split())


def _text(written: str) -> str:
    """Return the PTX of adjacent string literals."""
    if rest := _flat(TEXT.sub(" ", written)):
        raise Refused(f"an asm statement whose text is not written out ({rest[:40]})")
    found = ""
    for literal in TEXT.finditer(written):
        found += literal[2] or re.sub(r"\\(.)", lambda c: ESCAPES.get(c[1], c[1]), literal[3] or "", flags=re.DOTALL)
    return found


def _operand(text: str, written: bool) -> Operand:
    found = OPERAND.fullmatch(_flat(text))
    constraint = found[1].strip() if found else ""
    kind = KINDS.get(constraint.strip("=+& "))
    if found is None or kind is None or (written and constraint[0] not in "=+"):
        raise Refused(f"the operand {_flat(text)[:40]} of an asm statement")
    return Operand(kind, found[2], written, not written or "+" in constraint)
