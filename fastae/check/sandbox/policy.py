"""What a learner's source must not have in it, found before anything of it is run: a reason for each, with its line.

What is hidden from here (names put together, code made at run time) meets the worker's own refusals
(`fastae.check.sandbox.confine`), and cannot reach the judge in any case: this gives cheats their names.
"""

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Collection, Iterator
from functools import cache
from pathlib import Path

from fastae.backends.contract import KERNELS
from fastae.backends.emulator.ptx import NOT_EMULATED, REFUSAL, translated
from fastae.backends.emulator.source import kernels_of
from fastae.check.sandbox.confine import LIBRARIES, OPEN
from fastae.cuda.includes import place_of, shown_name

# Python

MODULES = {  # that no kernel needs, and what they are for
    "atexit": "exit handlers",
    "signal": "signals",
    "ctypes": "calling other libraries and writing to any address",
    "cffi": "calling other libraries",
    "_ctypes": "calling other libraries",
    "mmap": "sharing memory",
    "multiprocessing": "other processes",
    "subprocess": "other processes",
    "socket": "the network",
    "resource": "the limits of the process",
    "faulthandler": "signals",
    "importlib": "importing what is not named",
    "builtins": "replacing what Python has built in",
    "_io": "files",
    "pty": "other processes",
}
INNER = {  # attributes that lead from an object to the interpreter's inside
    "_getframe", "_current_frames", "f_back", "f_globals", "f_locals", "gi_frame", "tb_frame", "__globals__",
    "__closure__", "__code__", "__subclasses__", "__builtins__", "__loader__", "__spec__",
    "addaudithook", "settrace", "setprofile", "get_objects", "get_referrers", "get_referents",
    "currentframe", "getouterframes", "getinnerframes",
}  # fmt: skip
CALLS = {"__import__", "eval", "exec", "compile"}
GIVEN = {  # of fastae's compiled code, what exercises hand out; whoever calls it is told to do so
    "fastae.backends.numba_backend.kernels": {"columns_by_tiles"},
    "fastae.backends.numba_backend.machine": {"MACHINE"},
    "fastae.backends.numba_backend.tiles": {"DOT", "DOT_ROW", "OUTER", "OUTER_ROW", "dot_tile", "outer_tile"},
}
OF_OS = {"system", "popen", "fork", "forkpty", "kill", "killpg", "dup2", "getppid", "remove"}
FILES = {"memmap", "save", "savez", "savez_compressed", "savetxt", "ctypeslib"}
OURS = re.compile(r"\bfastae\.(backends|check|ladder|bench)\b")


def of_python(text: str) -> list[str]:
    """Return why a Python file is refused; nothing if it is not, or does not parse."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return []
    found = sorted({(line, what) for line, what in _python(tree)})
    return [f"line {line}: {what}" for line, what in found]


def given(text: str) -> dict[str, list[str]]:
    """Return what a Python file imports of `GIVEN`: names by module."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return {}
    found: dict[str, list[str]] = {}
    for node in _walk(tree):
        match node:
            case ast.ImportFrom(module=str(module), names=parts) if module in GIVEN:
                found.setdefault(module, []).extend(part.name for part in parts)
    return found


