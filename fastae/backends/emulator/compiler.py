"""Compile a ``.cu`` file to a library for this CPU, by g++ or clang++, in the user's cache."""

import ctypes
import hashlib
import os
import re
import tempfile
from functools import cache
from pathlib import Path

from fastae import system
from fastae.backends.emulator.declared import misdeclared
from fastae.backends.emulator.ptx import translated
from fastae.backends.emulator.refusals import defined_twice, not_emulated, not_included
from fastae.backends.emulator.shared_memory import (
    MOST_STATIC,
    SECTION,
    gather_shared,
    shares_structs,
    with_dynamic_shared,
)
from fastae.backends.emulator.source import HERE, INCLUDE, CompileError, kernels_of, needed, waits
from fastae.backends.emulator.toolchain import COPIES, compiler_path, is_clang, run, show_copies

RUNTIME = sorted({*HERE.rglob("*.h"), *HERE.rglob("*.cpp"), *filter(Path.is_file, INCLUDE.rglob("*"))})
INCLUDED = re.compile(  # also where cuda_policy.py has made a comment of it
    r"#[ \t]*include[ \t]*[<\"]((?:cu|cooperative_groups|mma)[\w/]*(?:\.h)?)[>\"]"
)
INLINED = [
    "-finline-small-functions",
    "-finline-functions",
    "--param=max-inline-insns-auto=300",
    "--param=inline-unit-growth=300",
]
# Accesses to volatile memory have hooks of their own. g++ copies a struct of 16 bytes at once, and inlines functions,
# since it has no hook where a struct in memory becomes an argument. clang++ splits such a struct, misaligned or not.
SEEN = {
    False: ["-fsanitize=bounds", "--param=tsan-distinguish-volatile=1", "-fno-tree-sra", *INLINED],
    True: ["-fsanitize=array-bounds", "-mllvm", "-tsan-distinguish-volatile"],
}
LANGUAGE = [
    "-fPIC",
    "-U_FORTIFY_SOURCE",
    "-fno-semantic-interposition",
    "-std=c++17",
    "-fno-builtin-printf",
]  # printf is the emulator's


def _program(code: str, file: str) -> str:
    """Return a ``.cu`` file behind the headers that it needs."""
    code = translated(code)
    groups = needed(code)
    if "cooperative_groups" in code and "<cooperative_groups" not in code:  # whose include may have been taken out
        groups += "#include <cooperative_groups/reduce.h>\n"
    named = dict.fromkeys(INCLUDED.findall(code))
    for name in named:
        if (INCLUDE / name).is_file():
            groups += f"#include <{name}>\n"
    truth = f"namespace emulator {{ extern const bool shares_structs = {str(shares_structs(code)).lower()}; }}\n"
    return f'#include "language/device.h"\n{groups}{truth}#line 1 "{file}"\n{code}\n'


@cache
def build(code: str, file: str, options: tuple[str, ...], checks: bool, *names: str) -> tuple[ctypes.CDLL, Path]:
    """Load a ``.cu`` file, as `compiled` takes it, into this process; return the library and its path."""
    path = compiled(code, file, options, checks, *names)
    return ctypes.CDLL(str(path)), path


def compiled(code: str, file: str, options: tuple[str, ...], checks: bool, *names: str) -> Path:
    """Compile a ``.cu`` file, or find it in the cache; nothing of it is run.

    Parameters
    ----------
    code, file : str
        The source, and its name in messages.
    options : tuple of str
        As NVRTC takes them, such as ``-Dreal=float``.
    checks : bool
        Compile it so that every access to memory is checked.
    *names : str
        Instances of kernels that are templates: ``"scale<float>"``.

    Returns
    -------
    Path
        Of the library, with ``run_0`` and ``types_0`` for the first kernel of `kernels_of` and ``names``, and so on.

    Raises
    ------
    CompileError
        There is no compiler, or it refuses the code.
    """
    command, entries = compiler_path(), []
    for i, name in enumerate([*_as_functions(code), *names]):
        entry = f"emulator::Entry<{name}>"
        entries.append(
            f'extern "C" UNSEEN int run_{i}(const unsigned* size, int cooperative, void** arguments) {{\n'
            f"  return {entry}::run(size, {str(waits(code)).lower()}, cooperative, arguments); }}\n"
            f'extern "C" const emulator::Type* types_{i}() {{ return {entry}::types; }}\n'
        )
    program = _program(with_dynamic_shared(code), file) + '#line 1 "launchers"\n' + "".join(entries)
    path = cache_path([command, *options, str(checks), repr((LANGUAGE, SEEN, SECTION, MOST_STATIC)), program], ".so")
    if not path.exists():
        if wrong := misdeclared(code, file):
            raise CompileError(wrong)
        with tempfile.TemporaryDirectory(dir=path.parent) as temporary:
            work = Path(temporary)
            (work / "kernels.cpp").write_text(program, encoding="utf-8", errors="surrogateescape")
            try:
                run(
                    command,
                    *compiler_flags(command, options, checks),
                    "-c",
                    work / "kernels.cpp",
                    "-o",
                    work / "kernels.o",
                )
            except CompileError as error:
                if lacking := _lacking(code, file, options, error):
                    raise CompileError(lacking) from error
                raise
            if checks:
                show_copies(work / "kernels.o")
            gather_shared(work / "kernels.o", code, file=file)
            # -Bsymbolic: a kernel may have the name of a function of the C library, as `advance` has.
            objects = [runtime(checks), work / "kernels.o"]
            run(command, "-shared", "-Wl,-Bsymbolic", *objects, "-o", work / "library.so")
            os.replace(work / "library.so", path)
    return path


