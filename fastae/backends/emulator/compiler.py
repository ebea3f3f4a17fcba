"""A ``.cu`` file as a library for this CPU, by g++ or clang++, kept in the user's cache."""

import ctypes
import hashlib
import os
import re
import shutil
import signal
import struct
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from fastae import system
from fastae.backends.emulator.declared import misdeclared
from fastae.backends.emulator.ptx import translated
from fastae.backends.emulator.source import (
    INCLUDE,
    CompileError,
    defined_twice,
    kernels_of,
    needed,
    not_emulated,
    not_included,
    plain_name,
    told_in,
    without_comments,
)

HERE = Path(__file__).parent
RUNTIME = sorted({*HERE.rglob("*.h"), *HERE.rglob("*.cpp"), *filter(Path.is_file, INCLUDE.rglob("*"))})
WAITS = re.compile(
    r"__sync|_sync\b|__activemask|__nanosleep|mma_|_acquire|\bcooperative_groups\b|\bcuda\s*::(?!\s*std\b)|\barrive|"
    r"\bproducer_|\bconsumer_|\batomic(_ref)?\b|\b(bar|barrier|shfl|vote|match|redux|elect|ldmatrix|mma|mbarrier)\.|"
    r"\.(volatile|relaxed|acquire)\b|\bnanosleep\.|\bactivemask\."
)
DYNAMIC = re.compile(  # after what is to be left alone: comments and strings
    r"""//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|"""
    r"""\b(?P<kind>(?:extern\b[^;{}"\[\]]*?\b__shared__|__shared__\s+extern)\b[^;{}"\[\]]*?)"""
    r"""\b(?P<name>\w+)\s*\[\s*\](?P<rest>(?:\s*\[[^\]]*\])*)\s*;""",
    re.DOTALL,
)
ALIGNED = re.compile(r"\b(?:__align__|alignas)\s*\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)")
MOST_STATIC, MOST_SHARED = 48 << 10, 227 << 10  # bytes of a block's shared memory: declared; and dynamic, if allowed
SECTION = "cushared,alloc,load,data,contents"  # of static shared memory, and what objcopy makes of it
SHARED = re.compile(r"\b__shared__\b([^;{}]*);")  # what is declared
INCLUDED = re.compile(  # or was, before cuda_policy.py made a comment of it
    r"#[ \t]*include[ \t]*[<\"]((?:cu|cooperative_groups|mma)[\w/]*(?:\.h)?)[>\"]"
)
STATIC = re.compile(r"\bstatic[ \t]+(?=__shared__\b)|(?<=\b__shared__)[ \t]+static\b")  # which it is in any case
ALIGNED_LATE = re.compile(rf"(\b__shared__\s+)({ALIGNED.pattern})")  # for C++ wants it first
INLINED = [
    "-finline-small-functions",
    "-finline-functions",
    "--param=max-inline-insns-auto=300",
    "--param=inline-unit-growth=300",
]
# Accesses to volatile memory told from others. With g++, a struct of 16 bytes copied as one; and functions inlined, for
# it sees no access where a struct from memory becomes an argument. clang++ splits such a struct, misaligned or not.
SEEN = {
    False: ["-fsanitize=bounds", "--param=tsan-distinguish-volatile=1", "-fno-tree-sra", *INLINED],
    True: ["-fsanitize=array-bounds", "-mllvm", "-tsan-distinguish-volatile"],
}
COPIES = ("memcpy", "memmove", "memset")  # of the C library, whose accesses the compiler does not show
SECONDS = 120  # that the compiler may take
LANGUAGE = [
    "-fPIC",
    "-U_FORTIFY_SOURCE",
    "-fno-semantic-interposition",
    "-std=c++17",
    "-fno-builtin-printf",
]  # printf is the emulator's
DECODED: Any = {"encoding": "utf-8", "errors": "replace"}  # whatever the locale: messages quote the source


def find_compiler() -> str | None:
    """Return the path of a C++ compiler, or None."""
    wanted = [os.environ["CXX"]] if os.environ.get("CXX") else []
    return next(filter(None, map(shutil.which, (*wanted, "g++", "clang++", "c++"))), None)


def _compiler() -> str:
    command = find_compiler()
    if command is None:
        raise CompileError("the emulator needs a C++ compiler: install g++ or clang++")
    return command


@cache
def is_clang(command: str) -> bool:
    """Tell clang++ from g++, whatever its name."""
    return "clang" in subprocess.run([command, "--version"], capture_output=True, **DECODED).stdout


def waits(code: str) -> bool:
    """Tell whether anything in a ``.cu`` file waits for other threads, so that its threads must be fibers."""
    return WAITS.search(without_comments(code)) is not None


