"""What is read in a ``.cu`` file before it is compiled: its kernels, and what the emulator does not have."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from fastae.backends.emulator.ptx import REFUSAL, translated
from fastae.cuda.includes import MARKER, place_of
from fastae.errors import FastaeError

INCLUDE = Path(__file__).parent / "include"  # CUDA's headers


class CompileError(FastaeError):
    """A ``.cu`` file that the compiler refuses; ``words`` is all that the compiler says."""

    words = ""


NOT_IN_KERNELS = {  # of what CUDA has, but for whole programs: a pattern, and what to say
    r"\bsurf(?:1D|2D|3D)\w*|\bcudaSurfaceObject_t\b": "surfaces are",
    r"\btex(?:1D|2D|3D)\w*\s*[<(]|\bcudaTextureObject_t\b": "textures are",
    r"<<<": "launches by <<< >>> are",
    r"\bcuda(?:Malloc|Memcpy|Memset|Free|Launch|DeviceSync|Stream|Event|Get)\w*(?=\s*\()": "{0}(), of the host, is",
}
NOT_EMULATED = {  # nor in whole programs
    r"\b(?:__)?asm(?:__)?\b": "asm that is no statement is",
    r"\b(?:texture|surface)\s*<": "texture and surface references, which CUDA 12 has no more, are",
    r"\b(?:tex|surf)Cubemap\w*|\btex2Dgather|\b(?:tex|surf)\w*(?:Layered|Grad|MipmappedArray)\w*": "{0} is",
    r"\bcudaGraph(?:Create|Add\w+|ExecUpdate|ExecKernel\w*|Kernel\w*)(?=\s*\()": "{0}(), of no captured graph, is",
    r"\bcurand(?:Generat|Create|Destroy|Set|State(?:MRG|Sobol|Scrambled|Mtgp)|"
    r"_poisson|_discrete)\w*": "{0}, of cuRAND, is",
    r"__cluster_dims__|\bthis_cluster\b(?=\s*\()|\bcluster_group\b|"
    r"\bcudaLaunchAttributeCluster\w+": "{0}, of clusters of blocks, is",
    r"\bcu(?:blas|fft|sparse|solver|dnn)\w+": "{0}, of CUDA's libraries, is",
    r"\b(?:thrust|cub)\s*::": "thrust and cub are",
    r"\bwmma\s*::\s*(?:experimental\b|bmma_sync\b)": "{0}, for fragments of bits, is",
    r"\b__nv_fp[468]\w*|\b__nv_cvt_\w*fp[468]\w*": "{0}, of 8 bits and fewer, is",
    r"\bcuda\s*::\s*(?:device|ptx)\s*::\s*\w+": "{0}, for bulk copies and PTX, is",
    r"\bcuda\s*::\s*(?:\w*_semaphore|latch|annotated_ptr|access_property|discard_memory|mr|stream_ref)\b|"
    r"\b(?:nvcuda::experimental::)?awbarrier\b": "{0}, of CUDA's library, is",
}
HEADERS = {  # and which headers have it
    r"cuda_(fp8|fp6|fp4)\.(h|hpp)": "floating point of 8 bits and fewer is",
    r"cuda/.*|cuda_awbarrier\w*\.h": "{0}, of CUDA's library, is",
    r"curand\w*\.h": "cuRAND is",
    r"cu(blas|fft|sparse|solver|dnn)\w*\.h": "CUDA's libraries are",
    r"(thrust|cub)/.*": "thrust and cub are",
    r"(texture|surface)\w*\.h": "textures and surfaces are",
}
DECLARED = {  # what is there only where its header is included
    r"\b(?:__half2?|half2?|__float2half\w*|__half2float)\b": "cuda_fp16.h",
    r"\b(?:__)?nv_bfloat162?\b|\b__float2bfloat16\w*": "cuda_bf16.h",
    r"\b(?:nvcuda|wmma)\s*::": "mma.h",
    r"\bcurand(?:State\w*|_init|_uniform\w*|_normal\w*)\b": "curand_kernel.h",
}


NEEDED = {  # which of the emulator's headers is included where a file, its PTX translated, names what is in it
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
    """Return the includes of the emulator's headers that texts need beyond device.h."""
    names = [name for name in NEEDED if program or not name.startswith("program/")]
    return "".join(f'#include "{name}"\n' for name in names if any(re.search(NEEDED[name], t) for t in texts))


def without_comments(code: str) -> str:
    """Blank out comments, keeping the lines."""
    return re.sub(r"//[^\n]*|/\*.*?\*/", lambda match: "\n" * match[0].count("\n"), code, flags=re.DOTALL)


def _plain(code: str) -> str:
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
    plain, found, within = _plain(code), dict[str, list[Parameter]](), list[str]()
    begin = 0  # of the declaration
    for token in re.finditer(r"\bnamespace\s+([\w:]*)\s*\{|[{};]|\b__global__\b", plain):
        if token[0] == "__global__":
            if not templates and re.search(r"\btemplate\b", plain[begin : token.start()]):
                continue
            if head := HEAD.match(plain, token.end()):
                end = _closing(plain, head.end())
                name = "::".join([*filter(None, within), head[1]])
                if name not in found or not re.match(r"\s*;", plain[end + 1 :]):
                    found[name] = [_parameter(text, i) for i, text in enumerate(_split(plain[head.end() : end]))]
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
    for match in re.finditer(r"\b__constant__\b([^;]*);", _plain(code)):
        depth, flat = 0, ""
        for letter in match[1]:  # without initial values and lengths
            depth -= letter in ")}]"
            flat += letter if depth == 0 else " "
            depth += letter in "({["
        found.update(re.findall(r"(\w+)\s*(?:[\[{(][\])} ]*)*\s*(?:=[^,]*)?(?:,|$)", flat))
    return frozenset(found)


