"""Compile a CUDA program, of one file and those of its own that it includes, to an executable in the user's cache."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from fastae.backends.emulator import compiler
from fastae.backends.emulator.declared import misdeclared
from fastae.backends.emulator.ptx import refused_in
from fastae.backends.emulator.refusals import defined_twice, lacking_headers, not_emulated
from fastae.backends.emulator.shared_memory import MOST_STATIC, SECTION, gather_shared, shares_structs
from fastae.backends.emulator.source import HERE, CompileError, kernels_of, needed, waits
from fastae.backends.emulator.toolchain import DECODED, compiler_path, is_clang, run, show_copies
from fastae.cuda.includes import INCLUDE, files_of, read
from fastae.errors import InputError
from fastae.run import rewrite
from fastae.run.misplaced import marks_in, misplaced

LEAST_STANDARD = 17  # that the emulator's own headers are written in
FLAGS = {  # so that each place in the code has its own line; by whether it is clang++, which merges no functions
    False: ["-w", "-fno-optimize-sibling-calls", "-fno-ipa-icf"],
    True: ["-w", "-fno-optimize-sibling-calls"],
}


class Flags(NamedTuple):
    """The options of nvcc that have an effect.

    Attributes
    ----------
    options : list of str
        For the C++ compiler: macros, folders of headers, OpenMP.
    folders : list of Path
        Of headers.
    standard : int
        Of C++: 17 or 20.
    """

    options: list[str]
    folders: list[Path]
    standard: int = LEAST_STANDARD


class Source(NamedTuple):
    """A program as it is compiled: the rewritten text of each file, the program's own first.

    Attributes
    ----------
    names : list of Path
    texts : list of str
    waits : bool
        Whether some kernel waits for other threads.
    unknown : bool
        Whether there may be variables of the device that are not marked as such.
    """

    names: list[Path]
    texts: list[str]
    waits: bool
    unknown: bool


def has_main(text: str) -> bool:
    """Return whether a file is a program: whether it has a ``main()``."""
    return re.search(r"\bmain\s*\(", rewrite.plain(text).bare) is not None


def source_of(file: Path, folders: Sequence[Path]) -> Source:
    """Read a program and the files of its own that it includes, and rewrite them.

    Raises
    ------
    InputError, CompileError
        They cannot be read; or code of the device has what only the host has.
    """
    names, texts = [file], [read(file)]
    numbers = {file.resolve(): 0}

    def number_of(name: str, folder: Path) -> int | None:
        for path in files_of(name, [folder, *folders]):
            if path.resolve() not in numbers:
                numbers[path.resolve()] = len(names)
                names.append(path)
                texts.append(read(path))
            return numbers[path.resolve()]
        return None

    i = 0
    while i < len(names):  # their number grows
        for match in INCLUDE.finditer(rewrite.plain(texts[i]).code):
            number_of(match[2] or match[3], names[i].parent)
        i += 1
    if not any(map(has_main, texts)):
        alone = "for kernels alone there is fastae check" if kernels_of(texts[0]) else "a CUDA program was expected"
        raise InputError(f"{file} has no main(): {alone}")
    for name, text in zip(names, texts):
        if what := misdeclared(text, str(name), *texts):
            raise CompileError(what)
    if wrong := misplaced(texts):
        number, (line, what) = wrong
        raise CompileError(f"{names[number]}, line {line}: {what}")
    kernels = set().union(*map(rewrite.kernels_in, texts))
    marks = marks_in(texts)
    rewritten, unknown = list[str](), False
    for name, text in zip(names, texts):

        def copy_of(included: str, folder: Path = name.parent) -> Path | None:
            number = number_of(included, folder)
            return None if number is None else Path(f"{number}.h")

        try:
            code, more = rewrite.rewritten(text, kernels, copy_of, marks)
        except rewrite.Nested as nested:
            what = "launches by a kernel (dynamic parallelism) are not emulated"
            raise CompileError(f"{name}, line {nested.args[0]}: {what}") from nested
        quoted = str(name).replace("\\", "\\\\").replace('"', '\\"')
        rewritten.append(f'#line 1 "{quoted}"\n{code}\n')
        unknown = unknown or more
    return Source(names, rewritten, any(map(waits, texts)), unknown)


def built(file: Path, flags: Flags, checks: bool) -> tuple[Path, list[Path]]:
    """Compile a program, or find it in the cache; return the executable, and the program's files.

    Raises
    ------
    InputError, CompileError
        It cannot be read; or there is no compiler, or it refuses the program.
    """
    source = source_of(file, flags.folders)
    command = compiler_path()
    truth = f"extern const bool waits_somewhere = {str(source.waits).lower()}, "
    truth += f"variables_unknown = {str(source.unknown).lower()}, "
    truth += f"shares_structs = {str(shares_structs(*source.texts)).lower()};"
    own = '#include "language/device.h"\n#include "program/api/api.h"\n' + needed(*source.texts, program=True)
    first = f"{own}namespace emulator {{ {truth} }}\n{source.texts[0]}"
    options = [*flags.options, f"-std=c++{flags.standard}", "-fPIE"]
    path = compiler.cache_path(
        [
            command,
            *options,
            SECTION,
            str(MOST_STATIC),
            str(file.resolve()),
            str(checks),
            first,
            *source.texts[1:],
        ],
        "",
    )
    if not path.exists():
        with tempfile.TemporaryDirectory(dir=path.parent) as temporary:
            work = Path(temporary)
            for number, text in enumerate([first, *source.texts[1:]]):
                name = f"{number}.h" if number else "program.cpp"
                (work / name).write_text(text, encoding="utf-8", errors="surrogateescape")
            here = ["-iquote", work, *(f"-I{folder}" for folder in flags.folders), f"-I{HERE / 'program' / 'include'}"]
            beside = ["-iquote", file.parent]
            seen = [*compiler.compiler_flags(command, (), checks), *options, *FLAGS[is_clang(command)]]
            _compile(source, [command, *here, *beside, *seen, "-c", work / "program.cpp", "-o", work / "program.o"])
            gather_shared(work / "program.o", *source.texts)
            if checks:
                show_copies(work / "program.o")
            objects = [runtime(checks), work / "program.o"]
            libraries = ["-pthread", "-ldl", *(["-fopenmp"] if "-fopenmp" in options else [])]
            _compile(source, [command, "-pie", *objects, *libraries, "-o", work / "program"])
            os.replace(work / "program", path)
    return path, source.names


def runtime(checks: bool) -> Path:
    """Compile ``program/program.cpp``, or find it in the cache; return its object file."""
    command = compiler_path()
    options = [*compiler.LANGUAGE, "-fPIE", "-O2", *(["-DCHECKED"] if checks else [])]
    path = compiler.cache_path([command, "program", *options], ".o")
    if not path.exists():
        with tempfile.TemporaryDirectory(dir=path.parent) as temporary:
            work = Path(temporary) / "runtime.o"
            run(command, *options, f"-I{HERE}", "-c", HERE / "program" / "program.cpp", "-o", work)
            os.replace(work, path)
    return path


def _compile(source: Source, command: list[object]) -> None:
    try:
        run(*command)
    except CompileError as error:
        raise CompileError(_why(error, source)) if error.words else error from error


def _why(error: CompileError, source: Source) -> str:
    """Return why a program does not compile: what the emulator lacks, or else the compiler's words."""
    if refused := refused_in(error.words):
        return f"{refused[0]}, line {refused[1]}: {refused[2]}"
    if twice := defined_twice(error.words):
        return twice
    for path in source.names:
        text = read(path)
        if lacking := lacking_headers(text, str(path)) or not_emulated(text, str(path), program=True):
            return lacking
    names = "|".join(re.escape(str(path)) for path in source.names)
    places = re.compile(rf"^(?:In file included from )?({names}):(\d+)(?::\d+)?[:,] *(.*)", re.MULTILINE)
    found = [match.groups() for match in places.finditer(error.words)]
    for name, line, words in found:
        if unknown := re.search(
            r"\W(cu(?:da)?[A-Z]\w+)\W.* (?:was not declared|undeclared identifier|does not name a type)", words
        ):
            return f"{name}, line {line}: {unknown[1]}, of CUDA's host functions and types, is not emulated"
    if "omp.h" in error.words and re.search(
        r"omp\.h'? (?:file not found|No such file)|omp\.h: No such file", error.words
    ):
        place = next((f"{name}, line {line}: " for name, line, words in found if "omp.h" in words), "")
        return f"{place}the C++ compiler has no omp.h: install its OpenMP library, such as libomp-dev for clang++"
    undefined = re.search(rf"({names}):(\d+): (undefined reference to .*)", error.words)
    if undefined and (name := re.search(r"\bomp_\w+", undefined[3])):
        how = "the program needs -Xcompiler -fopenmp, here as with nvcc"
        return f"{undefined[1]}, line {undefined[2]}: {name[0]}() is of OpenMP: {how}"
    if undefined and not any(words.startswith(("error", "fatal")) for *_, words in found):
        return f"{undefined[1]}, line {undefined[2]}: {undefined[3]}: a program is one file, with what it includes"
    message = next((line for line in error.words.splitlines() if "error:" in line), str(error)).partition("error: ")[2]
    message = message.removeprefix("static assertion failed: ").removeprefix(
        "static assertion failed due to requirement "
    )
    place = next((f"{name}, line {line}: " for name, line, words in found if "error:" in words), "")
    place = place or next((f"{name}, line {line}: " for name, line, _ in found), f"{source.names[0]}: ")
    return f"{place}the C++ compiler refuses the program: {message or error.words.strip().splitlines()[-1]}"


def line_of(path: Path, offset: int, files: Sequence[Path]) -> str:
    """Return file and line of a place in the code: the innermost that is in one of these files."""
    return lines_of(path, [offset], files)[0]


def lines_of(path: Path, offsets: Sequence[int], files: Sequence[Path]) -> list[str]:
    """Return file and line of places in the code, as `line_of` does for one."""
    tool = shutil.which("addr2line")
    if tool is None:
        return ["an unknown line (addr2line, of binutils, is not installed)"] * len(offsets)
    command = [tool, "-a", "-i", "-e", str(path)]
    asked = "".join(f"{max(0, offset - 1):x}\n" for offset in offsets)  # before the address to which a call returns
    text = subprocess.run(command, input=asked, capture_output=True, **DECODED).stdout
    own = {file.resolve() for file in files}
    found = list[str]()
    for part in re.split(r"(?m)^0x[0-9a-f]+$", text)[1:]:
        places = [line.split(" (")[0] for line in part.split("\n") if line and not line.startswith("??")]
        ours = [place for place in places if Path(place.rpartition(":")[0]).resolve() in own]
        found.append(os.path.basename((ours or places or ["an unknown line"])[0]))
    return found or ["an unknown line"] * len(offsets)
