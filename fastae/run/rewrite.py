"""Rewrite a CUDA program for a C++ compiler, keeping the lines."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from fastae.backends.emulator.ptx import REFUSAL, translated
from fastae.backends.emulator.shared_memory import with_dynamic_shared
from fastae.backends.emulator.source import HEAD, closing
from fastae.cuda.includes import INCLUDE

LEXEME = re.compile(  # a comment, or text in quotes
    r"""(?P<comment>//(?:[^\n\\]|\\.)*|/\*.*?(?:\*/|\Z))|"""
    r"""(?P<quoted>R"(?P<mark>[^()\s\\]*)\(.*?\)(?P=mark)"|"(?:\\.|[^"\\\n])*"|(?<![0-9a-zA-Z_])'(?:\\.|[^'\\\n])+')""",
    re.DOTALL,
)
CAST = re.compile(  # a kernel's address that loses its type
    r"(?:\(\s*(?:const\s+)?void\s*(?:const\s*)?\*\s*\)|\b(?:reinterpret_cast|static_cast)\s*<\s*(?:const\s+)?void\s*\*\s*>)"
)
SIDES = r"[{};]|\b(?P<side>__(?:device|constant|global)__%s)\b|^[ \t]*#(?:[^\n\\]|\\.)*"
ARCH = re.compile(r"\b__CUDA_ARCH__\b")
ON_DEVICE = {  # replacements in functions for the device alone
    ARCH: "EMULATED_CUDA_ARCH",
    re.compile(r"(?<![\w.>:])malloc\b(?=\s*\()"): "emulator::device_malloc",
    re.compile(r"(?<![\w.>:])free\b(?=\s*\()"): "emulator::device_free",
    re.compile(r"\bnew\b(?!\s*\()"): "new (emulator::heap)",
}
ON_EITHER = {  # and in those for both sides
    re.compile(r"(?<![\w.>:])malloc\b(?=\s*\()"): "emulator::malloc_here",
    re.compile(r"(?<![\w.>:])free\b(?=\s*\()"): "emulator::device_free",
    re.compile(r"\bnew\b(?!\s*\()"): "new (emulator::heap_here)",
}
OUTER = re.compile(r"\bnamespace\b[\s\w:]*\Z|\bextern\s*\Z")  # before a brace around declarations


NO_MARKS: Mapping[str, str] = {}


class Nested(Exception):
    """A kernel launches another; the argument is the line."""


class Plain(NamedTuple):
    """A text without comments, and the same without quoted text; places are the same in both."""

    code: str
    bare: str


def plain(text: str) -> Plain:
    """Blank out comments, and quoted text."""

    def blank(match: re.Match[str], quoted: bool) -> str:
        if match["comment"] is None and not quoted:
            return match[0]
        return re.sub(r"[^\n\\]|\\(?!\n)", " ", match[0])

    code = LEXEME.sub(lambda match: blank(match, False), text)
    return Plain(code, LEXEME.sub(lambda match: blank(match, True), code))


def kernels_in(text: str) -> set[str]:
    """Return the names of the kernels that a text declares, of templates too."""
    bare = plain(text).bare
    heads = (HEAD.match(bare, match.end()) for match in re.finditer(r"\b__global__\b", bare))
    return {head[1] for head in heads if head}


def rewritten(
    text: str, kernels: set[str], copy_of: Callable[[str], Path | None], marks: Mapping[str, str] = NO_MARKS
) -> tuple[str, bool]:
    """Return a program, or a file that it includes, as C++.

    Parameters
    ----------
    text : str
    kernels : set of str
        The names of all kernels of the program.
    copy_of : callable
        Returns the rewritten copy of an included file by its name; None for other headers.
    marks : mapping of str to str
        The program's macros for ``__device__`` and its like, with their replacements.

    Returns
    -------
    str
    bool
        Whether it may have variables of the device that are not marked as such.
    """
    code = INCLUDE.sub(lambda match: _included(match, copy_of), translated(plain(text).code))
    code, unknown = _sides(with_dynamic_shared(code), marks)
    return _launches(_addresses(code, kernels)), unknown


def _included(match: re.Match[str], copy_of: Callable[[str], Path | None]) -> str:
    copy = copy_of(match[2] or match[3])
    return match[0] if copy is None else f'{match[1]}"{copy}"'


