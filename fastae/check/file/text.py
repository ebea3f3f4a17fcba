"""Facts about a kernel from the text of its file: decorators, returned values, renamed outputs, globals, races, calls.

Nothing is run or imported. The facts are about the kernel and the functions of the same file that it calls. In CUDA
only calls and quotients are found, by regular expressions.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from fastae.backends.contract import KERNELS
from fastae.check.calls.cases import WRITTEN
from fastae.check.file.races import races
from fastae.check.file.statements import Place, targets

COMPILERS = ("njit", "jit", "vectorize", "guvectorize")  # Numba's decorators
CHANGING = ("append", "clear", "extend", "insert", "pop", "fill", "update")  # methods that change their object
COPIES = ("flatten", "copy", "astype", "tolist")  # methods that always copy
VIEWS = ("ravel", "reshape")  # methods that copy where rows have gaps
CALL = re.compile(r"\b(\w+)\s*\(")
QUOTIENT = re.compile(r"(?<![\w.])(\d+)\s*/\s*(\d+)(?![\w.])")  # of whole numbers in C
Function = ast.FunctionDef


@dataclass(frozen=True)
class Decorator:
    """A decorator of Numba on a function.

    Attributes
    ----------
    name : str
        Such as ``"njit"``.
    options : dict
        The options whose values are constants in the text.
    signatures : tuple of str
        The explicit signatures.
    line : int
        Of the file, from 1 on.
    """

    name: str
    options: dict[str, Any]
    signatures: tuple[str, ...]
    line: int


@dataclass
class Facts:
    """What the text says about a kernel.

    Attributes
    ----------
    decorators : list of Decorator
    returned : list of Place
        Where the kernel returns a value.
    rebound : list of Place
        Where the kernel assigns something else to the name of its output.
    copied : list of Place
        Where the kernel makes what may be a copy of its output, and writes into it or passes it on.
    quotients : list of Place
        Quotients of whole numbers in CUDA that have a remainder.
    races : list of Place
        Where several threads of a ``prange`` write, or sum, into one place.
    lost_updates : list of Place
        The races that are certain: one thread overwrites what another has written with something else.
    frozen : list of Place
        Globals that compiled code reads and other code changes.
    calls : list of Place
        Every call, and every comparison that chooses a value.
    written : str
        The name of the output in the kernel.
    """

    decorators: list[Decorator] = field(default_factory=list)
    returned: list[Place] = field(default_factory=list)
    rebound: list[Place] = field(default_factory=list)
    copied: list[Place] = field(default_factory=list)
    quotients: list[Place] = field(default_factory=list)
    races: list[Place] = field(default_factory=list)
    lost_updates: list[Place] = field(default_factory=list)
    frozen: list[Place] = field(default_factory=list)
    calls: list[Place] = field(default_factory=list)
    written: str = "out"

    @property
    def returns_out(self) -> bool:
        """Whether the kernel returns its output by name."""
        return any(place.text == f"return {self.written}" for place in self.returned)

    def option(self, name: str) -> Any:
        """Return the value of an option of any decorator, or None."""
        return next((d.options[name] for d in self.decorators if d.options.get(name)), None)

    @property
    def signatures(self) -> list[str]:
        """The explicit signatures of all its functions."""
        return [text for d in self.decorators for text in d.signatures]


def is_parallel(text: str) -> bool:
    """Return whether Numba may run a function of a file on several threads."""
    return "parallel" in text


def environment(text: str, given: Mapping[str, str]) -> dict[str, str]:
    """Return additional environment variables for the process that runs a file.

    A race needs at least two threads. On one core Numba starts two only if a variable asks for them before its import.

    Parameters
    ----------
    text : str
        Of the file.
    given : mapping of str to str
        The environment.

    Returns
    -------
    dict of str to str
    """
    threads = given.get("NUMBA_NUM_THREADS", "")
    return {"NUMBA_NUM_THREADS": "2"} if is_parallel(text) and threads in ("", "1") and _cores(threads) < 2 else {}


def _cores(threads: str) -> int:
    from fastae.backends.numba_backend.workers import cores

    return int(threads) if threads else cores()


def facts(text: str, name: str) -> Facts:
    """Find the facts about a kernel in the text of a file.

    Parameters
    ----------
    text : str
        Of a ``.py`` or a ``.cu`` file.
    name : str
        A kernel of the contract.

    Returns
    -------
    Facts
        Empty lists where the text says nothing.
    """
    tree = _parsed(text)
    if tree is None:
        lines = [(i, line.partition("//")[0]) for i, line in enumerate(text.splitlines(), 1)]
        calls = [Place(i, match[1]) for i, line in lines for match in CALL.finditer(line)]
        quotients = [Place(i, match[0]) for i, line in lines for match in QUOTIENT.finditer(line)]
        return Facts(calls=calls, quotients=[x for x in quotients if _loses(x.text)])
    own, reached, decorators = _reached(tree, name)
    found = Facts(decorators)
    if own:
        found.written = _written(own, name)
        found.returned = [
            Place(node.lineno, ast.unparse(node))
            for node in _within(own)
            if isinstance(node, ast.Return) and ast.unparse(node) not in ("return", "return None")
        ]
        found.rebound = list(_rebound(own, found.written, {each.name: each for each in reached}))
        found.copied = list(_copied(own, found.written))
    for function in reached:
        for place, certain in races(function):
            found.races.append(place)
            found.lost_updates += [place] if certain else []
        found.calls += _calls(function)
    compiled = [f for f in reached if any(_decorator(d) for d in f.decorator_list)] or (reached if decorators else [])
    found.frozen = list(_frozen(tree, compiled))
    return found


@cache
def _parsed(text: str) -> ast.Module | None:
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError):
        return None


def _reached(tree: ast.Module, name: str) -> tuple[Function | None, list[Function], list[Decorator]]:
    """Return a kernel's function, all functions of the file that it reaches by calls, and their decorators."""
    functions = {each.name: each for each in ast.walk(tree) if isinstance(each, ast.FunctionDef)}
    assigned: dict[str, ast.expr] = {}
    for statement in tree.body:
        if isinstance(statement, ast.Assign):
            assigned |= {target.id: statement.value for target in statement.targets if isinstance(target, ast.Name)}
    decorators, seen, reached, waiting = list[Decorator](), set[str](), list[Function](), [name]
    while waiting:
        this = waiting.pop(0)
        if this in seen:
            continue
        seen.add(this)
        definition: ast.AST | None = functions.get(this) or assigned.get(this)
        if definition is None:
            continue
        if isinstance(definition, ast.FunctionDef):
            reached.append(definition)
        candidates: list[ast.expr] = getattr(definition, "decorator_list", [])
        for node in ast.walk(definition):
            waiting += [node.id] if isinstance(node, ast.Name) else []
            candidates = [*candidates, node] if isinstance(node, ast.Call) else candidates
        found = [decorator for node in candidates if (decorator := _decorator(node))]
        decorators += [d for i, d in enumerate(found) if d not in decorators and d not in found[:i]]
    return functions.get(name), reached, decorators


