"""Shared memory: its declarations rewritten for C++, and its section in an object file."""

import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from fastae.backends.emulator.source import CompileError, at_declaration, plain_name, without_comments
from fastae.backends.emulator.toolchain import run, sections

DYNAMIC = re.compile(  # or a comment or string, which stays as it is
    r"""//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|"""
    r"""\b(?P<kind>(?:extern\b[^;{}"\[\]]*?\b__shared__|__shared__\s+extern)\b[^;{}"\[\]]*?)"""
    r"""\b(?P<name>\w+)\s*\[\s*\](?P<rest>(?:\s*\[[^\]]*\])*)\s*;""",
    re.DOTALL,
)
ALIGNED = re.compile(r"\b(?:__align__|alignas)\s*\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)")
MOST_STATIC, MOST_SHARED = 48 << 10, 227 << 10  # bytes of a block: of static shared memory; and of dynamic, if allowed
SECTION = "cushared,alloc,load,data,contents"  # of static shared memory, and its flags for objcopy
SHARED = re.compile(r"\b__shared__\b([^;{}]*);")
STATIC = re.compile(
    r"\bstatic[ \t]+(?=__shared__\b)|(?<=\b__shared__)[ \t]+static\b"
)  # shared memory is static without it
ALIGNED_LATE = re.compile(rf"(\b__shared__\s+)({ALIGNED.pattern})")  # C++ takes it first alone


def shares_structs(*texts: str) -> bool:
    """Return whether structs of the code's own lie in shared memory; they may have holes between their members."""
    plain = "\n".join(map(without_comments, texts))
    aligned = r"(?:(?:alignas|__align__)\s*\([^()]*\)\s*)?"
    own = set(re.findall(rf"\b(?:struct|class|union)\s+{aligned}(\w+)", plain))
    return any(own & set(re.findall(r"\w+", declared)) for declared in SHARED.findall(plain))


def with_dynamic_shared(code: str) -> str:
    """Make ``extern __shared__ T name[]`` a pointer to the beginning of dynamic shared memory.

    The alignment of static shared memory is put in front of the declaration, where C++ takes it.
    """

    def pointer(match: re.Match[str]) -> str:
        if match["name"] is None:
            return match[0]
        kind = " ".join(ALIGNED.sub(" ", re.sub(r"\b(extern|__shared__)\b", " ", match["kind"])).split())
        declared = f"static {kind} (* const {match['name']}){match['rest']}"
        value = f"reinterpret_cast<{kind} (*){match['rest']}>(emulator::room.shared)"
        return f"{declared} = {value};" + "\n" * (match[0].count("\n") - 2 * match["rest"].count("\n"))

    return DYNAMIC.sub(pointer, ALIGNED_LATE.sub(r"\2 \1", STATIC.sub("", code)))


def gather_shared(path: Path, *texts: str, file: str = "") -> None:
    """Make one section of all static shared memory; raises `CompileError` if a function has more than `MOST_STATIC`.

    GCC ignores the section of a variable of a template (its bug 41091); these variables are found by their names.

    Parameters
    ----------
    path : Path
        Of the object file.
    *texts : str
        The sources.
    file : str
        Of the first source.
    """
    declared = [d for text in texts for d in SHARED.findall(without_comments(text))]
    names = {name for d in declared for name in re.findall(r"(\w+)\s*(?=,|\Z)", re.sub(r"\[[^\]]*\]", "", d))}
    names_of_sections = "\n".join(sections(path))
    of_templates = set(re.findall(r"\.bss\._ZZ\w+", names_of_sections))
    ours = [s for s in of_templates if (match := re.search(r"E\d+(\w+?)(?:_\d+)?$", s)) and match[1] in names]
    ours += re.findall(r"\bcushared\d+", names_of_sections)
    if ours:
        tool = shutil.which("objcopy")
        if tool is None:
            raise CompileError("the emulator needs objcopy for shared memory: install binutils")
        sizes = sections(path)
        run(tool, *(f"--rename-section={section}={SECTION}" for section in sorted(set(ours))), path)
        if sum(sizes[section] for section in set(ours)) > MOST_STATIC:
            _refuse_static(path, texts, file)


def _refuse_static(path: Path, texts: Sequence[str], file: str) -> None:
    """Refuse a function that declares more static shared memory than a block may have, as NVIDIA's assembler does."""
    tool = shutil.which("nm")
    if tool is None:
        return
    functions = dict[str, dict[str, int]]()
    for line in run(tool, "-C", "-f", "sysv", path).splitlines():
        name, *_, kind, size, _, section = line.rsplit("|", 6) if line.count("|") >= 6 else [""] * 7
        if section.strip() == SECTION.partition(",")[0] and "OBJECT" in kind:
            function, _, variable = name.strip().rpartition("::")
            functions.setdefault(function, {})[variable] = int(size, 16)
    for function, variables in functions.items():
        name, total = plain_name(function), sum(variables.values())
        if total > MOST_STATIC:
            parts = ", ".join(f"{variable} {size}" for variable, size in variables.items())
            what = (
                f"{name or 'the file'} declares {total} bytes of shared memory ({parts}), but a block may have "
                f"{MOST_STATIC} of static shared memory; make it dynamic, extern __shared__, of which "
                "cudaFuncSetAttribute with cudaFuncAttributeMaxDynamicSharedMemorySize, or CuPy's "
                f"max_dynamic_shared_size_bytes, allows up to {MOST_SHARED}"
            )
            largest = max(variables, key=variables.__getitem__)
            raise CompileError(at_declaration(texts, name, largest, what, file))