def _launches(code: str) -> str:
    """Rewrite ``kernel<<<grid, block>>>`` into a call of a launcher, which is then called with the arguments."""
    bare, parts, done = plain(code).bare, list[str](), 0
    for match in re.finditer(r"<<<(?!<)", bare):
        if match.start() < done or (end := _end_of_shape(bare, match.end())) is None:
            continue
        begin = _begin_of_callee(bare, match.start())
        if begin is None or begin < done:
            continue
        callee = " ".join(re.sub(r"\\\n", " ", code[begin : match.start()]).split())
        breaks = "".join(re.findall(r"\\?\n", code[begin : match.start()]))
        name = callee.replace("\\", "\\\\").replace('"', '\\"')
        call = f"{callee}(emulated...)"
        kernel = f"[=](auto&... emulated) UNSEEN -> decltype(void({call})) {{ {call}; }}"
        shape = f"emulator::Shape({code[match.end() : end]})"
        parts += [code[done:begin], f'emulator::launcher("{name}", {kernel}, {shape}){breaks}']
        done = end + len(">>>")
    return "".join([*parts, code[done:]])


def _end_of_shape(bare: str, at: int) -> int | None:
    depth = 0
    for match in re.finditer(r"[()\[\]{}]|>>>+", bare[at:]):
        if match[0][0] == ">":
            if depth == 0:
                return at + match.end() - 3
        else:
            depth += 1 if match[0] in "([{" else -1
            if depth < 0:
                return None
    return None


def _begin_of_callee(bare: str, end: int) -> int | None:
    """Return where the expression before a place begins: names, template arguments, indices, parentheses."""
    at, begin = _before_space(bare, end), None
    while at:
        last = bare[at - 1]
        if last in ">)]":
            opened = _opening(bare, at - 1)
            if opened is None:
                return begin
            at = begin = opened
            before = _before_space(bare, at)
            if last == "]" or last == ">" or (before and (bare[before - 1].isalnum() or bare[before - 1] in "_])")):
                at = before
                continue
        elif last.isalnum() or last == "_":
            word = re.search(r"\w+\Z", bare[:at])
            if word is None or word[0] in ("return", "else", "do", "co_return"):
                return begin
            at = begin = word.start()
        else:
            return begin
        before = _before_space(bare, at)
        link = next((link for link in ("::", "->", ".") if bare[:before].endswith(link)), None)
        if link is None:
            return begin
        begin = at = before - len(link)
        at = _before_space(bare, at)
        if not at or not (bare[at - 1].isalnum() or bare[at - 1] in "_>)]"):
            return begin
    return begin


def _before_space(bare: str, at: int) -> int:
    while at and (bare[at - 1].isspace() or bare[at - 1] == "\\"):
        at -= 1
    return at


def _opening(bare: str, at: int) -> int | None:
    """Return where the bracket opens that closes at a place."""
    pairs = {")": "(", "]": "[", "}": "{", ">": "<"}
    wanted: list[str] = []
    for i in range(at, -1, -1):
        letter = bare[i]
        if letter in ")]}" or (letter == ">" and bare[i - 1] != "-" and (not wanted or wanted[-1] == "<")):
            wanted.append(pairs[letter])
        elif letter in "([{<" and wanted and letter == wanted[-1]:
            wanted.pop()
            if not wanted:
                return i
        elif letter == ";":
            return None
    return None


def _addresses(code: str, kernels: set[str]) -> str:
    """Keep the types of kernels whose addresses become ``void*``."""
    bare, parts, done = plain(code).bare, list[str](), 0
    for cast in CAST.finditer(bare):
        name = re.compile(r"\s*(\(?)\s*&?\s*((?:\w+\s*::\s*)*(\w+))").match(bare, cast.end())
        if name is None or name[3] not in kernels or cast.start() < done:
            continue
        end = name.end()
        if template := re.compile(r"\s*<").match(bare, end):
            closed = _closing_angle(bare, template.end())
            if closed is None:
                continue
            end = closed
        kernel = " ".join(code[name.start(2) : end].split())
        end = end + bare[end:].index(")") + 1 if name[1] else end
        breaks = "".join(re.findall(r"\\?\n", code[cast.start() : end]))
        parts += [code[done : cast.start()], f"emulator::erased({kernel}){breaks}"]
        done = end
    return "".join([*parts, code[done:]])


