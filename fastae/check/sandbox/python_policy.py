"""What the text of a learner's Python file must not contain."""

import ast
import re
import sys
from collections.abc import Iterator

from fastae.check.sandbox.confine import LIBRARIES, OPEN

MODULES = {  # modules that no kernel needs, and what they are for
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
INNER = {  # attributes that lead to the internals of the interpreter
    "_getframe", "_current_frames", "f_back", "f_globals", "f_locals", "gi_frame", "tb_frame", "__globals__",
    "__closure__", "__code__", "__subclasses__", "__builtins__", "__loader__", "__spec__",
    "addaudithook", "settrace", "setprofile", "get_objects", "get_referrers", "get_referents",
    "currentframe", "getouterframes", "getinnerframes",
}  # fmt: skip
CALLS = {"__import__", "eval", "exec", "compile"}
GIVEN = {  # compiled code of fastae that exercises hand out; the report says that it was used
    "fastae.backends.numba_backend.kernels": {"columns_by_tiles"},
    "fastae.backends.numba_backend.machine": {"MACHINE"},
    "fastae.backends.numba_backend.tiles": {"DOT", "DOT_ROW", "OUTER", "OUTER_ROW", "dot_tile", "outer_tile"},
}
OF_OS = {"system", "popen", "fork", "forkpty", "kill", "killpg", "dup2", "getppid", "remove"}
FILES = {"memmap", "save", "savez", "savez_compressed", "savetxt", "ctypeslib"}
OURS = re.compile(r"\bfastae\.(backends|check|ladder|bench)\b")


def of_python(text: str) -> list[str]:
    """Return the reasons to refuse a Python file; empty if there is none, or it does not parse."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return []
    found = sorted({(line, what) for line, what in _python(tree)})
    return [f"line {line}: {what}" for line, what in found]


def given(text: str) -> dict[str, list[str]]:
    """Return what a Python file imports from `GIVEN`: names by module."""
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
    names = imported(tree)
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
                yield line, f"it uses the internals of the interpreter: {name}"
            case ast.Attribute(attr=attr, value=value) if attr in INNER or (names.get(_root(value)), attr) in (
                ("sys", "modules"),
                ("inspect", "stack"),
            ):
                yield line, f"it uses the internals of the interpreter: {ast.unparse(node)}"
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
    """Return the modules that a statement imports, with names that it takes from a module of fastae."""
    match node:
        case ast.Import(names=parts):
            return [part.name for part in parts]
        case ast.ImportFrom(module=str(module), names=parts):
            if module.partition(".")[0] == "fastae":
                return [f"{module}.{part.name}" for part in parts if part.name not in GIVEN.get(module, ())]
            borrowed = [part.name for part in parts if part.name in MODULES]  # modules that another module has imported
            return [module, *(borrowed if module.partition(".")[0] in sys.stdlib_module_names else [])]
    return []


def _of_module(module: str) -> Iterator[str]:
    first = module.partition(".")[0]
    if first in MODULES:
        yield f"it imports {first}, which is for {MODULES[first]}"
    elif first in LIBRARIES:
        yield f"it imports {module}: a kernel must not use those of {LIBRARIES[first]}"
    elif first == "fastae" and module not in OPEN and module.rpartition(".")[0] not in OPEN[1:]:
        yield f"it imports {module}: a kernel must not use those of fastae"


def _written(node: ast.AST) -> list[ast.expr]:
    """Return the targets that a statement assigns to or deletes."""
    match node:
        case ast.Assign(targets=targets) | ast.Delete(targets=targets):
            return targets
        case ast.AugAssign(target=target) | ast.AnnAssign(target=target):
            return [target]
    return []


def _walk(tree: ast.Module) -> Iterator[ast.AST]:
    """Yield all nodes but those of ``if __name__ == "__main__"`` and the like, which are not run."""
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


def imported(tree: ast.Module) -> dict[str, str]:
    """Return the names that stand for a module or for something in one."""
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
