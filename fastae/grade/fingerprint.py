"""Fingerprints of kernels that do not depend on names of locals, comments, layout or the order of functions.

A file is split into units: what its top-level statements define. Each unit is written as a list of words. Locals are
numbered in the order of their appearance, and the name of another unit stands for that unit's fingerprint. The
fingerprint of a kernel therefore covers everything that it uses and nothing else. Python is parsed with `ast`, CUDA is
split into tokens; no file is executed.
"""

import ast
import hashlib
import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from fastae.backends.contract import KERNELS


class Print(NamedTuple):
    """A kernel's fingerprint.

    Attributes
    ----------
    digest : str
    words : int
        The length of the kernel with all that it uses; short kernels can be identical by chance.
    """

    digest: str
    words: int


class Use(str):
    """A word that names another unit."""


def kernels(text: str, suffix: str) -> dict[str, Print]:
    """Return the fingerprint of each kernel of the contract that a file defines.

    Parameters
    ----------
    text : str
        Of the file.
    suffix : {".py", ".cu"}

    Returns
    -------
    dict of str to Print
        Empty if the text cannot be parsed.
    """
    try:
        found, units = _python(text) if suffix == ".py" else _cuda(text)
        known: dict[str, Print] = {}
        return {name: _print(name, units, known) for name in KERNELS if name in found}
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # the last two for text that is nested too deeply
        return {}


def _print(name: str, units: dict[str, list[str]], known: dict[str, Print]) -> Print:
    """Take the fingerprint of a unit and all that it uses."""
    if name not in known:
        known[name] = Print("itself", 0)  # for recursion
        used = {word: _print(word, units, known) for word in dict.fromkeys(units[name]) if isinstance(word, Use)}
        words = (f"unit {used[word].digest}" if isinstance(word, Use) else word for word in units[name])
        digest = hashlib.sha256("\0".join(words).encode("utf-8", "surrogatepass")).hexdigest()
        known[name] = Print(digest, len(units[name]) + sum(p.words for p in used.values()))
    return known[name]


# Python


def _python(text: str) -> tuple[Iterable[str], dict[str, list[str]]]:
    imported: dict[str, str] = {}
    bound: dict[str, list[ast.stmt]] = {}
    for statement in ast.parse(text).body:
        if isinstance(statement, ast.Import | ast.ImportFrom):
            imported |= _imports(statement)
        else:
            for name in _binds(statement):
                bound.setdefault(name, []).append(statement)
    for name, statements in list(bound.items()):  # matmul = njit(product), or matmul = product
        match statements:
            case [ast.Assign(value=ast.Name(id=other) | ast.Call(args=[ast.Name(id=other)]))] if other in bound:
                if all(isinstance(s, ast.FunctionDef) for s in bound[other]):
                    bound[name] = bound[other]
    return bound, {name: _Words(bound, imported).of(statements) for name, statements in bound.items()}


def _imports(statement: ast.Import | ast.ImportFrom) -> dict[str, str]:
    """Return the full names that an import's names stand for."""
    if isinstance(statement, ast.ImportFrom):
        return {a.asname or a.name: f"{statement.module}.{a.name}" for a in statement.names}
    return {a.asname or a.name.split(".")[0]: a.name if a.asname else a.name.split(".")[0] for a in statement.names}


def _binds(statement: ast.stmt) -> set[str]:
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        return {statement.name}
    return set(_names(ast.walk(statement)))


def _names(nodes: Iterable[ast.AST]) -> Iterator[str]:
    """Yield the names that nodes bind."""
    for node in nodes:
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.alias):
            yield node.asname or node.name.split(".")[0]
        elif isinstance(node, ast.ExceptHandler) and node.name:
            yield node.name