def shares_structs(*texts: str) -> bool:
    """Tell whether structs of the code's own lie in shared memory: their members may have holes between them."""
    plain = "\n".join(map(without_comments, texts))
    aligned = r"(?:(?:alignas|__align__)\s*\([^()]*\)\s*)?"
    own = set(re.findall(rf"\b(?:struct|class|union)\s+{aligned}(\w+)", plain))
    return any(own & set(re.findall(r"\w+", declared)) for declared in SHARED.findall(plain))


def with_dynamic_shared(code: str) -> str:
    """Make pointers of ``extern __shared__ T name[]``: every one of them begins where dynamic shared memory does.

    The alignment of static shared memory is put in front of it, where C++ wants it.
    """

    def pointer(match: re.Match[str]) -> str:
        if match["name"] is None:
            return match[0]
        kind = " ".join(ALIGNED.sub(" ", re.sub(r"\b(extern|__shared__)\b", " ", match["kind"])).split())
        declared = f"static {kind} (* const {match['name']}){match['rest']}"
        value = f"reinterpret_cast<{kind} (*){match['rest']}>(emulator::room.shared)"
        return f"{declared} = {value};" + "\n" * (match[0].count("\n") - 2 * match["rest"].count("\n"))

    return DYNAMIC.sub(pointer, ALIGNED_LATE.sub(r"\2 \1", STATIC.sub("", code)))


def _program(code: str, file: str) -> str:
    """Return a ``.cu`` file behind what it may use of CUDA."""
    code = translated(code)
    groups = needed(code)
    if "cooperative_groups" in code and "<cooperative_groups" not in code:  # its own includes may have been taken out
        groups += "#include <cooperative_groups/reduce.h>\n"
    named = dict.fromkeys(INCLUDED.findall(code))
    for name in named:
        if (INCLUDE / name).is_file():
            groups += f"#include <{name}>\n"
    truth = f"namespace emulator {{ extern const bool shares_structs = {str(shares_structs(code)).lower()}; }}\n"
    return f'#include "language/device.h"\n{groups}{truth}#line 1 "{file}"\n{code}\n'


@cache
def build(code: str, file: str, options: tuple[str, ...], checks: bool, *names: str) -> tuple[ctypes.CDLL, Path]:
    """Load a ``.cu`` file, as `compiled` takes it, into this process; return the library, and where it lies."""
    path = compiled(code, file, options, checks, *names)
    return ctypes.CDLL(str(path)), path


def compiled(code: str, file: str, options: tuple[str, ...], checks: bool, *names: str) -> Path:
    """Compile a ``.cu`` file, or find it compiled; nothing of it is run.

    Parameters
    ----------
    code, file : str
        The source, and the name under which messages speak of it.
    options : tuple of str
        As NVRTC takes them, such as ``-Dreal=float``.
    checks : bool
        Let every access to memory be seen.
    *names : str
        Of kernels that are templates, as C++ calls them: ``"scale<float>"``.

    Returns
    -------
    Path
        Where it lies: with ``run_0`` and ``types_0`` for the first of `kernels_of` and of these names, and so on.

    Raises
    ------
    CompileError
        There is no compiler, or it refuses the code.
    """
    command, entries = _compiler(), []
    for i, name in enumerate([*_as_functions(code), *names]):
        entry = f"emulator::Entry<{name}>"
        entries.append(
            f'extern "C" UNSEEN int run_{i}(const unsigned* size, int cooperative, void** arguments) {{\n'
            f"  return {entry}::run(size, {str(waits(code)).lower()}, cooperative, arguments); }}\n"
            f'extern "C" const emulator::Type* types_{i}() {{ return {entry}::types; }}\n'
        )
    program = _program(with_dynamic_shared(code), file) + '#line 1 "launchers"\n' + "".join(entries)
    path = _kept([command, *options, str(checks), repr((LANGUAGE, SEEN, SECTION, MOST_STATIC)), program], ".so")
    if not path.exists():
        if wrong := misdeclared(code, file):
            raise CompileError(wrong)
        with tempfile.TemporaryDirectory(dir=path.parent) as temporary:
            work = Path(temporary)
            (work / "kernels.cpp").write_text(program, encoding="utf-8", errors="surrogateescape")
            try:
                run(command, *_flags(command, options, checks), "-c", work / "kernels.cpp", "-o", work / "kernels.o")
            except CompileError as error:
                if lacking := _lacking(code, file, options, error):
                    raise CompileError(lacking) from error
                raise
            if checks:
                show_copies(work / "kernels.o")
            gather_shared(command, work / "kernels.o", code, file=file)
            # -Bsymbolic: a kernel may have the name of a function of the C library, as `advance` has.
            objects = [runtime(checks), work / "kernels.o"]
            run(command, "-shared", "-Wl,-Bsymbolic", *objects, "-o", work / "library.so")
            os.replace(work / "library.so", path)
    return path


