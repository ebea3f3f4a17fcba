"""What is read in a ``.cu`` file before it is compiled: its kernels, its constants, and which headers it needs."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from fastae.cuda.includes import place_of
from fastae.errors import FastaeError

HERE = Path(__file__).parent
INCLUDE = HERE / "include"  # CUDA's headers
WAITS = re.compile(
    r"__sync|_sync\b|__activemask|__nanosleep|mma_|_acquire|\bcooperative_groups\b|\bcuda\s*::(?!\s*std\b)|\barrive|"
    r"\bproducer_|\bconsumer_|\batomic(_ref)?\b|\b(bar|barrier|shfl|vote|match|redux|elect|ldmatrix|mma|mbarrier)\.|"
    r"\.(volatile|relaxed|acquire)\b|\bnanosleep\.|\bactivemask\."
)


class CompileError(FastaeError):
    """A ``.cu`` file that does not compile; ``words`` is all that the compiler prints."""

    words = ""


NEEDED = {  # headers of the emulator that are included where a file, with its PTX translated, has these names
    "language/simd.h": r"\b__v(?:i|ib)?(?:abs|neg|add|sub|avg|hadd|max|min|sad|cmp|set)\w*|\b__dp[24]a\w*",
    "program/api/textures.h": r"\bcuda(?:Texture|Surface|Resource|ChannelFormat|CreateChannel|\w*Array)\w*",
    "language/ptx/ptx.h": r"\bemulated_ptx\s*::",
    "language/ptx/matrices.h": r"\bemulated_ptx\s*::\s*(?:mma|ldmatrix|stmatrix|movmatrix)",
    "include/cuda_fp16.h": r"\bemulated_ptx\b[^;]*\b__half2?\b",
    "include/cuda_bf16.h": r"\bemulated_ptx\b[^;]*\b__nv_bfloat162?\b",
}


class Parameter(NamedTuple):
    """A parameter of a kernel.

    Attributes
    ----------
    name, type : str
        The type without const, spaces and the name: ``"real*"``.
    written : str
        The type as it is written.
    """

    name: str
    type: str
    written: str = ""


def needed(*texts: str, program: bool = False) -> str:
    """Return the ``#include`` lines of `NEEDED` for these texts."""
    names = [name for name in NEEDED if program or not name.startswith("program/")]
    return "".join(f'#include "{name}"\n' for name in names if any(re.search(NEEDED[name], t) for t in texts))


def without_comments(code: str) -> str:
    """Blank out comments, keeping the lines."""
    return re.sub(r"//[^\n]*|/\*.*?\*/", lambda match: "\n" * match[0].count("\n"), code, flags=re.DOTALL)


def waits(code: str) -> bool:
    """Return whether a thread of a ``.cu`` file may wait for others, so that its threads must be fibers."""
    return WAITS.search(without_comments(code)) is not None


def blanked(code: str) -> str:
    """Blank out comments, strings and directives, keeping the lines."""

    def blank(match: re.Match[str]) -> str:
        inner = re.sub(r"[^\n]", " ", match[0])
        return f'"{inner[2:]}"' if match[0].startswith('"') else inner

    code = re.sub(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|(?<!\w)\'(?:\\.|[^\'\\\n])+\'', blank, code, flags=re.DOTALL)
    return re.sub(r"^[ \t]*#(?:[^\n\\]|\\.)*", blank, code, flags=re.MULTILINE | re.DOTALL)


HEAD = re.compile(  # between __global__ and the parameters
    r'(?:\s+|\b(?:static|inline|void|extern|__forceinline__|__noinline__|__host__|__device__)\b|"\s*"|'
    r"\b__(?:launch_bounds|maxnreg|cluster_dims)__\s*\((?:[^()]|\([^()]*\))*\))*(\w+)\s*\("
)