SCOPES = (ast.FunctionDef, ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
LEFT_OUT = ("annotation", "returns", "type_comment", "decorator_list", "ctx", "type_params")


class _Words:
    """A unit of a Python file as words."""

    def __init__(self, bound: dict[str, Any], imported: dict[str, str]) -> None:
        self._bound, self._imported = bound, imported
        self._scopes: list[dict[str, str]] = []
        self._count = 0
        self._words: list[str] = []

    def of(self, statements: list[ast.stmt]) -> list[str]:
        """Return the words of a name's statements."""
        for statement in statements:
            self._visit(statement)
        return self._words

    def _visit(self, node: ast.AST) -> None:
        if isinstance(node, ast.AnnAssign) and node.value:
            node = ast.Assign([node.target], node.value)
        match node:
            case ast.Pass() | ast.Expr(value=ast.Constant()) | ast.AnnAssign(value=None):
                return
            case ast.Import() | ast.ImportFrom():
                for name, what in _imports(node).items():
                    self._declare(name)
                    self._scopes[-1][name] = what
                return
            case ast.Name(id=name):
                self._words.append(self._name(name, isinstance(node.ctx, ast.Load)))
                return
            case ast.Attribute() if dotted := self._dotted(node):
                self._words.append(dotted)
                return
        if isinstance(node, SCOPES):
            if isinstance(node, ast.FunctionDef) and self._scopes:
                self._words.append(self._name(node.name, False))
            self._scopes.append({})
            for name in _names(_own(node)):
                self._declare(name)
        self._words.append(type(node).__name__)
        for key, value in ast.iter_fields(node):
            if key not in LEFT_OUT and not (key == "name" and isinstance(node, ast.FunctionDef)):
                self._field(key, value)
        if isinstance(node, SCOPES):
            self._scopes.pop()

    def _field(self, key: str, value: Any) -> None:
        if isinstance(value, list):
            self._words.append("[")
            for entry in value:
                self._field(key, entry)
            self._words.append("]")
        elif isinstance(value, ast.AST):
            self._visit(value)
        elif key in ("arg", "name") and isinstance(value, str) and any(value in scope for scope in self._scopes):
            self._words.append(self._name(value, False))
        elif value is not None:
            self._words.append(repr(value))

    def _declare(self, name: str) -> None:
        self._scopes[-1].setdefault(name, "")

    def _name(self, name: str, read: bool) -> str:
        for scope in reversed(self._scopes):
            if name in scope:
                if not scope[name]:
                    scope[name] = f"local {self._count}"
                    self._count += 1
                return scope[name]
        if name in self._bound:
            return Use(name) if read else "global"
        return self._imported.get(name, name)

    def _dotted(self, node: ast.Attribute) -> str:
        """Return the full name of an attribute of a module, however it was imported; empty for other attributes."""
        if isinstance(node.value, ast.Attribute):
            first = self._dotted(node.value)
        elif isinstance(node.value, ast.Name):
            found = self._name(node.value.id, True)
            first = "" if found.startswith("local ") or isinstance(found, Use) else found
        else:
            return ""
        return first and f"{first}.{node.attr}"


def _own(scope: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes of a scope, without those of scopes within it."""
    waiting = list(ast.iter_child_nodes(scope))
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, SCOPES):
            waiting += ast.iter_child_nodes(node)


# CUDA

DROPPED = re.compile(r"//[^\n]*|/\*.*?\*/|(\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*')", re.DOTALL)
TOKEN = re.compile(r"\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'|[A-Za-z_]\w*|\.?\d(?:[eEpP][+-]|[\w.])*|->|::|\S")
WORD = re.compile(r"[A-Za-z_]\w*")
WITHOUT_MEANING = {"const", "constexpr", "inline", "static", "__restrict__", "__forceinline__", "volatile"}
KEYWORDS = {
    *("return", "else", "case", "goto", "new", "delete", "sizeof", "throw"),
    *("if", "while", "for", "do", "switch", "break", "continue", "default"),
}
SYNONYMS = {"rows": "m", "cols": "n", "depth": "k"}


def _cuda(text: str) -> tuple[Iterable[str], dict[str, list[str]]]:
    text = DROPPED.sub(lambda match: match[1] or " ", text.replace("\\\n", " "))
    units: dict[str, list[str]] = {}
    code = []
    for line in text.splitlines():
        if not line.lstrip().startswith("#"):
            code.append(line)
        elif found := re.match(r"\s*#\s*define\s+(\w+)(.*)", line):
            units.setdefault(found[1], []).extend(["#", *TOKEN.findall(found[2])])
    found_kernels = []
    for unit in _split(TOKEN.findall("\n".join(code))):
        name, opening = _defined(unit)
        if name:
            units.setdefault(name, []).extend(unit)
        if name in KERNELS and "__global__" in unit[:opening]:
            found_kernels.append(name)
    return found_kernels, {name: list(_tokens(name, unit, units)) for name, unit in units.items()}


def _split(tokens: list[str]) -> Iterator[list[str]]:
    """Yield the top-level definitions, and those within extern "C" { } and namespaces."""
    unit: list[str] = []
    depth = 0
    for token in tokens:
        if (
            depth == 0
            and token == "{"
            and unit
            and (unit[0] == "namespace" or (unit[0] == "extern" and len(unit) == 2))
        ):
            unit = []
            continue
        if depth == 0 and token == "}":
            continue
        unit.append(token)
        depth += (token in "({[") - (token in ")}]")
        if depth == 0 and (token == ";" or (token == "}" and unit[0] not in ("struct", "union", "enum", "class"))):
            yield unit
            unit = []


def _defined(unit: list[str]) -> tuple[str, int]:
    """Return the name that a definition defines, and the index behind it."""
    i = 0
    while i < len(unit):
        if unit[i] in ("__launch_bounds__", "__align__", "alignas", "__attribute__"):
            i = _closing(unit, i + 1) + 1
            continue
        if unit[i] in ("(", "=", "[", "{", ";"):
            return (unit[i - 1], i) if i and WORD.fullmatch(unit[i - 1]) else ("", i)
        i += 1
    return "", i


def _closing(unit: list[str], opening: int) -> int:
    depth = 0
    for i in range(opening, len(unit)):
        depth += (unit[i] in "([{") - (unit[i] in ")]}")
        if depth == 0:
            return i
    return len(unit) - 1


def _tokens(name: str, unit: list[str], units: dict[str, list[str]]) -> Iterator[str]:
    """Yield a definition as words; a kernel without its parameters, which are known by their names."""
    own, start = _defined(unit)
    is_kernel = own == name and name in KERNELS and "__global__" in unit[:start]
    parameters: set[str] = set()
    if is_kernel:
        end = _closing(unit, start)
        parameters = {token for token in unit[start:end] if WORD.fullmatch(token)}
        unit = unit[end + 1 :]
    unit = [token for token in unit if token not in WITHOUT_MEANING]
    declared = {
        token
        for before, token, after in zip(["", *unit], unit, [*unit[1:], ""])
        if WORD.fullmatch(token) and token not in parameters and after in tuple("=;,)[:({")
        if before in ("*", "&", ">", ",") or (WORD.fullmatch(before) and before not in KEYWORDS)
    }
    numbers: dict[str, str] = {}
    for before, token, after in zip(["", *unit], unit, [*unit[1:], ""]):
        if not WORD.fullmatch(token) or before in (".", "->", "::"):
            yield token
        elif token == name:
            yield "itself"
        elif token in parameters:
            yield SYNONYMS.get(token, token)
        elif token in units and token not in numbers:
            yield Use(token)
        elif token in declared and not (after == "(" and before not in declared and not WORD.fullmatch(before)):
            yield numbers.setdefault(token, f"local {len(numbers)}")
        else:
            yield token
