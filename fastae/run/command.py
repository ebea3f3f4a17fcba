"""The command ``fastae run``: a whole CUDA program of one file, as ``nvcc program.cu && ./a.out`` would run it."""

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from fastae.errors import BackendUnavailable, InputError
from fastae.run.program import LEAST_STANDARD, Flags, built

KEPT = ("-I", "-D", "-U", "-isystem", "-include")  # options of nvcc that the C++ compiler has as well
VALUED = {  # options whose value may be the next word
    "-O", "-o", "-l", "-L", "-x", "-t", "-j", "-std", "--std", "-arch", "--gpu-architecture", "-code", "--gpu-code",
    "-gencode", "--generate-code", "-Xcompiler", "--compiler-options", "-Xptxas", "--ptxas-options", "-Xlinker",
    "--linker-options", "-Xcudafe", "-maxrregcount", "--maxrregcount", "-ccbin", "--compiler-bindir", "--cudart",
    "-cudart", "--default-stream", "-default-stream", "--output-file", "-diag-suppress", "--diag-suppress", *KEPT,
}  # fmt: skip
PLAIN = {  # options without a value
    "-g", "-G", "-w", "-v", "-lineinfo", "--generate-line-info", "--device-debug", "--debug", "-use_fast_math",
    "--use_fast_math", "-m64", "-rdc", "-dc", "-run", "--run", "--expt-relaxed-constexpr", "-expt-relaxed-constexpr",
    "--expt-extended-lambda", "-expt-extended-lambda", "--extended-lambda", "-extended-lambda", "-Wall", "-Wextra",
    "-pg", "--resource-usage", "-res-usage", "-keep", "--keep", "-c",
}  # fmt: skip
JOINED = re.compile(r"-(?:[IDUOLljt]|isystem|std=|-std=|arch=|rdc=|fmad=|ftz=|prec-|W|f|m(?!ax)).+|--?[\w-]+=.*")
OWN = ("--check", "--count", "--patience", "--help", "-h", "--kernel", "--shape", "--out")
OWN_VALUED = ("--patience", "--kernel", "--shape", "--out")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.description = (
        "Compile a CUDA program and run it on the CPU, in the emulator, as nvcc FILE && ./a.out would on a GPU. The "
        "words after -- are the program's arguments. nvcc's options -I, -D, -U, -std, -include and -Xcompiler "
        "-fopenmp have the same effect as for nvcc; others, such as -O3 or -arch, are accepted and change nothing. "
        "Memory that is never freed is reported, and is a fault with --check. The exit status is the program's; 128 "
        "+ n if signal n ended it; 1 if it would be 0 and a fault was found; 2 if the program does not compile."
    )
    parser.usage = "fastae run [--check] [--count] [--patience SECONDS] [nvcc's options] FILE [-- ARGUMENT ...]"
    option = parser.add_argument
    option("file", type=Path, metavar="FILE", help="a CUDA program of one file, with a main()")
    option("--check", action="store_true", help="check every access to memory, of kernels and of the host")
    option("--count", action="store_true", help="check, and count the cost of the kernels' accesses, line by line")
    option("--patience", type=float, metavar="SECONDS", help="end the program after this time (default: never)")
    option("--nvcc", action="append", default=[], help=argparse.SUPPRESS)
    option("--argument", action="append", default=[], help=argparse.SUPPRESS)


def arranged(words: Sequence[str]) -> list[str]:
    """Give nvcc's options and the program's arguments a form that argparse takes: each behind an option's ``=``.

    ``fastae trace`` takes them too.
    """
    given, _, arguments = _parted(words)
    found, waiting = list[str](), list(given)
    while waiting:
        word = waiting.pop(0)
        if word in OWN or word.startswith(tuple(f"{own}=" for own in OWN)) or not word.startswith("-") or word == "-":
            found.append(word)
            if word in OWN_VALUED and waiting:
                found.append(waiting.pop(0))
        elif word in VALUED and waiting:
            found.append(f"--nvcc={word}\n{waiting.pop(0)}")
        elif word in PLAIN or JOINED.fullmatch(word):
            found.append(f"--nvcc={word}\n")
        else:
            found.append(word)  # argparse refuses it
    return [*found, *(f"--argument={argument}" for argument in arguments)]


def _parted(words: Sequence[str]) -> tuple[list[str], str, list[str]]:
    words = list(words)
    if "--" not in words:
        return words, "", []
    at = words.index("--")
    return words[:at], "--", words[at + 1 :]


def flags_of(words: Sequence[str]) -> Flags:
    """Return the `Flags` of nvcc's options; raises `InputError`."""
    options, folders, standard = list[str](), list[Path](), LEAST_STANDARD
    for word in words:
        name, _, value = word.partition("\n")
        if not value:
            begin = next((kept for kept in (*KEPT, "-std=", "--std=", "-Xcompiler=") if name.startswith(kept)), "")
            name, value = (begin.rstrip("="), name.removeprefix(begin)) if begin else (name, "")
        if name == "-I":
            folders.append(Path(value))
        elif name in KEPT:
            options += [name, value]
        elif name in ("-std", "--std"):
            digits = re.fullmatch(r"(?:c|gnu)\+\+(\d\d)", value)
            if digits is None:
                raise InputError(f"-std={value}: c++17 or c++20 were expected")
            standard = max(standard, int(digits[1]) if int(digits[1]) < 80 else 0)
        elif name in ("-Xcompiler", "--compiler-options") and "-fopenmp" in re.split(r"[\s,]+", value):
            options.append("-fopenmp")
    return Flags(options, folders, standard)


def run(options: argparse.Namespace) -> int:
    """Compile a program and run it; return its exit status, or 1 for a fault."""
    from fastae.backends.emulator import EmulatorBackend
    from fastae.run.process import Running

    if options.patience is not None and not options.patience > 0:
        raise InputError(f"--patience must be a positive number of seconds; got {options.patience:g}")
    available = EmulatorBackend.availability()
    if not available.ok:
        raise BackendUnavailable(f"fastae run needs the emulator: {available.reason}; {available.remedy}")
    checks = options.check or options.count
    executable, files = built(options.file, flags_of(options.nvcc), checks)
    sys.stdout.flush()
    with Running(executable, files, options.argument, options.count) as running:
        status = running.wait(options.patience)
    if options.count:
        print(running.table(), file=sys.stderr)
    return status