def kernels_of(code: str, templates: bool = False) -> dict[str, list[Parameter]]:
    """Find the kernels of a ``.cu`` file and their parameters; in a namespace, ``outer::name``.

    Parameters
    ----------
    code : str
    templates : bool
        Find those that are templates too.
    """
    plain, found, within = blanked(code), dict[str, list[Parameter]](), list[str]()
    begin = 0  # of the declaration
    for token in re.finditer(r"\bnamespace\s+([\w:]*)\s*\{|[{};]|\b__global__\b", plain):
        if token[0] == "__global__":
            if not templates and re.search(r"\btemplate\b", plain[begin : token.start()]):
                continue
            if head := HEAD.match(plain, token.end()):
                end = closing(plain, head.end())
                name = "::".join([*filter(None, within), head[1]])
                if name not in found or not re.match(r"\s*;", plain[end + 1 :]):
                    found[name] = [
                        _parameter(text, i) for i, text in enumerate(split_at_commas(plain[head.end() : end]))
                    ]
            continue
        begin = token.end()
        if token[0] == "}":
            del within[-1:]
        elif token[0] != ";":
            within.append(token[1] or "")
    return found


def constants_of(code: str) -> frozenset[str]:
    """Return the names of what a ``.cu`` file declares as ``__constant__``."""
    found = set[str]()
    for match in re.finditer(r"\b__constant__\b([^;]*);", blanked(code)):
        depth, flat = 0, ""
        for letter in match[1]:  # without initial values and lengths
            depth -= letter in ")}]"
            flat += letter if depth == 0 else " "
            depth += letter in "({["
        found.update(re.findall(r"(\w+)\s*(?:[\[{(][\])} ]*)*\s*(?:=[^,]*)?(?:,|$)", flat))
    return frozenset(found)


def closing(text: str, at: int) -> int:
    """Return where the parenthesis closes that is open at a place."""
    depth = 1
    for match in re.finditer(r"[()]", text[at:]):
        depth += 1 if match[0] == "(" else -1
        if depth == 0:
            return at + match.start()
    return len(text)


def split_at_commas(text: str) -> Iterator[str]:
    """Yield the parts between commas that are in no brackets."""
    depth, begin = 0, 0
    for i, letter in enumerate(text):
        depth += (letter in "(<[{") - (letter in ")>]}")
        if letter == "," and depth == 0:
            yield text[begin:i]
            begin = i + 1
    if text[begin:].strip() not in ("", "void"):
        yield text[begin:]


def _parameter(text: str, number: int) -> Parameter:
    rows = re.fullmatch(r"\s*(.*?)\b(\w+)\s*\[[^\]]*\]((?:\s*\[[^\]]*\])+)\s*", text, re.DOTALL)
    if rows:  # a pointer to them
        return Parameter(rows[2], "", f"{rows[1].strip()} (*){rows[3]}")
    text = re.sub(r"(\w+)\s*\[[^\]]*\]", r"* \1", text.partition("=")[0]).strip()  # an array is a pointer
    match = re.fullmatch(r"(.*[\s*&>])(\w+)", text, re.DOTALL)
    written, name = match.groups() if match else (text, f"argument {number}")
    words = re.sub(r"\b(const|volatile|struct|__restrict__|__restrict|__grid_constant__)\b", " ", written)
    kind = " ".join(words.replace("*", " * ").split()).replace(" *", "*")
    return Parameter(name, kind, " ".join(written.split()))


def with_place(code: str, at: int, what: str, file: str) -> str:
    """Return a message with file and line of a place in a text."""
    place = place_of(code, at, file)
    return f"{file}, {place}: {what}" if place.startswith("line ") else f"{place}: {what}"


def plain_name(function: str) -> str:
    """Return the name of a function that a demangler writes with its result, template arguments and parameters."""
    while function != (function := re.sub(r"<[^<>]*>|\([^()]*\)(?!::)|\[[^\[\]]*\]", "", function)):
        pass
    return function.split(" ")[-1] if function else ""


def at_declaration(texts: Sequence[str], function: str, variable: str, what: str, file: str) -> str:
    """Return a message about a shared variable of a function, with the place of its declaration in one of the texts."""
    last = re.escape(function.rpartition("::")[2])
    declared = re.compile(rf"\b__shared__\b[^;{{}}]*?\b{re.escape(variable)}\b")
    for head in (rf"\b{last}\s*\(", ""):  # behind the function's name, or anywhere
        for text in texts:
            plain = blanked(text)
            for begin in re.finditer(head, plain) if last or not head else ():
                body = re.compile(r"[{;]").search(plain, begin.end())
                if (not head or (body and body[0] == "{")) and (at := declared.search(plain, begin.end())):
                    return with_place(text, at.start(), what, file)
                if not head:
                    break
    return what