def _decorator(node: ast.expr) -> Decorator | None:
    """Return a decorator of Numba, called or not; None for another node."""
    call = node if isinstance(node, ast.Call) else None
    module, _, name = ast.unparse(call.func if call else node).rpartition(".")
    if name not in COMPILERS or module in ("np", "numpy"):  # np.vectorize
        return None
    options, signatures = dict[str, Any](), tuple[str, ...]()
    for keyword in call.keywords if call else ():
        try:
            options[str(keyword.arg)] = ast.literal_eval(keyword.value)
        except ValueError:  # no constant
            continue
    if call and call.args and not isinstance(call.args[0], ast.Name):
        first = call.args[0]
        listed = first.elts if isinstance(first, ast.List | ast.Tuple) else [first]
        signatures = tuple(
            each.value if isinstance(each, ast.Constant) and isinstance(each.value, str) else ast.unparse(each)
            for each in listed
        )
    return Decorator(name, options, signatures, node.lineno)


def _written(function: Function, name: str) -> str:
    """Return the name of the kernel's output."""
    written = WRITTEN.get(name, "out")
    position = list(KERNELS[name].arguments).index(written)
    arguments = function.args.args
    return arguments[position].arg if position < len(arguments) else written


def _within(function: Function) -> Iterator[ast.AST]:
    """Yield the nodes of a function, without those of functions within it."""
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop(0)
        yield node
        if not isinstance(node, ast.FunctionDef | ast.Lambda | ast.ClassDef):
            waiting += ast.iter_child_nodes(node)