def _as_functions(code: str) -> list[str]:
    """Return kernels as C++ tells them from functions of the same name."""
    names = []
    for name, parameters in kernels_of(code).items():
        types = ", ".join(p.written for p in parameters)
        names.append(name if "::" in name else f"static_cast<void (*)({types})>({name})")
    return names


def _lacking(code: str, file: str, options: tuple[str, ...], error: CompileError) -> str:
    """Return what of a ``.cu`` file that does not compile the emulator does not have, or what it does not include."""
    twice = defined_twice(error.words)
    return twice or _not_emulated(code, file, options) or not_included(code, file, str(error))


def _not_emulated(code: str, file: str, options: tuple[str, ...]) -> str:
    try:
        return not_emulated(preprocessed(f'#line 1 "{file}"\n{code}', options), file)
    except CompileError:  # as of a header that is not there
        return not_emulated(code, file)


def _flags(command: str, options: tuple[str, ...], checks: bool) -> list[str]:
    called = [f"-fno-builtin-{name}" for name in COPIES]  # which the compiler would make of moves that nobody sees
    seen = ["-O1", "-g", "-gdwarf-4", "-fsanitize=thread", "-fno-sanitize-recover=all", *called]
    seen += SEEN[is_clang(command)]
    # What templates keep, such as shared memory, is each library's own.
    own = [] if is_clang(command) else ["-fno-gnu-unique"]
    return [
        *LANGUAGE,
        *own,
        *(seen if checks else ["-O2", "-g1", "-gdwarf-4"]),
        "-fdata-sections",
        f"-I{HERE}",
        f"-I{INCLUDE}",
        *options,
    ]


def show_copies(path: Path) -> None:
    """Let what an object file copies by functions of the C library be seen."""
    if tool := shutil.which("objcopy"):
        run(tool, *(f"--redefine-sym={name}=emulator_{name}" for name in COPIES), path)


def gather_shared(command: str, path: Path, *texts: str, file: str = "") -> None:
    """Make one section of all static shared memory; raises `CompileError` where a function has more than it may.

    GCC leaves the section of a variable of a template out of account (its bug 41091): these are known by their names.

    Parameters
    ----------
    command : str
    path : Path
        Of the object file.
    *texts : str
        What it was compiled from.
    file : str
        The name of the text in front of the first marker of another.
    """
    declared = [d for text in texts for d in SHARED.findall(without_comments(text))]
    names = {name for d in declared for name in re.findall(r"(\w+)\s*(?=,|\Z)", re.sub(r"\[[^\]]*\]", "", d))}
    sections = "\n".join(_sections(path))
    of_templates = set(re.findall(r"\.bss\._ZZ\w+", sections))
    ours = [s for s in of_templates if (match := re.search(r"E\d+(\w+?)(?:_\d+)?$", s)) and match[1] in names]
    ours += re.findall(r"\bcushared\d+", sections)
    if ours:
        tool = shutil.which("objcopy")
        if tool is None:
            raise CompileError("the emulator needs objcopy for shared memory: install binutils")
        sizes = _sections(path)
        run(tool, *(f"--rename-section={section}={SECTION}" for section in sorted(set(ours))), path)
        if sum(sizes[section] for section in set(ours)) > MOST_STATIC:
            _refuse_static(path, texts, file)


def _refuse_static(path: Path, texts: Sequence[str], file: str) -> None:
    """Refuse a function that declares more shared memory than a block may have of it, as NVIDIA's assembler does."""
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
            raise CompileError(told_in(texts, name, largest, what, file))


def _sections(path: Path) -> dict[str, int]:
    """Return names and bytes of all sections of an object file of 64 bits."""
    data = path.read_bytes()
    table, size, count, names = struct.unpack_from("<Q", data, 40)[0], *struct.unpack_from("<3H", data, 58)
    count = count or struct.unpack_from("<Q", data, table + 32)[0]  # of more than 65,279
    begin = struct.unpack_from("<Q", data, table + names * size + 24)[0]
    found = dict[str, int]()
    for at in range(table, table + count * size, size):
        name = begin + struct.unpack_from("<I", data, at)[0]
        word = data[name : data.index(b"\0", name)].decode(errors="replace")
        found[word] = found.get(word, 0) + int(struct.unpack_from("<Q", data, at + 32)[0])
    return found