def _closing(text: str, at: int) -> int:
    """Return where the parenthesis ends in which a place is."""
    depth = 1
    for match in re.finditer(r"[()]", text[at:]):
        depth += 1 if match[0] == "(" else -1
        if depth == 0:
            return at + match.start()
    return len(text)


def _split(text: str) -> Iterator[str]:
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


def not_emulated(code: str, file: str, program: bool = False) -> str:
    """Return the first thing in a ``.cu`` file that the emulator does not have, with file and line; or nothing.

    Parameters
    ----------
    code : str
        As it is written, or as the preprocessor leaves it, with its markers of files and lines.
    file : str
        Its name.
    program : bool
        It is a whole program, for which functions of the host are there.
    """
    theirs, begin = False, 0
    code = translated(code)
    for marker in [*MARKER.finditer(code), None]:
        end = marker.start() if marker else len(code)
        found = [] if theirs else [(begin + at, what) for at, what in _lacking(code[begin:end], program)]
        if found:
            at, what = min(found)
            return _told(code, at, f"{what} not emulated", file)
        if marker:
            theirs, begin = marker[2].startswith(("/", "<")), marker.end()
    return ""


def not_included(code: str, file: str, error: str) -> str:
    """Return the first name in a ``.cu`` file that a compiler's error speaks of and whose header is not included."""
    plain, found = _plain(code), list[tuple[int, str, str]]()
    for pattern, header in DECLARED.items():
        if not re.search(rf"(?:{re.escape(header)}|\bmma\.h)[>\"]", code):
            names = ((match.start(), match[0].rstrip(": "), header) for match in re.finditer(pattern, plain))
            found += [name for name in names if f"'{name[1]}'" in error]
    if not found:
        return ""
    at, name, header = min(found)
    return _told(code, at, f"{name} is declared in {header}: #include <{header}>", file)


def defined_twice(words: str) -> str:
    """Return what a compiler says of a kernel that is defined a second time, with both lines; or nothing."""
    second = re.search(r"^(.+?):(\d+):\d+: error: redefinition of '(.*)'$", words, re.MULTILINE)
    first = re.search(r"^(.+?):(\d+):\d+: note: .*(?:previously|previous definition)", words, re.MULTILINE)
    if second is None or first is None:
        return ""
    name = re.search(r"(\w+)\(", second[3]) or re.search(r"(\w+)$", second[3])
    place = f"line {first[2]}" if first[1] == second[1] else f"{first[1]}, line {first[2]}"
    return f"{second[1]}, line {second[2]}: {name[1] if name else second[3]} is defined a second time: first at {place}"


def lacking_headers(code: str, file: str) -> str:
    """Return the first header that a ``.cu`` file includes of what the emulator does not have, with file and line."""
    found = sorted(_headers(code))
    return _told(code, found[0][0], f"{found[0][1]} not emulated", file) if found else ""


def _told(code: str, at: int, what: str, file: str) -> str:
    place = place_of(code, at, file)
    return f"{file}, {place}: {what}" if place.startswith("line ") else f"{place}: {what}"


def plain_name(function: str) -> str:
    """Return the name of a function that a demangler writes with its result, template arguments and parameters."""
    while function != (function := re.sub(r"<[^<>]*>|\([^()]*\)(?!::)|\[[^\[\]]*\]", "", function)):
        pass
    return function.split(" ")[-1] if function else ""


def told_in(texts: Sequence[str], function: str, variable: str, what: str, file: str) -> str:
    """Return words about a shared variable of a function behind the place of its declaration in one of the texts."""
    last = re.escape(function.rpartition("::")[2])
    declared = re.compile(rf"\b__shared__\b[^;{{}}]*?\b{re.escape(variable)}\b")
    for head in (rf"\b{last}\s*\(", ""):  # behind the function's name, or anywhere
        for text in texts:
            plain = _plain(text)
            for begin in re.finditer(head, plain) if last or not head else ():
                body = re.compile(r"[{;]").search(plain, begin.end())
                if (not head or (body and body[0] == "{")) and (at := declared.search(plain, begin.end())):
                    return _told(text, at.start(), what, file)
                if not head:
                    break
    return what


def _headers(code: str) -> Iterator[tuple[int, str]]:
    """Yield places and what is lacking there."""
    commented = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
    visible = commented.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), code)
    for match in re.finditer(r'^[ \t]*#[ \t]*include[ \t]*[<"]([^>"\n]+)[>"]', visible, re.MULTILINE):
        for header, what in HEADERS.items():
            if re.fullmatch(header, match[1]) and not (INCLUDE / match[1]).exists():
                yield match.start(1), what.format(match[1])


def _lacking(code: str, program: bool) -> Iterator[tuple[int, str]]:
    yield from _headers(code)
    if not program:  # of which all was compiled: the compiler has told what it came to
        yield from ((match.start(), f"{match[1]} is") for match in REFUSAL.finditer(code))
    plain = _plain(code)
    for pattern, what in (NOT_EMULATED if program else NOT_EMULATED | NOT_IN_KERNELS).items():
        yield from ((match.start(), what.format(match[0])) for match in re.finditer(pattern, plain))
