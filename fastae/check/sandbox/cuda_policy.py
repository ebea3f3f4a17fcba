"""What a learner's ``.cu`` file must not contain: in its text, in its preprocessed text, and in its object code."""

import re
import shutil
import subprocess
from collections.abc import Collection, Iterator
from functools import cache
from pathlib import Path

from fastae.backends.emulator.ptx import NOT_EMULATED, REFUSAL, translated
from fastae.cuda.includes import place_of

HEADERS = re.compile(
    r"""[<"](cuda\.h|cuda_runtime(_api)?\.h|device_launch_parameters\.h|math_(constants|functions)\.h|cuComplex\.h|"""
    r"""(vector|device)_(types|functions)\.h|"""  # also in quotes, as project templates have them
    r"""cuda_(fp|bf)16\.h|mma\.h)[">]|"""
    r"<(cuda_\w+\.h|cuda_\w+\.hpp|cooperative_groups(/\w+)?\.h|cuda/(std/)?\w+|math\.h|cmath|stdint\.h|cstdint|"
    r"stddef\.h|cstddef|float\.h|cfloat|limits\.h|climits|limits|type_traits|utility|algorithm|stdio\.h|cstdio|"
    r"assert\.h|cassert)>"
)
HOST = (
    "system|popen|fork|vfork|exec[lv]p?e?|posix_spawn|dlopen|dlsym|fopen|freopen|getenv|setenv|signal|sigaction|raise|"
    "kill|_exit|_Exit|exit|quick_exit|abort|atexit|on_exit|mmap|mprotect|syscall|ptrace|socket|connect|pthread_\\w+|"
    "clock_gettime|gettimeofday|longjmp|setjmp|usleep|sleep"
)
MATHEMATICS = (
    "acosh? asinh? atanh? atan2 cbrt ceil copysign cosh? erfc? exp exp2 exp10 expm1 fabs fdim floor fma fmax fmin fmod "
    "frexp hypot ilogb ldexp lgamma l?l?rint l?l?round log log10 log1p log2 logb modf nan nearbyint nextafter pow "
    "remainder remquo scalbl?n sin sinh sincos sqrt tanh? tgamma trunc [jy][01n]"
)
SYMBOLS = re.compile(  # functions that a kernel may call: <math.h>, memory, and those that compilers insert
    rf"({'|'.join(MATHEMATICS.split())})[fl]?|(__)?mem(cpy|set|move|cmp|chr)(_chk)?|"
    r"__(tsan|ubsan)_\w+|__cxa_\w+|__gmon_start__|_ITM_\w+|_Zd[la]Pv\w*|"
    # and arithmetic for which the processor has no instruction: bits, integers of 128 bits, complex and half numbers
    r"__(popcount|parity|clz|ctz|clrsb|ffs|bswap)[sdt]i2|__u?(div|mod|divmod)[dt]i[34]|__(mul|ashl|ashr|lshr|neg)[dt]i[23]|"
    r"__(mul|div)[hsdxt]c3|__powi[sdxt]f2|__fix(uns)?[hsdxt]f[sdt]i|__float(un)?[sdt]i[hsdxt]f|__extend[bhsdx]f[hsdxt]f2|"
    r"__trunc[sdxt]f[bhsdx]f2"
)