def preprocessed(code: str, options: tuple[str, ...]) -> str:
    """Return a ``.cu`` file as the compiler sees it: its macros replaced, with markers of files and lines.

    Raises
    ------
    CompileError
        The preprocessor refuses it.
    """
    command, begin, end = _compiler(), f"begin-{os.urandom(8).hex()}", f"end-{os.urandom(8).hex()}"
    program = f'{_program(code, begin)}#line 1 "{end}"\n'
    with tempfile.TemporaryDirectory(prefix="fastae-") as temporary:
        (Path(temporary) / "kernels.cpp").write_text(program, encoding="utf-8", errors="surrogateescape")
        text = run(command, *_flags(command, options, True), "-E", Path(temporary) / "kernels.cpp")
    return text.partition(f'# 1 "{begin}"\n')[2].partition(f'# 1 "{end}"')[0]


def runtime(checks: bool) -> Path:
    """Compile what stands behind device.h, which takes longer than a kernel does, or find it compiled."""
    command = _compiler()
    options = [*LANGUAGE, "-O2", *(["-DCHECKED"] if checks else [])]
    path = _kept([command, *options], ".o")
    if not path.exists():
        with tempfile.TemporaryDirectory(dir=path.parent) as temporary:
            work = Path(temporary) / "runtime.o"
            run(command, *options, f"-I{HERE}", "-c", HERE / "runtime" / "runtime.cpp", "-o", work)
            os.replace(work, path)
    return path


def _kept(parts: list[str], suffix: str) -> Path:
    """Return where what is compiled of that, and of the emulator as it is, is kept."""
    parts = [*parts, *(path.read_text(encoding="utf-8") for path in RUNTIME)]
    return folder() / f"{hashlib.sha256(repr(parts).encode()).hexdigest()[:16]}{suffix}"


def run(*command: object) -> str:
    """Run the compiler, and return what it prints; raises `CompileError` with its first words, or if it never ends."""
    environment = {**os.environ, "LC_ALL": "C"}  # messages in one language, plain quotes
    process = subprocess.Popen(
        [str(part) for part in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
        env=environment,
        process_group=0,
    )
    try:
        out, errors = process.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        raise CompileError(f"the C++ compiler does not come to an end within {SECONDS} seconds") from None
    finally:
        if process.returncode is None:  # nor do the programs that it has started
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    if process.returncode:
        refused = CompileError(f"the C++ compiler refuses the kernel: {_decisive(errors.splitlines())}")
        refused.words = errors
        raise refused
    return out


def _decisive(lines: list[str]) -> str:
    """Return the compiler's first error, at the kernel's line also where a header of ours refuses what it is given."""
    for i, line in enumerate(lines):
        if ": error: " not in line:
            continue
        place, _, what = line.partition(": error: ")
        if not place.startswith(str(HERE)):
            return line
        calls = [*lines[:i][::-1], *lines[i + 1 :]]  # from which g++ comes to it, and then those that clang++ does
        call = next((c for c in calls if re.search("required from here|requested here", c)), line)
        return f"{re.split(': +(?:required|note|error)', call)[0]}: {what.removeprefix('static assertion failed: ')}"
    return lines[0] if lines else "without a word"


def line_of(path: Path, offset: int) -> str:
    """Return file and line of a place in the code, as far as the compiler has noted them."""
    tool = shutil.which("addr2line")
    if tool is None:
        return "an unknown line (addr2line, of binutils, is not installed)"
    command = [tool, "-e", str(path), hex(max(0, offset - 1))]  # before the address to which the call returns
    found = subprocess.run(command, capture_output=True, **DECODED).stdout.split()
    return os.path.basename(found[0]) if found and not found[0].startswith("??") else "an unknown line"


@cache
def places_of(path: Path, names: frozenset[str]) -> list[tuple[int, int]]:
    """Return offset and bytes of a library's variables of these names, in whatever namespace; none without binutils."""
    tool = shutil.which("nm")
    if tool is None:
        return []
    lines = subprocess.run([tool, "-C", "-P", "-t", "x", str(path)], capture_output=True, **DECODED).stdout.splitlines()
    found = (re.fullmatch(r"(?:.*::)?(\w+) [bBdDrRV] (\w+) (\w+)", line) for line in lines)
    return [(int(m[2], 16), int(m[3], 16)) for m in found if m and m[1] in names]


@cache
def folder() -> Path:
    """Return the folder for compiled kernels, in the user's cache where it can be written."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    path = Path(base) / "fastae" / "emulator"
    return Path(system.passing_folder()) if system.writable(path) else path
