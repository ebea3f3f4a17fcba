"""Places in a file, and what a statement assigns to or reads."""

import ast
from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """A line of the file, from 1 on, and the text of what is there."""

    line: int
    text: str


def targets(node: ast.AST) -> list[ast.expr]:
    """Return what a statement assigns to, or a loop runs over."""
    if isinstance(node, ast.Assign):
        return node.targets
    return [node.target] if isinstance(node, ast.AnnAssign | ast.AugAssign | ast.For | ast.NamedExpr) else []


def names_in(node: ast.AST) -> set[str]:
    """Return the names in an expression."""
    return {name.id for name in ast.walk(node) if isinstance(name, ast.Name)}