def of_cuda(text: str, name: str = "") -> list[str]:
    """Return the reasons to refuse a ``.cu`` file of that name, with its included files; empty if there is none."""
    text = translated(text)
    plain = _blanked(text)
    found: list[tuple[int, str]] = [(match.start(), f"{match[1]} {NOT_EMULATED}") for match in REFUSAL.finditer(text)]

    def every(pattern: str, reason: str) -> None:
        for match in re.finditer(pattern, plain, re.MULTILINE):
            groups = [g for g in match.groups() if g]
            found.append((match.start(), reason.format(*groups)))

    for match in re.finditer(r"^[ \t]*#[ \t]*include(_next)?\b(.*)$", text, re.MULTILINE):
        if not HEADERS.fullmatch(match[2].split("//")[0].split("/*")[0].strip()):
            where = ", nor is it in the file's folder" if match[2].strip().startswith('"') else ""
            found.append((match.start(2), f"it includes {match[2].strip()}, which is no header of CUDA{where}"))
    every(r"\b(?:__)?asm(?:__)?\b", "asm that is no statement of CUDA: what it does cannot be seen")
    every(r"__attribute__|\[\[\s*gnu\s*::", "an attribute of the host's compiler, such as a constructor's")
    every(r"#[ \t]*embed\b", "it embeds a file")
    every(rf"(?<![\w.>])(?:::\s*|std\s*::\s*)?\b({HOST})\s*\(", "{0}() is a function of the host; no GPU has it")
    every(r"\b(__builtin_\w*(?:frame|return)_address)\b", "{0}: it reads the frame of its caller")
    every(r"\bemulator\s*::|\b(emulator_\w+)", "it uses the internals of the emulator")
    every(r"\b(?:dlopen|environ|errno|stdin|stdout|stderr)\b", "it uses the host's process")
    found += [(at, f"{what} is initialised by code of the host, before any launch") for at, what in _static(plain)]
    return list(dict.fromkeys(f"{place_of(text, at, name)}: {what}" for at, what in sorted(found)))


ATTRIBUTES = re.compile(  # the emulator's own
    r"__attribute__\s*\(\((section\(\"cushared\" \"\d+\"\), aligned\(16\), used|aligned\(\s*\w+\s*\))\)\)"
)
PLACES = re.compile(r"emulator::value_of\(\*?emulator::(thread_index|block_index|block_size|grid)\)")
STANDARD = re.compile(r"\[\[\s*(nodiscard|maybe_unused|likely|unlikely|fallthrough|noreturn)(\(.*?\))?\s*\]\]")
BUILTINS = r"(?!(inf|nan|huge_val)[fl]?\b|assume|expect\b|unreachable\b)"
PRAGMAS = re.compile(r"#pragma\s+(unroll|nv_|once)")
HIDDEN = {  # after all macros are replaced
    r"\b__attribute(__)?\b": "an attribute of the host's compiler",
    r"(\[|<:)\s*(\[|<:)": "an attribute of the host's compiler",
    r"\b(__)?asm(__)?\b": "asm",
    rf"\b__builtin_{BUILTINS}\w+": "a function that is built into the host's compiler",
    r"\b__(sync|atomic)_\w+": "a function that is built into the host's compiler",
    r"\b__[tau]b?san_\w+": "it uses what checks its accesses",
    r"\bemulator\w*": "it uses the internals of the emulator",
    r"\b(import|module)\s*[<\"\w]": "it imports a module",
    r"\bthread_local\b": "thread_local, which is a thread's of the host",
}


def of_preprocessed(text: str, name: str, others: Collection[str] = ()) -> list[str]:
    """Return the reasons to refuse a preprocessed ``.cu`` file; empty if there is none.

    Parameters
    ----------
    text : str
        As `fastae.backends.emulator.compiler.preprocessed` returns it.
    name : str
        Of the file.
    others : collection of str
        The names of files of its folder that it includes.

    Returns
    -------
    list of str
    """
    found, line, file = dict[str, None](), 0, ""
    names = "|".join(map(re.escape, (name, *others)))
    for row in text.splitlines():
        line += 1
        plain = re.sub(r'"(\\.|[^"\\])*"', '""', ATTRIBUTES.sub("", row))
        # The numbers mean that the following comes from a macro of the C library, such as assert or FLT_MAX.
        if match := re.match(rf'# (\d+) "({names})"( 3( 4)?)?$', row):
            line, file = int(match[1]) - 1, "" if match[2] == name else f"{match[2]}, "
        elif re.match(r"\s*#", row) and not PRAGMAS.match(row.strip()):
            what = "it includes a file" if re.match(r"# \d", row) else f"the directive {row.strip()}"
            found[f"{file}line {line}: {what}, hidden by a macro"] = None
        else:
            plain = STANDARD.sub("", PLACES.sub("", plain))
            for pattern, what in HIDDEN.items():
                if match := re.search(pattern, plain):
                    found[f"{file}line {line}: {what}: {match[0]}"] = None
    return list(found)