def _python(tree: ast.Module) -> Iterator[tuple[int, str]]:
    names = _imported(tree)
    for node in _walk(tree):
        line = getattr(node, "lineno", 0)
        for module in _modules(node):
            yield from ((line, what) for what in _of_module(module))
        match node:
            case ast.Call(func=ast.Name(id=name)) if name in CALLS:
                yield line, f"it calls {name}()"
            case ast.Call(func=ast.Name(id="setattr" | "delattr"), args=[ast.Name(id=name), *_]) if name in names:
                yield line, f"it replaces a part of {names[name]}"
            case ast.Name(id=name) if name in INNER and name.startswith("__"):
                yield line, f"it looks into the interpreter: {name}"
            case ast.Attribute(attr=attr, value=value) if attr in INNER or (names.get(_root(value)), attr) in (
                ("sys", "modules"),
                ("inspect", "stack"),
            ):
                yield line, f"it looks into the interpreter: {ast.unparse(node)}"
            case ast.Attribute(attr=attr, value=ast.Name(id=name)) if names.get(name) == "os" and attr in OF_OS:
                yield line, f"it calls the system: os.{attr}"
            case ast.Attribute(attr=attr, value=value) if attr in FILES and names.get(_root(value)) == "numpy":
                yield line, f"it uses files: {ast.unparse(node)}"
            case ast.Constant(value=str(text)) if OURS.search(text) and not _is_docstring(tree, node):
                yield line, "it names modules of fastae in a string"
        for target in _written(node):
            inner = target.value if isinstance(target, ast.Subscript) else target
            is_part = isinstance(inner, ast.Attribute) and (inner is target or inner.attr == "__dict__")
            if is_part and _root(target) in names and "config" not in ast.unparse(target):  # as of numba
                yield line, f"it replaces {ast.unparse(target)}, a part of the module {names[_root(target)]}"


def _modules(node: ast.AST) -> list[str]:
    """Return what a statement imports: modules, and what it takes from one of fastae's."""
    match node:
        case ast.Import(names=parts):
            return [part.name for part in parts]
        case ast.ImportFrom(module=str(module), names=parts):
            if module.partition(".")[0] == "fastae":
                return [f"{module}.{part.name}" for part in parts if part.name not in GIVEN.get(module, ())]
            borrowed = [part.name for part in parts if part.name in MODULES]  # that another module has imported
            return [module, *(borrowed if module.partition(".")[0] in sys.stdlib_module_names else [])]
    return []


def _of_module(module: str) -> Iterator[str]:
    first = module.partition(".")[0]
    if first in MODULES:
        yield f"it imports {first}, which is for {MODULES[first]}"
    elif first in LIBRARIES:
        yield f"it imports {module}: the kernels of {LIBRARIES[first]} are not yours"
    elif first == "fastae" and module not in OPEN and module.rpartition(".")[0] not in OPEN[1:]:
        yield f"it imports {module}: the kernels of fastae are not yours"


def _written(node: ast.AST) -> list[ast.expr]:
    """Return what a statement assigns to, or deletes."""
    match node:
        case ast.Assign(targets=targets) | ast.Delete(targets=targets):
            return targets
        case ast.AugAssign(target=target) | ast.AnnAssign(target=target):
            return [target]
    return []


def _walk(tree: ast.Module) -> Iterator[ast.AST]:
    """Yield all nodes but those of ``if __name__ == "__main__"`` and the like, which nobody runs here."""
    for node in tree.body:
        match node:
            case ast.If(
                test=ast.Compare(left=ast.Name(id="__name__"))
                | ast.Name(id="TYPE_CHECKING")
                | ast.Attribute(attr="TYPE_CHECKING"),
                orelse=orelse,
            ):
                for other in orelse:
                    yield from ast.walk(other)
            case _:
                yield from ast.walk(node)


def _imported(tree: ast.Module) -> dict[str, str]:
    """Return what stands for a module, or for what is in one."""
    names: dict[str, str] = {}
    for node in _walk(tree):
        match node:
            case ast.Import(names=parts):
                names |= {(part.asname or part.name.partition(".")[0]): part.name for part in parts}
            case ast.ImportFrom(module=str(module), names=parts):
                names |= {(part.asname or part.name): f"{module}.{part.name}" for part in parts}
    return names


def _root(node: ast.AST) -> str:
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def _is_docstring(tree: ast.Module, constant: ast.Constant) -> bool:
    owners = (n for n in ast.walk(tree) if isinstance(n, ast.Module | ast.FunctionDef | ast.ClassDef))
    return any(n.body and isinstance(n.body[0], ast.Expr) and n.body[0].value is constant for n in owners)


