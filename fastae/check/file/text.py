"""What the text of a learner's file says of a kernel: decorators, what is returned or renamed, globals, races, calls.

Nothing is run or imported: the judge may not have the functions. The facts are of the kernel and of what it calls in
the same file. Of CUDA only the calls are found, by their names.
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

COMPILERS = ("njit", "jit", "vectorize", "guvectorize")  # decorators of Numba's
CHANGING = ("append", "clear", "extend", "insert", "pop", "fill", "update")  # methods that change what they are of
COPIES = ("flatten", "copy", "astype", "tolist")  # methods that never make a view
VIEWS = ("ravel", "reshape")  # methods that make one if they can, which they cannot where rows have gaps
CALL = re.compile(r"\b(\w+)\s*\(")
QUOTIENT = re.compile(r"(?<![\w.])(\d+)\s*/\s*(\d+)(?![\w.])")  # of whole numbers in C
Function = ast.FunctionDef


@dataclass(frozen=True)
class Decorator:
    """One of Numba's on a function.

    Attributes
    ----------
    name : str
        ``"njit"``.
    options : dict
        Those that are constants in the text.
    signatures : tuple of str
        For which types it is compiled, if it says so.
    line : int
    """

    name: str
    options: dict[str, Any]
    signatures: tuple[str, ...]
    line: int


@dataclass
class Facts:
    """What is known of a kernel from its text.

    Attributes
    ----------
    decorators : list of Decorator
    returned : list of Place
        Where the kernel itself returns a value.
    rebound : list of Place
        Where the kernel gives the name of its output to something else.
    copied : list of Place
        Where the kernel makes something else of its output that may be a copy, and writes there or passes it on.
    quotients : list of Place
        Quotients of whole numbers in CUDA that lose a rest.
    races : list of Place
        What several threads of a ``prange`` write, or sum, into one place.
    lost_updates : list of Place
        Those of them that are a race for certain: what one thread writes, another overwrites with something else.
    frozen : list of Place
        Globals that compiled code reads, and other code changes.
    calls : list of Place
        Every call, and every comparison that chooses a value.
    written : str
        What the kernel calls its output.
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
        """Whether it returns its output by name, not as NumPy's functions with ``out=`` do."""
        return any(place.text == f"return {self.written}" for place in self.returned)

    def option(self, name: str) -> Any:
        """Return what an option of any decorator is set to, or None."""
        return next((d.options[name] for d in self.decorators if d.options.get(name)), None)

    @property
    def signatures(self) -> list[str]:
        """The types for which its functions are compiled, if they say so."""
        return [text for d in self.decorators for text in d.signatures]


def is_parallel(text: str) -> bool:
    """Tell whether a file may have a function that Numba runs on several threads; its options may hide in a dict."""
    return "parallel" in text


def environment(text: str, given: Mapping[str, str]) -> dict[str, str]:
    """Return what the environment of the process that runs a file should have beside what is given.

    A race needs at least two threads, which Numba starts on one core as well if it is told to before it is imported.
    """
    threads = given.get("NUMBA_NUM_THREADS", "")
    return {"NUMBA_NUM_THREADS": "2"} if is_parallel(text) and threads in ("", "1") and _cores(threads) < 2 else {}


def _cores(threads: str) -> int:
    from fastae.backends.numba_backend.workers import cores

    return int(threads) if threads else cores()


def facts(text: str, name: str) -> Facts:
    """Read what a file's text says of a kernel; nothing if it is neither Python nor C.

    Parameters
    ----------
    text : str
    name : str
        A kernel of the contract.
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
            if isinstance(node, ast.Return) and not _is_none(node.value)
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
    """Return a kernel's own function, all that it reaches by calls in the file, and the decorators of those."""
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
    """Return a decorator of Numba's, called or not."""
    call = node if isinstance(node, ast.Call) else None
    module, _, name = ast.unparse(call.func if call else node).rpartition(".")
    if name not in COMPILERS or module in ("np", "numpy"):  # which has a vectorize of its own
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
    """Return what the kernel calls its output; the contract's name, for others are refused."""
    written = WRITTEN.get(name, "out")
    position = list(KERNELS[name].arguments).index(written)
    arguments = function.args.args
    return arguments[position].arg if position < len(arguments) else written


def _within(function: Function) -> Iterator[ast.AST]:
    """Yield what is in a function, but not what is in functions within it."""
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop(0)
        yield node
        if not isinstance(node, ast.FunctionDef | ast.Lambda | ast.ClassDef):
            waiting += ast.iter_child_nodes(node)


def _is_none(value: ast.expr | None) -> bool:
    return value is None or (isinstance(value, ast.Constant) and value.value is None)


def _rebound(function: Function, written: str, functions: dict[str, Function]) -> Iterator[Place]:
    """Yield where the output's name, or that of a row of it, is given to something else; also in what is called."""
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
    """Yield what a loop calls the rows of the output."""
    if _is_name(over, written) and isinstance(target, ast.Name):
        yield target.id
    if isinstance(over, ast.Call) and isinstance(target, ast.Tuple):
        counted = ast.unparse(over.func) == "enumerate"
        for each, of in zip(target.elts[counted:], over.args):
            yield from _rows(each, of, written)


def _copied(function: Function, written: str) -> Iterator[Place]:
    """Yield what is made of the output and then written into or passed on, for it may be a copy."""
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
    """Whether it is the output in other words, which may be a copy of it."""
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
    """Whether a quotient of whole numbers has a rest."""
    a, b = map(int, quotient.split("/"))
    return b == 0 or a % b != 0


def _is_name(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


# Globals, and calls.


def _frozen(tree: ast.Module, compiled: list[Function]) -> Iterator[Place]:
    """Yield the globals that compiled functions read, although something changes them."""
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
    """Return the names that are a function's own."""
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