def without_headers(text: str) -> str:
    """Turn the includes of CUDA's headers into comments, from which the emulator knows what to provide."""
    return re.sub(rf"^[ \t]*#[ \t]*include[ \t]*({HEADERS.pattern})", r"//\g<0>", text, flags=re.MULTILINE)


def _blanked(text: str) -> str:
    """Blank out comments, strings and characters, keeping places."""

    def blank(match: re.Match[str]) -> str:
        return re.sub(r"[^\n]", " ", match[0])

    text = text.replace("\\\n", " \n")  # a continued line
    return re.sub(r'//[^\n]*|/\*.*?\*/|R"(\w*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', blank, text,
                  flags=re.DOTALL)  # fmt: skip


def _static(plain: str) -> Iterator[tuple[int, str]]:
    """Yield global variables whose initial value is computed by a call."""
    classes = set(re.findall(r"\b(?:struct|class)\s+(\w+)[^;{]*\{[^}]*?\b\1\s*\([^)]*\)\s*(?::[^{;]*)?[{;]", plain))
    depth, statement, begin = 0, "", 0
    spaces: list[int] = []  # depths of namespaces
    for at, letter in enumerate(plain):
        if letter == "{":
            if depth == len(spaces) and re.search(r"\b(namespace\b[\w\s:]*|extern\s*)$", statement.strip()):
                spaces.append(depth)
                statement = ""
            depth += 1
        elif letter == "}":
            depth -= 1
            if len(spaces) > depth:
                spaces.pop()
            if depth == len(spaces) and not statement.lstrip().startswith(("struct", "class", "union", "enum")):
                statement = statement if "=" in statement else ""
        elif depth == len(spaces):
            if letter == ";":
                text = re.sub(r"#[^\n]*", "", statement).strip()
                begin += len(re.match(r"(#[^\n]*\n\s*)*", statement.lstrip())[0])  # type: ignore[index]
                if not re.match(r"(typedef|using|template|friend)\b", text):
                    value = text.partition("=")[2]
                    name = re.findall(r"(\w+)\s*(?:\[[^\]]*\]\s*)*(?:=|$)", text)
                    if "constexpr" not in text and re.search(r"[\w>]\s*\(|\[\s*[&=\]]", value):
                        yield begin, name[0] if name else "a variable"
                    elif any(re.match(rf"(?:static\s+|const\s+|__device__\s+)*{kind}\s+\w+", text) for kind in classes):
                        yield begin, name[0] if name else "an object"
                statement = ""
                continue
            if not statement.strip():
                begin = at
            statement += letter


def of_library(library: Path, runtime: Path) -> list[str]:
    """Return the reasons to refuse a compiled ``.cu`` file: functions of the host, and code that runs on loading.

    Parameters
    ----------
    library : Path
        The shared library.
    runtime : Path
        The object file of the emulator in it, whose calls are allowed.

    Returns
    -------
    list of str
        Empty if there is none.
    """
    found = []
    (defined, called), (_, known) = _symbols(library), _symbols(runtime)
    if any(re.match(r"_GLOBAL__(sub_)?[ID]_.*kernels|__cxx_global_var_init", name) for name in defined):
        found.append("a variable outside of functions is initialised by code of the host, before any launch")
    for name in sorted(called - known):
        if not SYMBOLS.fullmatch(name):
            found.append(f"it calls {name}(), a function of the host; no GPU has it")
    return found


@cache
def _symbols(path: Path) -> tuple[set[str], set[str]]:
    """Return the symbols that a compiled file defines, and those that it needs."""
    tool = shutil.which("nm")
    if tool is None:
        return set(), set()
    done = subprocess.run([tool, "-P", str(path)], capture_output=True, encoding="utf-8", errors="replace")
    symbols = [line.split() for line in done.stdout.splitlines()]
    defined, called = (
        {s[0].partition("@")[0] for s in symbols if (s[1] in "Uvw") is undefined} for undefined in (False, True)
    )
    return defined, called