# CUDA

HEADERS = re.compile(
    r"""[<"](cuda\.h|cuda_runtime(_api)?\.h|device_launch_parameters\.h|math_(constants|functions)\.h|cuComplex\.h|"""
    r"""(vector|device)_(types|functions)\.h|"""  # in quotes too, as templates of projects have them
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
SYMBOLS = re.compile(  # that a kernel may call: <math.h>, memory, and what compilers add
    rf"({'|'.join(MATHEMATICS.split())})[fl]?|(__)?mem(cpy|set|move|cmp|chr)(_chk)?|"
    r"__(tsan|ubsan)_\w+|__cxa_\w+|__gmon_start__|_ITM_\w+|_Zd[la]Pv\w*|"
    # and their arithmetic where the processor has no instruction: bits, integers of 128 bits, complex and half numbers
    r"__(popcount|parity|clz|ctz|clrsb|ffs|bswap)[sdt]i2|__u?(div|mod|divmod)[dt]i[34]|__(mul|ashl|ashr|lshr|neg)[dt]i[23]|"
    r"__(mul|div)[hsdxt]c3|__powi[sdxt]f2|__fix(uns)?[hsdxt]f[sdt]i|__float(un)?[sdt]i[hsdxt]f|__extend[bhsdx]f[hsdxt]f2|"
    r"__trunc[sdxt]f[bhsdx]f2"
)


def of_cuda(text: str, name: str = "") -> list[str]:
    """Return why a ``.cu`` file of that name is refused, with what it includes; nothing if it is not."""
    text = translated(text)
    plain = _blanked(text)
    found: list[tuple[int, str]] = [(match.start(), f"{match[1]} {NOT_EMULATED}") for match in REFUSAL.finditer(text)]

    def every(pattern: str, told: str) -> None:
        for match in re.finditer(pattern, plain, re.MULTILINE):
            groups = [g for g in match.groups() if g]
            found.append((match.start(), told.format(*groups)))

    for match in re.finditer(r"^[ \t]*#[ \t]*include(_next)?\b(.*)$", text, re.MULTILINE):
        if not HEADERS.fullmatch(match[2].split("//")[0].split("/*")[0].strip()):
            where = ", nor is it in the file's folder" if match[2].strip().startswith('"') else ""
            found.append((match.start(2), f"it includes {match[2].strip()}, which is no header of CUDA{where}"))
    every(r"\b(?:__)?asm(?:__)?\b", "asm that is no statement of CUDA: what it does cannot be seen")
    every(r"__attribute__|\[\[\s*gnu\s*::", "an attribute of the host's compiler, such as a constructor's")
    every(r"#[ \t]*embed\b", "it embeds a file")
    every(rf"(?<![\w.>])(?:::\s*|std\s*::\s*)?\b({HOST})\s*\(", "{0}() is a function of the host; no GPU has it")
    every(r"\b(__builtin_\w*(?:frame|return)_address)\b", "{0}: it looks into its caller")
    every(r"\bemulator\s*::|\b(emulator_\w+)", "it reaches for the emulator's inside")
    every(r"\b(?:dlopen|environ|errno|stdin|stdout|stderr)\b", "it reaches for the host's process")
    found += [(at, f"{what} is initialised by code of the host, before any launch") for at, what in _static(plain)]
    return list(dict.fromkeys(f"{place_of(text, at, name)}: {what}" for at, what in sorted(found)))


ATTRIBUTES = re.compile(  # the emulator's own
    r"__attribute__\s*\(\((section\(\"cushared\" \"\d+\"\), aligned\(16\), used|aligned\(\s*\w+\s*\))\)\)"
)
PLACES = re.compile(r"emulator::value_of\(\*?emulator::(thread_index|block_index|block_size|grid)\)")
STANDARD = re.compile(r"\[\[\s*(nodiscard|maybe_unused|likely|unlikely|fallthrough|noreturn)(\(.*?\))?\s*\]\]")
BUILTINS = r"(?!(inf|nan|huge_val)[fl]?\b|assume|expect\b|unreachable\b)"
PRAGMAS = re.compile(r"#pragma\s+(unroll|nv_|once)")
HIDDEN = {  # once all macros are replaced
    r"\b__attribute(__)?\b": "an attribute of the host's compiler",
    r"(\[|<:)\s*(\[|<:)": "an attribute of the host's compiler",
    r"\b(__)?asm(__)?\b": "asm",
    rf"\b__builtin_{BUILTINS}\w+": "a function that is built into the host's compiler",
    r"\b__(sync|atomic)_\w+": "a function that is built into the host's compiler",
    r"\b__[tau]b?san_\w+": "it reaches for what looks at its accesses",
    r"\bemulator\w*": "it reaches for the emulator's inside",
    r"\b(import|module)\s*[<\"\w]": "it imports a module",
    r"\bthread_local\b": "thread_local, which is a thread's of the host",
}


def of_preprocessed(text: str, name: str, others: Collection[str] = ()) -> list[str]:
    """Return why a ``.cu`` file of that name is refused, its macros replaced as `compiler.preprocessed` does it.

    ``others`` are the names of files of its folder that are in it.
    """
    found, line, file = dict[str, None](), 0, ""
    names = "|".join(map(re.escape, (name, *others)))
    for row in text.splitlines():
        line += 1
        plain = re.sub(r'"(\\.|[^"\\])*"', '""', ATTRIBUTES.sub("", row))
        # With numbers: what follows is from a macro of the C library, such as assert or FLT_MAX.
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
    """Make comments of the includes of CUDA's headers, by which the emulator knows what it is to bring."""
    return re.sub(rf"^[ \t]*#[ \t]*include[ \t]*({HEADERS.pattern})", r"//\g<0>", text, flags=re.MULTILINE)


def _blanked(text: str) -> str:
    """Blank out comments, strings and characters, keeping places."""

    def blank(match: re.Match[str]) -> str:
        return re.sub(r"[^\n]", " ", match[0])

    text = text.replace("\\\n", " \n")  # a line that goes on
    return re.sub(r'//[^\n]*|/\*.*?\*/|R"(\w*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', blank, text,
                  flags=re.DOTALL)  # fmt: skip


def _static(plain: str) -> Iterator[tuple[int, str]]:
    """Yield variables outside of functions whose initial value is computed by a call."""
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
    """Return why a compiled ``.cu`` file is refused: what it calls of the host, or does when it is loaded.

    Parameters
    ----------
    library : Path
    runtime : Path
        The object file of the emulator in it, which calls what it needs.
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
    """Return what a compiled file defines, and what it calls of others."""
    tool = shutil.which("nm")
    if tool is None:
        return set(), set()
    done = subprocess.run([tool, "-P", str(path)], capture_output=True, encoding="utf-8", errors="replace")
    symbols = [line.split() for line in done.stdout.splitlines()]
    defined, called = (
        {s[0].partition("@")[0] for s in symbols if (s[1] in "Uvw") is undefined} for undefined in (False, True)
    )
    return defined, called


def kernels_in(path: Path, text: str) -> list[str]:
    """Return which kernels of the contract a file seems to define, without running it."""
    if path.suffix == ".cu":
        return [name for name in KERNELS if name in kernels_of(text)]
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return []
    names = set(_imported(tree))
    for node in tree.body:
        match node:
            case ast.FunctionDef(name=name):
                names.add(name)
            case ast.Assign(targets=targets):
                names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return [name for name in KERNELS if name in names]


def reasons(path: Path, text: str) -> list[str]:
    """Return why a file is refused before it is run."""
    return of_cuda(text, shown_name(path.name)) if path.suffix == ".cu" else of_python(text)
