"""Races in the text of a file: what several iterations of a ``prange`` write into one place."""

import ast
from collections.abc import Iterator

from fastae.check.file.statements import Place, names_in, targets


def races(function: ast.FunctionDef) -> Iterator[tuple[Place, bool]]:
    """Yield races of a function: where several iterations of a ``prange`` write, and whether it is certain."""
    for loop in ast.walk(function):
        if not (isinstance(loop, ast.For) and isinstance(loop.iter, ast.Call) and isinstance(loop.target, ast.Name)):
            continue
        if ast.unparse(loop.iter.func).rpartition(".")[2] != "prange":
            continue
        inside = [node for statement in loop.body for node in ast.walk(statement)]
        own = _varying(inside, loop.target.id)
        made = {name.id for name in inside if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store)}
        chosen = {id(inner) for node in inside if isinstance(node, ast.If) for inner in ast.walk(node)}
        assigned = [(node, target) for node in inside for target in targets(node)]
        summed = {x.id for node, x in assigned if isinstance(node, ast.AugAssign) and isinstance(x, ast.Name)}
        begun = {x.id for node, x in assigned if not isinstance(node, ast.AugAssign) and isinstance(x, ast.Name)}
        for statement, target in assigned:
            if not isinstance(target, ast.Subscript) or not isinstance(target.value, ast.Name):
                continue
            if target.value.id not in made and not names_in(target.slice) & own:
                text = f"every iteration of the prange writes {ast.unparse(target)}"
                value = getattr(statement, "value", None)
                differs = isinstance(statement, ast.AugAssign) or (value is not None and names_in(value) & own)
                yield Place(target.lineno, text), bool(differs) and id(statement) not in chosen
        for node in inside:
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in summed - begun:
                yield Place(node.lineno, f"all iterations of the prange sum in {node.id}, and each reads it"), False


def _varying(inside: list[ast.AST], index: str) -> set[str]:
    """Return the names whose values differ from one iteration to another."""
    own, before = {index}, set[str]()
    while own != before:
        before = set(own)
        for node in inside:
            value = node.iter if isinstance(node, ast.For) else getattr(node, "value", None)
            if isinstance(value, ast.expr) and names_in(value) & own:
                stored = (name for target in targets(node) for name in ast.walk(target) if isinstance(name, ast.Name))
                own |= {name.id for name in stored if isinstance(name.ctx, ast.Store)}
    return own