def _rebound(function: Function, written: str, functions: dict[str, Function]) -> Iterator[Place]:
    """Yield where something else is assigned to the name of the output or of a row of it, also in called functions."""
    nodes = list(_within(function))
    rows = {name for node in nodes if isinstance(node, ast.For) for name in _rows(node.target, node.iter, written)}
    for node in nodes:
        for target in targets(node) if not isinstance(node, ast.AugAssign | ast.For) else ():
            for name in ast.walk(target) if isinstance(target, ast.Name | ast.Tuple | ast.List) else ():
                if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store) and name.id in {written, *rows}:
                    yield Place(name.lineno, name.id)
        if isinstance(node, ast.FunctionDef) and written not in {argument.arg for argument in node.args.args}:
            yield from _rebound(node, written, functions)
        helper = functions.get(node.func.id) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else None
        if isinstance(node, ast.Call) and helper is not None and helper is not function:
            for argument, parameter in zip(node.args, helper.args.args):
                if _is_name(argument, written):
                    yield from _rebound(helper, parameter.arg, {})


def _rows(target: ast.expr, over: ast.expr, written: str) -> Iterator[str]:
    """Yield the names that a loop gives to rows of the output."""
    if _is_name(over, written) and isinstance(target, ast.Name):
        yield target.id
    if isinstance(over, ast.Call) and isinstance(target, ast.Tuple):
        counted = ast.unparse(over.func) == "enumerate"
        for each, of in zip(target.elts[counted:], over.args):
            yield from _rows(each, of, written)


def _copied(function: Function, written: str) -> Iterator[Place]:
    """Yield expressions of the output that may be copies, and are written into or passed on."""
    nodes = list(_within(function))
    stored = [target for node in nodes for target in targets(node)]
    filled = {t.value.id for t in stored if isinstance(t, ast.Subscript) and isinstance(t.value, ast.Name)}
    filled |= {x.target.id for x in nodes if isinstance(x, ast.AugAssign) and isinstance(x.target, ast.Name)}
    passed = [
        x for node in nodes if isinstance(node, ast.Call) for x in (*node.args, *(k.value for k in node.keywords))
    ]
    filled |= {x.id for x in passed if isinstance(x, ast.Name)}
    made = [
        node.value
        for node in nodes
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id in filled for t in node.targets)
    ]
    for value in (*made, *passed, *(t.value for t in stored if isinstance(t, ast.Subscript))):
        if _makes_copy(value, written):
            yield Place(value.lineno, ast.unparse(value))


def _makes_copy(value: ast.expr, written: str) -> bool:
    """Whether an expression may be a copy of the output."""
    if isinstance(value, ast.Subscript):  # by a mask
        return _is_name(value.value, written) and isinstance(value.slice, ast.Compare)
    if not isinstance(value, ast.Call):
        return False
    if isinstance(value.func, ast.Attribute) and value.func.attr in COPIES + VIEWS:
        if _is_name(value.func.value, written):
            return True
        return value.func.attr in VIEWS and bool(value.args) and _is_name(value.args[0], written)  # np.ravel(out)
    name = ast.unparse(value.func).rpartition(".")[2]
    return name in ("array", "ascontiguousarray") and bool(value.args) and _is_name(value.args[0], written)


def _loses(quotient: str) -> bool:
    """Whether a quotient of whole numbers has a remainder."""
    a, b = map(int, quotient.split("/"))
    return b == 0 or a % b != 0


def _is_name(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


# Globals, and calls.


def _frozen(tree: ast.Module, compiled: list[Function]) -> Iterator[Place]:
    """Yield the globals that compiled functions read and other code changes."""
    top = {target.id for node in tree.body for target in targets(node) if isinstance(target, ast.Name)}
    changed = set[str]()
    for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
        changed |= {name for node in ast.walk(function) if isinstance(node, ast.Global) for name in node.names}
        local = _stored(function)
        for node in ast.walk(function):
            arrays = [t.value for t in targets(node) if isinstance(t, ast.Subscript)]
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CHANGING:
                arrays = [node.func.value]
            changed |= {array.id for array in arrays if isinstance(array, ast.Name)} - local
    for function in compiled:
        local = _stored(function)
        for node in ast.walk(function):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in (changed & top) - local:
                yield Place(node.lineno, node.id)


def _stored(function: Function) -> set[str]:
    """Return the local names of a function."""
    given = {argument.arg for argument in ast.walk(function) if isinstance(argument, ast.arg)}
    outer = {name for node in ast.walk(function) if isinstance(node, ast.Global) for name in node.names}
    stored = {n.id for n in ast.walk(function) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    return (given | stored) - outer


def _calls(function: Function) -> Iterator[Place]:
    for node in ast.walk(function):
        if isinstance(node, ast.Call):
            yield Place(node.lineno, ast.unparse(node))
        elif isinstance(node, ast.If | ast.IfExp) and isinstance(node.test, ast.Compare):
            yield Place(node.test.lineno, f"if {ast.unparse(node.test)}")