def _as_functions(code: str) -> list[str]:
    """Return the kernels of a file in C++, with a cast that tells one from other functions of its name."""
    names = []
    for name, parameters in kernels_of(code).items():
        types = ", ".join(p.written for p in parameters)
        names.append(name if "::" in name else f"static_cast<void (*)({types})>({name})")
    return names


def _lacking(code: str, file: str, options: tuple[str, ...], error: CompileError) -> str:
    """Return why a ``.cu`` file does not compile, if it is for the emulator's lack of something, or of an include."""
    twice = defined_twice(error.words)
    return twice or _not_emulated(code, file, options) or not_included(code, file, str(error))


def _not_emulated(code: str, file: str, options: tuple[str, ...]) -> str:
    try:
        return not_emulated(preprocessed(f'#line 1 "{file}"\n{code}', options), file)
    except CompileError:  # as of a header that is not there
        return not_emulated(code, file)


def compiler_flags(command: str, options: tuple[str, ...], checks: bool) -> list[str]:
    """Return the compiler's options for a kernel."""
    called = [f"-fno-builtin-{name}" for name in COPIES]  # else it would move bytes itself, without a hook
    seen = ["-O1", "-g", "-gdwarf-4", "-fsanitize=thread", "-fno-sanitize-recover=all", *called]
    seen += SEEN[is_clang(command)]
    # Variables of templates, such as shared memory, are each library's own.
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


def preprocessed(code: str, options: tuple[str, ...]) -> str:
    """Return a preprocessed ``.cu`` file, with markers of files and lines.

    Raises
    ------
    CompileError
        The preprocessor refuses it.
    """
    command, begin, end = compiler_path(), f"begin-{os.urandom(8).hex()}", f"end-{os.urandom(8).hex()}"
    program = f'{_program(code, begin)}#line 1 "{end}"\n'
    with tempfile.TemporaryDirectory(prefix="fastae-") as temporary:
        (Path(temporary) / "kernels.cpp").write_text(program, encoding="utf-8", errors="surrogateescape")
        text = run(command, *compiler_flags(command, options, True), "-E", Path(temporary) / "kernels.cpp")
    return text.partition(f'# 1 "{begin}"\n')[2].partition(f'# 1 "{end}"')[0]


def runtime(checks: bool) -> Path:
    """Compile ``runtime/``, which takes longer than a kernel does, or find it in the cache; return its object file."""
    command = compiler_path()
    options = [*LANGUAGE, "-O2", *(["-DCHECKED"] if checks else [])]
    path = cache_path([command, *options], ".o")
    if not path.exists():
        with tempfile.TemporaryDirectory(dir=path.parent) as temporary:
            work = Path(temporary) / "runtime.o"
            run(command, *options, f"-I{HERE}", "-c", HERE / "runtime" / "runtime.cpp", "-o", work)
            os.replace(work, path)
    return path


def cache_path(parts: list[str], suffix: str) -> Path:
    """Return the file in the cache for what is compiled of these parts and the emulator's own sources."""
    parts = [*parts, *(path.read_text(encoding="utf-8") for path in RUNTIME)]
    return folder() / f"{hashlib.sha256(repr(parts).encode()).hexdigest()[:16]}{suffix}"


@cache
def folder() -> Path:
    """Return the folder of compiled kernels: in the user's cache if it can be written, else a temporary one."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    path = Path(base) / "fastae" / "emulator"
    return Path(system.temporary_folder()) if system.writable(path) else path