def _closing_angle(bare: str, at: int) -> int | None:
    depth = 1
    for match in re.finditer(r"[<>();]", bare[at:]):
        depth += {"<": 1, ">": -1}.get(match[0], 0)
        if match[0] == ";":
            return None
        if depth == 0:
            return at + match.end()
    return None


def _sides(code: str, marks: Mapping[str, str] = NO_MARKS) -> tuple[str, bool]:
    """Mark variables of the device, and make the replacements in its functions.

    Returns
    -------
    str
    bool
        Whether there are variables of the device that cannot be marked, such as of templates.
    """
    bare = plain(code).bare
    edits, functions, of_both = list[tuple[int, int, str]](), list[range](), list[range]()
    sides = re.compile(SIDES % "".join(f"|{name}" for name in marks), re.MULTILINE | re.DOTALL)
    inner = list[bool]()  # of each brace that is open: of a class or a function, not of a namespace?
    begin, at, unknown = 0, 0, False  # of the declaration; where to go on
    while token := sides.search(bare, at):
        at = token.end()
        if token["side"] is None:
            if token[0] == "{":
                inner.append(not OUTER.search(bare, begin, token.start()))
            elif token[0] == "}":
                del inner[-1:]
            begin = at
            continue
        end = _end_of_declarator(bare, at)
        head = re.sub(r"\w+", lambda word: marks.get(word[0], word[0]), bare[begin:end])
        if bare[end : end + 1] == "(":
            (of_both if "__host__" in head else functions).append(_body(bare, end))
            at = end
        elif "__global__" not in head and not re.search(r"\b(?:constexpr|__managed__)\b", head) and not _is_const(head):
            if any(inner) or re.search(r"\b(?:template|inline|friend|using|typedef)\b", head):
                unknown = True
            elif "EMULATED" not in head and not any(begin <= start for start, *_ in edits):
                edits.append(
                    (
                        token.start(),
                        token.end(),
                        f"{token[0]} EMULATED_VARIABLE" if token[0] in marks else "EMULATED_VARIABLE",
                    )
                )
    for match in re.finditer("<<<", bare):
        if any(match.start() in body for body in functions):
            raise Nested(bare.count("\n", 0, match.start()) + 1)
    for bodies, words in ((functions, ON_DEVICE), (of_both, ON_EITHER)):
        for word, by in words.items():
            if word is ARCH and REFUSAL.search(code):  # what stands there is for those who have no such assembly
                continue
            found = word.finditer(bare)
            edits += [(*match.span(), by) for match in found if any(match.start() in body for body in bodies)]
    for start, end, by in sorted(edits, reverse=True):
        code = code[:start] + by + code[end:]
    return code, unknown


def _is_const(declared: str) -> bool:
    """Tell whether a variable is constant itself, not only what it points to or is made of."""
    while declared != (declared := re.sub(r"<[^<>]*>", "", declared)):
        pass
    return bool(re.search(r"\bconst\b", declared.rpartition("*")[2]))


def _end_of_declarator(bare: str, at: int) -> int:
    """Return where a declaration comes to its parameters, its size, its value or its end."""
    while match := re.compile(r"\b(?:__align__|alignas|__attribute__|__launch_bounds__|decltype)\s*\(|[(;={[<]").search(
        bare, at
    ):
        if match[0] == "<":
            closed = _closing_angle(bare, match.end())
            if closed is None:
                return match.start()
            at = closed
        elif len(match[0]) > 1:
            at = closing(bare, match.end()) + 1
        else:
            return match.start()
    return len(bare)


def _body(bare: str, at: int) -> range:
    """Return where the body of a function lies whose parameters begin at a place; empty if it is only declared."""
    opened = re.compile(r"[{;]").search(bare, closing(bare, at + 1))
    if opened is None or opened[0] == ";":
        return range(0)
    depth = 0
    for match in re.finditer(r"[{}]", bare[opened.start() :]):
        depth += 1 if match[0] == "{" else -1
        if depth == 0:
            return range(opened.start(), opened.start() + match.end())
    return range(opened.start(), len(bare))
