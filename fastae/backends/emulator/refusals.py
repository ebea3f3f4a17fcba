"""What the emulator does not have of CUDA: tables of patterns, and the messages of refusals."""

import re
from collections.abc import Iterator

from fastae.backends.emulator.ptx import REFUSAL, translated
from fastae.backends.emulator.source import INCLUDE, blanked, with_place
from fastae.cuda.includes import MARKER

NOT_IN_KERNELS = {  # what whole programs alone may use: a pattern, and the words before "not emulated"
    r"\bsurf(?:1D|2D|3D)\w*|\bcudaSurfaceObject_t\b": "surfaces are",
    r"\btex(?:1D|2D|3D)\w*\s*[<(]|\bcudaTextureObject_t\b": "textures are",
    r"<<<": "launches by <<< >>> are",
    r"\bcuda(?:Malloc|Memcpy|Memset|Free|Launch|DeviceSync|Stream|Event|Get)\w*(?=\s*\()": "{0}(), of the host, is",
}
NOT_EMULATED = {  # and what they may not use either
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
HEADERS = {  # the headers of that
    r"cuda_(fp8|fp6|fp4)\.(h|hpp)": "floating point of 8 bits and fewer is",
    r"cuda/.*|cuda_awbarrier\w*\.h": "{0}, of CUDA's library, is",
    r"curand\w*\.h": "cuRAND is",
    r"cu(blas|fft|sparse|solver|dnn)\w*\.h": "CUDA's libraries are",
    r"(thrust|cub)/.*": "thrust and cub are",
    r"(texture|surface)\w*\.h": "textures and surfaces are",
}
DECLARED = {  # names that need the include of their header
    r"\b(?:__half2?|half2?|__float2half\w*|__half2float)\b": "cuda_fp16.h",
    r"\b(?:__)?nv_bfloat162?\b|\b__float2bfloat16\w*": "cuda_bf16.h",
    r"\b(?:nvcuda|wmma)\s*::": "mma.h",
    r"\bcurand(?:State\w*|_init|_uniform\w*|_normal\w*)\b": "curand_kernel.h",
}


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
            return with_place(code, at, f"{what} not emulated", file)
        if marker:
            theirs, begin = marker[2].startswith(("/", "<")), marker.end()
    return ""


def not_included(code: str, file: str, error: str) -> str:
    """Return the first name in a ``.cu`` file that a compiler's error speaks of and whose header is not included."""
    plain, found = blanked(code), list[tuple[int, str, str]]()
    for pattern, header in DECLARED.items():
        if not re.search(rf"(?:{re.escape(header)}|\bmma\.h)[>\"]", code):
            names = ((match.start(), match[0].rstrip(": "), header) for match in re.finditer(pattern, plain))
            found += [name for name in names if f"'{name[1]}'" in error]
    if not found:
        return ""
    at, name, header = min(found)
    return with_place(code, at, f"{name} is declared in {header}: #include <{header}>", file)


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
    return with_place(code, found[0][0], f"{found[0][1]} not emulated", file) if found else ""


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
    if not program:  # for a program the compiler has reported the refusals that it met
        yield from ((match.start(), f"{match[1]} is") for match in REFUSAL.finditer(code))
    plain = blanked(code)
    for pattern, what in (NOT_EMULATED if program else NOT_EMULATED | NOT_IN_KERNELS).items():
        yield from ((match.start(), what.format(match[0])) for match in re.finditer(pattern, plain))
